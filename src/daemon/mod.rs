//! The join: one event loop that owns the clock and brings signals, policy, session and Graph together.
//!
//! # How a change travels
//!
//! 1. A signal task (`signals/call`, say) is woken by the kernel or the bus. It publishes its whole present state as an
//!    `Observation`: a value, *unknown* or *off*, where that comes from, and everything that is wrong with it.
//! 2. The loop takes **one** `now` for this turn and puts the observation on its `Board`.
//! 3. `decide` maps the board's snapshot to a decision: the presence, the rule, the reason, and *until when*. It is computed
//!    from facts alone, never from what happened before. The `DecisionLog` numbers each new decision.
//! 4. Each account's session gets the new wish and is drained: at most one request is in flight, and the newest wish goes next.
//! 5. The `Exchange` gets a token from `auth` and sends the request through `graph`. The outcome goes back
//!    to the session, the only place that knows what each kind of failure means for the next attempt.
//! 6. The `ReportBuilder` puts the report together, and everyone who watches the socket sees it.
//!
//! What changes only because time passes is a wakeup: the session says when it must act again, and the decision says when it
//! ends. The loop sleeps until the earliest of these, so that nothing polls.
//!
//! # The parts
//!
//! - `board` has the signals' present state, `owners` those of users and accounts, `account` one account at work, `fleet` one with
//!   many users, `sources` the running signal tasks.
//! - `sleep`, `reload` and `leave` are what happens around a suspend, on a new configuration, and at the end.
//! - `clock` is the machine's clock, with `zone` for changes of its time zone.
//! - `service` talks to the service manager, `listening` serves metrics over TCP, `history` writes what was held, and `kept` writes
//!   what was set through the socket, and reads it at the next start.

mod account;
mod accounts_own;
mod applications;
mod board;
mod certificate;
pub mod clock;
mod decision_log;
mod events;
mod exchange;
mod fleet;
mod fleets;
mod held_machine;
mod history;
mod kept;
mod leave;
mod listening;
mod lock_word;
mod owners;
mod reload;
mod report;
mod service;
mod session_lock;
mod sign_in;
mod sleep;
mod sources;
mod start;
mod zone;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::auth;
use crate::config::{Config, Environment};
use crate::fill::Fill as _;
use crate::kept::Life;
use crate::metrics::{Metrics, Wakeup};
use crate::policy::{Decision, Snapshot, decide};
use crate::signals::calendar;
use crate::signals::{FileWatcher, Update};
use crate::status::report::Report;
use crate::status::users::UsersCommand;
use crate::status::{Feed, Listen, Server};
use crate::tasks;
use crate::time::{Clock, Instant, Now};
use crate::warning::Warning;

use account::{Account, AccountId, Done};
use accounts_own::AccountsOwn;
use applications::Applications;
use board::Board;
use decision_log::DecisionLog;
use fleet::Fleet;
pub use fleet::{Cleared, clear_users};
use held_machine::HeldMachine;
use history::History;
use kept::Keeper;
use listening::Listening;
use owners::OwnersSignals;
use reload::Loading;
use report::ReportBuilder;
use service::Service;
use session_lock::{Holder, Locks};
use sleep::SuspendWindow;
use sources::Sources;
pub use start::{Options, StartError, kept_path};

/// How long a decision waits for signals that are on but have not been heard yet. In real time, because a bus does not answer
/// sooner when the daemon's clock runs fast.
const FIRST_READINGS_TIMEOUT: Duration = Duration::from_secs(5);

