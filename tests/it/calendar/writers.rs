//! What programs write and mean although RFC 5545 does not say so: each test names the writers or the paragraph.

use super::{agenda_of, event, ics, only, read, starts, timeline};

const FROM: &str = "2026-01-01T00:00:00Z";
const TO: &str = "2026-07-01T00:00:00Z";

/// The first and the last date of a series of whole days, and how many there are.
fn days(system: &str, file: &str) -> (String, String, usize) {
    let starts = starts(system, file);
    (starts[0].clone(), starts[starts.len() - 1].clone(), starts.len())
}

fn series(start: &str, end: &str, number: usize) -> (String, String, usize) {
    (start.to_owned(), end.to_owned(), number)
}

/// What is reported about an event with these properties.
fn reported(properties: &str) -> Vec<String> {
    let report = read(&mut timeline("UTC"), "a.ics", &event(properties));
    report.skipped.into_iter().map(|skipped| skipped.reason).collect()
}

#[test]
fn the_midnight_of_the_system_in_utc_ends_a_series_of_whole_days() {
    // Exchange writes the local midnight of the last day.
    for (system, until, last) in [
        ("Europe/Berlin", "20260222T230000Z", "2026-02-23"),
        ("Europe/Berlin", "20260622T220000Z", "2026-06-23"),
        ("Asia/Kathmandu", "20260222T181500Z", "2026-02-23"),
        ("Asia/Tokyo", "20260222T150000Z", "2026-02-23"),
        ("Pacific/Auckland", "20260222T110000Z", "2026-02-23"),
        ("America/Los_Angeles", "20260223T080000Z", "2026-02-23"),
        ("Europe/London", "20260223T000000Z", "2026-02-23"),
        // On 24 April, summer time begins at midnight in Cairo, so that day begins at 01:00.
        ("Africa/Cairo", "20260423T220000Z", "2026-04-24"),
        // At any other time of day, it is the date as written.
        ("Europe/Berlin", "20260223T000000Z", "2026-02-23"),
        ("Europe/Berlin", "20260222T235959Z", "2026-02-22"),
        ("America/Los_Angeles", "20260222T230000Z", "2026-02-22"),
    ] {
        let file = event(&format!("DTSTART;VALUE=DATE:20260220\nRRULE:FREQ=DAILY;UNTIL={until}\nTRANSP:OPAQUE"));
        assert_eq!(days(system, &file).1, last, "{system} {until}");
    }
    let weekly = event("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;UNTIL=20260118T230000Z");
    assert_eq!(days("Europe/Berlin", &weekly), series("2026-01-05", "2026-01-19", 3));
    let monthly = event("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=MONTHLY;UNTIL=20260404T220000Z");
    assert_eq!(days("Europe/Berlin", &monthly), series("2026-01-05", "2026-04-05", 4));
}

#[test]
fn the_calendars_own_zone_says_which_midnight_is_meant() {
    let daily = "BEGIN:VEVENT\nUID:a\nDTSTART;VALUE=DATE:20260220\nRRULE:FREQ=DAILY;UNTIL=20260222T230000Z\nEND:VEVENT";
    let zone = "BEGIN:VTIMEZONE\nTZID:Our Zone\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0100\n\
                TZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE";
    for file in [
        ics(&format!("X-WR-TIMEZONE:Europe/Berlin\n{daily}")),
        ics(&format!("{zone}\n{daily}")),
        // The order of components has no meaning.
        ics(&format!("{daily}\n{zone}")),
    ] {
        assert_eq!(days("America/New_York", &file).1, "2026-02-23", "{file}");
    }
    assert_eq!(days("America/New_York", &ics(daily)).1, "2026-02-22");
}

