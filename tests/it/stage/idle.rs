//! The idle signal as tests follow it, whichever of its sources is at work.

use std::sync::Arc;
use std::time::Duration;

use presenced::config;
use presenced::policy::{Idle, Reading};
use presenced::signals::{Buses, Displays, Observation, Update, idle};
use presenced::time::Clock;
use presenced::warning::Code;

use super::signal_bench::Signal;

pub(crate) const ACTIVE: Reading<Idle> = Reading::Known(Idle::Active);
pub(crate) const IDLE: Reading<Idle> = Reading::Known(Idle::Idle);

/// Follows input by these buses and displays.
pub(crate) fn follow<C: Clock + 'static>(
    clock: &Arc<C>,
    (system, session): (&str, &str),
    displays: Displays,
    after: Duration,
) -> Signal<Idle> {
    let buses = Buses { system: Some(system.to_owned()), session: Some(session.to_owned()) };
    let unwrap = |update| if let Update::Idle(observation) = update { Some(observation) } else { None };
    Signal::start(clock, buses, unwrap, |context| idle::run(config::Idle { after }, displays, context))
}

pub(crate) fn assert_unknown(observation: &Observation<Idle>, words: &[&str]) {
    assert_eq!(observation.reading, Reading::Unknown, "{observation:?}");
    let [warning] = observation.warnings.as_slice() else { panic!("one warning in {observation:?}") };
    assert_eq!(warning.code, Code::IdleUnavailable);
    for words in words {
        assert!(warning.text.contains(words), "{words}: {warning:?}");
    }
}
