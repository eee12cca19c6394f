//! `presenced agenda` on calendars that are not whole.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::agenda::{DAY, Home, STAND_UP, columns};

/// Files that are not whole calendars, and why.
fn not_whole(home: &Home) -> [(PathBuf, &'static str); 4] {
    let whole = fs::read(home.calendar("whole.ics", &[STAND_UP])).unwrap();
    fs::remove_file(home.path("whole.ics")).unwrap();
    let page = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n";
    [
        (
            home.write("broken/cut.ics", &whole[..whole.len() - 15]),
            "it is not complete: it ends before its END:VCALENDAR",
        ),
        (home.write("broken/empty.ics", ""), "it is empty"),
        (
            home.write("broken/noise.ics", (0..=255).cycle().take(5000).collect::<Vec<u8>>()),
            "it is not a calendar file: it has no BEGIN:VCALENDAR",
        ),
        (home.write("broken/page.ics", page), "it is not a calendar file: it has no BEGIN:VCALENDAR"),
    ]
}

#[test]
fn a_named_file_that_is_not_whole_comes_first_and_leaves_the_calendar_unknown() {
    let home = Home::new();
    home.calendar("a.ics", &[STAND_UP, "UID:broken\nDTSTART:yesterday"]);
    for (file, reason) in not_whole(&home) {
        let named = ["--calendar", "a.ics", "--calendar", file.to_str().unwrap(), "--from", DAY.0, "--to", DAY.1];
        let ended = home.agenda(&[&["--json"][..], &named].concat());
        let error = format!("error: the calendar {} cannot be used: {reason}\nhint: ", file.display());
        assert!(ended.code == Some(1) && ended.err.starts_with(&error), "{}", ended.err);
        let shown = ended.json();
        assert_eq!(columns(&shown["occurrences"], &["uid"]), ["stand-up"]);
        assert_eq!(
            columns(&shown["presence"], &["presence", "because"]),
            ["nothing no rule matches while calendar is unknown"]
        );
        let skipped = shown["skipped"].as_array().unwrap();
        assert_eq!((skipped.len(), skipped[0]["file"].as_str()), (2, file.to_str()), "{shown}");
        assert_eq!(skipped[0]["reason"], format!("the calendar cannot be used: {reason}"));
        assert!(skipped[0]["line"].is_number());

        let ended = home.agenda(&named);
        assert!(ended.code == Some(1) && ended.out.starts_with("Not used\n  /"), "{}", ended.out);
        let text = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&format!("cannot be used: {reason}")) && !text.contains("Available"), "{text}");
        assert!(text.contains("the daemon treats the calendar as unknown"), "{text}");
    }
}

#[test]
fn a_file_in_a_folder_that_is_not_whole_comes_first_and_is_left_out() {
    let home = Home::new();
    home.calendar("broken/good.ics", &[STAND_UP, "UID:broken\nDTSTART:yesterday"]);
    let files = not_whole(&home);
    let named = ["--calendar", "broken", "--from", DAY.0, "--to", DAY.1];
    let ended = home.agenda(&[&["--json"][..], &named].concat());
    let error = format!("error: the calendar {} cannot be used: ", files[0].0.display());
    assert!(ended.code == Some(1) && ended.err.starts_with(&error), "{}", ended.err);
    let shown = ended.json();
    assert_eq!(columns(&shown["occurrences"], &["uid"]), ["stand-up"]);
    let presence = ["Available/Available", "Busy/InAConferenceCall", "Available/Available"];
    assert_eq!(columns(&shown["presence"], &["presence"]), presence);
    let listed: Vec<_> =
        shown["skipped"].as_array().unwrap().iter().map(|part| part["file"].as_str().unwrap()).collect();
    let expected: Vec<_> = files.iter().map(|(file, _)| file.clone()).chain([home.path("broken/good.ics")]).collect();
    assert_eq!(listed.iter().map(Path::new).collect::<Vec<_>>(), expected);
    let ended = home.agenda(&named);
    assert!(
        ended.code == Some(1) && ended.out.starts_with("Not used\n") && ended.out.contains("Stand-up"),
        "{}",
        ended.out
    );
}

#[test]
fn a_configured_source_that_is_optional_is_listed_and_is_no_failure() {
    let home = Home::new();
    home.calendar("a.ics", &[STAND_UP]);
    for (file, _) in not_whole(&home) {
        for (optional, code, presence) in [(true, 0, "Available/Available"), (false, 1, "nothing")] {
            let path = file.display();
            home.config(&format!(
                "[signals.calendar]\nsources = [{{ path = \"~/a.ics\" }}, {{ path = \"{path}\", optional = {optional} }}, \
                 {{ path = \"~/none\", optional = {optional} }}]\n"
            ));
            let ended = home.agenda(&["--json", "--from", DAY.0, "--to", DAY.1]);
            assert_eq!((ended.code, ended.err.is_empty()), (Some(code), optional), "{}", ended.err);
            let shown = ended.json();
            assert_eq!(columns(&shown["occurrences"], &["uid"]), ["stand-up"]);
            assert_eq!(shown["presence"][0]["presence"], presence);
            assert_eq!(shown["skipped"].as_array().unwrap().len(), 2, "{shown}");
        }
    }
}
