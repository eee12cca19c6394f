//! Suspend and resume.
//!
//! Before a suspend, presenced holds a delay inhibitor of logind, which `signals/sleep` hands over with the announcement. The
//! sessions write the presence for a suspended machine. Dropping the inhibitor lets the suspend happen: that is as soon as no
//! session will get anything more done, or when the time is up.
//!
//! After the resume, the signal tasks start again, because readings from before the suspend no longer count. Until all signals
//! were heard, every session keeps the presence from before.

use std::time::Duration;

use super::{Account, Daemon, Fleet, first_readings_timeout};
use crate::signals::SleepHold;
use crate::time::{Instant, Now};

/// How long the last writes may take. logind may grant less.
const MAX_DELAY: Duration = Duration::from_secs(3);
/// How much of that a request gets that was already in flight.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The time left before a suspend.
#[derive(Debug)]
pub(super) struct SuspendWindow {
    /// When the suspend may happen, whatever the sessions are doing.
    ends: Instant,
    /// When to abandon a request in flight, so that the next one can go out; `None`: done.
    last_answer: Option<Instant>,
    /// Whether the sessions know.
    announced: bool,
    /// The suspend waits until this is dropped; `None`: it does not wait.
    inhibitor: Option<SleepHold>,
}

impl SuspendWindow {
    fn new(now: &Now) -> Self {
        Self {
            ends: now.instant + MAX_DELAY,
            last_answer: Some(now.instant + LAST_ANSWER_TIMEOUT),
            announced: false,
            inhibitor: None,
        }
    }
}

impl Daemon {
    /// The machine announced a suspend. The last writes are tried even if the machine does not wait for them.
    pub(super) fn prepare_for_suspend(&mut self, now: &Now) {
        self.asleep = true;
        self.suspend_window.get_or_insert_with(|| SuspendWindow::new(now));
    }

    /// The machine delays the suspend.
    pub(super) fn keep_inhibitor(&mut self, hold: SleepHold, now: &Now) {
        let window = self.suspend_window.get_or_insert_with(|| SuspendWindow::new(now));
        window.ends = window.ends.min(now.instant + hold.within);
        window.inhibitor = Some(hold);
    }

    /// Gets the last writes out in the time that is left. The sessions have the decision already.
    pub(super) fn flush_before_suspend(&mut self, now: &Now) {
        let Some(window) = &mut self.suspend_window else { return };
        if !std::mem::replace(&mut window.announced, true) {
            self.accounts.iter_mut().chain(&mut self.leavers).for_each(Account::suspend);
        }
        if window.last_answer.take_if(|at| *at <= now.instant).is_some() {
            self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.abandon_request(now));
        }
    }

    /// Lets the suspend happen when no session will get anything done in the time that is left, or when the time is up.
    pub(super) fn release_inhibitor(&mut self, now: &Now) {
        let Some(window) = &self.suspend_window else { return };
        let rest = self.accounts.iter().chain(&self.leavers).all(|account| account.rests_until(window.ends, now));
        if rest || window.ends <= now.instant {
            tracing::info!(written = rest, held = window.inhibitor.is_some(), "going to sleep");
            self.suspend_window = None;
            self.history.sleep(now);
        }
    }

    /// When to check the last writes again.
    pub(super) fn suspend_wakeup(&self) -> Option<Instant> {
        self.suspend_window.as_ref().map(|window| window.last_answer.unwrap_or(window.ends).min(window.ends))
    }

    /// The machine is awake again. All signals are read again before anything new is claimed; until then the sessions keep what
    /// they hold.
    pub(super) fn wake(&mut self, now: &Now) {
        tracing::info!("awake again");
        self.history.wake(now);
        self.asleep = false;
        self.suspend_window = None;
        self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.wake(now));
        self.fleets.iter_mut().for_each(Fleet::wake);
        self.board.forget();
        self.sources.restart_signals(&self.config.signals);
        self.first_readings_timeout = Some(first_readings_timeout());
        // Updates that the old tasks have queued are from before the suspend.
        let mut others = Vec::new();
        while let Ok(update) = self.updates.try_recv() {
            if self.board.survives_suspend(&update) {
                others.push(update);
            }
        }
        for update in others {
            self.hear(update, now);
        }
    }
}
