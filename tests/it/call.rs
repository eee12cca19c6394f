//! The call signal, on real files and folders.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::config;
use presenced::policy::{Call, CallState, Reading};
use presenced::signals::{Buses, Observation, Update, Watched, call};
use presenced::warning::Code;

use crate::stage::folder::Folder;
use crate::stage::privilege::obey_permissions;
use crate::stage::signal_bench::{ManualClock, Signal};

const NOON: &str = "2026-11-23T12:00:00Z";

fn follow(clock: &Arc<ManualClock>, path: &Path) -> Signal<Call> {
    follow_with(clock, path, None)
}

fn follow_with(clock: &Arc<ManualClock>, path: &Path, stale_after: Option<Duration>) -> Signal<Call> {
    let config = config::Call { path: path.to_owned(), owners: None, stale_after };
    let unwrap = |update| if let Update::Call(observation) = update { Some(observation) } else { None };
    Signal::start(clock, Buses::default(), unwrap, |context| call::run(config, context))
}

fn is(state: CallState) -> Reading<Call> {
    Reading::Known(Call { state, app: None })
}

fn by(state: CallState, app: &str) -> Reading<Call> {
    Reading::Known(Call { state, app: Some(app.to_owned()) })
}

fn assert_unknown(observation: &Observation<Call>, code: Code, words: &str) {
    assert_eq!(observation.reading, Reading::Unknown, "{observation:?}");
    let [warning] = observation.warnings.as_slice() else { panic!("one warning in {observation:?}") };
    assert_eq!(warning.code, code);
    assert!(warning.text.contains(words), "{warning:?}");
    assert!(!warning.hint.is_empty());
}

#[tokio::test]
async fn a_word_in_a_file_is_a_state() {
    let folder = Folder::new();
    let path = folder.join("call-state");
    let mut signal = follow(&ManualClock::at(NOON), &path);
    let missing = signal.next().await;
    assert_eq!((missing.reading, missing.warnings.len()), (is(CallState::Idle), 0));
    assert_eq!(missing.source, path.display().to_string());
    assert!(!path.exists(), "nothing is created");
    fs::write(&path, "in-call\n").unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::InCall));
    folder.replace("call-state", r#"{"state": "presenting", "app": "OBS"}"#);
    assert_eq!(signal.next().await.reading, by(CallState::Presenting, "OBS"));
    fs::write(&path, "").unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    fs::write(&path, "conference").unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
    fs::remove_file(&path).unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
}

#[tokio::test]
async fn writing_the_same_state_again_does_not_flicker() {
    let folder = Folder::new();
    let path = folder.join("call-state");
    fs::write(&path, "in-call").unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &path);
    assert_eq!(signal.next().await.reading, is(CallState::InCall));
    // Each of these empties the file before it writes it again.
    for _ in 0..200 {
        fs::write(&path, "in-call").unwrap();
        tokio::task::yield_now().await;
    }
    folder.replace("call-state", "conference");
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
}

#[tokio::test]
async fn a_folder_made_later_deleted_and_made_again_is_seen() {
    let folder = Folder::new();
    let path = folder.join("run/presenced/call-state");
    let mut signal = follow(&ManualClock::at(NOON), &path);
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    for state in [CallState::InCall, CallState::Conference] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, state.as_str()).unwrap();
        signal.until(|observation| observation.reading == is(state)).await;
        fs::remove_dir_all(folder.join("run")).unwrap();
        signal.until(|observation| observation.reading == is(CallState::Idle)).await;
    }
    // Moved into place as a whole, and away again.
    fs::create_dir_all(folder.join("new/presenced")).unwrap();
    fs::write(folder.join("new/presenced/call-state"), "presenting").unwrap();
    fs::rename(folder.join("new"), folder.join("run")).unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Presenting));
    fs::rename(folder.join("run/presenced"), folder.join("run/away")).unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    // What happens in a folder that was moved away is of no concern.
    fs::write(folder.join("run/away/call-state"), "in-call").unwrap();
    fs::create_dir(folder.join("run/presenced")).unwrap();
    fs::write(&path, "conference").unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
}

const TWO_MINUTES: Duration = Duration::from_mins(2);

/// Writes the same state again.
fn beat(path: &Path) {
    fs::write(path, "in-call").expect("it is ours");
}

/// Sets the time when a file was last written, counted from 1970.
fn stamp(path: &Path, written: Duration) {
    let file = fs::OpenOptions::new().append(true).open(path).expect("it exists");
    file.set_modified(std::time::UNIX_EPOCH + written).expect("it is ours");
}

