//! An event as the timeline keeps it: its time, recurrence and busy class. Its title is the only text.
//!
//! Leaves to others: how it is read (`draft`), and which of its times count (`series`).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::BusyClass;
use super::recurrence::Rule;

/// A whole day or a time in a zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Moment {
    /// A whole day, in the system's zone.
    Day(Date),
    /// A time in a zone; `None` means a floating time, in the system's zone.
    Time(DateTime, Option<TimeZone>),
}

impl Moment {
    /// Whether it is a whole day.
    pub(super) const fn is_day(&self) -> bool {
        matches!(self, Self::Day(_))
    }

    /// The local time as written; for a day, its midnight.
    pub(super) fn civil(&self) -> DateTime {
        match self {
            Self::Day(date) => date.at(0, 0, 0, 0),
            Self::Time(at, _) => *at,
        }
    }

    /// Its zone.
    pub(super) fn zone<'a>(&'a self, system: &'a TimeZone) -> &'a TimeZone {
        match self {
            Self::Day(_) | Self::Time(_, None) => system,
            Self::Time(_, Some(zone)) => zone,
        }
    }

    /// The instant; for a day, its first instant.
    pub(super) fn instant(&self, system: &TimeZone) -> Timestamp {
        instant(self.civil(), self.zone(system))
    }
}

/// The instant of a local time. In a gap, the time is shifted by the gap's length; in a fold, the first of the two instants is
/// used (RFC 5545, 3.3.5). Saturates at the first and the last timestamp.
pub(super) fn instant(at: DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_timestamp(at).unwrap_or(if at.year() > 0 { Timestamp::MAX } else { Timestamp::MIN })
}

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

/// The version of an event. The greater one is newer (RFC 5546, 2.1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    /// `SEQUENCE`.
    pub(super) sequence: u32,
    /// `DTSTAMP`, then `LAST-MODIFIED`, in seconds since 1970; 0 if missing.
    pub(super) stamp: i64,
    pub(super) modified: i64,
}

/// The instance of a series that an event replaces (`RECURRENCE-ID`).
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// The original start in the series.
    pub(super) at: Moment,
    /// Whether it also changes all later instances (`RANGE=THISANDFUTURE`).
    pub(super) and_future: bool,
}

/// How an event repeats.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeat {
    /// `RRULE`s.
    pub(super) rules: Vec<Rule>,
    /// `EXRULE`s (RFC 2445).
    pub(super) exception_rules: Vec<Rule>,
    /// `RDATE`s. A PERIOD has its own length.
    pub(super) dates: Vec<(Moment, Option<Length>)>,
    /// `EXDATE`s.
    pub(super) exceptions: Vec<Moment>,
}

/// An event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The number of its file, and the line on which it begins.
    pub(super) file: u32,
    pub(super) line: u32,
    pub(super) start: Moment,
    pub(super) length: Length,
    pub(super) version: Version,
    pub(super) instance: Option<Box<Instance>>,
    pub(super) repeat: Option<Box<Repeat>>,
    /// Its busy class; `None` if it is cancelled or declined and does not count at all.
    pub(super) class: Option<BusyClass>,
    pub(super) cancelled: bool,
    pub(super) online: bool,
    pub(super) summary: Box<str>,
}
