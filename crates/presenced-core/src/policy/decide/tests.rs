//! A table of readings and the resulting decisions, and properties that hold for all readings.

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::calendar::{BusyClass, Schedule};
use crate::policy::{Call, CallState, Claim, Idle, Lock, Named, Override, Sleep, default_rules};
use crate::time::Instant;

fn at(time: &str) -> Timestamp {
    format!("2026-11-24T{time}Z").parse().expect("a time")
}

fn now(time: &str) -> Now {
    Now { instant: Instant::default(), wall: at(time), zone: TimeZone::UTC }
}

fn call(state: CallState) -> Reading<Call> {
    Reading::Known(Call { state, app: None })
}

/// A calendar for one day with these changes of the busy class.
fn calendar(changes: &[(&str, BusyClass)]) -> Reading<Arc<Schedule>> {
    let changes = changes.iter().map(|(time, class)| (at(time), *class, false)).collect();
    Reading::Known(Arc::new(Schedule::new(at("00:00:00"), at("23:59:59"), changes)))
}

fn desk() -> Snapshot {
    Snapshot {
        lock: Reading::Known(Lock::Unlocked),
        sleep: Reading::Known(Sleep::Awake),
        call: call(CallState::Idle),
        idle: Reading::Known(Idle::Active),
        calendar: calendar(&[("10:00:00", BusyClass::Busy), ("10:30:00", BusyClass::Free)]),
        ..Snapshot::default()
    }
}

#[test]
fn a_rule_for_accounts_decides_for_no_other() {
    let rule = |name: &str, accounts: &[&str], presence| Rule {
        name: name.to_owned(),
        when: When { account: accounts.iter().map(|name| (*name).to_owned()).collect(), ..When::default() },
        set: Claim::Hold(presence),
        expiration: None,
        prefer: false,
    };
    let rules = [rule("bots", &["bots", "agents"], Presence::InACall), rule("others", &[], Presence::Away)];
    let decided = |account: Option<&str>| {
        let snapshot = Snapshot { account: account.map(Into::into), ..desk() };
        let decision = decide(&rules, &snapshot, &now("09:00:00"));
        (decision.rule.unwrap_or_default(), decision.because)
    };
    assert_eq!(decided(Some("agents")), ("bots".to_owned(), "account is agents".to_owned()));
    let others = ("others".to_owned(), "the rule has no conditions".to_owned());
    assert_eq!((decided(Some("work")), decided(None)), (others.clone(), others));
}

#[test]
fn the_default_rules_decide_as_the_readme_says() {
    let busy = || calendar(&[("00:00:00", BusyClass::Busy)]);
    let class = |class| calendar(&[("00:00:00", class)]);
    let idle = || Reading::Known(Idle::Idle);
    let cases = [
        (desk(), "at the desk", Some(Presence::Available)),
        (Snapshot { call: call(CallState::InCall), ..desk() }, "call", Some(Presence::InACall)),
        (Snapshot { call: call(CallState::Conference), ..desk() }, "conference", Some(Presence::InAConferenceCall)),
        (Snapshot { call: call(CallState::Presenting), ..desk() }, "presenting", Some(Presence::Presenting)),
        (Snapshot { lock: Reading::Known(Lock::Locked), ..desk() }, "locked", Some(Presence::Away)),
        (Snapshot { sleep: Reading::Known(Sleep::Suspending), ..desk() }, "asleep", Some(Presence::Away)),
        (Snapshot { calendar: busy(), ..desk() }, "meeting", Some(Presence::InAConferenceCall)),
        (Snapshot { calendar: class(BusyClass::OutOfOffice), ..desk() }, "out of office", Some(Presence::Away)),
        (Snapshot { calendar: class(BusyClass::Tentative), ..desk() }, "at the desk", Some(Presence::Available)),
        (Snapshot { calendar: class(BusyClass::WorkingElsewhere), ..desk() }, "at the desk", Some(Presence::Available)),
        // A call beats the lock, and the lock beats a meeting.
        (
            Snapshot { call: call(CallState::InCall), lock: Reading::Known(Lock::Locked), calendar: busy(), ..desk() },
            "call",
            Some(Presence::InACall),
        ),
        (Snapshot { lock: Reading::Known(Lock::Locked), calendar: busy(), ..desk() }, "locked", Some(Presence::Away)),
        // A person in a meeting may not touch the mouse, so a meeting beats idle.
        (Snapshot { idle: idle(), ..desk() }, "idle", Some(Presence::Away)),
        (Snapshot { idle: idle(), calendar: busy(), ..desk() }, "meeting", Some(Presence::InAConferenceCall)),
        (Snapshot { idle: idle(), call: call(CallState::InCall), ..desk() }, "call", Some(Presence::InACall)),
        (Snapshot { idle: idle(), lock: Reading::Unknown, ..desk() }, "idle", Some(Presence::Away)),
        (Snapshot { idle: Reading::Unknown, ..desk() }, "at the desk", Some(Presence::Available)),
        // A signal that is off does not stop a rule; an unknown one does.
        (Snapshot::default(), "at the desk", Some(Presence::Available)),
    ];
    for (snapshot, rule, presence) in cases {
        let decision = decide(&default_rules(), &snapshot, &now("09:00:00"));
        assert_eq!((decision.rule.as_deref(), decision.presence), (Some(rule), presence), "{snapshot:?}");
    }
}

