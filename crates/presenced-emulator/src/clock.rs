//! Two clocks for an emulator: the machine's, and one that a test moves by hand.
//!
//! The program `presenced` brings its own clock, which counts suspend and may run faster than real time.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "whoever tests against the emulator has no clock of the daemon's; a test is not suspended"
)]

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced_core::time::{Clock, Instant, Now};
use tokio::sync::watch;

/// The machine's clock. It stands still while the machine is suspended.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    origin: std::time::Instant,
}

impl RealClock {
    /// The machine's clock.
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Now {
        Now { instant: Instant::from_origin(self.origin.elapsed()), wall: Timestamp::now(), zone: TimeZone::UTC }
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = deadline.saturating_since(Instant::from_origin(self.origin.elapsed()));
        Box::pin(tokio::time::sleep(wait))
    }

    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.sleep_until(self.now().instant_at(deadline))
    }
}

/// A clock that stands still until [`advance`](Self::advance) moves it. With it a test sees a session fade and expire without
/// waiting.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    elapsed: watch::Sender<Duration>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: Timestamp) -> Self {
        Self { start, elapsed: watch::Sender::new(Duration::ZERO) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        let elapsed = *self.elapsed.borrow();
        Now { instant: Instant::from_origin(elapsed), wall: self.start + elapsed, zone: TimeZone::UTC }
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut elapsed = self.elapsed.subscribe();
        Box::pin(async move {
            // The sender lives as long as this clock, which the future borrows.
            drop(elapsed.wait_for(|elapsed| *elapsed >= deadline.since_origin()).await);
        })
    }

    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.sleep_until(self.now().instant_at(deadline))
    }
}
