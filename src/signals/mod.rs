//! Signals: what this machine knows about the user. Each signal is a task that publishes its whole current state as an
//! [`Observation`] whenever that changes: one value, unknown, or off, and what is wrong with it.
//!
//! There is one folder per signal, and no signal uses the folder of another. They share the D-Bus connections (`bus`), the
//! user's login session (`logind`), the sockets of compositors and X servers (`displays`), the end of another process
//! (`process`), and the waits between attempts (`backoff`) and between batches of changes (`batch`). Their files are watched by
//! `file_watch`, and read in `off_the_loop`. `network` is not a signal that a rule can use: it says when a retry is worthwhile.
//!
//! When a source fails, its task publishes unknown with a warning, and recovers by itself. A task runs until it is dropped.
//! Leaves to others: what the readings mean (`policy/`), and how long they have held (`daemon/`).

mod backoff;
mod batch;
pub(crate) mod bus;
pub mod calendar;
pub mod call;
mod displays;
pub mod idle;
pub mod lock;
mod logind;
#[cfg(feature = "pulse")]
pub mod microphone;
pub mod network;
mod process;
pub mod sleep;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::calendar::Schedule;
use crate::file_watch::{FileWatch, WatchFailure};
use crate::policy::{Call, Idle, Lock, Reading, Sleep};
use crate::time::Clock;
use crate::warning::{Code, Warning};

pub use crate::config::Owners;
pub use crate::file_watch::{FileWatcher, Watched};
pub use displays::Displays;
pub use logind::LockedSessions;
pub use sleep::{SignsOfLife, SleepHold};

/// What a signal says now.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation<T> {
    /// The reading.
    pub reading: Reading<T>,
    /// Where it comes from, for people: `logind`, a path, `2 sources, 1204 events`.
    pub source: String,
    /// Everything that is wrong with the signal now; empty if nothing is.
    pub warnings: Vec<Warning>,
    /// How changes of its files are noticed; `None`: it does not come from files.
    pub watched: Option<Watched>,
}

/// A change of one signal.
#[derive(Debug)]
pub enum Update {
    /// The screen lock.
    Lock(Observation<Lock>),
    /// Sleep.
    Sleep(Observation<Sleep>),
    /// The machine is about to sleep, and waits until this is dropped.
    SleepHold(SleepHold),
    /// Calls, according to the call-state files.
    Call(Observation<Call>),
    /// Calls of users or accounts, according to the file of each.
    OwnersCalls(OwnersReadings<Call>),
    /// Calls, according to which programs record: idle or in-call.
    Microphone(Observation<Call>),
    /// Input.
    Idle(Observation<Idle>),
    /// The network is back: a retry is worthwhile now.
    NetworkBack,
    /// The calendar: a schedule that covers every moment of its window.
    Calendar(Observation<Arc<Schedule>>),
    /// Calendars of users or accounts.
    OwnersCalendars(OwnersReadings<Arc<Schedule>>),
}

/// What the entries of a folder say in which each user or each account has one.
#[derive(Debug)]
pub struct OwnersReadings<T> {
    /// Whose entries they are.
    pub owners: Owners,
    /// Whether they replace everything that was said before, because the folder was read for the first time.
    pub replaces: bool,
    /// What has changed since the last time, by the owner's name. `Off`: there is no entry.
    pub changed: BTreeMap<String, Reading<T>>,
    /// Whether the folder could be read. If not, nothing is known about anybody.
    pub is_known: bool,
    /// Everything that is wrong.
    pub warnings: Vec<Warning>,
}

/// What every signal task is given.
#[derive(Clone)]
pub struct Context {
    /// The daemon's clock.
    pub clock: Arc<dyn Clock>,
    /// Where updates go.
    pub updates: mpsc::Sender<Update>,
    /// The D-Bus addresses.
    pub buses: Buses,
    /// Watches files and folders; shared by all signals.
    pub file_watcher: FileWatcher,
    /// The folder for copies that can be fetched again: `$XDG_CACHE_HOME/presenced`.
    pub cache_dir: PathBuf,
    /// The sessions that were ever locked. It outlives the tasks, which start again after a suspend.
    pub locked_sessions: LockedSessions,
}

/// D-Bus addresses; `None`: the machine's own.
#[derive(Clone, Debug, Default)]
pub struct Buses {
    /// The system bus, for logind.
    pub system: Option<String>,
    /// The session bus, for screen savers.
    pub session: Option<String>,
}

/// The warnings for the folders that a signal cannot watch.
fn unwatched(watch: &FileWatch) -> Vec<Warning> {
    let warning = |failure: &WatchFailure| Warning {
        code: Code::WatchFailed,
        text: format!(
            "The folder {} cannot be watched for changes ({}); presenced checks it once a minute instead.",
            failure.folder.display(),
            failure.reason
        ),
        hint: failure.command.map_or_else(
            || "Check that the folder exists and that the user who runs presenced may read it.".to_owned(),
            |command| format!("Raise the limit with `{command}`, and write it into /etc/sysctl.d/ to keep it."),
        ),
    };
    watch.failures().iter().map(warning).collect()
}

/// Where one signal publishes.
struct Publisher<T> {
    updates: mpsc::Sender<Update>,
    wrap: fn(Observation<T>) -> Update,
    last: Option<Observation<T>>,
}

impl<T: Clone + PartialEq> Publisher<T> {
    /// Publishes as the update that `wrap` makes.
    fn new(updates: mpsc::Sender<Update>, wrap: fn(Observation<T>) -> Update) -> Self {
        Self { updates, wrap, last: None }
    }

    /// The last observation; `None`: there was none yet.
    fn last(&self) -> Option<&Observation<T>> {
        self.last.as_ref()
    }

    /// Publishes an observation that differs from the last; waits while the daemon is busy.
    async fn publish(&mut self, observation: Observation<T>) {
        if self.last.as_ref() == Some(&observation) {
            return;
        }
        self.last = Some(observation.clone());
        if self.updates.send((self.wrap)(observation)).await.is_err() {
            // The receiver is gone: the daemon is shutting down and will drop this task.
            std::future::pending::<()>().await;
        }
    }
}
