//! The facts of a moment, and the snapshot of them that the policy decides on. What ought to follow from them is in `rules`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::day::DAY;
use super::rules::{FOCUS, Rules};
use crate::calendar::{BusyClass, Schedule};
use crate::policy::{Call, CallState, Claim, Idle, Lock, Named, Override, Reading, Sleep, Snapshot};
use crate::presence::Expiration;
use crate::session::Target;
use crate::time::{Instant, Now};

/// What others ought to see of the app: what is held in its session, and whether it is preferred as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ought {
    pub(super) target: Option<Target>,
    pub(super) prefer: bool,
}

/// All that a rule may ask for, at one moment.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub(super) lock: &'a Reading<Lock>,
    pub(super) sleep: &'a Reading<Sleep>,
    pub(super) call: &'a Reading<CallState>,
    pub(super) idle: &'a Reading<Idle>,
    pub(super) class: BusyClass,
    pub(super) online: bool,
    pub(super) focus: Option<&'static str>,
    pub(super) wall: Timestamp,
}

/// The signals.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) lock: Reading<Lock>,
    pub(super) sleep: Reading<Sleep>,
    pub(super) call: Reading<CallState>,
    pub(super) idle: Reading<Idle>,
    pub(super) manual: Option<(Claim, Option<Instant>)>,
    pub(super) focus: Option<(&'static str, Option<Instant>)>,
    /// From when on which class holds, and whether online, in ascending order.
    calendar: Vec<(Timestamp, BusyClass, bool)>,
    schedule: Arc<Schedule>,
    midnight: Timestamp,
}

impl Facts {
    pub(super) fn new(lock: Reading<Lock>, midnight: Timestamp) -> Self {
        let sleep = lock.clone().map(|_| Sleep::Awake);
        let call = Reading::Known(CallState::Idle);
        let schedule = Arc::new(Schedule::new(midnight, midnight, Vec::new()));
        let idle = Reading::Known(Idle::Active);
        let (manual, focus, calendar) = (None, None, Vec::new());
        let mut facts = Self { lock, sleep, call, idle, manual, focus, calendar, schedule, midnight };
        facts.set_calendar(&[]);
        facts
    }

    pub(super) fn set_calendar(&mut self, changes: &[(Duration, BusyClass, bool)]) {
        self.calendar = changes.iter().map(|(at, class, online)| (self.midnight + *at, *class, *online)).collect();
        // The clock may be set, and sleep may be long.
        let (from, to) = (self.midnight - DAY, self.midnight + DAY * 3);
        self.schedule = Arc::new(Schedule::new(from, to, self.calendar.clone()));
    }

    /// As the daemon's board gives it to the policy.
    pub(super) fn snapshot(&self, now: &Now) -> Snapshot {
        let ends_at = |until: Option<Instant>| until.map(|until| now.wall_at(until));
        let named = living(self.focus, now)
            .map(|(value, until)| (FOCUS.to_owned(), Named { value: value.to_owned(), until: ends_at(until) }));
        Snapshot {
            lock: self.lock.clone(),
            sleep: self.sleep.clone(),
            call: self.call.clone().map(|state| Call { state, app: None }),
            idle: self.idle.clone(),
            calendar: Reading::Known(Arc::clone(&self.schedule)),
            signals: BTreeMap::from_iter(named),
            manual: living(self.manual, now).map(|(claim, until)| Override { claim, until: ends_at(until) }),
        }
    }

    /// What `rules` come to where the session's expiration is `expiration`.
    pub(super) fn ought(&self, rules: Rules, expiration: Expiration, now: &Now) -> Ought {
        if let Some((claim, _)) = living(self.manual, now) {
            return Ought { target: claim.presence().map(|presence| Target { presence, expiration }), prefer: false };
        }
        let next = self.calendar.partition_point(|(from, ..)| *from <= now.wall);
        let (class, online) = next
            .checked_sub(1)
            .map_or((BusyClass::Free, false), |current| (self.calendar[current].1, self.calendar[current].2));
        let focus = living(self.focus, now).map(|(value, _)| value);
        let Self { lock, sleep, call, idle, .. } = self;
        rules.ought(&Moment { lock, sleep, call, idle, class, online, focus, wall: now.wall }, expiration)
    }

    /// When they, or what `rules` say of them, may change by themselves.
    pub(super) fn next_change(&self, rules: Rules, now: &Now) -> Option<Instant> {
        let next = self.calendar.partition_point(|(from, ..)| *from <= now.wall);
        let calendar = self.calendar.get(next).map(|(from, ..)| *from);
        let by_wall = calendar.into_iter().chain(rules.next_hour(now.wall)).map(|at| now.instant_at(at));
        let manual = living(self.manual, now).and_then(|(_, until)| until);
        let focus = living(self.focus, now).and_then(|(_, until)| until);
        by_wall.chain(manual).chain(focus).min()
    }
}

/// What was set for a while, while that lasts.
fn living<T>(set: Option<(T, Option<Instant>)>, now: &Now) -> Option<(T, Option<Instant>)> {
    set.filter(|(_, until)| until.is_none_or(|until| now.instant < until))
}
