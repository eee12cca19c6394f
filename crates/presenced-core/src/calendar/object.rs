//! One VCALENDAR object: turns its components and their properties into events.
//!
//! A component that is never closed ends at the next one or at the end of the object. Nesting is only counted, so it may be
//! deep. Parts that cannot be read are left out and reported with their line. Leaves to others: whether the file is whole
//! (`reader`), and what the events of all files mean together (`series`).

use super::draft::Draft;
use super::free_busy;
use super::object_zones::ObjectZones;
use super::outcome::{Outcome, Sink};
use super::property::{Property, unescape};
use super::vtimezone::Definition;
use super::zone;

/// The most events that one file may have. The rest are left out.
const MAX_EVENTS_PER_FILE: usize = 1_000_000;

/// How many events of an object are held back until it ends. Its METHOD should come first (RFC 5545, 3.6), but in some messages it
/// comes last. Messages have few events.
const MAX_HELD_BACK: usize = 32;

/// The reason for an event without an end.
const NO_END: &str = "the event has no END:VEVENT; it is used as far as it goes";

/// The component that is open.
#[derive(Debug)]
enum Open {
    Nothing,
    /// An event, and the number of open components inside it, like alarms.
    Event(Box<Draft>, u64),
    /// A VFREEBUSY.
    FreeBusy,
    /// A VTIMEZONE, and whether one of its observances is open.
    Zone(Option<String>, Definition, bool),
    /// Another component, and the number of open components inside it.
    Other(u64),
}

/// What the METHOD of an object makes of its events (RFC 5546, 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// They are in the calendar.
    Keep,
    /// They are cancelled (3.2.5).
    Cancel,
    /// They are part of a conversation about an event: somebody's answer or proposal. They are not in the calendar.
    Ignore,
}

/// Reads the objects of a file, one after the other.
pub(super) struct ObjectReader<'a> {
    file: u32,
    identity: &'a [String],
    zones: ObjectZones<'a>,
    method: Method,
    open: Open,
    /// The first events of the object, while there are only a few.
    held_back: Vec<Draft>,
    /// Whether there are more than that.
    has_many: bool,
    /// Events that need the rest of the object.
    waiting: Vec<Draft>,
    newest_stamp: i64,
    names: Names,
    sink: &'a mut Sink<'a>,
    out: Outcome,
}

/// Who wrote the object, and for whom.
#[derive(Debug, Default)]
struct Names {
    is_by_google: bool,
    /// `X-WR-CALNAME`.
    calendar: String,
}

impl<'a> ObjectReader<'a> {
    /// Has read nothing.
    pub(super) fn new(file: u32, identity: &'a [String], zones: ObjectZones<'a>, sink: &'a mut Sink<'a>) -> Self {
        Self {
            file,
            identity,
            zones,
            method: Method::Keep,
            open: Open::Nothing,
            held_back: Vec::new(),
            has_many: false,
            waiting: Vec::new(),
            newest_stamp: 0,
            names: Names::default(),
            sink,
            out: Outcome::default(),
        }
    }

    /// A component begins. It is not a VCALENDAR.
    pub(super) fn begin(&mut self, number: u32, component: &[u8]) {
        let is = |name: &str| component.eq_ignore_ascii_case(name.as_bytes());
        if is("VEVENT") {
            self.close(number, NO_END);
            self.open = Open::Event(Box::new(Draft::new(number)), 0);
        } else if is("VTIMEZONE") {
            self.close(number, NO_END);
            self.open = Open::Zone(None, Definition::default(), false);
        } else {
            match &mut self.open {
                Open::Event(_, inner) | Open::Other(inner) => *inner += 1,
                Open::Zone(_, definition, in_observance) => {
                    *in_observance = is("STANDARD") || is("DAYLIGHT");
                    if *in_observance {
                        definition.begin_observance(is("DAYLIGHT"));
                    }
                }
                Open::Nothing | Open::FreeBusy if is("VFREEBUSY") => self.open = Open::FreeBusy,
                Open::Nothing | Open::FreeBusy => {
                    self.out.note_component(number, is("VTODO") || is("VJOURNAL"));
                    self.open = Open::Other(0);
                }
            }
        }
    }

    /// A component ends. It is not a VCALENDAR.
    pub(super) fn end(&mut self, number: u32, component: &[u8]) {
        let is = |name: &str| component.eq_ignore_ascii_case(name.as_bytes());
        match &mut self.open {
            Open::Event(..) if is("VEVENT") => self.close(number, ""),
            Open::Zone(..) if is("VTIMEZONE") => self.close(number, ""),
            Open::FreeBusy | Open::Other(0) => self.open = Open::Nothing,
            Open::Event(_, inner) | Open::Other(inner) => *inner = inner.saturating_sub(1),
            Open::Zone(_, _, in_observance) => *in_observance = false,
            Open::Nothing => {}
        }
    }

