//! The daemon's end of the status socket without a daemon behind it: a report that the test changes, and a record of what
//! clients asked for. It has its own thread, so that tests can block as a client does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use presenced::metrics::{Call, Metrics, Outcome};
use presenced::policy::Claim;
use presenced::status::report::{
    Account, Asserted, Health, Next, Pair, Preferred, Report, Requests, Seen, Signal, State,
};
use presenced::status::{BindError, Command, Feed, Server};
use tokio::sync::{oneshot, watch};

/// A hang guard: nothing here takes as long on any machine.
pub(crate) const HANG: Duration = Duration::from_secs(30);

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    SetOverride(Claim, Option<Duration>),
    ClearOverride,
    SetSignal(String, String, Option<Duration>),
    ClearSignal(String),
    Reload,
}

/// A server with a daemon made of a record.
pub(crate) struct FakeDaemon {
    pub(crate) socket: PathBuf,
    pub(crate) reports: watch::Sender<Arc<Report>>,
    pub(crate) feed: Feed,
    pub(crate) metrics: Arc<Metrics>,
    asked: mpsc::Receiver<Asked>,
    /// What every command is answered; `None`: nothing, for as long as it runs.
    answer: Arc<Mutex<Option<Result<(), String>>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeDaemon {
    /// Serves `report` in a folder of `folder`.
    pub(crate) fn start(folder: &Path, report: Report) -> Self {
        Self::try_start(&folder.join("presenced/presenced.sock"), report).expect("the socket is free")
    }

    /// Serves `report` at `socket`.
    pub(crate) fn try_start(socket: &Path, report: Report) -> Result<Self, BindError> {
        let (reports, seen) = watch::channel(Arc::new(report));
        let feed = Feed::default();
        let watched = feed.clone();
        let metrics = Arc::new(Metrics::default());
        let counted = Arc::clone(&metrics);
        let (ask, asked) = mpsc::channel();
        let answer = Arc::new(Mutex::new(Some(Ok(()))));
        let (stop, stopped) = oneshot::channel();
        let (bound, outcome) = mpsc::channel();
        let path = socket.to_owned();
        let answers = Arc::clone(&answer);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = match Server::bind(&path) {
                    Ok(server) => {
                        bound.send(Ok(())).unwrap();
                        server
                    }
                    Err(error) => return bound.send(Err(error)).unwrap(),
                };
                let (commands, mut inbox) = tokio::sync::mpsc::channel(1);
                let mut unanswered = Vec::new();
                let work = async {
                    while let Some(command) = inbox.recv().await {
                        let (asked, reply) = record(command);
                        // Before the answer, so that a client with an answer finds the record.
                        let _ = ask.send(asked);
                        let answer = answers.lock().unwrap().clone();
                        match answer {
                            Some(answer) => drop(reply.send(answer)),
                            None => unanswered.push(reply),
                        }
                    }
                };
                tokio::select! {
                    () = server.serve(seen, watched, commands, counted) => unreachable!("serves until it is dropped"),
                    () = work => unreachable!("the server holds the sender"),
                    _ = stopped => {}
                }
            });
        });
        outcome.recv_timeout(HANG).expect("bound or refused")?;
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(Self { socket: socket.to_owned(), reports, feed, metrics, asked, answer, stop, thread })
    }

    /// Every command gets this answer from now on.
    pub(crate) fn answers(&self, answer: Result<(), &str>) {
        *self.answer.lock().unwrap() = Some(answer.map_err(ToOwned::to_owned));
    }

    /// No command gets an answer from now on.
    pub(crate) fn answers_nothing(&self) {
        *self.answer.lock().unwrap() = None;
    }

    /// What was asked for since the last look.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }

    /// Waits until this many commands were asked for.
    pub(crate) fn until_asked(&self, commands: usize) {
        for _ in 0..commands {
            self.asked.recv_timeout(HANG).expect("a command");
        }
    }

    /// Changes the report.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Report)) {
        self.reports.send_modify(|report| change(Arc::make_mut(report)));
    }

    /// A connection.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream
    }

    /// Sends bytes and reads all that comes back until the server closes.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // A server that has already answered may not read the rest.
        let _ = stream.write_all(request);
        read_to_close(&mut stream)
    }

    /// One request, and its answer: the head, and the body.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let length = body.len();
        let answer = self.raw(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: presenced\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        );
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        (head.to_owned(), body.to_owned())
    }

    /// Ends the daemon, and waits for its end.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads until the peer closes; a reset after the last byte is a close too.
