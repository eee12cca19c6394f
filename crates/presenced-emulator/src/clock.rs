//! Clocks for an emulator: the machine's, and one that a test moves. For any other, implement [`Clock`].
//!
//! The program `presenced` has its own clock, which counts suspend and can run faster than real time.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "other projects' tests do not have the daemon's clock, and the machine is not suspended during a test"
)]

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
pub use presenced_core::time::{Clock, Instant, Now};
use tokio::sync::watch;

/// The machine's clock, in UTC. Its monotonic time stops while the machine is suspended.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    origin: std::time::Instant,
}

impl RealClock {
    /// The machine's clock. Its monotonic time starts at zero now.
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

/// A clock that stands still until [`advance`](Self::advance) moves it. A test can see a session fade and expire without waiting.
///
/// Keep it in an `Arc` and give the emulator a clone. A token's lifetime, a fault's `delay` and a code's polling interval follow
/// this clock too: a request that a fault delays is answered only after the test has moved the clock far enough.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    elapsed: watch::Sender<Duration>,
}

impl ManualClock {
    /// A clock that shows the wall time `start`, in UTC.
    pub fn at(start: Timestamp) -> Self {
        Self { start, elapsed: watch::Sender::new(Duration::ZERO) }
    }

    /// Moves the clock forward. Changes that fall into this time, such as a fade, get their exact time in the timeline, as if the
    /// clock had run.
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
            // This cannot fail: the future borrows the clock, which owns the sender.
            drop(elapsed.wait_for(|elapsed| *elapsed >= deadline.since_origin()).await);
        })
    }

    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.sleep_until(self.now().instant_at(deadline))
    }
}
