//! An event while it is being read: its properties arrive one by one, in any order, and become an [`Event`] at the end.
//!
//! A property that cannot be read is left out. Without a valid start, or with an end before the start, the event is left out.
//! Leaves to others: where events begin and end in a file, and what zone names mean there (`reader`).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::busy::{BusyProperties, Participation, microsoft_class};
use super::event::{Event, Instance, Length, Moment, Repeat, Version, instant};
use super::online;
use super::property::{Property, unescape};
use super::recurrence::Rule;
use super::value::{self, Duration, PeriodEnd, Written};

/// The most EXDATE values that an event may have, and the most RDATE values.
const MAX_DATES_PER_EVENT: usize = 10_000;

/// The most RRULEs that an event may have, and the most EXRULEs.
const MAX_RULES_PER_EVENT: usize = 16;

/// Longer titles and UIDs are cut.
const MAX_TITLE_BYTES: usize = 200;
const MAX_UID_BYTES: usize = 1_000;

/// Longer events are cut to this. It is longer than the years 0 to 9999.
const MAX_LENGTH_SECONDS: i64 = 4_000_000 * 86_400;

/// A zone name in the file, as an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ZoneName(pub(super) u32);

/// The time zones of the file.
pub(super) trait Zones {
    /// The index of a name.
    fn name(&mut self, tzid: &str) -> ZoneName;
    /// The zone of a name; `None` if it is unknown and the system's zone is used.
    fn zone(&mut self, name: ZoneName) -> Option<TimeZone>;
}

/// A value and the zone name in its `TZID`.
#[derive(Clone, Copy, Debug)]
struct Dated {
    written: Written,
    zone: Option<ZoneName>,
}

/// The user's role in the event.
#[derive(Clone, Copy, Debug, Default)]
struct Role {
    organizes: bool,
    attends: bool,
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
    rules: Vec<(u32, String)>,
    exception_rules: Vec<(u32, String)>,
    dates: Vec<(Dated, Option<PeriodEnd>)>,
    exceptions: Vec<Dated>,
    busy: BusyProperties,
    role: Role,
    online: bool,
    summary: String,
}

impl Draft {
    pub(super) fn new(line: u32) -> Self {
        Self { line, ..Self::default() }
    }

