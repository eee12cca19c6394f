use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::*;
use crate::presence::{Expiration, Presence};

pub(super) const SILENCE: Answer = Answer::Unavailable { retry_after: None };

fn hold(presence: Presence) -> Target {
    Target { presence, expiration: Expiration::default() }
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A pacer with its clocks.
pub(super) struct Desk {
    pub(super) pacer: Pacer,
    pub(super) now: Now,
}

impl Desk {
    pub(super) fn new() -> Self {
        let wall = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_796_000_000);
        let now = Now { instant: Instant::from_origin(seconds(1000)), wall, zone: TimeZone::UTC };
        Self { pacer: Pacer::new(Rate::default(), None, &now), now }
    }

    /// With users on the wheel, whose start is over.
    pub(super) fn with_users(users: u32) -> Self {
        let mut desk = Self::new();
        for user in 0..users {
            desk.pacer.handle_added(UserIndex(user), Some(&format!("user {user}")));
        }
        let read = ReadIndex(0);
        desk.pacer.handle_read(read);
        let item = desk.one();
        desk.done(item, None);
        assert_eq!(desk.pacer.poll(&desk.now), Next::Wait(None));
        desk
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.instant = self.now.instant + time;
        self.now.wall += time;
    }

    /// What goes now, in one send.
    pub(super) fn send(&mut self) -> Vec<Item> {
        match self.pacer.poll(&self.now) {
            Next::Send(items) => items,
            Next::Wait(until) => panic!("it waits until {until:?}, and it is {:?}", self.now.instant),
        }
    }

    pub(super) fn one(&mut self) -> Item {
        let items = self.send();
        assert_eq!(items.len(), 1, "{items:?}");
        items[0]
    }

    pub(super) fn wait(&mut self) -> Option<Duration> {
        match self.pacer.poll(&self.now) {
            Next::Send(items) => panic!("it sends {items:?}"),
            Next::Wait(until) => until.map(|until| until.saturating_since(self.now.instant)),
        }
    }

    /// Passes the time until something goes.
    pub(super) fn wait_and_send(&mut self) -> Vec<Item> {
        loop {
            match self.pacer.poll(&self.now) {
                Next::Send(items) => return items,
                Next::Wait(until) => {
                    let until = until.expect("something to wait for");
                    self.pass(until.saturating_since(self.now.instant));
                }
            }
        }
    }

    pub(super) fn backlog(&mut self) -> Backlog {
        self.pacer.backlog(&self.now)
    }

    pub(super) fn answer(&mut self, item: Item, answer: Answer) {
        self.pacer.handle_answer(item.ticket, answer, &self.now);
    }

    /// It succeeds at once, and the user holds this from now on.
    pub(super) fn done(&mut self, item: Item, presence: Option<Presence>) {
        self.answer(item, Answer::Done(presence.map(|presence| (hold(presence), self.now.instant))));
    }

    /// Sets a user's presence by a change.
    pub(super) fn set(&mut self, user: u32, presence: Presence) {
        self.pacer.handle_change(UserIndex(user), false, &self.now);
        let item = self.one();
        assert_eq!(item.work, turn(user, Cause::Change));
        self.done(item, Some(presence));
    }
}

pub(super) fn turn(user: u32, cause: Cause) -> Work {
    Work::User { user: UserIndex(user), cause }
}

pub(super) fn works(items: &[Item]) -> Vec<Work> {
    items.iter().map(|item| item.work).collect()
}

#[test]
fn one_user_without_a_wheel_is_sent_at_once_whatever_happened_before() {
    let mut desk = Desk::new();
    let user = UserIndex(0);
    desk.pacer.handle_added(user, None);
    for answer in [SILENCE, Answer::Throttled { retry_after: None }, Answer::Failed, Answer::Refused, Answer::Again] {
        desk.pacer.handle_change(user, false, &desk.now);
        let item = desk.one();
        assert_eq!((item.work, desk.wait()), (turn(0, Cause::Change), None));
        desk.answer(item, answer);
        assert_eq!(desk.wait(), None, "its session says when it tries again");
    }
    desk.set(0, Presence::Available);
    assert_eq!(desk.wait(), None, "its session says when the keepalive is due");
    desk.pass(seconds(240));
    desk.pacer.handle_keepalive(user, &desk.now);
    let item = desk.one();
    assert_eq!(item.work, turn(0, Cause::Keepalive));
    desk.answer(item, Answer::Throttled { retry_after: Some(seconds(20)) });
    desk.pacer.handle_change(user, false, &desk.now);
    assert_eq!(desk.wait(), Some(seconds(20)), "Retry-After");
    desk.pass(seconds(20));
    assert_eq!(desk.one().work, turn(0, Cause::Change));
}

