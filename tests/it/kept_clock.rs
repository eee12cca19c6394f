//! What was set through the socket, over restarts on a clock that the test moves: the time that is left goes on while presenced
//! does not run, whatever happens to the wall clock.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use presenced::config::{Config, Environment};
use presenced::daemon::{Daemon, Options};
use presenced::policy::Claim;
use presenced::presence::Presence;
use presenced::signals::{Buses, FileWatcher};
use presenced::status::report::Report;
use presenced::status::{Client, Listen};
use presenced::time::Clock as _;
use presenced_emulator::Emulator;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::stage::house::{CLIENT_ID, USER, guarded};
use crate::stage::signal_bench::ManualClock;

/// A folder, an emulator and a clock, which outlive the daemon.
struct Room {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    address: String,
    serving: JoinHandle<()>,
}

/// A daemon at work.
struct Running {
    reports: watch::Receiver<Arc<Report>>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Room {
    async fn new() -> Self {
        let clock = ManualClock::at("2026-11-24T09:00:00Z");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let emulator = Emulator::new(presenced_emulator::Options::default(), clock.clone());
        let serving = tokio::spawn(async move {
            let Err(error) = emulator.serve(listener).await;
            panic!("{error}");
        });
        Self { folder: tempfile::tempdir().unwrap(), clock, address, serving }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Running {
        let address = &self.address;
        let text = format!(
            r#"[accounts.work]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ env = "SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
"#
        );
        let environment = Environment {
            runtime_dir: Some(self.folder.path().to_owned()),
            lookup: Arc::new(|_| Some("emulator-secret".to_owned())),
            ..Environment::bare(self.folder.path())
        };
        let daemon = Daemon::new(Options {
            config: Config::parse(&text, &self.path("config.toml"), &environment).unwrap().config,
            config_file: None,
            environment,
            clock: self.clock.clone(),
            socket: Listen::At(self.path("presenced.sock")),
            history: None,
            kept: Some(self.path("kept.json")),
            // Nobody's real bus.
            buses: Buses { system: Some("unix:path=/nonexistent".to_owned()), session: None },
            file_watcher: FileWatcher::new(),
        })
        .unwrap();
        let reports = daemon.reports();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move { daemon.run(async { drop(stopped.await) }).await.unwrap() });
        Running { reports, stop, ended }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.path("presenced.sock")).await.unwrap()
    }

    async fn set_signal(&self, name: &str, minutes: u64) {
        let (name, value) = (name.parse().unwrap(), "on".parse().unwrap());
        self.client().await.set_signal(&name, &value, Some(Duration::from_mins(minutes))).await.unwrap();
    }

    async fn set_override(&self, minutes: u64) {
        let claim = Claim::Hold(Presence::Presenting);
        self.client().await.set_override(claim, Some(Duration::from_mins(minutes))).await.unwrap();
    }

    /// How far away an end is, in seconds of the wall clock.
    fn left(&self, until: Option<Timestamp>) -> i64 {
        until.unwrap().duration_since(self.clock.now().wall).as_secs()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Running {
    async fn report(&mut self, what: &str, matches: impl Fn(&Report) -> bool) -> Arc<Report> {
        guarded(what, self.reports.wait_for(|report| matches(report))).await.unwrap().clone()
    }

    /// The first report after the first decision.
    async fn first(&mut self) -> Arc<Report> {
        self.report("a decision", |report| report.accounts.get("work").is_some_and(|work| work.desired.is_some())).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        guarded("the daemon's end", self.ended).await.unwrap();
    }
}

/// How much time the report shows for the override, in seconds.
fn manual_left(room: &Room, report: &Report) -> Option<i64> {
    report.manual.as_ref().map(|manual| room.left(manual.until))
}

#[tokio::test]
async fn the_time_that_is_left_goes_on_without_presenced_whatever_the_wall_clock_says() {
    let room = Room::new().await;
    let mut daemon = room.start();
    room.set_signal("focus", 30).await;
    room.set_override(20).await;
    // Five minutes each time. The clock is also set back by two hours, and ahead by a year.
    for (wall, focus, manual) in [
        (None, 25, Some(15)),
        (Some("2026-11-24T07:00:00Z"), 20, Some(10)),
        (Some("2027-11-24T07:00:00Z"), 15, Some(5)),
        (None, 10, None),
    ] {
        daemon.stop().await;
        room.clock.advance(Duration::from_mins(5));
        if let Some(wall) = wall {
            room.clock.set_wall(wall, TimeZone::UTC);
        }
        daemon = room.start();
        let report = daemon.first().await;
        assert_eq!(room.left(report.signals["signal.focus"].until), focus * 60, "{wall:?}");
        assert_eq!(manual_left(&room, &report), manual.map(|minutes| minutes * 60), "{wall:?}");
    }
    room.clock.advance(Duration::from_mins(10));
    daemon.report("its end", |report| report.signals["signal.focus"].value == "unknown").await;
    daemon.stop().await;
    let mut daemon = room.start();
    assert!(!daemon.first().await.signals.contains_key("signal.focus"), "it ended before");
    daemon.stop().await;
}

#[tokio::test]
async fn after_a_reboot_the_wall_clock_says_what_is_left_of_an_override() {
    let room = Room::new().await;
    let daemon = room.start();
    room.set_override(20).await;
    room.set_signal("focus", 60).await;
    daemon.stop().await;
    let mut written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(room.path("kept.json")).unwrap()).unwrap();
    written["boot"] = "another".into();
    for (wall, left) in [
        ("2026-11-24T09:15:00Z", Some(5)),
        // The clock has lost a day: nothing counts as passed, and nothing is gained.
        ("2026-11-23T09:00:00Z", Some(20)),
        ("2026-11-24T09:20:00Z", None),
    ] {
        std::fs::write(room.path("kept.json"), written.to_string()).unwrap();
        room.clock.set_wall(wall, TimeZone::UTC);
        let mut daemon = room.start();
        let report = daemon.first().await;
        assert_eq!(manual_left(&room, &report), left.map(|minutes| minutes * 60), "{wall}");
        assert!(!report.signals.contains_key("signal.focus"));
        daemon.stop().await;
        // From now on, this boot's clock counts, however often presenced is restarted.
        room.clock.advance(Duration::from_mins(1));
        room.clock.set_wall("2026-01-01T00:00:00Z", TimeZone::UTC);
        let mut daemon = room.start();
        let report = daemon.first().await;
        assert_eq!(manual_left(&room, &report), left.map(|minutes| (minutes - 1) * 60), "{wall}");
        daemon.stop().await;
    }
}
