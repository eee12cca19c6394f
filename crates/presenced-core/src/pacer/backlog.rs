//! What waits and how much of the rate is used, for people to see.
//!
//! Leaves to others: what goes next ([`super::turn`]), and the pace ([`super::pace`]).

use jiff::Timestamp;

use super::Pacer;
use super::wheel::{begin_of, second_of};
use crate::time::{Instant, Now};

/// How busy a pacer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many requests of the application went in the last [`Rate::per`](super::Rate::per), to within a thirtieth of that time.
    pub used: u32,
    /// When that becomes zero, if nothing is sent until then. `None`: it is zero now.
    pub unused_at: Option<Instant>,
    /// Changes and clears that wait.
    pub changes: Queue,
    /// Keepalives whose slot has come and is not done, also those on their way.
    pub keepalives: Queue,
    /// When the next presence fades or expires of those whose time this process knows. Requests on their way do not count yet.
    pub next_deadline: Option<Instant>,
}

/// What waits to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// How many users.
    pub count: usize,
    /// Since when the first of them has waited; `None`: nobody waits.
    pub oldest: Option<Timestamp>,
}

impl Pacer {
    /// How busy it is.
    pub fn backlog(&mut self, now: &Now) -> Backlog {
        let second = second_of(now.wall);
        let due = self.users.slots_by(second);
        let first_slot = self.users.earliest_slot().filter(|slot| *slot <= second);
        let oldest_change = self.users.changed.first().map(|(since, _)| now.wall_at(*since));
        Backlog {
            used: self.pace.used(now.instant),
            unused_at: self.pace.unused_at(),
            changes: Queue { count: self.users.changed.len(), oldest: oldest_change },
            keepalives: Queue { count: due, oldest: first_slot.map(begin_of) },
            next_deadline: self.users.next_deadline(now.instant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Desk, SILENCE, seconds};
    use super::super::{Next, UserIndex};
    use super::*;
    use crate::presence::Presence;

    #[test]
    fn the_backlog_is_what_waits_and_since_when() {
        let mut desk = Desk::with_users(100);
        assert_eq!(desk.backlog().used, 1, "the read");
        desk.pass(seconds(30));
        assert_eq!(desk.backlog(), Backlog::default());
        let began = desk.now.wall;
        for user in 0..100 {
            desk.pacer.handle_change(UserIndex(user), false, &desk.now);
        }
        desk.pass(seconds(3));
        desk.pacer.handle_change(UserIndex(99), false, &desk.now);
        assert_eq!(desk.backlog().changes, Queue { count: 100, oldest: Some(began) });
        while desk.backlog().changes.count > 0 {
            for item in desk.wait_and_send() {
                desk.done(item, Some(Presence::Available));
            }
        }
        let first = desk.backlog();
        let deadline = first.next_deadline.expect("everybody is held").saturating_since(desk.now.instant);
        assert_eq!((first.used, first.changes.oldest), (100, None));
        assert!((seconds(297)..=seconds(300)).contains(&deadline), "{deadline:?}");

        // Nothing is sent for an interval: everybody's slot comes.
        let before = desk.now.wall;
        desk.pass(seconds(240));
        let late = desk.backlog();
        assert_eq!((late.keepalives.count, late.used, late.unused_at), (100, 0, None));
        let oldest = late.keepalives.oldest.expect("they wait").duration_since(before).as_secs();
        assert!((-1..=10).contains(&oldest), "{oldest} s");
        // What is on its way is not done, and in an outage it fails.
        let items = desk.wait_and_send();
        let on_their_way = desk.backlog();
        assert_eq!((on_their_way.keepalives.count, on_their_way.next_deadline), (100, first.next_deadline));
        desk.pacer.handle_change(UserIndex(0), false, &desk.now);
        for item in items {
            desk.answer(item, SILENCE);
        }
        assert_eq!((desk.backlog().keepalives.count, desk.backlog().changes.count), (100, 1));
        desk.pass(seconds(70));
        assert_eq!(desk.backlog().next_deadline, None, "they have all faded");
    }

    #[test]
    fn slots_are_counted_also_if_the_clock_is_set() {
        let mut desk = Desk::with_users(50);
        for user in 0..50 {
            desk.set(user, Presence::Available);
            desk.pass(seconds(1));
        }
        let counted = |desk: &mut Desk| {
            let second = second_of(desk.now.wall);
            let slots = (0..50).filter_map(|user| desk.pacer.users.get(UserIndex(user))?.slot);
            let by_hand = slots.filter(|slot| *slot <= second).count();
            (desk.backlog().keepalives.count, by_hand)
        };
        for (passes, step) in [(100, 0), (0, 3600), (60, -7200), (30, 0)] {
            desk.pass(seconds(passes));
            desk.now.wall += jiff::SignedDuration::from_secs(step);
            let (count, expected) = counted(&mut desk);
            assert_eq!(count, expected, "after {passes} s and a step of {step} s");
            if passes == 30 {
                assert!(count > 0);
            }
            while let Next::Send(items) = desk.pacer.poll(&desk.now) {
                for item in items {
                    desk.done(item, Some(Presence::Available));
                }
            }
            let (count, expected) = counted(&mut desk);
            assert_eq!(count, expected);
        }
    }
}
