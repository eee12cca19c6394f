//! What must hold for every calendar file, even an invalid one. The fuzz targets try to break it with random input; the normal
//! tests replay the corpus.

#![allow(dead_code, reason = "each fuzz target uses only one of the checks")]

use std::io::{self, Read};
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use presenced_core::calendar::{FileReport, Occurrence, OccurrenceTime, SourceId, Timeline};

const SOURCE: SourceId = SourceId(0);

/// Longer input finds nothing new, and makes each run slower.
const MAX_INPUT: usize = 16 * 1024;

/// A file that is not whole has no events. Most random input is not whole, so it is also put into a VCALENDAR.
pub(crate) fn file(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MAX_INPUT)];
    whole_or_not(bytes);
    whole_or_not(&[b"BEGIN:VCALENDAR\n", bytes, b"\nEND:VCALENDAR\n"].concat());
}

/// A file gives the same result when it is read whole and a few bytes at a time. Its schedule and its occurrences agree. When it is
/// removed, nothing of it remains.
fn whole_or_not(bytes: &[u8]) {
    let (from, to) = (at("2026-03-01T00:00:00Z"), at("2026-04-15T00:00:00Z"));
    let (mut timeline, report) = read(bytes, from, to);
    assert_eq!(report.events, timeline.events());
    assert!(report.unusable.is_none() || report.events == 0);
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

    // Beyond the cached window everything is calculated again, with the same result.
    if report.skipped.is_empty() {
        let again = timeline.occurrences(from, to + SignedDuration::from_secs(1)).filter(holds_in(from, to));
        assert_eq!(occurrences, again.collect::<Vec<_>>());
    }

    let (trickled, trickled_report) = read(Trickle(bytes), from, to);
    assert_eq!(report, trickled_report);
    assert_eq!(occurrences, trickled.occurrences(from, to).collect::<Vec<_>>());

    timeline.set_zone(TimeZone::UTC);
    timeline.remove(Path::new("a.ics"));
    assert_eq!(timeline.events(), 0);
    assert_eq!(timeline.occurrences(from, to).count(), 0);
}

/// The occurrences in a window do not depend on where the calculation starts: starting a rule near the window gives the same as
/// starting it long before. The input has three parts, each on its own line or lines: on which day after the start of 2000 the
/// window begins, its length in days, and the properties of the event.
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
    // If a guard stopped the expansion, the report names it, and one window may hold more than the other.
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
            // A date beyond the range of a timestamp becomes the last or the first timestamp.
            let clamped = |year| if year > 0 { Timestamp::MAX } else { Timestamp::MIN };
            let midnight = |date: Date| berlin().to_timestamp(date.at(0, 0, 0, 0)).unwrap_or(clamped(date.year()));
            (midnight(*start), midnight(*end))
        }
    }
}

/// Gives a few bytes at a time, so that everything is split somewhere.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(5).min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}
