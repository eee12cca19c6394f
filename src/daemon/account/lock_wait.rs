//! Waiting for the lock of the session. A request that found it held by another process starts a task that watches the lock's
//! file: the kernel reports when its holder closes it or ends. After that the session tries again.
//!
//! Leaves to others: the lock itself (`daemon/session_lock`).

use std::path::PathBuf;

use tokio::task::{AbortHandle, JoinSet};

use crate::failure::{Failure, Missing};
use crate::off_the_loop::off_the_loop;
use crate::signals::FileWatcher;

use super::super::session_lock::is_free;
use super::{AccountId, Done, Ended};
use crate::tasks::spawn_into;

/// Whether an account waits for its lock.
#[derive(Debug, Default)]
pub(super) enum LockWait {
    /// It does not.
    #[default]
    Idle,
    /// A request failed without it, so the wait must start.
    Due(PathBuf),
    /// A task is waiting.
    Waiting(AbortHandle),
}

impl LockWait {
    /// Remembers to wait, if `failure` was about the lock.
    pub(super) fn note(&mut self, failure: &Failure) {
        if let (Some(Missing::Lock(path)), Self::Idle) = (failure.missing.as_deref(), &self) {
            *self = Self::Due(path.clone());
        }
    }

    /// Starts the wait of `account`, if it is due.
    pub(super) fn start(&mut self, account: AccountId, watcher: &FileWatcher, tasks: &mut JoinSet<Done>) {
        if let Self::Due(path) = self {
            let (path, mut watch) = (std::mem::take(path), watcher.subscribe());
            *self = Self::Waiting(spawn_into(tasks, async move {
                loop {
                    let there = path.clone();
                    let look = move || {
                        watch.resolve(&there);
                        let is_free = is_free(&there);
                        (watch, is_free)
                    };
                    let is_now_free;
                    (watch, is_now_free) = off_the_loop(look).await;
                    if is_now_free {
                        break Done { account, ended: Ended::LockFree };
                    }
                    watch.touched().await;
                }
            }));
        }
    }

    /// Whether another process holds the lock.
    pub(super) fn is_waiting(&self) -> bool {
        !matches!(self, Self::Idle)
    }

    /// The lock is free, so the wait is over.
    pub(super) fn end(&mut self) {
        *self = Self::Idle;
    }
}

impl Drop for LockWait {
    fn drop(&mut self) {
        if let Self::Waiting(wait) = self {
            wait.abort();
        }
    }
}
