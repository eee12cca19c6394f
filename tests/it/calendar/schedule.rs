//! The schedule of a window: agrees with the occurrences at every moment, and changes as files and windows do.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use presenced::calendar::{BusyClass, OccurrenceTime, Schedule, SourceId, Timeline};
use proptest::prelude::*;

use super::{at, event, ics, read, timeline, zone};

const FROM: &str = "2026-03-28T00:00:00Z";
const TO: &str = "2026-03-31T00:00:00Z";

/// A random event near the window: a time or whole days, once or repeating.
fn events() -> impl Strategy<Value = String> {
    let start = (0..4_i64 * 24 * 4).prop_map(|quarters| {
        let start = at("2026-03-27T12:00:00Z") + SignedDuration::from_mins(15 * quarters);
        start.to_zoned_datetime(zone("UTC")).datetime()
    });
    let placed = prop_oneof![
        (start.clone(), 0..40_u32, prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Asia/Tokyo")]).prop_map(
            |(start, quarters, tzid)| format!(
                "DTSTART;TZID={tzid}:{}\nDURATION:PT{}M",
                start.strftime("%Y%m%dT%H%M%S"),
                quarters * 15
            )
        ),
        (start, 1..3_u32).prop_map(|(start, days)| format!(
            "DTSTART;VALUE=DATE:{}\nDURATION:P{days}D\nTRANSP:OPAQUE",
            start.strftime("%Y%m%d")
        )),
    ];
    let rule = prop_oneof![
        3 => Just(String::new()),
        1 => Just("RRULE:FREQ=DAILY;COUNT=2".to_owned()),
        1 => Just("RRULE:FREQ=DAILY;INTERVAL=2".to_owned()),
    ];
    let status = prop_oneof![Just("FREE"), Just("TENTATIVE"), Just("BUSY"), Just("OOF"), Just("WORKINGELSEWHERE")];
    let link = prop_oneof![Just(""), Just("URL:https://zoom.us/j/1")];
    (placed, rule, status, link).prop_map(|(placed, rule, status, link)| {
        format!("BEGIN:VEVENT\n{placed}\n{rule}\nX-MICROSOFT-CDO-BUSYSTATUS:{status}\n{link}\nEND:VEVENT\n")
    })
}

