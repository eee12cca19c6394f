//! How the daemon starts, runs under a service manager, and stops.

use std::os::unix::net::UnixDatagram;

use presenced::status::report::State;
use presenced_emulator::{Call, Then};
use rustix::process::Signal;

use crate::stage::faults::{on, once};
use crate::stage::house::{CLIENT_ID, House, USER, exists, guarded};
use crate::stage::reports::work;

#[tokio::test]
async fn a_call_is_held_and_stopping_clears() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    let set = house.seen("Available/Available").await;
    assert_eq!(set.path, format!("/v1.0/users/{USER}/presence/setPresence"));
    let body: serde_json::Value = serde_json::from_str(&set.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "sessionId": CLIENT_ID, "availability": "Available", "activity": "Available", "expirationDuration": "PT15M"
        })
    );
    house.write("call-state", "in-call\n");
    house.seen("Busy/InACall").await;
    house.write("call-state", r#"{"state": "presenting", "app": "baresip"}"#);
    house.seen("DoNotDisturb/Presenting").await;
    let report = daemon.report("the reason", |report| work(report).rule.as_deref() == Some("presenting")).await;
    assert_eq!(work(&report).because, "call is presenting (baresip)");
    std::fs::remove_file(house.path("call-state")).unwrap();
    house.seen("Available/Available").await;

    assert!(daemon.stop().await.success());
    assert_eq!(house.visible(), "Offline/Offline");
    assert!(!exists(&house.path("presenced.sock")), "the socket is gone");
}

#[tokio::test]
async fn on_exit_keep_leaves_the_session() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + "[session]\non_exit = \"keep\"\n");
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    assert!(daemon.stop().await.success());
    assert_eq!(house.visible(), "Available/Available");
}

#[tokio::test]
async fn stopping_is_bounded_when_graph_does_not_answer() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.inject(on(Call::Clear, Then::Hang));
    let begun = tokio::time::Instant::now();
    assert!(daemon.stop().await.success());
    // The bound is the daemon's own, 3 s; anything near the request's time-out of 10 s would be wrong.
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_hanging_request_is_given_up_and_the_session_is_still_cleared() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    house.inject(once(on(Call::Set, Then::Hang)));
    house.write("call-state", "in-call");
    daemon.report("the request in flight", |report| work(report).requests.sent == 2).await;
    assert!(daemon.stop().await.success());
    let log = std::fs::read_to_string(house.path("log")).unwrap();
    assert!(log.contains("left") && !log.contains("could not be cleared"), "{log}");
    assert_eq!(house.visible(), "Offline/Offline");
}

#[tokio::test]
async fn a_fast_clock_is_for_emulators() {
    let house = House::new().await;
    let elsewhere = house
        .configuration()
        .lines()
        .filter(|line| !line.starts_with("endpoints"))
        .fold(String::new(), |text, line| text + line + "\n");
    house.write("config.toml", elsewhere);
    let (code, _, error) = house.ask(&["run", "--speed", "60"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("`--speed` works only with an emulator, and account `work` does not use one"), "{error}");
    assert_eq!(house.ask(&["run", "--since", "2026-11-24T08:00:00Z"]).await.0, 2, "since when is there no fast clock");
}

#[tokio::test]
async fn a_second_daemon_is_refused() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let (code, _, error) = house.ask(&["run"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("is already running") && error.contains(&daemon.pid().to_string()), "{error}");
    daemon.report("the first goes on", |report| work(report).state == State::Holding).await;
}

#[tokio::test]
async fn it_does_not_start_with_a_wrong_or_missing_configuration() {
    let house = House::new().await;
    let (code, _, error) = house.ask(&["run"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("config.toml") && error.contains("hint:") || error.contains("help"), "{error}");
    house.write("config.toml", [0xff, 0xfe, 0, 1, 2]);
    assert_eq!(house.ask(&["run"]).await.0, 2);
}

#[tokio::test]
async fn the_service_manager_is_notified() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let manager = UnixDatagram::bind(house.path("notify")).unwrap();
    manager.set_nonblocking(true).unwrap();
    let manager = tokio::net::UnixDatagram::from_std(manager).unwrap();
    let told = async |what: &str| {
        guarded(what, async {
            let mut buffer = [0; 4096];
            loop {
                let length = manager.recv(&mut buffer).await.unwrap();
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if message.contains(what) {
                    return message;
                }
            }
        })
        .await
    };
    let notify = house.path("notify");
    let daemon = house
        .start_with(&[], |command| {
            command.env("NOTIFY_SOCKET", notify).env("WATCHDOG_USEC", "400000");
        })
        .await;
    told("READY=1").await;
    house.seen("Available/Available").await;
    told("STATUS=work: Available/Available").await;
    told("WATCHDOG=1").await;
    told("WATCHDOG=1").await;
    daemon.signal(Signal::HUP);
    told("RELOADING=1").await;
    told("READY=1").await;
    daemon.signal(Signal::TERM);
    told("STOPPING=1").await;
    assert!(daemon.ended().await.success());
}

#[tokio::test]
async fn logs_go_to_rolling_files_and_hold_no_secret() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + "[log]\nlevel = \"debug\"\n");
    let logs = house.path("logs");
    let daemon = house.start_with(&["--log-dir", logs.to_str().unwrap()], |_| {}).await;
    house.seen("Available/Available").await;
    assert!(daemon.stop().await.success());
    let files: Vec<_> = std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let log = std::fs::read_to_string(&files[0]).unwrap();
    assert!(log.contains("decided") && log.contains("client_request_id"), "{log}");
    assert!(!log.contains("emulator-secret") && !log.contains("eyJ"), "{log}");
}