fn noon() -> Duration {
    let noon: Timestamp = NOON.parse().expect("a time");
    Duration::try_from(noon.duration_since(Timestamp::UNIX_EPOCH)).expect("it is after 1970")
}

#[tokio::test]
async fn a_heartbeat_that_stops_makes_the_call_unknown_until_it_returns() {
    let folder = Folder::new();
    let path = folder.join("call-state");
    let clock = ManualClock::at(NOON);
    let mut signal = follow_with(&clock, &path, Some(TWO_MINUTES));
    assert_unknown(&signal.next().await, Code::CallStateStale, "There is no call state at");
    beat(&path);
    assert_eq!(signal.next().await.reading, is(CallState::InCall));
    clock.advance(Duration::from_secs(119));
    beat(&path);
    // The same state is not published again. The new end of its time shows that the write was seen.
    clock.is_waited_for(TWO_MINUTES).await;
    clock.pass(TWO_MINUTES).await;
    assert_unknown(&signal.next().await, Code::CallStateStale, "was not written for 2m or longer");
    // A new time stamp is enough. On a computer with a wrong clock it is in the past, or far in the future.
    for seconds in [1, 9_000_000_000] {
        stamp(&path, Duration::from_secs(seconds));
        assert_eq!(signal.next().await.reading, is(CallState::InCall));
        clock.pass(TWO_MINUTES).await;
        assert_unknown(&signal.next().await, Code::CallStateStale, "was not written for 2m or longer");
    }
    fs::remove_file(&path).unwrap();
    assert_unknown(&signal.next().await, Code::CallStateStale, "There is no call state at");
}

#[tokio::test]
async fn a_file_from_before_the_start_is_as_old_as_its_file_system_says() {
    let folder = Folder::new();
    let path = folder.join("call-state");
    beat(&path);
    let written = |seconds_ago: u64| stamp(&path, Duration::from_secs(noon().as_secs() - seconds_ago));
    written(120);
    let mut old = follow_with(&ManualClock::at(NOON), &path, Some(TWO_MINUTES));
    assert_unknown(&old.next().await, Code::CallStateStale, "was not written");
    written(110);
    let clock = ManualClock::at(NOON);
    let mut recent = follow_with(&clock, &path, Some(TWO_MINUTES));
    assert_eq!(recent.next().await.reading, is(CallState::InCall));
    clock.pass(Duration::from_secs(10)).await;
    assert_unknown(&recent.next().await, Code::CallStateStale, "was not written");
}

#[tokio::test]
async fn in_a_folder_each_file_has_its_own_time() {
    let folder = Folder::new();
    folder.replace("one", "conference");
    let clock = ManualClock::at(NOON);
    stamp(&folder.join("one"), noon());
    let mut signal = follow_with(&clock, &folder.path, Some(TWO_MINUTES));
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
    clock.advance(Duration::from_mins(1));
    folder.replace("two", "presenting");
    assert_eq!(signal.next().await.reading, is(CallState::Presenting));
    clock.pass(Duration::from_mins(1)).await;
    let stale = signal.next().await;
    assert_eq!((stale.reading, stale.warnings.len()), (is(CallState::Presenting), 1));
    clock.pass(Duration::from_mins(1)).await;
    let both = signal.next().await;
    assert_eq!((both.reading, both.warnings.len()), (Reading::Unknown, 2));
    for name in ["one", "two"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let empty = signal
        .until(|observation| observation.warnings.len() == 1 && observation.warnings[0].text.contains("no call state"));
    assert_eq!(empty.await.reading, Reading::Unknown);
}

#[tokio::test]
async fn the_rename_of_any_folder_above_counts_at_once_and_so_does_its_return() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("a/b/c/d")).unwrap();
    symlink(folder.join("a/b"), folder.join("link")).unwrap();
    fs::write(folder.join("a/b/c/d/call-state"), "in-call").unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &folder.join("link/c/d/call-state"));
    assert_eq!(signal.next().await.reading, is(CallState::InCall));
    for name in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        fs::rename(folder.join(name), folder.join("away")).unwrap();
        signal.until(|seen| seen.reading == is(CallState::Idle)).await;
        fs::rename(folder.join("away"), folder.join(name)).unwrap();
        signal.until(|seen| seen.reading == is(CallState::InCall)).await;
    }
    // Another folder takes its place at once.
    fs::create_dir_all(folder.join("new/b/c/d")).unwrap();
    fs::write(folder.join("new/b/c/d/call-state"), "presenting").unwrap();
    let exchange = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(rustix::fs::CWD, folder.join("new"), rustix::fs::CWD, folder.join("a"), exchange)
        .unwrap();
    signal.until(|seen| seen.reading == is(CallState::Presenting)).await;
    fs::write(folder.join("a/b/c/d/call-state"), "conference").unwrap();
    signal.until(|seen| seen.reading == is(CallState::Conference)).await;
}

