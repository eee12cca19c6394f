//! What was set through the socket survives a restart of the real program, however it ends, with the time that is left.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use presenced::daemon::kept_path;
use presenced::status::report::Report;
use presenced_emulator::Call;
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::house::{Daemon, House, exists};
use crate::stage::reports::work;

const RULES: &str = "
[history]
enabled = false
[[rules]]
name = \"call\"
when = { signal = { zoom = \"on\" } }
set  = \"Busy/InACall\"
[[rules]]
name = \"rest\"
set  = \"Available/Available\"
";

fn configuration(house: &House) -> String {
    house.account("work") + RULES
}

/// The file of the house's daemon.
fn file(house: &House) -> PathBuf {
    kept_path(&house.path(".local/state/presenced"), &house.path("presenced.sock")).unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

async fn told(house: &House, command: &[&str]) {
    let (code, _, error) = house.ask(command).await;
    assert_eq!((code, error.as_str()), (0, ""), "{command:?}");
}

/// Every presence that was put on the wire after the request `since`.
fn sent(house: &House, since: usize) -> BTreeSet<String> {
    let records = house.emulator.requests();
    let sets = records.iter().skip(since).filter(|record| record.call == Call::Set);
    let activity = |body: &str| serde_json::from_str::<Value>(body).unwrap()["activity"].as_str().unwrap().to_owned();
    sets.map(|record| activity(&record.body)).collect()
}

/// Waits until the daemon knows that Graph holds this.
async fn holds(daemon: &Daemon, activity: &str) -> Report {
    daemon
        .report(activity, |report| work(report).asserted.as_ref().is_some_and(|asserted| asserted.activity == activity))
        .await
}

fn signal<'a>(report: &'a Report, name: &str) -> Option<&'a str> {
    report.signals.get(&format!("signal.{name}")).map(|signal| signal.value.as_str())
}

#[tokio::test]
async fn a_call_survives_whatever_ends_presenced_and_no_available_is_sent_in_it() {
    let house = House::new().await;
    house.write("config.toml", configuration(&house));
    for end in [Signal::TERM, Signal::KILL] {
        let mut daemon = house.start().await;
        holds(&daemon, "Available").await;
        // It ends as soon as the command was answered.
        told(&house, &["signal", "zoom", "on", "--ttl", "1h"]).await;
        daemon.signal(end);
        daemon.gone().await;
        let before = house.emulator.requests().len();
        let daemon = house.start().await;
        let report = holds(&daemon, "InACall").await;
        assert_eq!(sent(&house, before), ["InACall".to_owned()].into(), "{end:?}");
        let restored = &report.signals["signal.zoom"];
        assert_eq!((restored.value.as_str(), restored.until.is_some()), ("on", true));
        assert!(restored.until.unwrap() <= report.started_at + jiff::SignedDuration::from_secs(3601));

        // What was unset does not come back.
        told(&house, &["signal", "zoom", "--unset"]).await;
        assert!(!exists(&file(&house)), "nothing is set");
        let mut daemon = daemon;
        daemon.signal(end);
        daemon.gone().await;
        let before = house.emulator.requests().len();
        let daemon = house.start().await;
        holds(&daemon, "Available").await;
        assert_eq!(sent(&house, before), ["Available".to_owned()].into(), "{end:?}");
        assert!(daemon.stop().await.success());
    }
}

#[tokio::test]
async fn an_override_and_the_hook_of_a_screen_locker_survive() {
    let mut house = House::new().await;
    house.write("config.toml", house.account("work") + "[signals.lock]\nenabled = false\n");
    let mut daemon = house.start().await;
    told(&house, &["signal", "lock", "locked"]).await;
    told(&house, &["set", "dnd", "--for", "2h"]).await;
    daemon.signal(Signal::KILL);
    daemon.gone().await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file(&house)), mode(file(&house).parent().unwrap())), (0o600, 0o700));
    let daemon = house.start().await;
    house.seen("DoNotDisturb/Presenting").await;
    let report = daemon.report("the override", |report| report.manual.is_some()).await;
    assert_eq!(report.signals["lock"].value, "locked");
    assert!(report.manual.unwrap().until.is_some());
    told(&house, &["unset"]).await;
    house.seen("Away/Away").await;
    assert!(read(&file(&house)).get("override").is_none());
    told(&house, &["set", "nothing"]).await;
    assert!(daemon.stop().await.success());
    let daemon = house.start().await;
    let report = daemon.report("the override", |report| report.manual.is_some()).await;
    let manual = report.manual.unwrap();
    assert_eq!((manual.presence.as_str(), manual.until), ("nothing", None));
}

