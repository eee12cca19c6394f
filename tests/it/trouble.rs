//! Warnings about Graph: they appear after half a minute of trouble, keep their start time, and disappear with the trouble.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use presenced::status::report::Health;
use presenced::warning::{Code, Severity};
use presenced_emulator::{Call, Fault, Matches, Options, Then};

use crate::stage::lapse::Lapse;

const EVENTS: &str = "BEGIN:VCALENDAR\nEND:VCALENDAR\n";
const RULES: &str = "[[rules]]\nname = \"always\"\nset = \"Busy/InACall\"\n";

async fn start() -> Lapse {
    Lapse::start("2026-11-24T09:00:00Z", Options::default(), Vec::new(), EVENTS, RULES).await
}

fn on_set(then: Then) -> Fault {
    Fault::new(Matches::Only(Call::Set), then)
}

fn respond(status: u16, retry_after: Option<&str>) -> Then {
    let headers: BTreeMap<_, _> =
        retry_after.map(|value| ("Retry-After".to_owned(), value.to_owned())).into_iter().collect();
    Then::Respond { status, headers, body: None }
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-24T{time}Z").parse().unwrap()
}

/// The warnings, checked each second until `end`: each code, its start, and its texts, in order.
async fn warned(lapse: &Lapse, end: Timestamp) -> Vec<(Timestamp, Code, Timestamp, Vec<String>)> {
    let mut warned: Vec<(Timestamp, Code, Timestamp, Vec<String>)> = Vec::new();
    while lapse.now() < end {
        lapse.pass(Duration::from_secs(1)).await;
        let report = lapse.report();
        assert!(report.warnings.len() < 2, "{:?}", report.warnings);
        for warning in &report.warnings {
            match warned.last_mut() {
                Some((_, code, since, texts)) if (*code, *since) == (warning.code, warning.since) => {
                    if texts.last() != Some(&warning.text) {
                        texts.push(warning.text.clone());
                    }
                }
                _ => warned.push((lapse.now(), warning.code, warning.since, vec![warning.text.clone()])),
            }
        }
    }
    warned
}

#[tokio::test]
async fn a_failure_warns_after_half_a_minute_and_keeps_its_start_when_its_text_changes() {
    let lapse = start().await;
    // The keepalive is due at 09:12 and the session expires at 09:15: attempts come close together.
    lapse.until(at("09:11:59")).await;
    for status in [503, 504, 500, 502] {
        lapse.emulator.inject(Fault { times: Some(3), ..on_set(respond(status, None)) }).unwrap();
    }
    lapse.emulator.inject(on_set(Then::Reset)).unwrap();
    let warned_of = warned(&lapse, at("09:20:00")).await;
    let [(appeared, code, since, texts)] = warned_of.as_slice() else { panic!("{warned_of:?}") };
    assert_eq!((*code, *since), (Code::ServiceUnavailable, at("09:12:00")));
    assert_eq!(*appeared, at("09:12:30"), "not before it matters");
    assert!(texts.len() > 1 && texts.iter().any(|text| text.contains("broke off")), "{texts:?}");
    let report = lapse.report();
    assert_eq!((report.health, report.warnings[0].severity), (Health::Failing, Severity::Error));
    assert!(!report.warnings[0].hint.is_empty());
    lapse.emulator.clear_faults();
    // The longest backoff.
    lapse.pass(Duration::from_mins(5)).await;
    let report = lapse.report();
    assert_eq!(
        (report.health, report.warnings.len(), report.accounts["work"].last_error.is_none()),
        (Health::Ok, 0, true)
    );
}

#[tokio::test]
async fn throttling_is_a_separate_warning_with_its_own_start() {
    let lapse = start().await;
    lapse.until(at("09:11:59")).await;
    lapse.emulator.inject(Fault { lasts: Some("60s".parse().unwrap()), ..on_set(respond(503, None)) }).unwrap();
    lapse.emulator.inject(Fault { times: Some(2), ..on_set(respond(429, Some("40"))) }).unwrap();
    let warned_of = warned(&lapse, at("09:20:00")).await;
    let seen: Vec<_> = warned_of.iter().map(|(_, code, since, _)| (*code, *since)).collect();
    let throttled = seen.last().unwrap().1;
    assert_eq!(seen, [(Code::ServiceUnavailable, at("09:12:00")), (Code::Throttled, throttled)]);
    assert!(throttled >= at("09:12:59"), "{throttled}");
    assert_eq!(lapse.report().health, Health::Ok);
}

#[tokio::test]
async fn failures_of_less_than_half_a_minute_cause_no_warning() {
    let lapse = start().await;
    let in_20_s = |keepalive: Timestamp| {
        let date = keepalive + Duration::from_secs(20);
        date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    let faults: [&dyn Fn(Timestamp) -> Then; 7] = [
        &|_| respond(503, None),
        &|_| respond(429, None),
        &|_| respond(429, Some("20")),
        &|_| respond(429, Some("2.128")),
        &|keepalive| respond(429, Some(&in_20_s(keepalive))),
        &|_| respond(401, None),
        &|_| Then::Reset,
    ];
    for (failed, fault) in (1..).zip(faults) {
        let keepalive = lapse.report().accounts["work"].next.as_ref().unwrap().at;
        let then = fault(keepalive);
        lapse.emulator.inject(Fault { times: Some(1), ..on_set(then.clone()) }).unwrap();
        lapse.until(keepalive - Duration::from_secs(1)).await;
        let warned_of = warned(&lapse, keepalive + Duration::from_mins(1)).await;
        assert!(warned_of.is_empty(), "{then:?}: {warned_of:?}");
        let report = lapse.report();
        assert_eq!((report.health, report.accounts["work"].requests.failed), (Health::Ok, failed), "{then:?}");
    }
}
