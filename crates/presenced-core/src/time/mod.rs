//! The two kinds of time in the core, as plain values: a monotonic [`Instant`] that keeps counting while the machine sleeps,
//! and wall time ([`jiff::Timestamp`]) for calendars and hours.
//!
//! The core never reads a clock. The daemon reads both clocks once per turn of its loop and passes them in as one [`Now`].
//! Code outside of the core that must wait uses the daemon's [`Clock`].

use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

mod zone;

pub use zone::zone_named;

/// A point on a clock that counts suspend (Linux `CLOCK_BOOTTIME`), as the time since an arbitrary origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The instant that is `since_origin` after the clock's origin.
    pub const fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// The time since the clock's origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates. An instant that is too far away to represent is never reached, so a wait for it never ends.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

/// The clock for code outside of the core: it tells the time and waits for one. The daemon implements it.
pub trait Clock: Send + Sync {
    /// Both clocks, read now.
    fn now(&self) -> Now;

    /// Waits until `deadline` on the clock that counts suspend.
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Waits until wall time `deadline`, or until the wall clock or the system's time zone is set, whichever comes first. A
    /// resume from suspend counts as setting the wall clock. The caller must read the clock again afterwards.
    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Both clocks and the system's time zone, read together. Time stands still during one turn of the event loop.
#[derive(Clone, Debug)]
pub struct Now {
    /// The clock for deadlines. It counts suspend and never jumps.
    pub instant: Instant,
    /// Wall time. It jumps when the clock is set.
    pub wall: Timestamp,
    /// The zone of floating calendar times, and of hours that name no zone.
    pub zone: TimeZone,
}

impl Now {
    /// The wall time at `instant`, provided that the clock is not set in between. Saturates.
    pub fn wall_at(&self, instant: Instant) -> Timestamp {
        let shifted = if instant >= self.instant {
            self.wall.checked_add(instant.saturating_since(self.instant))
        } else {
            self.wall.checked_sub(self.instant.saturating_since(instant))
        };
        shifted.unwrap_or(if instant >= self.instant { Timestamp::MAX } else { Timestamp::MIN })
    }

    /// The instant at wall time `wall`, provided that the clock is not set in between. A past time gives the present instant.
    pub fn instant_at(&self, wall: Timestamp) -> Instant {
        self.instant + Duration::try_from(wall.duration_since(self.wall)).unwrap_or_default()
    }
}
