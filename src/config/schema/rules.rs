//! `[[rules]]`: conditions, and what to claim.

use serde_json::{Value, json};

use super::value::{
    Meaning, SOMETHING, boolean, duration, list, named, one_or_more, part, table, text, with_meaning, words,
};
use crate::calendar::BusyClass;
use crate::policy::{CallState, Idle, Lock, Sleep};
use crate::presence::Presence;

pub(super) fn rules() -> Value {
    let mut rule = table(
        "A rule.",
        &["name", "set"],
        json!({
            "name": text("Its name in `presenced status`; each rule has its own.", SOMETHING),
            "when": when(),
            "set": claim(),
            "expiration": duration("The session's expiration while this rule decides; left out, that of `[session]`.", None),
            "prefer": boolean(
                "Whether the matching preferred presence is also set. It replaces a status chosen by hand in Teams.",
                Some(false),
            ),
        }),
    );
    rule["if"] = part(&["set"], &json!({ "set": { "const": "nothing" } }));
    rule["then"] = part(&[], &json!({ "prefer": { "const": false } }));
    list("From the top, the first rule whose conditions all hold decides. Left out: the default rules.", &rule)
}

fn claim() -> Value {
    let pairs = Presence::ALL.map(|presence| presence.to_string());
    let claims: Vec<&str> = pairs.iter().map(String::as_str).chain(["nothing"]).collect();
    words("What to claim: one of the five presences that Graph accepts, or `nothing`.", &claims, None)
}

fn when() -> Value {
    let hours = with_meaning(json!({ "type": "string", "pattern": SOMETHING }), Meaning::Hours);
    let online = "Whether the event that makes you busy is an online meeting.";
    table(
        "The conditions: all of them must hold. Of several values, one is enough. Left out, the rule always holds.",
        &[],
        json!({
            "account": one_or_more("The account whose presence is decided.", &json!({ "type": "string", "pattern": SOMETHING })),
            "call": states("What the call is.", CallState::ALL.iter().map(|state| state.as_str())),
            "sleep": states("Whether the machine goes to sleep.", Sleep::ALL.iter().map(|state| state.as_str())),
            "lock": states("The screen lock.", Lock::ALL.iter().map(|state| state.as_str())),
            "idle": states("Whether there was input.", Idle::ALL.iter().map(|state| state.as_str())),
            "calendar": states("What the calendar says.", BusyClass::ALL.iter().map(|class| class.as_str())),
            "online": boolean(online, None),
            "within": one_or_more(
                "Hours of the week, on this machine's clock or followed by a zone: `Mon..Fri 08:30-18:00 Europe/Berlin`.",
                &hours,
            ),
            "outside": one_or_more("The same, but the rule holds outside of these hours.", &hours),
            "signal": named(
                "What `presenced signal NAME VALUE` set: `{ NAME = \"value\" }`.",
                &one_or_more("The value, or several.", &json!({ "type": "string", "pattern": SOMETHING })),
            ),
        }),
    )
}

/// The words of a signal, and `off` for a signal that is not configured.
fn states(description: &str, words: impl Iterator<Item = &'static str>) -> Value {
    let words: Vec<&str> = words.chain(["off"]).collect();
    one_or_more(description, &json!({ "enum": words }))
}
