//! A house for the real program: a folder, an emulated Graph beside it, and the daemon as a child process that tests
//! watch through its socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use super::http_client::default_client;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use presenced::daemon::clock::SystemClock;
use presenced::status::Client;
use presenced::status::report::Report;
use presenced_emulator::{Emulator, Fault, Options, Outcome, RequestRecord};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// The emulator's user.
pub(crate) const USER: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";
/// The emulator's application.
pub(crate) const CLIENT_ID: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";

/// The signal of calls, by the file `call-state`.
pub(crate) const CALL: &str = "[signals.call]\npath = \"call-state\"\n";

/// Rules by which only calls decide, so that it is known what is right whatever happens to other signals.
pub(crate) const ONLY_CALLS_DECIDE: &str = r#"
[[rules]]
name = "call"
when = { call = "in-call" }
set  = "Busy/InACall"
[[rules]]
name = "rest"
set  = "Available/Available"
"#;

/// The arguments of a daemon for which a minute, as the microphone's value holds without a sound server, takes five seconds.
#[cfg(feature = "pulse")]
pub(crate) const FAST: [&str; 4] = ["--speed", "12", "--since", "2026-11-23T12:00:00Z"];

/// Nothing in these tests takes this long. It only ends a test that would otherwise wait for ever.
const GUARD: Duration = Duration::from_mins(1);

/// Waits for `what`, but not for ever.
pub(crate) async fn guarded<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, wait).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// The folder, the emulator and what it sees.
pub(crate) struct House {
    folder: tempfile::TempDir,
    pub(crate) emulator: Emulator,
    pub(crate) address: String,
    records: broadcast::Receiver<RequestRecord>,
    serving: JoinHandle<()>,
}

impl House {
    /// A house with an emulator at work.
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    /// A house with an emulator set up like this.
    pub(crate) async fn with(options: Options) -> Self {
        Self::on(SystemClock::real(), options).await
    }

    /// The same, with an emulator that uses `clock`.
    pub(crate) async fn on(clock: SystemClock, options: Options) -> Self {
        let emulator = Emulator::new(options, Arc::new(clock));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let records = emulator.subscribe();
        let serving = serve(emulator.clone(), listener);
        Self { folder: tempfile::tempdir().unwrap(), emulator, address, records, serving }
    }

    /// Replaces the emulator at its address, as a restart does.
    pub(crate) async fn restart_emulator(&mut self, clock: SystemClock) {
        self.serving.abort();
        // The abort has taken effect, and the address is free, when the task is gone.
        let _ = (&mut self.serving).await;
        let listener = TcpListener::bind(&self.address).await.unwrap();
        self.emulator = Emulator::new(Options::default(), Arc::new(clock));
        self.records = self.emulator.subscribe();
        self.serving = serve(self.emulator.clone(), listener);
    }

