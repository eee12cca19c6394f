//! What is known about each signal at one moment. Each reading is a value, unknown, or off.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::Claim;
use crate::calendar::{BusyState, Schedule};
use crate::words;

/// A signal's reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reading<T> {
    /// Not configured.
    #[default]
    Off,
    /// Configured, but not known right now. It supports no claim.
    Unknown,
    /// Known.
    Known(T),
}

impl<T> Reading<T> {
    /// The value, if it is known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Off | Self::Unknown => None,
        }
    }

    /// The same reading with a converted value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Off => Reading::Off,
            Self::Unknown => Reading::Unknown,
            Self::Known(value) => Reading::Known(change(value)),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Reading<T> {
    /// The value as in configuration files, `unknown`, or `off`.
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
        /// The user's login session is locked, or is not the active one.
        Locked = "locked",
        /// The user's login session is active and unlocked.
        Unlocked = "unlocked",
    }
}

words! {
    /// Whether the machine is about to sleep.
    pub enum Sleep {
        /// Running.
        Awake = "awake",
        /// Sleep was announced, and the machine has not resumed yet.
        Suspending = "suspending",
    }
}

words! {
    /// Whether the user is using the machine.
    pub enum Idle {
        /// There was input within the configured time.
        Active = "active",
        /// There was no input for that long.
        Idle = "idle",
    }
}

words! {
    /// The state of a program's call, weakest first. If several programs report one, the strongest wins.
    pub enum CallState {
        /// No call.
        Idle = "idle",
        /// A call with one other person.
        InCall = "in-call",
        /// A call with several people, or a scheduled meeting.
        Conference = "conference",
        /// Sharing a screen or giving a talk.
        Presenting = "presenting",
    }
}

/// The strongest call state, and the program that reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The state.
    pub state: CallState,
    /// The program's name, if known. `Firefox records` if the source is the microphone.
    pub app: Option<String>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

/// A presence set by hand with `presenced set`. It beats every rule while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What to claim.
    pub claim: Claim,
    /// When it ends by itself; `None` means that it lasts until it is unset.
    pub until: Option<Timestamp>,
}

/// A signal set through the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its value.
    pub value: String,
    /// When it becomes unknown; `None` means never.
    pub until: Option<Timestamp>,
}

/// All readings. Together with the rules and the time, this is the whole input of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The account whose presence is decided; `None`: nobody's in particular, so no rule for an account holds.
    pub account: Option<Arc<str>>,
    /// The screen lock.
    pub lock: Reading<Lock>,
    /// Sleep.
    pub sleep: Reading<Sleep>,
    /// Calls.
    pub call: Reading<Call>,
    /// User input.
    pub idle: Reading<Idle>,
    /// The calendar, as a schedule that covers a window of time.
    pub calendar: Reading<Arc<Schedule>>,
    /// Signals by name, set through the socket.
    pub signals: BTreeMap<String, Named>,
    /// A manual override.
    pub manual: Option<Override>,
}

impl Snapshot {
    /// The calendar's busy state at `at`. Unknown outside of the schedule's window.
    pub fn calendar_at(&self, at: Timestamp) -> Reading<BusyState> {
        match &self.calendar {
            Reading::Off => Reading::Off,
            Reading::Unknown => Reading::Unknown,
            Reading::Known(schedule) => schedule.at(at).map_or(Reading::Unknown, Reading::Known),
        }
    }
}
