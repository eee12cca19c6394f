//! The configuration as others may read it: presenced's own words stay, and everything that the user chose becomes a placeholder.
//!
//! It lists what is allowed, not what is forbidden. A value stays if it is true or false, one of presenced's own words, a
//! duration or hours, and if its key takes that kind of value. Unknown keys become placeholders too. Comments are removed.

use std::path::Path;

use toml::{Table, Value};

use super::redact::Redactor;
use super::text::Kind;
use crate::policy::Hours;
use crate::presence::Presence;

/// The keys of the schema.
const KEYS: [&str; 57] = [
    "accounts",
    "after",
    "allow",
    "assertion",
    "auth",
    "calendar",
    "call",
    "certificate",
    "client_id",
    "cloud",
    "command",
    "credential",
    "deny",
    "dir",
    "enabled",
    "endpoints",
    "env",
    "expiration",
    "file",
    "graph",
    "history",
    "identity",
    "idle",
    "key",
    "keyring",
    "level",
    "listen",
    "lock",
    "log",
    "login",
    "method",
    "microphone",
    "name",
    "on_exit",
    "online",
    "outside",
    "path",
    "prefer",
    "refresh",
    "rules",
    "secret",
    "session",
    "set",
    "settle",
    "signal",
    "signals",
    "sleep",
    "sources",
    "status",
    "store",
    "tenant",
    "tokens",
    "url",
    "user",
    "verify",
    "when",
    "within",
];

/// The values that have a meaning in the configuration.
const WORDS: [&str; 42] = [
    "active",
    "auto",
    "awake",
    "browser",
    "busy",
    "china",
    "clear",
    "client-certificate",
    "client-secret",
    "conference",
    "debug",
    "device-code",
    "error",
    "federated",
    "file",
    "free",
    "global",
    "idle",
    "in-call",
    "info",
    "keep",
    "keyring",
    "locked",
    "nothing",
    "off",
    "out-of-office",
    "presenting",
    "suspending",
    "tentative",
    "token-command",
    "trace",
    "true",
    "false",
    "unlocked",
    "us-gov",
    "us-gov-dod",
    "warn",
    "working-elsewhere",
    "available",
    "away",
    "do-not-disturb",
    "call",
];

/// The keys whose values are one of these words, or an availability and an activity.
const WORD_KEYS: [&str; 11] =
    ["call", "calendar", "cloud", "idle", "level", "lock", "method", "on_exit", "set", "sleep", "store"];

/// The keys whose values are durations, and those whose values are hours.
const DURATION_KEYS: [&str; 4] = ["after", "expiration", "refresh", "settle"];
const HOURS_KEYS: [&str; 2] = ["outside", "within"];

/// Whether it is a word of the configuration, as a key or as a value.
pub(super) fn is_own_word(word: &str) -> bool {
    KEYS.contains(&word) || WORDS.contains(&word) || word.parse::<Presence>().is_ok()
}

/// The redacted configuration in `text`. `None` if the text is not TOML: then nothing of it can be shown.
pub(super) fn of(text: &str, redactor: &mut Redactor) -> Option<String> {
    let table: Table = text.parse().ok()?;
    toml::to_string(&masked(table, "", redactor)).ok()
}

/// Everything that the user chose in an invalid configuration, if it is at least TOML.
pub(super) fn values(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut waiting = vec![Value::Table(text.parse().unwrap_or_default())];
    let mut chosen = Vec::new();
    while let Some(value) = waiting.pop() {
        match value {
            Value::Table(table) => {
                for (key, value) in table {
                    chosen.push(key);
                    waiting.push(value);
                }
            }
            Value::Array(values) => waiting.extend(values),
            Value::String(text) => chosen.push(text),
            Value::Boolean(_) | Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => {}
        }
    }
    chosen.retain(|text| !is_own_word(text));
    chosen
}

/// `parent`: the key that the table is under.
fn masked(table: Table, parent: &str, redactor: &mut Redactor) -> Table {
    let mut clean = Table::new();
    for (key, value) in table {
        let is_chosen = matches!(parent, "accounts" | "signal" | "keyring");
        let shown = if !is_chosen && KEYS.contains(&key.as_str()) {
            key.clone()
        } else {
            let kind = if parent == "accounts" { Kind::Account } else { Kind::Name };
            redactor.placeholder(kind, &key).trim_matches(['[', ']']).replace(' ', "-")
        };
        // A name that the user chose is not a key of the schema, even if it is spelled like one.
        let key = if is_chosen { "" } else { key.as_str() };
        let value = masked_value(value, key, redactor);
        clean.insert(shown, value);
    }
    clean
}

fn masked_value(value: Value, key: &str, redactor: &mut Redactor) -> Value {
    match value {
        Value::Table(table) => Value::Table(masked(table, key, redactor)),
        Value::Array(values) => {
            Value::Array(values.into_iter().map(|value| masked_value(value, key, redactor)).collect())
        }
        Value::Boolean(truth) => Value::Boolean(truth),
        Value::String(text) if is_harmless(key, &text) => Value::String(text),
        Value::String(text) => Value::String(redactor.placeholder(kind(key), &text)),
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => Value::String("[number]".to_owned()),
    }
}

fn is_harmless(key: &str, text: &str) -> bool {
    let is_word = || WORDS.contains(&text) || text.parse::<Presence>().is_ok();
    (WORD_KEYS.contains(&key) && is_word())
        || (DURATION_KEYS.contains(&key) && text.parse::<jiff::Span>().is_ok())
        || (HOURS_KEYS.contains(&key) && text.parse::<Hours>().is_ok())
}

fn kind(key: &str) -> Kind {
    match key {
        "tenant" => Kind::Tenant,
        "client_id" | "user" => Kind::Id,
        "path" | "dir" | "file" | "certificate" => Kind::Path,
        "url" | "graph" | "login" => Kind::Address,
        "identity" => Kind::Mail,
        _ => Kind::Name,
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
            assert!(!shown.contains(private), "{private} in\n{shown}");
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
        assert_eq!(of("hunter2", &mut Redactor::default()), None);
    }
}