    /// The zone names that the event needs.
    pub(super) fn zone_names(&self) -> impl Iterator<Item = ZoneName> {
        let single = [self.start, self.end, self.instance.map(|(at, _)| at)];
        let dates = self.dates.iter().map(|(start, _)| start.zone);
        let exceptions = self.exceptions.iter().map(|exception| exception.zone);
        single.into_iter().flatten().map(|dated| dated.zone).chain(dates).chain(exceptions).flatten()
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
                rules.push((line, property.text().into_owned()));
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
                self.busy.cancelled = is("CANCELLED");
                self.busy.tentative = is("TENTATIVE");
            }
            "TRANSP" => self.busy.transparent = Some(is("TRANSPARENT")),
            "X-MICROSOFT-CDO-BUSYSTATUS" => self.busy.busy_status = microsoft_class(&property.text()),
            "X-MICROSOFT-CDO-INTENDEDSTATUS" => self.busy.intended_status = microsoft_class(&property.text()),
            "ORGANIZER" => self.role.organizes |= names_user(property, identity),
            "ATTENDEE" if names_user(property, identity) => {
                self.busy.participation =
                    match property.parameter("PARTSTAT").map(<[u8]>::to_ascii_uppercase).as_deref() {
                        Some(b"DECLINED" | b"DELEGATED") => Some(Participation::Declined),
                        Some(b"TENTATIVE" | b"NEEDS-ACTION") => Some(Participation::Open),
                        Some(_) => Some(Participation::Accepted),
                        None => self.busy.participation,
                    };
                self.role.attends = true;
            }
            _ => {}
        }
    }

    /// Makes the event. Calls `left_out` with the line and the reason for each rule that cannot be used. The error says why the
    /// whole event is left out.
    pub(super) fn finish(
        self,
        file: u32,
        zones: &mut impl Zones,
        mut left_out: impl FnMut(u32, String),
    ) -> Result<Event, &'static str> {
        // NEEDS-ACTION is the default (RFC 5545, 3.2.12), but organizers need not accept their own meetings.
        let default = if self.role.organizes { Participation::Accepted } else { Participation::Open };
        let participation = self.busy.participation.or(self.role.attends.then_some(default));
        let busy = BusyProperties { participation, ..self.busy };
        let missing = if self.start_unreadable { "DTSTART is not a valid date or time" } else { "it has no DTSTART" };
        let start = moment(self.start.ok_or(missing)?, zones);
        let end = self.end.map(|end| moment(end, zones));
        let length = length(&start, end.as_ref(), self.duration)?;
        let mut read = |rules: Vec<(u32, String)>, what: &str| {
            let mut readable = Vec::with_capacity(rules.len());
            for (line, text) in rules {
                match Rule::parse(&text, start.civil(), start.is_day()) {
                    Ok(rule) => readable.push(rule),
                    Err(reason) => left_out(line, format!("{what} cannot be used: {reason}")),
                }
            }
            readable
        };
        let mut repeat = Repeat {
            rules: read(self.rules, "RRULE"),
            exception_rules: read(self.exception_rules, "EXRULE"),
            dates: Vec::with_capacity(self.dates.len()),
            exceptions: self.exceptions.into_iter().map(|exception| moment(exception, zones)).collect(),
        };
        for (date, end) in self.dates {
            let zone = date.zone;
            let date = moment(date, zones);
            let own_length = end.map(|end| match end {
                PeriodEnd::At(written) => self::length(&date, Some(&moment(Dated { written, zone }, zones)), None),
                PeriodEnd::After(duration) => self::length(&date, None, Some(duration)),
            });
            match own_length.transpose() {
                Ok(own_length) => repeat.dates.push((date, own_length)),
                Err(_) => left_out(self.line, "a period of an RDATE ends before it starts".to_owned()),
            }
        }
        let repeats = !(repeat.rules.is_empty() && repeat.dates.is_empty() && repeat.exceptions.is_empty());
        let instance = self.instance.map(|(at, and_future)| Box::new(Instance { at: moment(at, zones), and_future }));
        Ok(Event {
            file,
            line: self.line,
            class: busy.class(start.is_day()),
            cancelled: busy.cancelled,
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
fn list(value: &[u8], cut: bool) -> impl Iterator<Item = &[u8]> {
    let whole = if cut { value.iter().rposition(|&byte| byte == b',').unwrap_or(0) } else { value.len() };
    value[..whole].split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|text| !text.is_empty())
}

fn zone_name(property: &Property<'_>, zones: &mut impl Zones) -> Option<ZoneName> {
    property.parameter("TZID").map(|tzid| zones.name(&String::from_utf8_lossy(tzid)))
}

fn dated(property: &Property<'_>, zones: &mut impl Zones) -> Option<Dated> {
    let written = match value::date_or_time(property.value)? {
        // Some programs declare a DATE but write its midnight.
        Written::Local(at) | Written::Utc(at)
            if property.parameter("VALUE").is_some_and(|value| value.eq_ignore_ascii_case(b"DATE")) =>
        {
            Written::Day(at.date())
        }
        written @ (Written::Day(_) | Written::Local(_) | Written::Utc(_)) => written,
    };
    let zone = if matches!(written, Written::Local(_)) { zone_name(property, zones) } else { None };
    Some(Dated { written, zone })
}

/// The moment that a value means. A time in UTC stays in UTC, even with a `TZID` (RFC 5545, 3.2.19).
fn moment(dated: Dated, zones: &mut impl Zones) -> Moment {
    match dated.written {
        Written::Day(date) => Moment::Day(date),
        Written::Utc(at) => Moment::Time(at, Some(TimeZone::UTC)),
        Written::Local(at) => Moment::Time(at, dated.zone.and_then(|name| zones.zone(name))),
    }
}

/// The length of an event that starts at `start` (RFC 5545, 3.6.1 and 3.8.5.3).
fn length(start: &Moment, end: Option<&Moment>, duration: Option<Duration>) -> Result<Length, &'static str> {
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

/// A time in UTC, in seconds since 1970. Some programs omit the Z; that does not change the order.
fn stamp(property: &Property<'_>) -> Option<i64> {
    let at = match value::date_or_time(property.value)? {
        Written::Day(date) => date.at(0, 0, 0, 0),
        Written::Local(at) | Written::Utc(at) => at,
    };
    Some(instant(at, &TimeZone::UTC).as_second())
}

/// Whether an ATTENDEE or ORGANIZER is the user.
fn names_user(property: &Property<'_>, identity: &[String]) -> bool {
    if identity.is_empty() {
        return false;
    }
    let address = property.text();
    let mail = match address.split_at_checked("mailto:".len()) {
        Some((scheme, mail)) if scheme.eq_ignore_ascii_case("mailto:") => mail,
        _ => &address,
    };
    // RFC 7986, 6.2: if the value is another kind of URI, the address is in EMAIL.
    let parameter = property.parameter("EMAIL").map(String::from_utf8_lossy);
    let is_user = |mail: &str| identity.iter().any(|own| own.trim().eq_ignore_ascii_case(mail.trim()));
    is_user(mail) || parameter.is_some_and(|mail| is_user(&mail))
}
