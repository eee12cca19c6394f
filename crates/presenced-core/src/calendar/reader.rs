//! Reads one file: turns components and their properties into events and a report.
//!
//! The reader accepts broken files. A component that is never closed ends at the next one or at the end of the file. Nesting is
//! only counted, so it may be deep. Parts that cannot be read are left out and reported with their line. Leaves to others: what
//! the events of all files mean together (`series`).

use std::collections::HashMap;
use std::io::{self, Read};

use jiff::tz::TimeZone;

use super::draft::{Draft, ZoneName, Zones};
use super::event::Event;
use super::property::{Property, unescape};
use super::recurrence::Budget;
use super::scanner::Scanner;
use super::vtimezone::{Compiled, Definition};
use super::zone;

/// The most events that one file may have. The rest are left out.
const MAX_EVENTS_PER_FILE: usize = 1_000_000;

/// The most zone names, and the most VTIMEZONEs, that are used in one file.
const MAX_ZONES_PER_FILE: usize = 1_000;

/// How many resolved zone names are cached for later files.
const MAX_CACHED_NAMES: usize = 1_000;

/// The most steps ([`Budget`]) for compiling all VTIMEZONEs of one file. Fewer when fuzzing, which tends to use them all up.
const MAX_ZONE_STEPS_PER_FILE: u64 = if cfg!(fuzzing) { 30_000 } else { 3_000_000 };

/// How many problems are listed. Any more are only counted.
const MAX_LISTED_PROBLEMS: usize = 50;

/// The result of reading one file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The number of events that count.
    pub(super) events: usize,
    pub(super) problems: Problems,
    /// Zone names that could not be resolved.
    pub(super) unknown_zones: Vec<String>,
}

/// The parts of a file that were left out, each with its line and the reason.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) listed: Vec<(u32, String)>,
    pub(super) more: usize,
}

impl Problems {
    /// Adds a problem.
    pub(super) fn add(&mut self, line: u32, reason: impl Into<String>) {
        if self.listed.len() < MAX_LISTED_PROBLEMS {
            self.listed.push((line, reason.into()));
        } else {
            self.more += 1;
        }
    }
}

/// Zones that were resolved in earlier files.
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

/// Receives each event with its UID, which is empty if the event has none. The error says why the event is left out.
pub(super) type Sink<'a> = dyn FnMut(String, Event) -> Result<(), &'static str> + 'a;

/// Reads the file with the number `file` and passes its events to `sink`. `identity` has the user's e-mail addresses.
pub(super) fn read(
    bytes: impl Read,
    file: u32,
    identity: &[String],
    known: &mut KnownZones,
    sink: &mut Sink<'_>,
) -> io::Result<Outcome> {
    let mut scanner = Scanner::new(bytes);
    let zones = FileZones {
        known,
        names: HashMap::new(),
        entries: Vec::new(),
        definitions: HashMap::new(),
        budget: Budget::new(MAX_ZONE_STEPS_PER_FILE),
        default: None,
        unknown: Vec::new(),
    };
    let mut reader = Reader {
        file,
        identity,
        zones,
        open: Open::Nothing,
        waiting: Vec::new(),
        calendar: false,
        sink,
        out: Outcome::default(),
    };
    let mut last_line = 1;
    while let Some(line) = scanner.next_line()? {
        last_line = line.number;
        reader.line(line.number, line.bytes, line.cut);
    }
    reader.finish(last_line);
    if scanner.too_long() {
        reader.out.problems.add(last_line, "the file is too long; everything after this line is left out");
    }
    if scanner.bytes_read() == 0 {
        reader.out.problems.add(1, "the file is empty");
    } else if !reader.calendar && reader.out.events == 0 {
        reader.out.problems.listed.clear();
        reader.out.problems.more = 0;
        reader.out.problems.add(1, "this is not a calendar file: it has no BEGIN:VCALENDAR");
    }
    reader.out.unknown_zones = reader.zones.unknown;
    Ok(reader.out)
}

/// The reason for an event without an end.
const NO_END: &str = "the event has no END:VEVENT; it is used as far as it goes";

/// The component that is open.
#[derive(Debug)]
enum Open {
    Nothing,
    /// An event, and the number of open components inside it, like alarms.
    Event(Box<Draft>, u64),
    /// A VTIMEZONE, and whether one of its observances is open.
    Zone(Option<String>, Definition, bool),
}

struct Reader<'a> {
    file: u32,
    identity: &'a [String],
    zones: FileZones<'a>,
    open: Open,
    /// Events whose zones may be defined later in the file.
    waiting: Vec<Draft>,
    calendar: bool,
    sink: &'a mut Sink<'a>,
    out: Outcome,
}

