//! Instances that replace those of a series, and versions of the same (RFC 5545, 3.8.4.4; RFC 5546, 2.1.4 and 2.1.5).

use std::path::Path;

use presenced::calendar::SourceId;

use super::{agenda_of, at, event, ics, read, show, timeline};

/// A weekly hour in Berlin from Monday, 2026-01-05, at 09:00, four times.
const MASTER: &str = "
    BEGIN:VEVENT
    UID:series
    DTSTAMP:20260101T000000Z
    DTSTART;TZID=Europe/Berlin:20260105T090000
    DTEND;TZID=Europe/Berlin:20260105T100000
    RRULE:FREQ=WEEKLY;COUNT=4
    END:VEVENT";

fn with(properties: &str) -> String {
    format!("BEGIN:VEVENT\nUID:series\nDTSTAMP:20260101T000000Z\n{properties}\nEND:VEVENT\n")
}

fn agenda(files: &[&str]) -> Vec<String> {
    agenda_of("UTC", files, "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z")
}

fn hours(dates: &[&str]) -> Vec<String> {
    dates.iter().map(|date| format!("{date}T09:00:00+01:00/{date}T10:00:00+01:00 busy")).collect()
}

#[test]
fn an_instance_moves_to_another_day_and_zone() {
    for which in [
        "RECURRENCE-ID;TZID=Europe/Berlin:20260112T090000",
        "RECURRENCE-ID:20260112T080000Z",
        "RECURRENCE-ID;TZID=America/New_York:20260112T030000",
        "RECURRENCE-ID:20260112T090000",
        "RECURRENCE-ID;VALUE=DATE:20260112",
    ] {
        let moved = with(&format!("{which}\nDTSTART;TZID=America/New_York:20260114T090000\nDURATION:PT30M"));
        let mut expected = hours(&["2026-01-05", "2026-01-19", "2026-01-26"]);
        expected.insert(1, "2026-01-14T09:00:00-05:00/2026-01-14T09:30:00-05:00 busy".to_owned());
        assert_eq!(agenda(&[&ics(&format!("{MASTER}\n{moved}"))]), expected, "{which}");
        assert_eq!(agenda(&[&ics(&format!("{moved}\n{MASTER}"))]), expected, "{which}, and the master below");
    }
}

#[test]
fn a_cancelled_instance_is_gone() {
    let cancelled =
        with("RECURRENCE-ID:20260112T080000Z\nDTSTART;TZID=Europe/Berlin:20260112T090000\nSTATUS:CANCELLED");
    assert_eq!(agenda(&[&ics(&format!("{MASTER}\n{cancelled}"))]), hours(&["2026-01-05", "2026-01-19", "2026-01-26"]));
}

#[test]
fn master_and_instance_may_be_in_different_files_in_any_order() {
    let moved = ics(&with("RECURRENCE-ID:20260112T080000Z\nDTSTART:20260113T080000Z\nDTEND:20260113T090000Z"));
    let mut expected = hours(&["2026-01-05", "2026-01-19", "2026-01-26"]);
    expected.insert(1, "2026-01-13T08:00:00+00:00/2026-01-13T09:00:00+00:00 busy".to_owned());
    assert_eq!(agenda(&[&ics(MASTER), &moved]), expected);
    assert_eq!(agenda(&[&moved, &ics(MASTER)]), expected);

    let mut timeline = timeline("UTC");
    read(&mut timeline, "master.ics", &ics(MASTER));
    read(&mut timeline, "moved.ics", &moved);
    timeline.remove(Path::new("moved.ics"));
    let shown: Vec<_> = timeline.occurrences(at("2026-01-01T00:00:00Z"), at("2026-07-01T00:00:00Z")).collect();
    assert_eq!(
        shown.iter().map(show).collect::<Vec<_>>(),
        hours(&["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"])
    );
    assert_eq!(timeline.at(at("2026-01-12T08:30:00Z")).unwrap().to_string(), "busy");
}

