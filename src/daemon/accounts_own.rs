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
        if self.own.is_empty() {
            return;
        }
        self.own.retain(|account, own| accounts.contains_key(account) && !own.is_empty());
        self.rewrite(now);
    }

    fn rewrite(&mut self, now: &Now) {
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
    pub(super) fn keep(&mut self, now: &Now) -> oneshot::Receiver<()> {
        let done = self.journal.flush();
        if self.journal.is_long() {
            self.rewrite(now);
        }
        done
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_is_set_again_and_again_does_not_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kept/a.accounts.jsonl");
        let life = Life { boot: None, login: None };
        let now =
            Now { instant: Instant::from_origin(Duration::ZERO), wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        let mut own = AccountsOwn::restore(Some(file.clone()), life, &now);
        let value = "x".repeat(200);
        for _ in 0..50 {
            for _ in 0..200 {
                let change = UserChange::SetSignal("mood".to_owned(), value.clone(), None);
                own.change("work", &change, None, &now).unwrap();
            }
            // It ends without a message.
            let _ = own.keep(&now).await;
        }
        let size = std::fs::metadata(&file).unwrap().len();
        assert!((200..1_500_000).contains(&size), "{size}");
    }
}
