//! The demo as a new user runs it, and its timing: the daemon and the emulator on one fast clock.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use presenced::config::Config;
use presenced::daemon::clock::SystemClock;
use presenced::daemon::{Daemon, Options};
use presenced::signals::{Buses, FileWatcher};
use presenced::status::Listen;
use presenced::time::Clock as _;
use presenced_emulator::{Call, Emulator, RequestRecord};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::stage::house::{CLIENT_ID, USER, guarded};

/// Runs the demo without a terminal, and returns what it printed.
async fn demo(arguments: &[&str], path: &str) -> (bool, String) {
    let (code, printed) = run(arguments, path).await;
    (code == Some(0), printed)
}

/// The same, with its exit code.
async fn run(arguments: &[&str], path: &str) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_presenced"))
        .arg("demo")
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output();
    let output = guarded("the demo", output).await.unwrap();
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0, "it leaves nothing in the user's folders");
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr))
}

fn path() -> String {
    std::env::var_os("PATH").unwrap().into_string().unwrap()
}

/// The lines that name what was decided, without their times.
fn decisions(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.get(10..).filter(|text| text.contains("(rule `"))).collect()
}

#[tokio::test]
async fn it_shows_the_morning_of_a_sample_day_line_by_line() {
    let (succeeded, printed) = demo(&["--speed", "400", "--for", "10s"], &path()).await;
    assert!(succeeded, "{printed}");
    let expected = [
        "lock is locked: Away/Away (rule `locked`)",
        "call is idle and lock is unlocked and calendar is free: Available/Available (rule `at the desk`)",
        "calendar is busy: Busy/InAConferenceCall (rule `meeting`)",
        "call is idle and lock is unlocked and calendar is free: Available/Available (rule `at the desk`)",
        "call is in-call (softphone): Busy/InACall (rule `call`)",
    ];
    assert_eq!(decisions(&printed)[..expected.len()], expected, "{printed}");
    assert!(printed.contains("fades       0\n") && printed.contains("time wrong  0 s"), "{printed}");
    assert!(!printed.contains('\x1b'), "no terminal, no colours: {printed}");
}

#[tokio::test]
async fn without_a_message_bus_it_says_that_the_lock_is_left_out() {
    // `echo` provides the emulator's secret. There is no dbus-daemon here.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/echo", folder.path().join("echo")).unwrap();
    let (succeeded, printed) = demo(&["--speed", "200", "--for", "2s"], folder.path().to_str().unwrap()).await;
    assert!(succeeded, "{printed}");
    assert!(printed.contains("The screen lock is left out") && printed.contains("package `dbus`"), "{printed}");
    assert_eq!(
        decisions(&printed)[0],
        "call is idle and lock is off and calendar is free: Available/Available (rule `at the desk`)",
        "{printed}"
    );
}

#[tokio::test]
async fn a_named_calendar_replaces_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let calendar = folder.path().join("mine.ics");
    std::fs::write(
        &calendar,
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20200101T000000\nDURATION:P1D\nRRULE:FREQ=DAILY\nEND:VEVENT\n\
         END:VCALENDAR\n",
    )
    .unwrap();
    let arguments = ["--speed", "200", "--for", "2s", "--calendar", calendar.to_str().unwrap()];
    let (succeeded, printed) = demo(&arguments, &path()).await;
    assert!(succeeded, "{printed}");
    let decided = decisions(&printed);
    assert!(decided.contains(&"calendar is busy: Busy/InAConferenceCall (rule `meeting`)"), "{printed}");
    assert!(!decided.iter().any(|decision| decision.contains("at the desk")), "{printed}");
}

