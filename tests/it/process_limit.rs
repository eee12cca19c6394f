//! The real program where the system refuses it threads and processes (`ulimit -u`, `TasksMax`, `podPidsLimit`).

use std::process::Stdio;
use std::time::Duration;

use presenced::status::report::State;

use crate::stage::house::{House, guarded};
use crate::stage::task_limit::TaskLimit;

/// For how long tokio keeps a thread for blocking work that has nothing to do, unless told otherwise.
const TOKIO_KEEPS_THREADS: Duration = Duration::from_secs(10);

/// A calendar with one meeting that began yesterday and ends in ten years.
const MEETING: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//presenced//test//EN\r\nBEGIN:VEVENT\r\nUID:1@test.invalid\r\n\
    DTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nDTEND:20360101T000000Z\r\nSUMMARY:Long\r\nEND:VEVENT\r\n\
    END:VCALENDAR\r\n";

/// Everything that starts a thread or a process: files, the first secret and the lock of the session.
fn configuration(house: &House) -> String {
    house.configuration().replace(r#"{ env = "BOT_SECRET" }"#, r#"{ command = ["echo", "emulator-secret"] }"#)
        + "[signals.calendar]\nsources = [{ path = \"calendars\" }]\n"
}

#[tokio::test]
async fn a_daemon_that_gets_no_thread_says_so_and_ends() {
    let house = House::new().await;
    house.write("config.toml", configuration(&house));
    let mut command = house.command(&["run"]);
    let _limit = TaskLimit::of(&mut command, 1);
    let output = guarded("its end", command.stdout(Stdio::null()).output()).await.unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("cannot start a thread: Resource temporarily unavailable"), "{complaint}");
    assert!(complaint.contains("raise the limit of processes"), "{complaint}");
}

/// One thread is enough to go on; what needs more says so, and works once the limit is higher.
#[tokio::test]
async fn a_daemon_that_gets_one_thread_goes_on_and_says_what_is_missing() {
    let mut house = House::new().await;
    std::fs::create_dir(house.path("calendars")).unwrap();
    house.write("config.toml", configuration(&house));
    let mut limit = None;
    let daemon = house.start_with(&[], |command| limit = Some(TaskLimit::of(command, 2))).await;
    let limit = limit.expect("the command was changed");
    let report = daemon
        .report("the refused process", |report| {
            let account = &report.accounts["work"];
            account.state == State::Retrying && !report.warnings.is_empty()
        })
        .await;
    let texts: Vec<_> = report.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("the limit of processes is reached")), "{texts:?}");

    limit.set(daemon.pid(), 100);
    house.seen("Available/Available").await;
    house.write("calendars/work.ics", MEETING);
    house.seen("Busy/InAConferenceCall").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a thread that does not end has no event to wait for")]
async fn a_limit_that_is_reached_later_changes_nothing() {
    let mut house = House::new().await;
    std::fs::create_dir(house.path("calendars")).unwrap();
    house.write("config.toml", configuration(&house));
    let mut limit = None;
    let daemon = house.start_with(&[], |command| limit = Some(TaskLimit::of(command, 100))).await;
    let limit = limit.expect("the command was changed");
    house.seen("Available/Available").await;
    tokio::time::sleep(TOKIO_KEEPS_THREADS + Duration::from_secs(1)).await;
    limit.set(daemon.pid(), 1);
    house.write("calendars/work.ics", MEETING);
    house.seen("Busy/InAConferenceCall").await;
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    // Its names are looked up by the system's resolver, on a thread.
    house.write("config.toml", configuration(&house).replace("http://127.0.0.1", "http://localhost"));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    let report = daemon.report("the refused process", |report| report.accounts["work"].state == State::Retrying).await;
    let error = report.accounts["work"].last_error.as_ref().expect("it retries");
    assert!(error.text.contains("cannot be run: Resource temporarily unavailable"), "{}", error.text);
    limit.set(daemon.pid(), 100);
    daemon.report("holding again", |report| report.accounts["work"].state == State::Holding).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}
