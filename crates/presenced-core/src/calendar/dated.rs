//! Dates and times with the zone that they are written in, and the moments that they mean.
//!
//! Leaves to others: how a date is written (`value`), and resolving the names of zones (`object_zones`).

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::event::Named;
use super::moment::Moment;
use super::property::Property;
use super::value::{self, Written};

/// A zone name in the object, as an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ZoneName(pub(super) u32);

/// The time zones of the VCALENDAR object.
pub(super) trait Zones {
    /// The index of a name.
    fn name(&mut self, tzid: &str) -> ZoneName;
    /// Whether the zone of a name is known without the rest of the object.
    fn is_settled(&mut self, name: ZoneName) -> bool;
    /// The zone of a name; `None` if it is unknown.
    fn known(&mut self, name: ZoneName) -> Option<TimeZone>;
    /// The zone of a start with this TZID, or without one: if it is unknown, that of X-WR-TIMEZONE. `None` means the system's
    /// zone; if it stands in for a name, that is noted.
    fn of_start(&mut self, name: Option<ZoneName>) -> Option<TimeZone>;
    /// Whether the object has had its X-WR-TIMEZONE.
    fn has_default(&self) -> bool;
    /// The date that a time in UTC means in a series of whole days. Exchange writes the midnight of the calendar's or the
    /// system's zone in UTC. At any other time of day, it is the date as written. `own` is the zone of the event's start, which
    /// comes first.
    fn day(&mut self, own: Option<ZoneName>, utc: DateTime) -> Date;
    /// The date on which a time in UTC is midnight, in one of those zones or in UTC.
    fn whole_day(&mut self, own: Option<ZoneName>, utc: DateTime) -> Option<Date>;
}

/// A value and the zone name in its `TZID`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dated {
    pub(super) written: Written,
    pub(super) zone: Option<ZoneName>,
}

impl Dated {
    /// The time in UTC, if it is written in UTC: with a Z or with the TZID of UTC.
    pub(super) fn utc(self, zones: &mut impl Zones) -> Option<DateTime> {
        match self.written {
            Written::Utc(at) => Some(at),
            Written::Local(at) => {
                let zone = self.zone.and_then(|name| zones.known(name));
                zone.is_some_and(|zone| zone == TimeZone::UTC).then_some(at)
            }
            Written::Day(_) => None,
        }
    }

    /// Whether it is in a zone that is not known.
    pub(super) fn is_lost(self, zones: &mut impl Zones) -> bool {
        matches!(self.written, Written::Local(_)) && self.zone.is_some_and(|name| zones.known(name).is_none())
    }
}

/// The date of a whole day that may be written as a time: Outlook's `X-MICROSOFT-CDO-ALLDAYEVENT` can go with times from
/// midnight to midnight.
pub(super) fn whole_day(written: Written, own: Option<ZoneName>, zones: &mut impl Zones) -> Option<Date> {
    match written {
        Written::Day(date) => Some(date),
        Written::Local(at) => (at.time() == Time::midnight()).then(|| at.date()),
        Written::Utc(at) => zones.whole_day(own, at),
    }
}

pub(super) fn zone_name(property: &Property<'_>, zones: &mut impl Zones) -> Option<ZoneName> {
    property.parameter("TZID").map(|tzid| zones.name(&String::from_utf8_lossy(tzid)))
}

fn is_date(property: &Property<'_>) -> bool {
    property.parameter("VALUE").is_some_and(|value| value.eq_ignore_ascii_case(b"DATE"))
}

/// Reads the value of a property, with its zone; `None` if it is not a date or time.
pub(super) fn dated(property: &Property<'_>, zones: &mut impl Zones) -> Option<Dated> {
    let written = match value::date_or_time(property.value)? {
        // Some programs declare a DATE but write its midnight.
        Written::Local(at) if is_date(property) => Written::Day(at.date()),
        Written::Utc(at) if is_date(property) => Written::Day(zones.day(None, at)),
        written @ (Written::Day(_) | Written::Local(_) | Written::Utc(_)) => written,
    };
    let zone = if matches!(written, Written::Local(_)) { zone_name(property, zones) } else { None };
    Some(Dated { written, zone })
}

/// The moment that a value means. A time in UTC stays in UTC, even with a `TZID` (RFC 5545, 3.2.19). A time in an unknown zone is
/// floating, like one without a zone.
pub(super) fn moment(dated: Dated, zones: &mut impl Zones) -> Moment {
    match dated.written {
        Written::Day(date) => Moment::Day(date),
        Written::Utc(at) => Moment::Time(at, Some(TimeZone::UTC)),
        Written::Local(at) => Moment::Time(at, dated.zone.and_then(|name| zones.known(name))),
    }
}

/// The moment of an EXDATE or a RECURRENCE-ID in an event whose start is in the zone `own`.
pub(super) fn named(dated: Dated, own: Option<ZoneName>, zones: &mut impl Zones) -> Named {
    let at = moment(dated, zones);
    let day = match dated.utc(zones) {
        Some(utc) => zones.day(own, utc),
        None => at.civil().date(),
    };
    Named { at, day, is_assumed: dated.is_lost(zones) }
}
