//! The proof by simulation: the real policy and the real session beside a model of Graph, in virtual time, for thousands of days
//! of random signals, faults, sleeps and set clocks; and what must hold whatever happens.
//!
//! A day is made from its seed. One that fails is made small, printed as a script, and lived again by one command:
//!
//!     PRESENCED_SIM_SEED=123 cargo test --lib simulation -- --nocapture
//!
//! `graph` is the model of Graph, `network` the way to it and what can be wrong with that, `day` the scripts, `facts` what ought
//! to be seen, `world` the driver, `watch` the invariants, `shrink` what makes a script small.

mod day;
mod facts;
mod graph;
mod network;
mod shrink;
mod watch;
mod world;

use std::time::Duration;

use day::{DAY, Day, Ends, What};
use network::Fault;
use watch::{Invariant, Violation};
use world::{Driver, Tally, last_requests, live};

/// How many days each of the threads lives.
const DAYS: u64 = 5000;

/// What is printed of a day that failed.
fn report(day: &Day, driver: Driver, violation: &Violation) -> String {
    let small = shrink::shrink(day, driver, violation.invariant);
    let violation_of_small = live(&small, driver).err();
    let seed = day.seed;
    format!(
        "day {seed} is {violation}\n\nThe smallest day like it is {}\n{small}\n\nIts last requests:\n{}\nTo live it again:\n    \
         PRESENCED_SIM_SEED={seed} cargo test --lib simulation -- --nocapture\n",
        violation_of_small.map(|violation| violation.to_string()).unwrap_or_default(),
        last_requests(&small, driver),
    )
}

/// The seed to live again, if one is asked for.
#[expect(clippy::disallowed_methods, reason = "for a person who runs the tests, not for the program")]
fn chosen_seed() -> Option<u64> {
    let seed = std::env::var("PRESENCED_SIM_SEED").ok()?;
    Some(seed.parse().expect("PRESENCED_SIM_SEED is a number"))
}

/// Lives the days of `seeds`, or the one that is asked for.
fn live_all(seeds: std::ops::Range<u64>) {
    let seeds = chosen_seed().map_or(seeds, |seed| seed..seed + 1);
    let (mut requests, mut calm) = (0, Vec::new());
    for seed in seeds.clone() {
        let day = Day::of(seed);
        let tally = live(&day, Driver::Honest).unwrap_or_else(|violation| {
            panic!("{}", report(&day, Driver::Honest, &violation));
        });
        requests += u64::from(tally.requests);
        if day.is_calm() {
            calm.push(f64::from(tally.requests) / tally.least);
        }
    }
    let most = calm.iter().copied().fold(0.0, f64::max);
    let mean = calm.iter().sum::<f64>() / f64::from(u32::try_from(calm.len().max(1)).unwrap_or(1));
    println!(
        "days {seeds:?}: {requests} requests; {} calm days with {mean:.3} times the fewest requests, {most:.3} at most",
        calm.len(),
    );
}

#[test]
fn all_holds_on_every_day() {
    live_all(0..DAYS);
}

/// The same, so that two cores share the work.
#[test]
fn all_holds_on_every_other_day() {
    live_all(DAYS..2 * DAYS);
}

/// A day on which nothing changes but what `script` says.
fn scripted(script: Vec<(Duration, What)>) -> Day {
    let lock = crate::policy::Reading::Off;
    Day { lock, script, prefers: day::Prefers::None, keeps: false, ends_at: DAY, ..Day::of(0) }
}

#[test]
fn a_dead_network_costs_few_requests() {
    let fault = What::Fault { fault: Fault::Down, lasts: DAY, ends: Ends::Unnoticed };
    let day = scripted(vec![(Duration::from_mins(10), fault)]);
    let Tally { requests, .. } = live(&day, Driver::Honest).expect("nothing is broken");
    assert!((100..1000).contains(&requests), "{requests} requests in a day");
}

#[test]
fn a_day_is_the_same_each_time_it_is_lived() {
    let lived = |seed| format!("{:?}", live(&Day::of(seed), Driver::Honest));
    for seed in 0..20 {
        assert_eq!(Day::of(seed), Day::of(seed));
        assert_eq!(lived(seed), lived(seed));
    }
}

#[test]
fn a_driver_that_drops_keepalives_is_found_out_with_a_short_script() {
    let found = (0..50).find_map(|seed| {
        let day = Day::of(seed);
        live(&day, Driver::DropsKeepalives).err().map(|violation| (day, violation))
    });
    let (day, violation) = found.expect("some day fails");
    assert_eq!(violation.invariant, Invariant::NeverLapses);
    let small = shrink::shrink(&day, Driver::DropsKeepalives, violation.invariant);
    assert!(small.script.len() <= 1, "{small}");
    assert!(day.script.len() > 5, "{day}");
    let report = report(&day, Driver::DropsKeepalives, &violation);
    assert!(report.contains(&format!("PRESENCED_SIM_SEED={} cargo test --lib simulation", day.seed)), "{report}");
    assert!(report.ends_with("--nocapture\n") && report.contains(&small.to_string()), "{report}");
    // Living it again from its seed finds the same.
    assert_eq!(live(&Day::of(day.seed), Driver::DropsKeepalives).err(), Some(violation));
}
