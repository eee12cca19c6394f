//! How long an event lasts: from its start, its end and its DURATION (RFC 5545, 3.6.1 and 3.8.5.3).
//!
//! Leaves to others: reading those properties (`draft`).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::moment::{Moment, instant};
use super::value::Duration;

/// Longer events are cut to this. It is longer than the years 0 to 9999.
const MAX_LENGTH_SECONDS: i64 = 4_000_000 * 86_400;

/// The length of an event in seconds, never negative. The nominal part is added in local time, because a day need not have 24
/// hours; the exact part is added after that (RFC 5545, 3.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) nominal: i64,
    pub(super) exact: i64,
}

impl Length {
    /// No length.
    pub(super) const ZERO: Self = Self { nominal: 0, exact: 0 };

    /// Whole days.
    pub(super) const fn of_days(days: i64) -> Self {
        Self { nominal: days.saturating_mul(86_400), exact: 0 }
    }

    /// An upper bound in exact seconds, for any changes of the clock.
    pub(super) fn at_most(self) -> i64 {
        const CLOCK_CHANGES: i64 = 26 * 3600;
        self.nominal.saturating_add(self.exact).saturating_add(CLOCK_CHANGES)
    }

    /// The end, for a start at `start` with the local time `local`.
    pub(super) fn end(self, start: Timestamp, local: DateTime, zone: &TimeZone) -> Timestamp {
        let from = if self.nominal == 0 {
            start
        } else {
            instant(local.saturating_add(SignedDuration::from_secs(self.nominal)), zone)
        };
        from.saturating_add(SignedDuration::from_secs(self.exact)).unwrap_or(Timestamp::MAX).max(start)
    }

    /// The day after the last day, for whole days that start on `start`.
    pub(super) fn end_day(self, start: Date) -> Date {
        start.saturating_add(SignedDuration::from_secs(self.nominal))
    }
}

/// The length of an event that starts at `start` (RFC 5545, 3.6.1 and 3.8.5.3).
pub(super) fn length(start: &Moment, end: Option<&Moment>, duration: Option<Duration>) -> Result<Length, &'static str> {
    const BEFORE: &str = "it ends before it starts";
    let length = match (start, end) {
        (Moment::Day(first), Some(end)) => {
            let at = end.civil();
            let days = first.duration_until(at.date()).as_hours() / 24;
            let begun = i64::from(at != at.date().at(0, 0, 0, 0));
            match days + begun {
                days if days < 0 => return Err(BEFORE),
                // Equal dates mean that one day, although RFC 5545 requires the end to be after the start.
                days => Length::of_days(days.max(1)),
            }
        }
        (Moment::Time(at, None), Some(end @ (Moment::Day(_) | Moment::Time(_, None)))) => nominal(*at, end.civil()),
        (Moment::Time(at, Some(zone)), Some(end @ Moment::Day(_))) => exact(*at, zone, end.civil(), zone),
        // A floating end is in the start's zone. The instant of a floating start is unknown, so UTC is used.
        (Moment::Time(at, zone), Some(Moment::Time(end, end_zone))) => {
            let utc = TimeZone::UTC;
            let zone = zone.as_ref().or(end_zone.as_ref()).unwrap_or(&utc);
            let end_zone = end_zone.as_ref().unwrap_or(zone);
            exact(*at, zone, *end, end_zone)
        }
        (Moment::Day(_), None) => match duration {
            None => Length::of_days(1),
            Some(Duration { days, seconds }) => {
                let days = days + seconds.div_euclid(86_400) + i64::from(seconds.rem_euclid(86_400) > 0);
                if days < 0 {
                    return Err("its DURATION is negative");
                }
                Length::of_days(days.max(1))
            }
        },
        (Moment::Time(..), None) => duration
            .map_or(Length::ZERO, |Duration { days, seconds }| Length { exact: seconds, ..Length::of_days(days) }),
    };
    if length.nominal < 0 || length.exact < 0 {
        return Err(if end.is_some() { BEFORE } else { "its DURATION is negative" });
    }
    Ok(Length { nominal: length.nominal.min(MAX_LENGTH_SECONDS), exact: length.exact.min(MAX_LENGTH_SECONDS) })
}

/// The length between two local times in a zone that is not known yet. The end stays at the local time as written.
fn nominal(start: DateTime, end: DateTime) -> Length {
    Length { nominal: start.duration_until(end).as_secs(), exact: 0 }
}

/// The length between two instants (RFC 5545, 3.8.5.3: "the same exact duration will apply to all the members").
fn exact(start: DateTime, zone: &TimeZone, end: DateTime, end_zone: &TimeZone) -> Length {
    let between = instant(start, zone).duration_until(instant(end, end_zone));
    // A start in a gap is shifted, and may end up after an end that is not. The difference as written is used then.
    let shifted_beyond = between.is_negative() && start <= end && zone == end_zone;
    let between = if shifted_beyond { start.duration_until(end) } else { between };
    Length { nominal: 0, exact: between.as_secs() }
}
