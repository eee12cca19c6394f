//! Files on file systems that do not report every change, or do not answer: an overlay, FUSE, mounts that come and go. Each test
//! runs in mounts of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use presenced::config;
use presenced::policy::{Call, CallState, Reading};
use presenced::signals::{Buses, Update, Watched, call};
use presenced::status::report::{Health, Report};
use presenced::warning::Code;

use crate::calendar_signal::{NOON, event};
use crate::stage::house::{Daemon, House, guarded};
use crate::stage::lapse::Lapse;
use crate::stage::mounts::{Fuse, Overlay, in_mounts_of_its_own, mount, on_a_tmpfs, unmount};
use crate::stage::signal_bench::{ManualClock, Signal};

fn follow(clock: &Arc<ManualClock>, path: &Path) -> Signal<Call> {
    let config = config::Call { path: path.to_owned(), owners: None, stale_after: None };
    let unwrap = |update| if let Update::Call(observation) = update { Some(observation) } else { None };
    Signal::start(clock, Buses::default(), unwrap, |context| call::run(config, context))
}

fn is(state: CallState) -> Reading<Call> {
    Reading::Known(Call { state, app: None })
}

fn value<'a>(report: &'a Report, signal: &str) -> &'a str {
    report.signals.get(signal).map_or("", |signal| &signal.value)
}

fn warns(report: &Report, code: Code) -> bool {
    report.warnings.iter().any(|warning| warning.code == code)
}

#[tokio::test]
async fn a_change_below_an_overlay_counts_within_a_minute() {
    in_mounts_of_its_own("file_systems::below_an_overlay").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `a_change_below_an_overlay_counts_within_a_minute` starts it there"]
async fn below_an_overlay() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let overlay = Overlay::with(folder.path(), &[("call-state", "idle")]).await;
    // 1000 seconds after its origin, so the next whole minute is 20 seconds away.
    let clock = ManualClock::at(NOON);
    let mut signal = follow(&clock, &overlay.merged.join("call-state"));
    let first = signal.next().await;
    assert_eq!((first.reading, first.watched), (is(CallState::Idle), Some(Watched::Polled)));
    for (wait, state) in [(20, CallState::InCall), (60, CallState::Conference)] {
        fs::write(overlay.upper.join("call-state"), state.as_str()).unwrap();
        clock.pass(Duration::from_secs(wait)).await;
        assert_eq!(signal.next().await.reading, is(state));
    }
    // What happens in the merged folder is an event as everywhere.
    fs::write(overlay.merged.join("call-state"), "presenting").unwrap();
    assert_eq!(signal.next().await.reading, is(CallState::Presenting));
    // Half a write is looked at again when its grace period is over, and not only a minute later.
    fs::write(overlay.upper.join("call-state"), "{").unwrap();
    clock.pass(Duration::from_mins(1)).await;
    clock.is_waited_for(Duration::from_secs(5)).await;
    fs::write(overlay.upper.join("call-state"), "in-call").unwrap();
    clock.pass(Duration::from_secs(5)).await;
    signal.until(|seen| seen.reading == is(CallState::InCall)).await;
}

#[tokio::test]
async fn a_file_that_is_mounted_by_itself_is_looked_at() {
    in_mounts_of_its_own("file_systems::mounted_by_itself").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `a_file_that_is_mounted_by_itself_is_looked_at` starts it there"]
async fn mounted_by_itself() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let (there, here) = (folder.path().join("there"), folder.path().join("here"));
    fs::write(&there, "conference").unwrap();
    fs::write(&here, "idle").unwrap();
    let house = house_with(&here, &folder.path().join("work.ics")).await;
    let daemon = house.start_fast(60).await;
    let watched = |call: &'static str, watched| {
        move |report: &Report| {
            report.signals.get("call").is_some_and(|signal| (&*signal.value, signal.watched) == (call, Some(watched)))
        }
    };
    daemon.report("the file", watched("idle", Watched::Events)).await;
    mount(&["--bind", there.to_str().unwrap()], &here).await;
    daemon.report("the file over it", watched("conference", Watched::Polled)).await;
    fs::write(&there, "in-call").unwrap();
    daemon.report("its change", watched("in-call", Watched::Polled)).await;
    unmount(&here).await;
    daemon.report("the file again", watched("idle", Watched::Events)).await;
}

