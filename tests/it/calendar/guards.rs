//! Files that are broken or hostile: whatever they hold, reading ends, other events survive, and the report names the line.
//! (How long each takes is measured in `benches/`; a hang would show here as a test that does not end.)

use std::io::Read;

use proptest::prelude::*;

use presenced::calendar::FileReport;

use super::{at, ics, read, timeline};

/// Reads a file next to a good one, and checks that the good one still counts.
fn beside_a_good_one(file: &str) -> FileReport {
    let mut timeline = timeline("UTC");
    let good = ics(
        "BEGIN:VEVENT\nUID:good\nDTSTART:20260105T090000Z\nDURATION:PT1H\nX-MICROSOFT-CDO-BUSYSTATUS:OOF\nEND:VEVENT",
    );
    read(&mut timeline, "good.ics", &good);
    let report = read(&mut timeline, "bad.ics", file);
    assert_eq!(timeline.at(at("2026-01-05T09:30:00Z")).unwrap().to_string(), "out-of-office");
    report
}

/// Reads events with these properties between two good ones in the same file, and checks that those still count.
fn among_good_ones(properties: &str) -> FileReport {
    let good = |hour: u32| {
        format!(
            "BEGIN:VEVENT\nDTSTART:20260105T{hour:02}0000Z\nDURATION:PT1H\nX-MICROSOFT-CDO-BUSYSTATUS:OOF\nEND:VEVENT\n"
        )
    };
    let mut timeline = timeline("UTC");
    let bad = format!("BEGIN:VEVENT\nUID:bad\n{properties}\nEND:VEVENT\n");
    let report = read(&mut timeline, "a.ics", &ics(&(good(9) + &bad + &good(12))));
    for hour in [9, 12] {
        let state = timeline.at(at(&format!("2026-01-05T{hour:02}:30:00Z"))).unwrap();
        assert_eq!(state.to_string(), "out-of-office");
    }
    report
}

fn lines(report: &FileReport) -> Vec<u32> {
    report.skipped.iter().map(|skipped| skipped.line).collect()
}

#[test]
fn rules_without_end_end() {
    for rule in [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=HOURLY",
        "FREQ=SECONDLY;BYSETPOS=2",
        "FREQ=SECONDLY;COUNT=4294967295",
        "FREQ=SECONDLY;BYSETPOS=2;COUNT=5",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=4294967295",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=4294967295",
        "FREQ=YEARLY;BYEASTER=0",
        "FREQ=DAILY;UNTIL=99991231T235959Z",
    ] {
        among_good_ones(&format!("DTSTART:16010101T000000Z\nDURATION:PT1S\nRRULE:{rule}\nTRANSP:TRANSPARENT"));
    }
}

#[test]
fn rules_that_cannot_be_are_reported_with_their_line() {
    let every_second = format!(
        "FREQ=YEARLY;BYHOUR={};BYMINUTE={};BYSECOND={}",
        (0..24).map(|n| n.to_string()).collect::<Vec<_>>().join(","),
        (0..60).map(|n| n.to_string()).collect::<Vec<_>>().join(","),
        (0..60).map(|n| n.to_string()).collect::<Vec<_>>().join(","),
    );
    for rule in [
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=99999999999",
        "FREQ=DAILY;COUNT=-1",
        "COUNT=3",
        "",
        "FREQ=DAILY;UNTIL=20260230",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=YEARLY;RSCALE=HEBREW",
        "FREQ=WEEKLY;BYDAY=\u{20ac}",
        &every_second,
    ] {
        let report = among_good_ones(&format!("DTSTART:20260107T090000Z\nRRULE:{rule}"));
        assert_eq!((report.events, lines(&report)), (3, vec![12]), "{rule}");
    }
}

#[test]
fn a_series_that_gives_too_much_is_reported_with_its_line() {
    let report = among_good_ones("DTSTART:16010101T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY\nTRANSP:TRANSPARENT");
    assert_eq!(lines(&report), [9]);
    let report = among_good_ones("DTSTART:16010101T000000Z\nRRULE:FREQ=MINUTELY;BYSETPOS=2;COUNT=5");
    assert_eq!(lines(&report), [9]);
}

#[test]
fn long_lists_in_rules_are_no_more_than_what_they_say() {
    let days = vec!["MO"; 15_000].join(",");
    let report = among_good_ones(&format!("DTSTART:20260107T090000Z\nRRULE:FREQ=WEEKLY;BYDAY={days}"));
    assert_eq!((report.events, lines(&report)), (3, vec![]));
}

