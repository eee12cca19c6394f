//! The configuration as others may read it: its own words stay, and everything that somebody chose has a placeholder.
//!
//! By what is allowed and not by what is forbidden: a value stays where it is true or false, a word of presenced's own, a length
//! of time or hours, under a key that takes such; keys that presenced does not know are left out as well. Comments go.

use std::path::Path;

use toml::{Table, Value};

use super::public::Public;
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

/// The words that it gives a meaning.
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

/// The keys whose values are such words, or pairs.
const WORDED: [&str; 11] =
    ["call", "calendar", "cloud", "idle", "level", "lock", "method", "on_exit", "set", "sleep", "store"];

/// The keys whose values are lengths of time, and those whose values are hours.
const TIMED: [&str; 4] = ["after", "expiration", "refresh", "settle"];
const HOURS: [&str; 2] = ["outside", "within"];

/// Whether it is a word of the configuration, as a key or as a value.
pub(super) fn is_own_word(word: &str) -> bool {
    KEYS.contains(&word) || WORDS.contains(&word) || word.parse::<Presence>().is_ok()
}

/// The configuration in `text`; `None`: it is no TOML, and nothing of it can be shown.
pub(super) fn of(text: &str, public: &mut Public) -> Option<String> {
    let table: Table = text.parse().ok()?;
    toml::to_string(&masked(table, "", public)).ok()
}

/// All that somebody chose in a configuration that is wrong, as far as it is TOML at all.
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
fn masked(table: Table, parent: &str, public: &mut Public) -> Table {
    let mut clean = Table::new();
    for (key, value) in table {
        let is_chosen = matches!(parent, "accounts" | "signal" | "keyring");
        let shown = if !is_chosen && KEYS.contains(&key.as_str()) {
            key.clone()
        } else {
            let kind = if parent == "accounts" { Kind::Account } else { Kind::Name };
            public.placeholder(kind, &key).trim_matches(['[', ']']).replace(' ', "-")
        };
        // What somebody chose is no key of the schema, whatever it is called.
        let key = if is_chosen { "" } else { key.as_str() };
        let value = masked_value(value, key, public);
        clean.insert(shown, value);
    }
    clean
}

fn masked_value(value: Value, key: &str, public: &mut Public) -> Value {
    match value {
        Value::Table(table) => Value::Table(masked(table, key, public)),
        Value::Array(values) => {
            Value::Array(values.into_iter().map(|value| masked_value(value, key, public)).collect())
        }
        Value::Boolean(truth) => Value::Boolean(truth),
        Value::String(text) if is_harmless(key, &text) => Value::String(text),
        Value::String(text) => Value::String(public.placeholder(kind(key), &text)),
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => Value::String("[number]".to_owned()),
    }
}

fn is_harmless(key: &str, text: &str) -> bool {
    let is_word = || WORDS.contains(&text) || text.parse::<Presence>().is_ok();
    (WORDED.contains(&key) && is_word())
        || (TIMED.contains(&key) && text.parse::<jiff::Span>().is_ok())
        || (HOURS.contains(&key) && text.parse::<Hours>().is_ok())
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

    /// Every option with its default taken for one that is set.
    fn every_option() -> String {
        let is_option = |line: &&str| {
            line.strip_prefix('#')
                .is_none_or(|rest| rest.starts_with('[') || rest.starts_with(|c: char| c.is_ascii_lowercase()))
        };
        let lines = include_str!("../../../config/presenced.toml").lines().filter(is_option);
        lines.map(|line| line.trim_start_matches('#').to_owned() + "\n").collect()
    }

    #[test]
    fn the_configuration_with_every_option_says_nothing_of_whom_it_is() {
        let shown = of(&every_option(), &mut Public::default()).unwrap();
        for private in
            ["contoso", "22553876", "fa8bf3dc", "me@", "~/", "XDG_RUNTIME_DIR", "microsoft", "out of office", "work"]
        {
            assert!(!shown.contains(private), "{private} in\n{shown}");
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn what_nobody_knows_is_left_out_wherever_it_stands() {
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
            let shown = of(text, &mut Public::default()).unwrap();
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
        }
        assert!(!of("user = 1234567\nlevel = 1234567", &mut Public::default()).unwrap().contains("1234567"));
        assert_eq!(of("hunter2", &mut Public::default()), None);
    }
}
