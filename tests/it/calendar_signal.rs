//! The calendar signal, on real files and folders.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use presenced::calendar::{BusyClass, Schedule};
use presenced::config::{self, CalendarPlace, CalendarSource};
use presenced::daemon::clock::SystemClock;
use presenced::policy::Reading;
use presenced::signals::{Buses, Observation, Update, calendar};
use presenced::time::Clock;
use presenced::warning::{Code, Warning};

use crate::stage::folder::Folder;
use crate::stage::privilege::obey_permissions;
use crate::stage::signal_bench::{ManualClock, Signal};

pub(crate) const NOON: &str = "2026-11-23T12:00:00Z";

pub(crate) type Seen = Observation<Arc<Schedule>>;

/// A clock that begins at noon and runs as the machine's does, for what waits a moment.
fn running() -> Arc<SystemClock> {
    Arc::new(SystemClock::scaled(1.0, NOON.parse().unwrap(), TimeZone::UTC))
}

pub(crate) fn follow<C: Clock + 'static>(clock: &Arc<C>, sources: &[&Path]) -> Signal<Arc<Schedule>> {
    follow_sources(clock, sources.iter().map(|path| CalendarPlace::Path((*path).to_owned()).into()).collect())
}

pub(crate) fn follow_sources<C: Clock + 'static>(
    clock: &Arc<C>,
    sources: Vec<CalendarSource>,
) -> Signal<Arc<Schedule>> {
    let config = config::Calendar { sources, identity: vec!["me@contoso.com".to_owned()] };
    let unwrap = |update| if let Update::Calendar(observation) = update { Some(observation) } else { None };
    Signal::start(clock, Buses::default(), unwrap, |context| calendar::run(config, context))
}

/// A calendar with one busy event.
pub(crate) fn event(uid: &str, start: &str, end: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261101T000000Z\r\n\
         DTSTART:{start}\r\nDTEND:{end}\r\nSUMMARY:Planning\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

pub(crate) fn at_noon(uid: &str) -> String {
    event(uid, "20261123T113000Z", "20261123T123000Z")
}

pub(crate) fn class(seen: &Seen, at: &str) -> Option<BusyClass> {
    let at: Timestamp = at.parse().unwrap();
    seen.reading.known().map(|schedule| schedule.at(at).expect("within the window").class)
}

pub(crate) fn busy(seen: &Seen) -> bool {
    class(seen, NOON) == Some(BusyClass::Busy)
}

pub(crate) fn free(seen: &Seen) -> bool {
    class(seen, NOON) == Some(BusyClass::Free)
}

pub(crate) fn the_warning(seen: &Seen, code: Code) -> &Warning {
    let [warning] = seen.warnings.as_slice() else { panic!("one warning in {seen:?}") };
    assert_eq!(warning.code, code);
    assert!(!warning.hint.is_empty());
    warning
}

#[tokio::test]
async fn a_folder_above_that_is_renamed_takes_the_calendar_with_it() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("sync/work/team")).unwrap();
    fs::write(folder.join("sync/work/team/a.ics"), at_noon("a")).unwrap();
    let mut signal = follow(&running(), &[&folder.join("sync/work")]);
    assert!(busy(&signal.next().await));
    for _ in 0..2 {
        fs::rename(folder.join("sync"), folder.join("away")).unwrap();
        let gone = signal.until(|seen| seen.reading == Reading::Unknown).await;
        assert!(the_warning(&gone, Code::CalendarUnreadable).text.contains("does not exist"), "{gone:?}");
        fs::rename(folder.join("away"), folder.join("sync")).unwrap();
        assert!(busy(&signal.until(|seen| seen.warnings.is_empty()).await));
    }
}

