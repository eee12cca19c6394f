//! Rules, dates and exceptions of a series (RFC 5545, 3.3.10, 3.8.5).

use super::{agenda_of, event, ics, starts};

/// The starts of a series in Berlin that begins on Monday, 2026-01-05 at 09:00.
fn mondays(properties: &str) -> Vec<String> {
    let file = event(&format!("DTSTART;TZID=Europe/Berlin:20260105T090000\nDURATION:PT1H\n{properties}"));
    starts("America/New_York", &file)
}

fn nine_in_winter(dates: &[&str]) -> Vec<String> {
    dates.iter().map(|date| format!("{date}T09:00:00+01:00")).collect()
}

#[test]
fn an_exception_may_be_local_in_utc_or_a_date() {
    // 3.8.5.1; a date takes out the instance on that day.
    for exception in [
        "EXDATE;TZID=Europe/Berlin:20260112T090000",
        "EXDATE:20260112T080000Z",
        "EXDATE;VALUE=DATE:20260112",
        "EXDATE;TZID=America/New_York:20260112T030000",
        // Without the zone it is meant in the series' own.
        "EXDATE:20260112T090000",
        "EXDATE:20260112T080000Z,20270101T080000Z",
        "EXDATE:20270101T080000Z\nEXDATE:20260112T080000Z",
    ] {
        let given = mondays(&format!("RRULE:FREQ=WEEKLY;COUNT=3\n{exception}"));
        assert_eq!(given, nine_in_winter(&["2026-01-05", "2026-01-19"]), "{exception}");
    }
}

#[test]
fn an_exception_at_another_time_takes_nothing_out() {
    for exception in ["EXDATE:20260112T090000Z", "EXDATE;VALUE=DATE:20260113"] {
        let given = mondays(&format!("RRULE:FREQ=WEEKLY;COUNT=3\n{exception}"));
        assert_eq!(given, nine_in_winter(&["2026-01-05", "2026-01-12", "2026-01-19"]), "{exception}");
    }
}

#[test]
fn an_exception_still_counts() {
    // COUNT is of the rule's times, exceptions are taken from them: 3.8.5.3.
    let given = mondays("RRULE:FREQ=WEEKLY;COUNT=2\nEXDATE;TZID=Europe/Berlin:20260105T090000");
    assert_eq!(given, nine_in_winter(&["2026-01-12"]));
}

#[test]
fn whole_days_are_excepted_by_date_however_that_is_written() {
    for exception in ["EXDATE;VALUE=DATE:20260112", "EXDATE:20260112T000000", "EXDATE:20260112T000000Z"] {
        let file = event(&format!("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;COUNT=3\n{exception}"));
        assert_eq!(starts("America/New_York", &file), ["2026-01-05", "2026-01-19"], "{exception}");
    }
}

#[test]
fn dates_add_to_the_rule() {
    // 3.8.5.2; the same time twice is one instance.
    let given = mondays("RRULE:FREQ=WEEKLY;COUNT=2\nRDATE;TZID=Europe/Berlin:20260107T140000,20260112T090000");
    assert_eq!(given, ["2026-01-05T09:00:00+01:00", "2026-01-07T14:00:00+01:00", "2026-01-12T09:00:00+01:00"]);
    let alone = mondays("RDATE:20260107T130000Z");
    assert_eq!(alone, ["2026-01-05T09:00:00+01:00", "2026-01-07T13:00:00+00:00"]);
}

#[test]
fn a_period_has_a_length_of_its_own() {
    let file = event(
        "DTSTART:20260105T090000Z\nDURATION:PT1H\n\
         RDATE;VALUE=PERIOD:20260106T090000Z/20260106T093000Z,20260107T090000Z/PT2H",
    );
    assert_eq!(
        agenda_of("UTC", &[&file], "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        [
            "2026-01-05T09:00:00+00:00/2026-01-05T10:00:00+00:00 busy",
            "2026-01-06T09:00:00+00:00/2026-01-06T09:30:00+00:00 busy",
            "2026-01-07T09:00:00+00:00/2026-01-07T11:00:00+00:00 busy",
        ]
    );
}

#[test]
fn an_exception_beats_a_date() {
    let given = mondays("RDATE:20260107T130000Z\nEXDATE:20260107T130000Z");
    assert_eq!(given, nine_in_winter(&["2026-01-05"]));
}

#[test]
fn every_rule_counts_and_exception_rules_take_away() {
    // 3.8.5.3 of a component with several; EXRULE is RFC 2445, 4.8.5.2.
    let given = mondays("RRULE:FREQ=WEEKLY;COUNT=2\nRRULE:FREQ=DAILY;INTERVAL=3;COUNT=3");
    assert_eq!(given, nine_in_winter(&["2026-01-05", "2026-01-08", "2026-01-11", "2026-01-12"]));
    let given = mondays("RRULE:FREQ=DAILY;COUNT=4\nEXRULE:FREQ=DAILY;INTERVAL=2");
    assert_eq!(given, nine_in_winter(&["2026-01-06", "2026-01-08"]));
}

