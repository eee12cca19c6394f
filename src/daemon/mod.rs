//! The join: one event loop that owns the clock and brings signals, policy, session and Graph together.
//!
//! A turn of the loop: something happens; one `now` is taken; what happened is told to the board or to an account; then
//! everything is decided again from facts, each session is drained, and the report is published. What follows from the
//! passing of time alone is in the wakeups, so that nothing polls.

mod account;
mod board;
mod certificate;
pub mod clock;
mod history;
mod leave;
mod listening;
mod lock_word;
mod reload;
mod report;
mod service;
mod sign_in;
mod sleep;
mod sources;
mod trail;
mod way;
mod zone;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{Config, Environment};
use crate::failure::Failure;
use crate::policy::{Reading, Sleep, decide};
use crate::signals::{Buses, Update};
use crate::status::report::Report;
use crate::status::{BindError, Command, Listen, Server};
use crate::tally::{Tally, Wakeup};
use crate::time::{Clock, Instant, Now};
use crate::warning::Warning;

use account::{Account, AccountId, Done};
use board::Board;
use history::History;
use listening::Listening;
use report::Chronicle;
use service::Service;
use sleep::Bedtime;
use sources::Sources;
use trail::Trail;

/// How long a decision waits for signals that are on and have not been heard yet. Real time: a bus does not answer sooner
/// where the clock runs fast.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a daemon is started with.
pub struct Options {
    /// The configuration in force at first.
    pub config: Config,
    /// The file it is read from again on reload; `None`: it cannot be reloaded.
    pub config_file: Option<PathBuf>,
    /// The folders and variables it was started with.
    pub environment: Environment,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The status socket.
    pub socket: Listen,
    /// The file of the history; `None`: none is kept.
    pub history: Option<PathBuf>,
    /// The D-Bus addresses.
    pub buses: Buses,
}

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The status socket is not to be had.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// An account cannot be set up.
    #[error("account `{account}`: {failure}")]
    Account {
        /// Its name.
        account: String,
        /// Why.
        failure: Failure,
    },
    /// The operating system refuses something.
    #[error("cannot {what}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

/// A daemon that is set up and not yet running.
pub struct Daemon {
    config: Config,
    config_file: Option<PathBuf>,
    environment: Environment,
    clock: Arc<dyn Clock>,
    board: Board,
    accounts: Vec<Account>,
    /// Accounts of an earlier configuration that are still clearing their sessions.
    leavers: Vec<Account>,
    last_id: AccountId,
    sources: Sources,
    updates: mpsc::Receiver<Update>,
    requests: JoinSet<Done>,
    server: Option<Server>,
    chronicle: Chronicle,
    history: History,
    reports: watch::Sender<Arc<Report>>,
    trail: Trail,
    tally: Arc<Tally>,
    listening: Listening,
    service: Service,
    /// Why the configuration on disk is not the one in force.
    config_warning: Option<Warning>,
    /// Ends the waiting for signals that were not heard yet; `None`: nothing is waited for.
    patience: Option<Pin<Box<tokio::time::Sleep>>>,
    /// The last moments before sleep; `None`: the machine is not about to, or the last writes are done.
    bedtime: Option<Bedtime>,
    /// Whether the machine went to sleep and was not heard to be awake again.
    asleep: bool,
    ready: bool,
}

/// What woke the loop.
enum Event {
    Update(Update),
    Command(Command),
    Done(Done),
    PatienceEnds,
    Time,
}

impl Event {
    fn wakeup(&self) -> Wakeup {
        match self {
            Self::Update(_) => Wakeup::Signal,
            Self::Command(_) => Wakeup::Command,
            Self::Done(_) => Wakeup::Answer,
            Self::PatienceEnds | Self::Time => Wakeup::Time,
        }
    }
}

impl Daemon {
    /// Binds the socket, sets up the accounts and starts the signals. Needs a running tokio runtime.
    pub fn new(options: Options) -> Result<Self, StartError> {
        let Options { config, config_file, environment, clock, socket, history, buses } = options;
        let server = Server::listen(socket)?;
        let now = clock.now();
        let mut board = Board::default();
        board.configure(&config.signals);
        let (sender, updates) = mpsc::channel(64);
        let sources = Sources::start(&config.signals, Arc::clone(&clock), sender, buses, &environment);
        let chronicle = Chronicle::new(rounded(now.wall));
        let (reports, _) = watch::channel(Arc::new(chronicle.first()));
        let mut daemon = Self {
            config_file,
            environment,
            board,
            accounts: Vec::new(),
            leavers: Vec::new(),
            last_id: AccountId(0),
            sources,
            updates,
            requests: JoinSet::new(),
            server: Some(server),
            chronicle,
            history: History::new(history, config.history.enabled),
            reports,
            trail: Trail::default(),
            tally: Arc::default(),
            listening: Listening::default(),
            service: Service::new(now.instant),
            config_warning: None,
            patience: Some(patience()),
            bedtime: None,
            asleep: false,
            ready: false,
            clock,
            config,
        };
        let accounts = daemon.config.accounts.clone();
        daemon.accounts = daemon.new_accounts(&accounts)?;
        daemon.listening.configure(daemon.config.status.listen, &now);
        Ok(daemon)
    }

