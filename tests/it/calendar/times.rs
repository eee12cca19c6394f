//! Starts, ends and lengths (RFC 5545, 3.3.5, 3.3.6, 3.6.1, 3.8.5.3).

use super::{agenda_of, event, only, read, starts, timeline};

#[test]
fn a_time_is_where_its_zone_puts_it() {
    let berlin = "DTSTART;TZID=Europe/Berlin:20260115T090000\nDTEND;TZID=Europe/Berlin:20260115T100000";
    assert_eq!(only("America/New_York", berlin), "2026-01-15T09:00:00+01:00/2026-01-15T10:00:00+01:00 busy");
    let utc = "DTSTART:20260115T090000Z\nDTEND:20260115T100000Z";
    assert_eq!(only("America/New_York", utc), "2026-01-15T09:00:00+00:00/2026-01-15T10:00:00+00:00 busy");
}

#[test]
fn a_floating_time_is_in_the_systems_zone() {
    // 3.3.5, form 1; the end too.
    let floating = "DTSTART:20260115T090000\nDTEND:20260115T100000";
    assert_eq!(only("America/New_York", floating), "2026-01-15T09:00:00-05:00/2026-01-15T10:00:00-05:00 busy");
    assert_eq!(only("Asia/Kolkata", floating), "2026-01-15T09:00:00+05:30/2026-01-15T10:00:00+05:30 busy");
}

#[test]
fn a_floating_end_ignores_clock_changes() {
    // The night of 2026-03-29 has no hour from 2 to 3 in Berlin, and in Kolkata it has.
    let night = "DTSTART:20260328T230000\nDTEND:20260329T040000";
    assert_eq!(only("Europe/Berlin", night), "2026-03-28T23:00:00+01:00/2026-03-29T04:00:00+02:00 busy");
    assert_eq!(only("Asia/Kolkata", night), "2026-03-28T23:00:00+05:30/2026-03-29T04:00:00+05:30 busy");
}

#[test]
fn start_and_end_may_be_in_different_zones() {
    let flight = "DTSTART;TZID=Europe/Berlin:20260115T100000\nDTEND;TZID=America/New_York:20260115T130000";
    assert_eq!(only("UTC", flight), "2026-01-15T10:00:00+01:00/2026-01-15T19:00:00+01:00 busy");
}

#[test]
fn without_an_end_a_date_lasts_one_day_and_a_time_no_time() {
    // 3.6.1
    assert_eq!(only("UTC", "DTSTART;VALUE=DATE:20260115"), "2026-01-15/2026-01-16 free");
    assert_eq!(only("UTC", "DTSTART:20260115T090000Z"), "2026-01-15T09:00:00+00:00/2026-01-15T09:00:00+00:00 busy");
}

#[test]
fn an_end_equal_to_the_start_means_no_time_or_one_day() {
    assert_eq!(only("UTC", "DTSTART;VALUE=DATE:20260115\nDTEND;VALUE=DATE:20260115"), "2026-01-15/2026-01-16 free");
    assert_eq!(
        only("UTC", "DTSTART:20260115T090000Z\nDTEND:20260115T090000Z"),
        "2026-01-15T09:00:00+00:00/2026-01-15T09:00:00+00:00 busy"
    );
}

#[test]
fn an_end_before_the_start_costs_the_event_and_is_reported() {
    for properties in [
        "DTSTART:20260115T090000Z\nDTEND:20260115T085959Z",
        "DTSTART;VALUE=DATE:20260115\nDTEND;VALUE=DATE:20260114",
        "DTSTART:20260115T090000\nDTEND:20260114T100000",
        "DTSTART:20260115T090000Z\nDURATION:-PT1H",
        "DTSTART;VALUE=DATE:20260115\nDURATION:-P2D",
    ] {
        let mut timeline = timeline("UTC");
        let report = read(&mut timeline, "a.ics", &event(properties));
        assert_eq!((report.events, timeline.events()), (0, 0), "{properties}");
        // BEGIN:VCALENDAR, VERSION and PRODID come first.
        assert_eq!(report.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [4], "{properties}");
    }
}

#[test]
fn a_last_day_is_not_part_of_the_event() {
    let days = "DTSTART;VALUE=DATE:20260115\nDTEND;VALUE=DATE:20260118";
    assert_eq!(only("UTC", days), "2026-01-15/2026-01-18 free");
}

#[test]
fn an_event_may_last_a_duration() {
    // 3.3.6
    let lasting = |duration: &str| only("UTC", &format!("DTSTART:20260115T090000Z\nDURATION:{duration}"));
    assert_eq!(lasting("PT1H30M"), "2026-01-15T09:00:00+00:00/2026-01-15T10:30:00+00:00 busy");
    assert_eq!(lasting("P2W"), "2026-01-15T09:00:00+00:00/2026-01-29T09:00:00+00:00 busy");
    assert_eq!(lasting("P1DT1H"), "2026-01-15T09:00:00+00:00/2026-01-16T10:00:00+00:00 busy");
    assert_eq!(lasting("PT0S"), "2026-01-15T09:00:00+00:00/2026-01-15T09:00:00+00:00 busy");
    assert_eq!(only("UTC", "DTSTART;VALUE=DATE:20260115\nDURATION:P3D"), "2026-01-15/2026-01-18 free");
    assert_eq!(only("UTC", "DTSTART;VALUE=DATE:20260115\nDURATION:PT36H"), "2026-01-15/2026-01-17 free");
}

