//! Known rules, and a comparison with a search through all readings.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::calendar::Schedule;
use crate::policy::{Call, Claim, Reading, Snapshot, decide, default_rules};
use crate::time::{Instant, Now};

const EVERYTHING: SignalsOn = SignalsOn { sleep: true, call: true, idle: true, calendar: true };

fn rule(name: &str, when: When) -> Rule {
    Rule { name: name.to_owned(), when, set: Claim::Nothing, expiration: None, prefer: false }
}

/// Rules named `a`, `b`, … with these conditions.
fn rules(whens: impl IntoIterator<Item = When>) -> Vec<Rule> {
    ('a'..).zip(whens).map(|(name, when)| rule(&name.to_string(), when)).collect()
}

fn call(states: &[CallState]) -> When {
    When { call: states.iter().copied().map(Is::Value).collect(), ..When::default() }
}

fn hours(texts: &[&str]) -> Vec<Hours> {
    texts.iter().map(|text| text.parse().expect("hours")).collect()
}

fn signal(name: &str, values: &[&str]) -> When {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    When { signal: [(name.to_owned(), values)].into(), ..When::default() }
}

fn behind(name: &str) -> Unreached {
    Unreached::Behind(name.to_owned())
}

#[test]
fn all_default_rules_are_reached_if_all_signals_are_on() {
    assert_eq!(unreached(&default_rules(), EVERYTHING, &["work"]), []);
}

#[test]
fn a_rule_needs_its_signals() {
    use Unreached::{SignalOff, SignalOn};
    let off = SignalsOn::default();
    let why: Vec<_> = unreached(&default_rules(), off, &["work"]).into_iter().map(|(_, why)| why).collect();
    let [call, sleep, calendar, idle] = ["call", "sleep", "calendar", "idle"].map(SignalOff);
    // *locked* and *at the desk* remain: the socket can set the lock.
    assert_eq!(why, [call.clone(), call.clone(), call, sleep, calendar.clone(), calendar.clone(), idle]);
    let online = When { online: Some(false), ..When::default() };
    assert_eq!(unreached(&rules([online]), off, &["work"]), [(0, calendar)]);
    let no_calendar = When { calendar: vec![Is::Off], ..When::default() };
    assert_eq!(unreached(&rules([no_calendar.clone()]), EVERYTHING, &["work"]), [(0, SignalOn("calendar"))]);
    assert_eq!(unreached(&rules([no_calendar]), off, &["work"]), []);
}

#[test]
fn a_rule_is_behind_one_that_always_comes_first() {
    use CallState::{Conference, InCall, Presenting};
    let any = When::default;
    assert_eq!(unreached(&rules([any(), call(&[InCall])]), EVERYTHING, &["work"]), [(1, behind("a"))]);
    assert_eq!(
        unreached(&rules([call(&[InCall, Conference]), call(&[InCall])]), EVERYTHING, &["work"]),
        [(1, behind("a"))]
    );
    assert_eq!(unreached(&rules([call(&[InCall]), call(&[InCall, Conference])]), EVERYTHING, &["work"]), []);
    let in_the_office = When { within: hours(&["Mon..Fri 08:00-18:00"]), ..call(&[InCall]) };
    assert_eq!(unreached(&rules([in_the_office.clone(), call(&[InCall])]), EVERYTHING, &["work"]), []);
    assert_eq!(unreached(&rules([call(&[InCall]), in_the_office]), EVERYTHING, &["work"]), [(1, behind("a"))]);
    let both = rules([call(&[InCall]), call(&[Conference, Presenting]), call(&[InCall, Presenting])]);
    assert_eq!(unreached(&both, EVERYTHING, &["work"]), [(2, Unreached::BehindSeveral)]);
}

#[test]
fn hours_and_their_opposite_leave_nothing() {
    let within = |texts: &[&str]| When { within: hours(texts), ..When::default() };
    let outside = |texts: &[&str]| When { outside: hours(texts), ..When::default() };
    let (day, night) = ("08:00-18:00", "22:00-06:00");
    let why = |whens: [When; 3]| unreached(&rules(whens), EVERYTHING, &["work"]);
    assert_eq!(why([within(&[day]), outside(&[day]), When::default()]), [(2, Unreached::BehindSeveral)]);
    assert_eq!(why([within(&[day]), outside(&[night]), When::default()]), []);
    assert_eq!(why([within(&[day, night]), within(&[night]), within(&[day])]), [(1, behind("a")), (2, behind("a"))]);
    assert_eq!(why([outside(&[day]), outside(&[day, night]), outside(&[night])]), [(1, behind("a"))]);
}