#[tokio::test]
async fn a_calendar_that_is_not_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("broken/cut.ics");
    std::fs::create_dir_all(cut.parent().unwrap()).unwrap();
    std::fs::write(&cut, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20200101T000000\nEND:VEVENT\n").unwrap();
    let missing = folder.path().join("none.ics");
    let reason = "cannot be used: it is not complete: it ends before its END:VCALENDAR";
    for (named, file, reason) in
        [(&*cut, &*cut, reason), (cut.parent().unwrap(), &cut, reason), (&missing, &missing, "does not exist")]
    {
        let (code, printed) = run(&["--calendar", named.to_str().unwrap()], &path()).await;
        let expected = format!("error: the calendar {} {reason}\nhint: name a whole .ics file", file.display());
        assert!(code == Some(2) && printed.starts_with(&expected), "{printed}");
    }
    // One of many in a folder is left out.
    let whole = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20200101T000000\nDURATION:P1D\nRRULE:FREQ=DAILY\nEND:VEVENT\n\
                 END:VCALENDAR\n";
    std::fs::write(folder.path().join("broken/whole.ics"), whole).unwrap();
    let broken = cut.parent().unwrap().to_str().unwrap();
    let (succeeded, printed) = demo(&["--speed", "600", "--for", "2s", "--calendar", broken], &path()).await;
    assert!(succeeded && printed.contains("calendar is busy: Busy/InAConferenceCall"), "{printed}");
}

#[tokio::test]
async fn an_invalid_speed_is_refused() {
    for speed in ["0", "nan", "1e9", "fast"] {
        let (succeeded, printed) = demo(&["--speed", speed], &path()).await;
        assert!(!succeeded && printed.contains("the speed must be"), "{speed}: {printed}");
    }
}

/// The keepalives that reach an emulated Graph while a presence is held, at 120 times real time.
async fn keepalives(call_state: &str, count: usize) -> (Vec<RequestRecord>, u64) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("call-state"), call_state).unwrap();
    let clock = Arc::new(SystemClock::scaled(120.0, "2026-11-24T08:00:00Z".parse().unwrap(), TimeZone::UTC));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let emulator = Emulator::new(presenced_emulator::Options::default(), clock.clone());
    let environment = presenced::config::Environment {
        runtime_dir: Some(folder.path().to_owned()),
        ..presenced::config::Environment::bare(folder.path())
    };
    let text = format!(
        r#"[accounts.work]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ command = ["echo", "emulator-secret"] }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
[signals.call]
path = "call-state"
"#
    );
    let config = Config::parse(&text, &folder.path().join("config.toml"), &environment).unwrap().config;
    let daemon = Daemon::new(Options {
        config,
        config_file: None,
        environment,
        clock: clock.clone(),
        socket: Listen::At(folder.path().join("presenced.sock")),
        history: None,
        kept: None,
        buses: Buses::default(),
        file_watcher: FileWatcher::new(),
    })
    .unwrap();
    let mut seen = emulator.subscribe();
    let mut sets = Vec::new();
    let watched = async {
        while sets.len() < count {
            let record = seen.recv().await.unwrap();
            if record.call == Call::Set {
                sets.push(record);
            }
        }
    };
    let serving = emulator.serve(listener);
    tokio::select! {
        served = serving => panic!("{served:?}"),
        ran = daemon.run(guarded("keepalives", watched)) => ran.unwrap(),
    }
    let fades = emulator.state().users[USER].fades;
    assert!(clock.now().wall > sets[0].at);
    (sets, fades)
}

/// The times between one request and the next.
fn gaps(records: &[RequestRecord]) -> Vec<Duration> {
    records.windows(2).map(|pair| Duration::try_from(pair[1].at.duration_since(pair[0].at)).unwrap()).collect()
}

#[tokio::test]
async fn available_is_set_again_every_240_seconds_and_never_fades() {
    let (sets, fades) = keepalives("idle", 5).await;
    for gap in gaps(&sets) {
        // It is early only by the delay of the previous request, and before the fade even on a slow machine.
        assert!(gap > Duration::from_secs(235) && gap < Duration::from_mins(5), "{gap:?}");
    }
    assert_eq!(fades, 0);
    assert!(sets.iter().all(|set| set.body.contains(r#""expirationDuration":"PT15M""#)), "{sets:?}");
}

#[tokio::test]
async fn a_call_of_fifteen_minutes_is_set_again_every_twelve() {
    let (sets, _) = keepalives("in-call", 3).await;
    for gap in gaps(&sets) {
        assert!(gap > Duration::from_mins(11) && gap < Duration::from_mins(15), "{gap:?}");
    }
}