    /// The state of the daemon, as its socket shows it, at each change.
    pub fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.reports.subscribe()
    }

    /// Keeps the presence until `stop` ends or the process is told to stop (SIGTERM, SIGINT), then leaves.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let handle = |kind, what| signal(kind).map_err(|source| StartError::System { what, source });
        let mut hangup = handle(SignalKind::hangup(), "listen for SIGHUP")?;
        let mut terminate = handle(SignalKind::terminate(), "listen for SIGTERM")?;
        let mut interrupt = handle(SignalKind::interrupt(), "listen for SIGINT")?;
        let (sender, mut commands) = mpsc::channel(16);
        let server = self
            .server
            .take()
            .map(|server| tokio::spawn(server.serve(self.reports.subscribe(), sender, Arc::clone(&self.tally))));
        let mut stop = std::pin::pin!(async {
            tokio::select! {
                () = stop => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        loop {
            let now = self.clock.now();
            self.turn(&now);
            tokio::select! {
                () = &mut stop => break,
                _ = hangup.recv() => {
                    self.tally.note_wakeup(Wakeup::Command);
                    drop(self.reload());
                }
                event = self.next_event(&now, &mut commands) => {
                    self.tally.note_wakeup(event.wakeup());
                    self.handle(event);
                }
            }
        }
        self.leave(&mut commands).await;
        self.history.stop(&self.clock.now());
        if let Some(server) = server {
            // Dropping the server removes its socket.
            server.abort();
            let _ = server.await;
        }
        Ok(())
    }

    async fn next_event(&mut self, now: &Now, commands: &mut mpsc::Receiver<Command>) -> Event {
        let (instant, wall) = self.wakeups(now);
        let until_instant = sleep_or_never(instant.map(|instant| self.clock.sleep_until(instant)));
        let until_wall = sleep_or_never(wall.map(|wall| self.clock.sleep_until_wall(wall)));
        tokio::select! {
            Some(update) = self.updates.recv() => Event::Update(update),
            Some(command) = commands.recv() => Event::Command(command),
            Some(done) = self.requests.join_next(), if !self.requests.is_empty() => match done {
                Ok(done) => Event::Done(done),
                // Only what was abandoned is cancelled, and that is accounted for already.
                Err(_) => Event::Time,
            },
            () = patience_ends(&mut self.patience) => Event::PatienceEnds,
            () = until_instant => Event::Time,
            () = until_wall => Event::Time,
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Update(update) => {
                self.hear(update, &now);
                // A burst of updates is one turn.
                while let Ok(update) = self.updates.try_recv() {
                    self.hear(update, &now);
                }
            }
            Event::Command(command) => self.obey(command, &now),
            Event::Done(done) => self.finish(&done, &now),
            Event::PatienceEnds => self.patience = None,
            Event::Time => {}
        }
    }

    fn hear(&mut self, update: Update, now: &Now) {
        match update {
            Update::SleepHold(hold) => return self.hold_sleep(hold, now),
            Update::NetworkBack => {
                // Its address may be the machine's only now.
                self.listening.nudge(now);
                return self.accounts.iter_mut().for_each(|account| account.network_back(now));
            }
            Update::Lock(_)
            | Update::Sleep(_)
            | Update::Call(_)
            | Update::Microphone(_)
            | Update::Idle(_)
            | Update::Calendar(_) => {}
        }
        let was_present = self.board.is_present(now);
        self.board.hear(update, now);
        match self.board.sleep() {
            Reading::Known(Sleep::Suspending) if !self.asleep => self.go_to_sleep(now),
            Reading::Known(Sleep::Awake) if self.asleep => self.wake(now),
            Reading::Known(_) | Reading::Unknown | Reading::Off => {}
        }
        self.welcome(was_present, now);
    }

    /// The user is back, or the machine woke up: no backoff must keep them away.
    fn welcome(&mut self, was_present: bool, now: &Now) {
        if self.board.is_present(now) && !was_present {
            self.accounts.iter_mut().for_each(Account::nudge);
        }
    }

    fn obey(&mut self, command: Command, now: &Now) {
        // A client that went away does not need its answer.
        match command {
            Command::SetOverride { claim, ttl, reply } => {
                self.board.set_override(claim, ttl, now);
                let _ = reply.send(Ok(()));
            }
            Command::ClearOverride { reply } => {
                self.board.clear_override();
                let _ = reply.send(Ok(()));
            }
            Command::SetSignal { name, value, ttl, writer, reply } => {
                let was_present = self.board.is_present(now);
                let _ = reply.send(self.board.set_signal(name, value, ttl, writer, now));
                self.welcome(was_present, now);
            }
            Command::ClearSignal { name, reply } => {
                let _ = reply.send(self.board.clear_signal(&name));
            }
            Command::Reload { reply } => {
                let _ = reply.send(self.reload());
            }
        }
    }

    fn finish(&mut self, done: &Done, now: &Now) {
        let account = self.accounts.iter_mut().chain(&mut self.leavers).find(|account| account.id == done.account);
        if let Some(account) = account {
            account.finish(done, now);
        }
    }

    /// Everything that follows from what is known now: decisions, requests, the report.
    fn turn(&mut self, now: &Now) {
        let snapshot = self.board.snapshot(now);
        let signals = self.board.report(&snapshot, now);
        self.tally.note_calendar_events(snapshot.calendar.known().map(|schedule| schedule.events()));
        if self.can_decide() {
            self.patience = None;
            let decision = decide(&self.config.rules, &snapshot, now);
            if self.accounts.iter().any(|account| account.is_news(&decision)) {
                self.trail.begin(&signals);
            }
            for account in &mut self.accounts {
                account.decide(decision.clone(), self.trail.number(), &self.config.session, now);
            }
            if !std::mem::replace(&mut self.ready, true) {
                Service::ready();
            }
        }
        self.hurry(now);
        for account in &mut self.leavers {
            account.drain(&mut self.requests, now);
        }
        self.leavers.retain(|account| !account.has_left(now));
        for account in &mut self.accounts {
            if !waits_for(&self.leavers, account) {
                account.drain(&mut self.requests, now);
            }
        }
        self.let_sleep(now);
        self.history.keep(&self.accounts, now);
        self.listening.drain(&self.reports, &self.tally, now);
        let accounts = self.accounts.iter().map(|account| (account.name.clone(), account.report(now))).collect();
        let warnings = self.accounts.iter().flat_map(|account| account.warnings(now));
        let own = [self.config_warning.clone(), self.listening.warning(), self.history.warning()];
        let others = self.board.warnings(now).cloned().chain(own.into_iter().flatten());
        let warnings = warnings.chain(others.map(|warning| (warning, None)));
        let report = self.chronicle.report(accounts, signals, snapshot.manual.as_ref(), warnings, now);
        self.service.show(&report, now.instant);
        self.reports.send_if_modified(|current| {
            let changed = **current != report;
            if changed {
                self.history.sign_of_life(now);
                *current = Arc::new(report);
            }
            changed
        });
    }

    /// Whether there is nothing left to wait for before a decision.
    fn can_decide(&self) -> bool {
        self.board.is_complete() || self.patience.is_none()
    }

    /// When to look again if nothing happens before: on the clock that counts suspend, and on wall time.
    fn wakeups(&self, now: &Now) -> (Option<Instant>, Option<Timestamp>) {
        let accounts = self.accounts.iter().chain(&self.leavers);
        let instant = accounts
            .clone()
            // What waits for a leaver goes on when that has left; to wake for it before would be in vain, and at once.
            .filter(|account| !waits_for(&self.leavers, account))
            .filter_map(|account| account.next_wakeup(now))
            .chain(self.board.next_end(now))
            .chain(self.service.next_watchdog())
            .chain(self.bedtime_wakeup())
            .chain(self.listening.next_wakeup())
            .min();
        let calendar = self.board.snapshot(now).calendar_at(now.wall).known().and_then(|state| state.until);
        // While signals are waited for, a decision that is over stays: to wake for it would be in vain, and at once.
        let certificates = self.accounts.iter().filter_map(|account| account.certificate_wakeup(now));
        let decisions = accounts.filter_map(Account::decision_until).filter(|_| self.can_decide());
        (instant, decisions.chain(calendar).chain(certificates).min())
    }
}

/// Whether an account must wait until one that goes has done.
fn waits_for(leavers: &[Account], account: &Account) -> bool {
    leavers.iter().any(|leaver| leaver.id != account.id && leaver.holds_up(account))
}

/// A time for people, without the jitter that comes from reading two clocks.
fn rounded(time: Timestamp) -> Timestamp {
    time.round(jiff::Unit::Second).unwrap_or(time)
}

#[expect(clippy::disallowed_methods, reason = "bounded by what whoever starts it waits")]
fn patience() -> Pin<Box<tokio::time::Sleep>> {
    Box::pin(tokio::time::sleep(PATIENCE))
}

async fn patience_ends(patience: &mut Option<Pin<Box<tokio::time::Sleep>>>) {
    match patience {
        Some(patience) => patience.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn sleep_or_never(sleep: Option<impl Future<Output = ()>>) {
    match sleep {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}
