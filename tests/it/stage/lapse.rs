//! Time-lapse: the real daemon and an emulated Graph, joined by real sockets and files, on one clock that jumps to the next
//! wakeup whenever both rest.
//!
//! So a week passes in seconds, and yet no request takes any of its time: what others see can be compared with what they
//! should see to the nanosecond, on a machine of any speed. A clock that merely runs fast cannot do that: it multiplies the
//! machine's own delays. What this leaves out, the death of a real process, is in `kill`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use presenced::config::{Config, Environment};
use presenced::daemon::{Daemon, Options};
use presenced::signals::{Buses, FileWatcher};
use presenced::status::report::Report;
use presenced::status::{Client, Listen};
use presenced::time::Clock as _;
use presenced_emulator::{Emulator, Fault, Timeline};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::house::{CLIENT_ID, USER, guarded};
use super::signal_bench::ManualClock;

/// The daemon's only account.
const ACCOUNT: &str = "work";

/// A daemon, an emulator and their clock.
pub(crate) struct Lapse {
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    address: String,
    options: presenced_emulator::Options,
    plan: Vec<Fault>,
    pub(crate) emulator: Emulator,
    serving: JoinHandle<()>,
    /// Since when there is this emulator, and what others saw of those before, each from when until when.
    emulator_since: Timestamp,
    timelines: Vec<(Timestamp, Timestamp, Timeline)>,
    daemon: Option<Running>,
    /// How many daemons there were.
    daemons: usize,
    rules: String,
}

struct Running {
    task: JoinHandle<()>,
    reports: watch::Receiver<Arc<Report>>,
    socket: PathBuf,
}

impl Lapse {
    /// Both at work from `wall` on; the daemon watches the call-state file `call-state` and the calendar `work.ics`, and goes
    /// by `rules`; the emulator follows `plan`.
    pub(crate) async fn start(
        wall: &str,
        options: presenced_emulator::Options,
        plan: Vec<Fault>,
        calendar: &str,
        rules: &str,
    ) -> Self {
        let clock = ManualClock::at(wall);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (emulator, serving) = serve(&clock, &options, &plan, listener);
        let mut lapse = Self {
            emulator_since: clock.now().wall,
            clock,
            folder: tempfile::tempdir().unwrap(),
            address,
            options,
            plan,
            emulator,
            serving,
            timelines: Vec::new(),
            daemon: None,
            daemons: 0,
            rules: rules.to_owned(),
        };
        lapse.write("work.ics", calendar);
        lapse.start_daemon().await;
        lapse
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Writes a file, whole and in place of the old one.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let next = self.folder.path().join(".next");
        std::fs::write(&next, content).unwrap();
        std::fs::rename(next, self.folder.path().join(name)).unwrap();
    }

    /// The file of the history.
    pub(crate) fn history(&self) -> std::path::PathBuf {
        self.folder.path().join("history.jsonl")
    }

    /// Starts the daemon, and waits until it rests.
    pub(crate) async fn start_daemon(&mut self) {
        let folder = self.folder.path();
        let environment = Environment {
            runtime_dir: Some(folder.to_owned()),
            lookup: Arc::new(|_| Some("emulator-secret".to_owned())),
            ..Environment::bare(folder)
        };
        let text = format!(
            r#"[accounts.{ACCOUNT}]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ env = "SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
[signals.calendar]
sources = [{{ path = "work.ics" }}]
[signals.call]
path = "call-state"
{rules}
"#,
            address = self.address,
            rules = self.rules,
        );
        let config = Config::parse(&text, &folder.join("config.toml"), &environment).unwrap().config;
        // A killed task leaves its server behind, as no killed process does.
        self.daemons += 1;
        let socket = folder.join(format!("{}.sock", self.daemons));
        let daemon = Daemon::new(Options {
            config,
            config_file: None,
            environment,
            clock: self.clock.clone(),
            socket: Listen::At(socket.clone()),
            history: Some(self.history()),
            kept: None,
            buses: Buses { system: Some("unix:path=/nonexistent".to_owned()), session: None },
            file_watcher: FileWatcher::new(),
        })
        .unwrap();
        let reports = daemon.reports();
        let task = tokio::spawn(async move { daemon.run(std::future::pending()).await.unwrap() });
        self.daemon = Some(Running { task, reports, socket });
        self.rest("the start").await;
    }

