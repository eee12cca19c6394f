//! The presences of all users of the directory, and their totals.
//!
//! Work is in proportion to what changed: a user is advanced when a request is about that user. For the totals, a heap has for each
//! user a time that is not after the next fade or expiry. So the totals only touch users that changed since the last look.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{Pair, UserPresence};
use presenced_core::time::{Instant, Now};

/// How many changes the timelines keep for one user, and for all users together.
const MAX_CHANGES_OF_ONE: usize = 10_000;
const MAX_CHANGES_OF_ALL: usize = 400_000;

/// The presences of all users, each at its place in the directory.
#[derive(Debug)]
pub(crate) struct Population {
    members: Vec<Member>,
    /// When a member must be advanced, and its place. An entry counts only while it is that member's `queued`.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    totals: Totals,
}

/// What all users add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// How many users are seen with each presence.
    pub(crate) visible: HashMap<Pair, usize>,
    /// How many times a session faded from Available.
    pub(crate) fades: u64,
    /// How many sessions expired.
    pub(crate) expired: u64,
}

#[derive(Debug)]
struct Member {
    presence: UserPresence,
    /// What of it is in the totals.
    counted: (Pair, u64, u64),
    queued: Option<Instant>,
}

impl Population {
    /// This many users, without sessions.
    pub(crate) fn new(count: usize, now: &Now) -> Self {
        let max_changes = (MAX_CHANGES_OF_ALL / count.max(1)).min(MAX_CHANGES_OF_ONE);
        let member =
            || Member { presence: UserPresence::new(now, max_changes), counted: (Pair::offline(), 0, 0), queued: None };
        let visible = (count > 0).then(|| (Pair::offline(), count));
        Self {
            members: std::iter::repeat_with(member).take(count).collect(),
            due: BinaryHeap::new(),
            totals: Totals { visible: visible.into_iter().collect(), ..Totals::default() },
        }
    }

    /// The presence at `place`, advanced to `now`.
    pub(crate) fn get(&mut self, place: usize, now: &Now) -> &UserPresence {
        self.change(place, now, |_| ());
        &self.members[place].presence
    }

    /// Advances the presence at `place` to `now` and changes it.
    pub(crate) fn change<T>(&mut self, place: usize, now: &Now, change: impl FnOnce(&mut UserPresence) -> T) -> T {
        let presence = &mut self.members[place].presence;
        presence.advance(now);
        let changed = change(presence);
        self.settle(place);
        changed
    }

    /// The totals at `now`.
    pub(crate) fn totals(&mut self, now: &Now) -> &Totals {
        while let Some(Reverse((at, place))) = self.due.peek().copied().filter(|due| due.0.0 <= now.instant) {
            self.due.pop();
            let member = &mut self.members[place];
            if member.queued == Some(at) {
                member.queued = None;
                self.change(place, now, |_| ());
            }
        }
        &self.totals
    }

    /// A time that is not after the next fade or expiry of any user.
    pub(crate) fn next_change(&self) -> Option<Instant> {
        self.due.peek().map(|due| due.0.0)
    }

    /// Brings the totals and the heap up to date with the presence at `place`.
    fn settle(&mut self, place: usize) {
        let Member { presence, counted: (visible, fades, expired), queued } = &mut self.members[place];
        let seen = presence.visible();
        if seen != *visible {
            if let Some(count) = self.totals.visible.get_mut(visible) {
                *count -= 1;
                if *count == 0 {
                    self.totals.visible.remove(visible);
                }
            }
            *self.totals.visible.entry(seen.clone()).or_default() += 1;
            *visible = seen;
        }
        self.totals.fades += presence.fades() - *fades;
        self.totals.expired += presence.expired() - *expired;
        (*fades, *expired) = (presence.fades(), presence.expired());
        // Setting a session again usually moves its end to later: the entry that is there finds out when its time comes.
        if let Some(next) = presence.next_change().filter(|next| queued.is_none_or(|queued| *next < queued)) {
            *queued = Some(next);
            self.due.push(Reverse((next, place)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::super::{Session, SessionOwner};
    use super::*;
    use presenced_core::presence::Presence;

    fn at(secs: u64) -> Now {
        Now {
            instant: Instant::from_origin(Duration::from_secs(secs)),
            wall: Timestamp::UNIX_EPOCH + Duration::from_secs(secs),
            zone: TimeZone::UTC,
        }
    }

    fn set(population: &mut Population, place: usize, presence: Presence, lasts: u64, now: u64) {
        let session = Session {
            owner: SessionOwner::Application,
            pair: presence.into(),
            set_at: at(now).instant,
            fades: presence.fades(),
            expires_at: Some(at(now + lasts).instant),
        };
        population.change(place, &at(now), |user| user.set("app", session, &at(now)));
    }

    /// The totals, found by looking at each user.
    fn counted_one_by_one(population: &mut Population, now: &Now) -> Totals {
        let mut totals = Totals::default();
        for place in 0..population.members.len() {
            let user = population.get(place, now);
            *totals.visible.entry(user.visible()).or_default() += 1;
            totals.fades += user.fades();
            totals.expired += user.expired();
        }
        totals
    }

    #[test]
    fn a_session_that_is_kept_alive_does_not_fill_the_heap() {
        let mut population = Population::new(2, &at(0));
        for now in (0..86_400).step_by(240) {
            set(&mut population, 0, Presence::Available, 900, now);
            set(&mut population, 1, Presence::Away, 900, now);
            assert_eq!(population.totals(&at(now)).visible.values().sum::<usize>(), 2);
            assert!(population.due.len() <= 2, "{now}");
        }
        assert_eq!((population.totals.fades, population.totals.expired), (0, 0));
        population.totals(&at(90_000));
        assert_eq!((population.totals.fades, population.totals.expired), (1, 2));
    }

    proptest! {
        /// Whatever is set, and whenever somebody looks, the totals are what looking at each user finds.
        #[test]
        fn totals_are_the_sum_of_all_users(
            events in prop::collection::vec((0_usize..4, 0_usize..5, 1_u64..2_000, 0_u64..700, any::<bool>()), 1..60)
        ) {
            let mut population = Population::new(4, &at(0));
            let mut now = 0;
            for (place, presence, lasts, later, look) in events {
                now += later;
                set(&mut population, place, Presence::ALL[presence], lasts, now);
                if look {
                    now += later;
                    let totals = population.totals(&at(now)).clone();
                    prop_assert_eq!(totals, counted_one_by_one(&mut population, &at(now)));
                }
            }
        }
    }
}
