//! Which rules can never decide, because a signal that they need is off, or because the rules above them always come first.
//!
//! A rule decides in a case if its conditions hold there and those of no rule above it do. [`unreached`] looks for such a case
//! among all that the configuration allows. It treats each condition on its own, as if hours and signals did not depend on each
//! other, and gives up after [`MAX_STEPS`]. So it may miss a rule that is never reached, but never names one that is.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::Is;
use super::{CallState, Hours, Idle, Lock, Rule, Sleep, When};
use crate::calendar::BusyClass;
use crate::fill::Fill as _;

/// How many rules are compared in the search for one case.
const MAX_STEPS: u32 = 10_000;

/// Which signals are on. The lock is not among them, because the socket can set it although it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each signal")]
pub struct SignalsOn {
    /// Sleep.
    pub sleep: bool,
    /// Calls.
    pub call: bool,
    /// User input.
    pub idle: bool,
    /// The calendar.
    pub calendar: bool,
}

/// Why a rule never decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// It needs a value of this signal, which is off.
    SignalOff(&'static str),
    /// It needs this signal to be off, which is on.
    SignalOn(&'static str),
    /// Whenever it holds, this rule above it holds too.
    Behind(String),
    /// Whenever it holds, one of the rules above it holds too.
    BehindSeveral,
}

/// The rules that never decide, by their place in `rules`, and why. `accounts` are all that there are.
pub fn unreached(rules: &[Rule], on: SignalsOn, accounts: &[&str]) -> Vec<(usize, Unreached)> {
    let all = Cases::all(on, accounts);
    let mut found = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        if let Some(why) = never_holds(&rule.when, &all) {
            found.push((place, why));
            continue;
        }
        let above = &rules[..place];
        let is_behind = |above: &[Rule]| {
            let above: Vec<&When> = above.iter().map(|rule| &rule.when).collect();
            let mut steps = MAX_STEPS;
            !all.holding(&rule.when).iter().any(|cases| cases.has_one_outside(&above, &mut steps))
        };
        if let Some(one) = above.iter().find(|rule| is_behind(std::slice::from_ref(rule))) {
            found.push((place, Unreached::Behind(one.name.clone())));
        } else if is_behind(above) {
            found.push((place, Unreached::BehindSeveral));
        }
    }
    found
}

/// Why the conditions hold in none of the cases, because of one signal.
fn never_holds(when: &When, all: &Cases<'_>) -> Option<Unreached> {
    [
        ("call", mask(&when.call, CallState::ALL), all.call),
        ("sleep", mask(&when.sleep, Sleep::ALL), all.sleep),
        ("idle", mask(&when.idle, Idle::ALL), all.idle),
        ("calendar", mask(&when.calendar, BusyClass::ALL), all.calendar),
        ("calendar", online_mask(when.online), all.online),
    ]
    .into_iter()
    .find(|(_, accepted, possible)| *accepted != 0 && accepted & possible == 0)
    .map(|(name, _, possible)| if possible == OFF { Unreached::SignalOff(name) } else { Unreached::SignalOn(name) })
}

/// One bit for each reading of a signal: off, unknown, and each value.
type Mask = u16;

const OFF: Mask = 1;
const UNKNOWN: Mask = 1 << 1;

/// The bit of the value at `place` in its list.
const fn value(place: usize) -> Mask {
    1 << (place + 2)
}

/// The readings that a condition accepts; 0: there is no condition.
fn mask<T: PartialEq>(accepted: &[Is<T>], all: &[T]) -> Mask {
    let bit = |is: &Is<T>| match is {
        Is::Off => OFF,
        Is::Value(accepted) => all.iter().position(|value| value == accepted).map_or(0, value),
    };
    accepted.iter().map(bit).fold(0, |mask, bit| mask | bit)
}

fn online_mask(online: Option<bool>) -> Mask {
    online.map_or(0, |online| value(usize::from(online)))
}

/// All readings of a signal that has `values` values.
fn possible(is_on: bool, values: usize) -> Mask {
    if is_on { (0..values).map(value).fold(UNKNOWN, |mask, bit| mask | bit) } else { OFF }
}