#[test]
fn every_utc_time_beside_a_whole_day_is_a_date() {
    let daily = "DTSTART;VALUE=DATE:20260220\nRRULE:FREQ=DAILY;COUNT=4";
    let berlin = |properties: &str| starts("Europe/Berlin", &event(properties));
    assert_eq!(
        berlin(&format!("{daily}\nEXDATE:20260220T230000Z,20260222T120000Z")),
        ["2026-02-20", "2026-02-23"],
        "midnight of the 21st, and some time on the 22nd"
    );
    assert_eq!(
        berlin(&format!("{daily}\nEXDATE;TZID=UTC:20260220T230000")),
        ["2026-02-20", "2026-02-22", "2026-02-23"]
    );
    assert_eq!(berlin("DTSTART;VALUE=DATE:20260220\nRDATE:20260222T230000Z"), ["2026-02-20", "2026-02-23"]);
    let one = |properties: &str| only("Europe/Berlin", properties);
    assert_eq!(one("DTSTART;VALUE=DATE:20260220\nDTEND:20260221T230000Z"), "2026-02-20/2026-02-22 free");
    assert_eq!(one("DTSTART;VALUE=DATE:20260220\nDTEND:20260222T080000Z"), "2026-02-20/2026-02-22 free");
    assert_eq!(one("DTSTART;VALUE=DATE:20260219T230000Z"), "2026-02-20/2026-02-21 free");
    let moved = ics(&format!(
        "BEGIN:VEVENT\nUID:a\n{daily}\nEND:VEVENT\nBEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20260220T230000Z\n\
         DTSTART;VALUE=DATE:20260301\nEND:VEVENT"
    ));
    assert_eq!(starts("Europe/Berlin", &moved), ["2026-02-20", "2026-02-22", "2026-02-23", "2026-03-01"]);
    let to_a_time = moved.replace("DTSTART;VALUE=DATE:20260301", "DTSTART:20260301T090000Z");
    assert_eq!(starts("Europe/Berlin", &to_a_time).len(), 4);
}

#[test]
fn outlooks_whole_days_may_be_written_as_times() {
    let all_day = "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nX-MICROSOFT-CDO-BUSYSTATUS:OOF";
    for (start, end, expected) in [
        (";TZID=Europe/Berlin:20260105T000000", ";TZID=Europe/Berlin:20260107T000000", "2026-01-05/2026-01-07"),
        (";TZID=Asia/Tokyo:20260105T000000", ";TZID=Asia/Tokyo:20260106T000000", "2026-01-05/2026-01-06"),
        (":20260105T000000", ":20260106T000000", "2026-01-05/2026-01-06"),
        (":20260104T230000Z", ":20260105T230000Z", "2026-01-05/2026-01-06"),
        (":20260105T000000Z", ":20260106T000000Z", "2026-01-05/2026-01-06"),
        (":20260105", ":20260106", "2026-01-05/2026-01-06"),
        // These are not whole days, whatever the property says.
        (":20260105T090000Z", ":20260105T100000Z", "2026-01-05T09:00:00+00:00/2026-01-05T10:00:00+00:00"),
    ] {
        let properties = format!("{all_day}\nDTSTART{start}\nDTEND{end}");
        assert_eq!(only("Europe/Berlin", &properties), format!("{expected} out-of-office"), "{properties}");
    }
    let without_end = format!("DTSTART;TZID=Europe/Berlin:20260105T000000\n{all_day}");
    assert_eq!(only("Europe/Berlin", &without_end), "2026-01-05/2026-01-06 out-of-office");
    let daily = format!(
        "DTSTART;TZID=Europe/Berlin:20260105T000000\nDURATION:P1D\nRRULE:FREQ=DAILY;UNTIL=20260106T230000Z\n{all_day}"
    );
    assert_eq!(days("Europe/Berlin", &event(&daily)), series("2026-01-05", "2026-01-07", 3));
    // A UTC time beside them is on the clock of the start.
    let abroad = "DTSTART;TZID=Asia/Kolkata:20260305T000000\nDTEND:20260305T183000Z\nRRULE:FREQ=DAILY;UNTIL=20260307T183000Z\n\
                  EXDATE:20260305T183000Z\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE";
    assert_eq!(starts("Europe/Berlin", &event(abroad)), ["2026-03-05", "2026-03-07", "2026-03-08"]);
}

#[test]
fn a_yearly_rule_with_days_of_the_month_takes_the_month_of_the_start() {
    // Google, libical and ical.js agree; Birthday exports rely on it.
    let given = |rule: &str| starts("UTC", &event(&format!("DTSTART:20250310T090000Z\nRRULE:FREQ=YEARLY;{rule}")));
    assert_eq!(given("BYMONTHDAY=10"), ["2026-03-10T09:00:00+00:00"]);
    assert_eq!(given("BYMONTHDAY=10,-1"), ["2026-03-10T09:00:00+00:00", "2026-03-31T09:00:00+00:00"]);
    assert_eq!(given("INTERVAL=2;BYMONTHDAY=10"), Vec::<String>::new());
    assert_eq!(given("BYMONTHDAY=10;BYMONTH=1,2").len(), 2);
    // Every Friday the 13th is another rule.
    assert_eq!(given("BYMONTHDAY=13;BYDAY=FR"), ["2026-02-13T09:00:00+00:00", "2026-03-13T09:00:00+00:00"]);
}