#[test]
fn a_named_signal_may_always_have_another_value() {
    let why = |whens: [When; 3]| unreached(&rules(whens), EVERYTHING, &["work"]);
    let door = |values: &[&str]| signal("door", values);
    assert_eq!(why([door(&["open"]), door(&["shut"]), When::default()]), []);
    assert_eq!(why([door(&["open", "shut"]), door(&["shut"]), signal("lamp", &["shut"])]), [(1, behind("a"))]);
    assert_eq!(why([door(&["open"]), door(&["shut"]), door(&["shut", "open"])]), [(2, Unreached::BehindSeveral)]);
    let two = When {
        signal: [door(&["open"]).signal, signal("lamp", &["on"]).signal].into_iter().flatten().collect(),
        ..When::default()
    };
    assert_eq!(why([two.clone(), door(&["open"]), signal("lamp", &["on"])]), []);
    assert_eq!(why([door(&["open"]), two, When::default()]), [(1, behind("a"))]);
}

#[test]
fn many_rules_take_bounded_time() {
    let many = (0..60).map(|number| {
        let names = (0..30).map(|place| (format!("s{place}"), vec![format!("{}", number * place)]));
        When { signal: names.collect(), ..When::default() }
    });
    let many = many.chain([When::default()]);
    assert_eq!(unreached(&rules(many), EVERYTHING, &["work"]), []);
}

/// Conditions on two signals.
fn condition() -> impl Strategy<Value = When> {
    let call = prop::sample::subsequence(CallState::ALL.to_vec(), 0..=3);
    let calendar = prop::sample::subsequence(BusyClass::ALL.to_vec(), 0..=3);
    let (call_off, calendar_off, online) = (any::<bool>(), any::<bool>(), any::<Option<bool>>());
    (call, call_off, calendar, calendar_off, online).prop_map(|(call, call_off, calendar, calendar_off, online)| When {
        call: call.into_iter().map(Is::Value).chain(call_off.then_some(Is::Off)).collect(),
        calendar: calendar.into_iter().map(Is::Value).chain(calendar_off.then_some(Is::Off)).collect(),
        online,
        ..When::default()
    })
}

/// Every reading of the two signals.
fn snapshots(on: SignalsOn) -> Vec<Snapshot> {
    let call = |state: &CallState| Reading::Known(Call { state: *state, app: None });
    let calls: Vec<_> =
        if on.call { CallState::ALL.iter().map(call).chain([Reading::Unknown]).collect() } else { vec![Reading::Off] };
    let busy = |class: &BusyClass, online: bool| {
        let schedule =
            Schedule::new(Timestamp::UNIX_EPOCH, Timestamp::MAX, vec![(Timestamp::UNIX_EPOCH, *class, online)]);
        Reading::Known(Arc::new(schedule))
    };
    let calendars: Vec<_> = if on.calendar {
        let known = BusyClass::ALL.iter().flat_map(|class| [busy(class, true), busy(class, false)]);
        known.chain([Reading::Unknown]).collect()
    } else {
        vec![Reading::Off]
    };
    let pair = |call: &Reading<Call>| {
        let call = call.clone();
        calendars.clone().into_iter().map(move |calendar| Snapshot {
            call: call.clone(),
            calendar,
            ..Snapshot::default()
        })
    };
    calls.iter().flat_map(pair).collect()
}

proptest! {
    #[test]
    fn a_rule_that_is_named_never_decides(whens in prop::collection::vec(condition(), 1..6), call: bool, calendar: bool) {
        let rules = rules(whens);
        let on = SignalsOn { call, calendar, ..SignalsOn::default() };
        let now = Now { instant: Instant::default(), wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        let decides: BTreeSet<_> =
            snapshots(on).iter().filter_map(|snapshot| decide(&rules, snapshot, &now).rule).collect();
        let named: BTreeSet<_> = unreached(&rules, on, &["work"]).into_iter().map(|(place, _)| rules[place].name.clone()).collect();
        prop_assert!(decides.is_disjoint(&named));
        // If nothing depends on whether a meeting is online, the conditions are independent, so no rule is missed.
        if rules.iter().all(|rule| rule.when.online.is_none()) {
            prop_assert_eq!(decides.len() + named.len(), rules.len());
        }
    }
}

#[test]
fn a_rule_for_an_account_is_reached_only_if_no_rule_above_takes_all_of_it() {
    let of = |accounts: &[&str]| When {
        account: accounts.iter().map(|name| (*name).to_owned()).collect(),
        ..When::default()
    };
    let found = |whens: Vec<When>| unreached(&rules(whens), EVERYTHING, &["home", "work"]);
    assert_eq!(found(vec![of(&["home"]), of(&["work"])]), []);
    assert_eq!(found(vec![of(&["home"]), of(&["work"]), When::default()]), [(2, Unreached::BehindSeveral)]);
    assert_eq!(found(vec![of(&["home", "work"]), of(&["work"])]), [(1, behind("a"))]);
}
