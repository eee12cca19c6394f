//! The real daemon and an emulated Graph in this process, on one clock that moves only when a test moves it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use presenced::config::{Config, Environment};
use presenced::daemon::{Daemon, Options};
use presenced::signals::{Buses, FileWatcher};
use presenced::status::report::{Report, State};
use presenced::status::{Client, Listen};
use presenced_emulator::{Call, Cause, Emulator, Fault, Outcome, RequestRecord};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::house::{CLIENT_ID, USER, guarded};
use super::signal_bench::ManualClock;

/// A daemon that holds Available on 24 November 2026 from 09:00, with a meeting from 10:00 to 11:00.
pub(crate) struct Desk {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) emulator: Emulator,
    reports: watch::Receiver<Arc<Report>>,
    records: broadcast::Receiver<RequestRecord>,
    folder: tempfile::TempDir,
    running: JoinHandle<()>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        // Nobody's real bus.
        let mut desk = Self::start("unix:path=/nonexistent", "", None).await;
        desk.sets("Available/Available").await;
        desk
    }

    /// A daemon with this as its system and its session bus, with more configuration, and with a fault that meets it from its
    /// first request on.
    pub(crate) async fn start(bus: &str, more: &str, fault: Option<Fault>) -> Self {
        let clock = ManualClock::at("2026-11-24T09:00:00Z");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("work.ics"),
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261124T100000Z\nDURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR\n",
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let emulator = Emulator::new(presenced_emulator::Options::default(), clock.clone());
        let records = emulator.subscribe();
        if let Some(fault) = fault {
            emulator.inject(fault).unwrap();
        }
        let text = format!(
            r#"[accounts.work]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ env = "SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
[signals.calendar]
sources = [{{ path = "work.ics" }}]
{more}"#
        );
        let (serving, (reports, mut daemon)) = (emulator.clone(), run(folder.path(), &text, &clock, bus));
        let running = tokio::spawn(async move {
            tokio::select! {
                served = serving.serve(listener) => panic!("{served:?}"),
                Some(ran) = daemon.join_next() => ran.unwrap(),
            }
        });
        Self { clock, emulator, reports, records, folder, running }
    }

    /// Waits for the next setPresence that succeeds, which must be to this pair.
    pub(crate) async fn sets(&mut self, pair: &str) {
        let set = guarded(pair, async {
            loop {
                let record = self.records.recv().await.unwrap();
                if record.call == Call::Set && record.outcome == Outcome::Answered && record.status == Some(200) {
                    return record;
                }
            }
        })
        .await;
        assert_eq!(set.visible.map(|pair| pair.to_string()).as_deref(), Some(pair));
    }

    /// Waits until the session is in this state.
    pub(crate) async fn stands(&mut self, state: State) {
        let standing =
            self.reports.wait_for(|report| report.accounts.get("work").is_some_and(|work| work.state == state));
        guarded("a state", standing).await.unwrap();
    }

    /// Waits until its report is like this.
    pub(crate) async fn report(&mut self, what: &str, matches: impl Fn(&Report) -> bool) -> Arc<Report> {
        guarded(what, self.reports.wait_for(|report| matches(report))).await.unwrap().clone()
    }

    /// The hook of a screen locker says this through the socket.
    pub(crate) async fn locker_says(&self, word: &str) {
        let mut client = Client::connect(&self.folder.path().join("presenced.sock")).await.unwrap();
        client.set_signal(&"lock".parse().unwrap(), &word.parse().unwrap(), None).await.unwrap();
    }

    /// The machine sleeps for a while without notice: both clocks advance, and nothing runs.
    pub(crate) fn suspend(&self, duration: Duration) {
        self.clock.suspend(duration);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set_clock(&self, wall: &str) {
        self.clock.set_wall(wall, TimeZone::UTC);
    }

    /// Why what others see changed, so far.
    pub(crate) fn causes(&self) -> Vec<Cause> {
        self.emulator.timeline(USER).unwrap().spans.into_iter().map(|span| span.cause).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Runs a daemon in this process, with this configuration, on this clock; its reports, and what ends it when dropped.
pub(crate) fn run(
    folder: &Path,
    config: &str,
    clock: &Arc<ManualClock>,
    bus: &str,
) -> (watch::Receiver<Arc<Report>>, JoinSet<()>) {
    let environment = Environment {
        runtime_dir: Some(folder.to_owned()),
        lookup: Arc::new(|_| Some("emulator-secret".to_owned())),
        ..Environment::bare(folder)
    };
    let config = Config::parse(config, &folder.join("config.toml"), &environment).unwrap().config;
    let daemon = Daemon::new(Options {
        config,
        config_file: None,
        environment,
        clock: clock.clone(),
        socket: Listen::At(folder.join("presenced.sock")),
        history: None,
        kept: Some(folder.join("kept.json")),
        buses: Buses { system: Some(bus.to_owned()), session: Some(bus.to_owned()) },
        file_watcher: FileWatcher::new(),
    })
    .unwrap();
    let reports = daemon.reports();
    let mut running = JoinSet::new();
    running.spawn(async move { daemon.run(std::future::pending()).await.unwrap() });
    (reports, running)
}