#[test]
fn slots_come_every_240_s_or_720_s_and_none_is_skipped_after_a_change() {
    let mut desk = Desk::with_users(1);
    desk.set(0, Presence::Available);
    let mut before = None;
    for _ in 0..3 {
        let items = desk.wait_and_send();
        assert_eq!(works(&items), [turn(0, Cause::Keepalive)]);
        let interval = before.map(|before| desk.now.instant.saturating_since(before));
        assert!(interval.is_none_or(|interval| interval == seconds(240)), "{interval:?}");
        before = Some(desk.now.instant);
        desk.done(items[0], Some(Presence::Available));
    }
    // A change a second before the slot.
    desk.pass(seconds(239));
    desk.set(0, Presence::Available);
    assert_eq!(desk.wait(), Some(seconds(1)));
    desk.pass(seconds(1));
    let item = desk.one();
    desk.done(item, Some(Presence::Away));
    let items = desk.wait_and_send();
    desk.done(items[0], Some(Presence::Away));
    assert_eq!(desk.wait(), Some(seconds(720)));
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    let item = desk.one();
    desk.done(item, None);
    assert_eq!((desk.wait(), desk.pacer.earliest_slot()), (None, None), "nothing is held");
}

#[test]
fn the_order_is_deadlines_changes_keepalives_reads() {
    let mut desk = Desk::with_users(4);
    desk.set(0, Presence::Available);
    desk.pass(seconds(1));
    // Nothing is sent for 285 s, so a slot of each passes.
    desk.set(1, Presence::Available);
    desk.pass(seconds(284));
    desk.pacer.handle_read(ReadIndex(7));
    desk.pacer.handle_change(UserIndex(2), false, &desk.now);
    desk.pacer.handle_change(UserIndex(3), true, &desk.now);
    let order = [desk.send(), desk.send(), desk.send(), desk.send()].map(|items| works(&items));
    let expected = [
        vec![turn(0, Cause::Deadline)],
        vec![turn(2, Cause::Change), turn(3, Cause::Change)],
        vec![turn(1, Cause::Keepalive)],
        vec![Work::Read(ReadIndex(7))],
    ];
    assert_eq!(order, expected);
}

#[test]
fn keepalives_are_in_the_order_of_slots_not_of_deadlines() {
    let mut desk = Desk::with_users(40);
    for user in 0..40 {
        desk.set(user, Presence::Available);
    }
    let mut slots: Vec<_> =
        (0..40).map(|user| (desk.pacer.users.get(UserIndex(user)).expect("there").slot, user)).collect();
    slots.sort_unstable();
    // The last in the order of slots would be the first in the order of deadlines.
    let last = slots[39].1;
    for (_, user) in slots.iter().filter(|(_, user)| *user != last) {
        desk.pass(Duration::from_millis(23));
        desk.set(*user, Presence::Available);
    }
    desk.pass(seconds(250));
    let order: Vec<_> = [desk.send(), desk.send()].iter().flat_map(|items| works(items)).collect();
    let expected: Vec<_> = slots.iter().map(|(_, user)| turn(*user, Cause::Keepalive)).collect();
    assert_eq!(order, expected);
}

#[test]
fn at_a_start_reads_go_first_then_calls_and_the_others_in_the_order_of_the_wheel() {
    let mut desk = Desk::new();
    let begin = second_of(desk.now.wall) - UNKNOWN_BEGIN;
    for user in 0..4 {
        desk.pacer.handle_added(UserIndex(user), Some(&format!("user {user}")));
    }
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    desk.pacer.handle_read(ReadIndex(0));
    let read = desk.one();
    assert_eq!(read.work, Work::Read(ReadIndex(0)));
    desk.answer(read, Answer::Throttled { retry_after: Some(seconds(2)) });
    desk.pass(seconds(2));
    let read = desk.one();
    assert_eq!(read.work, Work::Read(ReadIndex(0)), "a throttled read is sent again");
    desk.pass(seconds(1));
    desk.done(read, None);
    desk.pacer.handle_change(UserIndex(1), false, &desk.now);
    desk.pacer.handle_change(UserIndex(2), true, &desk.now);
    let mut others = [0, 1];
    others.sort_by_key(|user| Place::of(&format!("user {user}")).slot_from(begin, Interval::SHORTEST));
    assert_eq!(others, [1, 0], "it is not the order in which they came");
    let expected = [2, 1, 0].map(|user| turn(user, Cause::Change));
    assert_eq!(works(&desk.send()), expected);
}

#[test]
fn a_full_batch_waits_for_its_tokens_and_a_lone_change_does_not() {
    let mut desk = Desk::with_users(100);
    for user in 0..99 {
        desk.pacer.handle_found(UserIndex(user), hold(Presence::Available), &desk.now);
    }
    desk.pass(seconds(240));
    let sizes = [desk.send().len(), desk.send().len()];
    assert_eq!(sizes, [20, 20], "45 tokens");
    let wait = desk.wait().expect("it waits");
    assert!(wait > Duration::from_millis(333) && wait < Duration::from_millis(334), "15 tokens: {wait:?}");
    desk.pacer.handle_change(UserIndex(99), false, &desk.now);
    assert_eq!(works(&desk.send()), [turn(99, Cause::Change)]);
    let sizes = [desk.wait_and_send().len(), desk.wait_and_send().len(), desk.wait_and_send().len()];
    assert_eq!(sizes, [20, 20, 19]);
}

