//! The calendars of `calendar/cases`, as real programs write them, through `presenced agenda --json`. Its README says what
//! `expected.json` means.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;

use assert_cmd::Command;
use jiff::Timestamp;
use serde_json::Value;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/calendar/cases");

/// Start, end, class, and whether it is a whole day if that matters. Times are compared as instants.
type Row = (String, String, String, Option<bool>);

fn row(occurrence: &Value) -> Row {
    let text = |key: &str| occurrence[key].as_str().unwrap().to_owned();
    let time = |key: &str| text(key).parse::<Timestamp>().map_or_else(|_| text(key), |at| at.to_string());
    (time("start"), time("end"), text("class"), occurrence["all_day"].as_bool())
}

fn rows(occurrences: &Value, case: &Value) -> Vec<Row> {
    let ignore_free = case["ignore_free"] == true;
    let mut rows: Vec<Row> = occurrences.as_array().unwrap().iter().map(row).collect();
    rows.retain(|row| !(ignore_free && row.2 == "free"));
    rows.sort();
    rows
}

/// Why a case fails; empty if it does not.
fn failure(case: &Value, home: &Path) -> String {
    let text = |key: &str| case[key].as_str().unwrap();
    let mut command = Command::cargo_bin("presenced").unwrap();
    command.env_clear().env("HOME", home);
    if let Some(identity) = case["identity"].as_str() {
        let config = home.join("identity.toml");
        let account = "[accounts.work]\ntenant = \"contoso.onmicrosoft.com\"\n\
                       client_id = \"22553876-f5ab-4529-bffb-cfe50aa89f87\"\nauth = { method = \"device-code\" }\n";
        let calendar =
            format!("[signals.calendar]\nsources = [{{ path = \"/nowhere\" }}]\nidentity = [\"{identity}\"]\n");
        std::fs::write(&config, format!("{account}{calendar}")).unwrap();
        command.arg("--config").arg(config);
    }
    command.args(["agenda", "--json", "--timezone", text("timezone"), "--from", text("from"), "--to", text("to")]);
    let output = command.arg("--calendar").arg(Path::new(CASES).join(text("file"))).output().unwrap();
    let Ok(json) = serde_json::from_slice::<Value>(&output.stdout) else {
        return format!("no JSON: {}", String::from_utf8_lossy(&output.stderr));
    };
    let is_reported = !json["skipped"].as_array().unwrap().is_empty();
    if case["unknown"] == true {
        let presence = json["presence"].as_array().unwrap();
        let is_available = presence.iter().any(|span| span["presence"].as_str().unwrap().starts_with("Available"));
        let is_unknown = !is_available && is_reported && output.status.code() == Some(1);
        return if is_unknown { String::new() } else { format!("known: {json}, {}", output.status) };
    }
    if let Some(expected) = case["reported"].as_bool()
        && expected != is_reported
    {
        return format!("reported: {is_reported}, {}", json["skipped"]);
    }
    let (expected, mut given) = (rows(&case["occurrences"], case), rows(&json["occurrences"], case));
    for (given, expected) in given.iter_mut().zip(&expected) {
        given.3 = given.3.filter(|_| expected.3.is_some());
    }
    if given == expected || (case["or_reported"] == true && is_reported) {
        return String::new();
    }
    format!("\n  expected {expected:?}\n  given    {given:?}\n  skipped {}", json["skipped"])
}

#[test]
fn each_calendar_gives_what_its_writer_means() {
    let expected = std::fs::read_to_string(Path::new(CASES).join("expected.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&expected).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for case in &cases {
        let failure = failure(case, home.path());
        if !failure.is_empty() {
            failures.push(format!("{} ({}): {failure}", case["file"], case["kind"]));
        }
    }
    let mut listed: Vec<String> = cases.iter().map(|case| case["file"].as_str().unwrap().to_owned()).collect();
    let mut files: Vec<String> = std::fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "ics"))
        .collect();
    listed.sort();
    listed.dedup();
    files.sort();
    assert_eq!(listed, files, "each file has an expectation");
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
