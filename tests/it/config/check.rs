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

    fs::write(&file, format!("{}[signals.lock]\n", super::ACCOUNT)).unwrap();
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
    fs::write(&file, format!("{}cloud = \"china\"\n[signals.lock]\n", super::ACCOUNT)).unwrap();
    let output = check(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let shown = text(output.stdout);
    let notes: Vec<_> = shown.lines().filter(|line| line.starts_with("note: ")).collect();
    let note =
        "[accounts.work]: Microsoft Graph has no presence in the cloud `china`, so presenced cannot hold one there";
    assert_eq!(notes, [format!("note: {note}")], "{shown}");
    let json: Value = serde_json::from_slice(&check(&file, &["--json"]).stdout).unwrap();
    assert_eq!((&json["valid"], &json["notes"]), (&json!(true), &json!([{ "text": note }])));

    fs::write(&file, format!("{}[signals.lock]\n", super::ACCOUNT)).unwrap();
    assert!(!text(check(&file, &[]).stdout).contains("note:"));
}

/// The notes about a configuration with `more` after its account. The exit code is 0.
fn notes(more: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("config.toml");
    let more = more.replace("DIR", &dir.path().display().to_string());
    fs::write(&file, format!("{}{more}", super::ACCOUNT)).expect("it is ours");
    let output = check(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let shown = text(output.stdout).replace(&dir.path().display().to_string(), "DIR");
    shown.lines().filter_map(|line| line.strip_prefix("note: ")).map(str::to_owned).collect()
}

#[test]
fn a_configuration_that_watches_nothing_is_noted() {
    let note = "[signals]: nothing is watched, so the presence changes only by hand; add a table, like [signals.lock] or \
                [signals.calendar]";
    assert_eq!(notes(""), [note]);
    assert_eq!(notes("[signals.lock]\nenabled = false\n"), [note]);
    assert_eq!(notes("[signals.lock]\n"), [""; 0]);
    let rule = |when: &str| format!("[[rules]]\nname = \"one\"\nwhen = {{ {when} }}\nset = \"Away/Away\"\n");
    assert_eq!(notes(&rule("within = \"08:00-18:00\"")), [""; 0]);
    assert_eq!(notes(&rule("signal = { door = \"open\" }")), [""; 0]);
    assert_eq!(notes(&rule("lock = \"off\"")), [note]);
}

#[test]
fn paths_that_do_not_exist_are_noted() {
    let calendar = |path: &str| format!("[signals.calendar]\nsources = [{{ path = \"{path}\" }}]\n");
    assert_eq!(
        notes(&calendar("DIR/none.ics")),
        ["[signals.calendar]: DIR/none.ics does not exist, so the calendar is unknown"]
    );
    let optional = "[signals.calendar]\nsources = [{ path = \"DIR/none\", optional = true }, { path = \"DIR\" }]\n";
    assert_eq!(notes(optional), ["[signals.calendar]: DIR/none does not exist, so it has no events"]);
    assert_eq!(notes(&calendar("DIR")), [""; 0]);
    assert_eq!(
        notes("[signals.call]\npath = \"DIR/none/calls\"\n"),
        [
            "[signals.call]: the folder DIR/none does not exist, so no program can report a call; create it: `mkdir -p DIR/none`"
        ]
    );
    assert_eq!(notes("[signals.call]\npath = \"DIR/calls\"\n"), [""; 0]);
    // The daemon makes the folder of its socket.
    assert_eq!(notes("[signals.call]\n"), [""; 0]);
}

#[test]
fn rules_that_are_never_reached_are_noted() {
    let rules = r#"
[signals.lock]
[[rules]]
name = "meeting"
when = { calendar = "busy" }
set = "Busy/InAConferenceCall"
[[rules]]
name = "locked"
when = { lock = "locked" }
set = "Away/Away"
[[rules]]
name = "locked at night"
when = { lock = "locked", within = "22:00-06:00" }
set = "nothing"
[[rules]]
name = "no lock"
when = { sleep = "off" }
set = "Away/Away"
[[rules]]
name = "else"
set = "Available/Available"
[[rules]]
name = "too late"
set = "Away/Away"
"#;
    assert_eq!(
        notes(rules),
        [
            "[[rules]] `meeting`: it is never reached, because it needs `calendar`, which is off; add [signals.calendar], or remove \
             the rule",
            "[[rules]] `locked at night`: it is never reached, because the rule `locked` above it always comes first; move it up, \
             or remove it",
            "[[rules]] `no lock`: it is never reached, because it needs `sleep` to be off, but it is on; remove the rule",
            "[[rules]] `too late`: it is never reached, because the rule `else` above it always comes first; move it up, or remove \
             it",
        ]
    );
}

#[test]
fn the_examples_have_no_note_except_about_paths() {
    for name in ["desktop.toml", "sidecar.toml"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let shown = text(check(&file, &[]).stdout);
        let is_other = |line: &&str| line.starts_with("note:") && !line.contains("does not exist");
        assert_eq!(shown.lines().find(is_other), None, "{name}");
    }
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
