//! What must hold for every calendar file, whatever it is. The fuzz targets try to break it with input of their own; the
//! normal tests replay the corpus.

#![allow(dead_code, reason = "each fuzz target uses one of the checks")]

use std::io::{self, Read};
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use presenced_core::calendar::{FileReport, Occurrence, OccurrenceTime, SourceId, Timeline};

const SOURCE: SourceId = SourceId(0);

/// Longer input says nothing new, and makes each run slower.
const MAX_INPUT: usize = 16 * 1024;

/// A file is read whole or a few bytes at a time to the same; what it says of a moment and of a window agrees; and nothing of it is
/// left when it is gone.
pub(crate) fn file(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MAX_INPUT)];
    let (from, to) = (at("2026-03-01T00:00:00Z"), at("2026-04-15T00:00:00Z"));
    let (mut timeline, report) = read(bytes, from, to);
    assert_eq!(report.events, timeline.events());
    assert!(report.skipped.iter().all(|skipped| skipped.line > 0 && !skipped.reason.is_empty()));

    let occurrences: Vec<_> = timeline.occurrences(from, to).collect();
    let schedule = timeline.schedule();
    for occurrence in &occurrences {
        let (start, end) = span(occurrence);
        assert!(start <= end && start < to && end >= from, "{occurrence:?}");
        assert!(occurrence.summary.len() <= 200);
        if start < end {
            let state = schedule.at(start.max(from)).expect("the schedule answers for its window");
            assert!(state.class >= occurrence.class, "{occurrence:?} but {state:?}");
        }
    }
    assert!(occurrences.is_sorted_by_key(|occurrence| span(occurrence).0));

    // Beyond the cached window everything is worked out anew, to the same.
    if report.skipped.is_empty() {
        let anew = timeline.occurrences(from, to + SignedDuration::from_secs(1)).filter(holds_in(from, to));
        assert_eq!(occurrences, anew.collect::<Vec<_>>());
    }

    let (trickled, trickled_report) = read(Trickle(bytes), from, to);
    assert_eq!(report, trickled_report);
    assert_eq!(occurrences, trickled.occurrences(from, to).collect::<Vec<_>>());

    timeline.set_zone(TimeZone::UTC);
    timeline.remove(Path::new("a.ics"));
    assert_eq!(timeline.events(), 0);
    assert_eq!(timeline.occurrences(from, to).count(), 0);
}

/// What a window holds does not depend on where it begins: a rule that is started near it gives what walking there from the
/// event's start gives. The input is how many days the window begins after 2000, how many it is long, and the properties of
/// the event, each on lines of their own.
pub(crate) fn rule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(&bytes[..bytes.len().min(MAX_INPUT)]) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut number = |most: u32| lines.next()?.trim().parse::<u32>().ok().map(|number| number % most);
    let (Some(skipped), Some(days)) = (number(20_000), number(400)) else { return };
    let Some(properties) = lines.next() else { return };
    let file = format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{properties}\nEND:VEVENT\nEND:VCALENDAR\n");
    let origin = at("2000-01-01T00:00:00Z");
    let from = origin + SignedDuration::from_hours(24 * i64::from(skipped));
    let to = from + SignedDuration::from_hours(24 * i64::from(days));
    let (near, report) = read(file.as_bytes(), from, to);
    let (far, far_report) = read(file.as_bytes(), origin, to);
    // A guard that stepped in is named, and then one window may hold more than the other.
    if report.skipped.is_empty() && far_report.skipped.is_empty() {
        let walked: Vec<_> = far.occurrences(origin, to).filter(holds_in(from, to)).collect();
        assert_eq!(near.occurrences(from, to).collect::<Vec<_>>(), walked);
    }
}

/// Whether an occurrence overlaps `[from, to)`.
fn holds_in(from: Timestamp, to: Timestamp) -> impl Fn(&Occurrence) -> bool {
    move |occurrence| {
        let (start, end) = span(occurrence);
        start < to && (end > from || (end == start && start >= from))
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn read(bytes: impl Read, from: Timestamp, to: Timestamp) -> (Timeline, FileReport) {
    let mut timeline = Timeline::new(vec!["me@contoso.com".to_owned()], berlin(), from, to);
    let report = timeline.update(SOURCE, Path::new("a.ics"), bytes).expect("reading from memory does not fail");
    (timeline, report)
}

/// The system's zone, which changes its clocks within the window of [`file`].
fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("the system has time zones")
}

fn span(occurrence: &Occurrence) -> (Timestamp, Timestamp) {
    match &occurrence.when {
        OccurrenceTime::Time { start, end } => (start.timestamp(), end.timestamp()),
        OccurrenceTime::Days { start, end } => {
            // Beyond the years that an instant can tell it is the last or the first that it can.
            let clamped = |year| if year > 0 { Timestamp::MAX } else { Timestamp::MIN };
            let midnight = |date: Date| berlin().to_timestamp(date.at(0, 0, 0, 0)).unwrap_or(clamped(date.year()));
            (midnight(*start), midnight(*end))
        }
    }
}

/// Gives a few bytes at a time, so that everything is cut somewhere.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(5).min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}