#[tokio::test]
async fn files_of_a_folder_are_read_and_read_again() {
    let folder = Folder::new();
    fs::write(folder.join("a.ics"), at_noon("a")).unwrap();
    let mut signal = follow(&running(), &[&folder.path]);
    let seen = signal.next().await;
    assert!(busy(&seen) && seen.warnings.is_empty(), "{seen:?}");
    assert_eq!(seen.source, "1 source, 1 event");
    // Renamed into place, written in place, moved away, deleted.
    fs::write(folder.join("new.tmp"), event("a", "20261123T140000Z", "20261123T150000Z")).unwrap();
    fs::rename(folder.join("new.tmp"), folder.join("a.ics")).unwrap();
    assert!(free(&signal.next().await));
    fs::write(folder.join("b.ics"), at_noon("b")).unwrap();
    assert!(busy(&signal.until(|seen| seen.source.ends_with("2 events")).await));
    fs::rename(folder.join("b.ics"), folder.join("b.bak")).unwrap();
    assert!(free(&signal.next().await));
    fs::remove_file(folder.join("a.ics")).unwrap();
    assert_eq!(signal.until(|seen| seen.source.ends_with("0 events")).await.source, "1 source, 0 events");
}

#[tokio::test]
async fn folders_below_are_followed_as_they_come_and_go() {
    let folder = Folder::new();
    let mut signal = follow(&running(), &[&folder.path]);
    assert!(free(&signal.next().await));
    fs::create_dir_all(folder.join("team/deep")).unwrap();
    fs::write(folder.join("team/deep/a.ics"), at_noon("a")).unwrap();
    signal.until(busy).await;
    fs::rename(folder.join("team"), folder.join(".team")).unwrap();
    signal.until(free).await;
    fs::rename(folder.join(".team"), folder.join("again")).unwrap();
    signal.until(busy).await;
    fs::remove_dir_all(folder.join("again")).unwrap();
    signal.until(free).await;
}

#[tokio::test]
async fn a_missing_source_makes_the_calendar_unknown_until_it_is_there() {
    let folder = Folder::new();
    fs::write(folder.join("here.ics"), at_noon("a")).unwrap();
    let missing = folder.join("later/calendar.ics");
    let mut signal = follow(&ManualClock::at(NOON), &[&folder.join("here.ics"), &missing]);
    let seen = signal.next().await;
    assert_eq!((&seen.reading, seen.source.as_str()), (&Reading::Unknown, "2 sources, 1 event"));
    assert!(the_warning(&seen, Code::CalendarUnreadable).text.contains("later/calendar.ics does not exist"));
    fs::create_dir(folder.join("later")).unwrap();
    fs::write(&missing, at_noon("b")).unwrap();
    let seen = signal.until(|seen| seen.source.ends_with("2 events")).await;
    assert!(busy(&seen) && seen.warnings.is_empty(), "{seen:?}");
    fs::remove_file(&missing).unwrap();
    the_warning(&signal.next().await, Code::CalendarUnreadable);
}

#[tokio::test]
async fn links_are_followed_without_running_in_circles() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("work/inner")).unwrap();
    fs::write(folder.join("shared.ics"), event("a", "20261123T140000Z", "20261123T150000Z")).unwrap();
    symlink(folder.join("work"), folder.join("work/inner/circle")).unwrap();
    symlink(folder.join("shared.ics"), folder.join("work/linked.ics")).unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &[&folder.join("work")]);
    let seen = signal.next().await;
    assert!(free(&seen));
    assert_eq!(seen.source, "1 source, 1 event");
    fs::write(folder.join("shared.ics"), at_noon("a")).unwrap();
    signal.until(busy).await;
}

#[tokio::test]
async fn many_changes_are_all_taken_in() {
    let folder = Folder::new();
    let mut signal = follow(&running(), &[&folder.path]);
    signal.next().await;
    for number in 0..400 {
        fs::write(folder.join(&format!("{number}.ics")), at_noon(&number.to_string())).unwrap();
    }
    assert!(busy(&signal.until(|seen| seen.source.ends_with("400 events")).await));
}

#[tokio::test]
async fn the_window_moves_with_the_days() {
    let folder = Folder::new();
    fs::write(folder.join("a.ics"), event("a", "20261126T113000Z", "20261126T123000Z")).unwrap();
    let clock = ManualClock::at(NOON);
    let mut signal = follow(&clock, &[&folder.path]);
    let window = |seen: &Seen| {
        let (from, to) = seen.reading.known().unwrap().window();
        (from.to_string(), to.to_string())
    };
    let expected = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(window(&signal.next().await), expected("2026-11-22T12:00:00Z", "2026-11-26T12:00:00Z"));
    clock.pass(Duration::from_hours(24)).await;
    let seen = signal.next().await;
    assert_eq!(window(&seen), expected("2026-11-23T12:00:00Z", "2026-11-27T12:00:00Z"));
    assert_eq!(class(&seen, "2026-11-26T12:00:00Z"), Some(BusyClass::Busy));
    // Somebody sets the clock back by a week.
    clock.set_wall("2026-11-17T12:00:00Z", TimeZone::UTC);
    assert_eq!(window(&signal.next().await), expected("2026-11-16T12:00:00Z", "2026-11-20T12:00:00Z"));
}

