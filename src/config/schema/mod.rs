//! The configuration's JSON Schema, for editors that complete and check it while somebody writes it.
//!
//! The reader (`read`) does not use it: the reader points at each problem and says how to fix it, and it knows more than a
//! schema can, for example which durations are too long. The schema is stricter only in spelling, for simple messages in
//! editors: the reader accepts some words in any case. One test compares the two, key by key and word by word, and another
//! compares the sentences with `docs/configuration.md`. There is no `$ref`, so that tools for older drafts understand it too.

use serde_json::{Value, json};

mod account;
mod rules;
mod signals;
mod value;
mod vocabulary;

use value::{MEANING, boolean, duration, path, size, table, text, words};

pub(crate) use value::Meaning;
pub(crate) use vocabulary::Vocabulary;

/// The JSON Schema (draft 2020-12) of the configuration.
pub fn schema() -> Value {
    let mut schema = annotated();
    remove_meanings(&mut schema);
    schema
}

fn remove_meanings(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            parts.remove(MEANING);
            parts.values_mut().for_each(remove_meanings);
        }
        Value::Array(parts) => parts.iter_mut().for_each(remove_meanings),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema, with what its texts are.
fn annotated() -> Value {
    let mut root = table(
        "The configuration of presenced.",
        &["accounts"],
        json!({
            "accounts": account::accounts(),
            "tokens": table("Where sign-ins are kept, for all accounts.", &[], json!({
                "store": words(
                    "Where a person's sign-in is kept; `auto` is the keyring where `presenced login` finds one, else the file.",
                    &["auto", "keyring", "file"],
                    Some("auto"),
                ),
            })),
            "session": table("Settings for every session in Microsoft Graph.", &[], json!({
                "expiration": duration(
                    "How long Graph keeps the presence when presenced stops sending: 5 minutes to 4 hours.",
                    Some("15m"),
                ),
                "on_exit": words(
                    "What happens to the presence when presenced stops: `clear` it, or `keep` it until it expires.",
                    &["clear", "keep"],
                    Some("clear"),
                ),
                "verify": boolean("Whether what others see is read back, for `presenced status` to show.", Some(false)),
            })),
            "signals": signals::signals(),
            "rules": rules::rules(),
            "status": table("Who else may ask, besides clients of the status socket.", &[], json!({
                "listen": text(
                    "An IP address of this machine with a port, for Prometheus and health probes; there is no password.",
                    r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$",
                ),
            })),
            "log": table("Where logs go, and how much is logged.", &[], json!({
                "level": level(),
                "dir": path("The folder of log files; left out, logs go to the journal or standard error.", None),
            })),
            "history": table("What `presenced history` shows.", &[], json!({
                "enabled": boolean("Whether it is kept in the state folder.", Some(true)),
                "keep": duration("For how long it is kept: 1 hour to 365 days.", Some("2d")),
                "max_size": size(
                    "How large its file may become: 100 kB to 1 GB; left out, 1 MB, or 64 MB if an account has `users`.",
                ),
            })),
        }),
    );
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "presenced".into();
    root
}

fn level() -> Value {
    json!({
        "description": "What is logged: a level, or a filter like `presenced=debug,warn`.",
        "default": "info",
        "anyOf": [
            { "enum": ["off", "error", "warn", "info", "debug", "trace"] },
            // A filter contains more than letters and digits.
            { "type": "string", "pattern": r"[^A-Za-z0-9\s]" },
        ],
    })
}