#[tokio::test]
async fn a_keepalive_looks_too() {
    in_mounts_of_its_own("file_systems::with_a_keepalive").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `a_keepalive_looks_too` starts it there"]
async fn with_a_keepalive() {
    on_a_tmpfs().await;
    let overlay = Overlay::with(&std::env::temp_dir(), &[]).await;
    tempfile::env::override_temp_dir(&overlay.merged).unwrap();
    let lapse = Lapse::start(NOON, presenced_emulator::Options::default(), Vec::new(), &over(), "").await;
    let folder = lapse.history().parent().unwrap().strip_prefix(&overlay.merged).unwrap().to_owned();
    let call = |wanted: &'static str| move |report: &Report| value(report, "call") == wanted;
    lapse.write("call-state", "conference");
    lapse.settle("a call", call("conference")).await;
    lapse.write("call-state", "idle");
    lapse.settle("its end", call("idle")).await;
    // Available is sent now, and again after 4 minutes. The looks are at 200 and 260 seconds.
    lapse.pass(Duration::from_secs(205)).await;
    fs::write(overlay.upper.join(folder).join("call-state"), "in-call").unwrap();
    lapse.pass(Duration::from_secs(34)).await;
    assert_eq!(value(&lapse.report(), "call"), "idle");
    lapse.pass(Duration::from_secs(1)).await;
    lapse.settle("the call", call("in-call")).await;
}

#[tokio::test]
async fn an_ordinary_file_system_is_not_looked_at() {
    in_mounts_of_its_own("file_systems::on_an_ordinary_file_system").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `an_ordinary_file_system_is_not_looked_at` starts it there"]
async fn on_an_ordinary_file_system() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call-state");
    let clock = ManualClock::at(NOON);
    let mut signal = follow(&clock, &path);
    for state in [CallState::InCall, CallState::Idle, CallState::Conference] {
        // In one step: during a write there is a timer.
        let next = folder.path().join(".next");
        fs::write(&next, state.as_str()).unwrap();
        fs::rename(next, &path).unwrap();
        let seen = signal.until(|seen| seen.reading == is(state)).await;
        assert_eq!((seen.watched, clock.next_wakeup()), (Some(Watched::Events), None));
    }
}

/// A house whose call-state file and calendar are in `folder`.
async fn house(folder: &Path) -> House {
    house_with(&folder.join("call-state"), &folder.join("work.ics")).await
}

async fn house_with(call: &Path, calendar: &Path) -> House {
    let house = House::new().await;
    let [call, calendar] = [call, calendar].map(|path| toml::Value::from(path.to_str().unwrap()).to_string());
    let signals = format!("[signals.call]\npath = {call}\n[signals.calendar]\nsources = [{{ path = {calendar} }}]\n");
    house.write("config.toml", house.account("work") + &signals);
    house
}

async fn reports(daemon: &Daemon, what: &str, call: &str, calendar: &str) -> Report {
    let matches = |report: &Report| (value(report, "call"), value(report, "calendar")) == (call, calendar);
    daemon.report(what, matches).await
}

/// A calendar whose one event lasts longer than any test.
fn endless() -> String {
    event("a", "20200101T000000Z", "20991231T000000Z")
}

/// A calendar whose one event is over.
fn over() -> String {
    event("a", "20200101T000000Z", "20200101T010000Z")
}

#[tokio::test]
async fn what_is_not_an_event_is_said_by_status_and_doctor() {
    in_mounts_of_its_own("file_systems::status_and_doctor").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `what_is_not_an_event_is_said_by_status_and_doctor` starts it there"]
async fn status_and_doctor() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let overlay = Overlay::with(folder.path(), &[("call-state", "idle"), ("work.ics", &endless())]).await;
    let house = house(&overlay.merged).await;
    // A minute of its clock is a second.
    let daemon = house.start_fast(60).await;
    reports(&daemon, "the readings", "idle", "busy").await;
    fs::write(overlay.upper.join("call-state"), "in-call").unwrap();
    fs::write(overlay.upper.join("work.ics"), over()).unwrap();
    let report = reports(&daemon, "the changes of the layer", "in-call", "free").await;
    let watched = |name: &str| report.signals[name].watched;
    assert_eq!((watched("call"), watched("calendar")), (Some(Watched::Polled), Some(Watched::Polled)));
    let (_, json, _) = house.ask(&["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["signals"]["call"]["watched"], "polled");
    let (_, text, _) = house.ask(&["status"]).await;
    assert_eq!(text.matches("checked each minute").count(), 2, "{text}");
    let (_, doctor, _) = house.ask(&["doctor", "--json"]).await;
    let doctor: serde_json::Value = serde_json::from_str(&doctor).unwrap();
    for name in ["call", "calendar"] {
        let check = doctor["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap();
        assert!(
            check["found"].as_str().unwrap().contains("merged is on overlayfs, where the kernel may not"),
            "{check}"
        );
    }
}

#[tokio::test]
async fn what_is_mounted_over_a_folder_counts_at_once() {
    in_mounts_of_its_own("file_systems::mounted_over_a_folder").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `what_is_mounted_over_a_folder_counts_at_once` starts it there"]
async fn mounted_over_a_folder() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("disk/my files");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("call-state"), "idle").unwrap();
    fs::write(files.join("work.ics"), over()).unwrap();
    let house = house(&files).await;
    let daemon = house.start().await;
    let report = reports(&daemon, "the readings", "idle", "free").await;
    assert_eq!(report.signals["call"].watched, Some(Watched::Events));
    // Over the folder above, and then over the folder itself.
    for place in [folder.path().join("disk"), files.clone()] {
        mount(&["-t", "tmpfs", "tmpfs"], &place).await;
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("call-state"), "in-call").unwrap();
        fs::write(files.join("work.ics"), endless()).unwrap();
        reports(&daemon, "what was mounted", "in-call", "busy").await;
        unmount(&place).await;
        reports(&daemon, "what was there before", "idle", "free").await;
    }
}

#[tokio::test]
async fn a_file_system_that_does_not_answer_stalls_nothing() {
    in_mounts_of_its_own("file_systems::that_does_not_answer").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `a_file_system_that_does_not_answer_stalls_nothing` starts it there"]
async fn that_does_not_answer() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let fuse = Fuse::in_folder(folder.path()).await;
    fs::write(fuse.source.join("call-state"), "idle").unwrap();
    fs::write(fuse.source.join("work.ics"), endless()).unwrap();
    let mut house = house(&fuse.mounted).await;
    let daemon = house.start_fast(60).await;
    let report = reports(&daemon, "the readings", "idle", "busy").await;
    assert_eq!(report.signals["call"].watched, Some(Watched::Polled));
    fs::write(fuse.source.join("call-state"), "in-call").unwrap();
    reports(&daemon, "a change by another machine", "in-call", "busy").await;
    house.seen("Busy/InACall").await;

    fuse.stall();
    // The calendar is what it was, with a warning; a call may have ended.
    let report = reports(&daemon, "that nothing answers", "unknown", "busy").await;
    let late = |report: &Report| {
        warns(report, Code::CalendarUnreadable)
            && warns(report, Code::CallStateUnreadable)
            && report.signals["calendar"].health == Health::Degraded
    };
    let report = if late(&report) { report } else { daemon.report("both warnings", late).await };
    assert_eq!(report.health, Health::Degraded);
    let text = &report.warnings.iter().find(|warning| warning.code == Code::CalendarUnreadable).unwrap().text;
    assert!(text.contains("/mounted does not answer or is slow; presenced uses what it read before"), "{text}");
    // Everything else works on.
    house.seen("Busy/InAConferenceCall").await;
    let (code, ..) = house.ask(&["set", "Away/Away"]).await;
    assert_eq!(code, 0);
    house.seen("Away/Away").await;
    let (code, ..) = house.ask(&["unset"]).await;
    assert_eq!(code, 0);

    fuse.answer();
    let healthy = daemon.report("that all is read again", |report| report.health == Health::Ok).await;
    assert_eq!((value(&healthy, "call"), value(&healthy, "calendar")), ("in-call", "busy"));

    fuse.stall();
    daemon.report("that nothing answers again", late).await;
    // A thread that waits for the file system does not hold up the end.
    let ended = guarded("the end", daemon.stop()).await;
    assert!(ended.success());
}
