//! The readings of all signals, and the snapshot of them for the policy. Leaves to others: the presence to expect (`rules`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::day::DAY;
use super::rules::{Expected, Moment, Rules};
use crate::calendar::{BusyClass, Schedule};
use crate::kept::Lasting;
use crate::policy::{Call, CallState, Claim, Idle, Lock, Named, Override, Reading, Sleep, Snapshot};
use crate::presence::Expiration;
use crate::session::Target;
use crate::time::{Instant, Now};

/// The readings of all signals.
#[derive(Debug)]
pub(super) struct Signals {
    pub(super) lock: Reading<Lock>,
    pub(super) sleep: Reading<Sleep>,
    pub(super) call: Reading<CallState>,
    pub(super) idle: Reading<Idle>,
    /// What somebody set, and has not ended.
    pub(super) manual: Option<(Claim, Option<Instant>)>,
    pub(super) focus: Option<(&'static str, Option<Instant>)>,
    /// When one of the two was last changed.
    pub(super) set_at: (Instant, Timestamp),
    /// What presenced knows of the two.
    pub(super) board: Board,
    /// The time of each change, the new class, and whether it is online, ascending.
    calendar: Vec<(Timestamp, BusyClass, bool)>,
    schedule: Arc<Schedule>,
    midnight: Timestamp,
}

/// What was set through the socket, as presenced knows it.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) manual: Option<Lasting<Claim>>,
    pub(super) signals: BTreeMap<String, Lasting<&'static str>>,
}

impl Signals {
    pub(super) fn new(lock: Reading<Lock>, midnight: Timestamp) -> Self {
        let sleep = lock.clone().map(|_| Sleep::Awake);
        let call = Reading::Known(CallState::Idle);
        let schedule = Arc::new(Schedule::new(midnight, midnight, Vec::new()));
        let idle = Reading::Known(Idle::Active);
        let (set_at, board, calendar) = ((Instant::default(), midnight), Board::default(), Vec::new());
        let (manual, focus) = (None, None);
        let mut signals = Self { lock, sleep, call, idle, manual, focus, set_at, board, calendar, schedule, midnight };
        signals.set_calendar(&[]);
        signals
    }

    pub(super) fn set_calendar(&mut self, changes: &[(Duration, BusyClass, bool)]) {
        self.calendar = changes.iter().map(|(at, class, online)| (self.midnight + *at, *class, *online)).collect();
        // The window is wide, because the clock may be set and sleep may be long.
        let (from, to) = (self.midnight - DAY, self.midnight + DAY * 3);
        self.schedule = Arc::new(Schedule::new(from, to, self.calendar.clone()));
    }

    /// The snapshot that the daemon's board would give to the policy.
    pub(super) fn snapshot(&self, now: &Now) -> Snapshot {
        let ends_at = |until: Option<Instant>| until.map(|until| now.wall_at(until));
        let Board { manual, signals } = &self.board;
        let named = signals.iter().filter(|(_, signal)| signal.is_in_force(now)).map(|(name, signal)| {
            (name.clone(), Named { value: signal.value.to_owned(), until: ends_at(signal.until) })
        });
        Snapshot {
            account: None,
            lock: self.lock.clone(),
            sleep: self.sleep.clone(),
            call: self.call.clone().map(|state| Call { state, app: None }),
            idle: self.idle.clone(),
            calendar: Reading::Known(Arc::clone(&self.schedule)),
            signals: named.collect(),
            manual: manual
                .as_ref()
                .filter(|manual| manual.is_in_force(now))
                .map(|manual| Override { claim: manual.value, until: ends_at(manual.until) }),
        }
    }

    /// The expected presence under `rules`, if the session's expiration is `expiration`.
    pub(super) fn expected(&self, rules: Rules, expiration: Expiration, now: &Now) -> Expected {
        if let Some((claim, _)) = active(self.manual, now) {
            return Expected {
                target: claim.presence().map(|presence| Target { presence, expiration }),
                prefer: false,
            };
        }
        let next = self.calendar.partition_point(|(from, ..)| *from <= now.wall);
        let (class, online) = next
            .checked_sub(1)
            .map_or((BusyClass::Free, false), |current| (self.calendar[current].1, self.calendar[current].2));
        let focus = active(self.focus, now).map(|(value, _)| value);
        let Self { lock, sleep, call, idle, .. } = self;
        rules.expected(&Moment { lock, sleep, call, idle, class, online, focus, wall: now.wall }, expiration)
    }

    /// When the readings, or the expected presence under `rules`, may next change by themselves.
    pub(super) fn next_change(&self, rules: Rules, now: &Now) -> Option<Instant> {
        let next = self.calendar.partition_point(|(from, ..)| *from <= now.wall);
        let calendar = self.calendar.get(next).map(|(from, ..)| *from);
        let by_wall = calendar.into_iter().chain(rules.next_hour(now.wall)).map(|at| now.instant_at(at));
        let manual = active(self.manual, now).and_then(|(_, until)| until);
        let focus = active(self.focus, now).and_then(|(_, until)| until);
        by_wall.chain(manual).chain(focus).min()
    }
}

/// A value that was set for a while, if it has not ended.
fn active<T>(set: Option<(T, Option<Instant>)>, now: &Now) -> Option<(T, Option<Instant>)> {
    set.filter(|(_, until)| until.is_none_or(|until| now.instant < until))
}