#[test]
fn an_end_is_inclusive_and_on_the_series_clock() {
    // 3.3.10. 09:00 in Berlin is 08:00 in UTC.
    let three = nine_in_winter(&["2026-01-05", "2026-01-12", "2026-01-19"]);
    for until in ["20260119T080000Z", "20260119T090000", "20260119", "20260125"] {
        assert_eq!(mondays(&format!("RRULE:FREQ=WEEKLY;UNTIL={until}")), three, "{until}");
    }
    for until in ["20260119T075959Z", "20260119T085959", "20260118"] {
        assert_eq!(mondays(&format!("RRULE:FREQ=WEEKLY;UNTIL={until}")), three[..2], "{until}");
    }
}

#[test]
fn an_end_in_utc_is_another_day_far_from_greenwich() {
    let evenings = |zone: &str, until: &str| {
        starts("UTC", &event(&format!("DTSTART;TZID={zone}:20260105T210000\nRRULE:FREQ=DAILY;UNTIL={until}"))).len()
    };
    // 21:00 in New York on the 7th is 02:00 on the 8th in UTC.
    assert_eq!(evenings("America/New_York", "20260108T020000Z"), 3);
    assert_eq!(evenings("America/New_York", "20260108T015959Z"), 2);
    assert_eq!(evenings("America/New_York", "20260107"), 3);
    // 21:00 in Auckland on the 7th is 08:00 in UTC on the same day.
    assert_eq!(evenings("Pacific/Auckland", "20260107T080000Z"), 3);
    assert_eq!(evenings("Pacific/Auckland", "20260107T075959Z"), 2);
    assert_eq!(evenings("Pacific/Auckland", "20260107"), 3);
}

#[test]
fn whole_days_end_on_the_date_that_is_written() {
    for system in ["Pacific/Auckland", "America/Los_Angeles"] {
        for until in ["20260107", "20260107T000000Z", "20260107T235959Z"] {
            let file = event(&format!("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;UNTIL={until}"));
            assert_eq!(starts(system, &file), ["2026-01-05", "2026-01-06", "2026-01-07"], "{system} {until}");
        }
    }
}

#[test]
fn whole_days_ignore_the_parts_of_a_time() {
    // 3.3.10: "BYSECOND, BYMINUTE and BYHOUR rule parts MUST NOT be specified when DTSTART has a DATE value type".
    let file = event("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;COUNT=2;BYHOUR=9,10;BYMINUTE=30");
    assert_eq!(starts("UTC", &file), ["2026-01-05", "2026-01-06"]);
}

#[test]
fn a_count_continues_over_a_change_of_clocks() {
    let file = event("DTSTART;TZID=Europe/Berlin:20260316T090000\nRRULE:FREQ=WEEKLY;COUNT=4");
    assert_eq!(
        starts("UTC", &file),
        [
            "2026-03-16T09:00:00+01:00",
            "2026-03-23T09:00:00+01:00",
            "2026-03-30T09:00:00+02:00",
            "2026-04-06T09:00:00+02:00",
        ]
    );
}

#[test]
fn a_count_begins_with_the_start_however_long_ago_that_is() {
    // From Monday 1996-01-01, 1,566 weeks are until Monday 2026-01-05: that is number 1,567 of the series.
    let file = |rule: &str| event(&format!("DTSTART;TZID=Europe/Berlin:19960101T090000\nRRULE:{rule}"));
    assert_eq!(starts("UTC", &file("FREQ=WEEKLY;COUNT=1566")), [""; 0]);
    assert_eq!(starts("UTC", &file("FREQ=WEEKLY;COUNT=1567")), ["2026-01-05T09:00:00+01:00"]);
    // Every Monday and Thursday: Thursday, 2026-01-01, is number 3,132.
    let twice = starts("UTC", &file("FREQ=WEEKLY;BYDAY=MO,TH;COUNT=3133"));
    assert_eq!(twice, nine_in_winter(&["2026-01-01", "2026-01-05"]));
}

#[test]
fn the_week_begins_where_the_rule_says() {
    // The example of 3.8.5.3, moved to 2026: from Tuesday, every other week, on Tuesday and Sunday.
    let from = |rule: &str| starts("UTC", &event(&format!("DTSTART;TZID=Europe/Berlin:20260106T090000\nRRULE:{rule}")));
    let monday = from("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO");
    assert_eq!(monday, nine_in_winter(&["2026-01-06", "2026-01-11", "2026-01-20", "2026-01-25"]));
    let sunday = from("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU");
    assert_eq!(sunday, nine_in_winter(&["2026-01-06", "2026-01-18", "2026-01-20", "2026-02-01"]));
}