#[test]
fn a_million_exceptions_are_not_kept() {
    let on_one_line = format!("EXDATE:{}", vec!["20270101T000000Z"; 1_000_000].join(","));
    let report = among_good_ones(&format!("DTSTART:20260107T090000Z\nRRULE:FREQ=DAILY\n{on_one_line}"));
    assert_eq!(lines(&report), [13]);
    let on_many = "EXDATE:20270101T000000Z\n".repeat(1_000_000);
    let report = among_good_ones(&format!("DTSTART:20260107T090000Z\nRRULE:FREQ=DAILY\n{on_many}"));
    assert_eq!(report.skipped.first().map(|skipped| skipped.line), Some(10_013));
    assert_eq!(report.skipped.len() + report.skipped_more, 990_000);
}

#[test]
fn deep_nesting_is_only_a_number() {
    let nested = "BEGIN:VALARM\n".repeat(100_000);
    let report = among_good_ones(&format!("DTSTART:20260107T090000Z\n{nested}"));
    assert_eq!(report.events, 3);
    let unclosed = "BEGIN:VEVENT\n".repeat(100_000);
    let report = beside_a_good_one(&format!("BEGIN:VCALENDAR\n{unclosed}"));
    assert_eq!(report.events, 0);
    assert_eq!(report.skipped.len() + report.skipped_more, 200_000);
    let report = beside_a_good_one(&"BEGIN:VCALENDAR\n".repeat(100_000));
    assert_eq!(report.skipped, []);
}

#[test]
fn a_long_line_costs_no_memory_and_no_event() {
    let description = format!("DESCRIPTION:{}", "x".repeat(10_000_000));
    let report = among_good_ones(&format!("DTSTART:20260107T090000Z\n{description}\nDURATION:PT1H"));
    assert_eq!((report.events, lines(&report)), (3, vec![]));
    let folded = format!("DESCRIPTION:{}", "x\r\n ".repeat(5_000_000));
    let mut file = b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260107T090000Z\n".to_vec();
    file.extend_from_slice(folded.as_bytes());
    file.extend_from_slice(b"\r\nEND:VEVENT\nEND:VCALENDAR\n");
    let report = beside_a_good_one(std::str::from_utf8(&file).unwrap());
    assert_eq!(report.events, 1);
}

#[test]
fn the_first_and_the_last_years_are_years() {
    for (start, rule) in [
        ("00000101T000000Z", "FREQ=DAILY"),
        ("00010101T000000", "FREQ=YEARLY"),
        ("99991231T235959Z", "FREQ=DAILY"),
        ("99991231T235959", "FREQ=YEARLY;COUNT=3"),
        ("00000229", "FREQ=MONTHLY"),
        ("99991231", "FREQ=DAILY"),
    ] {
        for rest in ["", "DTEND:99991231T235959Z", "DURATION:P99999999W", "RDATE:00000101,99991231T235959Z"] {
            among_good_ones(&format!("DTSTART:{start}\n{rest}\nRRULE:{rule}\nTRANSP:TRANSPARENT"));
        }
    }
}

#[test]
fn dates_that_do_not_exist_cost_their_event() {
    for start in ["20260230T090000Z", "20261301", "today", "", "20260105T246060Z", "-0010101"] {
        let report = among_good_ones(&format!("DTSTART:{start}"));
        assert_eq!((report.events, lines(&report)), (2, vec![9]), "{start}");
    }
    assert_eq!(lines(&among_good_ones("SUMMARY:no start")), [9]);
}

#[test]
fn binary_data_does_no_harm() {
    let mut timeline = timeline("UTC");
    let mut file = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:\xFF\xFE\x00\r\nSUMMARY:caf\xE9\0\r\n\0\0\0\r\n".to_vec();
    file.extend_from_slice(b"DTSTART:20260105T090000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n\0\0\0\0");
    let report = timeline.update(presenced::calendar::SourceId(0), "a.ics".as_ref(), file.as_slice()).unwrap();
    assert_eq!((report.events, lines(&report)), (1, vec![5]));
    let occurrence = timeline.occurrences(at("2026-01-05T00:00:00Z"), at("2026-01-06T00:00:00Z")).next().unwrap();
    assert_eq!(occurrence.summary, "caf\u{fffd}");
}

#[test]
fn a_bad_line_costs_that_line() {
    let report =
        among_good_ones("DTSTART:20260107T090000Z\nnot a property\nDTEND:tomorrow\nSEQUENCE:many\nDURATION:1h");
    assert_eq!((report.events, lines(&report)), (3, vec![12, 13, 14, 15]));
}