#[tokio::test]
async fn of_a_folder_of_files_the_strongest_counts() {
    let folder = Folder::new();
    folder.replace("baresip", r#"{"state": "in-call", "app": "baresip"}"#);
    folder.replace("jitsi", r#"{"state": "conference", "app": "Jitsi"}"#);
    for scratch in [".hidden", "old~", "x.tmp", "x.swp"] {
        fs::write(folder.join(scratch), "presenting").unwrap();
    }
    let mut signal = follow(&ManualClock::at(NOON), &folder.path);
    assert_eq!(signal.next().await.reading, by(CallState::Conference, "Jitsi"));
    folder.replace("obs", "presenting");
    assert_eq!(signal.next().await.reading, is(CallState::Presenting));
    fs::remove_file(folder.join("obs")).unwrap();
    assert_eq!(signal.next().await.reading, by(CallState::Conference, "Jitsi"));
    fs::remove_file(folder.join("jitsi")).unwrap();
    assert_eq!(signal.next().await.reading, by(CallState::InCall, "baresip"));
}

#[tokio::test]
async fn one_broken_file_of_a_folder_hides_no_call() {
    let folder = Folder::new();
    folder.replace("broken", "???");
    folder.replace("baresip", "in-call");
    let mut signal = follow(&ManualClock::at(NOON), &folder.path);
    let observation = signal.next().await;
    assert_eq!((observation.reading, observation.warnings.len()), (is(CallState::InCall), 1));
    fs::remove_file(folder.join("baresip")).unwrap();
    assert_unknown(&signal.next().await, Code::CallStateInvalid, "broken:1:1");
}

#[tokio::test]
async fn a_link_that_is_turned_elsewhere_is_followed() {
    let folder = Folder::new();
    for (name, state) in [("one", "in-call"), ("two", "conference")] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("state"), state).unwrap();
    }
    symlink("one", folder.join("current")).unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &folder.join("current/state"));
    assert_eq!(signal.next().await.reading, is(CallState::InCall));
    symlink("two", folder.join("next")).unwrap();
    fs::rename(folder.join("next"), folder.join("current")).unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
    fs::write(folder.join("two/state"), "presenting").unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Presenting));
}

