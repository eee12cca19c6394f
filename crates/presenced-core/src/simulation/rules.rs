//! The rules for a day, in two forms: as the policy gets them, and as the presence that a person would expect after reading
//! them. The second form is written independently, from the documentation, to check the policy.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::calendar::BusyClass;
use crate::policy::{CallState, Claim, Idle, Is, Lock, Reading, Rule, Sleep, When, default_rules};
use crate::presence::{Expiration, Presence};
use crate::session::Target;

/// The named signal in the office rules, and its values.
pub(super) const FOCUS: &str = "focus";
pub(super) const FOCUS_VALUES: [&str; 3] = ["deep", "light", "off"];

/// Opening hours of the office on working days, in seconds of the day (UTC).
const OPENS_AT_SECOND: i64 = 8 * 3600 + 1800;
const CLOSES_AT_SECOND: i64 = 18 * 3600;
const SECONDS_PER_DAY: i64 = 24 * 3600;

/// A weekly meeting in Kolkata time, which is always 5:30 ahead of UTC: as hours, and in seconds of the day (UTC).
const COLLEAGUES: &str = "Tue,Thu 20:15-21:00 Asia/Kolkata";
const COLLEAGUES_FROM_SECOND: i64 = 14 * 3600 + 45 * 60;
const COLLEAGUES_TO_SECOND: i64 = 15 * 3600 + 30 * 60;

/// What is expected in Graph: the target of the app's session, and whether it is preferred too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) target: Option<Target>,
    pub(super) prefer: bool,
}

/// All readings that a rule may ask for, at one moment.
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

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// The default rules, some of them with `prefer = true`.
    Default(Prefers),
    /// Rules that use every feature: hours here and in another zone, a named signal, online meetings, expirations, and
    /// "nothing".
    Office,
}

/// Which of the default rules have `prefer = true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefers {
    None,
    /// Those with Away, which a Teams client would hide.
    Away,
    All,
}

impl Prefers {
    fn includes(self, presence: Presence) -> bool {
        match self {
            Self::None => false,
            Self::Away => presence == Presence::Away,
            Self::All => true,
        }
    }
}

impl Rules {
    /// The rules for the policy.
    pub(super) fn list(self) -> Vec<Rule> {
        match self {
            Self::Default(prefers) => {
                let mut rules = default_rules();
                for rule in &mut rules {
                    rule.prefer = rule.set.presence().is_some_and(|presence| prefers.includes(presence));
                }
                rules
            }
            Self::Office => office(),
        }
    }

    /// The expected presence, if the session's expiration is `expiration`.
    pub(super) fn expected(self, moment: &Moment<'_>, expiration: Expiration) -> Expected {
        let (presence, own_expiration) = match self {
            Self::Default(_) => (expected_by_default(moment), None),
            Self::Office => expected_in_office(moment),
        };
        let expiration = own_expiration.unwrap_or(expiration);
        let prefer = match self {
            Self::Default(prefers) => presence.is_some_and(|presence| prefers.includes(presence)),
            Self::Office => presence == Some(Presence::InAConferenceCall),
        };
        Expected { target: presence.map(|presence| Target { presence, expiration }), prefer }
    }

    /// When the expected presence may next change because of the hours in the rules.
    pub(super) fn next_hour(self, wall: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Default(_) => None,
            Self::Office => {
                let midnight = wall.as_second().div_euclid(SECONDS_PER_DAY) * SECONDS_PER_DAY;
                let hours =
                    [OPENS_AT_SECOND, COLLEAGUES_FROM_SECOND, COLLEAGUES_TO_SECOND, CLOSES_AT_SECOND, SECONDS_PER_DAY]
                        .into_iter();
                let hours = hours.filter_map(|hour| Timestamp::from_second(midnight + hour).ok());
                hours.filter(|hour| *hour > wall).min()
            }
        }
    }
}

fn expected_by_default(moment: &Moment<'_>) -> Option<Presence> {
    match (moment.call, moment.sleep, moment.lock, moment.class) {
        (Reading::Known(CallState::Presenting), ..) => Some(Presence::Presenting),
        (Reading::Known(CallState::Conference), ..) => Some(Presence::InAConferenceCall),
        (Reading::Known(CallState::InCall), ..) => Some(Presence::InACall),
        (_, Reading::Known(Sleep::Suspending), ..)
        | (_, _, Reading::Known(Lock::Locked), _)
        | (.., BusyClass::OutOfOffice) => Some(Presence::Away),
        (.., BusyClass::Busy) => Some(Presence::InAConferenceCall),
        _ if *moment.idle == Reading::Known(Idle::Idle) => Some(Presence::Away),
        // Only what is known is claimed.
        (Reading::Unknown, ..) | (_, _, Reading::Unknown, _) => None,
        (_, _, Reading::Known(Lock::Unlocked) | Reading::Off, _) => Some(Presence::Available),
    }
}