#[test]
fn an_override_of_a_start_off_its_rule_replaces_it() {
    let file = ics("BEGIN:VEVENT\nUID:a\nDTSTART:20260105T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2\nEND:VEVENT\n\
                    BEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20260105T090000Z\nDTSTART:20260105T150000Z\nEND:VEVENT");
    assert_eq!(starts("UTC", &file), ["2026-01-05T15:00:00+00:00", "2026-01-06T09:00:00+00:00"]);
}

#[test]
fn free_busy_periods_count() {
    // 3.2.9: an absent or unknown FBTYPE is BUSY.
    let file = ics("BEGIN:VFREEBUSY\nUID:fb\nDTSTART:20260101T000000Z\nDTEND:20260201T000000Z\n\
         FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260105T080000Z/20260105T090000Z\n\
         FREEBUSY;FBTYPE=busy-tentative:20260105T090000Z/PT30M,20260105T100000Z/PT1H\n\
         FREEBUSY:20260106T080000Z/20260106T090000Z\n\
         FREEBUSY;FBTYPE=X-NAP:20260106T100000Z/P1D\n\
         FREEBUSY;FBTYPE=FREE:20260108T100000Z/20260108T110000Z\n\
         END:VFREEBUSY");
    assert_eq!(
        agenda_of("Europe/Berlin", &[&file], FROM, TO),
        [
            "2026-01-05T08:00:00+00:00/2026-01-05T09:00:00+00:00 out-of-office",
            "2026-01-05T09:00:00+00:00/2026-01-05T09:30:00+00:00 tentative",
            "2026-01-05T10:00:00+00:00/2026-01-05T11:00:00+00:00 tentative",
            "2026-01-06T08:00:00+00:00/2026-01-06T09:00:00+00:00 busy",
            "2026-01-06T10:00:00+00:00/2026-01-07T10:00:00+00:00 busy",
            "2026-01-08T10:00:00+00:00/2026-01-08T11:00:00+00:00 free",
        ]
    );
    // RFC 5546, 3.3: a REPLY is how free/busy times are asked for and answered.
    let reply = file.replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:REPLY");
    assert_eq!(starts("UTC", &reply).len(), 6);
    let bad =
        ics("BEGIN:VFREEBUSY\nFREEBUSY:20260105T080000Z/20260105T070000Z,soon,20260106T080000Z/PT1H\nEND:VFREEBUSY");
    let report = read(&mut timeline("UTC"), "a.ics", &bad);
    assert_eq!((report.events, report.skipped.len(), report.unusable), (1, 1, None));
}

#[test]
fn what_an_object_says_holds_for_that_object() {
    let object = |head: &str, start: &str| {
        ics(&format!("{head}\nBEGIN:VEVENT\nUID:{start}\nDTSTART{start}\nDURATION:PT1H\nEND:VEVENT"))
    };
    let zone = |offset: &str| {
        format!(
            "BEGIN:VTIMEZONE\nTZID:Custom\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:{offset}\n\
             TZOFFSETTO:{offset}\nEND:STANDARD\nEND:VTIMEZONE"
        )
    };
    let file = object(&zone("+0100"), ";TZID=Custom:20260105T090000")
        + &object(&zone("-0500"), ";TZID=Custom:20260106T090000");
    assert_eq!(starts("UTC", &file), ["2026-01-05T09:00:00+01:00", "2026-01-06T09:00:00-05:00"]);

    let tokyo = object("X-WR-TIMEZONE:Asia/Tokyo", ":20260105T090000");
    let file =
        tokyo.clone() + &object("X-WR-TIMEZONE:Europe/Berlin", ":20260106T090000") + &object("", ":20260107T090000");
    assert_eq!(
        starts("America/New_York", &file),
        ["2026-01-05T09:00:00+09:00", "2026-01-06T09:00:00+01:00", "2026-01-07T09:00:00-05:00"]
    );

    let file = object("METHOD:CANCEL", ":20260105T090000Z") + &object("METHOD:REQUEST", ":20260106T090000Z");
    assert_eq!(starts("UTC", &file), ["2026-01-06T09:00:00+00:00"]);

    // The first object's definition means nothing in the second one.
    let file = object(&zone("+0100"), ";TZID=Custom:20260105T090000") + &object("", ";TZID=Custom:20260106T090000");
    assert_eq!(read(&mut timeline("UTC"), "a.ics", &file).unknown_zones, ["Custom"]);
}

