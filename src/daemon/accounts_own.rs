//! What was set for one account through the socket: for its user, or for all of its users.
//!
//! Leaves to others: what that makes of the readings ([`Own`]), and the file that keeps it over a restart ([`Journal`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::sync::oneshot;

use super::fleet::{Journal, Own, read_journal};
use crate::config;
use crate::fill::Fill as _;
use crate::kept::Life;
use crate::policy::Snapshot;
use crate::status::users::{NotDone, UserChange};
use crate::time::{Instant, Now};

/// What is set for each account, by its name.
#[derive(Debug)]
pub(super) struct AccountsOwn {
    own: BTreeMap<String, Own>,
    journal: Journal,
    life: Life,
}

impl AccountsOwn {
    /// What still holds according to `file`; `None`: nothing is kept. Needs a running tokio runtime.
    pub(super) fn restore(file: Option<PathBuf>, life: Life, now: &Now) -> Self {
        let restored = file.as_deref().map(|file| read_journal(file, &life, now)).unwrap_or_default();
        let own = restored.users.into_iter().map(|(account, restored)| (account, Own::restored(restored))).fill();
        Self { own, journal: Journal::start(file), life }
    }

    /// Forgets what was set for accounts that are not configured.
    pub(super) fn retain(&mut self, accounts: &BTreeMap<String, config::Account>, now: &Now) {
        self.own.retain(|account, own| accounts.contains_key(account) && !own.is_empty());
        let kept = self.own.iter().map(|(account, own)| (account.as_str(), Own::kept(Some(own), &self.life, now)));
        self.journal.replace(kept);
    }

    /// Takes in a change. `writer` is the program that makes it.
    pub(super) fn change(
        &mut self,
        account: &str,
        change: &UserChange,
        writer: Option<&str>,
        now: &Now,
    ) -> Result<(), NotDone> {
        let own = self.own.entry(account.to_owned()).or_default();
        own.apply(change, writer, now).map_err(NotDone::Refused)?;
        self.journal.note(account, &Own::kept(Some(own), &self.life, now));
        Ok(())
    }

    /// Keeps what was changed. The receiver ends when it is on the disk, or cannot be written.
    pub(super) fn keep(&mut self) -> oneshot::Receiver<()> {
        self.journal.flush()
    }

    /// What is set for this account.
    pub(super) fn of(&self, account: &str) -> Option<&Own> {
        self.own.get(account)
    }

    /// The machine's readings with what is set for this account. `None`: nothing is.
    pub(super) fn over(&self, machine: &Snapshot, account: &str, now: &Now) -> Option<Snapshot> {
        Some(self.own.get(account)?.over(machine, now))
    }

    /// When something that is set ends.
    pub(super) fn next_end(&self, now: &Now) -> Option<Instant> {
        self.own.values().filter_map(|own| own.next_end(now)).min()
    }
}
