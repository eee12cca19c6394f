//! The proof by simulation: the real policy and the real session beside a model of Graph, in virtual time, for thousands of days
//! of random signals, faults, sleeps and set clocks; and what must hold whatever happens.
//!
//! A day is made from its seed. One that fails is made small, printed as a script, and lived again by one command:
//!
//!     PRESENCED_SIM_SEED=123 cargo test -p presenced-core simulation -- --nocapture
//!
//! `graph` is the model of Graph, `network` the way to it and what can be wrong with that, `day` the scripts, `facts` the
//! signals, `rules` what ought to come of them, `world` the driver, `watch` the invariants, `shrink` what makes a script small.

mod day;
mod graph;
mod invariants;
mod network;
mod rules;
mod shrink;
mod signals;
mod world;

use std::ops::Range;
use std::thread;
use std::time::Duration;

use day::{DAY, Day, Ends, What};
use invariants::{Invariant, Violation};
use network::Fault;
use rules::{Prefers, Rules};
use world::{Driver, Tally, last_requests, live};

use crate::policy::{Lock, Reading};
use crate::presence::Presence;

/// How many days are lived, by two threads.
const DAYS: u64 = 10_000;

/// What is printed of a day that failed.
fn report(day: &Day, driver: Driver, violation: &Violation) -> String {
    let small = shrink::shrink(day, driver, violation.invariant);
    let violation_of_small = live(&small, driver).err();
    let seed = day.seed;
    format!(
        "day {seed} is {violation}\n\nThe smallest day like it is {}\n{small}\n\nIts last requests:\n{}\nTo live it again:\n    \
         PRESENCED_SIM_SEED={seed} cargo test -p presenced-core simulation -- --nocapture\n",
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

/// What many days came to.
#[derive(Default)]
struct Sum {
    requests: u64,
    /// Requests of each calm day, in terms of the fewest that could do.
    calm: Vec<f64>,
}

/// Lives the days of `seeds`; the error is the report of the first that failed.
fn live_all(seeds: Range<u64>) -> Result<Sum, String> {
    let mut sum = Sum::default();
    for seed in seeds {
        let day = Day::of(seed);
        let tally = live(&day, Driver::Honest).map_err(|violation| report(&day, Driver::Honest, &violation))?;
        sum.requests += u64::from(tally.requests);
        sum.calm.extend(day.is_calm().then(|| f64::from(tally.requests) / tally.least));
    }
    Ok(sum)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "two threads halve the time of this test")]
fn all_holds_on_every_day() {
    if let Some(seed) = chosen_seed() {
        let day = Day::of(seed);
        live_all(seed..seed + 1).unwrap_or_else(|report| panic!("{report}"));
        println!("all holds on the day of {day}\n\nIts last requests:\n{}", last_requests(&day, Driver::Honest));
        return;
    }
    let sums = thread::scope(|scope| {
        let halves = [0..DAYS / 2, DAYS / 2..DAYS].map(|seeds| scope.spawn(|| live_all(seeds)));
        halves.map(|half| half.join().expect("a thread that ends"))
    });
    let sums = sums.map(|sum| sum.unwrap_or_else(|report| panic!("{report}")));
    let requests: u64 = sums.iter().map(|sum| sum.requests).sum();
    let calm = sums.iter().flat_map(|sum| &sum.calm);
    let (days, total, most) =
        calm.fold((0_u32, 0.0, 0.0), |(days, total, most), ratio| (days + 1, total + ratio, ratio.max(most)));
    assert!(u64::from(days) > DAYS / 5, "only {days} calm days");
    let mean = total / f64::from(days);
    println!(
        "{DAYS} days, {requests} requests; on {days} calm days {mean:.3} times the fewest that could do, at most {most:.3}"
    );
}

/// A day on which nothing changes but what `script` says.
fn scripted(script: Vec<(Duration, What)>) -> Day {
    Day { lock: Reading::Off, script, rules: Rules::Default(Prefers::None), keeps: false, ends_at: DAY, ..Day::of(0) }
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
    let driver = Driver::DropsKeepalivesOf(Presence::Available);
    // On a calm day nothing but the driver is to blame, and nobody is at the desk unless the script says so.
    let days = (0..400).step_by(4).map(Day::of).filter(|day| day.lock == Reading::Known(Lock::Locked));
    let found = days.filter_map(|day| live(&day, driver).err().map(|violation| (day, violation))).take(5);
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 5);
    for (day, violation) in found {
        assert_eq!(violation.invariant, Invariant::NeverLapses);
        let small = shrink::shrink(&day, driver, violation.invariant);
        assert!((1..=2).contains(&small.script.len()) && day.script.len() > 5, "{day}\n{small}");
        for left_out in 0..small.script.len() {
            let mut without = small.clone();
            without.script.remove(left_out);
            live(&without, driver).expect("nothing in it can be left out");
        }
        let report = report(&day, driver, &violation);
        assert!(report.contains(&small.to_string()), "{report}");
        let replay =
            format!("PRESENCED_SIM_SEED={} cargo test -p presenced-core simulation -- --nocapture\n", day.seed);
        assert!(report.ends_with(&replay), "{report}");
        // Its seed alone finds the same again.
        assert_eq!(live(&Day::of(day.seed), driver).err(), Some(violation));
    }
}
