//! Waiting for the keyring. A request that found it locked or missing starts a task that waits for the bus to announce a change.
//! After that the session tries again, as it does after a sign-in.
//!
//! Leaves to others: what the change looks like on the bus (`auth/keyring`).

use tokio::task::{AbortHandle, JoinSet};

use crate::auth;
use crate::failure::{Failure, Missing};

use super::{AccountId, Done, Ended};
use crate::tasks::spawn_into;

/// Whether an account waits for the keyring.
#[derive(Debug, Default)]
pub(super) enum KeyringWait {
    /// It does not.
    #[default]
    Idle,
    /// A request failed without it, so the wait must start. Holds the names of the locked collections: see [`Missing::Keyring`].
    Due(Vec<String>),
    /// A task is waiting.
    Waiting(AbortHandle),
}

impl KeyringWait {
    /// Remembers to wait, if `failure` was about the keyring.
    pub(super) fn note(&mut self, failure: &Failure) {
        if let (Some(Missing::Keyring(locked)), Self::Idle) = (failure.missing.as_deref(), &self) {
            *self = Self::Due(locked.clone());
        }
    }

    /// Starts the wait of `account`, if it is due.
    pub(super) fn start(&mut self, account: AccountId, tasks: &mut JoinSet<Done>) {
        if let Self::Due(locked) = self {
            let locked = std::mem::take(locked);
            *self = Self::Waiting(spawn_into(tasks, async move {
                auth::keyring_changed(&locked).await;
                Done { account, ended: Ended::KeyringChanged }
            }));
        }
    }

    /// Whether a task is waiting.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    /// The keyring has changed, so the wait is over.
    pub(super) fn end(&mut self) {
        *self = Self::Idle;
    }
}

impl Drop for KeyringWait {
    fn drop(&mut self) {
        if let Self::Waiting(wait) = self {
            wait.abort();
        }
    }
}
