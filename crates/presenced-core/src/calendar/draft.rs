//! An event while it is being read: its properties arrive one by one, in any order, and become an [`Event`] at the end.
//!
//! A property that cannot be read is left out. Without a valid start, or with an end before the start, the event is left out.
//! Leaves to others: where events begin and end in a file, and what zone names mean there (`reader`).

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::busy::{BusyProperties, Participation, microsoft_class};
use super::event::{Event, Instance, Named, Repeat, Version};
use super::identity::names_user;
use super::length::{Length, length};
use super::moment::{Moment, instant};
use super::online;
use super::property::{Property, unescape};
use super::recurrence::{Rule, RuleText, Until};
use super::value::{self, Duration, PeriodEnd, Written};

/// The most EXDATE values that an event may have, and the most RDATE values.
const MAX_DATES_PER_EVENT: usize = 10_000;

/// The most RRULEs that an event may have, and the most EXRULEs.
const MAX_RULES_PER_EVENT: usize = 16;

/// Longer titles and UIDs are cut.
const MAX_TITLE_BYTES: usize = 200;
const MAX_UID_BYTES: usize = 1_000;

/// A zone name in the file, as an index.
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
    /// system's zone in UTC. At any other time of day, it is the date as written.
    fn day(&mut self, utc: DateTime) -> Date;
    /// The date on which a time in UTC is midnight, in one of those zones or in UTC.
    fn whole_day(&mut self, utc: DateTime) -> Option<Date>;
}

