//! Files of presenced's own on a file system that does not answer any more: opening or reading them never returns. The daemon's
//! loop waits for none of them, and SIGTERM ends it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::time::Duration;

use presenced::status::report::{Report, State};
use presenced::warning::Code;
use presenced_emulator::{Approval, DeviceCodeOptions, Options};
use rustix::process::Signal;

use crate::stage::house::{CALL, Daemon, House, personal};
use crate::stage::mounts::{Fuse, in_mounts_of_its_own, on_a_tmpfs};
use crate::stage::reports::{has, warned, work};

/// How long the daemon may take to end. It takes less than 3 s, and the test machine's load comes on top.
const END: Duration = Duration::from_secs(5);

async fn ends(daemon: Daemon) {
    let ended = tokio::time::timeout(END, daemon.stop()).await;
    assert!(ended.expect("it ends in time").success());
}

/// Waits until the daemon knows that Graph holds this. Then it has written its history, and nothing is under way to the file system:
/// the kernel keeps a process until what was already passed to a FUSE server is answered.
async fn holds(daemon: &Daemon, activity: &str) {
    let is_held = |report: &Report| {
        let asserted = work(report).asserted.as_ref();
        work(report).state == State::Holding && asserted.is_some_and(|asserted| asserted.activity == activity)
    };
    daemon.report(activity, is_held).await;
}

/// A house whose state folder is on a file system that may die.
async fn on(fuse: &Fuse, options: Options, account: impl Fn(&House) -> String) -> House {
    let house = House::with(options).await;
    fs::create_dir(house.path(".local")).unwrap();
    std::os::unix::fs::symlink(&fuse.mounted, house.path(".local/state")).unwrap();
    house.write("config.toml", account(&house) + CALL + "[tokens]\nstore = \"file\"\n");
    house
}

#[tokio::test]
async fn a_state_folder_that_dies_stalls_nothing() {
    in_mounts_of_its_own("dead_files::the_state_folder").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `a_state_folder_that_dies_stalls_nothing` starts it there"]
async fn the_state_folder() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let fuse = Fuse::in_folder(folder.path()).await;
    let mut house = on(&fuse, Options::default(), |house| house.account("work")).await;
    let daemon = house.start().await;
    holds(&daemon, "Available").await;

    fuse.stall();
    // What was decided goes out, although neither the history nor what was set can be written.
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    let report = daemon.report("the warning", |report| has(report, Code::HistoryUnwritable)).await;
    assert!(warned(&report).contains("its file system does not answer"), "{}", warned(&report));
    for (command, seen) in [(&["set", "Away/Away"][..], "Away/Away"), (&["unset"], "Busy/InACall")] {
        assert_eq!(house.ask(command).await.0, 0);
        house.seen(seen).await;
    }
    fuse.answer();
    house.write("call-state", "idle");
    house.seen("Available/Available").await;
    // The next record shows it.
    house.write("call-state", "in-call");
    daemon.report("no warning", |report| !has(report, Code::HistoryUnwritable)).await;
    holds(&daemon, "InACall").await;

    fuse.stall();
    ends(daemon).await;
    // What is kept over a restart is there, but does not answer.
    let daemon = house.start().await;
    let failed = |report: &Report| work(report).last_error.is_some();
    let report = daemon.report("that the session cannot be locked", failed).await;
    let error = work(&report).last_error.as_ref().unwrap().text.clone();
    assert!(error.contains("the session cannot be locked") && error.contains("does not answer"), "{error}");
    assert!(daemon.log().contains("cannot be read: its file system does not answer"), "{}", daemon.log());
    ends(daemon).await;
}

#[tokio::test]
async fn a_token_file_that_does_not_answer_stalls_nothing() {
    in_mounts_of_its_own("dead_files::the_token_file").await;
}

#[tokio::test]
#[ignore = "runs in mounts of its own: `a_token_file_that_does_not_answer_stalls_nothing` starts it there"]
async fn the_token_file() {
    on_a_tmpfs().await;
    let folder = tempfile::tempdir().unwrap();
    let fuse = Fuse::in_folder(folder.path()).await;
    let device = DeviceCodeOptions {
        approval: Approval::AfterPolls(0),
        interval: Duration::from_secs(1),
        ..DeviceCodeOptions::default()
    };
    let house = on(&fuse, Options { device, ..Options::default() }, personal).await;
    assert_eq!(house.ask(&["login"]).await.0, 0);
    fuse.stall();
    let daemon = house.start().await;
    let failed = |report: &Report| work(report).last_error.is_some();
    let report = daemon.report("that the token cannot be read", failed).await;
    let error = work(&report).last_error.as_ref().unwrap().text.clone();
    assert!(error.contains("tokens/work.json cannot be read: its file system does not answer"), "{error}");
    assert_eq!(house.ask(&["set", "Away/Away"]).await.0, 0);
    // A reload is answered, and a command ends, although the configuration is there too.
    fs::remove_file(house.path("config.toml")).unwrap();
    std::os::unix::fs::symlink(fuse.mounted.join("config.toml"), house.path("config.toml")).unwrap();
    daemon.signal(Signal::HUP);
    let report = daemon.report("the warning", |report| has(report, Code::ConfigurationInvalid)).await;
    assert!(warned(&report).contains("config.toml cannot be read: its file system does not answer"));
    ends(daemon).await;
}
