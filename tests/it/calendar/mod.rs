//! The calendar as its users see it: .ics files in, occurrences and busy states out. Expectations are worked out by hand
//! from RFC 5545, whose paragraphs the tests name.

#![expect(clippy::unwrap_used, reason = "a test's helpers may, as its tests do")]

mod busy;
pub(crate) mod corpus;
mod exporters;
mod guards;
mod overrides;
mod recurring;
mod schedule;
mod times;
mod whole;
mod writers;
mod zones;

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::calendar::{FileReport, Occurrence, OccurrenceTime, SourceId, Timeline};

/// A calendar file around some components. Lines may be indented.
fn ics(components: &str) -> String {
    let mut file = String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n");
    for line in components.lines().map(str::trim).filter(|line| !line.is_empty()) {
        file.push_str(line);
        file.push_str("\r\n");
    }
    file.push_str("END:VCALENDAR\r\n");
    file
}

/// A calendar file with one event of these properties.
fn event(properties: &str) -> String {
    ics(&format!("BEGIN:VEVENT\nUID:event\nDTSTAMP:20260101T000000Z\n{properties}\nEND:VEVENT"))
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A timeline with the first half of 2026 as its window, the system in `system`.
fn timeline(system: &str) -> Timeline {
    Timeline::new(Vec::new(), zone(system), at("2026-01-01T00:00:00Z"), at("2026-07-01T00:00:00Z"))
}

fn read(timeline: &mut Timeline, path: &str, file: &str) -> FileReport {
    timeline.update(SourceId(0), Path::new(path), file.as_bytes()).unwrap()
}

/// `start/end class`: times with their offsets, whole days as dates.
fn show(occurrence: &Occurrence) -> String {
    let when = match &occurrence.when {
        OccurrenceTime::Time { start, end } => {
            let rfc3339 = |at: &jiff::ZonedDateTime| at.timestamp().display_with_offset(at.offset()).to_string();
            format!("{}/{}", rfc3339(start), rfc3339(end))
        }
        OccurrenceTime::Days { start, end } => format!("{start}/{end}"),
    };
    let online = if occurrence.online { " online" } else { "" };
    format!("{when} {}{online}", occurrence.class)
}

/// All occurrences of some files in `[from, to)`.
fn agenda_of(system: &str, files: &[&str], from: &str, to: &str) -> Vec<String> {
    let mut timeline = timeline(system);
    for (index, file) in files.iter().enumerate() {
        let report = read(&mut timeline, &format!("{index}.ics"), file);
        assert_eq!((report.skipped, report.unknown_zones), (Vec::new(), Vec::new()));
    }
    timeline.occurrences(at(from), at(to)).map(|occurrence| show(&occurrence)).collect()
}

/// The starts of all occurrences of a file in the window of [`timeline`].
fn starts(system: &str, file: &str) -> Vec<String> {
    agenda_of(system, &[file], "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z")
        .into_iter()
        .map(|shown| shown[..shown.find('/').unwrap()].to_owned())
        .collect()
}

/// The one occurrence of an event with these properties.
fn only(system: &str, properties: &str) -> String {
    let shown = agenda_of(system, &[&event(properties)], "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z");
    let [only] = shown.as_slice() else { panic!("not one occurrence: {shown:?}") };
    only.clone()
}
