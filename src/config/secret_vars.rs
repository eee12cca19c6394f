//! Finds the environment variables that a configuration names for its secrets, even if the configuration is invalid: programs that
//! are started must not get them.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

/// Every name in `env = …` in `text`. It finds at least what the reader accepts: it also looks at `env` in any table, in lines that
/// are not TOML, and in comments, because the secret of a disabled account may still be in the environment.
pub fn secret_vars(text: &str) -> Vec<String> {
    let (document, _) = DeTable::parse_recoverable(text);
    let mut names: BTreeSet<String> = written(text).map(ToOwned::to_owned).collect();
    collect(document.get_ref(), &mut names);
    names.into_iter().collect()
}

/// Collects the names from the parsed document: with escapes, dotted keys and multi-line strings.
fn collect(table: &DeTable<'_>, names: &mut BTreeSet<String>) {
    for (key, value) in table {
        if let ("env", DeValue::String(name)) = (key.get_ref().as_ref(), value.get_ref()) {
            names.extend((!name.is_empty()).then(|| name.to_string()));
        }
        collect_from(value.get_ref(), names);
    }
}

fn collect_from(value: &DeValue<'_>, names: &mut BTreeSet<String>) {
    match value {
        DeValue::Table(table) => collect(table, names),
        DeValue::Array(values) => values.iter().for_each(|value| collect_from(value.get_ref(), names)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// The names in the text itself, with or without quotes.
fn written(text: &str) -> impl Iterator<Item = &str> {
    let is_quote = |char: char| matches!(char, '"' | '\'');
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    text.match_indices("env").filter_map(move |(start, word)| {
        if text[..start].ends_with(is_name) {
            return None;
        }
        let value = text[start + word.len()..].trim_start_matches(is_quote).trim_start().strip_prefix('=')?;
        let value = value.trim_start().trim_start_matches(is_quote);
        let name = &value[..value.find(|char| !is_name(char)).unwrap_or(value.len())];
        (!name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_spelling() {
        for text in [
            r#"secret = { env = "A_1" }"#,
            r#"secret = { env="A_1" }"#,
            r#"secret = { "env" = 'A_1' }"#,
            r#"secret.env = "A_1""#,
            r#"secret = { env = "\u0041_1" }"#,
            r#"secret = { env = """A_1""" }"#,
            "secret = { \"\\u0065nv\" = \"A_1\" }",
            "[accounts.a.auth.secret]\nenv = \"A_1\"",
            "rules = [{ env = \"A_1\" }]",
            // Not TOML.
            "secret = { env = A_1 }",
            "secret = { env = \"A_1\"\n[accounts",
            "]]]\nsecret = { env = 'A_1",
            "env = A_1\u{0}",
            "# secret = { env = \"A_1\" }",
        ] {
            assert!(secret_vars(text).iter().any(|name| name == "A_1"), "{text}: {:?}", secret_vars(text));
        }
    }

    #[test]
    fn text_without_a_name_gives_none() {
        for text in
            ["", "env", "env =", "env = \"\"", "myenv = \"A\"", "environment = \"A\"", "env: A", "# the env of A"]
        {
            assert_eq!(secret_vars(text), [""; 0], "{text}");
        }
    }
}
