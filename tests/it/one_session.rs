//! Two daemons on one machine with the same application and user: only one of them holds the session.

use std::process::Stdio;

use presenced::status::report::{Report, State};
use presenced::warning::Code;
use tokio::process::Command;

use crate::stage::house::{House, guarded};

/// A second daemon in the same house, with its own configuration and socket.
fn second(house: &House) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presenced"));
    command
        .args(["--config".as_ref(), house.path("second.toml").as_os_str()])
        .args(["--socket".as_ref(), house.path("second.sock").as_os_str()])
        .arg("run")
        .env_clear()
        .env("HOME", house.path(""))
        .env("XDG_RUNTIME_DIR", house.path(""))
        .env("BOT_SECRET", "emulator-secret")
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_second_daemon_names_the_first_and_leaves_its_session_alone() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    house.write("second.toml", house.configuration());
    let first = house.start().await;
    house.seen("Available/Available").await;
    let output = guarded("the second daemon", second(&house).output()).await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    let socket = house.path("presenced.sock");
    assert!(error.contains("already holds this user's session"), "{error}");
    assert!(error.contains(&format!("socket {}", socket.display())) && error.contains("hint: stop one"), "{error}");
    assert_eq!(house.visible(), "Available/Available", "the first one still holds it");
    assert!(first.stop().await.success());
    assert_eq!(house.visible(), "Offline/Offline");
    // Now the second one may.
    let _second = second(&house).spawn().unwrap();
    house.seen("Available/Available").await;
}

#[tokio::test]
async fn with_several_accounts_the_held_one_waits_until_it_is_free() {
    let mut house = House::new().await;
    house.write("second.toml", house.configuration());
    let mut other = second(&house).spawn().unwrap();
    house.seen("Available/Available").await;
    let another = house.account("another").replace("client_id = \"2255", "client_id = \"3355");
    house.write("config.toml", house.configuration() + &another);
    let daemon = house.start().await;
    let is_refused = |report: &Report| report.accounts["work"].state == State::Refused;
    let report = daemon.report("refused", is_refused).await;
    let refused = report.warnings.iter().find(|warning| warning.code == Code::Refused && warning.text.contains("work"));
    let refused = refused.unwrap();
    assert!(refused.text.contains("already holds this user's session"), "{refused:?}");
    // The kernel frees the lock of a process that is killed.
    other.kill().await.unwrap();
    daemon.report("holding", |report| report.accounts["work"].state == State::Holding).await;
}
