//! What of a reason is kept.

/// The reason, without what a program said about itself unless that is a program's name: it might be a meeting's title or
/// somebody's address. A name is a single word, or comes from the sound server.
pub fn without_private(because: &str) -> &str {
    let cut = because.find(" (").unwrap_or(because.len());
    let mut rest = &because[cut..];
    while let Some((_, after)) = rest.split_once(" (") {
        let (inside, beyond) = after.split_once(')').unwrap_or((after, ""));
        if inside.contains(char::is_whitespace) && !inside.ends_with(" records") {
            return &because[..cut];
        }
        rest = beyond;
    }
    if because[cut..].contains('@') { &because[..cut] } else { because }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_is_kept_but_an_address_or_a_title_is_not() {
        for because in [
            "lock is locked",
            "call is in-call (baresip) and calendar is busy (online)",
            "call is in-call (Google Chrome records) and lock is unlocked",
        ] {
            assert_eq!(without_private(because), because);
        }
        for app in ["sip:bob@contoso.com", "Zoom: Budget 2027", "a (b) c@d.e", "a) c@d.e (b"] {
            assert_eq!(without_private(&format!("call is in-call ({app}) and x is y")), "call is in-call", "{app}");
        }
    }
}
