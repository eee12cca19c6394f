//! The forecast: the presence that the rules decide over a window of the calendar, if nothing else changes. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::calendar::Schedule;
use crate::config::Signals;
use crate::policy::{Call, CallState, Idle, Lock, Reading, Rule, Sleep, Snapshot, decide};
use crate::presence::Presence;
use crate::time::{Instant, Now};

/// The claim over a span of time, `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// `None` claims nothing.
    pub(super) presence: Option<Presence>,
    /// The rule that decides; `None` if no rule matches.
    pub(super) rule: Option<String>,
    pub(super) because: String,
}

/// The readings for a user at the desk and not in a call: the enabled signals are inactive, the others are off.
pub(super) fn at_the_desk(account: Option<&str>, signals: &Signals, calendar: Reading<Arc<Schedule>>) -> Snapshot {
    let idle = Call { state: CallState::Idle, app: None };
    // The lock's service also reports sleep.
    let Signals { calendar: _, lock, call, microphone, idle: idle_signal } = signals;
    let (lock, sleep) = match lock {
        Some(_) => (Reading::Known(Lock::Unlocked), Reading::Known(Sleep::Awake)),
        None => (Reading::Off, Reading::Off),
    };
    let detects_calls = call.is_some() || microphone.is_some();
    Snapshot {
        account: account.map(Into::into),
        lock,
        sleep,
        call: if detects_calls { Reading::Known(idle) } else { Reading::Off },
        idle: if idle_signal.is_some() { Reading::Known(Idle::Active) } else { Reading::Off },
        calendar,
        signals: BTreeMap::new(),
        manual: None,
    }
}

/// What the rules claim in `[from, to)`, which the snapshot's calendar must cover if it is known. The result covers all of it, in order.
pub(super) fn forecast(
    rules: &[Rule],
    snapshot: &Snapshot,
    (from, to): (Timestamp, Timestamp),
    zone: &TimeZone,
) -> Vec<Claimed> {
    let mut claimed: Vec<Claimed> = Vec::new();
    let mut at = from;
    while at < to {
        let decision = decide(rules, snapshot, &Now { instant: Instant::default(), wall: at, zone: zone.clone() });
        let next = decision.until.filter(|until| *until < to).unwrap_or(to);
        match claimed.last_mut() {
            // The new decision is the same as the last one.
            Some(last) if last.rule == decision.rule && last.presence == decision.presence => last.to = next,
            Some(_) | None => claimed.push(Claimed {
                from: at,
                to: next,
                presence: decision.presence,
                rule: decision.rule,
                because: decision.because,
            }),
        }
        at = next;
    }
    claimed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::BusyClass;
    use crate::policy::{Claim, Is, When, default_rules};

    fn at(text: &str) -> Timestamp {
        format!("2026-11-24T{text}:00Z").parse().unwrap()
    }

    fn day(changes: &[(&str, BusyClass)]) -> Schedule {
        let changes = changes.iter().map(|(time, class)| (at(time), *class, false)).collect();
        Schedule::new(at("00:00"), at("23:59"), changes)
    }

    fn shown(rules: &[Rule], signals: &Signals, schedule: Schedule) -> Vec<String> {
        shown_with(rules, signals, schedule.window(), Reading::Known(Arc::new(schedule)))
    }

    fn shown_with(
        rules: &[Rule],
        signals: &Signals,
        window: (Timestamp, Timestamp),
        calendar: Reading<Arc<Schedule>>,
    ) -> Vec<String> {
        let spans = forecast(rules, &at_the_desk(None, signals, calendar), window, &TimeZone::UTC);
        assert!(spans.windows(2).all(|pair| pair[0].to == pair[1].from), "{spans:?}");
        assert_eq!((spans[0].from, spans[spans.len() - 1].to), window);
        let clock = |at: Timestamp| at.strftime("%H:%M").to_string();
        spans
            .iter()
            .map(|span| {
                let presence = span.presence.map_or_else(|| "nothing".to_owned(), |presence| presence.to_string());
                format!("{} {presence} {}: {}", clock(span.from), span.rule.as_deref().unwrap_or("-"), span.because)
            })
            .collect()
    }

    #[test]
    fn the_default_rules_follow_the_calendar() {
        let schedule = day(&[
            ("08:00", BusyClass::Tentative),
            ("09:00", BusyClass::Busy),
            ("10:00", BusyClass::OutOfOffice),
            ("23:00", BusyClass::Free),
        ]);
        assert_eq!(
            shown(&default_rules(), &Signals::default(), schedule),
            [
                "00:00 Available/Available at the desk: call is off and lock is off and calendar is free",
                "09:00 Busy/InAConferenceCall meeting: calendar is busy",
                "10:00 Away/Away out of office: calendar is out-of-office",
                "23:00 Available/Available at the desk: call is off and lock is off and calendar is free",
            ]
        );
    }

    #[test]
    fn enabled_signals_are_inactive() {
        let signals = Signals { lock: Some(crate::config::Lock {}), ..Signals::default() };
        assert_eq!(
            shown(&default_rules(), &signals, day(&[])),
            ["00:00 Available/Available at the desk: call is off and lock is unlocked and calendar is free"]
        );
    }

    #[test]
    fn with_an_unknown_calendar_nothing_is_claimed() {
        let shown = shown_with(&default_rules(), &Signals::default(), (at("00:00"), at("23:59")), Reading::Unknown);
        assert_eq!(shown, ["00:00 nothing -: no rule matches while calendar is unknown"]);
    }

    #[test]
    fn hours_divide_the_day_and_nothing_is_claimed_without_a_rule() {
        let when =
            When { within: vec!["Mon..Fri 09:00-17:00".parse().unwrap()], lock: vec![Is::Off], ..When::default() };
        let rule = Rule {
            name: "office".to_owned(),
            when,
            set: Claim::Hold(Presence::Available),
            expiration: None,
            prefer: false,
        };
        assert_eq!(
            shown(&[rule], &Signals::default(), day(&[("10:00", BusyClass::Busy)])),
            [
                "00:00 nothing -: no rule matches",
                "09:00 Available/Available office: lock is off and within Mon..Fri 09:00-17:00",
                "17:00 nothing -: no rule matches",
            ]
        );
    }
}
