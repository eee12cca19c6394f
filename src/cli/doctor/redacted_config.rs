//! The configuration as others may read it: presenced's own words stay, and everything that the user chose becomes a placeholder.
//!
//! It lists what is allowed, not what is forbidden. A value stays if it is true or false, one of presenced's own words, a
//! duration or hours, and if its key takes that kind of value. Unknown keys become placeholders too. Comments are removed. The
//! schema says which key takes what ([`Vocabulary`]).

use toml::{Table, Value};

use super::redact::Redactor;
use super::text::Kind;
use crate::config::{Meaning, Vocabulary, size};
use crate::policy::Hours;
use crate::presence::Presence;

/// The redacted configuration in `text`. `None` if the text is not TOML: then nothing of it can be shown.
pub(super) fn of(text: &str, redactor: &mut Redactor) -> Option<String> {
    Redaction { vocabulary: Vocabulary::own(), redactor }.of(text)
}

struct Redaction<'a> {
    vocabulary: &'a Vocabulary,
    redactor: &'a mut Redactor,
}

impl Redaction<'_> {
    fn of(&mut self, text: &str) -> Option<String> {
        let table: Table = text.parse().ok()?;
        toml::to_string(&self.table(table, "")).ok()
    }

    /// `parent`: the key that the table is under.
    fn table(&mut self, table: Table, parent: &str) -> Table {
        let is_chosen = self.vocabulary.usage(parent).is_some_and(|usage| usage.has_chosen_keys);
        let mut clean = Table::new();
        for (key, value) in table {
            let shown = if !is_chosen && self.vocabulary.usage(&key).is_some() {
                key.clone()
            } else {
                let kind = if parent == "accounts" { Kind::Account } else { Kind::Name };
                self.redactor.placeholder(kind, &key).trim_matches(['[', ']']).replace(' ', "-")
            };
            // A name that the user chose is not a key of the schema, even if it is spelled like one.
            let key = if is_chosen { "" } else { key.as_str() };
            let value = self.value(value, key);
            clean.insert(shown, value);
        }
        clean
    }

    fn value(&mut self, value: Value, key: &str) -> Value {
        match value {
            Value::Table(table) => Value::Table(self.table(table, key)),
            Value::Array(values) => Value::Array(values.into_iter().map(|value| self.value(value, key)).collect()),
            Value::Boolean(truth) => Value::Boolean(truth),
            Value::String(text) => Value::String(self.text(text, key)),
            Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => Value::String("[number]".to_owned()),
        }
    }

    fn text(&mut self, text: String, key: &str) -> String {
        let usage = self.vocabulary.usage(key);
        let is_harmless = usage.is_some_and(|usage| {
            let presence = || text.parse::<Presence>().map(|presence| presence.to_string());
            usage.words.contains(&text)
                || presence().is_ok_and(|presence| usage.words.contains(&presence))
                || usage.meanings.iter().any(|meaning| match meaning {
                    Meaning::Duration => text.parse::<jiff::Span>().is_ok(),
                    Meaning::Hours => text.parse::<Hours>().is_ok(),
                    Meaning::Size => size(&text).is_some(),
                    Meaning::Address | Meaning::Id | Meaning::Mail | Meaning::Path | Meaning::Tenant => false,
                })
        });
        if is_harmless {
            return text;
        }
        let kind = usage.and_then(|usage| usage.meanings.first()).map_or(Kind::Name, |meaning| match meaning {
            Meaning::Address => Kind::Address,
            Meaning::Id => Kind::Id,
            Meaning::Mail => Kind::Mail,
            Meaning::Path => Kind::Path,
            Meaning::Tenant => Kind::Tenant,
            Meaning::Duration | Meaning::Hours | Meaning::Size => Kind::Name,
        });
        self.redactor.placeholder(kind, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example configuration with every option set to its default.
    fn every_option() -> String {
        let is_option = |line: &&str| {
            line.strip_prefix('#')
                .is_none_or(|rest| rest.starts_with('[') || rest.starts_with(|c: char| c.is_ascii_lowercase()))
        };
        let lines = include_str!("../../../config/presenced.toml").lines().filter(is_option);
        lines.map(|line| line.trim_start_matches('#').to_owned() + "\n").collect()
    }

    #[test]
    fn the_configuration_with_every_option_shows_nothing_private() {
        let shown = of(&every_option(), &mut Redactor::default()).unwrap();
        for private in
            ["contoso", "22553876", "fa8bf3dc", "me@", "~/", "XDG_RUNTIME_DIR", "microsoft", "out of office", "work"]
        {
            // This word is presenced's own.
            assert!(!shown.replace("working-elsewhere", "").contains(private), "{private} in\n{shown}");
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn unknown_words_are_left_out_everywhere() {
        for text in [
            "hunter2 = true",
            "[accounts.hunter2]",
            "[accounts.call]\ntenant = \"hunter2\"",
            "[accounts.a]\nsecret = \"hunter2\"",
            "secret = { keyring = { hunter2 = \"x\" } }",
            "secret = { keyring = { call = \"hunter2\" } }",
            "command = [\"get\", \"hunter2\"]",
            "users = [\"fa8bf3dc-eca7-46b7-bad1-db199b62afc3 hunter2\"]",
            "users = { file = \"hunter2\" }",
            "password = \"hunter2\"",
            "method = \"hunter2\"",
            "expiration = \"hunter2\"",
            "within = \"hunter2\"",
            "rules = [{ name = \"hunter2\", when = { signal = { hunter2 = \"hunter2\" } } }]",
            "rules = [{ when = { call = [\"hunter2\"] } }]",
            "sources = [{ url = \"https://x.example/hunter2\" }, \"hunter2\"]",
            "# hunter2\n",
        ] {
            let shown = of(text, &mut Redactor::default()).unwrap();
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
        }
        assert!(!of("user = 1234567\nlevel = 1234567", &mut Redactor::default()).unwrap().contains("1234567"));
        assert!(of("users = \"signalled\"", &mut Redactor::default()).unwrap().contains("signalled"));
        assert_eq!(of("hunter2", &mut Redactor::default()), None);
    }

    #[test]
    fn a_new_key_of_the_schema_is_classified_without_another_edit() {
        let vocabulary = Vocabulary::of(&serde_json::json!({ "properties": {
            "mood": { "anyOf": [{ "enum": ["glad"] }, { "type": "array", "items": { "enum": ["glad", "sad"] } }] },
            "pause": { "type": "string", "x-meaning": "duration" },
            "picture": { "type": "string", "x-meaning": "path" },
            "motto": { "type": "string" },
            "friends": { "patternProperties": { "^.*$": { "enum": ["glad"] } } },
        }}));
        let text = "mood = [\"sad\", \"hunter2\"]\npause = \"5m\"\npicture = \"hunter2\"\nmotto = \"glad\"\nother = \"glad\"\n\
                    [friends]\nmotto = \"glad\"";
        let mut redactor = Redactor::default();
        let shown = Redaction { vocabulary: &vocabulary, redactor: &mut redactor }.of(text).unwrap();
        assert_eq!(
            shown,
            "mood = [\"sad\", \"[name 3]\"]\nmotto = \"[name 2]\"\nname-4 = \"[name 2]\"\npause = \"5m\"\n\
             picture = \"[path 1]\"\n\n[friends]\nname-1 = \"[name 2]\"\n"
        );
    }

    #[test]
    fn free_text_is_never_shown() {
        for key in Vocabulary::own().keys() {
            for value in ["\"hunter2\"", "[\"hunter2\"]", "{ x = \"hunter2\" }", "\"locked hunter2\"", "\"hunter2 5m\""]
            {
                let shown = of(&format!("{key} = {value}"), &mut Redactor::default()).unwrap();
                assert!(!shown.contains("hunter2"), "{key} = {value}\n{shown}");
            }
        }
    }
}