    /// A property of the component that is open, or of the object itself.
    pub(super) fn property(&mut self, number: u32, property: &Property<'_>, cut: bool) {
        match &mut self.open {
            Open::Event(draft, 0) => {
                let outcome = draft.property(number, property, cut, self.identity, &mut self.zones);
                if let Err(reason) = outcome {
                    self.out.problems.add(number, reason);
                }
            }
            Open::FreeBusy if property.is("FREEBUSY") => self.free_busy(number, property, cut),
            Open::Event(..) | Open::Other(_) | Open::FreeBusy => {}
            Open::Zone(_, definition, true) => definition.property(property),
            Open::Zone(name, _, false) => {
                if property.is("TZID") {
                    // The name is escaped in a value, but not in a parameter.
                    *name = Some(unescape(&property.text(), zone::MAX_NAME_BYTES));
                }
            }
            Open::Nothing => self.own_property(property),
        }
    }

    /// A line that is not a property. It matters only in an event.
    pub(super) fn unreadable_line(&mut self, number: u32) {
        if matches!(self.open, Open::Event(..)) {
            self.out.problems.add(number, "this line is not a property");
        }
    }

    /// A property of the object.
    fn own_property(&mut self, property: &Property<'_>) {
        if property.is("X-WR-TIMEZONE") {
            self.zones.set_default(&property.text());
        } else if property.is("METHOD") {
            let is = |name: &str| property.value.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
            self.method = if is("CANCEL") {
                Method::Cancel
            } else if ["REPLY", "COUNTER", "DECLINECOUNTER", "REFRESH"].into_iter().any(is) {
                Method::Ignore
            } else {
                Method::Keep
            };
        } else if property.is("PRODID") {
            self.names.is_by_google = property.text().contains("Google");
        } else if property.is("X-WR-CALNAME") {
            self.names.calendar = unescape(&property.text(), zone::MAX_NAME_BYTES);
        }
    }

    fn free_busy(&mut self, number: u32, property: &Property<'_>, cut: bool) {
        let (out, sink) = (&mut self.out, &mut *self.sink);
        let before = out.events;
        let outcome = free_busy::periods(self.file, number, property, cut, &mut self.zones, |event| {
            if out.events < MAX_EVENTS_PER_FILE && sink(String::new(), event).is_ok() {
                out.events += 1;
            }
        });
        self.out.note_component(number, outcome.is_ok() || self.out.events > before);
        if let Err(reason) = outcome {
            self.out.problems.add(number, reason);
        }
    }

    /// Closes the open component. If it is an event without its own end, `unclosed` is the reason to report; otherwise it is
    /// empty.
    fn close(&mut self, number: u32, unclosed: &str) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Zone(Some(name), definition, _) => self.zones.define(name, definition),
            Open::Nothing | Open::FreeBusy | Open::Other(_) | Open::Zone(None, ..) => {}
            Open::Event(draft, _) => {
                if !unclosed.is_empty() {
                    self.out.problems.add(draft.line, unclosed);
                }
                self.newest_stamp = self.newest_stamp.max(draft.stamp());
                if self.out.events + self.waiting.len() >= MAX_EVENTS_PER_FILE {
                    self.out.problems.add(number, "the file has too many events; this one is left out");
                } else if self.held_back.len() < MAX_HELD_BACK && !self.has_many {
                    self.held_back.push(*draft);
                } else {
                    self.has_many = true;
                    self.take_held_back();
                    self.take_or_wait(*draft);
                }
            }
        }
    }

    fn take_held_back(&mut self) {
        for draft in std::mem::take(&mut self.held_back) {
            self.take_or_wait(draft);
        }
    }

    fn take_or_wait(&mut self, draft: Draft) {
        if draft.needs_rest_of_object(&mut self.zones) {
            self.waiting.push(draft);
        } else {
            self.take(draft);
        }
    }

    /// Turns a draft into an event.
    fn take(&mut self, mut draft: Draft) {
        match self.method {
            Method::Keep => {}
            Method::Cancel => draft.cancel(),
            Method::Ignore => return self.out.note_component(draft.line, true),
        }
        let (line, uid) = (draft.line, std::mem::take(&mut draft.uid));
        let problems = &mut self.out.problems;
        let event =
            draft.finish(self.file, self.newest_stamp, &mut self.zones, |line, reason| problems.add(line, reason));
        match event.and_then(|event| (self.sink)(uid, event)) {
            Ok(()) => self.out.events += 1,
            Err(reason) => {
                self.out.problems.add(line, format!("the event is left out: {reason}"));
                self.out.note_component(line, false);
            }
        }
    }

    /// The object ends.
    pub(super) fn end_object(&mut self, number: u32) {
        self.close(number, NO_END);
        self.take_held_back();
        for draft in std::mem::take(&mut self.waiting) {
            self.take(draft);
        }
        let names = std::mem::take(&mut self.names);
        if names.is_by_google && self.out.owner.is_none() && is_address(&names.calendar) {
            self.out.owner = Some(names.calendar);
        }
        self.zones.end_object();
        self.method = Method::Keep;
        self.newest_stamp = 0;
        self.has_many = false;
    }

    /// Everything that was read.
    pub(super) fn finish(mut self) -> Outcome {
        self.out.unknown_zones = self.zones.into_unknown();
        self.out
    }
}

/// Whether a calendar's name is its owner's address, and not one like `Lunch @ noon`.
fn is_address(name: &str) -> bool {
    let parts = name.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    parts.is_some() && !name.contains(char::is_whitespace)
}
