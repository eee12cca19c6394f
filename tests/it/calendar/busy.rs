//! Busy classes and online meetings: which properties of an event decide (RFC 5545, 3.2.12, 3.8.1.11, 3.8.2.7; [MS-OXCICAL]
//! for Microsoft's).

use std::path::Path;

use presenced::calendar::{SourceId, Timeline};

use super::{at, event, zone};

/// The class of a timed hour with these properties, as `me@example.org` sees it; `nothing` when there is no occurrence.
fn class(properties: &str) -> String {
    class_of(&format!("DTSTART:20260105T090000Z\nDURATION:PT1H\n{properties}"))
}

fn class_of(properties: &str) -> String {
    let identity = vec!["me@example.org".to_owned(), "Me@Old.Example.org".to_owned()];
    let mut timeline = Timeline::new(identity, zone("UTC"), at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    timeline.update(SourceId(0), Path::new("a.ics"), event(properties).as_bytes()).unwrap();
    let mut shown = timeline.occurrences(at("2026-01-05T00:00:00Z"), at("2026-01-06T00:00:00Z"));
    let Some(occurrence) = shown.next() else { return "nothing".to_owned() };
    format!("{}{}", occurrence.class, if occurrence.online { " online" } else { "" })
}

#[test]
fn a_timed_event_is_busy_and_a_whole_day_is_free() {
    assert_eq!(class(""), "busy");
    assert_eq!(class("TRANSP:OPAQUE"), "busy");
    assert_eq!(class("TRANSP:TRANSPARENT"), "free");
    assert_eq!(class_of("DTSTART;VALUE=DATE:20260105"), "free");
    assert_eq!(class_of("DTSTART;VALUE=DATE:20260105\nTRANSP:OPAQUE"), "busy");
}

#[test]
fn microsofts_busy_status_wins_over_transparency() {
    for (status, expected) in [
        ("FREE", "free"),
        ("TENTATIVE", "tentative"),
        ("BUSY", "busy"),
        ("OOF", "out-of-office"),
        ("oof", "out-of-office"),
        ("WORKINGELSEWHERE", "working-elsewhere"),
    ] {
        for transparency in ["OPAQUE", "TRANSPARENT"] {
            let given = class(&format!("TRANSP:{transparency}\nX-MICROSOFT-CDO-BUSYSTATUS:{status}"));
            assert_eq!(given, expected, "{status} {transparency}");
        }
        assert_eq!(class(&format!("X-MICROSOFT-CDO-INTENDEDSTATUS:{status}")), expected, "{status}");
        let days = class_of(&format!("DTSTART;VALUE=DATE:20260105\nX-MICROSOFT-CDO-BUSYSTATUS:{status}"));
        assert_eq!(days, expected, "{status}");
    }
    assert_eq!(class("X-MICROSOFT-CDO-BUSYSTATUS:FREE\nX-MICROSOFT-CDO-INTENDEDSTATUS:BUSY"), "free");
    assert_eq!(class("X-MICROSOFT-CDO-BUSYSTATUS:SOMETHING\nTRANSP:TRANSPARENT"), "free");
}

#[test]
fn cancelled_is_nothing_and_tentative_is_tentative() {
    assert_eq!(class("STATUS:CANCELLED"), "nothing");
    assert_eq!(class("STATUS:canceled"), "nothing");
    assert_eq!(class("STATUS:CANCELLED\nX-MICROSOFT-CDO-BUSYSTATUS:BUSY"), "nothing");
    assert_eq!(class("STATUS:TENTATIVE"), "tentative");
    assert_eq!(class("STATUS:CONFIRMED"), "busy");
}

#[test]
fn the_users_own_answer_decides() {
    for (answer, expected) in [
        ("ACCEPTED", "busy"),
        ("DECLINED", "nothing"),
        ("declined", "nothing"),
        ("DELEGATED", "nothing"),
        ("TENTATIVE", "tentative"),
        ("NEEDS-ACTION", "tentative"),
    ] {
        for me in ["mailto:me@example.org", "MAILTO:ME@EXAMPLE.ORG", "mailto:me@old.example.org", "me@example.org"] {
            let properties = format!(
                "ORGANIZER:mailto:boss@example.org\nATTENDEE;PARTSTAT=ACCEPTED:mailto:boss@example.org\nATTENDEE;CN=\"Me: myself\";PARTSTAT={answer}:{me}"
            );
            assert_eq!(class(&properties), expected, "{answer} {me}");
        }
    }
    let by_parameter = "ATTENDEE;EMAIL=me@example.org;PARTSTAT=DECLINED:urn:uuid:7c1b4c5e-0000-4000-8000-000000000000";
    assert_eq!(class(by_parameter), "nothing");
}

#[test]
fn other_peoples_answers_do_not_matter() {
    assert_eq!(class("ATTENDEE;PARTSTAT=DECLINED:mailto:you@example.org"), "busy");
    assert_eq!(class("ATTENDEE;PARTSTAT=DECLINED:mailto:not-me@example.org"), "busy");
}

#[test]
fn an_answer_that_is_not_written_says_nothing() {
    // Google's free/busy export has no organizer, and Outlook leaves PARTSTAT out. 3.2.12 calls NEEDS-ACTION the default.
    let boss = "ORGANIZER:mailto:boss@example.org";
    assert_eq!(class(&format!("ATTENDEE:mailto:me@example.org\n{boss}")), "busy");
    assert_eq!(class(&format!("ATTENDEE;PARTSTAT=:mailto:me@example.org\n{boss}")), "busy");
    assert_eq!(class("ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:me@example.org"), "busy");
    assert_eq!(class(&format!("ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:me@example.org\n{boss}")), "tentative");
}

#[test]
fn organizers_need_not_answer_their_own_meetings() {
    for answer in ["NEEDS-ACTION", "TENTATIVE", "DECLINED"] {
        let own = format!("ATTENDEE;PARTSTAT={answer}:mailto:me@example.org\nORGANIZER:mailto:me%40example.org");
        assert_eq!(class(&own), "busy", "{answer}");
    }
}

#[test]
fn outlooks_own_status_already_has_the_answer() {
    let open = "ORGANIZER:mailto:boss@example.org\nATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:me@example.org";
    for (status, by_status, by_intended) in
        [("OOF", "out-of-office", "tentative"), ("BUSY", "busy", "tentative"), ("FREE", "free", "free")]
    {
        assert_eq!(class(&format!("{open}\nX-MICROSOFT-CDO-BUSYSTATUS:{status}")), by_status);
        assert_eq!(class(&format!("{open}\nX-MICROSOFT-CDO-INTENDEDSTATUS:{status}")), by_intended);
    }
}

#[test]
fn meetings_on_the_net_are_online() {
    for property in [
        "X-MICROSOFT-SKYPETEAMSMEETINGURL:https://teams.microsoft.com/l/meetup-join/1",
        "X-GOOGLE-CONFERENCE:https://meet.google.com/abc-defg-hij",
        "CONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO:https://chat.example.org/room",
        "URL:https://us02web.zoom.us/j/123",
        "LOCATION:https://acme.webex.com/meet/me",
        "DESCRIPTION:Agenda\\n\\nJoin: https://teams.microsoft.com/l/meetup-\r\n join/1\\, or call",
    ] {
        assert_eq!(class(property), "busy online", "{property}");
    }
    for property in ["LOCATION:Room 4", "DESCRIPTION:see https://zoom.us.example.org/", "URL:https://example.org/"] {
        assert_eq!(class(property), "busy", "{property}");
    }
}

#[test]
fn an_alarm_within_an_event_says_nothing_about_it() {
    let alarm = "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:https://zoom.us/j/1\nDURATION:PT5M\nEND:VALARM";
    assert_eq!(class(alarm), "busy");
}
