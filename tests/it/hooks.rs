//! The hooks in `config/hooks/`, each run as its program would run it, against a daemon at work.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::stage::hooks::{hook, house, program, run, signal, start};
use crate::stage::house::{Daemon, House, guarded};

/// A locker that shows nothing, and stays until a key is pressed: a line in its FIFO.
fn locker(house: &House, name: &str) -> PathBuf {
    let key = house.path("key");
    rustix::fs::mknodat(rustix::fs::CWD, &key, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    program(house, name, &format!("read line < '{}'", key.display()));
    key
}

/// Locks by `command`, and unlocks by the key.
async fn locks(house: &House, daemon: &Daemon, command: &str, key: &Path) {
    let mut locking = start(house, "sh", &["-c", command], &[]);
    signal(daemon, "lock", "locked").await;
    fs::write(key, "\n").unwrap();
    signal(daemon, "lock", "unlocked").await;
    assert!(guarded("the locker's end", locking.wait()).await.unwrap().success());
}

#[tokio::test]
async fn swayidle_says_when_swaylock_locks() {
    let (house, daemon) = house().await;
    let key = locker(&house, "swaylock");
    let config = fs::read_to_string(hook("swayidle.conf")).unwrap();
    let commands: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\'').nth(1).expect("a command in quotes"))
        .collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        locks(&house, &daemon, command, &key).await;
    }
}

#[tokio::test]
async fn hypridle_says_when_hyprlock_locks() {
    let (house, daemon) = house().await;
    let key = locker(&house, "hyprlock");
    program(&house, "pidof", "exit 1");
    let config = fs::read_to_string(hook("hypridle.conf")).unwrap();
    let command = config.lines().find_map(|line| line.trim().strip_prefix("lock_cmd = ")).unwrap();
    locks(&house, &daemon, command, &key).await;
}

#[tokio::test]
async fn xss_lock_says_when_i3lock_locks() {
    let (house, daemon) = house().await;
    let key = locker(&house, "i3lock");
    locks(&house, &daemon, hook("xss-lock.sh").to_str().unwrap(), &key).await;
}

#[tokio::test]
async fn obs_says_when_it_is_on_the_air() {
    let (house, daemon) = house().await;
    let obs = |events: &str| {
        format!(
            "active = {{}}
             obslua = {{
                OBS_FRONTEND_EVENT_STREAMING_STARTED = 1, OBS_FRONTEND_EVENT_STREAMING_STOPPED = 2,
                OBS_FRONTEND_EVENT_RECORDING_STARTED = 3, OBS_FRONTEND_EVENT_RECORDING_STOPPED = 4,
                obs_frontend_streaming_active = function() return active.stream end,
                obs_frontend_recording_active = function() return active.record end,
                obs_frontend_add_event_callback = function(callback) on_event = callback end,
             }}
             dofile('{}')
             assert(script_description())
             script_load()
             {events}",
            hook("obs.lua").display()
        )
    };
    run(&house, "lua5.4", &["-e", &obs("on_event(1)")], &[]).await;
    signal(&daemon, "signal.obs", "on").await;
    // It still streams.
    run(&house, "lua5.4", &["-e", &obs("active.stream = true; on_event(4)")], &[]).await;
    signal(&daemon, "signal.obs", "on").await;
    run(&house, "lua5.4", &["-e", &obs("on_event(2)")], &[]).await;
    signal(&daemon, "signal.obs", "off").await;
    run(&house, "lua5.4", &["-e", &obs("script_unload()")], &[]).await;
    daemon.report("no signal", |report| !report.signals.contains_key("signal.obs")).await;
}

#[tokio::test]
async fn baresip_says_when_a_call_is_established() {
    let (house, daemon) = house().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut hook = start(&house, hook("baresip.py"), &[&address], &[]);
    let (mut baresip, _) = guarded("the hook", listener.accept()).await.unwrap();
    let mut say = async |kind: &str, id: &str| {
        let event = format!(r#"{{"event":true,"type":"{kind}","class":"call","id":"{id}","param":"ü"}}"#);
        baresip.write_all(format!("{}:{event},", event.len()).as_bytes()).await.unwrap();
    };
    say("CALL_RINGING", "a").await;
    say("CALL_ESTABLISHED", "a").await;
    let report = daemon.report("a call", |report| report.signals["call"].value == "in-call").await;
    assert_eq!(report.accounts["work"].because, "call is in-call (baresip)");
    say("CALL_ESTABLISHED", "b").await;
    say("CALL_CLOSED", "a").await;
    say("CALL_CLOSED", "b").await;
    signal(&daemon, "call", "idle").await;
    say("CALL_ESTABLISHED", "c").await;
    signal(&daemon, "call", "in-call").await;
    // baresip goes away in the middle of a call, and its hook with it.
    drop(baresip);
    assert!(guarded("the hook's end", hook.wait()).await.unwrap().success());
    signal(&daemon, "call", "idle").await;
}

#[tokio::test]
async fn a_smart_home_says_when_the_door_is_closed() {
    let (house, daemon) = house().await;
    run(&house, hook("webhook.sh"), &["door", "closed"], &[]).await;
    let report = daemon.report("the door", |report| report.signals.contains_key("signal.door")).await;
    let door = &report.signals["signal.door"];
    assert_eq!((&*door.value, &*door.source, door.until.is_some()), ("closed", "curl", true));
}

#[tokio::test]
async fn a_commit_means_focus() {
    let (house, daemon) = house().await;
    let git = async |arguments: &[&str]| {
        let who = ["-c", "user.name=me", "-c", "user.email=me@contoso.com", "-C", "repository"];
        run(&house, "git", &[&who, arguments].concat(), &[]).await;
    };
    fs::create_dir(house.path("repository")).unwrap();
    git(&["init", "--quiet"]).await;
    fs::copy(hook("post-commit"), house.path("repository/.git/hooks/post-commit")).unwrap();
    git(&["commit", "--quiet", "--allow-empty", "--message", "A step"]).await;
    let report = daemon.report("focus", |report| report.signals.contains_key("signal.focus")).await;
    assert!(report.signals["signal.focus"].until.is_some());
}
