//! Tests `recurrence` against a table of expected times, and against itself. The head of the table says where its rows come from.

use jiff::civil::DateTime;
use jiff::{SignedDuration, ToSpan as _};

use super::super::value::{Written, date_or_time};
use super::{Budget, Rule, RuleText, Until, occurrences};
use proptest::prelude::*;

/// Why a row is expected to differ; `None` if it is not. Programs do not agree on rows that RFC 5545 forbids.
fn exception(case: &Case) -> Option<&'static str> {
    let part = |name: &str| case.rule.split(';').any(|part| part.starts_with(name));
    let freq = |names: &[&str]| names.iter().any(|name| part(&format!("FREQ={name}")));
    if part("BYWEEKNO=") && !freq(&["YEARLY"]) {
        return Some("RFC 5545, 3.3.10: BYWEEKNO MUST NOT be used when FREQ is not YEARLY; it is ignored");
    }
    if part("BYYEARDAY=") && freq(&["DAILY", "WEEKLY", "MONTHLY"]) {
        return Some("RFC 5545, 3.3.10: BYYEARDAY MUST NOT be used with this FREQ; it is ignored");
    }
    if part("BYMONTHDAY=") && freq(&["WEEKLY"]) {
        return Some("RFC 5545, 3.3.10: BYMONTHDAY MUST NOT be used with WEEKLY; it is ignored");
    }
    if freq(&["YEARLY"])
        && part("BYMONTHDAY=")
        && !["BYMONTH=", "BYDAY=", "BYYEARDAY=", "BYWEEKNO="].into_iter().any(part)
    {
        // dateutil takes every month. Rows that come to the same do not differ.
        let every_month =
            ["FREQ=YEARLY;COUNT=3;BYMONTHDAY=1,3", "FREQ=YEARLY;COUNT=3;BYSETPOS=3,-3;BYMONTHDAY=15;BYHOUR=6,18"];
        return every_month
            .contains(&case.rule.as_str())
            .then_some("the month comes from the start, as in Google, libical and ical.js");
    }
    (case.rule == "FREQ=YEARLY;COUNT=3;BYWEEKNO=20")
        .then_some("RFC 5545, 3.3.10: information missing from the rule comes from the start, here the weekday")
}

struct Case {
    id: String,
    start: DateTime,
    rule: String,
    exact: bool,
    expected: Vec<DateTime>,
}

const TABLE: &str = include_str!("../../../testdata/rrule_cases.tsv");

fn cases() -> impl Iterator<Item = Case> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(parse)
}

fn rule(text: &str, start: DateTime) -> Result<Rule, String> {
    let text = RuleText::read(text);
    let until = match text.until {
        Until::Never => None,
        Until::At(until) => Some(until),
        Until::Unreadable => return Err("UNTIL".to_owned()),
    };
    let (rule, problems) = Rule::parse(&text.parts, until, start, false)?;
    if problems.is_empty() { Ok(rule) } else { Err(problems.join(", ")) }
}

fn time(text: &str) -> DateTime {
    match date_or_time(text.as_bytes()) {
        Some(Written::Day(date)) => date.at(0, 0, 0, 0),
        Some(Written::Local(at) | Written::Utc(at)) => at,
        None => panic!("{text} is not a time"),
    }
}

fn parse(line: &str) -> Case {
    let columns: Vec<&str> = line.split('\t').collect();
    let [suite, id, start, zone, rule, mode, expected] = columns[..] else { panic!("not seven columns: {line}") };
    assert!(zone.is_empty(), "zones are not tested here: {line}");
    Case {
        id: format!("{suite} {id}"),
        start: time(start),
        rule: rule.to_owned(),
        exact: mode == "exact",
        expected: expected.split(',').filter(|text| !text.is_empty()).map(time).collect(),
    }
}

/// The times in a window that begins at `from` (or at the start) and ends right after the last expected time. If the row is
/// exact, the window ends 30 years later, as the rule must end by itself.
fn given(case: &Case, from: Option<DateTime>) -> Result<Vec<DateTime>, String> {
    let rule = rule(&case.rule, case.start)?;
    let last = case.expected.last().copied().unwrap_or(case.start);
    let far = if case.exact { last.saturating_add(30.years()) } else { last.saturating_add(1.second()) };
    let to = rule.end(&jiff::tz::TimeZone::UTC).map_or(far, |end| end.min(far));
    occurrences(&rule, case.start, from.unwrap_or(case.start), to, &mut Budget::new(u64::MAX))
        .map_err(|error| format!("{error:?}"))
}

