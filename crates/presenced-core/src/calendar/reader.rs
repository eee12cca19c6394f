//! Reads one file: its VCALENDAR objects, and whether they are whole.
//!
//! A file counts only from each `BEGIN:VCALENDAR` to its `END:VCALENDAR` (RFC 5545, 3.4). A file that somebody is still writing,
//! a download that was cut off, or a web page says nothing about what is in the calendar. Inside a whole object, broken parts
//! cost no more than themselves. Leaves to others: what is in an object (`object`).

use std::io::{self, Read};

use jiff::tz::TimeZone;

use super::object::ObjectReader;
use super::object_zones::{KnownZones, ObjectZones};
use super::outcome::{Outcome, Sink};
use super::property::Property;
use super::recurrence::Budget;
use super::scanner::{MAX_FILE_BYTES, Scanner};

/// The most steps ([`Budget`]) for compiling all VTIMEZONEs of one file. Fewer when fuzzing, which tends to use them all up.
const MAX_ZONE_STEPS_PER_FILE: u64 = if cfg!(fuzzing) { 30_000 } else { 3_000_000 };

/// Reads the file with the number `file` and passes its events to `sink`. `identity` has the user's e-mail addresses, `system`
/// is the system's zone.
pub(super) fn read<'a>(
    bytes: &mut dyn Read,
    file: u32,
    identity: &'a [String],
    known: &'a mut KnownZones,
    system: &'a TimeZone,
    sink: &'a mut Sink<'a>,
) -> io::Result<Outcome> {
    let mut scanner = Scanner::new(bytes);
    let zones = ObjectZones::new(known, system, Budget::new(MAX_ZONE_STEPS_PER_FILE));
    let mut objects = ObjectReader::new(file, identity, zones, sink);
    let mut outline = Outline::default();
    while let Some(line) = scanner.next_line()? {
        let number = line.number;
        outline.line(number, line.bytes);
        let Some(property) = Property::parse(line.bytes) else {
            objects.unreadable_line(number);
            continue;
        };
        let component = property.value.trim_ascii();
        let is_calendar = component.eq_ignore_ascii_case(b"VCALENDAR");
        if property.is("BEGIN") && is_calendar {
            if outline.begin(number) {
                objects.end_object(number);
            }
        } else if property.is("END") && is_calendar {
            if outline.end() {
                objects.end_object(number);
            }
        } else if property.is("BEGIN") {
            outline.component(number);
            objects.begin(number, component);
        } else if property.is("END") {
            objects.end(number, component);
        } else {
            objects.property(number, &property, line.cut);
        }
    }
    objects.end_object(outline.last_line);
    let mut outcome = objects.finish();
    outcome.unusable = if scanner.too_long() {
        Some((outline.last_line, format!("it is larger than {} MiB", MAX_FILE_BYTES / 1024 / 1024)))
    } else {
        outline.fault().or_else(|| outcome.not_understood())
    };
    Ok(outcome)
}

/// Where the objects of a file begin and end.
#[derive(Debug, Default)]
struct Outline {
    last_line: u32,
    /// The line on which the open object began.
    open: Option<u32>,
    /// Whether an object has begun.
    has_object: bool,
    /// The line of the first object without an end.
    unclosed: Option<u32>,
    /// The line of the first component outside of all objects.
    outside: Option<u32>,
    /// Whether the last line is the beginning of a `BEGIN:VCALENDAR`.
    ends_in_begin: bool,
}

impl Outline {
    /// A line, whatever it is.
    fn line(&mut self, number: u32, bytes: &[u8]) {
        self.last_line = number;
        let begin = b"BEGIN:VCALENDAR".get(..bytes.len());
        self.ends_in_begin = begin.is_some_and(|begin| begin.eq_ignore_ascii_case(bytes));
    }

    /// An object begins. Returns whether another one is open.
    fn begin(&mut self, line: u32) -> bool {
        self.has_object = true;
        let open = self.open.replace(line);
        self.unclosed = self.unclosed.or(open);
        open.is_some()
    }

    /// An object ends. Returns whether one is open.
    fn end(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// A component begins.
    fn component(&mut self, line: u32) {
        if self.open.is_none() {
            self.outside.get_or_insert(line);
        }
    }

    /// Why the file is not whole.
    fn fault(&self) -> Option<(u32, String)> {
        if self.last_line == 0 {
            return Some((1, "it is empty".to_owned()));
        }
        if !self.has_object {
            return Some((1, "it is not a calendar file: it has no BEGIN:VCALENDAR".to_owned()));
        }
        if let Some(begun) = self.unclosed {
            return Some((begun, format!("it is not complete: the VCALENDAR of line {begun} has no END:VCALENDAR")));
        }
        if self.open.is_some() || self.ends_in_begin {
            return Some((self.last_line, "it is not complete: it ends before its END:VCALENDAR".to_owned()));
        }
        let outside = self.outside?;
        Some((outside, format!("it is not complete: a component begins outside of a VCALENDAR on line {outside}")))
    }
}
