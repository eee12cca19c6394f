//! What is known of each signal at one moment: every reading is a value, unknown, or off.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::Claim;
use crate::calendar::{BusyState, Schedule};
use crate::words::words;

/// A signal's reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reading<T> {
    /// Not configured.
    #[default]
    Off,
    /// Configured, but not known right now: nothing may be claimed from it.
    Unknown,
    /// Known.
    Known(T),
}

impl<T> Reading<T> {
    /// The value, when there is one.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Off | Self::Unknown => None,
        }
    }

    /// The same reading of something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Off => Reading::Off,
            Self::Unknown => Reading::Unknown,
            Self::Known(value) => Reading::Known(change(value)),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Reading<T> {
    /// The value as configuration files write it, `unknown`, or `off`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Unknown => f.write_str("unknown"),
            Self::Known(value) => value.fmt(f),
        }
    }
}

words! {
    /// The screen lock.
    pub enum Lock {
        /// The user's session is locked, or not the active one.
        Locked = "locked",
        /// The user is at an unlocked session.
        Unlocked = "unlocked",
    }
}

words! {
    /// Whether the machine is about to sleep.
    pub enum Sleep {
        /// Running.
        Awake = "awake",
        /// Between the announcement of sleep and the resume.
        Suspending = "suspending",
    }
}

words! {
    /// Whether somebody uses the machine.
    pub enum Idle {
        /// There was input within the configured time.
        Active = "active",
        /// There was none for that long.
        Idle = "idle",
    }
}

words! {
    /// What a program says of a call, weakest first: of several programs the strongest state counts.
    pub enum CallState {
        /// No call.
        Idle = "idle",
        /// A call of two.
        InCall = "in-call",
        /// A call of more than two, or a scheduled meeting.
        Conference = "conference",
        /// Sharing a screen or giving a talk.
        Presenting = "presenting",
    }
}

/// The strongest call state, and which program says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The state.
    pub state: CallState,
    /// The program's name, if it gave one; `Firefox records` where the microphone tells.
    pub app: Option<String>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

/// A presence chosen by hand with `presenced set`; beats every rule while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What to claim.
    pub claim: Claim,
    /// When it ends by itself; `None`: when it is unset.
    pub until: Option<Timestamp>,
}

/// A signal set through the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its value.
    pub value: String,
    /// From when on it is unknown; `None`: never.
    pub until: Option<Timestamp>,
}

/// All readings: the whole input of a decision besides the rules and the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The screen lock.
    pub lock: Reading<Lock>,
    /// Sleep.
    pub sleep: Reading<Sleep>,
    /// Calls.
    pub call: Reading<Call>,
    /// Input.
    pub idle: Reading<Idle>,
    /// The calendar, as a schedule that answers for any moment of its window.
    pub calendar: Reading<Arc<Schedule>>,
    /// Signals by name, set through the socket.
    pub signals: BTreeMap<String, Named>,
    /// A manual override.
    pub manual: Option<Override>,
}

impl Snapshot {
    /// The calendar's busy state at `at`; unknown outside of the schedule's window.
    pub fn calendar_at(&self, at: Timestamp) -> Reading<BusyState> {
        match &self.calendar {
            Reading::Off => Reading::Off,
            Reading::Unknown => Reading::Unknown,
            Reading::Known(schedule) => schedule.at(at).map_or(Reading::Unknown, Reading::Known),
        }
    }
}