#[test]
fn the_times_are_those_in_the_table() {
    let cases: Vec<Case> = cases().collect();
    let mut wrong = Vec::new();
    for case in &cases {
        let excepted = exception(case).is_some();
        let outcome = given(case, None);
        let agrees = outcome.as_ref() == Ok(&case.expected);
        if agrees == excepted {
            wrong.push(format!(
                "{}: {} from {}\n    expected {:?}\n    given    {outcome:?}",
                case.id, case.rule, case.start, case.expected
            ));
        }
    }
    let excepted = cases.iter().filter(|case| exception(case).is_some()).count();
    println!("{} rows, {excepted} of them expected to differ, and {} wrong", cases.len(), wrong.len());
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Starting near the window must not change the times in it.
#[test]
fn the_times_are_the_same_if_the_window_begins_later() {
    for case in cases() {
        if exception(&case).is_some() {
            continue;
        }
        for skipped in [case.expected.len() / 2, case.expected.len().saturating_sub(1)] {
            let Some(from) = case.expected.get(skipped) else { continue };
            for from in [*from, *from - SignedDuration::from_secs(1), *from + SignedDuration::from_secs(1)] {
                let expected: Vec<_> = case.expected.iter().copied().filter(|at| *at >= from).collect();
                assert_eq!(given(&case, Some(from)), Ok(expected), "{}: {} from {from}", case.id, case.rule);
            }
        }
    }
}

/// A part of a rule, or nothing.
fn part(name: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        1 => proptest::sample::subsequence(values, 1..=2).prop_map(move |some| format!(";{name}={}", some.join(","))),
    ]
}

proptest! {
    /// A window far from the start has the same times as an expansion that walks there from the start.
    #[test]
    fn starting_near_the_window_changes_nothing_in_it(
        freq in prop_oneof![
            Just("HOURLY"), Just("DAILY"), Just("WEEKLY"), Just("MONTHLY"), Just("YEARLY"),
        ],
        interval in 1..7_u32,
        count in prop_oneof![2 => Just(None), 1 => (1..3_000_u32).prop_map(Some)],
        by_month in part("BYMONTH", &["1", "2", "6", "12"]),
        by_month_day in part("BYMONTHDAY", &["1", "15", "29", "31", "-1"]),
        by_day in part("BYDAY", &["MO", "WE", "SU", "SA"]),
        by_week_no in part("BYWEEKNO", &["1", "20", "52", "53", "-1"]),
        by_hour in part("BYHOUR", &["0", "9", "17"]),
        by_minute in part("BYMINUTE", &["0", "30"]),
        by_set_pos in part("BYSETPOS", &["1", "2", "-1"]),
        week_start in prop_oneof![Just(""), Just(";WKST=SU"), Just(";WKST=TH")],
        skip in prop_oneof![4 => Just(""), 1 => Just(";RSCALE=GREGORIAN;SKIP=FORWARD"), 1 => Just(";RSCALE=GREGORIAN;SKIP=BACKWARD")],
        day in 0..3_000_i64,
        minute in 0..1440_i64,
        later in 0..3_000_i64,
        days in 1..60_i64,
    ) {
        let count = count.map_or(String::new(), |count| format!(";COUNT={count}"));
        let text = format!(
            "FREQ={freq};INTERVAL={interval}{count}{by_month}{by_month_day}{by_day}{by_week_no}{by_hour}{by_minute}{by_set_pos}{week_start}{skip}"
        );
        let start = time("20150101") + SignedDuration::from_mins(day * 1440 + minute);
        let from = start + SignedDuration::from_hours(later * 24 + 5);
        let to = from + SignedDuration::from_hours(days * 24);
        let rule = rule(&text, start).unwrap();
        let given = |from| occurrences(&rule, start, from, to, &mut Budget::new(u64::MAX)).unwrap();
        let walked: Vec<_> = given(start).into_iter().filter(|at| *at >= from).collect();
        prop_assert_eq!(given(from), walked, "{} from {}", text, start);
    }
}
