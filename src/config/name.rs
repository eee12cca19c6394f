//! The names that the user chooses for accounts and signals. They are used in paths and addresses.

/// What a name may be.
pub(crate) const NAME_RULE: &str = "a name has 1 to 64 of the characters A to Z, a to z, 0 to 9, `_` and `-`";

/// Whether `text` follows the [`NAME_RULE`].
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}
