//! The lock signal as tests follow it, whichever of its sources is at work.

use std::sync::Arc;

use presenced::policy::{Lock, Reading};
use presenced::signals::{Buses, Displays, Observation, Update, lock};
use presenced::warning::Code;

use super::signal_bench::{ManualClock, Signal};

pub(crate) const LOCKED: Reading<Lock> = Reading::Known(Lock::Locked);
pub(crate) const UNLOCKED: Reading<Lock> = Reading::Known(Lock::Unlocked);

/// Follows the lock by these buses.
pub(crate) fn follow_lock(clock: &Arc<ManualClock>, system: &str, session: &str) -> Signal<Lock> {
    follow_lock_on(Displays::default(), clock, system, session)
}

/// The same where displays may be.
pub(crate) fn follow_lock_on(
    displays: Displays,
    clock: &Arc<ManualClock>,
    system: &str,
    session: &str,
) -> Signal<Lock> {
    let buses = Buses { system: Some(system.to_owned()), session: Some(session.to_owned()) };
    let unwrap = |update| if let Update::Lock(observation) = update { Some(observation) } else { None };
    Signal::start(clock, buses, unwrap, |context| lock::run(displays, context))
}

/// What this source says, without a warning.
pub(crate) fn says(reading: Reading<Lock>, source: &str) -> Observation<Lock> {
    Observation { reading, source: source.to_owned(), warnings: Vec::new(), watched: None }
}

pub(crate) fn assert_unknown(observation: &Observation<Lock>, words: &str) {
    assert_eq!(observation.reading, Reading::Unknown, "{observation:?}");
    let [warning] = observation.warnings.as_slice() else { panic!("one warning in {observation:?}") };
    assert_eq!(warning.code, Code::LockUnavailable);
    assert!(warning.text.contains(words), "{warning:?}");
    assert!(!warning.hint.is_empty());
}
