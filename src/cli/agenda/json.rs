//! The agenda for programs: one object on one line.
//!
//! ```json
//! {"occurrences": [{"uid": "8c1f", "start": "2026-11-24T09:00:00+01:00", "end": "2026-11-24T10:00:00+01:00",
//!                   "all_day": false, "class": "busy", "online": true, "summary": "Planning"}],
//!  "presence": [{"from": "2026-11-24T09:00:00+01:00", "to": "2026-11-24T10:00:00+01:00",
//!                "presence": "Busy/InAConferenceCall", "rule": "meeting", "because": "calendar is busy"}],
//!  "skipped": [{"file": "/home/me/work.ics", "line": 12, "reason": "the event has no start"}]}
//! ```
//!
//! Times are RFC 3339 with the offset of the zone the event was written in; floating ones, and those of `presence`, with that
//! of `--timezone` (`+00:00` if an offset is not a whole number of minutes). Whole days are dates, with `end` as the day after
//! the last.
//! `occurrences` are those that overlap the window, sorted by their start and not cut; `presence` covers the window without a
//! gap. `class` is `free`, `working-elsewhere`, `tentative`, `busy` or `out-of-office`; `presence` is a pair or `nothing`;
//! `rule` is null if none matches; `uid` and `summary` are empty if the event has none. `skipped` begins with the files
//! that are not whole or cannot be read. `line` counts from 1, and is null if there is none: the file cannot be read, or the
//! name of a time zone is unknown.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;

use super::{Agenda, Claimed, Skipped};
use crate::calendar::{self, OccurrenceTime};

#[derive(Serialize)]
struct JsonAgenda<'a> {
    occurrences: Vec<JsonOccurrence<'a>>,
    presence: Vec<JsonSpan<'a>>,
    skipped: Vec<JsonSkipped<'a>>,
}

#[derive(Serialize)]
struct JsonOccurrence<'a> {
    uid: &'a str,
    start: String,
    end: String,
    all_day: bool,
    class: &'static str,
    online: bool,
    summary: &'a str,
}

#[derive(Serialize)]
struct JsonSpan<'a> {
    from: String,
    to: String,
    presence: String,
    rule: Option<&'a str>,
    because: &'a str,
}

#[derive(Serialize)]
struct JsonSkipped<'a> {
    file: String,
    line: Option<u32>,
    reason: &'a str,
}

/// The agenda as JSON, with a line break.
pub(super) fn render(agenda: &Agenda) -> String {
    let agenda_json = JsonAgenda {
        occurrences: agenda.occurrences.iter().map(occurrence).collect(),
        presence: agenda.presence.iter().map(|claimed| presence(claimed, &agenda.zone)).collect(),
        skipped: agenda.unread.iter().chain(&agenda.skipped).map(skipped).collect(),
    };
    let json = serde_json::to_string(&agenda_json).expect("the keys are strings");
    escape_controls(json) + "\n"
}

fn occurrence(occurrence: &calendar::Occurrence) -> JsonOccurrence<'_> {
    let (start, end, all_day) = match &occurrence.when {
        OccurrenceTime::Time { start, end } => {
            let text = |at: &jiff::ZonedDateTime| rfc3339(at.timestamp(), at.time_zone());
            (text(start), text(end), false)
        }
        OccurrenceTime::Days { start, end } => (start.to_string(), end.to_string(), true),
    };
    JsonOccurrence {
        uid: &occurrence.uid,
        start,
        end,
        all_day,
        class: occurrence.class.as_str(),
        online: occurrence.online,
        summary: &occurrence.summary,
    }
}

fn presence<'a>(claimed: &'a Claimed, zone: &TimeZone) -> JsonSpan<'a> {
    JsonSpan {
        from: rfc3339(claimed.from, zone),
        to: rfc3339(claimed.to, zone),
        presence: claimed.presence.map_or_else(|| "nothing".to_owned(), |presence| presence.to_string()),
        rule: claimed.rule.as_deref(),
        because: &claimed.because,
    }
}

fn skipped(skipped: &Skipped) -> JsonSkipped<'_> {
    JsonSkipped { file: skipped.file.to_string_lossy().into_owned(), line: skipped.line, reason: &skipped.reason }
}

/// The instant with the zone's offset. In RFC 3339 an offset has no seconds, but in local mean time it does.
fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(at);
    let offset = if offset.seconds() % 60 == 0 { offset } else { Offset::UTC };
    at.display_with_offset(offset).to_string()
}

/// Escapes the control characters that JSON allows in strings (U+007F to U+009F), so that they do not reach a terminal.
fn escape_controls(json: String) -> String {
    if !json.contains(char::is_control) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_control() {
            // Writing to a string does not fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(char));
        } else {
            escaped.push(char);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_local_mean_time_are_not_rounded() {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        let text = |at: &str| rfc3339(at.parse().unwrap(), &zone);
        assert_eq!(text("2026-11-24T08:00:00Z"), "2026-11-24T09:00:00+01:00");
        assert_eq!(text("1850-01-01T00:00:00Z"), "1850-01-01T00:00:00+00:00");
    }

    #[test]
    fn control_characters_are_escaped_and_read_back() {
        let text = "a\u{7f}b\u{9b}31mc\u{1b}é";
        let json = escape_controls(serde_json::to_string(text).unwrap());
        assert_eq!(json, "\"a\\u007fb\\u009b31mc\\u001bé\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
