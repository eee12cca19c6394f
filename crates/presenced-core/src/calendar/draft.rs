//! An event while it is being read: its properties arrive one by one, in any order, and become an [`Event`] at the end.
//!
//! A property that cannot be read is left out. Without a valid start, or with an end before the start, the event is left out.
//! Leaves to others: where events begin and end in a file (`object`), and how they repeat (`repeat`).

use jiff::tz::TimeZone;

use super::busy::{BusyProperties, Participation, microsoft_class};
use super::dated::{Dated, Zones, dated, moment, named, whole_day, zone_name};
use super::event::{Event, Instance, Version};
use super::identity::names_user;
use super::length::length;
use super::moment::{Moment, instant};
use super::online;
use super::property::{Property, unescape};
use super::recurrence::{RuleText, Until};
use super::repeat::RepeatReader;
use super::value::{self, Duration, PeriodEnd, Written, list};

/// The most EXDATE values that an event may have, and the most RDATE values.
const MAX_DATES_PER_EVENT: usize = 10_000;

/// The most RRULEs that an event may have, and the most EXRULEs.
const MAX_RULES_PER_EVENT: usize = 16;

/// Longer titles and UIDs are cut.
const MAX_TITLE_BYTES: usize = 200;
const MAX_UID_BYTES: usize = 1_000;

/// An event being read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The line it begins on.
    pub(super) line: u32,
    pub(super) uid: String,
    start: Option<Dated>,
    start_unreadable: bool,
    end: Option<Dated>,
    duration: Option<Duration>,
    instance: Option<(Dated, bool)>,
    version: Version,
    rules: Vec<(u32, RuleText)>,
    exception_rules: Vec<(u32, RuleText)>,
    dates: Vec<(Dated, Option<PeriodEnd>)>,
    exceptions: Vec<Dated>,
    busy: BusyProperties,
    /// `X-MICROSOFT-CDO-ALLDAYEVENT:TRUE`.
    all_day: bool,
    online: bool,
    summary: String,
}

impl Draft {
    pub(super) fn new(line: u32) -> Self {
        Self { line, ..Self::default() }
    }

    /// Whether the rest of the object may say what this event means: it may define a zone or hold a newer DTSTAMP.
    pub(super) fn needs_rest_of_object(&self, zones: &mut impl Zones) -> bool {
        let mut is_open = |dated: Dated| dated.zone.is_some_and(|name| !zones.is_settled(name));
        if self.start.is_some_and(&mut is_open) || self.dated().any(is_open) {
            return true;
        }
        let start_is_open = match self.start.map(|start| (start.written, start.zone)) {
            Some((Written::Day(_), _)) => self.has_utc(),
            Some((Written::Local(_), None)) => !zones.has_default(),
            Some((Written::Local(_) | Written::Utc(_), _)) => self.all_day,
            None => false,
        };
        start_is_open || self.all_rules().any(|rule| matches!(rule.until, Until::Unreadable))
    }

    /// Whether anything except the start is a time in UTC.
    fn has_utc(&self) -> bool {
        let is_utc = |written: Written| matches!(written, Written::Utc(_));
        self.dated().any(|dated| is_utc(dated.written))
            || self.all_rules().any(|rule| matches!(rule.until, Until::At(until) if is_utc(until)))
    }

    /// All dates and times except the start.
    fn dated(&self) -> impl Iterator<Item = Dated> {
        let single = [self.end, self.instance.map(|(at, _)| at)].into_iter().flatten();
        single.chain(self.dates.iter().map(|(start, _)| *start)).chain(self.exceptions.iter().copied())
    }

    fn all_rules(&self) -> impl Iterator<Item = &RuleText> {
        self.rules.iter().chain(&self.exception_rules).map(|(_, rule)| rule)
    }

    /// Its DTSTAMP, in seconds since 1970; 0 if it has none.
    pub(super) fn stamp(&self) -> i64 {
        self.version.stamp
    }

    /// Marks the event as cancelled, whatever its STATUS says.
    pub(super) fn cancel(&mut self) {
        self.busy.cancelled = true;
    }

