//! Going to sleep and waking up: sleep is held up until the sessions say so, and what was read before it counts no more.

use std::time::Duration;

use super::{Account, Daemon, patience};
use crate::signals::SleepHold;
use crate::time::{Instant, Now};

/// How long the last writes may take, and how long of it a request in flight gets to be answered. logind may grant less.
const WRITE_WITHIN: Duration = Duration::from_secs(3);
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The last moments before sleep.
#[derive(Debug)]
pub(super) struct SuspendWindow {
    /// When sleep is let come, whatever the sessions are at.
    ends: Instant,
    /// When a request in flight is given up for the next; `None`: that is done.
    last_answer: Option<Instant>,
    /// Whether the sessions were told.
    told: bool,
    /// What sleep waits for; `None`: it does not wait.
    hold: Option<SleepHold>,
}

impl SuspendWindow {
    fn new(now: &Now) -> Self {
        Self {
            ends: now.instant + WRITE_WITHIN,
            last_answer: Some(now.instant + LAST_ANSWER_WITHIN),
            told: false,
            hold: None,
        }
    }
}

impl Daemon {
    /// The machine announced that it goes to sleep. The last writes are tried also when it does not wait for them.
    pub(super) fn go_to_sleep(&mut self, now: &Now) {
        self.asleep = true;
        self.suspend_window.get_or_insert_with(|| SuspendWindow::new(now));
    }

    /// The machine waits with going to sleep.
    pub(super) fn hold_sleep(&mut self, hold: SleepHold, now: &Now) {
        let suspend_window = self.suspend_window.get_or_insert_with(|| SuspendWindow::new(now));
        suspend_window.ends = suspend_window.ends.min(now.instant + hold.within);
        suspend_window.hold = Some(hold);
    }

    /// Sees to it that the last writes go out in the time there is. The decision has been told to the sessions already.
    pub(super) fn flush_before_suspend(&mut self, now: &Now) {
        let Some(suspend_window) = &mut self.suspend_window else { return };
        if !std::mem::replace(&mut suspend_window.told, true) {
            self.accounts.iter_mut().chain(&mut self.leavers).for_each(Account::suspend);
        }
        if suspend_window.last_answer.take_if(|at| *at <= now.instant).is_some() {
            self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.abandon_request(now));
        }
    }

    /// Lets sleep come when no session will get anything done in the time that is left, or when that is over.
    pub(super) fn release_inhibitor(&mut self, now: &Now) {
        let Some(suspend_window) = &self.suspend_window else { return };
        let rest =
            self.accounts.iter().chain(&self.leavers).all(|account| account.rests_until(suspend_window.ends, now));
        if rest || suspend_window.ends <= now.instant {
            tracing::info!(written = rest, held = suspend_window.hold.is_some(), "going to sleep");
            self.suspend_window = None;
            self.history.sleep(now);
        }
    }

    /// When to look again at the last writes.
    pub(super) fn suspend_wakeup(&self) -> Option<Instant> {
        self.suspend_window
            .as_ref()
            .map(|suspend_window| suspend_window.last_answer.unwrap_or(suspend_window.ends).min(suspend_window.ends))
    }

    /// The machine is awake again: everything is read anew before anything is claimed. Until then the sessions stay as they
    /// were for the sleep.
    pub(super) fn wake(&mut self, now: &Now) {
        tracing::info!("awake again");
        self.history.wake(now);
        self.asleep = false;
        self.suspend_window = None;
        self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.wake(now));
        self.board.forget();
        self.sources.read_anew(&self.config.signals);
        self.patience = Some(patience());
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
