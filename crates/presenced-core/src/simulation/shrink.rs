//! Makes a failing day small enough to understand. It leaves out events, ends the day early, shortens durations and rounds
//! times, as long as the day still breaks the same invariant.

use std::time::Duration;

use super::day::{Day, Event};
use super::invariants::Invariant;
use super::world::{Driver, run};

/// The smallest version of `day` found that still breaks `invariant`.
pub(super) fn shrink(day: &Day, driver: Driver, invariant: Invariant) -> Day {
    let fails = |day: &Day| run(day, driver).is_err_and(|violation| violation.invariant == invariant);
    let mut smallest = day.clone();
    loop {
        let before = smallest.clone();
        end_early(&mut smallest, driver);
        leave_out(&mut smallest, fails);
        simplify(&mut smallest, fails);
        if smallest == before {
            return smallest;
        }
    }
}

/// Cuts off everything after the failure.
fn end_early(day: &mut Day, driver: Driver) {
    let Err(violation) = run(day, driver) else { return };
    let failed_at = violation.at.since_origin();
    let mut shorter = day.clone();
    shorter.ends_at = shorter.ends_at.min(failed_at + Duration::from_secs(1));
    shorter.script.retain(|(at, _)| *at <= failed_at);
    if run(&shorter, driver).is_err_and(|other| other.invariant == violation.invariant) {
        *day = shorter;
    }
}

/// Leaves out half of the script, then a quarter, and so on down to single events.
fn leave_out(day: &mut Day, fails: impl Fn(&Day) -> bool) {
    let mut chunk = day.script.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        while start < day.script.len() {
            let mut shorter = day.clone();
            shorter.script.drain(start..(start + chunk).min(day.script.len()));
            if fails(&shorter) {
                *day = shorter;
            } else {
                start += chunk;
            }
        }
        chunk /= 2;
    }
}

/// Makes each remaining event as simple as possible.
fn simplify(day: &mut Day, fails: impl Fn(&Day) -> bool) {
    for entry in 0..day.script.len() {
        for plainer in plainer(&day.script[entry]) {
            let mut simpler = day.clone();
            simpler.script[entry] = plainer;
            // Keep the order of the events.
            if simpler.script.is_sorted_by_key(|(at, _)| *at) && fails(&simpler) {
                *day = simpler;
            }
        }
    }
}

fn plainer((at, what): &(Duration, Event)) -> Vec<(Duration, Event)> {
    let mut plainer: Vec<_> = [3600, 60, 1]
        .into_iter()
        .map(|unit| Duration::from_secs(at.as_secs() / unit * unit))
        .filter(|rounded| rounded < at)
        .map(|rounded| (rounded, what.clone()))
        .collect();
    let shorter = |lasts: Duration| {
        [60, 1]
            .into_iter()
            .map(move |unit| Duration::from_secs((lasts / 2).as_secs() / unit * unit))
            .filter(move |shorter| !shorter.is_zero() && *shorter < lasts)
    };
    match what {
        Event::Calendar(changes) => {
            for left_out in 0..changes.len() {
                let mut fewer = changes.clone();
                fewer.remove(left_out);
                plainer.push((*at, Event::Calendar(fewer)));
            }
        }
        Event::Override(claim, Some(lasts)) => {
            plainer.push((*at, Event::Override(*claim, None)));
            plainer.extend(shorter(*lasts).map(|lasts| (*at, Event::Override(*claim, Some(lasts)))));
        }
        Event::Focus(Some((value, Some(lasts)))) => {
            plainer.push((*at, Event::Focus(Some((*value, None)))));
            plainer.extend(shorter(*lasts).map(|lasts| (*at, Event::Focus(Some((*value, Some(lasts)))))));
        }
        Event::Sleep { announced, lasts } => {
            plainer.extend(shorter(*lasts).map(|lasts| (*at, Event::Sleep { announced: *announced, lasts })));
        }
        Event::Restart { end, lasts } => {
            plainer.extend(shorter(*lasts).map(|lasts| (*at, Event::Restart { end: *end, lasts })));
        }
        Event::Fault { fault, lasts, ends } => {
            plainer.extend(shorter(*lasts).map(|lasts| (*at, Event::Fault { fault: *fault, lasts, ends: *ends })));
        }
        Event::Lock(_)
        | Event::Call(_)
        | Event::Idle(_)
        | Event::Override(_, None)
        | Event::Unset
        | Event::Focus(None | Some((_, None)))
        | Event::SetClock(_)
        | Event::Revoke(_)
        | Event::Nudge
        | Event::Teams(_)
        | Event::OtherWriter => {}
    }
    plainer
}
