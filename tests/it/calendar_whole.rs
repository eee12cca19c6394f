//! The calendar signal, on files that are not whole: what counts meanwhile, for how long the calendar is unknown, and when a file
//! is read again.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use jiff::tz::{TimeZone, offset};
use presenced::calendar::BusyClass;
use presenced::config::{CalendarPlace, CalendarSource};
use presenced::policy::Reading;
use presenced::warning::Code;

use crate::calendar_signal::{NOON, Seen, at_noon, busy, class, event, follow, follow_sources, free, the_warning};
use crate::stage::folder::Folder;
use crate::stage::privilege::obey_permissions;
use crate::stage::signal_bench::ManualClock;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn in_the_afternoon(uid: &str) -> String {
    event(uid, "20261123T140000Z", "20261123T150000Z")
}

/// What is not a whole calendar, and what is said about it: each time something else than before.
fn not_whole() -> [(String, &'static str); 6] {
    let calendar = in_the_afternoon("a");
    let half = calendar[..calendar.len() / 2].to_owned();
    let page = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n".to_owned();
    [
        (String::new(), "because it is empty"),
        (half, "because it is not complete: it ends before its END:VCALENDAR"),
        (page, "because it is not a calendar file: it has no BEGIN:VCALENDAR"),
        (calendar.replace("END:VCALENDAR\r\n", ""), "because it is not complete: it ends before its END:VCALENDAR"),
        (calendar.replace("BEGIN:VCALENDAR\r\n", ""), "because it is not a calendar file: it has no BEGIN:VCALENDAR"),
        (calendar.replace("VEVENT", "X-SOMETHING"), "because presenced understands no part of it"),
    ]
}

fn optional(path: &std::path::Path) -> CalendarSource {
    CalendarSource { place: CalendarPlace::Path(path.to_owned()), optional: true }
}

fn is_unknown(seen: &Seen) -> bool {
    seen.reading == Reading::Unknown
}

fn text(seen: &Seen) -> &str {
    &the_warning(seen, Code::CalendarIncomplete).text
}

#[tokio::test]
async fn a_file_that_was_whole_keeps_its_last_reading_until_it_is_whole_again() {
    for in_folder in [false, true] {
        let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
        let file = folder.join("a.ics");
        fs::write(&file, at_noon("a")).unwrap();
        let mut signal = follow(&clock, &[if in_folder { &folder.path } else { &file }]);
        assert!(busy(&signal.next().await));
        for (content, reason) in not_whole() {
            // So that it does not count as a burst of changes.
            clock.advance(SECOND);
            fs::write(&file, content).unwrap();
            let seen = signal.until(|seen| !seen.warnings.is_empty() && text(seen).contains(reason)).await;
            assert!(busy(&seen), "{seen:?}");
            let expected = format!(
                "Since 12:00 on 23 Nov, the calendar {} cannot be used, {reason}; presenced uses what it read before.",
                file.display()
            );
            assert_eq!(text(&seen), expected);
        }
        // What is wrong may change. Since when it is wrong does not.
        clock.advance(SECOND * 90);
        fs::write(&file, "").unwrap();
        let seen = signal.until(|seen| text(seen).contains("empty")).await;
        assert!(busy(&seen) && text(&seen).starts_with("Since 12:00 on 23 Nov"), "{seen:?}");
        fs::write(&file, in_the_afternoon("a")).unwrap();
        let seen = signal.until(free).await;
        assert!(seen.warnings.is_empty(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_named_file_that_was_never_whole_makes_the_calendar_unknown_until_it_is() {
    for (content, reason) in not_whole() {
        let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
        fs::write(folder.join("whole.ics"), in_the_afternoon("b")).unwrap();
        fs::write(folder.join("a.ics"), &content).unwrap();
        let mut signal = follow(&clock, &[&folder.join("whole.ics"), &folder.join("a.ics")]);
        let seen = signal.next().await;
        assert!(is_unknown(&seen) && text(&seen).contains(reason), "{seen:?}");
        assert!(text(&seen).ends_with("; the calendar is unknown until it is whole."), "{seen:?}");
        clock.advance(MINUTE * 3);
        fs::write(folder.join("a.ics"), at_noon("a")).unwrap();
        let seen = signal.next().await;
        assert!(busy(&seen) && seen.warnings.is_empty(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_file_in_a_folder_that_was_never_whole_makes_it_unknown_for_a_minute() {
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    fs::write(folder.join("whole.ics"), at_noon("b")).unwrap();
    fs::write(folder.join("a.ics"), "BEGIN:VCALENDAR\n").unwrap();
    let mut signal = follow(&clock, &[&folder.path]);
    let seen = signal.next().await;
    assert!(is_unknown(&seen), "{seen:?}");
    assert!(
        text(&seen).ends_with("; the calendar is unknown for a minute, then presenced leaves this out."),
        "{seen:?}"
    );
    // It is as broken as before, in another way: the minute goes on.
    clock.advance(SECOND * 20);
    fs::write(folder.join("a.ics"), "").unwrap();
    let seen = signal.next().await;
    assert!(is_unknown(&seen) && text(&seen).contains("empty"), "{seen:?}");
    clock.pass(SECOND * 40).await;
    let seen = signal.next().await;
    assert!(busy(&seen) && text(&seen).ends_with("; presenced leaves it out."), "{seen:?}");
    // Another one has its own minute. Both may become whole.
    fs::write(folder.join("c.ics"), "").unwrap();
    assert!(is_unknown(&signal.next().await));
    fs::write(folder.join("c.ics"), in_the_afternoon("c")).unwrap();
    assert!(busy(&signal.next().await));
    fs::write(folder.join("a.ics"), in_the_afternoon("a")).unwrap();
    let seen = signal.next().await;
    assert!(busy(&seen) && seen.warnings.is_empty(), "{seen:?}");
    assert_eq!(seen.source, "1 source, 3 events");
}

#[tokio::test]
async fn a_file_or_folder_that_cannot_be_read_has_its_minute_too() {
    obey_permissions();
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    let allow = |name: &str, mode| fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(folder.join("closed")).unwrap();
    fs::write(folder.join("a.ics"), at_noon("a")).unwrap();
    fs::write(folder.join("b.ics"), in_the_afternoon("b")).unwrap();
    allow("closed", 0o000);
    allow("b.ics", 0o000);
    let mut signal = follow(&clock, &[&folder.path]);
    let seen = signal.next().await;
    assert!(is_unknown(&seen) && seen.warnings.len() == 2, "{seen:?}");
    clock.pass(MINUTE).await;
    let seen = signal.next().await;
    assert!(busy(&seen), "{seen:?}");
    assert!(seen.warnings.iter().all(|warning| warning.text.ends_with("may not be read; presenced leaves it out.")));
    // One that was read before still counts.
    allow("closed", 0o700);
    allow("b.ics", 0o600);
    signal.until(|seen| seen.warnings.is_empty()).await;
    clock.advance(SECOND * 5);
    allow("a.ics", 0o000);
    let seen = signal.next().await;
    assert!(busy(&seen), "{seen:?}");
    let said = &the_warning(&seen, Code::CalendarUnreadable).text;
    assert!(said.ends_with("a.ics may not be read; presenced uses what it read before."), "{said}");
}

#[tokio::test]
async fn what_was_read_from_a_folder_counts_when_it_cannot_be_searched_any_more() {
    obey_permissions();
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    fs::create_dir(folder.join("closed")).unwrap();
    fs::write(folder.join("closed/a.ics"), at_noon("a")).unwrap();
    let mut signal = follow(&clock, &[&folder.path]);
    assert!(busy(&signal.next().await));
    fs::set_permissions(folder.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    // There may be something new in it.
    assert!(is_unknown(&signal.next().await));
    clock.pass(MINUTE).await;
    let seen = signal.next().await;
    assert!(busy(&seen), "{seen:?}");
    the_warning(&seen, Code::CalendarUnreadable);
    fs::set_permissions(folder.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(signal.next().await.warnings.is_empty());
}

#[tokio::test]
async fn an_optional_source_never_makes_the_calendar_unknown() {
    for (content, reason) in not_whole() {
        let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
        fs::create_dir(folder.join("folder")).unwrap();
        fs::write(folder.join("a.ics"), at_noon("a")).unwrap();
        fs::write(folder.join("folder/b.ics"), content).unwrap();
        for source in ["folder", "folder/b.ics"] {
            let needed = CalendarPlace::Path(folder.join("a.ics")).into();
            let mut signal = follow_sources(&clock, vec![needed, optional(&folder.join(source))]);
            let seen = signal.next().await;
            assert!(busy(&seen) && text(&seen).contains(reason), "{seen:?}");
            assert!(text(&seen).ends_with("; presenced leaves it out."), "{seen:?}");
        }
    }
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    let mut signal = follow_sources(&clock, vec![optional(&folder.join("later.ics"))]);
    let seen = signal.next().await;
    assert!(free(&seen) && the_warning(&seen, Code::CalendarUnreadable).text.contains("later.ics does not exist"));
    fs::write(folder.join("later.ics"), at_noon("a")).unwrap();
    let seen = signal.next().await;
    assert!(busy(&seen) && seen.warnings.is_empty(), "{seen:?}");
    // It still counts for a second.
    fs::remove_file(folder.join("later.ics")).unwrap();
    assert!(busy(&signal.next().await));
    clock.pass(SECOND).await;
    assert!(free(&signal.next().await));
}

#[tokio::test]
async fn what_only_warns_leaves_the_calendar_known() {
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    let zoned = in_the_afternoon("zone").replace("DTSTART:", "DTSTART;TZID=Atlantis:").replace("0000Z", "0000");
    fs::write(folder.join("zone.ics"), zoned).unwrap();
    let broken = in_the_afternoon("broken").replace("DTSTART:2026", "DTSTART:MMXXVI");
    fs::write(folder.join("skipped.ics"), in_the_afternoon("b") + &broken).unwrap();
    fs::write(folder.join("a.ics"), at_noon("a")).unwrap();
    let seen = follow(&clock, &[&folder.path]).next().await;
    let codes: Vec<Code> = seen.warnings.iter().map(|warning| warning.code).collect();
    assert!(
        busy(&seen) && codes.contains(&Code::CalendarSkipped) && codes.contains(&Code::CalendarZoneUnknown),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_file_is_read_again_when_its_writer_pauses_for_a_second() {
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    let file = folder.join("a.ics");
    fs::write(&file, at_noon("a")).unwrap();
    let mut signal = follow(&clock, &[&folder.path]);
    assert!(busy(&signal.next().await));
    let new = in_the_afternoon("a");
    let (first, second) = new.split_at(new.len() / 2);
    let mut writer = OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
    writer.write_all(first.as_bytes()).unwrap();
    clock.pass(SECOND).await;
    let seen = signal.next().await;
    assert!(busy(&seen) && text(&seen).contains("ends before its END:VCALENDAR"), "{seen:?}");
    // Without a close.
    writer.write_all(second.as_bytes()).unwrap();
    clock.pass(SECOND).await;
    let seen = signal.next().await;
    assert!(free(&seen) && seen.warnings.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn a_file_that_is_written_without_a_pause_is_read_now_and_then() {
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    let file = folder.join("a.ics");
    fs::write(&file, at_noon("a")).unwrap();
    let mut signal = follow(&clock, &[&folder.path]);
    assert!(busy(&signal.next().await));
    let mut writer = OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
    writer.write_all(in_the_afternoon("a").as_bytes()).unwrap();
    for _ in 0..11 {
        writer.write_all(b"\r\n").unwrap();
        clock.is_waited_for(SECOND).await;
        clock.advance(SECOND * 9 / 10);
    }
    clock.pass(SECOND / 10).await;
    assert!(free(&signal.next().await));
}

#[tokio::test]
async fn an_editor_may_move_the_old_file_away_first() {
    for in_folder in [false, true] {
        let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
        let file = folder.join("a.ics");
        fs::write(&file, at_noon("a")).unwrap();
        let mut signal = follow(&clock, &[if in_folder { &folder.path } else { &file }]);
        assert!(busy(&signal.next().await));
        fs::rename(&file, folder.join("a.ics~")).unwrap();
        clock.is_waited_for(SECOND).await;
        let new = in_the_afternoon("a");
        let (first, second) = new.split_at(new.len() / 2);
        let mut writer = fs::File::create(&file).unwrap();
        writer.write_all(first.as_bytes()).unwrap();
        clock.pass(SECOND).await;
        // While a named file is missing the calendar is unknown. The daemon keeps its last value for five seconds.
        let mut seen = signal.next().await;
        if !in_folder {
            the_warning(&seen, Code::CalendarUnreadable);
            seen = signal.next().await;
        }
        assert!(busy(&seen) && text(&seen).ends_with("; presenced uses what it read before."), "{seen:?}");
        writer.write_all(second.as_bytes()).unwrap();
        drop(writer);
        let seen = signal.next().await;
        assert!(free(&seen) && seen.warnings.is_empty(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_gone_counts_for_one_more_second() {
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    fs::write(folder.join("a.ics"), at_noon("a")).unwrap();
    let mut signal = follow(&clock, &[&folder.path]);
    assert!(busy(&signal.next().await));
    fs::remove_file(folder.join("a.ics")).unwrap();
    clock.pass(SECOND).await;
    let seen = signal.next().await;
    assert!(free(&seen) && seen.source.ends_with("0 events"), "{seen:?}");
    // One that never was whole does not count at all.
    fs::write(folder.join("b.ics"), "").unwrap();
    assert!(is_unknown(&signal.next().await));
    fs::remove_file(folder.join("b.ics")).unwrap();
    assert!(free(&signal.next().await));
}

#[tokio::test]
async fn another_system_zone_gives_utc_times_beside_whole_days_another_date() {
    let (folder, clock) = (Folder::new(), ManualClock::at(NOON));
    let days = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART;VALUE=DATE:20261120\r\nTRANSP:OPAQUE\r\n\
                RRULE:FREQ=DAILY;UNTIL=20261122T230000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    fs::write(folder.join("a.ics"), days).unwrap();
    let mut signal = follow(&clock, &[&folder.path]);
    assert!(free(&signal.next().await));
    // There it is midnight, so the 23rd is the last day.
    clock.set_wall(NOON, TimeZone::fixed(offset(1)));
    assert_eq!(class(&signal.next().await, NOON), Some(BusyClass::Busy));
}
