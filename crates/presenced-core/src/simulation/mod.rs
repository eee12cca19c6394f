//! The proof of the timing rules: the real policy and the real session, with a model of Graph, in virtual time, for ten
//! thousand days. This module exists in tests only and stands on top of `policy/` and `session/`.
//!
//! A day is a script made from a seed: locks, calls, a calendar, a named signal, overrides, sleep with and without
//! announcements of its start and its end, restarts of presenced and of the machine, changes of the wall clock, another program
//! that clears the session, tokens that expire or are refused, and every way in which a request can fail, including failures after
//! Graph has carried the request out. If a day breaks an invariant, it is reduced to a small script
//! and printed. One command runs it again:
//!
//!     PRESENCED_SIM_SEED=123 cargo test -p presenced-core simulation -- --nocapture
//!
//! `PRESENCED_SIM_DAYS` sets another number of days.
//!
//! Graph is a model (`graph`) that was written from its documentation alone, independently of the session and of the emulator.
//! The expected presence (`rules`) is computed independently of the policy, for the default rules and for a set that uses
//! every feature of a rule. `invariants` checks at every moment:
//!
//! - The policy decides what the rules say, with their expirations, and from the first decision after a restart on.
//! - Only the five pairs and 5 to 240 minutes are requested. One request is in flight. `Retry-After` is obeyed. However much a
//!   signal flaps, at most 12 changes are sent in 30 s.
//! - A presence is set again before its deadline, counted from the sending of the request, if requests could succeed during
//!   the last 2.4 s before the deadline, or during the last 41 s while each answer takes up to its timeout.
//! - Others see what is decided. Without faults, that takes as long as the requests themselves, and 5 s more while changes are
//!   coalesced. After a fault, the next attempt comes within 5 minutes, or at once after an unlock, a resume or a change.
//!   After a refusal, it comes within 15 minutes, or at once after a sign-in or a reload. If a request was abandoned and may
//!   still overtake later ones, as around sleep, it takes 10 s more.
//! - Announced sleep begins after its presence is written. Its end is noticed at once, or if logind does not announce it, within
//!   10 s of the time from which logind knows it. Nothing is left after the exit, unless it should stay.
//! - A day without faults costs at most 1.3 times the least possible: one request per change, per 300 s of Available, and per
//!   expiration of the others.
//!
//! `fleet` is about many users of one application: the pacer, with another model of Graph.
//!
//! `day` makes the scripts, `signals` holds the readings, and `network` is the way to Graph with its faults. `world` runs a
//! day as the daemon would, and `shrink` makes a script small.

mod day;
mod fleet;
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

use day::{Announced, DAY, Day, Ending, Event};
use invariants::{Invariant, Violation};
use network::Fault;
use rules::{Prefers, Rules};
use world::{DayResult, Driver, last_requests, run};

use crate::policy::{Lock, Reading};
use crate::presence::Presence;

/// How many days are run if `PRESENCED_SIM_DAYS` does not say otherwise.
const DEFAULT_DAYS: u64 = 10_000;

/// The report of a day that failed.
fn report(day: &Day, driver: Driver, violation: &Violation) -> String {
    let small = shrink::shrink(day, driver, violation.invariant);
    let violation_of_small = run(&small, driver).err();
    let seed = day.seed;
    format!(
        "day {seed} is {violation}\n\nThe smallest day like it is {}\n{small}\n\nIts last requests:\n{}\nTo run it again:\n    \
         PRESENCED_SIM_SEED={seed} cargo test -p presenced-core simulation -- --nocapture\n",
        violation_of_small.map(|violation| violation.to_string()).unwrap_or_default(),
        last_requests(&small, driver),
    )
}

/// A number from the environment of the test run, if set.
#[expect(clippy::disallowed_methods, reason = "for the person who runs the tests, not for the program")]
fn number_from_environment(name: &str) -> Option<u64> {
    let number = std::env::var(name).ok()?;
    Some(number.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {number:?}")))
}

/// The results of many days.
#[derive(Default)]
struct Sum {
    requests: u64,
    /// The requests of each calm day, as a multiple of the least possible number.
    calm: Vec<f64>,
}

/// Runs the days of `seeds`. The error is the report of the first day that failed.
fn run_all(seeds: Range<u64>) -> Result<Sum, String> {
    let mut sum = Sum::default();
    for seed in seeds {
        let day = Day::of(seed);
        let result = run(&day, Driver::Honest).map_err(|violation| report(&day, Driver::Honest, &violation))?;
        sum.requests += u64::from(result.requests);
        sum.calm.extend(day.is_calm().then(|| f64::from(result.requests) / result.least));
    }
    Ok(sum)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "two threads halve the time of this test")]
