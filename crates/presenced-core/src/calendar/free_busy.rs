//! FREEBUSY: the periods in which somebody is busy, without the events behind them (RFC 5545, 3.6.4 and 3.8.2.6). Zimbra and
//! Exchange publish calendars in this form.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::BusyClass;
use super::busy::free_busy_class;
use super::dated::Zones;
use super::event::{Event, Version};
use super::length::length;
use super::moment::Moment;
use super::property::Property;
use super::value::{self, PeriodEnd, Written, list};

/// Reads the periods of a FREEBUSY property on `line`. Each becomes an event. The error says why the others are left out.
pub(super) fn periods(
    file: u32,
    line: u32,
    property: &Property<'_>,
    cut: bool,
    zones: &mut impl Zones,
    mut take: impl FnMut(Event),
) -> Result<(), &'static str> {
    let class = free_busy_class(property.parameter("FBTYPE"));
    let mut outcome = Ok(());
    for text in list(property.value, cut) {
        match period(file, line, class, text, zones) {
            Some(event) => take(event),
            None => outcome = Err("a period of FREEBUSY is not valid"),
        }
    }
    if cut { Err("the line is too long; the periods at its end are left out") } else { outcome }
}

/// The event for one period; `None` if it is not valid.
fn period(file: u32, line: u32, class: BusyClass, text: &[u8], zones: &mut impl Zones) -> Option<Event> {
    let (start, end) = value::date_or_period(text)?;
    // The RFC wants these times in UTC.
    let mut moment = |written: Written| {
        let time = |at: DateTime, zone| Moment::Time(at, zone);
        match written {
            Written::Day(date) => time(date.at(0, 0, 0, 0), zones.of_start(None)),
            Written::Local(at) => time(at, zones.of_start(None)),
            Written::Utc(at) => time(at, Some(TimeZone::UTC)),
        }
    };
    let start = moment(start);
    let length = match end? {
        PeriodEnd::At(end) => length(&start, Some(&moment(end)), None),
        PeriodEnd::After(duration) => length(&start, None, Some(duration)),
    };
    Some(Event {
        file,
        line,
        start,
        length: length.ok()?,
        version: Version::default(),
        instance: None,
        repeat: None,
        class: Some(class),
        cancelled: false,
        online: false,
        summary: Box::default(),
    })
}