    /// Ends the daemon without a word to anybody, as SIGKILL does.
    pub(crate) async fn kill_daemon(&mut self) {
        let Running { task, .. } = self.daemon.take().expect("it runs");
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }

    /// Ends the emulator and starts another, which remembers nothing, at the same address.
    pub(crate) async fn restart_emulator(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        self.keep_timeline();
        let address = self.address.clone();
        let listener = guarded("the port", async {
            loop {
                match TcpListener::bind(&address).await {
                    Ok(listener) => return listener,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        (self.emulator, self.serving) = serve(&self.clock, &self.options, &self.plan, listener);
        self.emulator_since = self.now();
    }

    fn keep_timeline(&mut self) {
        self.timelines.push((self.emulator_since, self.now(), self.emulator.timeline(USER).unwrap()));
    }

    /// What others saw of the emulators, each from when until when.
    pub(crate) fn timelines(mut self) -> Vec<(Timestamp, Timestamp, Timeline)> {
        self.keep_timeline();
        std::mem::take(&mut self.timelines)
    }

    /// The daemon's status socket.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.daemon.as_ref().expect("it runs").socket).await.unwrap()
    }

    /// The daemon's report.
    pub(crate) fn report(&self) -> Arc<Report> {
        self.daemon.as_ref().expect("it runs").reports.borrow().clone()
    }

    /// Waits, while time stands still, until the report is like this and nothing is under way.
    pub(crate) async fn settle(&self, what: &str, matches: impl Fn(&Report) -> bool) {
        guarded(what, async {
            while !self.rests() || !matches(&self.report()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Waits, while time stands still, until nothing is under way.
    pub(crate) async fn rest(&self, what: &str) {
        guarded(what, async {
            while !self.rests() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Whether everybody waits for time to pass: nobody is due, and no request is in flight, during which there is no `next`.
    fn rests(&self) -> bool {
        let nobody_is_due = self.clock.next_wakeup().is_none_or(|at| at > self.clock.now().instant);
        nobody_is_due
            && self.daemon.as_ref().is_none_or(|daemon| {
                daemon.reports.borrow().accounts.get(ACCOUNT).is_some_and(|account| account.next.is_some())
            })
    }

    /// Lets time pass until `wall`, from one wakeup to the next.
    pub(crate) async fn until(&self, wall: Timestamp) {
        loop {
            self.rest("rest").await;
            let now = self.clock.now();
            let end = now.instant_at(wall);
            let next = self.clock.next_wakeup().map_or(end, |next| next.min(end));
            self.clock.advance(next.saturating_since(now.instant));
            if next == end {
                return self.rest("rest at the end").await;
            }
        }
    }

    /// Lets time pass for so long.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.until(self.now() + duration).await;
    }
}

impl Drop for Lapse {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some(daemon) = &self.daemon {
            daemon.task.abort();
        }
    }
}

fn serve(
    clock: &Arc<ManualClock>,
    options: &presenced_emulator::Options,
    plan: &[Fault],
    listener: TcpListener,
) -> (Emulator, JoinHandle<()>) {
    let emulator = Emulator::new(options.clone(), clock.clone());
    for fault in plan {
        emulator.inject(fault.clone()).unwrap();
    }
    let served = emulator.clone();
    let serving = tokio::spawn(async move {
        match served.serve(listener).await {
            Ok(never) => match never {},
            Err(error) => panic!("the emulator stopped serving: {error}"),
        }
    });
    (emulator, serving)
}
