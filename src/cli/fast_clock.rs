//! The fast clock of `run`, `emulator` and `demo`: how its options are read, and the clock itself.

use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use crate::daemon::clock::SystemClock;

/// Reads `--speed`.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "a speed is a number, such as 60".to_owned())?;
    if (0.01..=10_000.0).contains(&speed) { Ok(speed) } else { Err("a speed is 0.01 to 10000".to_owned()) }
}

/// A clock that runs at another speed since `since`, or else from now on.
pub(super) fn fast_clock(speed: f64, since: Option<Timestamp>) -> Arc<SystemClock> {
    Arc::new(SystemClock::fast_since(speed, since.unwrap_or_else(Context::now)))
}
