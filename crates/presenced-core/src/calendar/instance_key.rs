//! Which instance of a series an EXDATE or a RECURRENCE-ID names.
//!
//! Leaves to others: which times the series has (`series`).

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::event::{Event, Named};
use super::moment::{Moment, instant};

/// The instance that an override replaces. A day and a time on it are different keys; `Series::emit_instance` looks up both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Day(Date),
    Time(Timestamp),
}

impl Key {
    /// The key of the instance that is named in a series with this master.
    pub(super) fn of(named: &Named, master: Option<&Event>, system: &TimeZone) -> Self {
        match &named.at {
            Moment::Day(date) => Self::Day(*date),
            Moment::Time(..) if master.is_some_and(|master| master.start.is_day()) => Self::Day(named.day),
            // A floating time is in the series' zone.
            Moment::Time(at, None) => {
                Self::Time(instant(*at, master.map_or(system, |master| master.start.zone(system))))
            }
            at @ Moment::Time(_, Some(_)) => Self::Time(at.instant(system)),
        }
    }
}

/// The EXDATEs of a series.
#[derive(Default)]
pub(super) struct Exceptions {
    instants: HashSet<Timestamp>,
    days: HashSet<Date>,
}

impl Exceptions {
    /// Excludes an instance.
    pub(super) fn insert(&mut self, key: Key) {
        match key {
            Key::Day(date) => _ = self.days.insert(date),
            Key::Time(starts) => _ = self.instants.insert(starts),
        }
    }

    /// Whether the instance at `starts`, which is on `date` in local time of the series, is excluded.
    pub(super) fn hold(&self, date: Date, starts: Timestamp) -> bool {
        self.instants.contains(&starts) || self.days.contains(&date)
    }

    /// Whether the instance that an override replaces is excluded. `clock` is the series' zone.
    pub(super) fn hold_key(&self, key: Key, clock: &TimeZone) -> bool {
        match key {
            Key::Day(date) => self.days.contains(&date),
            Key::Time(starts) => self.hold(clock.to_datetime(starts).date(), starts),
        }
    }
}
