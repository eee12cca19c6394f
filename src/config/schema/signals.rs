//! `[signals.…]`: a table for each signal.

use serde_json::{Value, json};

use super::value::{Meaning, SOMETHING, boolean, duration, list, part, path, table, text, texts, with_meaning};

pub(super) fn signals() -> Value {
    table(
        "What presenced watches. A signal without a table is off.",
        &[],
        json!({
            "calendar": calendar(),
            "lock": signal("The screen lock, and the machine going to sleep.", json!({})),
            "call": signal("Calls, as files report them.", json!({
                "path": path(
                    "The file that says `idle`, `in-call`, `conference` or `presenting`, or a folder of them; with `{user}`, one for each user.",
                    Some("$XDG_RUNTIME_DIR/presenced/call-state"),
                ),
                "stale_after": duration(
                    "A file that was not written for so long, or is missing, makes the call unknown: 5 seconds to 24 hours; left out, never.",
                    None,
                ),
            })),
            "microphone": signal("Calls without a script: whoever records is in a call.", json!({
                "allow": texts(
                    "The only applications that count, by the names of `pactl list source-outputs`; left out, all do.",
                    SOMETHING,
                ),
                "deny": texts("Applications that never count.", SOMETHING),
                "settle": duration(
                    "How long a recording must last before it counts as a call, and be over before it no longer does: up to a minute.",
                    Some("2s"),
                ),
            })),
            "idle": signal("Input: idle after some time without any.", json!({
                "after": duration("How long without input is idle: 1 minute to 24 hours.", Some("10m")),
            })),
        }),
    )
}

/// A signal's table, which can turn the signal off.
fn signal(description: &str, mut keys: Value) -> Value {
    keys["enabled"] = boolean("`false` turns the signal off and leaves its table in place.", Some(true));
    table(description, &[], keys)
}

fn calendar() -> Value {
    let mut calendar = signal(
        "Calendars.",
        json!({
            "sources": list("Where calendars are: files, folders and addresses.", &source()),
            "identity": list(
                "Your own e-mail addresses: what you declined does not make you busy.",
                &with_meaning(json!({ "type": "string", "pattern": "@" }), Meaning::Mail),
            ),
        }),
    );
    calendar["if"] = part(&["enabled"], &json!({ "enabled": { "const": false } }));
    calendar["else"] = part(&["sources"], &json!({}));
    calendar
}

fn source() -> Value {
    let mut source = table(
        "A source: a `path` or a `url`.",
        &[],
        json!({
            "path": path("A calendar file, or a folder that is searched for `*.ics`; `…/{user}` or `…/{account}`: one for each.", None),
            "url": with_meaning(
                text(
                    "The address at which a calendar is published. It is a secret: reports and logs show only its host.",
                    "^(https?|webcals?)://",
                ),
                Meaning::Address,
            ),
            "refresh": duration("How often a `url` is fetched: every 1 minute to 24 hours.", Some("15m")),
            "optional": boolean("`true`: whatever is wrong with this source, the calendar is known without it.", Some(false)),
        }),
    );
    source["oneOf"] =
        json!(
            [part(&["path"], &json!({ "url": false, "refresh": false })), part(&["url"], &json!({ "path": false })),]
        );
    source
}