fn every_invariant_holds_on_every_day() {
    if let Some(seed) = number_from_environment("PRESENCED_SIM_SEED") {
        let day = Day::of(seed);
        run_all(seed..seed + 1).unwrap_or_else(|report| panic!("{report}"));
        println!(
            "every invariant holds on the day of {day}\n\nIts last requests:\n{}",
            last_requests(&day, Driver::Honest)
        );
        return;
    }
    let days = number_from_environment("PRESENCED_SIM_DAYS").unwrap_or(DEFAULT_DAYS);
    let sums = thread::scope(|scope| {
        let halves = [0..days / 2, days / 2..days].map(|seeds| scope.spawn(|| run_all(seeds)));
        halves.map(|half| half.join().expect("a thread that ends"))
    });
    let sums = sums.map(|sum| sum.unwrap_or_else(|report| panic!("{report}")));
    let requests: u64 = sums.iter().map(|sum| sum.requests).sum();
    let calm = sums.iter().flat_map(|sum| &sum.calm);
    let (calm_days, total, most) =
        calm.fold((0_u32, 0.0, 0.0), |(days, total, most), ratio| (days + 1, total + ratio, ratio.max(most)));
    assert!(u64::from(calm_days) > days / 5, "only {calm_days} calm days");
    let mean = total / f64::from(calm_days);
    println!(
        "{days} days, {requests} requests; on {calm_days} calm days {mean:.3} times the least possible, at most {most:.3}"
    );
}

/// A day on which only the events in `script` happen.
fn scripted(script: Vec<(Duration, Event)>) -> Day {
    let rules = Rules::Default(Prefers::None);
    Day { lock: Reading::Off, script, rules, keeps: false, verifies: true, ends_at: DAY, ..Day::of(0) }
}

#[test]
fn a_dead_network_costs_few_requests() {
    let fault = Event::Fault { fault: Fault::Down, lasts: DAY, ends: Ending::Unnoticed };
    let day = scripted(vec![(Duration::from_mins(10), fault)]);
    let DayResult { requests, .. } = run(&day, Driver::Honest).expect("no invariant is broken");
    assert!((100..1000).contains(&requests), "{requests} requests in a day");
}

#[test]
fn a_driver_that_ignores_lost_sessions_is_found() {
    let day = scripted(vec![(Duration::from_mins(10), Event::OtherWriter)]);
    run(&day, Driver::Honest).expect("no invariant is broken");
    let violation = run(&day, Driver::IgnoresLosses).expect_err("the session is not there before its keepalive");
    assert_eq!(violation.invariant, Invariant::ShowsWhatIsDecided);
}

#[test]
fn a_day_is_the_same_each_time_it_is_run() {
    let result = |seed| format!("{:?}", run(&Day::of(seed), Driver::Honest));
    for seed in 0..20 {
        assert_eq!(Day::of(seed), Day::of(seed));
        assert_eq!(result(seed), result(seed));
    }
}

#[test]
fn a_driver_that_drops_keepalives_is_found_with_a_short_script() {
    let driver = Driver::DropsKeepalivesOf(Presence::Available);
    // On a calm day, only the driver can be at fault, and the screen is locked unless the script unlocks it.
    let days = (0..400).step_by(4).map(Day::of).filter(|day| day.lock == Reading::Known(Lock::Locked));
    let found = days.filter_map(|day| run(&day, driver).err().map(|violation| (day, violation))).take(5);
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 5);
    for (day, violation) in found {
        assert_eq!(violation.invariant, Invariant::NeverLapses);
        let small = shrink::shrink(&day, driver, violation.invariant);
        assert!((1..=2).contains(&small.script.len()) && day.script.len() > 5, "{day}\n{small}");
        for left_out in 0..small.script.len() {
            let mut without = small.clone();
            without.script.remove(left_out);
            run(&without, driver).expect("no event can be left out");
        }
        let report = report(&day, driver, &violation);
        assert!(report.contains(&small.to_string()), "{report}");
        let replay =
            format!("PRESENCED_SIM_SEED={} cargo test -p presenced-core simulation -- --nocapture\n", day.seed);
        assert!(report.ends_with(&replay), "{report}");
        // The seed alone finds the same violation again.
        assert_eq!(run(&Day::of(day.seed), driver).err(), Some(violation));
    }
}

#[test]
fn a_driver_that_never_asks_whether_sleep_is_over_is_found_with_one_event() {
    let driver = Driver::NeverAsksAboutSleep;
    let found = (0..400).map(Day::of).filter_map(|day| run(&day, driver).err().map(|violation| (day, violation)));
    let found: Vec<_> = found.take(5).collect();
    assert_eq!(found.len(), 5);
    for (day, violation) in found {
        assert_eq!(violation.invariant, Invariant::NoticesWakeUps, "{day}");
        let small = shrink::shrink(&day, driver, violation.invariant);
        assert!(matches!(small.script[..], [(_, Event::Sleep { announced: Announced::Start(_), .. })]), "{small}");
        run(&small, Driver::Honest).expect("one that asks notices it");
    }
}

#[test]
fn a_driver_that_forgets_what_was_set_is_found_with_two_events() {
    let driver = Driver::ForgetsWhatWasSet;
    let found = (0..4000).map(Day::of).filter_map(|day| run(&day, driver).err().map(|violation| (day, violation)));
    let found: Vec<_> = found.take(5).collect();
    assert_eq!(found.len(), 5);
    for (day, violation) in found {
        assert_eq!(violation.invariant, Invariant::DecidesByTheRules, "{day}");
        let small = shrink::shrink(&day, driver, violation.invariant);
        let is_set = |what: &Event| matches!(what, Event::Focus(Some(_)) | Event::Override(..));
        assert!(
            matches!(&small.script[..], [(_, set), (_, Event::Restart { .. })] if is_set(set)),
            "something is set, and then there is a restart:\n{small}"
        );
        run(&small, Driver::Honest).expect("one that keeps it decides right");
    }
}