#[test]
fn line_numbers_are_the_editors() {
    // A fold and a blank line are lines, too.
    let report = beside_a_good_one(
        "BEGIN:VCALENDAR\r\n\r\nBEGIN:VEVENT\r\nSUMMARY:a\r\n b\r\nDTSTART:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    );
    assert_eq!(lines(&report), [3]);
}

#[test]
fn a_report_lists_the_first_problems_and_counts_the_rest() {
    let report = among_good_ones(&format!("DTSTART:20260107T090000Z\n{}", "DTEND:x\n".repeat(1_000)));
    assert_eq!(report.skipped.len() + report.skipped_more, 1_000);
    assert!(report.skipped.len() < 100);
}

#[test]
fn a_line_without_end_is_read_to_the_limit_of_a_file() {
    let endless = std::io::repeat(b'x').take(1 << 30);
    let mut timeline = timeline("UTC");
    let start = &b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260107T090000Z\nEND:VEVENT\n"[..];
    let report = timeline.update(presenced::calendar::SourceId(0), "a.ics".as_ref(), start.chain(endless)).unwrap();
    assert_eq!((report.events, report.unusable.unwrap().reason.as_str()), (0, "it is larger than 640 MiB"));
}

#[test]
fn one_uid_for_everything_ends() {
    let event = |n: u32| format!("BEGIN:VEVENT\nUID:1\nSEQUENCE:{n}\nDTSTART:20260107T090000Z\nEND:VEVENT\n");
    let file = (0..20_000).map(event).collect::<Vec<_>>().concat();
    let report = beside_a_good_one(&ics(&file));
    assert_eq!(report.events + report.skipped.len() + report.skipped_more, 20_000);
    assert!(report.skipped_more > 0);
}

/// Lines of calendars and pieces of them, right and wrong.
fn any_line() -> impl Strategy<Value = String> {
    let names = [
        "DTSTART",
        "DTEND",
        "DURATION",
        "RRULE",
        "EXRULE",
        "RDATE",
        "EXDATE",
        "RECURRENCE-ID",
        "UID",
        "SEQUENCE",
        "DTSTAMP",
        "SUMMARY",
        "BEGIN",
        "END",
        "TZID",
        "TZOFFSETFROM",
        "TZOFFSETTO",
        "X-WR-TIMEZONE",
        "ATTENDEE",
        "STATUS",
    ];
    let parameters =
        ["", ";VALUE=DATE", ";VALUE=PERIOD", ";TZID=Europe/Berlin", ";TZID=Own", ";RANGE=THISANDFUTURE", ";X=\""];
    let values = [
        "20260105",
        "20260105T090000",
        "20260105T090000Z",
        "00000101T000000",
        "99991231T235959Z",
        "20260329T023000",
        "20260105T090000Z/PT1H",
        "20260105T090000/20260104T090000",
        "PT1H",
        "-P1D",
        "P999999999W",
        "+0100",
        "-2359",
        "1",
        "FREQ=DAILY",
        "FREQ=WEEKLY;BYDAY=MO,2TU;COUNT=3",
        "FREQ=YEARLY;BYWEEKNO=53;UNTIL=20260105",
        "FREQ=MONTHLY;BYMONTHDAY=-31",
        "FREQ=SECONDLY;INTERVAL=4294967295",
        "FREQ=HOURLY;COUNT=4294967295;BYSETPOS=-366",
        "FREQ=YEARLY;INTERVAL=9999",
        "VEVENT",
        "VTIMEZONE",
        "STANDARD",
        "DAYLIGHT",
        "VCALENDAR",
        "VALARM",
        "Own",
        "Europe/Berlin",
        "CANCELLED",
        "\u{20ac}\\",
    ];
    let whole = (
        proptest::sample::select(names.to_vec()),
        proptest::sample::select(parameters.to_vec()),
        proptest::sample::select(values.to_vec()),
    )
        .prop_map(|(name, parameter, value)| format!("{name}{parameter}:{value}"));
    prop_oneof![
        12 => whole,
        2 => Just("BEGIN:VEVENT\nDTSTART:20260105T090000".to_owned()),
        2 => Just("BEGIN:VEVENT\nUID:1\nDTSTART;TZID=Own:20260105T090000\nRRULE:FREQ=DAILY".to_owned()),
        1 => Just("END:VEVENT".to_owned()),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever the lines, reading ends and gives a report, and nothing is left behind when the file is gone.
    #[test]
    fn no_file_breaks_the_timeline(
        lines in proptest::collection::vec(any_line(), 0..40),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("\n ")],
        system in prop_oneof![Just("UTC"), Just("Pacific/Kiritimati"), Just("America/Santiago")],
    ) {
        let mut timeline = timeline(system);
        let report = read(&mut timeline, "a.ics", &lines.join(end));
        prop_assert_eq!(report.events, timeline.events());
        for (from, to) in [
            ("-009999-01-02T01:59:59Z", "-009999-01-05T00:00:00Z"),
            ("9999-12-28T00:00:00Z", "9999-12-30T22:00:00Z"),
            ("2026-01-04T00:00:00Z", "2026-01-07T00:00:00Z"),
        ] {
            timeline.set_window(at(from), at(to));
            let shown = timeline.occurrences(at(from), at(to));
            prop_assert!(shown.into_iter().all(|occurrence| occurrence.summary.len() <= 200));
        }
        timeline.remove("a.ics".as_ref());
        prop_assert_eq!(timeline.events(), 0);
        prop_assert_eq!(timeline.schedule().at(at("2026-01-05T09:30:00Z")).unwrap().until, None);
    }
}
