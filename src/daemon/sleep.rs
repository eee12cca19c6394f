//! Going to sleep and waking up: sleep is held up until the sessions say so, and what was read before it counts no more.

use super::{Account, Daemon, patience};
use crate::signals::{SleepHold, Update};
use crate::time::{Instant, Now};

/// Sleep that is held up.
#[derive(Debug)]
pub(super) struct Bedtime {
    /// Until when a request in flight may still be answered, so that there is time for the next; `None`: that is over.
    patient_until: Option<Instant>,
    /// When sleep is let come, whatever the sessions are at.
    ends: Instant,
    _hold: SleepHold,
}

impl Daemon {
    /// The machine waits with going to sleep. The decision has been told already.
    pub(super) fn hold_sleep(&mut self, hold: SleepHold, now: &Now) {
        let (patient_until, ends) = (Some(now.instant + hold.within / 3), now.instant + hold.within);
        self.bedtime = Some(Bedtime { patient_until, ends, _hold: hold });
        self.accounts.iter_mut().chain(&mut self.leavers).for_each(Account::hurry);
    }

    /// Before the sessions are drained: gives up, when it is time, what is in flight for too long.
    pub(super) fn make_room_before_sleep(&mut self, now: &Now) {
        let Some(bedtime) = &mut self.bedtime else { return };
        if bedtime.patient_until.take_if(|until| *until <= now.instant).is_some() {
            self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.abandon_request(now));
        }
    }

    /// After the sessions were drained: lets sleep come when none will get anything done in the time that is left, or when
    /// that is over.
    pub(super) fn let_sleep(&mut self, now: &Now) {
        let Some(ends) = self.bedtime.as_ref().map(|bedtime| bedtime.ends) else { return };
        let rest = self.accounts.iter().chain(&self.leavers).all(|account| account.rests_until(ends, now));
        if rest || ends <= now.instant {
            self.bedtime = None;
            tracing::info!(written = rest, "going to sleep");
        }
    }

    /// When to look at sleep that is held up again.
    pub(super) fn sleep_comes(&self) -> Option<Instant> {
        self.bedtime.as_ref().map(|bedtime| bedtime.patient_until.unwrap_or(bedtime.ends))
    }

    /// The machine is awake again: everything is read anew before anything is claimed. Until then the sessions stay as they
    /// were for the sleep.
    pub(super) fn wake(&mut self, now: &Now) {
        tracing::info!("awake again");
        self.bedtime = None;
        self.accounts.iter_mut().chain(&mut self.leavers).for_each(|account| account.wake(now));
        self.board.forget();
        self.sources.read_anew(&self.config.signals);
        // What the tasks that were stopped had still to say is of before the sleep.
        let queued: Vec<Update> = std::iter::from_fn(|| self.updates.try_recv().ok()).collect();
        for update in queued {
            match update {
                Update::Lock(_) | Update::Call(_) | Update::Calendar(_) => {}
                Update::Sleep(_) | Update::SleepHold(_) | Update::NetworkBack => self.hear(update, now),
            }
        }
        self.patience = Some(patience());
    }
}