    /// Adds a property. The error says why it was left out, for people.
    pub(super) fn property(
        &mut self,
        line: u32,
        property: &Property<'_>,
        cut: bool,
        identity: &[String],
        zones: &mut impl Zones,
    ) -> Result<(), &'static str> {
        let mut buffer = [0; 40];
        let Some(name) = property.upper_name(&mut buffer) else { return Ok(()) };
        self.online = self.online || online::says_online(name, property);
        match name {
            b"UID" if self.uid.is_empty() => {
                let uid = property.text();
                uid[..uid.floor_char_boundary(MAX_UID_BYTES)].clone_into(&mut self.uid);
            }
            b"SUMMARY" => self.summary = unescape(&property.text(), MAX_TITLE_BYTES),
            b"DTSTART" if self.start.is_none() => {
                self.start = dated(property, zones);
                self.start_unreadable = self.start.is_none();
            }
            b"DTEND" => self.end = Some(dated(property, zones).ok_or("DTEND is not a valid date or time")?),
            b"DURATION" => {
                self.duration = Some(value::duration(property.value).ok_or("DURATION is not a valid duration")?);
            }
            b"RECURRENCE-ID" => {
                let at = dated(property, zones).ok_or("RECURRENCE-ID is not a valid date or time")?;
                let range = property.parameter("RANGE");
                let and_future = range.is_some_and(|range| range.eq_ignore_ascii_case(b"THISANDFUTURE"));
                self.instance = Some((at, and_future));
            }
            b"SEQUENCE" => {
                let sequence = property.text().parse().map_err(|_| "SEQUENCE is not a number")?;
                self.version.sequence = sequence;
            }
            b"DTSTAMP" => self.version.stamp = stamp(property).ok_or("DTSTAMP is not a valid time")?,
            b"LAST-MODIFIED" => {
                self.version.modified = stamp(property).ok_or("LAST-MODIFIED is not a valid time")?;
            }
            b"RRULE" | b"EXRULE" => {
                let rules = if name == b"RRULE" { &mut self.rules } else { &mut self.exception_rules };
                if cut {
                    return Err("the rule is too long");
                }
                if rules.len() == MAX_RULES_PER_EVENT {
                    return Err("the event has too many rules; this one is left out");
                }
                rules.push((line, RuleText::read(&property.text())));
            }
            b"RDATE" => {
                let zone = zone_name(property, zones);
                let read =
                    |text: &[u8]| value::date_or_period(text).map(|(written, end)| (Dated { written, zone }, end));
                return add_all(property.value, cut, &mut self.dates, read);
            }
            b"EXDATE" => {
                let zone = zone_name(property, zones);
                let read = |text: &[u8]| value::date_or_time(text).map(|written| Dated { written, zone });
                return add_all(property.value, cut, &mut self.exceptions, read);
            }
            _ => self.busy_property(name, property, identity),
        }
        Ok(())
    }

    /// Adds a property that affects the busy class.
    fn busy_property(&mut self, name: &[u8], property: &Property<'_>, identity: &[String]) {
        let is = |word: &str| property.value.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        match name {
            b"STATUS" => {
                self.busy.cancelled |= is("CANCELLED") || is("CANCELED");
                self.busy.tentative = is("TENTATIVE");
            }
            b"TRANSP" => self.busy.transparent = Some(is("TRANSPARENT")),
            b"X-MICROSOFT-CDO-BUSYSTATUS" => self.busy.busy_status = microsoft_class(&property.text()),
            b"X-MICROSOFT-CDO-INTENDEDSTATUS" => self.busy.intended_status = microsoft_class(&property.text()),
            b"X-MICROSOFT-CDO-ALLDAYEVENT" => self.all_day = is("TRUE"),
            b"ORGANIZER" => {
                self.busy.is_organized = true;
                self.busy.user_organizes |= names_user(property, identity);
            }
            b"ATTENDEE" if names_user(property, identity) => {
                let written = property.parameter("PARTSTAT").and_then(Participation::of);
                // Someone who is invited twice, by two addresses, takes part if one of them does.
                self.busy.participation = self.busy.participation.max(written);
            }
            _ => {}
        }
    }

    /// Makes the event. Calls `left_out` with the line and the reason for each part that cannot be used. The error says why the
    /// whole event is left out. `newest_stamp` is the newest DTSTAMP so far, in seconds since 1970.
    pub(super) fn finish(
        self,
        file: u32,
        newest_stamp: i64,
        zones: &mut impl Zones,
        mut left_out: impl FnMut(u32, String),
    ) -> Result<Event, &'static str> {
        let missing = if self.start_unreadable { "DTSTART is not a valid date or time" } else { "it has no DTSTART" };
        // A cancellation need not say when the event starts (RFC 5546, 3.2.5).
        let cancelled = self.busy.cancelled.then(|| self.instance.map_or(NO_DATE, |(at, _)| at));
        let start = self.start.or(cancelled).ok_or(missing)?;
        // The zone of the start is reported as an unknown zone.
        if self.dated().any(|dated| dated.zone != start.zone && dated.is_lost(zones)) {
            left_out(
                self.line,
                "a TZID of the event is not known; that time is read on the event's own clock".to_owned(),
            );
        }
        let own = start.zone;
        let (start, end) = self.start_and_end(start, zones);
        let length = length(&start, end.as_ref(), self.duration)?;
        let whole_days = start.is_day();
        let repeat = RepeatReader { start: &start, own, line: self.line, newest_stamp, zones, left_out: &mut left_out }
            .read(self.rules, self.exception_rules, self.dates, self.exceptions);
        let repeats = !(repeat.rules.is_empty() && repeat.dates.is_empty() && repeat.exceptions.is_empty());
        let instance =
            self.instance.map(|(at, and_future)| Box::new(Instance { named: named(at, own, zones), and_future }));
        Ok(Event {
            file,
            line: self.line,
            class: self.busy.class(whole_days),
            cancelled: self.busy.cancelled,
            start,
            length,
            version: self.version,
            // An override is a single instance. Recurrence rules in it mean nothing.
            repeat: (repeats && instance.is_none()).then(|| Box::new(repeat)),
            instance,
            online: self.online,
            summary: self.summary.trim().into(),
        })
    }

    /// The start, and the end if it is written. An end in an unknown zone is in that of the start.
    fn start_and_end(&self, start: Dated, zones: &mut impl Zones) -> (Moment, Option<Moment>) {
        let start_moment = match start.written {
            Written::Local(at) => Moment::Time(at, zones.of_start(start.zone)),
            Written::Day(_) | Written::Utc(_) => moment(start, zones),
        };
        let day = |dated: &Dated, zones: &mut _| whole_day(dated.written, start.zone, zones);
        if self.all_day
            && let Some(first) = day(&start, zones)
        {
            let end = self.end.map(|end| day(&end, zones));
            let is_whole = match (end, self.duration) {
                (Some(end), _) => end.is_some(),
                (None, duration) => duration.is_none_or(|duration| duration.seconds % 86_400 == 0),
            };
            if is_whole {
                return (Moment::Day(first), end.flatten().map(Moment::Day));
            }
        }
        let end = self.end.map(|end| match end.utc(zones) {
            Some(at) if start_moment.is_day() => Moment::Day(zones.day(start.zone, at)),
            Some(_) | None => moment(end, zones),
        });
        (start_moment, end)
    }
}

/// Stands for the start of a cancelled series, which has no times.
const NO_DATE: Dated = Dated { written: Written::Day(jiff::civil::date(1970, 1, 1)), zone: None };

/// Adds the values of a list that can be read, up to [`MAX_DATES_PER_EVENT`]. The error says why some were left out.
fn add_all<T>(
    value: &[u8],
    cut: bool,
    kept: &mut Vec<T>,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<(), &'static str> {
    let mut outcome = Ok(());
    for text in list(value, cut) {
        if kept.len() == MAX_DATES_PER_EVENT {
            return Err("the event has too many dates; the rest are left out");
        }
        match read(text) {
            Some(date) => kept.push(date),
            None => outcome = Err("one of the dates is not a valid date, time or period"),
        }
    }
    if cut { Err("the line is too long; the dates at its end are left out") } else { outcome }
}

/// A time in UTC, in seconds since 1970. Some programs omit the Z; that does not change the order.
fn stamp(property: &Property<'_>) -> Option<i64> {
    let at = match value::date_or_time(property.value)? {
        Written::Day(date) => date.at(0, 0, 0, 0),
        Written::Local(at) | Written::Utc(at) => at,
    };
    Some(instant(at, &TimeZone::UTC).as_second())
}
