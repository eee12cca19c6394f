//! When something starts or ends: a whole day, or a time in a zone.
//!
//! Leaves to others: how it is written (`value`).

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

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
