//! Time that does not simply pass: suspends and clock changes, with the real daemon and an emulated Graph on one clock that
//! moves only when the test moves it.
//!
//! What is not tested here: that the kernel's timers see a real suspend and a real change of the clock. The one cannot be
//! made and the other must not be on a machine that runs tests; `daemon/clock.rs` asks the kernel for both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use presenced::config::{Config, Environment};
use presenced::daemon::{Daemon, Options};
use presenced::emulator::{self, Call, Cause, Emulator, Fault, Outcome, RequestRecord};
use presenced::signals::Buses;
use presenced::status::Listen;
use presenced::status::report::{Report, State};
use presenced::time::Clock as _;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::house::{CLIENT_ID, USER, guarded};
use crate::signal_bench::ManualClock;

const MINUTE: Duration = Duration::from_mins(1);

/// A daemon that holds Available on 24 November 2026 from 09:00, with a meeting from 10:00 to 11:00.
pub(crate) struct Desk {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) emulator: Emulator,
    reports: watch::Receiver<Arc<Report>>,
    records: broadcast::Receiver<RequestRecord>,
    _folder: tempfile::TempDir,
    running: JoinHandle<()>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        // Nobody's real bus.
        let mut desk = Self::start("unix:path=/nonexistent", "", None).await;
        desk.sets("Available/Available").await;
        desk
    }

    /// A daemon on this system bus, with more configuration, and with a fault that meets it from its first request on.
    pub(crate) async fn start(system: &str, more: &str, fault: Option<Fault>) -> Self {
        let clock = ManualClock::at("2026-11-24T09:00:00Z");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("work.ics"),
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261124T100000Z\nDURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR\n",
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let emulator = Emulator::new(emulator::Options::default(), clock.clone());
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
        let (serving, (reports, mut daemon)) = (emulator.clone(), run(folder.path(), &text, &clock, system));
        let running = tokio::spawn(async move {
            tokio::select! {
                served = serving.serve(listener) => panic!("{served:?}"),
                Some(ran) = daemon.join_next() => ran.unwrap(),
            }
        });
        Self { clock, emulator, reports, records, _folder: folder, running }
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

    /// The machine sleeps for a while without a word: both clocks go on, and nobody runs.
    fn suspend(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    /// Somebody sets the wall clock.
    fn set_clock(&self, wall: &str) {
        self.clock.set_wall(wall, TimeZone::UTC);
    }

    /// Why what others see changed, so far.
    fn causes(&self) -> Vec<Cause> {
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
    system_bus: &str,
) -> (watch::Receiver<Arc<Report>>, JoinSet<()>) {
    let environment = Environment {
        home: folder.to_owned(),
        runtime_dir: Some(folder.to_owned()),
        config_dir: folder.to_owned(),
        state_dir: folder.to_owned(),
        cache_dir: folder.to_owned(),
        lookup: Arc::new(|_| Some("emulator-secret".to_owned())),
        secret_vars: Vec::new(),
    };
    let config = Config::parse(config, &folder.join("config.toml"), &environment).unwrap().config;
    let daemon = Daemon::new(Options {
        config,
        config_file: None,
        environment,
        clock: clock.clone(),
        socket: Listen::At(folder.join("presenced.sock")),
        history: None,
        buses: Buses { system: Some(system_bus.to_owned()), session: None },
    })
    .unwrap();
    let reports = daemon.reports();
    let mut running = JoinSet::new();
    running.spawn(async move { daemon.run(std::future::pending()).await.unwrap() });
    (reports, running)
}

#[tokio::test]
async fn a_suspend_of_a_minute_counts_towards_the_keepalive() {
    let mut desk = Desk::new().await;
    desk.suspend(MINUTE);
    desk.clock.pass(3 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set], "it never faded");
}

#[tokio::test]
async fn after_a_suspend_of_six_minutes_available_is_set_at_once() {
    let mut desk = Desk::new().await;
    desk.suspend(6 * MINUTE);
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set, Cause::Faded, Cause::Set]);
    desk.clock.pass(4 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes().len(), 4, "from then on it is kept as ever");
}

#[tokio::test]
async fn after_a_suspend_into_a_meeting_the_meeting_is_set() {
    let mut desk = Desk::new().await;
    desk.suspend(90 * MINUTE);
    desk.sets("Busy/InAConferenceCall").await;
    desk.clock.pass(12 * MINUTE).await;
    desk.sets("Busy/InAConferenceCall").await;
}

#[tokio::test]
async fn after_a_suspend_of_ten_hours_the_token_and_the_session_are_new() {
    let mut desk = Desk::new().await;
    desk.suspend(Duration::from_hours(10));
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set, Cause::Faded, Cause::Faded, Cause::Expired, Cause::Set]);
    let tokens = desk.emulator.requests().iter().filter(|record| record.call == Call::Token).count();
    assert_eq!(tokens, 2, "the one from before had expired");
}

#[tokio::test]
async fn a_clock_set_forward_by_an_hour_moves_the_calendar_and_no_keepalive() {
    let mut desk = Desk::new().await;
    desk.suspend(3 * MINUTE);
    desk.set_clock("2026-11-24T10:03:00Z");
    desk.sets("Busy/InAConferenceCall").await;
    desk.set_clock("2026-11-24T09:03:00Z");
    desk.sets("Available/Available").await;
    // Four minutes of the clock that nobody sets.
    desk.clock.pass(4 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set, Cause::Set, Cause::Set], "it never faded");
}

#[tokio::test]
async fn a_clock_set_back_by_an_hour_neither_holds_up_nor_hastens_a_keepalive() {
    let mut desk = Desk::new().await;
    desk.set_clock("2026-11-24T08:00:00Z");
    desk.clock.pass(4 * MINUTE).await;
    desk.sets("Available/Available").await;
    assert_eq!(desk.clock.now().wall.to_string(), "2026-11-24T08:04:00Z");
    assert_eq!(desk.causes(), [Cause::Start, Cause::Set], "it never faded");
    let sets = desk.emulator.requests().iter().filter(|record| record.call == Call::Set).count();
    assert_eq!(sets, 2);
}