#[test]
fn a_change_after_thousands_without_effect_is_not_lost() {
    let class = |second: i64| if second % 2 == 0 { BusyClass::Tentative } else { BusyClass::Free };
    let second = |second| at("00:00:00") + SignedDuration::from_secs(second);
    let mut changes: Vec<_> = (1..10_000).map(|number| (second(number), class(number), false)).collect();
    changes.push((second(10_000), BusyClass::Busy, false));
    let schedule = Schedule::new(at("00:00:00"), at("23:59:59"), changes);
    let snapshot = Snapshot { calendar: Reading::Known(Arc::new(schedule)), ..desk() };
    let mut now = now("00:00:00");
    let mut decision = decide(&default_rules(), &snapshot, &now);
    while decision.rule.as_deref() == Some("at the desk") {
        now.wall = decision.until.expect("the meeting is yet to come");
        decision = decide(&default_rules(), &snapshot, &now);
    }
    assert_eq!((now.wall, decision.rule.as_deref()), (second(10_000), Some("meeting")));
}

#[test]
fn nothing_is_claimed_while_the_lock_is_unknown() {
    let snapshot = Snapshot { lock: Reading::Unknown, ..desk() };
    let decision = decide(&default_rules(), &snapshot, &now("09:00:00"));
    assert_eq!((decision.presence, decision.rule), (None, None));
    assert_eq!(decision.because, "no rule matches while lock is unknown");
    assert_eq!(decision.until, Some(at("10:00:00")), "the meeting is known");
}

#[test]
fn available_is_not_claimed_while_a_call_or_the_calendar_is_unknown() {
    for (snapshot, because) in [
        (Snapshot { call: Reading::Unknown, ..desk() }, "no rule matches while call is unknown"),
        (Snapshot { calendar: Reading::Unknown, ..desk() }, "no rule matches while calendar is unknown"),
    ] {
        let decision = decide(&default_rules(), &snapshot, &now("09:00:00"));
        assert_eq!((decision.presence, decision.because.as_str()), (None, because));
    }
}

#[test]
fn what_is_not_claimed_is_named_with_what_must_be_known_first() {
    let withheld = |rules: &[Rule], snapshot: Snapshot| {
        let withheld = decide(rules, &snapshot, &now("09:00:00")).withheld;
        withheld.map(|withheld| (withheld.presence, withheld.unknown))
    };
    let default = default_rules();
    let available = Some(Presence::Available);
    // *Out of office* and *meeting* might match too, but Available is what people miss.
    let unread = || Snapshot { calendar: Reading::Unknown, ..desk() };
    assert_eq!(withheld(&default, unread()), Some((available, vec!["calendar"])));
    let blind = Snapshot { call: Reading::Unknown, lock: Reading::Unknown, idle: Reading::Unknown, ..unread() };
    assert_eq!(withheld(&default, blind), Some((available, vec!["call", "lock", "calendar"])));
    assert_eq!(withheld(&default, desk()), None);
    let meetings = &default[6..7];
    assert_eq!(withheld(meetings, unread()), Some((Some(Presence::InAConferenceCall), vec!["calendar"])));
    assert_eq!(withheld(meetings, desk()), None);
    // A rule that what is known already rules out.
    let locked = When { lock: vec![Is::Value(Lock::Locked)], ..meetings[0].when.clone() };
    assert_eq!(withheld(&[Rule { when: locked, ..meetings[0].clone() }], unread()), None);
}

