//! Makes a failing day small enough to be understood: leaves out what it fails without, ends it early, shortens what lasts,
//! and rounds times, as long as it breaks the same invariant.

use std::time::Duration;

use super::day::{Day, What};
use super::invariants::Invariant;
use super::world::{Driver, live};

/// The smallest day that could be made of `day` and still breaks `invariant`.
pub(super) fn shrink(day: &Day, driver: Driver, invariant: Invariant) -> Day {
    let fails = |day: &Day| live(day, driver).is_err_and(|violation| violation.invariant == invariant);
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

/// Nothing after the failure matters.
fn end_early(day: &mut Day, driver: Driver) {
    let Err(violation) = live(day, driver) else { return };
    let failed_at = violation.at.since_origin();
    let mut shorter = day.clone();
    shorter.ends_at = shorter.ends_at.min(failed_at + Duration::from_secs(1));
    shorter.script.retain(|(at, _)| *at <= failed_at);
    if live(&shorter, driver).is_err_and(|other| other.invariant == violation.invariant) {
        *day = shorter;
    }
}

/// Leaves out half of the script, a quarter, and so on to single entries.
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

/// Makes each entry that is left as plain as it can be.
fn simplify(day: &mut Day, fails: impl Fn(&Day) -> bool) {
    for entry in 0..day.script.len() {
        for plainer in plainer(&day.script[entry]) {
            let mut simpler = day.clone();
            simpler.script[entry] = plainer;
            // The order stays as it is.
            if simpler.script.is_sorted_by_key(|(at, _)| *at) && fails(&simpler) {
                *day = simpler;
            }
        }
    }
}

fn plainer((at, what): &(Duration, What)) -> Vec<(Duration, What)> {
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
        What::Calendar(changes) => {
            for left_out in 0..changes.len() {
                let mut fewer = changes.clone();
                fewer.remove(left_out);
                plainer.push((*at, What::Calendar(fewer)));
            }
        }
        What::Override(claim, Some(lasts)) => {
            plainer.push((*at, What::Override(*claim, None)));
            plainer.extend(shorter(*lasts).map(|lasts| (*at, What::Override(*claim, Some(lasts)))));
        }
        What::Focus(Some((value, Some(lasts)))) => {
            plainer.push((*at, What::Focus(Some((*value, None)))));
            plainer.extend(shorter(*lasts).map(|lasts| (*at, What::Focus(Some((*value, Some(lasts)))))));
        }
        What::Sleep { announced, lasts } => {
            plainer.extend(shorter(*lasts).map(|lasts| (*at, What::Sleep { announced: *announced, lasts })));
        }
        What::Fault { fault, lasts, ends } => {
            plainer.extend(shorter(*lasts).map(|lasts| (*at, What::Fault { fault: *fault, lasts, ends: *ends })));
        }
        What::Lock(_)
        | What::Call(_)
        | What::Idle(_)
        | What::Override(_, None)
        | What::Unset
        | What::Focus(None | Some((_, None)))
        | What::SetClock(_)
        | What::Revoke(_)
        | What::Nudge
        | What::Teams(_) => {}
    }
    plainer
}