#[test]
fn answers_and_proposals_are_not_in_the_calendar() {
    for (method, count) in
        [("REPLY", 0), ("COUNTER", 0), ("DECLINECOUNTER", 0), ("REFRESH", 0), ("CANCEL", 0), ("PUBLISH", 1), ("ADD", 1)]
    {
        let file = event("DTSTART:20260105T090000Z").replace("VERSION:2.0", &format!("VERSION:2.0\r\nMETHOD:{method}"));
        let report = read(&mut timeline("UTC"), "a.ics", &file);
        assert_eq!((report.unusable, report.skipped), (None, vec![]), "{method}");
        assert_eq!(starts("UTC", &file).len(), count, "{method}");
        // 3.6 wants METHOD before the events.
        let late =
            event("DTSTART:20260105T090000Z").replace("END:VCALENDAR", &format!("METHOD:{method}\r\nEND:VCALENDAR"));
        assert_eq!(starts("UTC", &late).len(), count, "{method}");
    }
}

#[test]
fn a_cancellation_needs_no_start() {
    // RFC 5546, 3.2.5. The sequence should be higher, but not every program counts.
    let object = |method: &str, properties: &str| {
        ics(&format!("METHOD:{method}\nBEGIN:VEVENT\nUID:u\nDTSTAMP:20260101T000000Z\n{properties}\nEND:VEVENT"))
    };
    let series = object("PUBLISH", "DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;COUNT=3");
    for cancellation in [object("CANCEL", "SEQUENCE:1"), object("CANCEL", ""), object("PUBLISH", "STATUS:CANCELLED")] {
        assert_eq!(starts("UTC", &format!("{series}{cancellation}")), Vec::<String>::new(), "{cancellation}");
        assert_eq!(starts("UTC", &format!("{cancellation}{series}")), Vec::<String>::new(), "{cancellation}");
    }
    let one = object("CANCEL", "RECURRENCE-ID:20260106T090000Z\nSEQUENCE:1");
    assert_eq!(starts("UTC", &format!("{series}{one}")), ["2026-01-05T09:00:00+00:00", "2026-01-07T09:00:00+00:00"]);
}

#[test]
fn a_floating_time_is_in_the_calendars_zone() {
    // As in Google, which writes X-WR-TIMEZONE. Whole days stay in the system's zone.
    let file = ics(
        "X-WR-TIMEZONE:Asia/Tokyo\nBEGIN:VEVENT\nDTSTART:20260105T090000\nDTEND:20260105T100000\nEXDATE:20260106T090000\n\
                    RRULE:FREQ=DAILY;COUNT=3\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260110\nEND:VEVENT",
    );
    assert_eq!(
        agenda_of("Europe/Berlin", &[&file], FROM, TO),
        [
            "2026-01-05T09:00:00+09:00/2026-01-05T10:00:00+09:00 busy",
            "2026-01-07T09:00:00+09:00/2026-01-07T10:00:00+09:00 busy",
            "2026-01-10/2026-01-11 free",
        ]
    );
}

