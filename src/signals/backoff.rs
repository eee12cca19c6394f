//! Waiting: how long until something that failed is retried, and how long an answer may take.

use std::future::Future;
use std::time::Duration;

use crate::time::{Clock, Instant};

/// The first wait: a service that restarts is back before anyone notices.
const FIRST_WAIT: Duration = Duration::from_millis(100);

const MAX_WAIT: Duration = Duration::from_mins(1);

/// Doubling waits, from a tenth of a second to a minute. There is no jitter, because
/// everything that is retried is on this machine.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    /// Starts with the shortest wait.
    pub(super) const fn new() -> Self {
        Self(FIRST_WAIT)
    }

    /// When to retry after a failure at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let wait = self.0;
        self.0 = (wait * 2).min(MAX_WAIT);
        now + wait
    }

    /// Waits until it is time to retry.
    pub(super) async fn wait(&mut self, clock: &dyn Clock) {
        let until = self.next(clock.now().instant);
        clock.sleep_until(until).await;
    }
}

/// Waits until `deadline`, or forever if there is none.
pub(super) async fn until(clock: &dyn Clock, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Waits until wall time `deadline` or until the wall clock is set, or forever if there is no deadline.
pub(super) async fn until_wall(clock: &dyn Clock, deadline: Option<jiff::Timestamp>) {
    match deadline {
        Some(deadline) => clock.sleep_until_wall(deadline).await,
        None => std::future::pending().await,
    }
}

/// The result of `work`; `None` if that takes longer than `limit`.
pub(super) async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let deadline = clock.now().instant + limit;
    tokio::select! {
        biased;
        outcome = work => Some(outcome),
        () = clock.sleep_until(deadline) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut backoff = Backoff::new();
        let start = Instant::default();
        let waits: Vec<u128> = (0..12).map(|_| backoff.next(start).saturating_since(start).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
    }
}