    /// A path in the house.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, as an editor does: whole, and in place of the old one.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let next = self.path(".next");
        std::fs::write(&next, content).unwrap();
        std::fs::rename(next, self.path(name)).unwrap();
    }

    /// An account of the emulator's that signs in with its secret.
    pub(crate) fn account(&self, name: &str) -> String {
        let address = &self.address;
        format!(
            r#"
[accounts.{name}]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ env = "BOT_SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
"#
        )
    }

    /// One account, and the call signal by the file `call-state`.
    pub(crate) fn configuration(&self) -> String {
        format!("{}\n[signals.call]\npath = \"call-state\"\n", self.account("work"))
    }

    /// presenced with its own configuration and socket.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let ours = || env!("CARGO_BIN_EXE_presenced").into();
        let mut command = Command::new(std::env::var_os("PRESENCED_BINARY").unwrap_or_else(ours));
        command
            .args(["--config".as_ref(), self.path("config.toml").as_os_str()])
            .args(["--socket".as_ref(), self.path("presenced.sock").as_os_str()])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("BOT_SECRET", "emulator-secret")
            // Nobody's real bus.
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end: exit code, standard output, standard error.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = guarded("a command", self.command(arguments).output()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Starts the daemon and waits until its socket answers.
    pub(crate) async fn start(&self) -> Daemon {
        self.start_with(&[], |_| {}).await
    }

    /// The same with more arguments, and its command changed.
    pub(crate) async fn start_with(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Daemon {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut command = self.command(&[&["run"], arguments].concat());
        change(&mut command);
        command.stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap();
        let mut daemon = Daemon { child, socket: self.path("presenced.sock"), log: self.path("log") };
        daemon.wait_for_socket().await;
        daemon
    }

    /// Starts the daemon with a clock that runs `speed` times as fast as real time.
    pub(crate) async fn start_fast(&self, speed: u32) -> Daemon {
        self.start_with(&["--speed", &speed.to_string(), "--since", "2026-11-23T12:00:00Z"], |_| {}).await
    }

    /// Waits for a request that ended like this, and skips all others.
    pub(crate) async fn request(&mut self, what: &str, matches: impl Fn(&RequestRecord) -> bool) -> RequestRecord {
        guarded(what, async {
            loop {
                let record = self.records.recv().await.unwrap();
                if record.outcome != Outcome::Pending && matches(&record) {
                    return record;
                }
            }
        })
        .await
    }

    /// Waits until a request makes others see this pair.
    pub(crate) async fn seen(&mut self, pair: &str) -> RequestRecord {
        self.request(pair, |record| {
            record.status == Some(200) && record.visible.as_ref().is_some_and(|visible| visible.to_string() == pair)
        })
        .await
    }

    /// What others see now.
    pub(crate) fn visible(&self) -> String {
        self.emulator.visible(USER).unwrap().to_string()
    }

    /// Opens a Teams client of the user's, which says this.
    pub(crate) async fn teams_says(&self, availability: &str, activity: &str) {
        let body = serde_json::json!({"availability": availability, "activity": activity});
        self.post(&format!("/_emulator/users/{USER}/sessions"), None, &body).await;
    }

    /// Chooses a status by hand, as Teams does.
    pub(crate) async fn choose_by_hand(&self, availability: &str) {
        let body = serde_json::json!({"availability": availability, "activity": availability});
        self.act_as_the_app("setUserPreferredPresence", &body).await;
    }

    /// Clears the session, as another program with the same application does.
    pub(crate) async fn clear_session(&self) {
        self.act_as_the_app("clearPresence", &serde_json::json!({"sessionId": CLIENT_ID})).await;
    }

    /// Takes an action on the user's presence with a token of the application.
    async fn act_as_the_app(&self, action: &str, body: &serde_json::Value) {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT_ID),
            ("client_secret", "emulator-secret"),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let url = format!("http://{}/contoso.onmicrosoft.com/oauth2/v2.0/token", self.address);
        let answer = default_client().post(url).form(&form).send().await.unwrap();
        let token: serde_json::Value = answer.json().await.unwrap();
        let path = format!("/v1.0/users/{USER}/presence/{action}");
        self.post(&path, token["access_token"].as_str(), body).await;
    }

    /// Posts something to the emulator.
    pub(crate) async fn post(&self, path: &str, token: Option<&str>, body: &serde_json::Value) {
        let request = default_client().post(format!("http://{}{path}", self.address)).json(body);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// The user's preferred presence, whoever set it.
    pub(crate) fn preferred(&self) -> Option<String> {
        self.emulator.state().users[USER].preferred.as_ref().map(|preferred| preferred.pair.to_string())
    }

    /// Lets something go wrong.
    pub(crate) fn inject(&self, fault: Fault) {
        self.emulator.inject(fault).unwrap();
    }
}

fn serve(emulator: Emulator, listener: TcpListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Err(error) = emulator.serve(listener).await;
        panic!("{error}");
    })
}

/// A running daemon; dropped, it is killed.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    async fn wait_for_socket(&mut self) {
        let socket = self.socket.clone();
        let connected = async {
            while Client::connect(&socket).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        let ended = tokio::select! {
            () = guarded("the socket", connected) => None,
            ended = self.child.wait() => Some(ended),
        };
        assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log());
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its report is like this.
    pub(crate) async fn report(&self, what: &str, matches: impl Fn(&Report) -> bool) -> Report {
        guarded(what, async {
            let mut watch = Client::connect(&self.socket).await.unwrap().watch().await.unwrap();
            loop {
                let report = watch.next().await.unwrap().expect("the daemon runs");
                if matches(&report) {
                    return report;
                }
            }
        })
        .await
    }

    /// Waits until it ended by itself.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        guarded("the daemon's end", self.child.wait()).await.unwrap()
    }

    /// Waits until it is gone, as after it was killed.
    pub(crate) async fn gone(&mut self) {
        guarded("the daemon's end", self.child.wait()).await.unwrap();
    }

    /// Tells it to stop, and waits.
    pub(crate) async fn stop(self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended().await
    }
}

/// Whether a file is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// An account to which a person signs in.
pub(crate) fn personal(house: &House) -> String {
    house
        .account("work")
        .replace(r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#, r#"{ method = "device-code" }"#)
        .replace(&format!("user      = \"{USER}\"\n"), "")
}
