//! Files as the programs that people use write them: each with what is its own and would be easy to misread.

use presenced::calendar::Timeline;

use super::{at, ics, read, show, zone};

/// Everything in a file in March and April 2026, for a user in Berlin who is me@contoso.com; nothing may be reported.
fn shown(file: &str) -> Vec<String> {
    let (from, to) = (at("2026-03-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
    let mut timeline = Timeline::new(vec!["me@contoso.com".to_owned()], zone("Europe/Berlin"), from, to);
    let report = read(&mut timeline, "a.ics", file);
    assert_eq!((report.skipped, report.unknown_zones), (vec![], vec![]));
    timeline.occurrences(from, to).map(|occurrence| show(&occurrence)).collect()
}

#[test]
fn outlook_writes_its_own_zone_from_1601_and_what_the_user_shows() {
    let file = ics(r#"
        METHOD:PUBLISH
        X-MS-OLK-FORCEINSPECTOROPEN:TRUE
        BEGIN:VTIMEZONE
        TZID:Customized Time Zone
        BEGIN:STANDARD
        DTSTART:16011104T020000
        RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11
        TZOFFSETFROM:-0400
        TZOFFSETTO:-0500
        END:STANDARD
        BEGIN:DAYLIGHT
        DTSTART:16010311T020000
        RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3
        TZOFFSETFROM:-0500
        TZOFFSETTO:-0400
        END:DAYLIGHT
        END:VTIMEZONE
        BEGIN:VEVENT
        CLASS:PUBLIC
        DTEND;TZID="Customized Time Zone":20260302T110000
        DTSTAMP:20260210T120000Z
        DTSTART;TZID="Customized Time Zone":20260302T100000
        EXDATE;TZID="Customized Time Zone":20260316T100000
        RRULE:FREQ=WEEKLY;COUNT=4;BYDAY=MO
        SEQUENCE:0
        SUMMARY;LANGUAGE=en-us:Weekly
        TRANSP:OPAQUE
        UID:040000008200E00074C5B7101A82E008
        X-ALT-DESC;FMTTYPE=text/html:<html><a href="https://contoso.com/a">x</a></html>
        X-MICROSOFT-CDO-BUSYSTATUS:OOF
        X-MICROSOFT-CDO-INTENDEDSTATUS:BUSY
        X-MICROSOFT-CDO-ALLDAYEVENT:FALSE
        BEGIN:VALARM
        TRIGGER:-PT15M
        ACTION:DISPLAY
        END:VALARM
        END:VEVENT"#);
    assert_eq!(
        shown(&file),
        [
            "2026-03-02T10:00:00-05:00/2026-03-02T11:00:00-05:00 out-of-office",
            "2026-03-09T10:00:00-04:00/2026-03-09T11:00:00-04:00 out-of-office",
            "2026-03-23T10:00:00-04:00/2026-03-23T11:00:00-04:00 out-of-office",
        ]
    );
}

#[test]
fn exchange_names_windows_zones_and_moves_an_instance() {
    // The VTIMEZONE contradicts the name that everybody knows: the name counts.
    let file = ics("
        BEGIN:VTIMEZONE
        TZID:W. Europe Standard Time
        BEGIN:STANDARD
        DTSTART:16010101T030000
        TZOFFSETFROM:+0500
        TZOFFSETTO:+0500
        END:STANDARD
        END:VTIMEZONE
        BEGIN:VEVENT
        ORGANIZER;CN=Boss:mailto:boss@contoso.com
        ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=Me:mailto:ME@contoso.com
        UID:1
        RRULE:FREQ=DAILY;UNTIL=20260331T070000Z;INTERVAL=1
        DTSTART;TZID=W. Europe Standard Time:20260328T090000
        DTEND;TZID=W. Europe Standard Time:20260328T093000
        DTSTAMP:20260310T080000Z
        SEQUENCE:2
        X-MICROSOFT-CDO-APPT-SEQUENCE:2
        X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE
        X-MICROSOFT-CDO-INTENDEDSTATUS:BUSY
        X-MICROSOFT-CDO-INSTTYPE:1
        X-MICROSOFT-SKYPETEAMSMEETINGURL:https://teams.microsoft.com/l/meetup-join/x
        END:VEVENT
        BEGIN:VEVENT
        UID:1
        RECURRENCE-ID;TZID=W. Europe Standard Time:20260330T090000
        DTSTART;TZID=W. Europe Standard Time:20260330T140000
        DTEND;TZID=W. Europe Standard Time:20260330T150000
        DTSTAMP:20260310T080000Z
        SEQUENCE:2
        X-MICROSOFT-CDO-BUSYSTATUS:BUSY
        X-MICROSOFT-CDO-INSTTYPE:3
        END:VEVENT");
    assert_eq!(
        shown(&file),
        [
            "2026-03-28T09:00:00+01:00/2026-03-28T09:30:00+01:00 tentative online",
            "2026-03-29T09:00:00+02:00/2026-03-29T09:30:00+02:00 tentative online",
            "2026-03-30T14:00:00+02:00/2026-03-30T15:00:00+02:00 busy",
            "2026-03-31T09:00:00+02:00/2026-03-31T09:30:00+02:00 tentative online",
        ]
    );
}

#[test]
fn google_declines_by_instance_and_keeps_whole_days_transparent() {
    let answered = |answer: &str| {
        format!(
            "ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT={answer};CN=me@contoso.com;X-NUM-GUESTS=0:mailto:\r\n me@contoso.com"
        )
    };
    let (accepted, declined) = (answered("ACCEPTED"), answered("DECLINED"));
    let file = format!(
        "BEGIN:VCALENDAR\r\nX-WR-CALNAME:me\r\nX-WR-TIMEZONE:Europe/Berlin\r\nBEGIN:VEVENT\r\n\
         DTSTART;TZID=Europe/Berlin:20260327T160000\r\nDTEND;TZID=Europe/Berlin:20260327T170000\r\n\
         RRULE:FREQ=WEEKLY;WKST=MO;UNTIL=20260410T215959Z;BYDAY=FR\r\nUID:a@google.com\r\n{accepted}\r\n\
         X-GOOGLE-CONFERENCE:https://meet.google.com/a\r\nTRANSP:OPAQUE\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n\
         DTSTART;TZID=Europe/Berlin:20260403T160000\r\nDTEND;TZID=Europe/Berlin:20260403T170000\r\n\
         UID:a@google.com\r\nRECURRENCE-ID;TZID=Europe/Berlin:20260403T160000\r\n{declined}\r\nEND:VEVENT\r\n\
         BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20260402\r\nDTEND;VALUE=DATE:20260404\r\nUID:b@google.com\r\n\
         TRANSP:TRANSPARENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    );
    assert_eq!(
        shown(&file),
        [
            "2026-03-27T16:00:00+01:00/2026-03-27T17:00:00+01:00 busy online",
            "2026-04-02/2026-04-04 free",
            "2026-04-10T16:00:00+02:00/2026-04-10T17:00:00+02:00 busy online",
        ]
    );
}

#[test]
fn apple_writes_travel_and_zones_by_offset() {
    let file = ics("
        BEGIN:VEVENT
        UID:apple
        X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT30M
        X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE=\"Hall; A: 1\":geo:52.5,13.4
        DTSTART;TZID=GMT+0100:20260330T100000
        DTEND;TZID=GMT+0100:20260330T110000
        END:VEVENT
        BEGIN:VEVENT
        UID:birthday
        DTSTART;X-APPLE-OMIT-YEAR=1604;VALUE=DATE:16040330
        RRULE:FREQ=YEARLY
        END:VEVENT");
    assert_eq!(
        shown(&file),
        ["2026-03-30/2026-03-31 free", "2026-03-30T10:00:00+01:00/2026-03-30T11:00:00+01:00 busy"]
    );
}

#[test]
fn thunderbird_and_nextcloud_write_paths_and_days_with_times_beside_them() {
    let file = ics("
        BEGIN:VEVENT
        UID:old-thunderbird
        DTSTART;VALUE=DATE-TIME;TZID=/mozilla.org/20050126_1/America/New_York:20260309T090000
        DTEND;VALUE=DATE-TIME;TZID=/mozilla.org/20050126_1/America/New_York:20260309T100000
        X-MOZ-GENERATION:4
        END:VEVENT
        BEGIN:VEVENT
        UID:nextcloud
        DTSTART;VALUE=DATE:20260401
        DTEND;VALUE=DATE:20260402
        RRULE:FREQ=WEEKLY;COUNT=3
        EXDATE:20260408T000000Z
        TRANSP:OPAQUE
        STATUS:TENTATIVE
        END:VEVENT");
    assert_eq!(
        shown(&file),
        [
            "2026-03-09T09:00:00-04:00/2026-03-09T10:00:00-04:00 busy",
            "2026-04-01/2026-04-02 tentative",
            "2026-04-15/2026-04-16 tentative",
        ]
    );
}

#[test]
fn rules_are_read_however_loosely_they_are_written() {
    for rule in [
        "FREQ=WEEKLY;COUNT=2;",
        "freq=weekly;count=2;byday=mo",
        "FREQ=WEEKLY; COUNT=2; BYDAY=MO",
        ";FREQ=WEEKLY;COUNT=2",
        "COUNT=2;FREQ=WEEKLY;WKST=SU",
        "FREQ=WEEKLY;COUNT=2;BYDAY=MO,MO",
        "FREQ=WEEKLY;UNTIL=20260310T000000",
        "FREQ=WEEKLY;UNTIL=20260309",
        "FREQ=WEEKLY;COUNT=9;UNTIL=20260310T000000Z",
        "FREQ=WEEKLY;COUNT=2;X-OWN=1",
    ] {
        let file = ics(&format!("BEGIN:VEVENT\nDTSTART:20260302T090000\nDURATION:PT1H\nRRULE:{rule}\nEND:VEVENT"));
        assert_eq!(shown(&file).len(), 2, "{rule}");
    }
}
