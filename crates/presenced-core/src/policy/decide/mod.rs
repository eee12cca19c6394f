//! The decision: which rule applies now, why, and when that changes by itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem;

use jiff::Timestamp;

use super::hours::Hours;
use super::rule::Is;
use super::{Reading, Rule, Snapshot, When};
use crate::calendar::BusyClass;
use crate::presence::{Expiration, Presence};
use crate::time::Now;

/// What to claim, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The presence to hold; `None` means to hold nothing.
    pub presence: Option<Presence>,
    /// The expiration of the deciding rule, if it sets one.
    pub expiration: Option<Expiration>,
    /// Whether to set the matching preferred presence too. The deciding rule says so; an override never does.
    pub prefer: bool,
    /// The rule that decided; `None` if no rule matched or an override decided.
    pub rule: Option<String>,
    /// The reason, as a clause for people: `call is in-call (baresip)`. Contains no meeting titles.
    pub because: String,
    /// When the decision changes by itself, because a meeting or a time span begins or ends. `None` if it stays the same within
    /// the calendar's window until a signal changes. After thousands of calendar changes without effect the search stops; then
    /// this is merely the time to decide again.
    pub until: Option<Timestamp>,
    /// What is not claimed only because something is unknown. `None` if a rule decides.
    pub withheld: Option<Withheld>,
}

/// A rule that might match, but needs readings that are unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What it would claim.
    pub presence: Option<Presence>,
    /// The names of the signals that it needs and that are unknown; at least one.
    pub unknown: Vec<&'static str>,
}

/// Decides by the first rule whose conditions all hold. A condition on an unknown reading never holds, so nothing is claimed
/// that is not known.
pub fn decide(rules: &[Rule], snapshot: &Snapshot, now: &Now) -> Decision {
    let (mut decision, mut next) = decide_at(rules, snapshot, now, now.wall);
    // A reading may change without changing the decision (from free to tentative, say). Look ahead to the first change that
    // does. Each step moves to the next moment at which a reading changes, so the number of steps is limited.
    let mut steps = 0;
    while let Some(at) = next {
        let (then, after) = decide_at(rules, snapshot, now, at);
        // `prefer` needs no comparison: it is always the same for one rule.
        let same =
            (then.presence, &then.rule, then.expiration) == (decision.presence, &decision.rule, decision.expiration);
        if !same || steps == MAX_LOOK_AHEAD_STEPS {
            decision.until = Some(at);
            break;
        }
        steps += 1;
        next = after;
    }
    decision
}

/// The number of reading changes that are searched for a change of the decision. One day of a calendar has tens.
const MAX_LOOK_AHEAD_STEPS: usize = 4096;

/// The decision at `at`, without its `until`, and the first moment after `at` at which one of the readings behind it changes by
/// itself.
fn decide_at(rules: &[Rule], snapshot: &Snapshot, now: &Now, at: Timestamp) -> (Decision, Option<Timestamp>) {
    if let Some(manual) = snapshot.manual.as_ref().filter(|manual| manual.until.is_none_or(|until| at < until)) {
        let decision = Decision {
            presence: manual.claim.presence(),
            expiration: None,
            prefer: false,
            rule: None,
            because: "set by hand".to_owned(),
            until: None,
            withheld: None,
        };
        return (decision, manual.until);
    }
    let mut moment = Moment { snapshot, now, at, next: None };
    let Some(rule) = rules.iter().find(|rule| moment.holds(&rule.when)) else {
        let withheld = withheld(rules, snapshot, now, at);
        let decision = Decision {
            presence: None,
            expiration: None,
            prefer: false,
            rule: None,
            because: nothing_because(withheld.as_ref()),
            until: None,
            withheld,
        };
        return (decision, moment.next);
    };
    let decision = Decision {
        presence: rule.set.presence(),
        expiration: rule.expiration,
        prefer: rule.prefer,
        rule: Some(rule.name.clone()),
        because: because(&rule.when, snapshot, at),
        until: None,
        withheld: None,
    };
    (decision, moment.next)
}

/// The readings at one moment, and the first time at which one that was looked at changes by itself.
struct Moment<'a> {
    snapshot: &'a Snapshot,
    now: &'a Now,
    at: Timestamp,
    next: Option<Timestamp>,
}