#[tokio::test]
async fn another_system_zone_moves_floating_times() {
    let folder = Folder::new();
    fs::write(folder.join("a.ics"), event("a", "20261123T123000", "20261123T133000")).unwrap();
    let clock = ManualClock::at(NOON);
    let mut signal = follow(&clock, &[&folder.path]);
    assert!(free(&signal.next().await));
    clock.set_wall(NOON, TimeZone::fixed(offset(1)));
    assert!(busy(&signal.next().await));
}

#[tokio::test]
async fn skipped_events_are_reported_and_the_rest_counts() {
    let folder = Folder::new();
    let broken = at_noon("c").replace("DTSTART:20261123T113000Z", "DTSTART:yesterday");
    fs::write(folder.join("b.ics"), at_noon("b") + &broken).unwrap();
    fs::write(folder.join("a.ics"), at_noon("a")).unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &[&folder.path]);
    let seen = signal.next().await;
    assert!(busy(&seen));
    assert!(the_warning(&seen, Code::CalendarSkipped).text.contains("b.ics:"), "{seen:?}");
    fs::write(folder.join("b.ics"), at_noon("b")).unwrap();
    assert!(signal.next().await.warnings.is_empty());
}

#[tokio::test]
async fn an_unknown_zone_is_named() {
    let folder = Folder::new();
    let zoned = at_noon("a").replace("DTSTART:20261123T113000Z", "DTSTART;TZID=Atlantis:20261123T113000");
    let zoned = zoned.replace("DTEND:20261123T123000Z", "DTEND;TZID=Atlantis:20261123T123000");
    fs::write(folder.join("a.ics"), &zoned).unwrap();
    fs::write(folder.join("b.ics"), zoned.replace("UID:a", "UID:b")).unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &[&folder.path]);
    let seen = signal.next().await;
    assert!(busy(&seen));
    assert!(the_warning(&seen, Code::CalendarZoneUnknown).text.contains("`Atlantis`"), "{seen:?}");
}

#[tokio::test]
async fn a_huge_file_is_not_read() {
    let folder = Folder::new();
    let file = fs::File::create(folder.join("huge.ics")).unwrap();
    file.set_len(presenced::calendar::MAX_FILE_BYTES + 1).unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &[&folder.path]);
    let seen = signal.next().await;
    assert_eq!(seen.reading, Reading::Unknown);
    assert!(the_warning(&seen, Code::CalendarUnreadable).text.contains("larger than 640 MiB"));
    fs::remove_file(folder.join("huge.ics")).unwrap();
    assert!(free(&signal.next().await));
}

#[tokio::test]
async fn unreadable_files_make_the_calendar_unknown_until_they_can_be_read() {
    obey_permissions();
    let folder = Folder::new();
    fs::create_dir(folder.join("closed")).unwrap();
    fs::write(folder.join("closed/a.ics"), at_noon("a")).unwrap();
    fs::write(folder.join("b.ics"), at_noon("b")).unwrap();
    let allow = |name: &str, mode| fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    allow("closed", 0o000);
    let mut signal = follow(&ManualClock::at(NOON), &[&folder.path]);
    let seen = signal.next().await;
    assert_eq!(seen.reading, Reading::Unknown);
    assert!(the_warning(&seen, Code::CalendarUnreadable).text.contains("closed may not be read"));
    allow("closed", 0o700);
    assert!(busy(&signal.next().await));
    allow("b.ics", 0o000);
    assert!(the_warning(&signal.next().await, Code::CalendarUnreadable).text.contains("b.ics may not be read"));
    allow("b.ics", 0o600);
    assert_eq!(signal.next().await.source, "1 source, 2 events");
}