/// A daemon that is set up but not running yet.
pub struct Daemon {
    config: Config,
    config_file: Option<PathBuf>,
    environment: Environment,
    clock: Arc<dyn Clock>,
    board: Board,
    accounts: Vec<Account>,
    /// The accounts with many users.
    fleets: Vec<Fleet>,
    /// What users and accounts have alone, where each has a file or a folder.
    owners: OwnersSignals,
    /// What the machine's readings are for their users.
    held_machine: HeldMachine,
    /// What was set for one account alone.
    accounts_own: AccountsOwn,
    /// Those of an earlier configuration, which are still clearing their users.
    leaving_fleets: Vec<Fleet>,
    /// Accounts of an earlier configuration, which are still clearing their sessions.
    leavers: Vec<Account>,
    last_id: AccountId,
    applications: Applications,
    sources: Sources,
    updates: mpsc::Receiver<Update>,
    requests: JoinSet<Done>,
    fleet_tasks: JoinSet<fleet::Done>,
    /// What clients asked about users before they were known.
    waiting_for_users: Vec<UsersCommand>,
    server: Option<Server>,
    report_builder: ReportBuilder,
    history: History,
    keeper: Keeper,
    /// The file that it writes.
    kept: Option<PathBuf>,
    /// The boot and the login that it belongs to.
    life: Life,
    reports: watch::Sender<Arc<Report>>,
    feed: Feed,
    decision_log: DecisionLog,
    locks: Locks,
    file_watcher: FileWatcher,
    metrics: Arc<Metrics>,
    listening: Listening,
    service: Service,
    /// Why the configuration on disk is not the one in force.
    config_warning: Option<Warning>,
    /// The configuration is being read again.
    loading: Option<Loading>,
    /// Ends the wait for the first readings; `None`: it is over.
    first_readings_timeout: Option<Pin<Box<tokio::time::Sleep>>>,
    /// The time left for the last writes before a suspend; `None`: no suspend is coming, or the writes are done.
    suspend_window: Option<SuspendWindow>,
    /// Whether the machine announced a suspend and has not reported its end yet.
    asleep: bool,
    ready: bool,
    /// Whether it has had another configuration before.
    has_reloaded: bool,
}

impl Daemon {
    /// Binds the socket, sets up the accounts and starts the signals. Needs a running tokio runtime.
    pub fn new(options: Options) -> Result<Self, StartError> {
        let Options { config, config_file, environment, clock, socket, history, kept, buses, file_watcher } = options;
        let socket_path = if let Listen::At(path) = &socket { Some(path.clone()) } else { None };
        let locks = Locks::new(&environment, Holder::this(socket_path, config_file.clone()));
        let server = Server::listen(socket)?;
        let now = clock.now();
        let mut board = Board::default();
        board.configure(&config.signals);
        let life = kept::this_life(&environment);
        let keeper = Keeper::new(kept.clone());
        if let Some(restored) = kept.as_deref().and_then(|path| kept::restore(path, &life, &now)) {
            let differs = restored.differs;
            board.restore(restored);
            if differs {
                keeper.keep(board.kept(&life, &now), None);
            }
        }
        let of_accounts = kept.as_ref().map(|path| path.with_extension("accounts.jsonl"));
        let mut accounts_own = AccountsOwn::restore(of_accounts, life.clone(), &now);
        accounts_own.retain(&config.accounts, &now);
        let (sender, updates) = mpsc::channel(64);
        let sources =
            Sources::start(&config.signals, Arc::clone(&clock), sender, buses, file_watcher.clone(), &environment);
        let report_builder = ReportBuilder::new(rounded(now.wall));
        let (reports, _) = watch::channel(Arc::new(report_builder.first()));
        let mut daemon = Self {
            config_file,
            environment,
            board,
            accounts: Vec::new(),
            fleets: Vec::new(),
            owners: OwnersSignals::new(&config.signals),
            held_machine: HeldMachine::default(),
            accounts_own,
            leaving_fleets: Vec::new(),
            leavers: Vec::new(),
            last_id: AccountId(0),
            applications: Applications::default(),
            sources,
            updates,
            requests: JoinSet::new(),
            fleet_tasks: JoinSet::new(),
            waiting_for_users: Vec::new(),
            server: Some(server),
            report_builder,
            history: History::new(history, config.history),
            keeper,
            kept,
            life,
            reports,
            feed: Feed::default(),
            decision_log: DecisionLog::default(),
            locks,
            file_watcher,
            metrics: Arc::default(),
            listening: Listening::default(),
            service: Service::new(now.instant),
            config_warning: None,
            loading: None,
            first_readings_timeout: Some(first_readings_timeout()),
            suspend_window: None,
            asleep: false,
            ready: false,
            has_reloaded: false,
            clock,
            config,
        };
        sweep(&daemon.environment);
        let accounts = daemon.config.accounts.clone();
        daemon.applications.configure(&accounts);
        daemon.accounts = daemon.new_accounts(&accounts)?;
        daemon.fleets = daemon.new_fleets(&accounts, &now)?;
        daemon.listening.configure(daemon.config.status.listen, &now);
        Ok(daemon)
    }