#[test]
fn a_meeting_starts_and_ends_exactly_on_time() {
    let decided = |time| {
        let decision = decide(&default_rules(), &desk(), &now(time));
        (decision.presence, decision.until)
    };
    assert_eq!(decided("09:59:59.999999999"), (Some(Presence::Available), Some(at("10:00:00"))));
    assert_eq!(decided("10:00:00"), (Some(Presence::InAConferenceCall), Some(at("10:30:00"))));
    assert_eq!(decided("10:29:59.999999999"), (Some(Presence::InAConferenceCall), Some(at("10:30:00"))));
    assert_eq!(decided("10:30:00"), (Some(Presence::Available), None));
}

#[test]
fn until_skips_changes_without_effect() {
    let snapshot = Snapshot {
        calendar: calendar(&[
            ("09:30:00", BusyClass::Tentative),
            ("10:00:00", BusyClass::Free),
            ("11:00:00", BusyClass::Busy),
        ]),
        ..desk()
    };
    assert_eq!(decide(&default_rules(), &snapshot, &now("09:00:00")).until, Some(at("11:00:00")));
    let locked = Snapshot { lock: Reading::Known(Lock::Locked), ..snapshot };
    assert_eq!(decide(&default_rules(), &locked, &now("09:00:00")).until, None, "no meeting changes Away");
}

#[test]
fn an_override_beats_every_rule_and_ends_by_itself() {
    let manual = Some(Override { claim: Claim::Hold(Presence::Presenting), until: Some(at("10:10:00")) });
    let snapshot = Snapshot { manual, call: call(CallState::InCall), ..desk() };
    let decision = decide(&default_rules(), &snapshot, &now("10:00:00"));
    assert_eq!(
        (decision.presence, decision.rule, decision.until),
        (Some(Presence::Presenting), None, Some(at("10:10:00")))
    );
    assert_eq!(decide(&default_rules(), &snapshot, &now("10:10:00")).presence, Some(Presence::InACall));

    let nothing = Snapshot { manual: Some(Override { claim: Claim::Nothing, until: None }), ..desk() };
    let decision = decide(&default_rules(), &nothing, &now("09:00:00"));
    assert_eq!((decision.presence, decision.because.as_str()), (None, "set by hand"));
}

#[test]
fn the_reason_names_what_decided() {
    let phone = Reading::Known(Call { state: CallState::InCall, app: Some("baresip".to_owned()) });
    let snapshot = Snapshot { call: phone, ..desk() };
    assert_eq!(decide(&default_rules(), &snapshot, &now("09:00:00")).because, "call is in-call (baresip)");
    assert_eq!(decide(&default_rules(), &desk(), &now("10:00:00")).because, "calendar is busy");
    assert_eq!(
        decide(&default_rules(), &Snapshot::default(), &now("10:00:00")).because,
        "call is off and lock is off and calendar is off"
    );
}

#[test]
fn named_signals_last_until_their_time_is_up() {
    let rule = Rule {
        name: "focus".to_owned(),
        when: When { signal: [("focus".to_owned(), vec!["on".to_owned()])].into(), ..When::default() },
        set: Claim::Hold(Presence::Presenting),
        expiration: None,
        prefer: false,
    };
    let signals = [("focus".to_owned(), Named { value: "on".to_owned(), until: Some(at("09:25:00")) })];
    let snapshot = Snapshot { signals: signals.into(), ..desk() };
    let decided = |time| {
        let decision = decide(std::slice::from_ref(&rule), &snapshot, &now(time));
        (decision.presence, decision.until)
    };
    assert_eq!(decided("09:00:00"), (Some(Presence::Presenting), Some(at("09:25:00"))));
    assert_eq!(decided("09:25:00"), (None, None));
    let off = Snapshot::default();
    assert_eq!(decide(std::slice::from_ref(&rule), &off, &now("09:00:00")).presence, None);
}

