//! Rules: conditions on the readings and the presence to claim when all of them hold.

use std::collections::BTreeMap;
use std::fmt;

use super::{CallState, Hours, Idle, Lock, Sleep};
use crate::calendar::BusyClass;
use crate::presence::{Expiration, Presence};

/// What a rule or an override asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Hold this presence.
    Hold(Presence),
    /// Hold nothing: clear the app session.
    Nothing,
}

impl Claim {
    /// The presence to hold, if any.
    pub const fn presence(self) -> Option<Presence> {
        match self {
            Self::Hold(presence) => Some(presence),
            Self::Nothing => None,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(presence) => presence.fmt(f),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// One value a condition accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is<T> {
    /// The signal is not configured (`"off"`).
    Off,
    /// The signal has this value.
    Value(T),
}

/// The conditions of a rule. Each list is "any of"; an empty list is no condition; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// The screen lock is one of these.
    pub lock: Vec<Is<Lock>>,
    /// Sleep is one of these.
    pub sleep: Vec<Is<Sleep>>,
    /// The call state is one of these.
    pub call: Vec<Is<CallState>>,
    /// Input is one of these.
    pub idle: Vec<Is<Idle>>,
    /// The calendar's busy class is one of these.
    pub calendar: Vec<Is<BusyClass>>,
    /// The event that makes the calendar busy is (or is not) an online meeting.
    pub online: Option<bool>,
    /// The time lies in one of these.
    pub within: Vec<Hours>,
    /// The time lies in none of these.
    pub outside: Vec<Hours>,
    /// Each named signal has one of these values.
    pub signal: BTreeMap<String, Vec<String>>,
}

/// A rule: the first whose conditions all hold decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in `status` and logs; unique.
    pub name: String,
    /// Its conditions.
    pub when: When,
    /// What to claim.
    pub set: Claim,
    /// The session's expiration while this rule decides; `None`: the one of `[session]`.
    pub expiration: Option<Expiration>,
    /// While this rule decides, the matching preferred presence is set as well. Says nothing where nothing is claimed.
    pub prefer: bool,
}

/// The rules in force when the configuration has none.
pub fn default_rules() -> Vec<Rule> {
    let rule = |name: &str, when, presence| Rule {
        name: name.to_owned(),
        when,
        set: Claim::Hold(presence),
        expiration: None,
        prefer: false,
    };
    let call = |state| When { call: vec![Is::Value(state)], ..When::default() };
    let calendar = |class| When { calendar: vec![Is::Value(class)], ..When::default() };
    let lock = |lock| When { lock, ..When::default() };
    vec![
        rule("presenting", call(CallState::Presenting), Presence::Presenting),
        rule("conference", call(CallState::Conference), Presence::InAConferenceCall),
        rule("call", call(CallState::InCall), Presence::InACall),
        rule("asleep", When { sleep: vec![Is::Value(Sleep::Suspending)], ..When::default() }, Presence::Away),
        rule("locked", lock(vec![Is::Value(Lock::Locked)]), Presence::Away),
        rule("out of office", calendar(BusyClass::OutOfOffice), Presence::Away),
        rule("meeting", calendar(BusyClass::Busy), Presence::InAConferenceCall),
        // Behind the meetings: whoever listens does not touch the mouse.
        rule("idle", When { idle: vec![Is::Value(Idle::Idle)], ..When::default() }, Presence::Away),
        rule("at the desk", lock(vec![Is::Value(Lock::Unlocked), Is::Off]), Presence::Available),
    ]
}
