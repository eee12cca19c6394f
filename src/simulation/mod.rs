//! Days of a daemon's life in virtual time: the real policy and the real session among random signals, faults, suspends and
//! clock changes, beside a model of Graph that is written from its documentation alone.
//!
//! What must hold is in `world`: only the five pairs are asked for; never two requests are in flight; `Retry-After` is obeyed;
//! a session never fades or expires while nothing stands in the way; after the last fault others see what they should within
//! the documented bound; leaving leaves what it should; and the requests of a calm day are few. A day that fails is shrunk and
//! printed with the command that lives it again.
//!
//! ```text
//! PRESENCED_SIM_SEED=123 cargo test --lib simulation -- --nocapture
//! ```

mod day;
mod graph;
mod shrink;
mod world;

use std::fmt::Write as _;
use std::thread;

use day::Day;
use world::{Sabotage, Violation, live};

/// The days that are lived in each run.
const DAYS: u64 = 10_000;

/// The most requests of a calm day, as a multiple of the least that it could take.
const MOST: f64 = 1.3;

/// What the day of `seed` fails on; else how many times the least of requests it took, if it was calm.
fn lived(day: &Day, sabotage: Sabotage) -> Result<Option<f64>, Violation> {
    let cost = live(day, sabotage)?;
    let ratio = cost.requests / cost.least;
    if day.is_calm() && ratio > MOST {
        let what = format!("{} requests, {ratio:.2} times the least", cost.requests);
        return Err(Violation { at: day::LENGTH, what });
    }
    Ok(day.is_calm().then_some(ratio))
}

/// The report of a day that fails.
fn report(day: &Day, violation: &Violation, sabotage: Sabotage) -> String {
    let seed = day.seed;
    let shrunk = shrink::shrink(day.clone(), |day| lived(day, sabotage).is_err());
    let last = lived(&shrunk, sabotage).err().unwrap_or_else(|| violation.clone());
    let mut report = format!("seed {seed}: at {} {}\n", day::clock(violation.at), violation.what);
    _ = write!(report, "shrunk: at {} {}\n{shrunk}", day::clock(last.at), last.what);
    _ = write!(report, "again: PRESENCED_SIM_SEED={seed} cargo test --lib simulation -- --nocapture");
    report
}

#[test]
fn ten_thousand_days_hold() {
    #[expect(clippy::disallowed_methods, reason = "a developer asks for one day")]
    let one = std::env::var("PRESENCED_SIM_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let seeds = one.map_or(0..DAYS, |seed| seed..seed + 1);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let ratios: Vec<f64> = thread::scope(|scope| {
        let work = |worker| {
            let mine = seeds.clone().skip(worker).step_by(workers);
            scope.spawn(move || {
                let mut ratios = Vec::new();
                for seed in mine {
                    let day = Day::of(seed);
                    match lived(&day, Sabotage::Nothing) {
                        Ok(ratio) => ratios.extend(ratio),
                        Err(violation) => panic!("{}", report(&day, &violation, Sabotage::Nothing)),
                    }
                }
                ratios
            })
        };
        let workers: Vec<_> = (0..workers).map(work).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, Vec<f64>>| match worker.join() {
            Ok(ratios) => ratios,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().flat_map(join).collect()
    });
    let worst = ratios.iter().copied().fold(0.0, f64::max);
    let mean = ratios.iter().sum::<f64>() / f64::from(u32::try_from(ratios.len().max(1)).unwrap_or(u32::MAX));
    println!("requests of {} calm days: {mean:.3} times the least, at most {worst:.3} times", ratios.len());
}

#[test]
fn a_lost_wakeup_is_noticed_and_shrunk_to_what_matters() {
    let failing = (0..100).find_map(|seed| {
        let day = Day::of(seed);
        lived(&day, Sabotage::LoseKeepalives).err().map(|violation| (day, violation))
    });
    let (day, violation) = failing.expect("a day without keepalives fails");
    let shrunk = shrink::shrink(day.clone(), |day| lived(day, Sabotage::LoseKeepalives).is_err());
    assert!(shrunk.events.len() <= 2 && shrunk.meetings.len() <= 1, "{shrunk}");
    let text = report(&day, &violation, Sabotage::LoseKeepalives);
    assert!(text.contains(&format!("PRESENCED_SIM_SEED={}", day.seed)), "{text}");
    // The same seed is the same day.
    assert_eq!(lived(&Day::of(day.seed), Sabotage::LoseKeepalives).err(), Some(violation));
}
