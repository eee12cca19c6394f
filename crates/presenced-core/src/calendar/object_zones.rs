//! The time zones of one VCALENDAR object. Names, VTIMEZONEs and X-WR-TIMEZONE mean nothing outside of their object (RFC 5545,
//! 3.8.3.1: a TZID is unique within its iCalendar object).
//!
//! Leaves to others: what a name means anywhere (`zone`), and compiling definitions (`vtimezone`).

use std::collections::HashMap;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::dated::{ZoneName, Zones};
use super::moment::instant;
use super::recurrence::Budget;
use super::vtimezone::{Compiled, Definition};
use super::zone;

/// The most zone names, and the most VTIMEZONEs, that are used in one object.
const MAX_ZONES_PER_OBJECT: usize = 1_000;

/// The most zones whose midnight is tried for a UTC time.
const MAX_ZONES_TRIED: usize = 16;

/// How many resolved zone names are cached for later files.
const MAX_CACHED_NAMES: usize = 1_000;

/// How many unknown names of one file are listed.
const MAX_UNKNOWN_NAMES: usize = 50;

/// Zones that were resolved earlier. They mean the same in every file.
#[derive(Debug, Default)]
pub(super) struct KnownZones {
    names: HashMap<String, Option<TimeZone>>,
    compiled: Compiled,
}

impl KnownZones {
    fn by_name(&mut self, name: &str) -> Option<TimeZone> {
        if let Some(zone) = self.names.get(name) {
            return zone.clone();
        }
        if self.names.len() >= MAX_CACHED_NAMES {
            self.names.clear();
        }
        let zone = zone::by_name(name);
        self.names.insert(name.to_owned(), zone.clone());
        zone
    }
}

/// The zones of the object that is being read.
#[derive(Debug)]
pub(super) struct ObjectZones<'a> {
    known: &'a mut KnownZones,
    system: &'a TimeZone,
    /// For compiling all definitions of the file.
    budget: Budget,
    names: HashMap<String, ZoneName>,
    /// The name that was asked for last. The next one is mostly the same.
    last: ZoneName,
    /// Each name, and its zone once it is resolved.
    entries: Vec<(String, Option<TimeZone>)>,
    definitions: HashMap<String, Definition>,
    /// `X-WR-TIMEZONE`.
    default: Option<ZoneName>,
    /// Names in the file that could not be resolved and for which the system's zone is used.
    unknown: Vec<String>,
}

impl<'a> ObjectZones<'a> {
    /// No zones yet. `budget` limits the compiling of all definitions of a file.
    pub(super) fn new(known: &'a mut KnownZones, system: &'a TimeZone, budget: Budget) -> Self {
        Self {
            known,
            system,
            budget,
            names: HashMap::new(),
            last: ZoneName(0),
            entries: Vec::new(),
            definitions: HashMap::new(),
            default: None,
            unknown: Vec::new(),
        }
    }

    /// Forgets the zones of the object that has ended.
    pub(super) fn end_object(&mut self) {
        self.names.clear();
        self.entries.clear();
        self.definitions.clear();
        self.default = None;
    }

    /// Adds a VTIMEZONE.
    pub(super) fn define(&mut self, name: String, definition: Definition) {
        if self.definitions.len() < MAX_ZONES_PER_OBJECT {
            self.definitions.insert(name, definition);
        }
    }

    /// Sets X-WR-TIMEZONE. The first one counts.
    pub(super) fn set_default(&mut self, tzid: &str) {
        if self.default.is_none() && !tzid.is_empty() {
            self.default = Some(self.name(tzid));
        }
    }

    /// The names that could not be resolved in the whole file.
    pub(super) fn into_unknown(self) -> Vec<String> {
        self.unknown
    }

    fn note_unknown(&mut self, name: ZoneName) {
        let Some((tzid, _)) = self.entries.get(name.0 as usize) else { return };
        if self.unknown.len() < MAX_UNKNOWN_NAMES && !self.unknown.contains(tzid) {
            self.unknown.push(tzid.clone());
        }
    }

    /// The date on which `utc` is midnight in the zone `own`, in one of the calendar's zones or in the system's zone.
    fn midnight(&mut self, own: Option<ZoneName>, utc: DateTime) -> Option<Date> {
        let written = TimeZone::UTC.to_timestamp(utc).ok()?;
        // Where summer time begins at midnight, the first instant of that day is 01:00.
        let at = |zone: &TimeZone| {
            let date = zone.to_datetime(written).date();
            (instant(date.at(0, 0, 0, 0), zone) == written).then_some(date)
        };
        let named = [own, self.default].into_iter().flatten().find_map(|name| self.known(name).as_ref().and_then(at));
        if named.is_some() {
            return named;
        }
        let defined: Vec<String> = self.definitions.keys().take(MAX_ZONES_TRIED).cloned().collect();
        let mut found: Option<Date> = None;
        for tzid in defined {
            let name = self.name(&tzid);
            if let Some(date) = self.known(name).as_ref().and_then(at) {
                // The order of the definitions must not matter.
                found = Some(found.map_or(date, |other| other.max(date)));
            }
        }
        found.or_else(|| at(self.system))
    }
}

impl Zones for ObjectZones<'_> {
    fn name(&mut self, tzid: &str) -> ZoneName {
        if self.entries.get(self.last.0 as usize).is_some_and(|(last, _)| last == tzid) {
            return self.last;
        }
        if let Some(name) = self.names.get(tzid) {
            self.last = *name;
            return *name;
        }
        let name = ZoneName(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        if self.entries.len() < MAX_ZONES_PER_OBJECT {
            self.entries.push((tzid.to_owned(), self.known.by_name(tzid)));
            self.names.insert(tzid.to_owned(), name);
        }
        name
    }

    fn is_settled(&mut self, name: ZoneName) -> bool {
        let Some((tzid, zone)) = self.entries.get_mut(name.0 as usize) else { return true };
        if zone.is_none() {
            *zone = self
                .definitions
                .get(tzid)
                .and_then(|definition| self.known.compiled.zone(definition, &mut self.budget));
        }
        zone.is_some()
    }

    fn known(&mut self, name: ZoneName) -> Option<TimeZone> {
        if !self.is_settled(name) {
            let (tzid, zone) = &mut self.entries[name.0 as usize];
            *zone = zone::by_offset(tzid);
        }
        self.entries.get(name.0 as usize).and_then(|(_, zone)| zone.clone())
    }

    fn of_start(&mut self, name: Option<ZoneName>) -> Option<TimeZone> {
        let zone = [name, self.default].into_iter().flatten().find_map(|name| self.known(name));
        if zone.is_none()
            && let Some(unknown) = name.or(self.default)
        {
            self.note_unknown(unknown);
        }
        zone
    }

    fn has_default(&self) -> bool {
        self.default.is_some()
    }

    fn day(&mut self, own: Option<ZoneName>, utc: DateTime) -> Date {
        self.midnight(own, utc).unwrap_or(utc.date())
    }

    fn whole_day(&mut self, own: Option<ZoneName>, utc: DateTime) -> Option<Date> {
        self.midnight(own, utc).or_else(|| (utc.time() == Time::midnight()).then(|| utc.date()))
    }
}
