//! Prints the occurrences in a folder of calendar files as JSON, in the format of `presenced agenda --json`, for `agree.py`.

use std::io::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::calendar::{Occurrence, OccurrenceTime, SourceId, Timeline};
use serde_json::{Value, json};

fn main() {
    let (mut calendar, mut from, mut to) = (PathBuf::new(), Timestamp::MIN, Timestamp::MAX);
    let mut zone = TimeZone::UTC;
    let mut arguments = std::env::args().skip(1);
    while let (Some(option), Some(value)) = (arguments.next(), arguments.next()) {
        match option.as_str() {
            "--calendar" => calendar = value.into(),
            "--from" => from = value.parse().expect("--from is a timestamp"),
            "--to" => to = value.parse().expect("--to is a timestamp"),
            "--timezone" => zone = TimeZone::get(&value).expect("--timezone is known"),
            other => panic!("unknown option {other}"),
        }
    }
    let mut timeline = Timeline::new(Vec::new(), zone, from, to);
    let mut skipped = Vec::new();
    for entry in std::fs::read_dir(calendar).expect("--calendar is a folder") {
        let path = entry.expect("a folder that can be listed").path();
        let file = std::fs::File::open(&path).expect("a file that can be opened");
        let report = timeline.update(SourceId(0), &path, file).expect("a file that can be read");
        skipped.extend(
            report
                .skipped
                .into_iter()
                .map(|skipped| json!({"file": skipped.file, "line": skipped.line, "reason": skipped.reason})),
        );
    }
    let occurrences: Vec<Value> = timeline.occurrences(from, to).map(shown).collect();
    writeln!(std::io::stdout(), "{}", json!({"occurrences": occurrences, "skipped": skipped})).expect("a reader");
}

fn shown(occurrence: Occurrence) -> Value {
    let (start, end, all_day) = match occurrence.when {
        OccurrenceTime::Time { start, end } => (start.timestamp().to_string(), end.timestamp().to_string(), false),
        OccurrenceTime::Days { start, end } => (start.to_string(), end.to_string(), true),
    };
    json!({"uid": occurrence.uid, "start": start, "end": end, "all_day": all_day})
}
