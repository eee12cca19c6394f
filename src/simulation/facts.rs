//! The facts of a moment, and what follows from them: once as the snapshot that the policy decides on, and once told anew
//! from the documentation of the default rules, to hold the policy against.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::day::{DAY, Prefers};
use crate::calendar::{BusyClass, Schedule};
use crate::policy::{Call, CallState, Claim, Lock, Override, Reading, Sleep, Snapshot};
use crate::presence::Presence;
use crate::time::{Instant, Now};

/// What others ought to see of the app: a presence in its session, and whether it is preferred as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ought {
    pub(super) presence: Option<Presence>,
    pub(super) prefer: bool,
}

/// The signals.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) lock: Reading<Lock>,
    pub(super) sleep: Reading<Sleep>,
    pub(super) call: Reading<CallState>,
    pub(super) manual: Option<(Claim, Option<Instant>)>,
    /// From when on which class holds, in ascending order.
    calendar: Vec<(Timestamp, BusyClass)>,
    schedule: Arc<Schedule>,
    midnight: Timestamp,
}

impl Facts {
    pub(super) fn new(lock: Reading<Lock>, midnight: Timestamp) -> Self {
        let sleep = lock.clone().map(|_| Sleep::Awake);
        let call = Reading::Known(CallState::Idle);
        let schedule = Arc::new(Schedule::new(midnight, midnight, Vec::new()));
        let mut facts = Self { lock, sleep, call, manual: None, calendar: Vec::new(), schedule, midnight };
        facts.set_calendar(&[]);
        facts
    }

    pub(super) fn set_calendar(&mut self, changes: &[(Duration, BusyClass)]) {
        self.calendar = changes.iter().map(|(at, class)| (self.midnight + *at, *class)).collect();
        let changes = self.calendar.iter().map(|(at, class)| (*at, *class, false)).collect();
        // The clock may be set, and sleep may be long.
        self.schedule = Arc::new(Schedule::new(self.midnight - DAY, self.midnight + DAY * 3, changes));
    }

    /// As the daemon's board gives it to the policy.
    pub(super) fn snapshot(&self, now: &Now) -> Snapshot {
        let manual = self.manual.filter(|(_, until)| until.is_none_or(|until| now.instant < until));
        Snapshot {
            lock: self.lock.clone(),
            sleep: self.sleep.clone(),
            call: self.call.clone().map(|state| Call { state, app: None }),
            calendar: Reading::Known(Arc::clone(&self.schedule)),
            manual: manual.map(|(claim, until)| Override { claim, until: until.map(|until| now.wall_at(until)) }),
            ..Snapshot::default()
        }
    }

    /// What the documented default rules come to.
    pub(super) fn ought(&self, prefers: Prefers, now: &Now) -> Ought {
        if let Some((claim, until)) = self.manual
            && until.is_none_or(|until| now.instant < until)
        {
            return Ought { presence: claim.presence(), prefer: false };
        }
        let next = self.calendar.partition_point(|(from, _)| *from <= now.wall);
        let class = next.checked_sub(1).map_or(BusyClass::Free, |current| self.calendar[current].1);
        let presence = match (&self.call, &self.sleep, &self.lock, class) {
            (Reading::Known(CallState::Presenting), ..) => Some(Presence::Presenting),
            (Reading::Known(CallState::Conference), ..) => Some(Presence::InAConferenceCall),
            (Reading::Known(CallState::InCall), ..) => Some(Presence::InACall),
            (_, Reading::Known(Sleep::Suspending), ..)
            | (_, _, Reading::Known(Lock::Locked), _)
            | (.., BusyClass::OutOfOffice) => Some(Presence::Away),
            (.., BusyClass::Busy) => Some(Presence::InAConferenceCall),
            (_, _, Reading::Known(Lock::Unlocked) | Reading::Off, _) => Some(Presence::Available),
            (_, _, Reading::Unknown, _) => None,
        };
        Ought { presence, prefer: presence.is_some_and(|presence| prefers.includes(presence)) }
    }

    /// When they change by themselves.
    pub(super) fn next_change(&self, now: &Now) -> Option<Instant> {
        let next = self.calendar.partition_point(|(from, _)| *from <= now.wall);
        let calendar = self.calendar.get(next).map(|(from, _)| now.instant_at(*from));
        let manual = self.manual.and_then(|(_, until)| until).filter(|until| *until > now.instant);
        calendar.into_iter().chain(manual).min()
    }
}