#[test]
fn an_exception_takes_out_the_instance_that_was_moved_too() {
    // 3.8.5.1: what is excepted is not in the set, so nothing identifies an instance of it.
    let moved = with("RECURRENCE-ID:20260112T080000Z\nDTSTART:20260113T080000Z\nDTEND:20260113T090000Z");
    for exception in ["TZID=Europe/Berlin:20260112T090000", "X=1:20260112T080000Z", "VALUE=DATE:20260112"] {
        let master = MASTER.replace("DTSTAMP", &format!("EXDATE;{exception}\nDTSTAMP"));
        assert_eq!(agenda(&[&ics(&format!("{master}\n{moved}"))]), hours(&["2026-01-05", "2026-01-19", "2026-01-26"]));
    }
    let gap = ics("BEGIN:VEVENT\nUID:1\nDTSTART:20260328T020000\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260329T020000\n\
         END:VEVENT\nBEGIN:VEVENT\nUID:1\nRECURRENCE-ID:20260329T020000\nDTSTART:20260329T010000\nEND:VEVENT");
    let shown = agenda_of("Europe/Berlin", &[&gap], "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z");
    assert_eq!(shown, ["2026-03-28T02:00:00+01:00/2026-03-28T02:00:00+01:00 busy"]);
}

#[test]
fn an_instance_without_its_series_counts_alone() {
    let orphan = with("RECURRENCE-ID:20260112T080000Z\nDTSTART:20260113T080000Z\nDTEND:20260113T090000Z");
    let expected = ["2026-01-13T08:00:00+00:00/2026-01-13T09:00:00+00:00 busy"];
    assert_eq!(agenda(&[&ics(&orphan)]), expected);
    let of_no_instance = with("RECURRENCE-ID:20260401T080000Z\nDTSTART:20260402T080000Z\nDTEND:20260402T090000Z");
    assert_eq!(agenda(&[&ics(&format!("{MASTER}\n{of_no_instance}"))]).len(), 5);
}

#[test]
fn of_two_versions_of_an_instance_the_newer_counts() {
    let version = |sequence: u32, stamp: &str, hour: u32| {
        format!(
            "BEGIN:VEVENT\nUID:series\nDTSTAMP:{stamp}\nSEQUENCE:{sequence}\nRECURRENCE-ID:20260112T080000Z\n\
             DTSTART:20260113T{hour:02}0000Z\nDURATION:PT1H\nEND:VEVENT\n"
        )
    };
    for (one, other, hour) in [
        (version(2, "20260101T000000Z", 11), version(1, "20260102T000000Z", 12), 11),
        (version(1, "20260101T000000Z", 11), version(1, "20260102T000000Z", 12), 12),
        (version(0, "20260101T000000Z", 11), version(3, "20250101T000000Z", 12), 12),
    ] {
        for components in [format!("{MASTER}\n{one}{other}"), format!("{other}{one}{MASTER}")] {
            let shown = agenda(&[&ics(&components)]);
            assert_eq!(shown.len(), 4);
            assert_eq!(shown[1], format!("2026-01-13T{hour}:00:00+00:00/2026-01-13T{}:00:00+00:00 busy", hour + 1));
        }
    }
}

#[test]
fn of_two_versions_of_a_series_the_newer_counts() {
    let older = ics(MASTER);
    let newer = ics(&MASTER.replace("DTSTAMP", "SEQUENCE:1\nDTSTAMP").replace("COUNT=4", "COUNT=1"));
    assert_eq!(agenda(&[&older, &newer]), hours(&["2026-01-05"]));
    assert_eq!(agenda(&[&newer, &older]), hours(&["2026-01-05"]));
}

#[test]
fn a_cancelled_series_takes_its_older_instances_with_it() {
    let moved = with("RECURRENCE-ID:20260112T080000Z\nDTSTART:20260113T080000Z\nDTEND:20260113T090000Z");
    let cancelled = MASTER.replace("DTSTAMP", "SEQUENCE:1\nSTATUS:CANCELLED\nDTSTAMP");
    assert_eq!(agenda(&[&ics(&format!("{MASTER}\n{moved}")), &ics(&cancelled)]), [""; 0]);
}