#[test]
fn a_bad_part_of_a_rule_costs_only_that_part() {
    let rule = |rule: &str| {
        let mut timeline = timeline("UTC");
        let report = read(&mut timeline, "a.ics", &event(&format!("DTSTART:20260105T090000Z\nRRULE:{rule}")));
        let times = timeline.occurrences(super::at(FROM), super::at(TO)).count();
        (times, report.skipped.iter().map(|skipped| skipped.reason.clone()).collect::<Vec<_>>())
    };
    for (text, times, part) in [
        ("FREQ=DAILY;COUNT=-1;UNTIL=20260107T090000Z", 3, "COUNT"),
        ("FREQ=DAILY;COUNT=0;UNTIL=20260107T090000Z", 3, "COUNT"),
        ("FREQ=DAILY;COUNT=;UNTIL=20260107T090000Z", 3, "COUNT"),
        ("FREQ=DAILY;INTERVAL=0;COUNT=3", 3, "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=two;COUNT=3", 3, "INTERVAL"),
        ("FREQ=WEEKLY;WKST=8;COUNT=3", 3, "WKST"),
        ("FREQ=WEEKLY;BYDAY=MO,XX;COUNT=3", 3, "a value of its BYDAY"),
        ("FREQ=WEEKLY;BYDAY=XX;COUNT=3", 3, "BYDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=5,32;COUNT=3", 3, "a value of its BYMONTHDAY"),
        ("FREQ=DAILY;UNTIL=;COUNT=3", 3, "UNTIL"),
        ("FREQ=DAILY\\;COUNT=3", 3, "semicolons"),
    ] {
        let (given, problems) = rule(text);
        assert_eq!(given, times, "{text}");
        assert!(matches!(problems.as_slice(), [problem] if problem.contains(part)), "{text}: {problems:?}");
    }
    for text in [
        "FREQ=DAILY;UNTIL=2026-01-07T09:00:00Z",
        "FREQ=DAILY;UNTIL=20260107T100000+0100",
        "FREQ=DAILY;UNTIL=2026-01-07",
        "FREQ=DAILY;COUNT=3;X-NAME=x",
        "FREQ=DAILY;COUNT=3;",
    ] {
        assert_eq!(rule(text), (3, vec![]), "{text}");
    }
}

#[test]
fn a_rule_whose_end_cannot_be_read_goes_on_for_a_year() {
    let weekly = |stamp: &str| {
        let file = format!(
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20240101T090000Z\nRRULE:FREQ=WEEKLY;UNTIL=31.12.2026\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:b\nDTSTAMP:{stamp}\nDTSTART:20240101T090000Z\nEND:VEVENT\nEND:VCALENDAR\n"
        );
        let mut timeline = timeline("UTC");
        let report = read(&mut timeline, "a.ics", &file);
        let last = timeline.occurrences(super::at("2024-01-01T00:00:00Z"), super::at("2030-01-01T00:00:00Z")).last();
        (report.skipped[0].reason.clone(), super::show(&last.unwrap())[..10].to_owned())
    };
    // A year after the newest DTSTAMP of the file, or after the start.
    let (reason, last) = weekly("20250601T000000Z");
    assert!(reason.contains("its UNTIL cannot be read") && reason.contains("2026-06-01"), "{reason}");
    assert_eq!(last, "2026-06-01");
    assert_eq!(weekly("20200601T000000Z").1, "2024-12-30");
}

