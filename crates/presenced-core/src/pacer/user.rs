//! What the pacer knows about each user, and the lists of users in the order of what is due for them. Each step is O(log n).
//!
//! Leaves to others: when a user moves from one list to another ([`super::Pacer`]).

use std::collections::BTreeSet;

use super::UserIndex;
use super::wheel::{Interval, Place, Second};
use crate::time::Instant;

/// A place in the line of changes: lower ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InLine {
    /// Whether it lets the others go first.
    pub(super) is_second: bool,
    /// When it came; for a second one, its place on the wheel.
    pub(super) number: u64,
    /// When the change came that has waited for the longest.
    pub(super) since: Instant,
}

/// Whether a user may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Ready,
    /// A request is on its way.
    InFlight,
    /// It failed while others succeeded, and rests until then.
    Resting(Instant),
    /// It failed in an outage, and is not needed as a probe.
    Benched,
}

/// One user.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    /// Tells it from an earlier user with the same index.
    pub(super) number: u64,
    /// Where its slots are. `None`: it is not on the wheel, and its session says when.
    pub(super) place: Option<Place>,
    /// The interval of what it holds. `None`: it holds nothing as far as is known.
    pub(super) interval: Option<Interval>,
    /// Its earliest slot that is not done.
    pub(super) slot: Option<Second>,
    /// When what it holds fades or expires. `None`: unknown, or it does not.
    pub(super) deadline: Option<Instant>,
    /// Its change waits.
    pub(super) change: Option<InLine>,
    pub(super) stage: Stage,
    /// Graph refuses it: changes wait for its slot too.
    pub(super) is_refused: bool,
    /// How often in a row it failed while others succeeded, and how many successes there were at the last time.
    pub(super) troubles: u8,
    pub(super) successes_seen: u64,
}

impl User {
    pub(super) fn new(number: u64, place: Option<Place>) -> Self {
        Self {
            number,
            place,
            interval: None,
            slot: None,
            deadline: None,
            change: None,
            stage: Stage::Ready,
            is_refused: false,
            troubles: 0,
            successes_seen: 0,
        }
    }
}

/// The users and their lists.
#[derive(Debug, Default)]
pub(super) struct Users {
    table: Vec<Option<User>>,
    /// Those with something to say and a known deadline.
    pub(super) deadlines: BTreeSet<(Instant, UserIndex)>,
    pub(super) changes: BTreeSet<(InLine, UserIndex)>,
    /// All whose change waits, in the order in which it came, and not only those who are [`Stage::Ready`].
    pub(super) changed: BTreeSet<(Instant, UserIndex)>,
    pub(super) slots: BTreeSet<(Second, UserIndex)>,
    /// The slots and deadlines of those who are not [`Stage::Ready`].
    slots_held_back: BTreeSet<(Second, UserIndex)>,
    deadlines_held_back: BTreeSet<(Instant, UserIndex)>,
    /// How many of all slots are not after `reached`.
    due: usize,
    reached: Second,
    pub(super) resting: BTreeSet<(Instant, UserIndex)>,
}

impl Users {
    pub(super) fn get(&self, index: UserIndex) -> Option<&User> {
        self.table.get(index.0 as usize)?.as_ref()
    }

    /// Adds a user. One that is already there is replaced.
    pub(super) fn add(&mut self, index: UserIndex, user: User) {
        self.remove(index);
        let at = index.0 as usize;
        if self.table.len() <= at {
            self.table.resize(at + 1, None);
        }
        self.table[at] = Some(user);
        self.list(index, user);
    }

    pub(super) fn remove(&mut self, index: UserIndex) {
        if let Some(user) = self.table.get_mut(index.0 as usize).and_then(Option::take) {
            self.unlist(index, user);
        }
    }

    /// Changes a user, and moves it to the lists it then belongs to.
    pub(super) fn update(&mut self, index: UserIndex, change: impl FnOnce(&mut User)) {
        let Some(user) = self.table.get_mut(index.0 as usize).and_then(Option::as_mut) else { return };
        let before = *user;
        change(user);
        let after = *user;
        self.unlist(index, before);
        self.list(index, after);
    }

    /// Changes every user.
    pub(super) fn update_all(&mut self, mut change: impl FnMut(&mut User)) {
        for index in (0..=u32::MAX).zip(0..self.table.len()).map(|(index, _)| UserIndex(index)) {
            self.update(index, &mut change);
        }
    }

    /// The earliest slot that is not done, of all users.
    pub(super) fn earliest_slot(&self) -> Option<Second> {
        let firsts = [self.slots.first(), self.slots_held_back.first()];
        firsts.into_iter().flatten().map(|(slot, _)| *slot).min()
    }

    /// The earliest deadline after `now`, of all users.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let after = (now, UserIndex(u32::MAX))..;
        let firsts = [&self.deadlines, &self.deadlines_held_back].map(|of| of.range(after.clone()).next());
        firsts.into_iter().flatten().map(|(deadline, _)| *deadline).min()
    }

    /// How many slots have come by this second. Each slot is counted once when it comes, not at each call.
    pub(super) fn slots_by(&mut self, second: Second) -> usize {
        let before = std::mem::replace(&mut self.reached, second);
        let between = (before.min(second) + 1, UserIndex(0))..(before.max(second) + 1, UserIndex(0));
        let passed = [&self.slots, &self.slots_held_back].into_iter().map(|of| of.range(between.clone()).count()).sum();
        self.due = if second < before { self.due.saturating_sub(passed) } else { self.due + passed };
        self.due
    }

    fn list(&mut self, index: UserIndex, user: User) {
        self.due += usize::from(user.slot.is_some_and(|slot| slot <= self.reached));
        self.changed.extend(user.change.map(|change| (change.since, index)));
        if user.stage != Stage::Ready {
            self.slots_held_back.extend(user.slot.map(|slot| (slot, index)));
            self.deadlines_held_back.extend(user.deadline.map(|deadline| (deadline, index)));
            if let Stage::Resting(until) = user.stage {
                self.resting.insert((until, index));
            }
            return;
        }
        self.slots.extend(user.slot.map(|slot| (slot, index)));
        self.changes.extend(user.change.map(|change| (change, index)));
        let has_something_to_say = user.slot.is_some() || user.change.is_some();
        self.deadlines.extend(user.deadline.filter(|_| has_something_to_say).map(|deadline| (deadline, index)));
    }

    fn unlist(&mut self, index: UserIndex, user: User) {
        if let Some(slot) = user.slot {
            self.due -= usize::from(slot <= self.reached);
            self.slots.remove(&(slot, index));
            self.slots_held_back.remove(&(slot, index));
        }
        if let Some(change) = user.change {
            self.changes.remove(&(change, index));
            self.changed.remove(&(change.since, index));
        }
        if let Some(deadline) = user.deadline {
            self.deadlines.remove(&(deadline, index));
            self.deadlines_held_back.remove(&(deadline, index));
        }
        if let Stage::Resting(until) = user.stage {
            self.resting.remove(&(until, index));
        }
    }
}
