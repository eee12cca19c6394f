//! Snapshots of the view without styles, and a test that no title, however odd, breaks its bounds.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::calendar::{SourceId, Timeline};
use crate::cli::agenda::Skipped;
use crate::cli::agenda::forecast::{at_the_desk, forecast};
use crate::config::Signals;
use crate::policy::{Reading, default_rules};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The agenda of events in Berlin, each with its title and other properties.
fn agenda(events: &[(&str, &str)], from: &str, to: &str) -> Agenda {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let window = (at(from), at(to));
    let mut file = "BEGIN:VCALENDAR\n".to_owned();
    for (number, (title, properties)) in events.iter().enumerate() {
        let event = format!("BEGIN:VEVENT\nUID:{number}\n{properties}\nSUMMARY:{title}\nEND:VEVENT\n");
        file.push_str(&event);
    }
    file.push_str("END:VCALENDAR\n");
    let mut timeline = Timeline::new(Vec::new(), zone.clone(), window.0, window.1);
    timeline.update(SourceId(0), Path::new("a.ics"), file.as_bytes()).unwrap();
    let snapshot = at_the_desk(None, &Signals::default(), Reading::Known(Arc::new(timeline.schedule())));
    Agenda {
        presence: forecast(&default_rules(), &snapshot, window, &zone),
        zone,
        window,
        occurrences: timeline.occurrences(window.0, window.1).collect(),
        skipped: Vec::new(),
        unread: Vec::new(),
        is_unknown: false,
    }
}

/// A working day.
fn day() -> Agenda {
    let events = [
        ("Trade fair", "DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261126"),
        ("Night shift", "DTSTART:20261123T210000\nDTEND:20261124T010000\nX-MICROSOFT-CDO-BUSYSTATUS:WORKINGELSEWHERE"),
        ("Stand-up", "DTSTART:20261124T090000\nDTEND:20261124T091500\nCONFERENCE:https://meet.google.com/abc"),
        ("Planning", "DTSTART:20261124T100000\nDTEND:20261124T113000"),
        ("Interview", "DTSTART:20261124T110000\nDTEND:20261124T120000\nSTATUS:TENTATIVE"),
        ("", "DTSTART:20261124T130000"),
        ("Dentist", "DTSTART:20261124T160000\nDTEND:20261124T170000\nX-MICROSOFT-CDO-BUSYSTATUS:OOF"),
        (
            "A very long title of a very long evening that no terminal of eighty columns has the room for",
            "DTSTART:20261124T220000\nDTEND:20261125T000000",
        ),
    ];
    agenda(&events, "2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z")
}

fn skipped(file: &str, line: Option<u32>, reason: &str) -> Skipped {
    Skipped { file: file.into(), line, reason: reason.to_owned() }
}

/// The view without styles.
fn plain(agenda: &Agenda, now: &str, width: usize) -> String {
    anstream::adapter::strip_str(&render(agenda, at(now), width)).to_string()
}

#[test]
fn a_working_day() {
    let mut agenda = day();
    let cut = "the calendar cannot be used: it is not complete: it ends before its END:VCALENDAR";
    agenda.unread = vec![skipped("/home/me/calendars/new.ics", Some(7), cut)];
    agenda.skipped = vec![skipped(
        "/home/me/work.ics",
        Some(1207),
        "the event ends before it begins, which no event of any calendar may",
    )];
    insta::assert_snapshot!(plain(&agenda, "2026-11-24T09:14:00Z", 80));
}

#[test]
fn what_makes_the_calendar_unknown_comes_first() {
    let mut agenda = agenda(&[], "2026-11-24T08:00:00Z", "2026-11-24T16:30:00Z");
    let snapshot = at_the_desk(None, &Signals::default(), Reading::Unknown);
    agenda.presence = forecast(&default_rules(), &snapshot, agenda.window, &agenda.zone);
    agenda.unread = vec![skipped("/home/me/gone.ics", None, "the calendar does not exist")];
    agenda.is_unknown = true;
    insta::assert_snapshot!(plain(&agenda, "2026-11-24T09:14:00Z", 80));
}

#[test]
fn a_narrow_terminal() {
    insta::assert_snapshot!(plain(&day(), "2026-11-24T21:14:00Z", 40));
}

#[test]
fn some_hours_without_events() {
    insta::assert_snapshot!(plain(
        &agenda(&[], "2026-11-24T08:00:00Z", "2026-11-24T16:30:00Z"),
        "2026-11-25T09:00:00Z",
        80
    ));
}

#[test]
fn several_days_with_a_clock_change() {
    let events = [(
        "Watch",
        "DTSTART;TZID=Europe/Berlin:20260328T220000\nDTEND;TZID=Europe/Berlin:20260329T040000\nRRULE:FREQ=DAILY",
    )];
    let agenda = agenda(&events, "2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z");
    insta::assert_snapshot!(plain(&agenda, "2026-03-30T10:00:00Z", 80));
}

#[test]
fn a_long_window_has_no_bars() {
    let text = plain(&agenda(&[], "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"), "2026-03-30T10:00:00Z", 80);
    assert!(
        text.starts_with("Thu 1 Jan 2026 01:00 to Fri 1 Jan 2027 01:00, Europe/Berlin\n\nThe calendar has no"),
        "{text}"
    );
}

#[test]
fn only_the_first_of_many_skipped_parts_are_shown() {
    let mut agenda = agenda(&[], "2026-11-24T00:00:00Z", "2026-11-24T12:00:00Z");
    agenda.skipped = (1..=25).map(|line| skipped("/a.ics", Some(line), "no")).collect();
    let text = plain(&agenda, "2026-03-30T10:00:00Z", 80);
    assert!(text.ends_with("  /a.ics:20: no\n  and 5 more; `presenced agenda --json` lists them all\n"), "{text}");
}

#[test]
fn bars_are_coloured_by_presence() {
    let styled = render(&day(), at("2026-11-24T09:14:00Z"), 80);
    for (colour, glyph) in [("\u{1b}[31m", '█'), ("\u{1b}[32m", '░'), ("\u{1b}[33m", '▒')] {
        assert!(styled.contains(&format!("{colour}{glyph}{glyph}")), "{styled}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_out_of_the_screen(
        text in "\\PC{0,120}",
        control in "[\\x00-\\x1f\\x7f\\x9b]{0,3}",
        width in 40_usize..120,
        minute in 0_i64..3000,
    ) {
        let odd = format!("{text}{control}{text}");
        let mut agenda = day();
        agenda.occurrences[2].summary.clone_from(&odd);
        agenda.presence[0].because.clone_from(&odd);
        agenda.presence[0].rule = Some(odd.clone());
        agenda.skipped = vec![skipped(&odd, Some(u32::MAX), &odd)];
        let now = agenda.window.0 + SignedDuration::from_mins(minute - 720);
        let view = anstream::adapter::strip_str(&render(&agenda, now, width)).to_string();
        for line in view.lines() {
            prop_assert!(columns(line) <= width, "{line:?} is {} columns wide", columns(line));
            prop_assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}
