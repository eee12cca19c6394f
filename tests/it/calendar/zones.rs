//! What a TZID means (RFC 5545, 3.2.19 and 3.6.5), whoever wrote it.

use super::{event, ics, only, read, show, timeline};

fn start_in(tzid: &str) -> String {
    only("Asia/Tokyo", &format!("DTSTART;TZID={tzid}:20260115T090000"))
}

#[test]
fn a_zone_is_known_by_its_iana_windows_or_display_name() {
    for tzid in [
        "Europe/Berlin",
        "europe/berlin",
        "\"Europe/Berlin\"",
        "W. Europe Standard Time",
        "w. europe standard time",
        "W. EUROPE STANDARD TIME",
        "\"(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna\"",
        "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna",
        "\"(GMT+01.00) Amsterdam / Berlin / Bern / Rome / Stockholm / Vienna\"",
        "/mozilla.org/20050126_1/Europe/Berlin",
        "/freeassociation.sourceforge.net/Tzfile/Europe/Berlin",
    ] {
        assert_eq!(start_in(tzid), "2026-01-15T09:00:00+01:00/2026-01-15T09:00:00+01:00 busy", "{tzid}");
    }
}

#[test]
fn utc_has_many_names() {
    for tzid in ["UTC", "Etc/UTC", "GMT", "tzone://Microsoft/Utc", "\"(UTC) Coordinated Universal Time\""] {
        assert_eq!(start_in(tzid), "2026-01-15T09:00:00+00:00/2026-01-15T09:00:00+00:00 busy", "{tzid}");
    }
}

/// What Outlook writes for a zone that somebody changed by hand: from 1601, with the EU's rules an hour to the east.
const CUSTOMIZED: &str = "
    BEGIN:VTIMEZONE
    TZID:Customized Time Zone
    BEGIN:STANDARD
    DTSTART:16010101T030000
    RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
    TZOFFSETFROM:+0400
    TZOFFSETTO:+0300
    END:STANDARD
    BEGIN:DAYLIGHT
    DTSTART:16010101T020000
    RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
    TZOFFSETFROM:+0300
    TZOFFSETTO:+0400
    END:DAYLIGHT
    END:VTIMEZONE";

const IN_CUSTOMIZED: &str = "
    BEGIN:VEVENT
    UID:event
    DTSTART;TZID=Customized Time Zone:20260326T090000
    DURATION:PT1H
    RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20260330T050000Z
    END:VEVENT";

#[test]
fn an_unknown_zone_name_is_defined_by_its_file() {
    let expected = [
        "2026-03-26T09:00:00+03:00/2026-03-26T10:00:00+03:00 busy",
        "2026-03-28T09:00:00+03:00/2026-03-28T10:00:00+03:00 busy",
        "2026-03-30T09:00:00+04:00/2026-03-30T10:00:00+04:00 busy",
    ];
    for components in [format!("{CUSTOMIZED}\n{IN_CUSTOMIZED}"), format!("{IN_CUSTOMIZED}\n{CUSTOMIZED}")] {
        let shown = super::agenda_of("UTC", &[&ics(&components)], "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z");
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_known_name_means_what_everybody_means_by_it() {
    // The file's own definition of a known name is often wrong or old.
    let file = ics(&format!(
        "{}\nBEGIN:VEVENT\nUID:e\nDTSTART;TZID=Europe/Berlin:20260115T090000\nEND:VEVENT",
        CUSTOMIZED.replace("Customized Time Zone", "Europe/Berlin")
    ));
    assert_eq!(super::starts("UTC", &file), ["2026-01-15T09:00:00+01:00"]);
}

#[test]
fn an_unknown_name_is_the_calendars_zone_and_else_the_systems_which_is_reported() {
    let unknown = "BEGIN:VEVENT\nUID:e\nDTSTART;TZID=Room 4 time:20260115T090000\nEND:VEVENT";
    for (components, start, unknown_zones) in [
        (format!("X-WR-TIMEZONE:Europe/Berlin\n{unknown}"), "2026-01-15T09:00:00+01:00", vec![]),
        (format!("X-WR-TIMEZONE:Nowhere\n{unknown}"), "2026-01-15T09:00:00+09:00", vec!["Room 4 time".to_owned()]),
        (unknown.to_owned(), "2026-01-15T09:00:00+09:00", vec!["Room 4 time".to_owned()]),
    ] {
        let mut timeline = timeline("Asia/Tokyo");
        let report = read(&mut timeline, "a.ics", &ics(&components));
        assert_eq!(report.unknown_zones, unknown_zones);
        assert_eq!(report.skipped, []);
        let shown: Vec<_> = timeline
            .occurrences(super::at("2026-01-01T00:00:00Z"), super::at("2026-02-01T00:00:00Z"))
            .map(|occurrence| show(&occurrence))
            .collect();
        assert_eq!(shown, [format!("{start}/{start} busy")]);
    }
}

#[test]
fn a_bare_offset_is_a_zone() {
    assert_eq!(start_in("UTC+05:30"), "2026-01-15T09:00:00+05:30/2026-01-15T09:00:00+05:30 busy");
    assert_eq!(start_in("GMT-0330"), "2026-01-15T09:00:00-03:30/2026-01-15T09:00:00-03:30 busy");
}

#[test]
fn utc_beside_a_zone_is_utc() {
    let file = event("DTSTART;TZID=Europe/Berlin:20260115T090000Z");
    assert_eq!(super::starts("Asia/Tokyo", &file), ["2026-01-15T09:00:00+00:00"]);
}