#[tokio::test]
async fn a_state_ends_with_its_process() {
    let folder = Folder::new();
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &folder.join("call-state"));
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    let statement = format!(r#"{{"state": "in-call", "app": "cat", "pid": {}}}"#, child.id());
    folder.replace("call-state", &statement);
    assert_eq!(signal.next().await.reading, by(CallState::InCall, "cat"));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    // A process that is already gone, and one that is younger than the file that names it.
    folder.replace("call-state", &statement);
    let own = format!(r#"{{"state": "presenting", "pid": {}}}"#, std::process::id());
    fs::write(folder.join("old"), own).unwrap();
    let file = fs::File::options().write(true).open(folder.join("old")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    fs::rename(folder.join("old"), folder.join("call-state")).unwrap();
    folder.replace("call-state", "conference");
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
}

#[tokio::test]
async fn a_state_ends_at_its_time() {
    let folder = Folder::new();
    let clock = ManualClock::at(NOON);
    folder.replace("call-state", r#"{"state": "conference", "expires_at": "2026-11-23T13:30:00+01:00"}"#);
    let mut signal = follow(&clock, &folder.join("call-state"));
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
    clock.pass(Duration::from_mins(30)).await;
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    folder.replace("call-state", r#"{"state": "in-call", "expires_at": "2026-11-23T13:00:00Z"}"#);
    assert_eq!(signal.next().await.reading, is(CallState::InCall));
    // Somebody sets the clock.
    clock.set_wall("2026-11-23T13:00:00Z", TimeZone::UTC);
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
}

#[tokio::test]
async fn half_a_file_holds_the_last_state_for_five_seconds() {
    let folder = Folder::new();
    let clock = ManualClock::at(NOON);
    folder.replace("call-state", "conference");
    let mut signal = follow(&clock, &folder.join("call-state"));
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
    folder.replace("call-state", "{\n  \"state\": \"in-");
    clock.pass(Duration::from_secs(5)).await;
    assert_unknown(&signal.next().await, Code::CallStateInvalid, "call-state:2:15 is malformed");
    folder.replace("call-state", "in-call");
    let healed = signal.next().await;
    assert_eq!((healed.reading, healed.warnings.len()), (is(CallState::InCall), 0));
    // A file that is completed in time is never seen half-written.
    folder.replace("call-state", "{");
    folder.replace("call-state", "presenting");
    assert_eq!(signal.next().await.reading, is(CallState::Presenting));
}

#[tokio::test]
async fn a_writer_that_keeps_the_file_open_is_seen_when_it_is_quiet() {
    let folder = Folder::new();
    let clock = ManualClock::at(NOON);
    let mut signal = follow(&clock, &folder.join("call-state"));
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    let mut file = fs::File::create(folder.join("call-state")).unwrap();
    file.write_all(b"in-call").unwrap();
    clock.pass(Duration::from_millis(100)).await;
    signal.until(|observation| observation.reading == is(CallState::InCall)).await;
}

#[tokio::test]
async fn what_is_broken_from_the_start_is_unknown_at_once() {
    let folder = Folder::new();
    folder.replace("call-state", "ringing");
    let mut signal = follow(&ManualClock::at(NOON), &folder.join("call-state"));
    assert_unknown(&signal.next().await, Code::CallStateInvalid, "`ringing` is not a call state");
}

#[tokio::test]
async fn only_small_regular_files_are_read() {
    let folder = Folder::new();
    let huge = folder.join("huge");
    fs::File::create(&huge).unwrap().set_len(50_000_000).unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &huge);
    assert_unknown(&signal.next().await, Code::CallStateInvalid, "larger than 64 KiB");

    let fifo = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut signal = follow(&ManualClock::at(NOON), &fifo);
    assert_unknown(&signal.next().await, Code::CallStateInvalid, "not a regular file");
    fs::remove_file(&fifo).unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_unknown_until_it_may() {
    obey_permissions();
    let folder = Folder::new();
    let path = folder.join("call-state");
    fs::write(&path, "in-call").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let mut signal = follow(&ManualClock::at(NOON), &path);
    assert_unknown(&signal.next().await, Code::CallStateUnreadable, "cannot be read");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::InCall));
}

#[tokio::test]
async fn a_folder_that_cannot_be_watched_is_looked_at_now_and_then() {
    obey_permissions();
    let folder = Folder::new();
    let clock = ManualClock::at(NOON);
    fs::create_dir(folder.join("closed")).unwrap();
    let path = folder.join("closed/call-state");
    fs::write(&path, "in-call").unwrap();
    fs::set_permissions(folder.join("closed"), fs::Permissions::from_mode(0o300)).unwrap();
    let mut signal = follow(&clock, &path);
    let observation = signal.next().await;
    assert_eq!(observation.reading, is(CallState::InCall));
    assert_eq!(observation.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), [Code::WatchFailed]);
    fs::write(&path, "conference").unwrap();
    clock.pass(Duration::from_millis(100)).await;
    assert_eq!(signal.next().await.reading, is(CallState::Conference));
    fs::set_permissions(folder.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    clock.pass(Duration::from_millis(200)).await;
    assert!(signal.next().await.warnings.is_empty());
    fs::write(&path, "presenting").unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Presenting));
}

#[tokio::test]
async fn the_rename_of_a_folder_above_that_may_not_be_read_counts_within_a_minute() {
    obey_permissions();
    let folder = Folder::new();
    let clock = ManualClock::at(NOON);
    fs::create_dir_all(folder.join("closed/open")).unwrap();
    fs::write(folder.join("closed/open/call-state"), "in-call").unwrap();
    fs::set_permissions(folder.join("closed"), fs::Permissions::from_mode(0o300)).unwrap();
    let mut signal = follow(&clock, &folder.join("closed/open/call-state"));
    let first = signal.next().await;
    assert_eq!((first.reading, first.watched), (is(CallState::InCall), Some(Watched::Polled)));
    assert!(first.warnings.is_empty(), "nothing is wrong: {:?}", first.warnings);
    fs::rename(folder.join("closed"), folder.join("away")).unwrap();
    clock.pass(Duration::from_secs(20)).await;
    assert_eq!(signal.next().await.reading, is(CallState::Idle));
    fs::set_permissions(folder.join("away"), fs::Permissions::from_mode(0o700)).unwrap();
}
