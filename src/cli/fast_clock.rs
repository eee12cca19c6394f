//! The fast clock of `run`, `emulator` and `demo`: parsing its options, and creating the clock.

use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use crate::daemon::clock::SystemClock;

/// Reads `--speed`.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "the speed must be a number, such as 60".to_owned())?;
    if (0.01..=10_000.0).contains(&speed) { Ok(speed) } else { Err("the speed must be from 0.01 to 10000".to_owned()) }
}

/// A clock that has run at this speed since `since`, or that starts now.
pub(super) fn fast_clock(speed: f64, since: Option<Timestamp>) -> Arc<SystemClock> {
    Arc::new(SystemClock::fast_since(speed, since.unwrap_or_else(Context::now)))
}
