//! `presenced agenda` as a person and as a program call it, on real files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A home, with calendar files and perhaps a configuration in it.
pub(crate) struct Home {
    folder: TempDir,
}

/// How a run ended, and what it printed.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The real path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn calendar(&self, name: &str, events: &[&str]) -> PathBuf {
        let events: Vec<_> = events.iter().map(|event| format!("BEGIN:VEVENT\n{event}\nEND:VEVENT\n")).collect();
        let file = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{}END:VCALENDAR\n", events.concat());
        self.write(name, file.replace('\n', "\r\n"))
    }

    /// The default configuration: an account, and this.
    pub(crate) fn config(&self, more: &str) -> PathBuf {
        let account = "[accounts.work]\ntenant = \"contoso.onmicrosoft.com\"\n\
                       client_id = \"22553876-f5ab-4529-bffb-cfe50aa89f87\"\nauth = { method = \"device-code\" }\n";
        self.write(".config/presenced/config.toml", format!("{account}{more}"))
    }

    /// Runs `presenced agenda` in it, on a system in Berlin.
    pub(crate) fn agenda(&self, args: &[&str]) -> Ended {
        let output = Command::cargo_bin("presenced")
            .unwrap()
            .arg("agenda")
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.path(""))
            .env("TZ", "Europe/Berlin")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The object it prints for these calendars in this window.
    #[track_caller]
    fn json(&self, calendars: &[&str], from: &str, to: &str) -> Value {
        let named = calendars.iter().flat_map(|path| ["--calendar", path]);
        let args: Vec<&str> = ["--json", "--from", from, "--to", to].into_iter().chain(named).collect();
        let ended = self.agenda(&args);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
        ended.json()
    }
}

/// Some columns of the rows of a list.
pub(crate) fn columns(rows: &Value, names: &[&str]) -> Vec<String> {
    let row =
        |row: &Value| names.iter().map(|name| row[name].to_string().replace('"', "")).collect::<Vec<_>>().join(" ");
    rows.as_array().unwrap().iter().map(row).collect()
}

pub(crate) const DAY: (&str, &str) = ("2025-11-24", "2025-11-25");

pub(crate) const STAND_UP: &str = "UID:stand-up\nSUMMARY:Stand-up\nDTSTART:20251124T080000Z\nDTEND:20251124T083000Z\n\
                        CONFERENCE:https://meet.google.com/abc";

#[test]
fn the_object_has_exactly_the_documented_shape() {
    let home = Home::new();
    let file = home.calendar(
        "work.ics",
        &[
            STAND_UP,
            "UID:fair\nSUMMARY:Fair\\, day 2\nDTSTART;VALUE=DATE:20251123\nDTEND;VALUE=DATE:20251125",
            "UID:broken\nDTSTART:yesterday",
        ],
    );
    let shown = home.json(&["work.ics"], "2025-11-24T09:00", "2025-11-24T10:00");
    let reason = shown["skipped"][0]["reason"].as_str().unwrap().to_owned();
    assert!(!reason.is_empty());
    assert_eq!(
        shown,
        json!({
            "occurrences": [
                {"uid": "fair", "start": "2025-11-23", "end": "2025-11-25", "all_day": true, "class": "free",
                 "online": false, "summary": "Fair, day 2"},
                {"uid": "stand-up", "start": "2025-11-24T08:00:00+00:00", "end": "2025-11-24T08:30:00+00:00",
                 "all_day": false, "class": "busy", "online": true, "summary": "Stand-up"},
            ],
            "presence": [
                {"from": "2025-11-24T09:00:00+01:00", "to": "2025-11-24T09:30:00+01:00",
                 "presence": "Busy/InAConferenceCall", "rule": "meeting", "because": "calendar is busy"},
                {"from": "2025-11-24T09:30:00+01:00", "to": "2025-11-24T10:00:00+01:00",
                 "presence": "Available/Available", "rule": "at the desk", "because": "call is off and lock is off and calendar is free"},
            ],
            "skipped": [{"file": file, "line": 17, "reason": reason}],
        })
    );
}