#[test]
fn a_start_continues_where_the_wheel_was() {
    let mut desk = Desk::with_users(50);
    for user in 0..50 {
        desk.pacer.handle_found(UserIndex(user), hold(Presence::Available), &desk.now);
    }
    // 100 s later, nobody who was due has been sent.
    let stored = desk.pacer.earliest_slot();
    desk.pass(seconds(100));
    for (stored, back) in [(stored, None), (None, Some(45)), (Some(desk.now.wall + seconds(1)), Some(45))] {
        let mut next = Desk { pacer: Pacer::new(Rate::default(), stored, &desk.now), now: desk.now.clone() };
        let second = second_of(desk.now.wall);
        let begin = back.map_or(stored.map(second_of), |back| Some(second - back)).expect("a begin");
        let mut due = 0;
        for user in (0..50).map(UserIndex) {
            let id = format!("user {}", user.0);
            next.pacer.handle_added(user, Some(&id));
            next.pacer.handle_found(user, hold(Presence::Available), &desk.now);
            due += usize::from(Place::of(&id).slot_from(begin, Interval::of_seconds(240)) <= second);
        }
        let mut sent = 0;
        while let Next::Send(items) = next.pacer.poll(&next.now) {
            sent += items.len();
        }
        assert_eq!(sent, due);
    }
}

#[test]
fn an_answer_to_a_removed_user_is_ignored_even_if_its_index_is_used_again() {
    let mut desk = Desk::with_users(1);
    desk.pacer.handle_change(UserIndex(0), false, &desk.now);
    let item = desk.one();
    desk.pacer.handle_removed(UserIndex(0));
    desk.pacer.handle_added(UserIndex(0), Some("another"));
    desk.done(item, Some(Presence::Available));
    assert_eq!((desk.wait(), desk.pacer.earliest_slot()), (None, None));
    desk.done(item, Some(Presence::Available));
    desk.set(0, Presence::Available);
    desk.pacer.handle_removed(UserIndex(0));
    assert_eq!(desk.wait(), None);
}

#[test]
fn a_change_during_a_request_follows_its_answer_and_one_taken_back_does_not() {
    let mut desk = Desk::with_users(1);
    let user = UserIndex(0);
    desk.pacer.handle_change(user, false, &desk.now);
    let item = desk.one();
    desk.pacer.handle_change(user, false, &desk.now);
    assert_eq!(desk.wait(), None);
    desk.answer(item, Answer::Again);
    let item = desk.one();
    desk.pacer.handle_change(user, false, &desk.now);
    desk.done(item, Some(Presence::Away));
    let item = desk.one();
    assert_eq!(item.work, turn(0, Cause::Change));
    desk.done(item, None);
    desk.pacer.handle_change(user, false, &desk.now);
    desk.pacer.handle_settled(user);
    assert_eq!(desk.wait(), None);
}

#[test]
fn after_a_step_of_the_wall_clock_slots_are_on_the_new_clock_and_no_deadline_is_missed() {
    for step in [-100_000, -50, 50, 100_000] {
        let mut desk = Desk::with_users(2);
        desk.set(0, Presence::Available);
        desk.pacer.handle_found(UserIndex(1), hold(Presence::Available), &desk.now);
        let unknown = desk.pacer.users.get(UserIndex(1)).and_then(|user| user.slot).expect("a slot");
        let left = unknown - second_of(desk.now.wall);
        desk.now.wall += SignedDuration::from_secs(step);
        let _ = desk.pacer.poll(&desk.now);
        let second = second_of(desk.now.wall);
        let slot =
            |desk: &Desk, user| desk.pacer.users.get(UserIndex(user)).and_then(|user| user.slot).expect("a slot");
        assert_eq!(slot(&desk, 1) - second, left, "a user whose deadline is unknown keeps its time");
        let on_the_wheel = Place::of("user 0").slot_from(slot(&desk, 0), Interval::of_seconds(240));
        assert_eq!(slot(&desk, 0), on_the_wheel);
        let begin = desk.now.instant;
        let sent = loop {
            let items = desk.wait_and_send();
            if items.iter().any(|item| matches!(item.work, Work::User { user: UserIndex(0), .. })) {
                break desk.now.instant;
            }
        };
        assert!(sent.saturating_since(begin) <= seconds(285), "{step}");
    }
}

#[test]
fn one_that_faded_lets_those_go_first_who_can_be_saved() {
    let mut desk = Desk::with_users(3);
    desk.set(0, Presence::Available);
    desk.pass(seconds(10));
    desk.set(1, Presence::Available);
    desk.pass(seconds(290));
    desk.pacer.handle_change(UserIndex(2), false, &desk.now);
    let order = [desk.send(), desk.send(), desk.send()].map(|items| works(&items));
    assert_eq!(order, [vec![turn(1, Cause::Deadline)], vec![turn(2, Cause::Change)], vec![turn(0, Cause::Keepalive)]]);
}