#[test]
fn days_of_a_duration_are_nominal_and_hours_are_exact() {
    // 3.3.6. Berlin goes from 02:00 to 03:00 on 2026-03-29.
    let lasting =
        |duration: &str| only("UTC", &format!("DTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:{duration}"));
    assert_eq!(lasting("P1D"), "2026-03-28T12:00:00+01:00/2026-03-29T12:00:00+02:00 busy");
    assert_eq!(lasting("PT24H"), "2026-03-28T12:00:00+01:00/2026-03-29T13:00:00+02:00 busy");
}

#[test]
fn a_series_with_an_end_lasts_exactly_as_long_each_time() {
    // 3.8.5.3. 22:00 to 06:00 is eight hours on the 27th, and eight exact hours later on the 28th it is 07:00.
    let file = event(
        "DTSTART;TZID=Europe/Berlin:20260327T220000\nDTEND;TZID=Europe/Berlin:20260328T060000\nRRULE:FREQ=DAILY;COUNT=3",
    );
    assert_eq!(
        agenda_of("UTC", &[&file], "2026-03-01T00:00:00Z", "2026-04-30T00:00:00Z"),
        [
            "2026-03-27T22:00:00+01:00/2026-03-28T06:00:00+01:00 busy",
            "2026-03-28T22:00:00+01:00/2026-03-29T07:00:00+02:00 busy",
            "2026-03-29T22:00:00+02:00/2026-03-30T06:00:00+02:00 busy",
        ]
    );
}

#[test]
fn a_written_time_in_a_gap_is_shifted_and_in_a_fold_it_is_the_first() {
    // 3.3.5: "interpreted using the UTC offset before the gap"; "the first occurrence of the referenced time".
    let gap = "DTSTART;TZID=Europe/Berlin:20260329T023000\nDURATION:PT30M";
    assert_eq!(only("UTC", gap), "2026-03-29T03:30:00+02:00/2026-03-29T04:00:00+02:00 busy");
    let fold = event("DTSTART;TZID=Europe/Berlin:20261025T023000\nDURATION:PT30M");
    assert_eq!(
        agenda_of("UTC", &[&fold], "2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z"),
        ["2026-10-25T02:30:00+02:00/2026-10-25T02:00:00+01:00 busy"]
    );
}

#[test]
fn a_start_in_a_gap_is_not_behind_its_end() {
    // In New York 02:45 is shifted to 03:45 on 2026-03-08, behind the end at 03:30 as it is written.
    let file = event(
        "DTSTART;TZID=America/New_York:20260308T024500\nDTEND;TZID=America/New_York:20260308T033000\nRRULE:FREQ=DAILY;COUNT=2",
    );
    assert_eq!(
        agenda_of("UTC", &[&file], "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        [
            "2026-03-08T03:45:00-04:00/2026-03-08T04:30:00-04:00 busy",
            "2026-03-09T02:45:00-04:00/2026-03-09T03:30:00-04:00 busy",
        ]
    );
}

#[test]
fn a_series_stays_on_its_local_time_through_gap_and_fold() {
    let file = event("DTSTART;TZID=Europe/Berlin:20260327T023000\nDURATION:PT30M\nRRULE:FREQ=DAILY;COUNT=4");
    assert_eq!(
        starts("UTC", &file),
        [
            "2026-03-27T02:30:00+01:00",
            "2026-03-28T02:30:00+01:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-30T02:30:00+02:00",
        ]
    );
}

#[test]
fn whole_days_are_days_however_long_they_are() {
    // In Berlin 2026-03-29 has 23 hours; in Santiago 2026-04-05 has 25 and 2026-09-06 begins at 01:00.
    let berlin = event("DTSTART;VALUE=DATE:20260328\nRRULE:FREQ=DAILY;COUNT=3\nTRANSP:OPAQUE");
    let mut timeline = timeline("Europe/Berlin");
    read(&mut timeline, "a.ics", &berlin);
    let shown: Vec<_> =
        timeline.occurrences(super::at("2026-03-28T23:00:00Z"), super::at("2026-03-29T22:00:00Z")).collect();
    assert_eq!(shown.iter().map(super::show).collect::<Vec<_>>(), ["2026-03-29/2026-03-30 busy"]);

    timeline.set_zone(super::zone("America/Santiago"));
    read(&mut timeline, "a.ics", &event("DTSTART;VALUE=DATE:20260906\nTRANSP:OPAQUE"));
    timeline.set_window(super::at("2026-09-05T00:00:00Z"), super::at("2026-09-08T00:00:00Z"));
    let schedule = timeline.schedule();
    assert_eq!(schedule.at(super::at("2026-09-06T03:59:59Z")).unwrap().to_string(), "free");
    assert_eq!(schedule.at(super::at("2026-09-06T04:00:00Z")).unwrap().to_string(), "busy");
    assert_eq!(schedule.at(super::at("2026-09-07T02:59:59Z")).unwrap().to_string(), "busy");
    assert_eq!(schedule.at(super::at("2026-09-07T03:00:00Z")).unwrap().to_string(), "free");
}

#[test]
fn a_midnight_written_for_a_date_is_the_date() {
    assert_eq!(
        only("UTC", "DTSTART;VALUE=DATE:20260115T000000\nDTEND;VALUE=DATE:20260117T000000"),
        "2026-01-15/2026-01-17 free"
    );
}

#[test]
fn a_start_on_a_date_and_an_end_at_a_time_take_the_whole_last_day() {
    assert_eq!(only("UTC", "DTSTART;VALUE=DATE:20260115\nDTEND:20260116T120000"), "2026-01-15/2026-01-17 free");
    assert_eq!(
        only("UTC", "DTSTART:20260115T200000\nDTEND;VALUE=DATE:20260116"),
        "2026-01-15T20:00:00+00:00/2026-01-16T00:00:00+00:00 busy"
    );
}