    /// The daemon's state as its socket shows it, whenever it changes.
    pub fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.reports.subscribe()
    }

    /// Keeps the presence until `stop` completes or a signal stops the process (SIGTERM, SIGINT), then leaves.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let handle = |kind, what| signal(kind).map_err(|source| StartError::System { what, source });
        let mut hangup = handle(SignalKind::hangup(), "listen for SIGHUP")?;
        let mut terminate = handle(SignalKind::terminate(), "listen for SIGTERM")?;
        let mut interrupt = handle(SignalKind::interrupt(), "listen for SIGINT")?;
        let (sender, mut commands) = mpsc::channel(16);
        let server = self.server.take().map(|server| {
            let (reports, feed, metrics) = (self.reports.subscribe(), self.feed.clone(), Arc::clone(&self.metrics));
            tasks::spawn(server.serve(reports, feed, sender, metrics))
        });
        let mut stop = std::pin::pin!(async {
            tokio::select! {
                () = stop => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        let outcome = loop {
            let now = self.clock.now();
            self.turn(&now);
            if let Some(held) = self.held_elsewhere() {
                break Err(held);
            }
            tokio::select! {
                () = &mut stop => break Ok(()),
                _ = hangup.recv() => {
                    self.metrics.note_wakeup(Wakeup::Command);
                    self.reload(None);
                }
                event = self.next_event(&now, &mut commands) => {
                    self.metrics.note_wakeup(event.wakeup());
                    self.handle(event);
                }
            }
        };
        // Nothing is set any more, so the last write has as long as leaving takes anyway.
        let mut keeper = std::mem::replace(&mut self.keeper, Keeper::new(None));
        tokio::join!(self.leave(&mut commands), keeper.stop());
        self.history.stop(&self.clock.now());
        if let Some(server) = server {
            // Dropping the server removes its socket.
            server.abort();
            let _ = server.await;
        }
        outcome
    }

    /// The only account cannot hold anything, because another process holds its session.
    fn held_elsewhere(&self) -> Option<StartError> {
        let [account] = self.accounts.as_slice() else { return None };
        if self.has_reloaded || !self.fleets.is_empty() {
            // The account of the last configuration may still hold it, and other accounts may work.
            return None;
        }
        let failure = account.held_elsewhere()?.clone();
        Some(StartError::Held { account: account.name.clone(), failure })
    }

    /// Does everything that follows from what is known now: decisions, requests, the report.
    fn turn(&mut self, now: &Now) {
        let snapshot = self.board.snapshot(now);
        let mut signals = self.board.report(&snapshot, now);
        self.owners.describe(&mut signals);
        if self.owners.end(now) {
            self.fleets.iter_mut().for_each(Fleet::all_changed);
        }
        self.metrics.note_calendar_events(snapshot.calendar.known().map(|schedule| schedule.events()));
        if self.can_decide() {
            self.first_readings_timeout = None;
            let decisions: Vec<_> =
                self.accounts.iter().map(|account| self.decide_for(account, &snapshot, now)).collect();
            if self.accounts.iter().zip(&decisions).any(|(account, decision)| account.is_news(decision)) {
                self.decision_log.begin(&signals);
            }
            for (account, decision) in self.accounts.iter_mut().zip(decisions) {
                account.decide(decision, self.decision_log.number(), &self.config.session, now);
            }
            if !std::mem::replace(&mut self.ready, true) {
                Service::ready();
            }
        }
        self.flush_before_suspend(now);
        for account in &mut self.leavers {
            account.drain(&mut self.requests, now);
        }
        self.leavers.retain(|account| !account.has_left(now));
        for account in &mut self.accounts {
            if !waits_for(&self.leavers, account) {
                account.drain(&mut self.requests, now);
            }
        }
        self.turn_fleets(Some(&snapshot).filter(|_| self.can_decide()), now);
        self.release_inhibitor(now);
        self.history.record_changes(&self.accounts, &mut self.fleets, now);
        self.listening.drain(&self.reports, &self.metrics, now);
        let accounts = self.accounts.iter().map(|account| (account.name.clone(), account.report(now)));
        let accounts = accounts.chain(self.fleet_reports(now)).fill();
        let warnings = self.accounts.iter().flat_map(|account| account.warnings(now)).chain(self.fleet_warnings(now));
        let own = [self.config_warning.clone(), self.listening.warning(), self.history.warning()];
        let others = self.board.warnings(&snapshot, now).chain(own.into_iter().flatten());
        let warnings = warnings.chain(others.map(|warning| (warning, None)));
        let report = self.report_builder.report(accounts, signals, snapshot.manual.as_ref(), warnings, now);
        self.service.show(&report, now.instant);
        self.reports.send_if_modified(|current| {
            let changed = **current != report;
            if changed {
                self.history.sign_of_life(now);
                *current = Arc::new(report);
            }
            changed
        });
        self.tell_watchers(now);
    }

    /// What an account should hold, which may depend on which account it is.
    fn decide_for(&self, account: &Account, machine: &Snapshot, now: &Now) -> Decision {
        let own = self.owners.over(machine, &account.name, None).unwrap_or_else(|| machine.clone());
        let own = self.accounts_own.over(&own, &account.name, now).unwrap_or(own);
        decide(&self.config.rules, &Snapshot { account: Some(account.name.as_str().into()), ..own }, now)
    }

    /// Whether nothing is left to wait for before a decision.
    fn can_decide(&self) -> bool {
        let is_complete = self.board.is_complete() && self.owners.is_complete_for_accounts();
        is_complete || self.first_readings_timeout.is_none()
    }

    /// When to take the next turn if nothing happens before: on the clock that counts suspend, and in wall time.
    fn wakeups(&self, now: &Now) -> (Option<Instant>, Option<Timestamp>) {
        let snapshot = self.board.snapshot(now);
        let accounts = self.accounts.iter().chain(&self.leavers);
        let (fleet, fleet_wall) = self.fleet_wakeups(now);
        let instant = accounts
            .clone()
            // An account that waits for a leaver continues when the leaver is done. Its own wakeup would be useless, and due at once.
            .filter(|account| !waits_for(&self.leavers, account))
            .filter_map(|account| account.next_wakeup(now))
            .chain(self.board.next_end(&snapshot, now))
            .chain(self.accounts_own.next_end(now))
            .chain(self.service.next_watchdog())
            .chain(self.suspend_wakeup())
            .chain(self.listening.next_wakeup())
            .chain(self.history.next_wakeup(now))
            .chain(fleet)
            .min();
        let calendar = snapshot.calendar_at(now.wall).known().and_then(|state| state.until);
        // A decision that has ended stays while the first readings are missing. Its wakeup would be useless, and due at once.
        let certificates = self.accounts.iter().filter_map(|account| account.certificate_wakeup(now));
        let decisions = accounts.filter_map(Account::decision_until).filter(|_| self.can_decide());
        (instant, decisions.chain(calendar).chain(certificates).chain(fleet_wall).min())
    }
}

/// Whether an account must wait for one that is leaving.
fn waits_for(leavers: &[Account], account: &Account) -> bool {
    leavers.iter().any(|leaver| leaver.id != account.id && leaver.holds_up(account))
}

/// Removes the files that killed processes left, on a thread where that may block.
fn sweep(environment: &Environment) {
    let (state_dir, cache_dir) = (environment.state_dir.clone(), environment.cache_dir.clone());
    tokio::task::spawn_blocking(move || {
        let swept =
            [(state_dir.join("tokens"), auth::sweep(&state_dir)), (cache_dir.clone(), calendar::sweep(&cache_dir))];
        for (folder, outcome) in swept {
            if let Err(error) = outcome {
                tracing::warn!("what a killed presenced left in {} cannot be removed: {error}", folder.display());
            }
        }
    });
}

/// A time for people, without the jitter of reading two clocks.
fn rounded(time: Timestamp) -> Timestamp {
    time.round(jiff::Unit::Second).unwrap_or(time)
}

#[expect(clippy::disallowed_methods, reason = "bounded by the timeout of whatever starts the daemon")]
fn first_readings_timeout() -> Pin<Box<tokio::time::Sleep>> {
    Box::pin(tokio::time::sleep(FIRST_READINGS_TIMEOUT))
}

async fn timeout_ends(timeout: &mut Option<Pin<Box<tokio::time::Sleep>>>) {
    match timeout {
        Some(timeout) => timeout.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn sleep_or_never(sleep: Option<impl Future<Output = ()>>) {
    match sleep {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}
