//! The signal tasks that the configuration in force asks for. They start again on a new configuration and after a suspend.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::{self, Environment};
use crate::signals::{self, Buses, Context, Displays, FileWatcher, LockedSessions, SignsOfLife, Update};
use crate::time::Clock;

use crate::tasks::spawn_into;

/// The running signal tasks. Dropping it stops them.
pub(super) struct Sources {
    context: Context,
    displays: Displays,
    tasks: JoinSet<()>,
    /// Separate, because it says when the others must read everything again.
    sleep: JoinSet<()>,
    signs_of_life: SignsOfLife,
    /// Needs no configuration, so it never restarts.
    _network: JoinSet<()>,
    /// The same; the file watcher is for all signals.
    _mounts: JoinSet<()>,
}

impl Sources {
    /// Starts the signals that are on.
    pub(super) fn start(
        signals: &config::Signals,
        clock: Arc<dyn Clock>,
        updates: mpsc::Sender<Update>,
        buses: Buses,
        file_watcher: FileWatcher,
        environment: &Environment,
    ) -> Self {
        let cache_dir = environment.cache_dir.clone();
        let context =
            Context { clock, updates, buses, file_watcher, cache_dir, locked_sessions: LockedSessions::default() };
        // Before the signals look at their files for the first time.
        let mut mounts = JoinSet::new();
        spawn_into(&mut mounts, context.file_watcher.clone().follow_mounts());
        let mut network = JoinSet::new();
        spawn_into(&mut network, signals::network::run(context.clone()));
        let mut sources = Self {
            context,
            displays: Displays::of(environment),
            tasks: JoinSet::new(),
            sleep: JoinSet::new(),
            signs_of_life: SignsOfLife::default(),
            _network: network,
            _mounts: mounts,
        };
        sources.restart(signals);
        sources
    }

    /// Stops all signals, then starts those that are on.
    pub(super) fn restart(&mut self, signals: &config::Signals) {
        self.sleep = JoinSet::new();
        if signals.lock.is_some() {
            spawn_into(&mut self.sleep, signals::sleep::run(self.signs_of_life.clone(), self.context.clone()));
        }
        self.restart_signals(signals);
    }

    /// Lets the sleep signal ask again whether the machine still sleeps.
    pub(super) fn report_sign_of_life(&self) {
        self.signs_of_life.report();
    }

    /// Stops all signals except sleep, then starts those that are on, so that they read everything again.
    pub(super) fn restart_signals(&mut self, signals: &config::Signals) {
        self.tasks = JoinSet::new();
        if let Some(calendar) = &signals.calendar {
            if calendar.is_shared() {
                spawn_into(&mut self.tasks, signals::calendar::run(calendar.clone(), self.context.clone()));
            }
            for (owners, sources) in signals::calendar::owners::sources(calendar) {
                let identity = calendar.identity.clone();
                let run = signals::calendar::owners::run(owners, sources, identity, self.context.clone());
                spawn_into(&mut self.tasks, run);
            }
        }
        if let Some(call) = &signals.call {
            for (owners, folder) in call.owners.iter().flat_map(|path| &path.folders) {
                let (owners, folder) = (owners.clone(), folder.clone());
                let run = signals::call::owners::run(owners, folder, call.stale_after, self.context.clone());
                spawn_into(&mut self.tasks, run);
            }
            if call.owners.is_none() {
                spawn_into(&mut self.tasks, signals::call::run(call.clone(), self.context.clone()));
            }
        }
        #[cfg(feature = "pulse")]
        if let Some(microphone) = &signals.microphone {
            spawn_into(&mut self.tasks, signals::microphone::run(microphone.clone(), self.context.clone()));
        }
        if let Some(idle) = signals.idle {
            spawn_into(&mut self.tasks, signals::idle::run(idle, self.displays.clone(), self.context.clone()));
        }
        if signals.lock.is_some() {
            spawn_into(&mut self.tasks, signals::lock::run(self.displays.clone(), self.context.clone()));
        }
    }
}