/// What a named signal or the account may be.
#[derive(Clone, Debug)]
enum Values<'a> {
    /// One of these.
    Among(BTreeSet<&'a str>),
    /// Anything else, or not set.
    Except(BTreeSet<&'a str>),
}

impl<'a> Values<'a> {
    /// Only those that are, or are not, among `accepted`. `None`: there are none.
    fn narrowed(self, accepted: &'a [String], is_among: bool) -> Option<Self> {
        let accepted: BTreeSet<&str> = accepted.iter().map(String::as_str).fill();
        let less = |values: BTreeSet<&'a str>, taken: &BTreeSet<&str>| -> BTreeSet<&'a str> {
            values.into_iter().filter(|value| !taken.contains(value)).fill()
        };
        let values = match (self, is_among) {
            (Values::Among(values), true) => {
                Values::Among(values.into_iter().filter(|value| accepted.contains(value)).fill())
            }
            (Values::Among(values), false) => Values::Among(less(values, &accepted)),
            (Values::Except(taken), true) => Values::Among(less(accepted, &taken)),
            (Values::Except(taken), false) => Values::Except(taken.into_iter().chain(accepted).fill()),
        };
        (!matches!(&values, Values::Among(values) if values.is_empty())).then_some(values)
    }
}

/// A set of cases: for each condition on its own, what it may still be.
#[derive(Clone, Debug)]
struct Cases<'a> {
    lock: Mask,
    sleep: Mask,
    call: Mask,
    idle: Mask,
    calendar: Mask,
    online: Mask,
    account: Values<'a>,
    signals: BTreeMap<&'a str, Values<'a>>,
    /// Whether the time is within these hours.
    hours: Vec<(&'a Hours, bool)>,
}

impl<'a> Cases<'a> {
    /// All that the configuration allows.
    fn all(on: SignalsOn, accounts: &[&'a str]) -> Self {
        Self {
            lock: OFF | possible(true, Lock::ALL.len()),
            sleep: possible(on.sleep, Sleep::ALL.len()),
            call: possible(on.call, CallState::ALL.len()),
            idle: possible(on.idle, Idle::ALL.len()),
            calendar: possible(on.calendar, BusyClass::ALL.len()),
            online: possible(on.calendar, 2),
            account: Values::Among(accounts.iter().copied().fill()),
            signals: BTreeMap::new(),
            hours: Vec::new(),
        }
    }

    /// Whether one of the cases is outside of all rules in `above`.
    fn has_one_outside(&self, above: &[&'a When], steps: &mut u32) -> bool {
        let Some((first, rest)) = above.split_first() else { return true };
        *steps = steps.saturating_sub(1);
        *steps == 0 || self.failing(first).iter().any(|cases| cases.has_one_outside(rest, steps))
    }

    /// The cases in which all conditions hold, as sets whose union they are.
    fn holding(&self, when: &'a When) -> Vec<Self> {
        let When { account, lock, sleep, call, idle, calendar, online, within, outside, signal } = when;
        let mut cases = self.clone();
        for (kept, accepted) in [
            (&mut cases.lock, mask(lock, Lock::ALL)),
            (&mut cases.sleep, mask(sleep, Sleep::ALL)),
            (&mut cases.call, mask(call, CallState::ALL)),
            (&mut cases.idle, mask(idle, Idle::ALL)),
            (&mut cases.calendar, mask(calendar, BusyClass::ALL)),
            (&mut cases.online, online_mask(*online)),
        ] {
            if accepted != 0 {
                *kept &= accepted;
                if *kept == 0 {
                    return Vec::new();
                }
            }
        }
        let of_account = if account.is_empty() { Some(cases) } else { cases.with_account(account, true) };
        let named = signal
            .iter()
            .try_fold(of_account, |cases, (name, accepted)| Some(cases?.with_signal(name, accepted, true)));
        let named = named.flatten();
        let free = outside.iter().try_fold(named, |cases, hours| Some(cases?.with_hours(hours, false)));
        let Some(cases) = free.flatten() else { return Vec::new() };
        if within.is_empty() {
            return vec![cases];
        }
        within.iter().filter_map(|hours| cases.with_hours(hours, true)).collect()
    }

    /// The cases in which a condition fails, as sets whose union they are.
    fn failing(&self, when: &'a When) -> Vec<Self> {
        let When { account, lock, sleep, call, idle, calendar, online, within, outside, signal } = when;
        let mut sets = Vec::new();
        let mut masked = |accepted: Mask, field: fn(&mut Self) -> &mut Mask| {
            let mut cases = self.clone();
            *field(&mut cases) &= !accepted;
            if accepted != 0 && *field(&mut cases) != 0 {
                sets.push(cases);
            }
        };
        masked(mask(lock, Lock::ALL), |cases| &mut cases.lock);
        masked(mask(sleep, Sleep::ALL), |cases| &mut cases.sleep);
        masked(mask(call, CallState::ALL), |cases| &mut cases.call);
        masked(mask(idle, Idle::ALL), |cases| &mut cases.idle);
        masked(mask(calendar, BusyClass::ALL), |cases| &mut cases.calendar);
        masked(online_mask(*online), |cases| &mut cases.online);
        sets.extend((!account.is_empty()).then(|| self.clone().with_account(account, false)).flatten());
        sets.extend(signal.iter().filter_map(|(name, accepted)| self.clone().with_signal(name, accepted, false)));
        sets.extend(outside.iter().filter_map(|hours| self.with_hours(hours, true)));
        if !within.is_empty() {
            sets.extend(within.iter().try_fold(self.clone(), |cases, hours| cases.with_hours(hours, false)));
        }
        sets
    }

    /// The cases of these accounts, or of all others. `None`: there are none.
    fn with_account(mut self, accepted: &'a [String], is_one: bool) -> Option<Self> {
        self.account = self.account.narrowed(accepted, is_one)?;
        Some(self)
    }

    /// The cases in which a named signal has, or has not, one of these values. `None`: there are none.
    fn with_signal(mut self, name: &'a str, accepted: &'a [String], has: bool) -> Option<Self> {
        let before = self.signals.remove(name).unwrap_or(Values::Except(BTreeSet::new()));
        self.signals.insert(name, before.narrowed(accepted, has)?);
        Some(self)
    }

    /// The cases in which the time is, or is not, within these hours. `None`: there are none.
    fn with_hours(&self, hours: &'a Hours, is_within: bool) -> Option<Self> {
        let known = self.hours.iter().find(|(known, _)| *known == hours);
        if known.is_some_and(|(_, known)| *known != is_within) {
            return None;
        }
        let mut cases = self.clone();
        if known.is_none() {
            cases.hours.push((hours, is_within));
        }
        Some(cases)
    }
}

#[cfg(test)]
mod tests;
