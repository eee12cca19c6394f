//! The session beside a model of Graph, in virtual time: random signals, latencies and faults from a seed, and what must
//! hold whatever they are. The model is written from Graph's documentation alone, apart from the session and the emulator.

use std::time::Duration;

use super::*;
use crate::presence::{Expiration, Presence};

/// What Graph's documentation says of one app session, and nothing more.
#[derive(Default)]
struct Graph {
    session: Option<(Target, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Offline,
    Faded,
    As(Presence),
}

impl Graph {
    fn apply(&mut self, action: Action, now: Instant) {
        self.session = match action {
            Action::Set(target) => Some((target, now)),
            Action::Clear => None,
            Action::Prefer(_) | Action::ClearPreferred => unreachable!("no wish here prefers"),
        };
    }

    fn seen(&self, now: Instant) -> Seen {
        match self.session {
            Some((target, set_at)) if now >= set_at + target.expiration.as_duration() => Seen::Offline,
            Some((target, set_at))
                if target.presence == Presence::Available && now >= set_at + Duration::from_mins(5) =>
            {
                Seen::Faded
            }
            Some((target, _)) => Seen::As(target.presence),
            None => Seen::Offline,
        }
    }
}

/// How requests end for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Well,
    /// Nothing leaves the machine.
    Down,
    /// Requests arrive and are carried out, answers are lost.
    Deaf,
    /// The service answers 503.
    Failing,
    /// The service answers 429 with a wait of so many seconds.
    Throttling(u64),
}

struct World {
    now: Instant,
    graph: Graph,
    network: Network,
    session: Session,
    random: fastrand::Rng,
    wish: Option<Target>,
    wish_since: Instant,
    well_since: Instant,
    forbidden_until: Instant,
    requests: usize,
}

/// The longest a request takes in this world.
const LATENCY: Duration = Duration::from_secs(2);

impl World {
    fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_origin(Duration::from_secs(1000)),
            graph: Graph::default(),
            network: Network::Well,
            session: Session::new(seed),
            random: fastrand::Rng::with_seed(seed),
            wish: None,
            wish_since: Instant::default(),
            well_since: Instant::default(),
            forbidden_until: Instant::default(),
            requests: 0,
        }
    }

    fn wish(&mut self, wish: Option<Target>) {
        if wish != self.wish {
            self.wish_since = self.now;
        }
        self.wish = wish;
        self.session.handle_wish(wish, self.now);
    }

    /// Lives until `end`: sends what is due, and checks after each step.
    fn live_until(&mut self, end: Instant) {
        while self.now < end {
            if let Some(request) = self.session.poll_request(self.now) {
                self.send(request);
                continue;
            }
            let next = self.session.poll_wakeup(self.now).map_or(end, |(at, _)| at.min(end));
            assert!(next > self.now, "a wakeup that is due asks for a request");
            // What others see is checked at every moment at which it could go wrong: just before each step.
            self.check(next - Duration::from_nanos(1));
            self.now = next;
        }
    }

    fn send(&mut self, request: Request) {
        assert!(self.now >= self.forbidden_until, "Retry-After is obeyed");
        assert_eq!(self.session.poll_request(self.now), None, "one request in flight");
        self.requests += 1;
        let latency = LATENCY.mul_f64(self.random.f64());
        let passing = |applied| Failure { applied, ..Failure::new(FailureKind::Passing, "it failed") };
        let outcome = match self.network {
            Network::Well => Ok(()),
            Network::Down => Err(passing(Applied::No)),
            Network::Deaf | Network::Failing => Err(passing(Applied::Perhaps)),
            Network::Throttling(seconds) => {
                let wait = Duration::from_secs(seconds);
                self.forbidden_until = self.now + latency + wait;
                Err(Failure { retry_after: Some(wait), ..Failure::new(FailureKind::Throttled, "throttled") })
            }
        };
        if matches!(self.network, Network::Well | Network::Deaf) {
            self.graph.apply(request.action, self.now + latency.mul_f64(self.random.f64()));
        }
        self.now = self.now + latency;
        self.session.handle_outcome(request.id, outcome.as_ref().copied(), self.now);
    }

    /// While the network is well, others see the wish, but for the time that a request, a window of changes and the last
    /// backoff take.
    fn check(&self, now: Instant) {
        let settled = (self.wish_since + Duration::from_secs(5) + LATENCY * 2)
            .max(self.well_since + Duration::from_mins(5) + LATENCY * 2)
            .max(self.forbidden_until + LATENCY * 2);
        if self.network == Network::Well && now > settled {
            let expected = self.wish.map_or(Seen::Offline, |target| Seen::As(target.presence));
            assert_eq!(self.graph.seen(now), expected, "at {now:?}");
        }
    }
}

fn random_wish(random: &mut fastrand::Rng) -> Option<Target> {
    let expirations = [300, 420, 900, 3600, 14_400].map(Duration::from_secs);
    let presence = *random.choice(Presence::ALL.iter()).expect("five");
    let expiration = *random.choice(expirations.iter()).expect("five");
    (random.u8(..) > 25).then(|| Target { presence, expiration: Expiration::try_from(expiration).expect("in range") })
}

fn random_wait(random: &mut fastrand::Rng) -> Duration {
    let longest = *random.choice([1.0, 30.0, 600.0, 7200.0].iter()).expect("four");
    Duration::from_secs_f64(longest * random.f64())
}

#[test]
fn without_faults_others_always_see_the_wish_and_it_never_fades() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..100 {
            let wish = random_wish(&mut world.random);
            world.wish(wish);
            let end = world.now + random_wait(&mut world.random);
            world.live_until(end);
        }
    }
}

#[test]
fn after_any_faults_others_see_the_wish_again() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..100 {
            let wish = random_wish(&mut world.random);
            world.wish(wish);
            let network = match world.random.u8(0..10) {
                0 => Network::Down,
                1 => Network::Deaf,
                2 => Network::Failing,
                3 => Network::Throttling(world.random.u64(1..400)),
                _ => Network::Well,
            };
            if network == Network::Well && world.network != Network::Well {
                world.well_since = world.now;
                if world.random.bool() {
                    world.session.handle_nudge();
                }
            }
            world.network = network;
            let end = world.now + random_wait(&mut world.random);
            world.live_until(end);
        }
    }
}

#[test]
fn a_fault_shorter_than_the_lead_never_lets_available_fade() {
    let available = Some(Target { presence: Presence::Available, expiration: Expiration::MAX });
    for seed in 0..300 {
        let mut world = World::new(seed);
        world.wish(available);
        for _ in 0..50 {
            world.network = Network::Well;
            let end = world.now + random_wait(&mut world.random) + Duration::from_secs(10);
            world.live_until(end);
            world.network = if world.random.bool() { Network::Down } else { Network::Failing };
            let end = world.now + Duration::from_secs(50);
            while world.now < end {
                let step = (world.now + Duration::from_millis(500)).min(end);
                world.live_until(step);
                assert_eq!(world.graph.seen(world.now), Seen::As(Presence::Available), "seed {seed}");
            }
            world.network = Network::Well;
            let end = world.now + Duration::from_secs(15);
            world.live_until(end);
            assert_eq!(world.graph.seen(world.now), Seen::As(Presence::Available), "seed {seed}");
        }
    }
}

#[test]
fn a_dead_network_costs_few_requests() {
    let mut world = World::new(1);
    world.wish(Some(Target { presence: Presence::Available, expiration: Expiration::MAX }));
    world.network = Network::Down;
    let end = world.now + Duration::from_hours(10);
    world.live_until(end);
    assert!(world.requests < 600, "{} requests in ten hours", world.requests);
}