#[test]
fn a_start_outside_its_rule_takes_place_and_counts() {
    // 3.8.5.3 leaves this undefined. Google, Apple and Outlook show it, and a missed meeting costs more than a false one.
    let monday = "DTSTART:20260105T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=TU";
    let days = |properties: &str, days: &[&str]| {
        let expected: Vec<String> = days.iter().map(|day| format!("{day}T09:00:00+00:00")).collect();
        assert_eq!(starts("UTC", &event(properties)), expected, "{properties}");
    };
    days(&format!("{monday};COUNT=3"), &["2026-01-05", "2026-01-06", "2026-01-13"]);
    days(&format!("{monday};COUNT=1"), &["2026-01-05"]);
    days(&format!("{monday};UNTIL=20260113T090000Z"), &["2026-01-05", "2026-01-06", "2026-01-13"]);
    days(&format!("{monday};COUNT=3\nEXDATE:20260105T090000Z"), &["2026-01-06", "2026-01-13"]);
    // INTERVAL counts the weeks from that of the start.
    days(&format!("{monday};INTERVAL=2;COUNT=3"), &["2026-01-05", "2026-01-06", "2026-01-20"]);
    let daily = "DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;BYMONTH=3;COUNT=2";
    days(daily, &["2026-01-05", "2026-03-01"]);
    let monthly = "DTSTART:20260105T090000Z\nRRULE:FREQ=MONTHLY;BYDAY=2WE;COUNT=2";
    days(monthly, &["2026-01-05", "2026-01-14"]);
    let yearly = "DTSTART:20260105T090000Z\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=1;COUNT=2";
    days(yearly, &["2026-01-05", "2026-02-01"]);
    // A start that the rule gives counts once.
    days("DTSTART:20260106T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2", &["2026-01-06", "2026-01-13"]);
}

#[test]
fn a_week_number_without_a_day_takes_the_starts_weekday() {
    let file = event("DTSTART:20250514T090000Z\nRRULE:FREQ=YEARLY;BYWEEKNO=20");
    assert_eq!(starts("UTC", &file), ["2026-05-13T09:00:00+00:00"]);
}

#[test]
fn a_series_that_began_long_ago_keeps_its_interval() {
    // 2020-01-01 is a Wednesday; every 5 days: 2,195 days later is 2026-01-04.
    let file = event("DTSTART:20200101T090000Z\nRRULE:FREQ=DAILY;INTERVAL=5");
    assert_eq!(starts("UTC", &file)[..2], ["2026-01-04T09:00:00+00:00", "2026-01-09T09:00:00+00:00"]);
    // Every third month on the 31st: from October 2025 that is January, then the April that has none, then July.
    let file = event("DTSTART:20161031T090000Z\nRRULE:FREQ=MONTHLY;INTERVAL=3");
    assert_eq!(starts("UTC", &file), ["2026-01-31T09:00:00+00:00"]);
}

#[test]
fn a_rule_that_cannot_be_read_costs_only_itself() {
    let mut timeline = super::timeline("UTC");
    let file = event("DTSTART:20260105T090000Z\nRRULE:FREQ=FORTNIGHTLY\nEXDATE:20260230T000000Z");
    let report = super::read(&mut timeline, "a.ics", &file);
    assert_eq!(report.events, 1);
    assert_eq!(report.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [8, 9]);
    assert_eq!(timeline.occurrences(super::at("2026-01-01T00:00:00Z"), super::at("2026-02-01T00:00:00Z")).count(), 1);
}

#[test]
fn a_floating_series_follows_the_systems_zone() {
    let file = event("DTSTART:20260327T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260328T090000");
    assert_eq!(starts("Europe/Berlin", &file), ["2026-03-27T09:00:00+01:00"]);
    let mut timeline = super::timeline("Europe/Berlin");
    super::read(&mut timeline, "a.ics", &file);
    let (berlin, tokyo) = (super::at("2026-03-27T08:30:00Z"), super::at("2026-03-27T00:30:00Z"));
    assert_eq!(timeline.at(berlin).unwrap().to_string(), "busy");
    assert_eq!(timeline.at(tokyo).unwrap().to_string(), "free");
    timeline.set_zone(super::zone("Asia/Tokyo"));
    assert_eq!(timeline.at(berlin).unwrap().to_string(), "free");
    assert_eq!(timeline.at(tokyo).unwrap().to_string(), "busy");
}

#[test]
fn events_without_a_uid_are_series_of_their_own() {
    let file = ics("
        BEGIN:VEVENT
        DTSTART:20260105T090000Z
        END:VEVENT
        BEGIN:VEVENT
        DTSTART:20260106T090000Z
        END:VEVENT");
    assert_eq!(starts("UTC", &file), ["2026-01-05T09:00:00+00:00", "2026-01-06T09:00:00+00:00"]);
}
