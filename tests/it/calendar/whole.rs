//! A file counts only when it is whole (RFC 5545, 3.4), and only if something in it is understood.

use presenced::calendar::BusyClass;

use super::{at, read, timeline};

const GOOD: &str =
    "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:good\nDTSTART:20260105T090000Z\nDURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR\n";

/// Why a file does not count, with its line; empty if it counts. Its last good reading must stay then.
fn fault(file: &str) -> String {
    let mut timeline = timeline("UTC");
    assert_eq!(read(&mut timeline, "a.ics", GOOD).unusable, None);
    let report = read(&mut timeline, "a.ics", file);
    let class = timeline.at(at("2026-01-05T09:30:00Z")).unwrap().class;
    let Some(unusable) = report.unusable else { return String::new() };
    assert_eq!((report.events, timeline.events(), class), (0, 1, BusyClass::Busy), "{file}");
    format!("{}: {}", unusable.line, unusable.reason)
}

#[test]
fn what_is_not_a_calendar_does_not_count() {
    for (file, reason) in [
        ("", "1: it is empty"),
        ("\n\n", "1: it is empty"),
        (
            "<!DOCTYPE html>\n<html><body>Sign in: <a href=\"x\">here</a></body></html>\n",
            "1: it is not a calendar file",
        ),
        ("\0\0\0\0\0\0", "1: it is not a calendar file"),
        ("PK\x03\x04", "1: it is not a calendar file"),
        ("BEGIN:VCARD\nEND:VCARD\n", "1: it is not a calendar file"),
    ] {
        let fault = fault(file);
        assert!(fault.starts_with(reason), "{file:?}: {fault}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_does_not_count() {
    let file = format!("{GOOD}{}", GOOD.replace("good", "more"));
    let file = file.trim_end();
    for length in (0..file.len()).filter(|length| file[..*length].trim_end().len() != GOOD.trim_end().len()) {
        assert_ne!(fault(&file[..length]), "", "{length}: {}", &file[..length]);
    }
    assert_eq!(fault(file), "");
    // The end of a file alone is not whole either.
    assert!(fault(&file["BEGIN:VCALENDAR\n".len()..]).contains("outside of a VCALENDAR on line 1"));
}

#[test]
fn several_objects_and_what_is_around_them_are_fine() {
    for file in [
        GOOD.repeat(3),
        "BEGIN:VCALENDAR\nEND:VCALENDAR\n".to_owned(),
        format!("\u{feff}\r\n{GOOD}\n\n\0\u{1a}"),
        format!("<br />Warning: something\n{GOOD}"),
        GOOD.to_lowercase(),
    ] {
        assert_eq!(fault(&file), "", "{file:?}");
    }
}

#[test]
fn an_object_without_end_before_another_does_not_count() {
    let cut = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260107T090000Z\n";
    assert_eq!(fault(&format!("{cut}{GOOD}")), "1: it is not complete: the VCALENDAR of line 1 has no END:VCALENDAR");
    assert_eq!(fault(&format!("{GOOD}{cut}")), "10: it is not complete: it ends before its END:VCALENDAR");
}

#[test]
fn in_a_whole_object_an_event_without_end_counts_as_far_as_it_goes() {
    let file = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260107T090000Z\nBEGIN:VEVENT\nDTSTART:20260108T090000Z\nEND:VCALENDAR\n";
    let report = read(&mut timeline("UTC"), "a.ics", file);
    let lines: Vec<u32> = report.skipped.iter().map(|skipped| skipped.line).collect();
    assert_eq!((report.unusable, report.events, lines), (None, 2, vec![2, 4]));
}

#[test]
fn a_calendar_of_which_nothing_is_understood_does_not_count() {
    let object = |components: &str| format!("BEGIN:VCALENDAR\n{components}\nEND:VCALENDAR\n");
    let event = "BEGIN:VEVENT\nDTSTART:tomorrow\nEND:VEVENT";
    let task = "BEGIN:VTODO\nUID:t\nBEGIN:VALARM\nEND:VALARM\nEND:VTODO";
    let availability = "BEGIN:VAVAILABILITY\nBEGIN:AVAILABLE\nEND:AVAILABLE\nEND:VAVAILABILITY";
    for components in [event, availability, "BEGIN:VFREEBUSY\nFREEBUSY:today\nEND:VFREEBUSY"] {
        assert!(fault(&object(components)).ends_with("presenced understands no part of it"), "{components}");
        assert_eq!(fault(&object(&format!("{components}\n{task}"))), "", "{components}");
        assert_eq!(fault(&format!("{}{GOOD}", object(components))), "", "{components}");
    }
    let zone = "BEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nEND:STANDARD\nEND:VTIMEZONE";
    for components in [task, zone, "BEGIN:VJOURNAL\nEND:VJOURNAL", "BEGIN:VFREEBUSY\nEND:VFREEBUSY"] {
        assert_eq!(fault(&object(components)), "", "{components}");
    }
}
