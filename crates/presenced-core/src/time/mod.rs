//! The two times the core reckons with, as plain values: a monotonic [`Instant`] that goes on counting while the machine
//! sleeps, and wall time ([`jiff::Timestamp`]) for calendars and hours.
//!
//! The core never reads a clock. The daemon reads both once per turn of its loop and hands them in as one [`Now`]; edges
//! that must wait get the daemon's [`Clock`].

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
    /// The instant `since_origin` after the clock's origin.
    pub const fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// The time since the clock's origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: an instant too far away to represent is never reached, which is what such a wait means.
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

/// What the edges get instead of a clock of their own: the time, and waits for it. The daemon implements it.
pub trait Clock: Send + Sync {
    /// Both clocks, read now.
    fn now(&self) -> Now;

    /// Waits until `deadline` on the clock that counts suspend.
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Waits until wall time `deadline`, or until somebody sets the wall clock or the system's time zone, whichever is first:
    /// look again after it.
    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Both clocks and the system's time zone, read together: the one frozen time of a turn of the event loop.
#[derive(Clone, Debug)]
pub struct Now {
    /// The clock deadlines are reckoned on; counts suspend, never jumps.
    pub instant: Instant,
    /// Wall time; may jump when somebody sets the clock.
    pub wall: Timestamp,
    /// The zone that floating calendar times are read in, and hours that name none.
    pub zone: TimeZone,
}

impl Now {
    /// The wall time at `instant`, assuming that nobody sets the clock in between.
    pub fn wall_at(&self, instant: Instant) -> Timestamp {
        let shifted = if instant >= self.instant {
            self.wall.checked_add(instant.saturating_since(self.instant))
        } else {
            self.wall.checked_sub(self.instant.saturating_since(instant))
        };
        shifted.unwrap_or(if instant >= self.instant { Timestamp::MAX } else { Timestamp::MIN })
    }

    /// The instant at wall time `wall`, assuming that nobody sets the clock in between; a time past is now.
    pub fn instant_at(&self, wall: Timestamp) -> Instant {
        self.instant + Duration::try_from(wall.duration_since(self.wall)).unwrap_or_default()
    }
}