/// What holds at `now`, by looking at every occurrence.
fn by_hand(timeline: &Timeline, system: &str, now: Timestamp) -> (BusyClass, bool) {
    let day = |date: jiff::civil::Date| date.to_zoned_datetime(zone(system)).unwrap().timestamp();
    let holding = timeline.occurrences(at(FROM), at(TO)).filter(|occurrence| {
        let (start, end) = match &occurrence.when {
            OccurrenceTime::Time { start, end } => (start.timestamp(), end.timestamp()),
            OccurrenceTime::Days { start, end } => (day(*start), day(*end)),
        };
        start <= now && now < end && occurrence.class > BusyClass::Free
    });
    let holding: Vec<_> = holding.collect();
    let class = holding.iter().map(|occurrence| occurrence.class).max().unwrap_or(BusyClass::Free);
    (class, holding.iter().any(|occurrence| occurrence.class == class && occurrence.online))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_schedule_agrees_with_the_occurrences(
        events in proptest::collection::vec(events(), 0..8),
        system in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York")],
    ) {
        let mut timeline = Timeline::new(Vec::new(), zone(system), at(FROM), at(TO));
        for (index, event) in events.iter().enumerate() {
            let report = read(&mut timeline, &format!("{index}.ics"), &ics(event));
            prop_assert_eq!(report.skipped, vec![]);
        }
        let schedule = timeline.schedule();
        let mut now = at(FROM);
        let mut until = None;
        let mut before = None;
        while now < at(TO) {
            let state = schedule.at(now).unwrap();
            prop_assert_eq!((state.class, state.online), by_hand(&timeline, system, now), "at {}", now);
            // The state changes exactly when it said it would.
            if let Some(before) = before && before != (state.class, state.online) {
                prop_assert_eq!(until, Some(now));
            }
            prop_assert!(state.until.is_none_or(|until| until > now && until < at(TO)));
            before = Some((state.class, state.online));
            until = state.until;
            now += SignedDuration::from_mins(15);
        }
        prop_assert_eq!(schedule.at(at(TO)), None);
        prop_assert_eq!(schedule.at(at(FROM) - SignedDuration::from_secs(1)), None);
    }

    /// Reading files one by one, changing and removing them leaves nothing behind.
    #[test]
    fn what_is_known_depends_only_on_the_files_there_are(
        first in proptest::collection::vec(events(), 0..4),
        last in proptest::collection::vec(events(), 0..4),
    ) {
        let mut changed = Timeline::new(Vec::new(), zone("UTC"), at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
        for (index, event) in first.iter().enumerate() {
            read(&mut changed, &format!("{index}.ics"), &ics(event));
        }
        changed.set_window(at(FROM), at(TO));
        for (index, event) in last.iter().enumerate() {
            read(&mut changed, &format!("{index}.ics"), &ics(event));
        }
        for index in last.len()..first.len() {
            changed.remove(Path::new(&format!("{index}.ics")));
        }
        let mut fresh = Timeline::new(Vec::new(), zone("UTC"), at(FROM), at(TO));
        for (index, event) in last.iter().enumerate() {
            read(&mut fresh, &format!("{index}.ics"), &ics(event));
        }
        prop_assert_eq!(changed.schedule(), fresh.schedule());
        prop_assert_eq!(changed.events(), fresh.events());
    }
}

#[test]
fn the_strongest_class_counts_and_says_until_when() {
    let mut timeline = timeline("UTC");
    let hours = |status: &str, from: u32, to: u32, link: &str| {
        format!(
            "BEGIN:VEVENT\nDTSTART:20260105T{from:02}0000Z\nDTEND:20260105T{to:02}0000Z\n\
             X-MICROSOFT-CDO-BUSYSTATUS:{status}\n{link}\nEND:VEVENT\n"
        )
    };
    let file = [
        hours("TENTATIVE", 8, 12, "URL:https://zoom.us/j/1"),
        hours("BUSY", 9, 10, ""),
        hours("BUSY", 10, 11, "URL:https://zoom.us/j/1"),
        hours("BUSY", 10, 11, ""),
        hours("FREE", 7, 20, "URL:https://zoom.us/j/1"),
    ]
    .concat();
    read(&mut timeline, "a.ics", &ics(&file));
    let shown: Vec<String> = [7, 8, 9, 10, 11, 12]
        .iter()
        .map(|hour| {
            let state = timeline.at(at(&format!("2026-01-05T{hour:02}:00:00Z"))).unwrap();
            let until = state.until.map_or("-".to_owned(), |until| until.to_string());
            format!("{} {} {until}", state.class, state.online)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "free false 2026-01-05T08:00:00Z",
            "tentative true 2026-01-05T09:00:00Z",
            "busy false 2026-01-05T10:00:00Z",
            "busy true 2026-01-05T11:00:00Z",
            "tentative true 2026-01-05T12:00:00Z",
            "free false -",
        ]
    );
}

#[test]
fn meetings_back_to_back_are_one_busy_time() {
    let mut timeline = timeline("UTC");
    let meeting = |hour: u32| format!("BEGIN:VEVENT\nDTSTART:20260105T{hour:02}0000Z\nDURATION:PT1H\nEND:VEVENT\n");
    read(&mut timeline, "a.ics", &ics(&(9..12).map(meeting).collect::<String>()));
    assert_eq!(timeline.at(at("2026-01-05T09:15:00Z")).unwrap().until, Some(at("2026-01-05T12:00:00Z")));
}

#[test]
fn an_event_from_before_the_window_counts_in_it() {
    let mut timeline = Timeline::new(Vec::new(), zone("UTC"), at(FROM), at(TO));
    let file = event("DTSTART:20200101T000000Z\nDTEND:20300101T000000Z");
    read(&mut timeline, "a.ics", &file);
    let state = timeline.at(at(FROM)).unwrap();
    assert_eq!((state.class, state.until), (BusyClass::Busy, None));
}

#[test]
fn a_window_moves_over_what_was_read_before() {
    let mut timeline = timeline("UTC");
    read(
        &mut timeline,
        "a.ics",
        &event("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY\nSUMMARY:Team\\, weekly"),
    );
    timeline.set_window(at("2031-01-01T00:00:00Z"), at("2031-02-01T00:00:00Z"));
    assert_eq!(timeline.at(at("2026-01-05T09:30:00Z")), None);
    assert_eq!(timeline.at(at("2031-01-06T09:30:00Z")).unwrap().class, BusyClass::Busy);
    let occurrence = timeline.occurrences(at("2031-01-06T00:00:00Z"), at("2031-01-07T00:00:00Z")).next().unwrap();
    assert_eq!((occurrence.uid.as_str(), occurrence.summary.as_str()), ("event", "Team, weekly"));
}

#[test]
fn a_read_that_fails_leaves_what_was_known() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let mut timeline = timeline("UTC");
    read(&mut timeline, "a.ics", &event("DTSTART:20260105T090000Z\nDURATION:PT1H"));
    let half = std::io::Read::chain(&b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n"[..], Broken);
    assert!(timeline.update(SourceId(0), Path::new("a.ics"), half).is_err());
    assert_eq!(timeline.events(), 1);
    assert_eq!(timeline.at(at("2026-01-05T09:30:00Z")).unwrap().class, BusyClass::Busy);
}

#[test]
fn a_timeline_and_its_schedule_may_go_to_another_thread() {
    fn send<T: Send>() {}
    send::<Timeline>();
    send::<Schedule>();
}
