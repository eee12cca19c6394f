//! Going to sleep and waking up: sleep is held up until the sessions say so, and what was read before it counts no more.

use super::{Account, Daemon, patience};
use crate::signals::SleepHold;
use crate::time::{Instant, Now};

/// Sleep that is held up.
#[derive(Debug)]
pub(super) struct Bedtime {
    /// When it is let come, whatever the sessions are at.
    ends: Instant,
    _hold: SleepHold,
}

impl Daemon {
    /// The machine waits with going to sleep. The decision has been told already.
    pub(super) fn hold_sleep(&mut self, hold: SleepHold, now: &Now) {
        self.bedtime = Some(Bedtime { ends: now.instant + hold.within, _hold: hold });
        // There is no time for a backoff.
        self.accounts.iter_mut().for_each(Account::nudge);
    }

    /// Lets sleep come when no session will get anything done in the time that is left, or when that is over.
    pub(super) fn let_sleep(&mut self, now: &Now) {
        let Some(ends) = self.sleep_comes() else { return };
        let rest = self.accounts.iter().all(|account| account.rests_until(ends, now));
        if rest || ends <= now.instant {
            self.bedtime = None;
            tracing::info!(written = rest, "going to sleep");
        }
    }

    /// When sleep that is held up comes at the latest.
    pub(super) fn sleep_comes(&self) -> Option<Instant> {
        self.bedtime.as_ref().map(|bedtime| bedtime.ends)
    }

    /// The machine is awake again: everything is read anew before anything is claimed. Until then the sessions stay as they
    /// were for the sleep.
    pub(super) fn wake(&mut self, now: &Now) {
        tracing::info!("awake again");
        self.bedtime = None;
        self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.wake(now));
        self.board.forget();
        self.sources.read_anew(&self.config.signals);
        self.patience = Some(patience());
    }
}