fn office() -> Vec<Rule> {
    let rule = |name: &str, when, set| Rule { name: name.to_owned(), when, set, expiration: None, prefer: false };
    let hold = |name, when, presence| rule(name, when, Claim::Hold(presence));
    let focus =
        |value: &str| When { signal: BTreeMap::from([(FOCUS.to_owned(), vec![value.to_owned()])]), ..When::default() };
    let any_call = CallState::ALL[1..].iter().copied().map(Is::Value).collect();
    let busy = vec![Is::Value(BusyClass::Busy)];
    let claimed = vec![Is::Value(BusyClass::Busy), Is::Value(BusyClass::Tentative)];
    let closed = vec!["Mon..Fri 08:30-18:00".parse().expect("hours")];
    let colleagues = vec![COLLEAGUES.parse().expect("hours")];
    vec![
        Rule { expiration: Some(minutes(60)), ..hold("deep", focus("deep"), Presence::Presenting) },
        hold("call", When { call: any_call, ..When::default() }, Presence::InACall),
        hold("asleep", When { sleep: vec![Is::Value(Sleep::Suspending)], ..When::default() }, Presence::Away),
        rule("closed", When { outside: closed, ..When::default() }, Claim::Nothing),
        Rule {
            prefer: true,
            expiration: Some(minutes(30)),
            ..hold(
                "online meeting",
                When { calendar: busy, online: Some(true), ..When::default() },
                Presence::InAConferenceCall,
            )
        },
        hold("meeting", When { calendar: claimed, ..When::default() }, Presence::InACall),
        hold("colleagues", When { within: colleagues, ..When::default() }, Presence::InACall),
        hold("light", focus("light"), Presence::Presenting),
        Rule {
            expiration: Some(Expiration::MAX),
            ..hold("locked", When { lock: vec![Is::Value(Lock::Locked)], ..When::default() }, Presence::Away)
        },
        Rule {
            expiration: Some(Expiration::MIN),
            ..hold(
                "desk",
                When { lock: vec![Is::Value(Lock::Unlocked), Is::Off], ..When::default() },
                Presence::Available,
            )
        },
    ]
}

fn expected_in_office(moment: &Moment<'_>) -> (Option<Presence>, Option<Expiration>) {
    if moment.focus == Some("deep") {
        return (Some(Presence::Presenting), Some(minutes(60)));
    }
    if !matches!(moment.call, Reading::Known(CallState::Idle) | Reading::Unknown | Reading::Off) {
        return (Some(Presence::InACall), None);
    }
    if *moment.sleep == Reading::Known(Sleep::Suspending) {
        return (Some(Presence::Away), None);
    }
    if !is_open(moment.wall) {
        return (None, None);
    }
    match (moment.class, moment.online, moment.focus, moment.lock) {
        (BusyClass::Busy, true, ..) => (Some(Presence::InAConferenceCall), Some(minutes(30))),
        (BusyClass::Busy | BusyClass::Tentative, ..) => (Some(Presence::InACall), None),
        _ if is_with_colleagues(moment.wall) => (Some(Presence::InACall), None),
        (.., Some("light"), _) => (Some(Presence::Presenting), None),
        (.., Reading::Known(Lock::Locked)) => (Some(Presence::Away), Some(Expiration::MAX)),
        (.., Reading::Known(Lock::Unlocked) | Reading::Off) => (Some(Presence::Available), Some(Expiration::MIN)),
        (.., Reading::Unknown) => (None, None),
    }
}

fn is_open(wall: Timestamp) -> bool {
    let (weekday_from_monday, second) = weekday_and_second(wall);
    weekday_from_monday < 5 && (OPENS_AT_SECOND..CLOSES_AT_SECOND).contains(&second)
}

fn is_with_colleagues(wall: Timestamp) -> bool {
    let (weekday_from_monday, second) = weekday_and_second(wall);
    matches!(weekday_from_monday, 1 | 3) && (COLLEAGUES_FROM_SECOND..COLLEAGUES_TO_SECOND).contains(&second)
}

fn weekday_and_second(wall: Timestamp) -> (i64, i64) {
    let (day, second) = (wall.as_second().div_euclid(SECONDS_PER_DAY), wall.as_second().rem_euclid(SECONDS_PER_DAY));
    // 1 January 1970 was a Thursday.
    ((day + 3).rem_euclid(7), second)
}

fn minutes(minutes: u64) -> Expiration {
    Expiration::try_from(Duration::from_mins(minutes)).expect("in range")
}
