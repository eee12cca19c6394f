//! `presenced check` as a person and as a program call it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

fn check(file: &Path, arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("presenced")
        .expect("the binary is built")
        .arg("check")
        .arg("--config")
        .arg(file)
        .args(arguments)
        .env_clear()
        .env("HOME", "/home/me")
        .env("XDG_RUNTIME_DIR", "/run/user/1000")
        .output()
        .expect("it runs")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("output is UTF-8")
}

#[test]
fn a_good_configuration_is_summed_up() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/desktop.toml");
    let output = check(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let shown = text(output.stdout).replace(&file.display().to_string(), "desktop.toml");
    insta::assert_snapshot!(shown);
}

#[test]
fn rules_are_summed_up_one_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let rules = r#"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
[[rules]]
name = "in a call at work"
when = { call = ["in-call", "conference", "presenting"], lock = ["unlocked", "off"], within = "Mon..Fri 08:00-18:00" }
set = "Busy/InACall"
expiration = "30m"
[[rules]]
name = "door"
when = { signal = { door = "open" }, online = false, outside = ["Sat", "Sun"] }
set = "nothing"
[[rules]]
name = "else"
set = "Away/Away"
"#;
    fs::write(&file, format!("{}{rules}", super::ACCOUNT)).unwrap();
    let output = check(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    insta::assert_snapshot!(text(output.stdout).replace(&file.display().to_string(), "config.toml"));
}

#[test]
fn a_wrong_configuration_is_reported_on_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    fs::write(&file, format!("{}[session]\nexpiration = \"4m\"\n", super::ACCOUNT)).unwrap();
    let output = check(&file, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let report = text(output.stderr);
    assert!(report.starts_with(&format!("error: a problem in {}\n", file.display())), "{report}");
    assert!(report.contains("`4m` is shorter than the 5 minutes"), "{report}");
    assert!(report.contains("6 │ expiration = \"4m\""), "{report}");
    assert!(!report.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn programs_get_json_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let read = |expected_code: i32| -> Value {
        let output = check(&file, &["--json"]);
        assert_eq!(output.status.code(), Some(expected_code));
        assert!(output.stderr.is_empty());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let path = file.display().to_string();
    let missing = read(2);
    assert_eq!(missing["problems"][0]["line"], Value::Null);
    assert_eq!(missing["problems"][0]["message"], "the file does not exist");

    fs::write(&file, super::ACCOUNT).unwrap();
    assert_eq!(read(0), json!({ "version": 1, "valid": true, "file": path, "problems": [], "notes": [] }));

    fs::write(&file, format!("{}[session]\nexpiration = 15\n", super::ACCOUNT)).unwrap();
    let problem = json!({
        "line": 6, "column": 14, "message": "`15` needs a unit",
        "help": "write 5 minutes to 4 hours, like \"15m\", \"1h 30m\" or \"PT15M\"",
    });
    assert_eq!(read(2), json!({ "version": 1, "valid": false, "file": path, "problems": [problem], "notes": [] }));
}

#[test]
fn a_cloud_without_presence_is_noted_and_valid() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    fs::write(&file, format!("{}cloud = \"china\"\n", super::ACCOUNT)).unwrap();
    let output = check(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let shown = text(output.stdout);
    let notes: Vec<_> = shown.lines().filter(|line| line.starts_with("note: ")).collect();
    let note =
        "[accounts.work]: Microsoft Graph has no presence in the cloud `china`, so presenced cannot hold one there";
    assert_eq!(notes, [format!("note: {note}")], "{shown}");
    let json: Value = serde_json::from_slice(&check(&file, &["--json"]).stdout).unwrap();
    assert_eq!((&json["valid"], &json["notes"]), (&json!(true), &json!([{ "text": note }])));

    fs::write(&file, super::ACCOUNT).unwrap();
    assert!(!text(check(&file, &[]).stdout).contains("note:"));
}

#[test]
fn of_a_subscription_only_the_host_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let sources = "[signals.calendar]\nsources = [{ path = \"~/cal\", optional = true }, { url = \"webcal://me:hunter2@cal.example/hunter2\" }]\n";
    fs::write(&file, format!("{}{sources}", super::ACCOUNT)).unwrap();
    let output = check(&file, &[]);
    let shown = text(output.stdout);
    assert!(shown.contains("calendar  /home/me/cal (optional), subscription at cal.example\n"), "{shown}");
    assert!(!shown.contains("hunter2"));
}

#[test]
fn the_schema_is_printed_without_a_configuration() {
    let nowhere = Path::new("/nonexistent/config.toml");
    let output = check(nowhere, &["--schema"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, presenced::config::schema());
    assert!(output.stdout.ends_with(b"}\n"));
    let both = check(nowhere, &["--schema", "--json"]);
    assert_eq!((both.status.code(), both.stdout.len()), (Some(2), 0));
}

#[cfg(not(feature = "pulse"))]
#[test]
fn a_build_without_the_microphone_refuses_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    fs::write(&file, format!("{}[signals.microphone]\n", super::ACCOUNT)).unwrap();
    let output = check(&file, &[]);
    assert_eq!(output.status.code(), Some(2));
    let report = text(output.stderr);
    assert!(report.contains("[signals.microphone] is on, but this presenced was built without it"), "{report}");
    assert!(report.contains("5 │ [signals.microphone]"), "{report}");
    assert!(report.contains("build it with `--features pulse`, or remove the table"), "{report}");

    fs::write(&file, format!("{}[signals.microphone]\nenabled = false\n", super::ACCOUNT)).unwrap();
    assert_eq!(check(&file, &[]).status.code(), Some(0), "one that is off needs nothing");
}
