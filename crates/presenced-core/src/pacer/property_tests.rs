//! What holds whatever happens: a random fleet, random answers in any order, removals, and steps of the wall clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::presence::{Expiration, Presence};

const USERS: u32 = 60;
/// 3 requests a second are used.
const REQUESTS: u32 = 100;
const SPACING: Duration = Duration::from_nanos(333_333_334);
const BURST: usize = 3;

#[derive(Clone, Debug)]
enum Event {
    Add(u32),
    Remove(u32),
    Change(u32),
    Settle(u32),
    Found(u32),
    Read,
    /// Of those in flight, the one at this place is answered.
    Answer(usize, Kind),
    Pass(Duration),
    Step(i64),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Available,
    Away,
    Cleared,
    Again,
    Failed,
    Refused,
    Throttled(Option<u64>),
    Silence,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        8 => Just(Kind::Available),
        4 => Just(Kind::Away),
        1 => Just(Kind::Cleared),
        1 => Just(Kind::Again),
        1 => Just(Kind::Failed),
        1 => Just(Kind::Refused),
        1 => proptest::option::of(0..25_u64).prop_map(Kind::Throttled),
        1 => Just(Kind::Silence),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..USERS).prop_map(Event::Add),
        1 => (0..USERS).prop_map(Event::Remove),
        6 => (0..USERS).prop_map(Event::Change),
        1 => (0..USERS).prop_map(Event::Settle),
        2 => (0..USERS).prop_map(Event::Found),
        1 => Just(Event::Read),
        12 => (0..64_usize, kind()).prop_map(|(at, kind)| Event::Answer(at, kind)),
        8 => (0..4000_u64).prop_map(|millis| Event::Pass(Duration::from_millis(millis))),
        1 => (0..400_u64).prop_map(|seconds| Event::Pass(Duration::from_secs(seconds))),
        1 => (-5000..5000_i64).prop_map(Event::Step),
    ]
}

/// The pacer, and what the caller knows.
struct Caller {
    pacer: Pacer,
    now: Now,
    users: BTreeSet<u32>,
    in_flight: BTreeMap<Ticket, (Work, Instant)>,
    /// When each request was sent.
    sent: Vec<Instant>,
    /// Users with a change that has not been sent.
    waiting: BTreeSet<u32>,
    /// When each user's Available was last set.
    available: BTreeMap<u32, Instant>,
    /// A failure may have put users aside, so that the order is not known any more.
    has_failed: bool,
}