pub(crate) fn read_to_close(stream: &mut UnixStream) -> String {
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    loop {
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&some[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
    String::from_utf8(answer).unwrap()
}

fn record(command: Command) -> (Asked, oneshot::Sender<Result<(), String>>) {
    match command {
        Command::SetOverride { claim, ttl, reply } => (Asked::SetOverride(claim, ttl), reply),
        Command::ClearOverride { reply } => (Asked::ClearOverride, reply),
        Command::SetSignal { name, value, ttl, reply, .. } => (Asked::SetSignal(name, value, ttl), reply),
        Command::ClearSignal { name, reply } => (Asked::ClearSignal(name), reply),
        Command::Reload { reply } => (Asked::Reload, reply),
        Command::Users(command) => panic!("no test asks it for users: {command:?}"),
    }
}

/// A healthy report: a call, held.
pub(crate) fn report() -> Report {
    let at = |text: &str| text.parse().unwrap();
    let busy = Pair { availability: "Busy".to_owned(), activity: "InACall".to_owned() };
    let signal = |value: &str, source: &str| Signal {
        value: value.to_owned(),
        since: at("2026-11-23T09:30:00Z"),
        source: source.to_owned(),
        health: Health::Ok,
        reason: None,
        until: None,
        watched: None,
    };
    let account = Account {
        state: State::Holding,
        desired: Some(busy.clone()),
        rule: Some("call".to_owned()),
        because: "call is in-call (baresip)".to_owned(),
        withheld: None,
        since: Some(at("2026-11-23T13:58:00Z")),
        until: None,
        asserted: Some(Asserted {
            availability: busy.availability,
            activity: busy.activity,
            sent_at: at("2026-11-23T14:02:00Z"),
            fades_at: None,
            expires_at: at("2026-11-23T14:17:00Z"),
        }),
        preferred: Some(Preferred {
            availability: "Busy".to_owned(),
            activity: "Busy".to_owned(),
            sent_at: at("2026-11-23T14:02:01Z"),
            expires_at: at("2026-11-23T14:17:01Z"),
        }),
        seen: Some(Seen {
            availability: "Busy".to_owned(),
            activity: "InAMeeting".to_owned(),
            at: at("2026-11-23T14:02:06Z"),
        }),
        next: Some(Next { at: at("2026-11-23T14:14:00Z"), why: "keepalive".to_owned() }),
        requests: Requests { sent: 12, failed: 1, throttled: 0 },
        last_error: None,
        note: None,
        sign_in: None,
        users: None,
    };
    Report {
        version: "0.1.0".to_owned(),
        pid: 4242,
        started_at: at("2026-11-23T08:00:00Z"),
        health: Health::Ok,
        accounts: [("work".to_owned(), account)].into(),
        signals: [
            ("calendar".to_owned(), signal("free", "2 sources, 1204 events")),
            ("call".to_owned(), signal("in-call", "/run/user/1000/presenced/call-state")),
            ("lock".to_owned(), signal("unlocked", "logind")),
        ]
        .into(),
        manual: None,
        warnings: Vec::new(),
    }
}

/// Counts one of everything.
pub(crate) fn fill(metrics: &Arc<Metrics>) {
    let at = "2026-11-23T14:02:00Z".parse().unwrap();
    metrics.begin("work", Call::Set).end(Outcome::Ok, Duration::from_millis(80), at);
    metrics.begin("work", Call::Token).end(Outcome::Ok, Duration::from_millis(300), at);
    drop(metrics.begin("work", Call::Set));
    metrics.note_change("work", Duration::from_millis(120));
    metrics.note_calendar_events(Some(1204));
    metrics.note_wakeup(presenced::metrics::Wakeup::Signal);
}