#[test]
fn the_window_includes_its_start_but_not_its_end() {
    let home = Home::new();
    let at = |uid: &str, start: &str, end: &str| format!("UID:{uid}\nDTSTART:20251124T{start}Z\nDTEND:20251124T{end}Z");
    let events = [
        at("before", "070000", "080000"),
        at("into", "073000", "080001"),
        at("point-at-start", "080000", "080000"),
        at("point-within", "083000", "083000"),
        at("out-of", "085959", "093000"),
        at("point-at-end", "090000", "090000"),
        at("after", "090000", "100000"),
        "UID:days\nDTSTART;VALUE=DATE:20251124".to_owned(),
        "UID:cancelled\nSTATUS:CANCELLED\nDTSTART:20251124T080000Z\nDTEND:20251124T090000Z".to_owned(),
    ];
    home.calendar("a.ics", &events.each_ref().map(String::as_str));
    let shown = home.json(&["a.ics"], "2025-11-24T08:00:00Z", "2025-11-24T09:00:00Z");
    let uids = columns(&shown["occurrences"], &["uid"]);
    assert_eq!(uids, ["days", "into", "point-at-start", "point-within", "out-of"]);
    assert_eq!(shown["skipped"], json!([]));
}

#[test]
fn each_occurrence_of_a_recurring_event_has_its_own_time_across_a_clock_change() {
    let home = Home::new();
    let daily = "UID:daily\nDTSTART;TZID=America/New_York:20251030T090000\nDTEND;TZID=America/New_York:20251030T100000\n\
                 RRULE:FREQ=DAILY\nEXDATE;TZID=America/New_York:20251101T090000";
    home.calendar("a.ics", &[daily]);
    let shown = home.json(&["a.ics"], "2025-10-31", "2025-11-04");
    assert_eq!(
        columns(&shown["occurrences"], &["start", "end"]),
        [
            "2025-10-31T09:00:00-04:00 2025-10-31T10:00:00-04:00",
            "2025-11-02T09:00:00-05:00 2025-11-02T10:00:00-05:00",
            "2025-11-03T09:00:00-05:00 2025-11-03T10:00:00-05:00",
        ]
    );
}

