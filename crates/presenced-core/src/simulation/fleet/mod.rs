//! The proof of the pacer: 12,000 users of one application, 9,600 of them Available, in virtual time, with a model of Graph's limit
//! and everything that goes wrong. Each scenario prints its figures:
//!
//!     cargo test -p presenced-core fleet -- --nocapture
//!     PRESENCED_FLEET_MINUTES=1440 cargo test --release -p presenced-core fleet -- --nocapture
//!
//! `PRESENCED_FLEET_MINUTES` sets how long each scenario runs after what happens in it.
//!
//! `graph` is the model of Graph, `world` drives the pacer in virtual time, and `world::join` does what the daemon will do. `world` checks at each request:
//!
//! - One request of a user is in flight. At most 20 go together.
//! - No keepalive goes while a change waits, except those that are within 15 s of their deadline.
//! - A user goes first only if its deadline is within 15 s.
//!
//! The scenarios check that no session fades or expires, that Graph never answers 429 by itself, and how long changes wait.

mod graph;
mod world;

use std::time::Duration;

use jiff::SignedDuration;

use super::number_from_environment;
use crate::pacer::Rate;
use graph::LIMIT;
use world::{Weather, World};

const AVAILABLE: usize = 9600;
const OTHERS: usize = 2400;
/// How long a scenario runs if `PRESENCED_FLEET_MINUTES` does not say otherwise: longer than the interval of PT15M.
const MINUTES: u64 = 13;

