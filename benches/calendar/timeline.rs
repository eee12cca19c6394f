//! Reads a file or a folder into a timeline, for `benches/calendar.sh`, which measures the process. For a folder it also measures
//! the time from one changed file to a new schedule.

#![expect(clippy::disallowed_types, reason = "measures how long work takes, during which nothing is suspended")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::calendar::{SourceId, Timeline};

fn main() {
    let path = PathBuf::from(std::env::args().nth(1).expect("a file or a folder"));
    let at = |text: &str| text.parse::<Timestamp>().expect("a timestamp");
    let (from, to) = (at("2026-03-02T00:00:00Z"), at("2026-03-04T12:00:00Z"));
    let berlin = TimeZone::get("Europe/Berlin").expect("the system has time zones");
    let mut timeline = Timeline::new(Vec::new(), berlin, from, to);
    let files: Vec<PathBuf> = if path.is_dir() {
        std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    } else {
        vec![path]
    };
    let skipped: usize = files.iter().map(|file| read(&mut timeline, file)).sum();
    assert!(timeline.schedule().at(from).is_some(), "the schedule answers for its window");
    let mut changes = Vec::new();
    for file in files.iter().take(if files.len() > 1 { 100 } else { 0 }) {
        let began = Instant::now();
        read(&mut timeline, file);
        assert!(timeline.schedule().at(from).is_some(), "the schedule answers for its window");
        changes.push(began.elapsed());
    }
    let slowest = changes.iter().max().map_or(0, std::time::Duration::as_micros);
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux describes each process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak of resident memory");
    let peak = peak.trim().trim_end_matches(" kB");
    writeln!(std::io::stdout(), "{} {peak} {skipped} {slowest}", timeline.events()).expect("a reader");
}

/// Reads a file. Returns how many parts of it were skipped.
fn read(timeline: &mut Timeline, path: &Path) -> usize {
    let file = std::fs::File::open(path).expect("a file that can be opened");
    let report = timeline.update(SourceId(0), path, file).expect("a file that can be read");
    report.skipped.len() + report.skipped_more
}
