//! The one clock: `CLOCK_BOOTTIME` for deadlines, because it counts suspend, and wall time for calendars. Both have kernel timers,
//! so that no wait stops while the machine sleeps. It may run faster, for the demo and for tests. Leaves to others: noticing that
//! the time zone changes (`zone`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};

use super::zone::ZoneWatch;
use crate::config::Environment;
use crate::fd;
use crate::file_watch::FileWatcher;
use crate::time::{Clock, Instant, Now};

/// The machine's clock, or a faster one that starts at a chosen wall time.
#[derive(Clone, Debug, Default)]
pub struct SystemClock {
    scale: Option<Scale>,
    zone: Arc<ZoneWatch>,
}

#[derive(Clone, Debug)]
struct Scale {
    speed: f64,
    /// The boot time at which the scaled clock read `wall`.
    boot: Duration,
    wall: Timestamp,
    zone: TimeZone,
}

impl SystemClock {
    /// The machine's own clock. A change of the time zone is noticed within minutes.
    pub fn real() -> Self {
        Self::default()
    }

    /// The machine's own clock for a program started in `environment`: waits in wall time end when the time zone changes, which
    /// `file_watcher` reports.
    pub fn of(environment: &Environment, file_watcher: FileWatcher) -> Self {
        Self { scale: None, zone: Arc::new(ZoneWatch::new(environment.var("TZ").as_deref(), file_watcher)) }
    }

    /// A clock that reads `wall` now and runs `speed` times as fast as the machine's, in `zone`.
    pub fn scaled(speed: f64, wall: Timestamp, zone: TimeZone) -> Self {
        Self { scale: Some(Scale { speed, boot: boot_time(), wall, zone }), zone: Arc::default() }
    }

    /// A clock that has run `speed` times as fast as the machine's since it read `since`, in the system's time zone. Programs
    /// with the same two values read the same time.
    pub fn fast_since(speed: f64, since: Timestamp) -> Self {
        let passed = Duration::try_from(wall_time().duration_since(since)).unwrap_or_default();
        let scale = Scale { speed, boot: boot_time().saturating_sub(passed), wall: since, zone: TimeZone::system() };
        Self { scale: Some(scale), zone: Arc::default() }
    }

    /// How many times as fast as the machine's clock it runs.
    pub fn speed(&self) -> f64 {
        self.scale.as_ref().map_or(1.0, |scale| scale.speed)
    }

    /// The boot time at which this clock reads `instant`.
    fn boot_time_at(&self, instant: Instant) -> Duration {
        let since_origin = instant.since_origin();
        match &self.scale {
            None => since_origin,
            Some(scale) => scale.boot + since_origin.saturating_sub(scale.boot).div_f64(scale.speed),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let boot = boot_time();
        match &self.scale {
            None => Now { instant: Instant::from_origin(boot), wall: wall_time(), zone: TimeZone::system() },
            Some(scale) => {
                let passed = boot.saturating_sub(scale.boot).mul_f64(scale.speed);
                Now {
                    instant: Instant::from_origin(scale.boot + passed),
                    wall: scale.wall.checked_add(passed).unwrap_or(Timestamp::MAX),
                    zone: scale.zone.clone(),
                }
            }
        }
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let deadline = self.boot_time_at(deadline);
        Box::pin(timer(TimerfdClockId::Boottime, TimerfdTimerFlags::ABSTIME, deadline))
    }

    fn sleep_until_wall(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        if self.scale.is_some() {
            // Nobody sets a scaled clock.
            return self.sleep_until(self.now().instant_at(deadline));
        }
        let deadline = deadline.duration_since(Timestamp::UNIX_EPOCH);
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let timer = timer(TimerfdClockId::Realtime, flags, Duration::try_from(deadline).unwrap_or_default());
        let zone_changed = self.zone.changed();
        Box::pin(async {
            tokio::select! {
                () = timer => {}
                () = zone_changed => {}
            }
        })
    }
}

/// Waits for a kernel timer. If there is none (no file descriptor is left), it returns after a second: every caller checks the
/// time again after a wait anyway.
async fn timer(clock: TimerfdClockId, flags: TimerfdTimerFlags, deadline: Duration) {
    if let Err(error) = kernel_timer(clock, flags, deadline).await {
        tracing::error!(%error, "no kernel timer is available; looking again in a second");
        #[expect(clippy::disallowed_methods, reason = "the kernel's timers are what is missing")]
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn kernel_timer(clock: TimerfdClockId, flags: TimerfdTimerFlags, deadline: Duration) -> io::Result<()> {
    let timer = timerfd_create(clock, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    // All zero would disarm the timer. A nanosecond after the epoch is also in the past.
    let deadline = deadline.max(Duration::from_nanos(1));
    let value =
        Timespec { tv_sec: deadline.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: deadline.subsec_nanos().into() };
    let once = Timespec { tv_sec: 0, tv_nsec: 0 };
    timerfd_settime(&timer, flags, &Itimerspec { it_interval: once, it_value: value })?;
    let timer = fd::readable(timer)?;
    // Readable means expired or, with CANCEL_ON_SET, that the clock was set: either way the wait is over.
    timer.readable().await?.retain_ready();
    Ok(())
}

fn boot_time() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

#[expect(clippy::disallowed_methods, reason = "everyone else gets the time from this clock")]
fn wall_time() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn a_wait_ends_when_its_time_has_come_and_a_past_one_at_once() {
        block_on(async {
            let clock = SystemClock::real();
            let deadline = clock.now().instant + Duration::from_millis(20);
            clock.sleep_until(deadline).await;
            assert!(clock.now().instant >= deadline);
            clock.sleep_until(Instant::default()).await;
            let wall = clock.now().wall + Duration::from_millis(20);
            clock.sleep_until_wall(wall).await;
            assert!(clock.now().wall >= wall);
            clock.sleep_until_wall(Timestamp::MIN).await;
        });
    }

    #[test]
    fn a_wait_for_the_end_of_time_does_not_end() {
        block_on(async {
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            let never = Duration::try_from(Timestamp::MAX.duration_since(Timestamp::UNIX_EPOCH)).expect("after 1970");
            let wait = kernel_timer(TimerfdClockId::Realtime, flags, never);
            tokio::time::timeout(Duration::from_millis(20), wait).await.expect_err("the wait is not over");
        });
    }

    #[test]
    fn a_fast_clock_takes_an_hour_in_an_instant() {
        block_on(async {
            let start: Timestamp = "2026-03-29T00:30:00Z".parse().expect("a time");
            let clock = SystemClock::scaled(360_000.0, start, TimeZone::UTC);
            let deadline = clock.now().instant + Duration::from_hours(1);
            clock.sleep_until(deadline).await;
            assert!(clock.now().instant >= deadline);
            let wall = start + Duration::from_hours(2);
            clock.sleep_until_wall(wall).await;
            assert!(clock.now().wall >= wall);
        });
    }
}