impl Reader<'_> {
    fn line(&mut self, number: u32, bytes: &[u8], cut: bool) {
        let Some(property) = Property::parse(bytes) else {
            // Outside of events, unknown lines do not matter.
            if matches!(self.open, Open::Event(..)) {
                self.out.problems.add(number, "this line is not a property");
            }
            return;
        };
        if property.is("BEGIN") {
            self.begin(number, property.value.trim_ascii());
        } else if property.is("END") {
            self.end(number, property.value.trim_ascii());
        } else {
            self.property(number, &property, cut);
        }
    }

    fn begin(&mut self, number: u32, component: &[u8]) {
        let is = |name: &str| component.eq_ignore_ascii_case(name.as_bytes());
        if is("VEVENT") {
            self.close(number, NO_END);
            self.open = Open::Event(Box::new(Draft::new(number)), 0);
        } else if is("VTIMEZONE") {
            self.close(number, NO_END);
            self.open = Open::Zone(None, Definition::default(), false);
        } else if is("VCALENDAR") {
            self.calendar = true;
        } else {
            match &mut self.open {
                Open::Event(_, inner) => *inner += 1,
                Open::Zone(_, definition, in_observance) => {
                    *in_observance = is("STANDARD") || is("DAYLIGHT");
                    if *in_observance {
                        definition.begin_observance(is("DAYLIGHT"));
                    }
                }
                Open::Nothing => {}
            }
        }
    }

    fn end(&mut self, number: u32, component: &[u8]) {
        let is = |name: &str| component.eq_ignore_ascii_case(name.as_bytes());
        match &mut self.open {
            Open::Event(..) if is("VEVENT") => self.close(number, ""),
            Open::Event(..) if is("VCALENDAR") => {
                self.close(number, NO_END);
            }
            Open::Event(_, inner) => *inner = inner.saturating_sub(1),
            Open::Zone(..) if is("VTIMEZONE") || is("VCALENDAR") => self.close(number, ""),
            Open::Zone(_, _, in_observance) => *in_observance = false,
            Open::Nothing => {}
        }
    }

    fn property(&mut self, number: u32, property: &Property<'_>, cut: bool) {
        match &mut self.open {
            Open::Event(draft, 0) => {
                let outcome = draft.property(number, property, cut, self.identity, &mut self.zones);
                if let Err(reason) = outcome {
                    self.out.problems.add(number, reason);
                }
            }
            Open::Event(..) => {}
            Open::Zone(_, definition, true) => definition.property(property),
            Open::Zone(name, _, false) => {
                if property.is("TZID") {
                    // The name is escaped in a value, but not in a parameter.
                    *name = Some(unescape(&property.text(), zone::MAX_NAME_BYTES));
                }
            }
            Open::Nothing => {
                if property.is("X-WR-TIMEZONE") && self.zones.default.is_none() {
                    self.zones.default = Some(property.text().into_owned());
                }
            }
        }
    }

    /// Closes the open component. If it is an event without its own end, `unclosed` is the reason to report; otherwise it is
    /// empty.
    fn close(&mut self, number: u32, unclosed: &str) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Zone(Some(name), definition, _) if self.zones.definitions.len() < MAX_ZONES_PER_FILE => {
                self.zones.definitions.insert(name, definition);
            }
            Open::Nothing | Open::Zone(..) => {}
            Open::Event(draft, _) => {
                if !unclosed.is_empty() {
                    self.out.problems.add(draft.line, unclosed);
                }
                if self.out.events + self.waiting.len() >= MAX_EVENTS_PER_FILE {
                    self.out.problems.add(number, "the file has too many events; this one is left out");
                } else if draft.zone_names().all(|name| self.zones.is_known(name)) {
                    self.take(*draft);
                } else {
                    self.waiting.push(*draft);
                }
            }
        }
    }

    /// Turns a draft into an event.
    fn take(&mut self, mut draft: Draft) {
        let (line, uid) = (draft.line, std::mem::take(&mut draft.uid));
        let problems = &mut self.out.problems;
        match draft.finish(self.file, &mut self.zones, |line, reason| problems.add(line, reason)) {
            Ok(event) => match (self.sink)(uid, event) {
                Ok(()) => self.out.events += 1,
                Err(reason) => problems.add(line, format!("the event is left out: {reason}")),
            },
            Err(reason) => problems.add(line, format!("the event is left out: {reason}")),
        }
    }

    fn finish(&mut self, last_line: u32) {
        self.close(last_line, "the file ends within this event; it is used as far as it goes");
        for draft in std::mem::take(&mut self.waiting) {
            self.take(draft);
        }
        self.out.problems.listed.sort_by_key(|(line, _)| *line);
    }
}

/// The zones of a file.
struct FileZones<'a> {
    known: &'a mut KnownZones,
    names: HashMap<String, ZoneName>,
    /// Each name, and its zone once it is resolved.
    entries: Vec<(String, Option<TimeZone>)>,
    definitions: HashMap<String, Definition>,
    budget: Budget,
    /// `X-WR-TIMEZONE`.
    default: Option<String>,
    /// Names that could not be resolved; the system's zone is used for them.
    unknown: Vec<String>,
}

impl FileZones<'_> {
    /// Whether the zone of a name is known without the rest of the file.
    fn is_known(&mut self, name: ZoneName) -> bool {
        let Some((tzid, zone)) = self.entries.get_mut(name.0 as usize) else { return true };
        if zone.is_none() {
            *zone = self
                .definitions
                .get(tzid)
                .and_then(|definition| self.known.compiled.zone(definition, &mut self.budget));
        }
        zone.is_some()
    }
}

impl Zones for FileZones<'_> {
    fn name(&mut self, tzid: &str) -> ZoneName {
        if let Some(name) = self.names.get(tzid) {
            return *name;
        }
        let name = ZoneName(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        if self.entries.len() < MAX_ZONES_PER_FILE {
            self.entries.push((tzid.to_owned(), self.known.by_name(tzid)));
            self.names.insert(tzid.to_owned(), name);
        }
        name
    }

    fn zone(&mut self, name: ZoneName) -> Option<TimeZone> {
        if !self.is_known(name) {
            let (tzid, zone) = &mut self.entries[name.0 as usize];
            *zone = zone::by_offset(tzid).or_else(|| self.known.by_name(self.default.as_deref()?));
            if zone.is_none() && !self.unknown.contains(tzid) {
                self.unknown.push(tzid.clone());
            }
        }
        self.entries.get(name.0 as usize).and_then(|(_, zone)| zone.clone())
    }
}