/// A value and the zone name in its `TZID`.
#[derive(Clone, Copy, Debug)]
struct Dated {
    written: Written,
    zone: Option<ZoneName>,
}

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
        let single = [self.start, self.end, self.instance.map(|(at, _)| at)];
        let mut dated = single.into_iter().flatten();
        let mut dates = self.dates.iter().map(|(start, _)| start).chain(&self.exceptions);
        let mut is_open = |dated: &Dated| dated.zone.is_some_and(|name| !zones.is_settled(name));
        if dated.any(|dated| is_open(&dated)) || dates.any(is_open) {
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
        let single = [self.end, self.instance.map(|(at, _)| at)];
        single.into_iter().flatten().any(|dated| is_utc(dated.written))
            || self.dates.iter().any(|(dated, _)| is_utc(dated.written))
            || self.exceptions.iter().any(|dated| is_utc(dated.written))
            || self.all_rules().any(|rule| matches!(rule.until, Until::At(until) if is_utc(until)))
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
            "UID" if self.uid.is_empty() => {
                let uid = property.text();
                uid[..uid.floor_char_boundary(MAX_UID_BYTES)].clone_into(&mut self.uid);
            }
            "SUMMARY" => self.summary = unescape(&property.text(), MAX_TITLE_BYTES),
            "DTSTART" if self.start.is_none() => {
                self.start = dated(property, zones);
                self.start_unreadable = self.start.is_none();
            }
            "DTEND" => self.end = Some(dated(property, zones).ok_or("DTEND is not a valid date or time")?),
            "DURATION" => {
                self.duration = Some(value::duration(property.value).ok_or("DURATION is not a valid duration")?);
            }
            "RECURRENCE-ID" => {
                let at = dated(property, zones).ok_or("RECURRENCE-ID is not a valid date or time")?;
                let range = property.parameter("RANGE");
                let and_future = range.is_some_and(|range| range.eq_ignore_ascii_case(b"THISANDFUTURE"));
                self.instance = Some((at, and_future));
            }
            "SEQUENCE" => {
                let sequence = property.text().parse().map_err(|_| "SEQUENCE is not a number")?;
                self.version.sequence = sequence;
            }
            "DTSTAMP" => self.version.stamp = stamp(property).ok_or("DTSTAMP is not a valid time")?,
            "LAST-MODIFIED" => {
                self.version.modified = stamp(property).ok_or("LAST-MODIFIED is not a valid time")?;
            }
            "RRULE" | "EXRULE" => {
                let rules = if name == "RRULE" { &mut self.rules } else { &mut self.exception_rules };
                if cut {
                    return Err("the rule is too long");
                }
                if rules.len() == MAX_RULES_PER_EVENT {
                    return Err("the event has too many rules; this one is left out");
                }
                rules.push((line, RuleText::read(&property.text())));
            }
            "RDATE" => {
                let zone = zone_name(property, zones);
                let read =
                    |text: &[u8]| value::date_or_period(text).map(|(written, end)| (Dated { written, zone }, end));
                return add_all(property.value, cut, &mut self.dates, read);
            }
            "EXDATE" => {
                let zone = zone_name(property, zones);
                let read = |text: &[u8]| value::date_or_time(text).map(|written| Dated { written, zone });
                return add_all(property.value, cut, &mut self.exceptions, read);
            }
            _ => self.busy_property(name, property, identity),
        }
        Ok(())
    }

    /// Adds a property that affects the busy class.
    fn busy_property(&mut self, name: &str, property: &Property<'_>, identity: &[String]) {
        let is = |word: &str| property.value.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        match name {
            "STATUS" => {
                self.busy.cancelled |= is("CANCELLED") || is("CANCELED");
                self.busy.tentative = is("TENTATIVE");
            }
            "TRANSP" => self.busy.transparent = Some(is("TRANSPARENT")),
            "X-MICROSOFT-CDO-BUSYSTATUS" => self.busy.busy_status = microsoft_class(&property.text()),
            "X-MICROSOFT-CDO-INTENDEDSTATUS" => self.busy.intended_status = microsoft_class(&property.text()),
            "X-MICROSOFT-CDO-ALLDAYEVENT" => self.all_day = is("TRUE"),
            "ORGANIZER" => {
                self.busy.is_organized = true;
                self.busy.user_organizes |= names_user(property, identity);
            }
            "ATTENDEE" if names_user(property, identity) => {
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
        let start = self.start.ok_or(missing)?;
        let (start, end) = self.start_and_end(start, zones);
        let length = length(&start, end.as_ref(), self.duration)?;
        let whole_days = start.is_day();
        let repeat = Reading { start: &start, line: self.line, newest_stamp, zones, left_out: &mut left_out }.repeat(
            self.rules,
            self.exception_rules,
            self.dates,
            self.exceptions,
        );
        let repeats = !(repeat.rules.is_empty() && repeat.dates.is_empty() && repeat.exceptions.is_empty());
        let instance = self.instance.map(|(at, and_future)| Box::new(Instance { named: named(at, zones), and_future }));
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
        let day = |dated: &Dated, zones: &mut _| whole_day(dated.written, zones);
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
        let end = self.end.map(|end| match (&start_moment, end.written) {
            (Moment::Day(_), Written::Utc(at)) => Moment::Day(zones.day(at)),
            _ => moment(end, zones),
        });
        (start_moment, end)
    }
}

/// The date of a whole day that may be written as a time: Outlook's `X-MICROSOFT-CDO-ALLDAYEVENT` can go with times from
/// midnight to midnight.
fn whole_day(written: Written, zones: &mut impl Zones) -> Option<Date> {
    match written {
        Written::Day(date) => Some(date),
        Written::Local(at) => (at.time() == Time::midnight()).then(|| at.date()),
        Written::Utc(at) => zones.whole_day(at),
    }
}

/// What is needed to read how an event repeats.
struct Reading<'a, Z> {
    start: &'a Moment,
    line: u32,
    newest_stamp: i64,
    zones: &'a mut Z,
    left_out: &'a mut dyn FnMut(u32, String),
}