#[tokio::test]
async fn after_a_reboot_or_a_login_only_the_override_holds() {
    let mut house = House::new().await;
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    told(&house, &["signal", "zoom", "on"]).await;
    told(&house, &["set", "dnd"]).await;
    assert!(daemon.stop().await.success());
    let written = read(&file(&house));

    let mut rebooted = written.clone();
    rebooted["boot"] = "another".into();
    write(&file(&house), rebooted.to_string());
    let daemon = house.start().await;
    let report = daemon.report("the override", |report| report.manual.is_some()).await;
    assert_eq!(signal(&report, "zoom"), None);
    let log = daemon.log();
    assert!(log.contains("signals from before the last reboot or login are dropped: zoom"), "{log}");
    assert!(daemon.stop().await.success());

    // The runtime folder is new after a login.
    write(&file(&house), written.to_string());
    fs::create_dir(house.path("run")).unwrap();
    let run = house.path("run");
    let daemon = house
        .start_with(&[], |command| {
            command.env("XDG_RUNTIME_DIR", run);
        })
        .await;
    let report = daemon.report("the override", |report| report.manual.is_some()).await;
    assert_eq!(signal(&report, "zoom"), None);
    told(&house, &["unset"]).await;
    house.seen("Available/Available").await;
    assert!(!exists(&file(&house)), "nothing is set any more");
}

/// Puts something in place of the file.
type Plant<'a> = &'a dyn Fn(&Path);

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_the_next_change_replaces_it() {
    let house = House::new().await;
    house.write("config.toml", configuration(&house));
    let path = file(&house);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let fifo = |path: &Path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
    let others = |path: &Path| {
        write(path, "{}");
        fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
    };
    let link = |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
    let foreign = |path: &Path| {
        write(path, "{}");
        // Only root can give a file away. Another user's test shows the same with a file that others may write to.
        if std::os::unix::fs::chown(path, Some(65534), None).is_err() {
            others(path);
        }
    };
    let plants: [(&str, Plant<'_>); 8] = [
        ("is damaged: ", &|path| write(path, "")),
        ("is damaged: ", &|path| write(path, "{\"version\": 1, \"signals\": ")),
        ("has version 7, and this presenced reads version 1", &|path| write(path, "{\"version\": 7}")),
        ("cannot be read: it is larger than 1 MiB", &|path| write(path, " ".repeat(1_100_000))),
        ("cannot be read: it is a pipe, not a regular file", &fifo),
        ("cannot be read: it is a symbolic link, not a regular file", &link),
        ("cannot be read: it belongs to another user, or others may write to it", &others),
        ("cannot be read: it belongs to another user, or others may write to it", &foreign),
    ];
    for (why, plant) in plants {
        plant(&path);
        let daemon = house.start().await;
        let report = daemon.report("it works", |report| work(report).desired.is_some()).await;
        assert_eq!(work(&report).rule.as_deref(), Some("rest"));
        let log = daemon.log();
        let expected = format!("what was set through the socket is lost: {} {why}", path.display());
        assert!(log.contains(&expected) && log.contains("replaces the file"), "{why}: {log}");
        told(&house, &["signal", "zoom", "on"]).await;
        assert_eq!(read(&path)["signals"]["zoom"]["value"], "on", "{why}");
        assert!(daemon.stop().await.success());
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn without_a_state_folder_it_works_and_says_what_a_restart_forgets() {
    let mut house = House::new().await;
    house.write("config.toml", configuration(&house));
    fs::create_dir_all(house.path(".local/state")).unwrap();
    house.write(".local/state/presenced", "no folder");
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    told(&house, &["signal", "zoom", "on"]).await;
    house.seen("Busy/InACall").await;
    told(&house, &["signal", "zoom", "on", "--ttl", "1h"]).await;
    let log = daemon.log();
    let expected = format!("what is set through the socket does not survive a restart: {}", file(&house).display());
    assert_eq!(log.matches(&expected).count(), 1, "said once: {log}");
    assert!(daemon.stop().await.success());
    // It can be written again.
    fs::remove_file(house.path(".local/state/presenced")).unwrap();
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    told(&house, &["signal", "zoom", "on"]).await;
    assert!(exists(&file(&house)) && daemon.stop().await.success());
}

#[tokio::test]
async fn a_daemon_with_a_fast_clock_keeps_nothing() {
    let house = House::new().await;
    house.write("config.toml", configuration(&house));
    let daemon = house.start_fast(60).await;
    told(&house, &["signal", "zoom", "on"]).await;
    assert!(!exists(&file(&house)) && daemon.stop().await.success());
}