impl Caller {
    fn new() -> Self {
        let wall = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_796_000_000);
        let now = Now { instant: Instant::from_origin(Duration::from_secs(100)), wall, zone: TimeZone::UTC };
        let rate = Rate::new(REQUESTS, Duration::from_secs(30)).expect("a rate");
        let pacer = Pacer::new(rate, None, &now);
        let (users, in_flight, sent, waiting) = Default::default();
        Self { pacer, now, users, in_flight, sent, waiting, available: BTreeMap::new(), has_failed: false }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Add(user) => {
                if self.users.insert(user) {
                    self.pacer.handle_added(UserIndex(user), Some(&format!("user {user}")));
                }
            }
            Event::Remove(user) => {
                self.pacer.handle_removed(UserIndex(user));
                self.users.remove(&user);
                self.waiting.remove(&user);
                self.available.remove(&user);
                // Its answer is for nobody.
                self.in_flight.retain(|_, (work, _)| user_of(*work) != Some(user));
            }
            Event::Change(user) if self.users.contains(&user) => {
                self.pacer.handle_change(UserIndex(user), user % 2 == 0, &self.now);
                self.waiting.insert(user);
            }
            Event::Settle(user) => {
                self.pacer.handle_settled(UserIndex(user));
                self.waiting.remove(&user);
            }
            Event::Found(user) => {
                self.pacer.handle_found(UserIndex(user), hold(Presence::Available), &self.now);
                self.available.remove(&user);
            }
            Event::Read => self.pacer.handle_read(ReadIndex(0)),
            Event::Answer(at, kind) => {
                let ticket = self.in_flight.keys().nth(at % self.in_flight.len().max(1)).copied();
                if let Some(ticket) = ticket {
                    self.answer(ticket, kind);
                }
            }
            Event::Pass(time) => self.pass(time),
            Event::Step(seconds) => self.now.wall += SignedDuration::from_secs(seconds),
            Event::Change(_) => {}
        }
    }

    fn answer(&mut self, ticket: Ticket, kind: Kind) {
        let Some((work, sent_at)) = self.in_flight.remove(&ticket) else { return };
        let answer = match kind {
            Kind::Available => Answer::Done(Some((hold(Presence::Available), sent_at))),
            Kind::Away => Answer::Done(Some((hold(Presence::Away), sent_at))),
            Kind::Cleared => Answer::Done(None),
            Kind::Again => Answer::Again,
            Kind::Failed => Answer::Failed,
            Kind::Refused => Answer::Refused,
            Kind::Throttled(retry_after) => Answer::Throttled { retry_after: retry_after.map(Duration::from_secs) },
            Kind::Silence => Answer::Unavailable { retry_after: None },
        };
        match (user_of(work), answer) {
            (Some(user), Answer::Done(held)) => {
                self.available.remove(&user);
                if held.is_some_and(|(target, _)| target == hold(Presence::Available)) {
                    self.available.insert(user, sent_at);
                }
            }
            (Some(_), _) => self.has_failed = true,
            (None, _) => {}
        }
        self.pacer.handle_answer(ticket, answer, &self.now);
    }

    /// Passes the time, and sends whenever the pacer says so.
    fn pass(&mut self, time: Duration) {
        let end = self.now.instant + time;
        loop {
            let wakeup = self.drain().unwrap_or(end).min(end);
            let passed = wakeup.saturating_since(self.now.instant);
            self.now.instant = wakeup;
            self.now.wall += passed;
            if wakeup == end {
                return;
            }
        }
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.pacer.poll(&self.now) {
                Next::Wait(until) => {
                    assert!(until.is_none_or(|until| until > self.now.instant), "it would wake up for nothing");
                    return until;
                }
                Next::Send(items) => self.send(&items),
            }
        }
    }

    fn send(&mut self, items: &[Item]) {
        assert!((1..=BURST).contains(&items.len()), "{items:?}");
        for item in items {
            self.sent.push(self.now.instant);
            if let Work::User { user, cause } = item.work {
                assert!(self.users.contains(&user.0), "{user:?} is gone");
                assert!(
                    self.in_flight.values().all(|(work, _)| user_of(*work) != Some(user.0)),
                    "two requests of a user are in flight"
                );
                self.check_order(user.0, cause);
                self.waiting.remove(&user.0);
            }
            self.in_flight.insert(item.ticket, (item.work, self.now.instant));
        }
    }

    fn check_order(&self, user: u32, cause: Cause) {
        let is_ready = |user: &u32| self.in_flight.values().all(|(work, _)| user_of(*work) != Some(*user));
        let left = |user: &u32| {
            let set_at = self.available.get(user)?;
            Some((*set_at + Duration::from_mins(5)).saturating_since(self.now.instant))
        };
        let is_urgent = |user: &u32| left(user).is_some_and(|left| !left.is_zero() && left <= URGENT);
        match cause {
            Cause::Deadline => assert!(!self.available.contains_key(&user) || is_urgent(&user), "{:?}", left(&user)),
            Cause::Change | Cause::Keepalive if self.has_failed => {}
            Cause::Change => {
                let urgent = self.available.keys().find(|other| is_urgent(other) && is_ready(other));
                assert_eq!(urgent, None, "someone near its deadline goes before a change");
            }
            Cause::Keepalive => {
                assert!(!self.waiting.iter().any(is_ready), "{:?} wait", self.waiting);
            }
        }
    }

    /// In any time, no more than what flows in and one second's worth.
    fn check_rate(&self) {
        let mut window = 0;
        for (last, at) in self.sent.iter().enumerate() {
            while at.saturating_since(self.sent[window]) > Duration::from_secs(30) {
                window += 1;
            }
            assert!(last + 1 - window <= REQUESTS as usize, "the limit in 30 s");
            for first in window..=last {
                let flowed = at.saturating_since(self.sent[first]).as_nanos() / SPACING.as_nanos();
                let most = BURST + usize::try_from(flowed).expect("a small number") + 1;
                assert!(last + 1 - first <= most, "{} in {flowed} times the spacing", last + 1 - first);
            }
        }
    }
}