impl<Z: Zones> Reading<'_, Z> {
    fn repeat(
        mut self,
        rules: Vec<(u32, RuleText)>,
        exception_rules: Vec<(u32, RuleText)>,
        dates: Vec<(Dated, Option<PeriodEnd>)>,
        exceptions: Vec<Dated>,
    ) -> Repeat {
        Repeat {
            rules: self.rules(rules, "RRULE"),
            exception_rules: self.rules(exception_rules, "EXRULE"),
            dates: dates.into_iter().filter_map(|(date, end)| self.date(date, end)).collect(),
            exceptions: exceptions.into_iter().map(|exception| named(exception, self.zones)).collect(),
        }
    }

    fn rules(&mut self, rules: Vec<(u32, RuleText)>, what: &str) -> Vec<Rule> {
        let mut readable = Vec::with_capacity(rules.len());
        for (line, text) in rules {
            let until = match text.until {
                Until::Never => None,
                // In a series of whole days, UNTIL is a date too.
                Until::At(Written::Utc(at)) if self.start.is_day() => Some(Written::Day(self.zones.day(at))),
                Until::At(until) => Some(until),
                Until::Unreadable => {
                    let last = self.last_guess();
                    (self.left_out)(line, format!("{what}: its UNTIL cannot be read; it is taken to end on {last}"));
                    Some(Written::Day(last))
                }
            };
            match Rule::parse(&text.parts, until, self.start.civil(), self.start.is_day()) {
                Ok((rule, problems)) => {
                    readable.push(rule.counting_start(self.start.civil()));
                    problems.into_iter().for_each(|problem| (self.left_out)(line, format!("{what}: {problem}")));
                }
                Err(reason) => (self.left_out)(line, format!("{what} cannot be used: {reason}")),
            }
        }
        readable
    }

    /// The last day of a rule whose UNTIL cannot be read: a year after the start or after the newest DTSTAMP, whichever is
    /// later. A meeting that is missed costs more than one that is shown by mistake.
    fn last_guess(&self) -> Date {
        let stamped = jiff::Timestamp::from_second(self.newest_stamp).unwrap_or_default();
        let stamped = TimeZone::UTC.to_datetime(stamped).date();
        self.start.civil().date().max(stamped).saturating_add(1.year())
    }

    /// An RDATE; `None` if it is left out.
    fn date(&mut self, date: Dated, end: Option<PeriodEnd>) -> Option<(Moment, Option<Length>)> {
        let mut moment = |written: Written, zone| match written {
            Written::Utc(at) if self.start.is_day() => Moment::Day(self.zones.day(at)),
            written => moment(Dated { written, zone }, self.zones),
        };
        let from = moment(date.written, date.zone);
        let own_length = end.map(|end| match end {
            PeriodEnd::At(written) => length(&from, Some(&moment(written, date.zone)), None),
            PeriodEnd::After(duration) => length(&from, None, Some(duration)),
        });
        if let Ok(own_length) = own_length.transpose() {
            return Some((from, own_length));
        }
        (self.left_out)(self.line, "a period of an RDATE ends before it starts".to_owned());
        None
    }
}

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

/// The values of a list. If the line was cut, the last value may be incomplete and is left out.
pub(super) fn list(value: &[u8], cut: bool) -> impl Iterator<Item = &[u8]> {
    let whole = if cut { value.iter().rposition(|&byte| byte == b',').unwrap_or(0) } else { value.len() };
    value[..whole].split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|text| !text.is_empty())
}

fn zone_name(property: &Property<'_>, zones: &mut impl Zones) -> Option<ZoneName> {
    property.parameter("TZID").map(|tzid| zones.name(&String::from_utf8_lossy(tzid)))
}

fn is_date(property: &Property<'_>) -> bool {
    property.parameter("VALUE").is_some_and(|value| value.eq_ignore_ascii_case(b"DATE"))
}

fn dated(property: &Property<'_>, zones: &mut impl Zones) -> Option<Dated> {
    let written = match value::date_or_time(property.value)? {
        // Some programs declare a DATE but write its midnight.
        Written::Local(at) if is_date(property) => Written::Day(at.date()),
        Written::Utc(at) if is_date(property) => Written::Day(zones.day(at)),
        written @ (Written::Day(_) | Written::Local(_) | Written::Utc(_)) => written,
    };
    let zone = if matches!(written, Written::Local(_)) { zone_name(property, zones) } else { None };
    Some(Dated { written, zone })
}

/// The moment that a value means. A time in UTC stays in UTC, even with a `TZID` (RFC 5545, 3.2.19). A time in an unknown zone is
/// floating, like one without a zone.
fn moment(dated: Dated, zones: &mut impl Zones) -> Moment {
    match dated.written {
        Written::Day(date) => Moment::Day(date),
        Written::Utc(at) => Moment::Time(at, Some(TimeZone::UTC)),
        Written::Local(at) => Moment::Time(at, dated.zone.and_then(|name| zones.known(name))),
    }
}

/// The moment of an EXDATE or a RECURRENCE-ID.
fn named(dated: Dated, zones: &mut impl Zones) -> Named {
    let at = moment(dated, zones);
    let day = match dated.written {
        Written::Day(date) => date,
        Written::Local(at) => at.date(),
        Written::Utc(utc) => zones.day(utc),
    };
    let is_assumed = dated.zone.is_some() && matches!(at, Moment::Time(_, None));
    Named { at, day, is_assumed }
}

/// A time in UTC, in seconds since 1970. Some programs omit the Z; that does not change the order.
fn stamp(property: &Property<'_>) -> Option<i64> {
    let at = match value::date_or_time(property.value)? {
        Written::Day(date) => date.at(0, 0, 0, 0),
        Written::Local(at) | Written::Utc(at) => at,
    };
    Some(instant(at, &TimeZone::UTC).as_second())
}