fn minutes() -> Duration {
    Duration::from_mins(number_from_environment("PRESENCED_FLEET_MINUTES").unwrap_or(MINUTES))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What came of a scenario.
#[derive(Debug)]
struct Figures {
    ended: usize,
    /// The longest that a change waited, and what 99 % of them waited at most.
    longest_wait: Duration,
    p99: Duration,
    requests: usize,
    sends: usize,
}

/// Prints the figures of a scenario, and checks what holds in each.
fn figures(name: &str, world: &mut World) -> Figures {
    world.graph.close(world.now);
    world.waits.sort();
    let p99 = world.waits.get(world.waits.len() * 99 / 100).copied().unwrap_or_default();
    let figures = Figures {
        ended: world.graph.ended.len(),
        longest_wait: world.waits.last().copied().unwrap_or_default(),
        p99,
        requests: world.sent,
        sends: world.sends,
    };
    println!(
        "{name}: {} ended; busiest 30 s {}; {} requests in {} sends, {} by deadline; longest gap {:.1} s, latest slot {} s; \
         {} changes, p99 {:.3} s, longest {:.3} s",
        figures.ended,
        world.graph.busiest,
        figures.requests,
        figures.sends,
        world.by_deadline,
        world.graph.longest_gap.as_secs_f64(),
        world.latest.as_secs(),
        world.waits.len(),
        figures.p99.as_secs_f64(),
        figures.longest_wait.as_secs_f64(),
    );
    assert_eq!(world.graph.throttled, 0, "Graph throttles");
    assert!(world.graph.busiest <= 1397 && 1397 < LIMIT, "{} in 30 s", world.graph.busiest);
    figures
}

fn steady() -> World {
    World::steady(AVAILABLE, OTHERS, 1)
}

#[test]
fn nobody_fades_at_the_first_start() {
    let mut world = World::new(AVAILABLE, OTHERS, Rate::default(), 1);
    world.run(minutes());
    let figures = figures("start", &mut world);
    assert_eq!((figures.ended, world.waits.len()), (0, AVAILABLE + OTHERS));
    assert!(figures.longest_wait < seconds(270), "12,000 at 45 a second");
}

#[test]
fn nobody_fades_in_steady_state_with_changes() {
    let mut world = steady();
    world.run(minutes());
    let calm = figures("steady", &mut world);
    assert_eq!(calm.ended, 0);
    assert!(calm.sends * 5 < calm.requests, "keepalives go in batches");
    // With one change a second, everything fits into the pace: 43.3 keepalives and a change, of 45.
    world.change_often(1);
    world.run(minutes());
    let fits = figures("1 change a second", &mut world);
    assert_eq!(fits.ended, 0);
    assert!(fits.p99 < Duration::from_millis(100), "{fits:?}");
    // Five are more than the pace. Each round takes longer, until some users are sent by their deadlines, a full batch at a time.
    let mut world = steady();
    world.change_often(5);
    world.run(minutes());
    let busy = figures("5 changes a second", &mut world);
    assert_eq!(busy.ended, 0);
    assert!(busy.longest_wait < seconds(1), "{busy:?}");
}

#[test]
fn nobody_fades_in_a_storm() {
    let mut world = steady();
    for _ in 0..1000 {
        world.run(Duration::from_millis(1));
        world.begin_call();
    }
    world.run(minutes());
    let figures = figures("a storm of 1,000", &mut world);
    assert_eq!(figures.ended, 0);
    assert_eq!(world.waits.len(), 1000);
    assert!(figures.longest_wait <= seconds(23), "1,000 at 45 a second: {figures:?}");
}

#[test]
fn nobody_fades_after_a_kill() {
    for (name, has_stored) in [("killed for 30 s", true), ("killed for 30 s, no slot stored", false)] {
        // With this seed, many users have slots in the 30 s.
        let mut world = World::steady(AVAILABLE, OTHERS, 2);
        world.run(seconds(34));
        world.kill(seconds(30), has_stored);
        world.run(minutes());
        assert_eq!(figures(name, &mut world).ended, 0);
    }
    let mut world = steady();
    world.change_often(5);
    world.stored_every = seconds(1);
    world.run(minutes());
    world.kill(seconds(30), true);
    world.run(minutes());
    assert_eq!(figures("5 changes a second, and killed for 30 s", &mut world).ended, 0);
}

/// Everybody was set in the start. The next process knows no deadline, so it depends on the order in which that happened.
#[test]
fn nobody_fades_after_a_kill_soon_after_the_first_start() {
    for after in [1, 4, 9, 20] {
        let mut world = World::new(AVAILABLE, OTHERS, Rate::default(), 1);
        world.run(seconds(270) + Duration::from_mins(after));
        world.kill(seconds(25), true);
        world.run(Duration::from_mins(15));
        let figures = figures(&format!("killed {after} min after the first start"), &mut world);
        assert_eq!(figures.ended, 0);
    }
}

#[test]
fn nobody_fades_in_an_outage_of_50_s() {
    for is_silent in [true, false] {
        let mut world = steady();
        let until = world.now + seconds(50);
        world.weather = if is_silent { Weather::Silent { until } } else { Weather::Failing { until } };
        world.run(minutes());
        let name = if is_silent { "50 s without answers" } else { "50 s of 503" };
        assert_eq!(figures(name, &mut world).ended, 0);
    }
}

#[test]
fn nobody_fades_after_a_429_out_of_nowhere() {
    let mut world = steady();
    world.weather = Weather::Throttling { until: world.now + seconds(20) };
    world.run(minutes());
    assert_eq!(figures("a 429 with Retry-After 20", &mut world).ended, 0);
    assert!(world.answered_429 <= 50, "{} requests were on their way at most", world.answered_429);
}

#[test]
fn nobody_fades_when_the_wall_clock_is_set() {
    for by in [1000, -1000, 120, -3] {
        let mut world = steady();
        world.step(SignedDuration::from_secs(by));
        world.run(minutes());
        assert_eq!(figures(&format!("the wall clock is set by {by} s"), &mut world).ended, 0);
    }
}

#[test]
fn users_who_fail_hold_up_nobody() {
    let mut world = World::new(AVAILABLE, OTHERS, Rate::default(), 1);
    (world.refuses_one_in, world.fails_one_in) = (Some(120), Some(300));
    world.run(minutes());
    assert_eq!(figures("100 users are refused, and 40 always fail", &mut world).ended, 0);
}

/// How many Available users there can be before the first one is not held. If everybody is sent 15 s before the deadline, there is room
/// for 285 s times 45 a second.
#[test]
fn the_ceiling_is_where_the_arithmetic_says() {
    let curve = [10_800, 11_600, 12_000, 12_400, 12_800, 13_000, 13_200, 13_600, 14_000];
    let curve = if minutes() > Duration::from_mins(MINUTES) { &curve[..] } else { &[12_800, 13_200][..] };
    for available in curve {
        let mut world = World::new(*available, 0, Rate::default(), 1);
        world.run(minutes() * 2);
        let not_held = world.not_held();
        figures(&format!("{available} Available, {not_held} not held"), &mut world);
        assert_eq!(not_held > 0, *available > 285 * 45, "{available}: {not_held} are not held");
    }
}

/// What docs/fleet.md says about a lost node: the next process knows neither a deadline nor the slot, and begins 45 s back.
#[test]
fn a_node_that_is_lost_costs_the_share_that_is_documented() {
    for (available, others) in [(960, 240), (4800, 1200)] {
        for (down, documented) in [(80, 0.146), (90, 0.188)] {
            let mut world = World::steady(available, others, 2);
            world.run(seconds(34));
            world.kill(seconds(down), false);
            world.run(minutes());
            let figures = figures(&format!("{available} Available users, and the node lost for {down} s"), &mut world);
            #[expect(clippy::cast_precision_loss, reason = "there are few")]
            let share = figures.ended as f64 / available as f64;
            assert!((documented - 0.01..documented + 0.02).contains(&share), "{share}");
            assert!(world.graph.longest_gap <= seconds(481), "nobody is faded for more than 3 minutes");
        }
    }
}