fn user_of(work: Work) -> Option<u32> {
    match work {
        Work::User { user, .. } => Some(user.0),
        Work::Read(_) => None,
    }
}

fn hold(presence: Presence) -> Target {
    Target { presence, expiration: Expiration::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The rate, the order and the form hold at each step. Afterwards, when all goes well again, nobody is forgotten.
    #[test]
    fn whatever_happens_the_rate_holds_and_nobody_starves(events in proptest::collection::vec(event(), 1..300)) {
        let mut caller = Caller::new();
        for event in &events {
            caller.happen(event);
            caller.drain();
        }
        // Everything is answered from now on. Refused users are looked at after 15 minutes, at their next slot.
        let fair = caller.now.instant;
        let mut set = BTreeMap::new();
        while caller.now.instant < fair + Duration::from_mins(30) {
            for ticket in caller.in_flight.keys().copied().collect::<Vec<_>>() {
                let user = user_of(caller.in_flight[&ticket].0);
                caller.answer(ticket, Kind::Available);
                set.extend(user.map(|user| (user, caller.now.instant)));
            }
            caller.pass(Duration::from_millis(500));
        }
        caller.check_rate();
        prop_assert!(caller.pacer.users.changes.is_empty() && caller.pacer.reads.is_empty());
        for (user, at) in &set {
            let since = caller.now.instant.saturating_since(*at);
            prop_assert!(
                !caller.users.contains(user) || since < Duration::from_mins(5),
                "user {user} was set {since:?} ago"
            );
        }
        for user in caller.waiting {
            let refused = caller.pacer.users.get(UserIndex(user)).is_some_and(|user| user.is_refused);
            prop_assert!(set.contains_key(&user) || refused, "the change of user {user} was forgotten");
        }
    }

    /// One change, when nothing else waits, goes at once and alone, whenever that is.
    #[test]
    fn a_lone_change_goes_at_once(users in 1..200_u32, after in 0..100_000_u64) {
        let mut caller = Caller::new();
        caller.pacer = Pacer::new(Rate::default(), None, &caller.now);
        for user in 0..users {
            caller.pacer.handle_added(UserIndex(user), Some(&format!("user {user}")));
            caller.pacer.handle_found(UserIndex(user), hold(Presence::Away), &caller.now);
        }
        let end = caller.now.instant + Duration::from_millis(after);
        loop {
            let until = loop {
                match caller.pacer.poll(&caller.now) {
                    Next::Wait(until) => break until.unwrap_or(end).min(end),
                    Next::Send(_) => {}
                }
            };
            let passed = until.saturating_since(caller.now.instant);
            (caller.now.instant, caller.now.wall) = (until, caller.now.wall + passed);
            if until == end {
                break;
            }
        }
        let new = UserIndex(users);
        caller.pacer.handle_added(new, Some("new"));
        caller.pacer.handle_change(new, false, &caller.now);
        let Next::Send(items) = caller.pacer.poll(&caller.now) else { panic!("it waits") };
        let works: Vec<_> = items.iter().map(|item| item.work).collect();
        prop_assert_eq!(works, [Work::User { user: new, cause: Cause::Change }]);
    }
}
