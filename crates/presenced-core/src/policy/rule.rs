//! Rules: conditions on the readings, and the presence to claim when all conditions hold.

use std::collections::BTreeMap;

use super::{CallState, Claim, Hours, Idle, Lock, Sleep};
use crate::calendar::BusyClass;
use crate::presence::{Expiration, Presence};

/// One value that a condition accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is<T> {
    /// The signal is not configured (`"off"`).
    Off,
    /// The signal has this value.
    Value(T),
}

/// The conditions of a rule. All of them must hold. A list holds if the reading is any of its values; an empty list always
/// holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// The account whose presence is decided is one of these.
    pub account: Vec<String>,
    /// The screen lock is one of these.
    pub lock: Vec<Is<Lock>>,
    /// Sleep is one of these.
    pub sleep: Vec<Is<Sleep>>,
    /// The call state is one of these.
    pub call: Vec<Is<CallState>>,
    /// User input is one of these.
    pub idle: Vec<Is<Idle>>,
    /// The calendar's busy class is one of these.
    pub calendar: Vec<Is<BusyClass>>,
    /// Whether the event that makes the calendar busy must be, or must not be, an online meeting.
    pub online: Option<bool>,
    /// The time is within one of these.
    pub within: Vec<Hours>,
    /// The time is outside of all of these.
    pub outside: Vec<Hours>,
    /// Each named signal has one of these values.
    pub signal: BTreeMap<String, Vec<String>>,
}

/// A rule. The first rule whose conditions all hold decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in `status` and in the log. Unique.
    pub name: String,
    /// Its conditions.
    pub when: When,
    /// What to claim.
    pub set: Claim,
    /// The session's expiration while this rule decides; `None` means the one in `[session]`.
    pub expiration: Option<Expiration>,
    /// Whether to set the matching preferred presence too while this rule decides. Has no effect if the rule claims nothing.
    pub prefer: bool,
}

/// The rules that apply when the configuration has none.
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
    vec![
        rule("presenting", call(CallState::Presenting), Presence::Presenting),
        rule("conference", call(CallState::Conference), Presence::InAConferenceCall),
        rule("call", call(CallState::InCall), Presence::InACall),
        rule("asleep", When { sleep: vec![Is::Value(Sleep::Suspending)], ..When::default() }, Presence::Away),
        rule("locked", When { lock: vec![Is::Value(Lock::Locked)], ..When::default() }, Presence::Away),
        rule("out of office", calendar(BusyClass::OutOfOffice), Presence::Away),
        rule("meeting", calendar(BusyClass::Busy), Presence::InAConferenceCall),
        // After the meetings: a person who listens does not touch the mouse.
        rule("idle", When { idle: vec![Is::Value(Idle::Idle)], ..When::default() }, Presence::Away),
        rule("at the desk", at_the_desk(), Presence::Available),
    ]
}

/// What is known to be free: an unknown call or calendar may be one that makes the user busy.
fn at_the_desk() -> When {
    let free = [BusyClass::Free, BusyClass::WorkingElsewhere, BusyClass::Tentative].map(Is::Value);
    When {
        lock: vec![Is::Value(Lock::Unlocked), Is::Off],
        call: vec![Is::Value(CallState::Idle), Is::Off],
        calendar: free.into_iter().chain([Is::Off]).collect(),
        ..When::default()
    }
}