#[test]
fn the_deciding_rule_sets_prefer_and_an_override_never_does() {
    let mut rules = default_rules();
    for rule in &mut rules {
        rule.prefer = rule.name == "locked";
    }
    let prefers = |snapshot: &Snapshot| {
        let decision = decide(&rules, snapshot, &now("09:00:00"));
        (decision.presence, decision.prefer)
    };
    let locked = Snapshot { lock: Reading::Known(Lock::Locked), ..desk() };
    assert_eq!(prefers(&locked), (Some(Presence::Away), true));
    let suspending = Snapshot { sleep: Reading::Known(Sleep::Suspending), ..locked.clone() };
    assert_eq!(prefers(&suspending), (Some(Presence::Away), false), "another rule");
    let manual = Some(Override { claim: Claim::Hold(Presence::Away), until: None });
    assert_eq!(prefers(&Snapshot { manual, ..locked }), (Some(Presence::Away), false));
    assert!(!decide(&[], &desk(), &now("09:00:00")).prefer);
}

#[test]
fn a_rule_without_conditions_always_holds() {
    let rule =
        Rule { name: "rest".to_owned(), when: When::default(), set: Claim::Nothing, expiration: None, prefer: false };
    let decision = decide(&[rule], &Snapshot::default(), &now("09:00:00"));
    assert_eq!((decision.rule.as_deref(), decision.presence), (Some("rest"), None));
}

fn readings() -> impl Strategy<Value = Snapshot> {
    fn reading<T: Copy + std::fmt::Debug>(values: &'static [T]) -> impl Strategy<Value = Reading<T>> {
        prop_oneof![
            Just(Reading::Off),
            Just(Reading::Unknown),
            proptest::sample::select(values).prop_map(Reading::Known)
        ]
    }
    let changes = proptest::collection::btree_map(0..86_399_i64, proptest::sample::select(BusyClass::ALL), 0..12);
    let schedule = changes.prop_map(|changes| {
        let second = |second| at("00:00:00") + jiff::SignedDuration::from_secs(second);
        let changes = changes.into_iter().map(|(time, class)| (second(time), class, false)).collect();
        Reading::Known(Arc::new(Schedule::new(at("00:00:00"), at("23:59:59"), changes)))
    });
    let calendar = prop_oneof![Just(Reading::Off), Just(Reading::Unknown), schedule];
    (reading(Lock::ALL), reading(Sleep::ALL), reading(CallState::ALL), reading(Idle::ALL), calendar).prop_map(
        |(lock, sleep, state, idle, calendar)| Snapshot {
            lock,
            sleep,
            call: state.map(|state| Call { state, app: None }),
            idle,
            calendar,
            ..Snapshot::default()
        },
    )
}

proptest! {
    /// `until` is the first moment at which the decision differs. At every moment before it, the decision is the same.
    #[test]
    fn until_is_when_the_decision_changes(snapshot in readings(), second in 0..86_000_u32, probe in 0.0..1.0_f64) {
        let wall = at("00:00:00") + jiff::SignedDuration::from_secs(second.into());
        let decided = |wall| {
            let decision = decide(&default_rules(), &snapshot, &Now { wall, ..now("00:00:00") });
            (decision.presence, decision.rule)
        };
        let until = decide(&default_rules(), &snapshot, &Now { wall, ..now("00:00:00") }).until;
        let end = until.unwrap_or(at("23:59:58"));
        let between = wall + jiff::SignedDuration::from_secs_f64(probe * end.duration_since(wall).as_secs_f64());
        if between < end {
            prop_assert_eq!(decided(between), decided(wall));
        }
        if let Some(until) = until {
            prop_assert!(until > wall);
            prop_assert_ne!(decided(until), decided(wall));
        }
    }

    /// No rule that depends on an unknown reading decides.
    #[test]
    fn an_unknown_reading_supports_no_claim(snapshot in readings()) {
        let rules = default_rules();
        let decision = decide(&rules, &snapshot, &now("12:00:00"));
        let deciding = rules.iter().find(|rule| Some(&rule.name) == decision.rule.as_ref());
        if let Some(rule) = deciding {
            prop_assert!(rule.when.lock.is_empty() || snapshot.lock != Reading::Unknown);
            prop_assert!(rule.when.call.is_empty() || snapshot.call != Reading::Unknown);
            prop_assert!(rule.when.idle.is_empty() || snapshot.idle != Reading::Unknown);
            prop_assert!(rule.when.calendar.is_empty() || snapshot.calendar_at(at("12:00:00")) != Reading::Unknown);
        } else {
            prop_assert_eq!(decision.presence, None);
        }
    }
}