#[test]
fn a_time_in_an_unknown_zone_is_on_the_series_own_clock() {
    let daily = "DTSTART;TZID=Asia/Tokyo:20260105T081500\nRRULE:FREQ=DAILY;COUNT=4";
    // The days in January on which the event takes place. It is reported that the zone is not known.
    let days = |file: &str| {
        let mut timeline = timeline("UTC");
        let report = read(&mut timeline, "a.ics", file);
        assert_eq!(report.unknown_zones, Vec::<String>::new(), "the system's zone is not used");
        assert!(report.skipped[0].reason.contains("TZID"), "{:?}", report.skipped);
        let times = timeline.occurrences(super::at(FROM), super::at(TO));
        times.map(|occurrence| super::show(&occurrence)[8..10].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(days(&event(&format!("{daily}\nEXDATE;TZID=Nowhere:20260106T081500"))), ["05", "07", "08"]);
    // If the series has no such time, its date is meant.
    assert_eq!(days(&event(&format!("{daily}\nEXDATE;TZID=Nowhere:20260106T230000"))), ["05", "07", "08"]);
    for id in ["20260106T081500", "20260106T230000"] {
        let file = ics(&format!(
            "BEGIN:VEVENT\nUID:a\n{daily}\nEND:VEVENT\nBEGIN:VEVENT\nUID:a\nRECURRENCE-ID;TZID=Nowhere:{id}\n\
             DTSTART:20260120T000000Z\nEND:VEVENT"
        ));
        assert_eq!(days(&file), ["05", "07", "08", "20"], "{id}");
    }
    let rdate = "DTSTART;TZID=Asia/Tokyo:20260105T081500\nRDATE;TZID=Nowhere:20260109T081500";
    assert_eq!(days(&event(rdate)), ["05", "09"]);
    let end = "DTSTART;TZID=Asia/Tokyo:20260105T081500\nDTEND;TZID=Nowhere:20260105T091500";
    assert_eq!(days(&event(end)), ["05"]);
}

#[test]
fn times_are_read_in_every_form() {
    let nine = "2026-01-05T09:00:00+00:00/2026-01-05T10:00:00+00:00 busy";
    for properties in [
        "DTSTART:20260105T090000.000Z\nDTEND:20260105T100000.999Z",
        "DTSTART:2026-01-05T09:00:00Z\nDTEND:2026-01-05T10:00:00.000Z",
        "DTSTART:20260105T100000+0100\nDURATION:PT1H",
        "DTSTART;TZID=\"Etc/UTC:20260105T090000\"\nDTEND;TZID=\"Etc/UTC:20260105T100000\"",
    ] {
        assert_eq!(only("Europe/Berlin", properties), nine, "{properties}");
    }
    let daily = "DTSTART;TZID=W. Europe Standard Time:20260105T090000\nRRULE:FREQ=DAILY;COUNT=3";
    let exception = format!("{daily}\nEXDATE;TZID=\"W. Europe Standard Time:20260106T090000\",20260107T090000.000");
    assert_eq!(starts("UTC", &event(&exception)), ["2026-01-05T09:00:00+01:00"]);
    let birthday = "DTSTART;VALUE=DATE:20260105\nRDATE:20260107Z\nEXDATE:20260105Z";
    assert_eq!(starts("Europe/Berlin", &event(birthday)), ["2026-01-07"]);
    assert_eq!(reported("DTSTART:20260105T090000Z\nRDATE:20260107T090000.5Z/PT1H"), Vec::<String>::new());
}

#[test]
fn week_53_belongs_to_the_year_before() {
    // ISO 8601: 1 January 2027 is in week 53 of 2026.
    let file = event("DTSTART;VALUE=DATE:20201228\nRRULE:FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR");
    let mut timeline = timeline("UTC");
    read(&mut timeline, "a.ics", &file);
    let times = timeline.occurrences(super::at("2021-01-01T00:00:00Z"), super::at("2034-01-01T00:00:00Z"));
    let days: Vec<_> = times.map(|occurrence| super::show(&occurrence)[..10].to_owned()).collect();
    assert_eq!(days, ["2021-01-01", "2027-01-01", "2032-12-31"]);
    // A start in week 1 of the next year is given by the rule and counts once.
    let file = event("DTSTART;VALUE=DATE:20241230\nRRULE:FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO;COUNT=3");
    read(&mut timeline, "a.ics", &file);
    assert_eq!(timeline.occurrences(super::at("2024-01-01T00:00:00Z"), super::at("2034-01-01T00:00:00Z")).count(), 3);
    // The rest of a week that began in the year before the start.
    for start in ["20210101", "20210103"] {
        let file = event(&format!("DTSTART;VALUE=DATE:{start}\nRRULE:FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU;COUNT=3"));
        read(&mut timeline, "a.ics", &file);
        let times = timeline.occurrences(super::at("2021-01-01T00:00:00Z"), super::at("2040-01-01T00:00:00Z"));
        let days: Vec<_> = times.map(|occurrence| super::show(&occurrence)[..10].to_owned()).collect();
        let sundays = ["2021-01-03", "2027-01-03", "2033-01-02"];
        let expected = if start == "20210101" { vec!["2021-01-01", sundays[0], sundays[1]] } else { sundays.to_vec() };
        assert_eq!(days, expected, "{start}");
    }
}

#[test]
fn a_skip_that_is_not_supported_is_reported() {
    let skip = |rule: &str| reported(&format!("DTSTART;VALUE=DATE:20241231\nRRULE:RSCALE=GREGORIAN;{rule}"));
    assert!(skip("FREQ=YEARLY;SKIP=BACKWARD;BYYEARDAY=366")[0].contains("SKIP"));
    assert!(skip("FREQ=YEARLY;SKIP=OMIT;BYYEARDAY=366").is_empty());
    assert!(skip("FREQ=MONTHLY;SKIP=BACKWARD;BYMONTHDAY=31").is_empty());
}