#[test]
fn the_time_zone_applies_to_floating_times_days_and_the_window() {
    let home = Home::new();
    home.calendar(
        "a.ics",
        &[
            "UID:floating\nDTSTART:20251124T090000\nDURATION:PT1H",
            "UID:day\nDTSTART;VALUE=DATE:20251124\nTRANSP:OPAQUE",
        ],
    );
    let shown = |zone: &str| {
        let ended = home.agenda(&["--json", "--calendar", "a.ics", "--from", DAY.0, "--timezone", zone]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let shown = ended.json();
        (
            columns(&shown["occurrences"], &["start", "all_day"]),
            columns(&shown["presence"], &["from", "to", "presence"]),
        )
    };
    let expected = |offset: &str| {
        (
            vec!["2025-11-24 true".to_owned(), format!("2025-11-24T09:00:00{offset} false")],
            vec![format!("2025-11-24T00:00:00{offset} 2025-11-25T00:00:00{offset} Busy/InAConferenceCall")],
        )
    };
    assert_eq!(shown("Asia/Tokyo"), expected("+09:00"));
    assert_eq!(shown("UTC"), expected("+00:00"));
}

#[test]
fn days_with_a_clock_change_are_complete() {
    let home = Home::new();
    home.calendar("a.ics", &["UID:day\nDTSTART;VALUE=DATE:20250330\nTRANSP:OPAQUE\nRRULE:FREQ=DAILY;COUNT=300"]);
    for (day, presence) in [
        ("2025-03-30", "2025-03-30T00:00:00+01:00 2025-03-31T00:00:00+02:00"),
        ("2025-10-26", "2025-10-26T00:00:00+02:00 2025-10-27T00:00:00+01:00"),
    ] {
        let ended = home.agenda(&["--json", "--calendar", "a.ics", "--from", day]);
        let shown = ended.json();
        assert_eq!(columns(&shown["occurrences"], &["start"]), [day]);
        assert_eq!(columns(&shown["presence"], &["from", "to"]), [presence]);
    }
}

#[test]
fn the_default_window_is_today() {
    let home = Home::new();
    home.calendar("a.ics", &["UID:a\nDTSTART:20200101T000000Z\nDTEND:20200101T010000Z\nRRULE:FREQ=DAILY"]);
    let shown = home.agenda(&["--json", "--calendar", "a.ics"]).json();
    let presence = shown["presence"].as_array().unwrap();
    let day = |text: &Value| text.as_str().unwrap().split_once('T').map(|(_, time)| time[..8].to_owned());
    assert_eq!(day(&presence[0]["from"]).as_deref(), Some("00:00:00"));
    assert_eq!(day(&presence[presence.len() - 1]["to"]).as_deref(), Some("00:00:00"));
    assert_eq!(shown["occurrences"].as_array().unwrap().len(), 1);
}

#[test]
fn folders_are_searched_and_calendars_are_merged() {
    let home = Home::new();
    home.calendar("folder/deep/a.ics", &[&STAND_UP.replace("stand-up", "a")]);
    home.calendar("folder/b.ICS", &[&STAND_UP.replace("stand-up", "b")]);
    home.calendar("folder/.hidden.ics", &[&STAND_UP.replace("stand-up", "hidden")]);
    home.calendar("folder/notes.txt", &[&STAND_UP.replace("stand-up", "notes")]);
    home.calendar("c.calendar", &[&STAND_UP.replace("stand-up", "c")]);
    fs::create_dir(home.path("empty")).unwrap();
    let shown = home.json(&["folder", "c.calendar", "empty", "folder/b.ICS"], DAY.0, DAY.1);
    assert_eq!(columns(&shown["occurrences"], &["uid"]), ["a", "b", "c"]);
    assert_eq!(shown["skipped"], json!([]));
}

#[test]
fn a_calendar_that_cannot_be_read_fails_and_the_others_are_shown() {
    let home = Home::new();
    home.calendar("a.ics", &[STAND_UP]);
    let window = ["--from", DAY.0, "--to", DAY.1, "--calendar", "gone.ics", "--calendar", "a.ics"];
    let ended = home.agenda(&[&["--json"][..], &window].concat());
    assert_eq!(ended.code, Some(1));
    let gone = home.path("gone.ics");
    let error =
        format!("error: the calendar {} cannot be read at all\nhint: name a readable .ics file", gone.display());
    assert!(ended.err.starts_with(&error), "{}", ended.err);
    let shown = ended.json();
    assert_eq!(columns(&shown["occurrences"], &["uid"]), ["stand-up"]);
    assert_eq!(shown["skipped"], json!([{"file": gone, "line": null, "reason": "the calendar does not exist"}]));
    let ended = home.agenda(&window);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("Stand-up") && ended.out.contains("gone.ics: the calendar does not"), "{}", ended.out);
}

#[test]
fn an_unknown_time_zone_is_named() {
    let home = Home::new();
    let file = home.calendar("a.ics", &["UID:a\nDTSTART;TZID=Atlantis:20251124T090000\nDURATION:PT1H"]);
    let shown = home.json(&["a.ics"], DAY.0, DAY.1);
    assert_eq!(columns(&shown["occurrences"], &["start"]), ["2025-11-24T09:00:00+01:00"]);
    let reason = "the time zone `Atlantis` is unknown, so the system's is used";
    assert_eq!(shown["skipped"], json!([{"file": file, "line": null, "reason": reason}]));
}

const INVITED: &str = "UID:invited\nSUMMARY:Invited\nDTSTART:20251124T080000Z\nDTEND:20251124T090000Z\n\
                       ORGANIZER:mailto:boss@contoso.com\nATTENDEE;PARTSTAT=TENTATIVE:mailto:me@contoso.com";