impl Moment<'_> {
    fn holds(&mut self, when: &When) -> bool {
        // Without `..`: a condition that nothing checks here does not compile.
        let When { account, lock, sleep, call, idle, calendar, online, within, outside, signal } = when;
        // These conditions come first because time alone does not change them. If one fails, the rule needs no time to wake up at.
        let signals = is_for(account, self.snapshot)
            && is_any(lock, &self.snapshot.lock)
            && is_any(sleep, &self.snapshot.sleep)
            && is_any(call, &self.snapshot.call.clone().map(|call| call.state))
            && is_any(idle, &self.snapshot.idle);
        signals && self.calendar_holds(calendar, *online) && self.named_hold(signal) && self.hours_hold(within, outside)
    }

    fn calendar_holds(&mut self, calendar: &[Is<BusyClass>], online: Option<bool>) -> bool {
        if calendar.is_empty() && online.is_none() {
            return true;
        }
        let busy = self.snapshot.calendar_at(self.at);
        if let Reading::Known(state) = busy {
            self.changes_at(state.until);
        }
        let online = online.is_none_or(|online| busy.known().is_some_and(|state| state.online == online));
        is_any(calendar, &busy.map(|state| state.class)) && online
    }

    fn named_hold(&mut self, signal: &BTreeMap<String, Vec<String>>) -> bool {
        signal.iter().all(|(name, accepted)| {
            let Some(named) = self.snapshot.signals.get(name) else { return false };
            let lives = named.until.is_none_or(|until| self.at < until);
            if lives {
                self.changes_at(named.until);
            }
            lives && accepted.contains(&named.value)
        })
    }

    fn hours_hold(&mut self, within: &[Hours], outside: &[Hours]) -> bool {
        let mut inside_any = |hours: &[Hours]| {
            hours.iter().fold(false, |any, hours| {
                let (inside, change) = hours.at(self.at, &self.now.zone);
                self.changes_at(change);
                any || inside
            })
        };
        let (is_within, is_outside) = (inside_any(within), inside_any(outside));
        (within.is_empty() || is_within) && !is_outside
    }

    /// The signals that must be known before the conditions can hold. `None`: there are none, or what is known already fails a
    /// condition.
    fn unknown_of(&mut self, when: &When) -> Option<Vec<&'static str>> {
        // A named signal is never unknown: it has a value, or it is not set.
        let Snapshot { account: _, lock, sleep, call, idle, calendar: _, signals: _, manual: _ } = self.snapshot;
        let (mut known, mut unknown) = (when.clone(), Vec::new());
        if matches!(call, Reading::Unknown) && !mem::take(&mut known.call).is_empty() {
            unknown.push("call");
        }
        if matches!(sleep, Reading::Unknown) && !mem::take(&mut known.sleep).is_empty() {
            unknown.push("sleep");
        }
        if matches!(lock, Reading::Unknown) && !mem::take(&mut known.lock).is_empty() {
            unknown.push("lock");
        }
        if matches!(idle, Reading::Unknown) && !mem::take(&mut known.idle).is_empty() {
            unknown.push("idle");
        }
        if matches!(self.snapshot.calendar_at(self.at), Reading::Unknown) {
            let accepted = mem::take(&mut known.calendar);
            if known.online.take().is_some() || !accepted.is_empty() {
                unknown.push("calendar");
            }
        }
        (!unknown.is_empty() && self.holds(&known)).then_some(unknown)
    }

    fn changes_at(&mut self, change: Option<Timestamp>) {
        if let Some(change) = change.filter(|change| *change > self.at) {
            self.next = Some(self.next.map_or(change, |next| next.min(change)));
        }
    }
}

/// Whether the decision is for one of these accounts. An empty list is for all.
fn is_for(accounts: &[String], snapshot: &Snapshot) -> bool {
    accounts.is_empty()
        || snapshot.account.as_ref().is_some_and(|account| accounts.iter().any(|one| **one == **account))
}

/// Whether the reading is one of the accepted values. An empty list accepts any reading.
fn is_any<T: PartialEq>(accepted: &[Is<T>], reading: &Reading<T>) -> bool {
    accepted.is_empty()
        || accepted.iter().any(|is| match (is, reading) {
            (Is::Off, Reading::Off) => true,
            (Is::Value(value), Reading::Known(known)) => value == known,
            (Is::Off | Is::Value(_), _) => false,
        })
}

/// The conditions of a rule that holds, as one clause.
fn because(when: &When, snapshot: &Snapshot, at: Timestamp) -> String {
    let When { account, lock, sleep, call, idle, calendar, online, within, outside, signal } = when;
    let mut clauses = Vec::new();
    if !call.is_empty() {
        let mut clause = format!("call is {}", snapshot.call);
        if let Some(app) = snapshot.call.known().and_then(|call| call.app.as_deref()) {
            let _ = write!(clause, " ({app})");
        }
        clauses.push(clause);
    }
    if !sleep.is_empty() {
        clauses.push(format!("sleep is {}", snapshot.sleep));
    }
    if !lock.is_empty() {
        clauses.push(format!("lock is {}", snapshot.lock));
    }
    if !idle.is_empty() {
        clauses.push(format!("idle is {}", snapshot.idle));
    }
    if !calendar.is_empty() || online.is_some() {
        let online = if *online == Some(true) { " (online)" } else { "" };
        clauses.push(format!("calendar is {}{online}", snapshot.calendar_at(at)));
    }
    for name in signal.keys() {
        if let Some(named) = snapshot.signals.get(name) {
            clauses.push(format!("{name} is {}", named.value));
        }
    }
    if let Some(name) = snapshot.account.as_ref().filter(|_| !account.is_empty()) {
        clauses.push(format!("account is {name}"));
    }
    for (word, hours) in [("within", within), ("outside", outside)] {
        if !hours.is_empty() {
            let hours: Vec<_> = hours.iter().map(ToString::to_string).collect();
            clauses.push(format!("{word} {}", hours.join(", ")));
        }
    }
    if clauses.is_empty() { "the rule has no conditions".to_owned() } else { clauses.join(" and ") }
}

/// The rule that might match, as all that is known fits it. Of several, the one that claims Available counts, because that is what
/// people miss; otherwise the first.
fn withheld(rules: &[Rule], snapshot: &Snapshot, now: &Now, at: Timestamp) -> Option<Withheld> {
    let candidates = rules.iter().filter_map(|rule| {
        let unknown = Moment { snapshot, now, at, next: None }.unknown_of(&rule.when)?;
        Some(Withheld { presence: rule.set.presence(), unknown })
    });
    let candidates: Vec<_> = candidates.collect();
    let available = candidates.iter().find(|candidate| candidate.presence == Some(Presence::Available));
    available.or(candidates.first()).cloned()
}

/// Why no rule matches.
fn nothing_because(withheld: Option<&Withheld>) -> String {
    match withheld.map_or(&[][..], |withheld| &withheld.unknown) {
        [] => "no rule matches".to_owned(),
        [one] => format!("no rule matches while {one} is unknown"),
        several => format!("no rule matches while {} are unknown", several.join(" and ")),
    }
}

#[cfg(test)]
mod tests;
