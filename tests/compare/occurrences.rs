//! Prints the occurrences in each file of a folder as JSON, by the name of the file and in the format of `presenced agenda --json`,
//! for `agree.py`.

use std::io::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::calendar::{Occurrence, OccurrenceTime, SourceId, Timeline};
use serde_json::{Value, json};

/// The user, as in `busy.py`.
const ME: &str = "me@contoso.com";

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
    let mut answers = serde_json::Map::new();
    for entry in std::fs::read_dir(calendar).expect("--calendar is a folder") {
        let path = entry.expect("a folder that can be listed").path();
        let file = std::fs::File::open(&path).expect("a file that can be opened");
        let mut timeline = Timeline::new(vec![ME.to_owned()], zone.clone(), from, to);
        let report = timeline.update(SourceId(0), &path, file).expect("a file that can be read");
        let skipped = report.unusable.into_iter().chain(report.skipped);
        let parts = skipped.map(|part| json!({"line": part.line, "reason": part.reason}));
        let zones = report.unknown_zones.into_iter().map(|zone| json!({"reason": format!("{zone} is unknown")}));
        let skipped: Vec<Value> = parts.chain(zones).collect();
        let occurrences: Vec<Value> = timeline.occurrences(from, to).map(shown).collect();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        answers.insert(name, json!({"occurrences": occurrences, "skipped": skipped}));
    }
    writeln!(std::io::stdout(), "{}", Value::Object(answers)).expect("a reader");
}

fn shown(occurrence: Occurrence) -> Value {
    let (start, end, all_day) = match occurrence.when {
        OccurrenceTime::Time { start, end } => (start.timestamp().to_string(), end.timestamp().to_string(), false),
        OccurrenceTime::Days { start, end } => (start.to_string(), end.to_string(), true),
    };
    let class = occurrence.class.to_string();
    json!({"uid": occurrence.uid, "start": start, "end": end, "all_day": all_day, "class": class})
}
