//! A fleet at work: the real pacer and the model of Graph in virtual time, driven as the daemon will drive it. Each answer takes
//! 60 to 250 ms. At each request, it checks the order and the form of what is sent.

mod join;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use slab::Slab;

use super::graph::{Graph, LIMIT, Status};
use crate::pacer::{Answer, Cause, Item, Next, Pacer, Rate, ReadIndex, UserIndex, Work};
use crate::presence::{Expiration, Presence};
use crate::session::Target;
use crate::time::{Instant, Now};

/// How many users one read returns.
const READ: usize = 650;
/// How often the earliest slot is stored.
const STORED_EVERY: Duration = Duration::from_secs(10);
/// How long the client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn hold(presence: Presence) -> Target {
    Target { presence, expiration: Expiration::default() }
}

struct User {
    id: String,
    wish: Target,
    asserted: Option<(Target, Instant)>,
    /// Since when its change waits to be sent.
    waits_since: Option<Instant>,
    in_flight: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request reaches Graph.
    Arrive {
        life: u32,
        request: usize,
    },
    /// Its answer reaches the process.
    Answer {
        life: u32,
        request: usize,
    },
    Change,
    Store,
}

#[derive(Clone, Copy)]
struct Request {
    item: Item,
    target: Target,
    sent_at: Instant,
    answer: Option<Answer>,
}

/// What Graph does to requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Weather {
    #[default]
    Fair,
    /// No answer comes until then.
    Silent { until: Instant },
    /// Everything is answered with 503 until then.
    Failing { until: Instant },
    /// Everything is answered with 429 and `Retry-After` until then.
    Throttling { until: Instant },
}

pub(super) struct World {
    pub(super) graph: Graph,
    pub(super) weather: Weather,
    /// Graph answers 404 for one user in this many.
    pub(super) refuses_one_in: Option<usize>,
    /// It answers 500 for one user in this many.
    pub(super) fails_one_in: Option<usize>,
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
    pacer: Pacer,
    rate: Rate,
    users: Vec<User>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    /// Those that are on their way.
    requests: Slab<Request>,
    number: u64,
    /// Counts the processes. An answer to an earlier one is lost.
    life: u32,
    stored: Option<Timestamp>,
    pub(super) stored_every: Duration,
    changes_in_a_second: u32,
    calls_end: bool,
    waiting: BTreeSet<usize>,
    random: fastrand::Rng,
    /// How long each change waited until it was sent.
    pub(super) waits: Vec<Duration>,
    pub(super) answered_429: usize,
    /// How many requests went out, and in how many sends.
    pub(super) sent: usize,
    pub(super) sends: usize,
    pub(super) by_deadline: usize,
    /// The most that a keepalive was late.
    pub(super) latest: Duration,
}