#[test]
fn this_and_future_shifts_and_lengthens_the_rest() {
    // 3.2.13. From the second on: an hour later, on Tuesday, and half an hour longer.
    let changed = with(
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260112T090000\n\
         DTSTART;TZID=Europe/Berlin:20260113T100000\nDTEND;TZID=Europe/Berlin:20260113T113000",
    );
    let mut expected = hours(&["2026-01-05"]);
    for date in ["2026-01-13", "2026-01-20", "2026-01-27"] {
        expected.push(format!("{date}T10:00:00+01:00/{date}T11:30:00+01:00 busy"));
    }
    assert_eq!(agenda(&[&ics(&format!("{MASTER}\n{changed}"))]), expected);
}

#[test]
fn single_instances_and_later_changes_go_before_this_and_future() {
    let changes = [
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260112T080000Z\nDTSTART:20260112T100000Z\nDURATION:PT1H",
        "RECURRENCE-ID:20260119T080000Z\nDTSTART:20260120T150000Z\nDURATION:PT2H",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260126T080000Z\nDTSTART:20260126T060000Z\nDURATION:PT1H",
    ]
    .map(with)
    .concat();
    let master = MASTER.replace("COUNT=4", "COUNT=5");
    assert_eq!(
        agenda(&[&ics(&format!("{master}\n{changes}"))]),
        [
            "2026-01-05T09:00:00+01:00/2026-01-05T10:00:00+01:00 busy",
            "2026-01-12T10:00:00+00:00/2026-01-12T11:00:00+00:00 busy",
            "2026-01-20T15:00:00+00:00/2026-01-20T17:00:00+00:00 busy",
            "2026-01-26T06:00:00+00:00/2026-01-26T07:00:00+00:00 busy",
            "2026-02-02T07:00:00+01:00/2026-02-02T08:00:00+01:00 busy",
        ]
    );
}

#[test]
fn this_and_future_keeps_its_shift_on_the_local_clock() {
    // Shifted in winter; after the change of clocks the local time is the same.
    let master = MASTER.replace("COUNT=4", "COUNT=14");
    let changed = with(
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260112T090000\n\
         DTSTART;TZID=Europe/Berlin:20260112T110000\nDURATION:PT1H",
    );
    let shown = agenda(&[&ics(&format!("{master}\n{changed}"))]);
    assert_eq!(shown.len(), 14);
    assert_eq!(shown[13], "2026-04-06T11:00:00+02:00/2026-04-06T12:00:00+02:00 busy");
}

#[test]
fn whole_days_are_replaced_by_date() {
    for which in ["RECURRENCE-ID;VALUE=DATE:20260106", "RECURRENCE-ID:20260106T000000Z"] {
        let file = ics(&format!(
            "{}{}",
            with("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;COUNT=3"),
            with(&format!("{which}\nDTSTART;VALUE=DATE:20260110"))
        ));
        let shown = agenda_of("America/New_York", &[&file], "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        assert_eq!(shown, ["2026-01-05/2026-01-06 free", "2026-01-07/2026-01-08 free", "2026-01-10/2026-01-11 free"]);
    }
}

#[test]
fn the_same_event_in_two_sources_counts_in_both() {
    let file = event("DTSTART:20260105T090000Z\nDURATION:PT1H");
    let mut timeline = timeline("UTC");
    timeline.update(SourceId(0), Path::new("one/a.ics"), file.as_bytes()).unwrap();
    timeline.update(SourceId(1), Path::new("two/a.ics"), file.as_bytes()).unwrap();
    let shown = timeline.occurrences(at("2026-01-05T00:00:00Z"), at("2026-01-06T00:00:00Z"));
    assert_eq!(shown.count(), 2);
    timeline.remove(Path::new("one/a.ics"));
    assert_eq!(timeline.events(), 1);
    assert_eq!(timeline.at(at("2026-01-05T09:30:00Z")).unwrap().to_string(), "busy");
}