#[test]
fn the_configured_calendars_identity_and_rules_apply() {
    let home = Home::new();
    home.calendar("calendars/work/a.ics", &[INVITED]);
    home.config(
        "[signals.calendar]\nsources = [{ path = \"~/calendars/work\" }]\nidentity = [\"me@contoso.com\"]\n\
         [signals.lock]\n\
         [[rules]]\nname = \"perhaps\"\nwhen = { calendar = \"tentative\", lock = \"unlocked\" }\nset = \"Away/Away\"\n\
         [[rules]]\nname = \"evening\"\nwhen = { outside = \"08:00-18:00\" }\nset = \"nothing\"\n",
    );
    let by_configuration = home.json(&[], DAY.0, DAY.1);
    assert_eq!(columns(&by_configuration["occurrences"], &["uid", "class"]), ["invited tentative"]);
    assert_eq!(
        columns(&by_configuration["presence"], &["from", "presence", "rule"]),
        [
            "2025-11-24T00:00:00+01:00 nothing evening",
            "2025-11-24T08:00:00+01:00 nothing null",
            "2025-11-24T09:00:00+01:00 Away/Away perhaps",
            "2025-11-24T10:00:00+01:00 nothing null",
            "2025-11-24T18:00:00+01:00 nothing evening",
        ]
    );
    // Its identity and rules also apply to other calendars.
    home.calendar("other.ics", &[INVITED]);
    let named = home.json(&["other.ics"], DAY.0, DAY.1);
    assert_eq!(named["presence"], by_configuration["presence"]);
}

#[test]
fn a_configuration_is_needed_only_without_a_named_calendar() {
    let home = Home::new();
    home.calendar("a.ics", &[STAND_UP]);
    let ended = home.agenda(&[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.starts_with("error: there is no calendar to read, and no configuration at /"), "{}", ended.err);
    assert!(ended.err.ends_with("hint: name one: `presenced agenda --calendar work.ics`\n"), "{}", ended.err);

    home.config("");
    let ended = home.agenda(&[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("enables no calendar\nhint: add [signals.calendar]"), "{}", ended.err);

    // An invalid configuration is an error only if the command names it.
    let file = home.config("[sesion]\n");
    let ended = home.agenda(&[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("sesion"), "{}", ended.err);
    let ended = home.agenda(&["--json", "--calendar", "a.ics", "--from", DAY.0]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.starts_with("warning: the configuration /") && ended.err.lines().count() == 1, "{}", ended.err);
    assert_eq!(columns(&ended.json()["occurrences"], &["uid"]), ["stand-up"]);
    let other = home.write("other.toml", fs::read(file).unwrap());
    for config in [other.to_str().unwrap(), "/nonexistent/config.toml"] {
        let ended = home.agenda(&["--calendar", "a.ics", "--config", config]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{config}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let home = Home::new();
    for (args, said) in [
        (&["--from", "tomorrow"][..], "write a date (2026-11-24)"),
        (&["--to", "2026-02-30"], "write a date (2026-11-24)"),
        (&["--timezone", "Europe/Berln"], "did you mean `Europe/Berlin`?"),
        (&["--timezone", "Mars"], "there is no such time zone"),
        (&["--calendar", ""], "a value is required for '--calendar <PATH>'"),
        (&["--from", "2025-11-24", "--to", "2025-11-24"], "would end (2025-11-24 00:00:00) before it begins"),
        (&["--from", "2025-11-25", "--to", "2025-11-24"], "hint: give a `--to` that is later than `--from`"),
    ] {
        let ended = home.agenda(args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(ended.err.starts_with("error: ") && ended.err.contains(said), "{args:?}: {}", ended.err);
    }
}

#[test]
fn people_see_a_day_at_a_glance() {
    let home = Home::new();
    home.calendar(
        "work.ics",
        &[
            STAND_UP,
            "UID:fair\nSUMMARY:Fair\nDTSTART;VALUE=DATE:20251123\nDTEND;VALUE=DATE:20251125",
            "UID:planning\nSUMMARY:Planning\u{1b}[2J\u{9b}31m\nDTSTART:20251124T081500Z\nDTEND:20251124T100000Z",
            "UID:broken\nDTSTART:yesterday",
        ],
    );
    let ended = home.agenda(&["--calendar", "work.ics", "--from", DAY.0, "--to", DAY.1]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.lines().all(|line| line.chars().count() <= 80), "{}", ended.out);
    // How the path of the temporary folder wraps depends on the machine.
    let (day, skipped) = ended.out.split_once("Skipped\n").unwrap();
    assert!(skipped.contains("work.ics:23:"), "{skipped}");
    insta::assert_snapshot!(day);
}

#[test]
fn help_matches_its_snapshot() {
    let ended = Home::new().agenda(&["--help"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.lines().all(|line| line.chars().count() <= 80), "{}", ended.out);
    insta::assert_snapshot!(ended.out);
}