impl World {
    /// A fleet whose process starts now, for the first time.
    pub(super) fn new(available: usize, others: usize, rate: Rate, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let presence = |n| if n < available { Presence::Available } else { Presence::Away };
        let user = |n| User {
            id: format!("{:032x}", random.u128(..)),
            wish: hold(presence(n)),
            asserted: None,
            waits_since: None,
            in_flight: false,
        };
        let users: Vec<_> = (0..available + others).map(user).collect();
        let now = Instant::from_origin(Duration::from_hours(1));
        let wall = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_796_000_000);
        let clocks = Now { instant: now, wall, zone: TimeZone::UTC };
        let mut world = Self {
            graph: Graph::new(users.len()),
            weather: Weather::default(),
            refuses_one_in: None,
            fails_one_in: None,
            now,
            wall,
            pacer: Pacer::new(rate, None, &clocks),
            rate,
            users,
            events: BinaryHeap::new(),
            requests: Slab::new(),
            number: 0,
            life: 0,
            stored: None,
            stored_every: STORED_EVERY,
            changes_in_a_second: 0,
            calls_end: false,
            waiting: BTreeSet::new(),
            random,
            waits: Vec::new(),
            answered_429: 0,
            sent: 0,
            sends: 0,
            by_deadline: 0,
            latest: Duration::ZERO,
        };
        world.at(now + STORED_EVERY, Event::Store);
        world.start(None);
        world
    }

    /// A fleet that has been steady for a long time: the wheel is not late, and the process knows all deadlines. To get there fast, it
    /// starts at ten times the rate, and is then restarted at the real one.
    pub(super) fn steady(available: usize, others: usize, seed: u64) -> Self {
        let ten_times = Rate::new(15_000, Duration::from_secs(30)).expect("a rate");
        let mut world = Self::new(available, others, ten_times, seed);
        world.graph.limit = usize::MAX;
        world.run(Duration::from_mins(5));
        world.stored = world.pacer.earliest_slot();
        world.rate = Rate::default();
        world.kill(Duration::ZERO, true);
        world.run(Duration::from_mins(5));
        world.graph.limit = LIMIT;
        assert_eq!(world.graph.ended.len(), 0, "nobody fades until then");
        world.waits.clear();
        (world.sent, world.sends, world.by_deadline, world.latest) = (0, 0, 0, Duration::ZERO);
        (world.graph.busiest, world.graph.longest_gap) = (0, Duration::ZERO);
        world
    }

    fn clocks(&self) -> Now {
        Now { instant: self.now, wall: self.wall, zone: TimeZone::UTC }
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at, self.number, event)));
    }

    /// The process starts, and reads all users first.
    fn start(&mut self, stored: Option<Timestamp>) {
        self.pacer = Pacer::new(self.rate, stored, &self.clocks());
        self.waiting.clear();
        for (index, user) in (0..).map(UserIndex).zip(&mut self.users) {
            (user.asserted, user.in_flight) = (None, false);
            self.pacer.handle_added(index, Some(&user.id));
        }
        for read in (0..).take(self.users.len().div_ceil(READ)) {
            self.pacer.handle_read(ReadIndex(read));
        }
    }

    /// The process is killed. It is back after `down`, with the stored slot or without.
    pub(super) fn kill(&mut self, down: Duration, has_stored: bool) {
        self.life += 1;
        let until = self.now + down;
        while let Some(Reverse((at, _, event))) = self.events.peek().copied().filter(|Reverse((at, ..))| *at <= until) {
            self.events.pop();
            self.pass_to(at);
            match event {
                // The file stays as it is.
                Event::Store => self.at(until + STORED_EVERY, Event::Store),
                event @ (Event::Arrive { .. } | Event::Answer { .. } | Event::Change) => self.happen(event),
            }
        }
        self.pass_to(until);
        self.start(self.stored.filter(|_| has_stored));
    }

    /// This many changes in each second from now on.
    pub(super) fn change_often(&mut self, in_a_second: u32) {
        self.changes_in_a_second = in_a_second;
        self.at(self.now, Event::Change);
    }

    /// The wall clock is set.
    pub(super) fn step(&mut self, by: SignedDuration) {
        self.wall += by;
    }

    /// How many users do not have in Graph what they should have.
    pub(super) fn not_held(&self) -> usize {
        (0..self.users.len()).filter(|user| self.graph.read(*user, self.now) != Some(self.users[*user].wish)).count()
    }

    fn pass_to(&mut self, instant: Instant) {
        self.wall += instant.saturating_since(self.now);
        self.now = instant;
    }

    /// Runs for `time`.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wakeup = loop {
                match self.pacer.poll(&self.clocks()) {
                    Next::Send(items) => self.send(&items),
                    Next::Wait(until) => break until,
                }
            };
            assert!(wakeup.is_none_or(|at| at > self.now), "it wakes up for nothing");
            let event = self.events.peek().map(|Reverse((at, ..))| *at);
            let next = [wakeup, event].into_iter().flatten().min().unwrap_or(end).min(end);
            self.pass_to(next);
            if next == end {
                return;
            }
            while let Some(Reverse((_, _, event))) = self.events.peek().copied().filter(|Reverse((at, ..))| *at <= next)
            {
                self.events.pop();
                self.happen(event);
            }
        }
    }

    fn send(&mut self, items: &[Item]) {
        assert!((1..=20).contains(&items.len()), "{} in one batch", items.len());
        (self.sent, self.sends) = (self.sent + items.len(), self.sends + 1);
        for item in items {
            let target = match item.work {
                Work::Read(_) => hold(Presence::Away),
                Work::User { user, cause } => self.send_user(user, cause),
            };
            let request = Request { item: *item, target, sent_at: self.now, answer: None };
            let (life, request) = (self.life, self.requests.insert(request));
            let half = Duration::from_millis(self.random.u64(30..125));
            self.at(self.now + half, Event::Arrive { life, request });
        }
    }

    fn send_user(&mut self, index: UserIndex, cause: Cause) -> Target {
        let waiting = self.waiting.len();
        let user = &mut self.users[index.0 as usize];
        assert!(!std::mem::replace(&mut user.in_flight, true), "one request of a user is in flight");
        match cause {
            Cause::Change => {}
            Cause::Keepalive => {
                assert_eq!(waiting, 0, "a change waits only for keepalives without which a presence would fade");
            }
            Cause::Deadline => {
                let (target, set_at) = user.asserted.expect("this process set it");
                let lasts = if target == hold(Presence::Available) { 300 } else { 900 };
                let left = (set_at + Duration::from_secs(lasts)).saturating_since(self.now);
                assert!(left <= Duration::from_secs(15), "{left:?} are left");
                self.by_deadline += 1;
            }
        }
        self.waiting.remove(&(index.0 as usize));
        if let Some(since) = user.waits_since.take() {
            self.waits.push(self.now.saturating_since(since));
        }
        user.wish
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { life, request } => self.arrive(life, request),
            Event::Answer { life, request } if life == self.life => self.answer(request),
            Event::Answer { request, .. } => drop(self.requests.remove(request)),
            Event::Change => {
                self.change_one();
                if let Some(pause) = Duration::from_secs(1).checked_div(self.changes_in_a_second) {
                    self.at(self.now + pause, Event::Change);
                }
            }
            Event::Store => {
                self.stored = self.pacer.earliest_slot();
                let late = self.stored.map(|stored| self.wall.duration_since(stored)).unwrap_or_default();
                self.latest = self.latest.max(late.try_into().unwrap_or_default());
                self.at(self.now + self.stored_every, Event::Store);
            }
        }
    }

    fn arrive(&mut self, life: u32, index: usize) {
        let Request { item, target, sent_at, .. } = self.requests[index];
        let now = self.now;
        let back = now + now.saturating_since(sent_at);
        let silence = Answer::Unavailable { retry_after: None };
        let (answer, at) = match self.weather {
            Weather::Silent { until } if now < until => (silence, sent_at + TIMEOUT),
            Weather::Failing { until } if now < until => (silence, back),
            Weather::Throttling { until } if now < until => {
                (Answer::Throttled { retry_after: Some(until.saturating_since(now)) }, back)
            }
            Weather::Fair | Weather::Silent { .. } | Weather::Failing { .. } | Weather::Throttling { .. } => {
                (self.serve(item.work, target, sent_at), back)
            }
        };
        self.requests[index].answer = Some(answer);
        self.at(at, Event::Answer { life, request: index });
    }

    /// Graph's answer if nothing is wrong with it.
    fn serve(&mut self, work: Work, target: Target, sent_at: Instant) -> Answer {
        if let Status::TooManyRequests(wait) = self.graph.arrive(self.now) {
            return Answer::Throttled { retry_after: Some(wait) };
        }
        let Work::User { user, .. } = work else { return Answer::Done(None) };
        let user = user.0 as usize;
        if self.refuses_one_in.is_some_and(|many| user.is_multiple_of(many)) {
            Answer::Refused
        } else if self.fails_one_in.is_some_and(|many| user % many == 1) {
            Answer::Unavailable { retry_after: None }
        } else {
            self.graph.set(user, Some(target), self.now);
            Answer::Done(Some((target, sent_at)))
        }
    }
}
