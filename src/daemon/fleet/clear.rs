//! Clears the presence of all users of an account without a daemon, at the pace that Graph allows: `presenced users --clear`.
//!
//! A daemon on this machine holds the lock of the application, so both never write at once.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::config::users_file;
use crate::config::{self, Users as Configured};
use crate::failure::{Failure, FailureKind};
use crate::kept::Life;
use crate::regular_file;
use crate::signals::FileWatcher;
use crate::status::report::Requests;
use crate::time::Clock;

use super::super::account::AccountId;
use super::super::applications::Applications;
use super::super::session_lock::{Holder, Locks};
use super::super::sleep_or_never;
use super::{Fleet, Resources};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// How many users there were.
    pub users: usize,
    /// The requests that it took.
    pub requests: Requests,
}

/// Clears everybody of the account `name`. Calls `progress` with the number of users who are done, and of all.
///
/// # Errors
/// The users are not known, nobody is signed in, or another process holds the sessions.
pub async fn clear_users(
    name: &str,
    account: config::Account,
    environment: &config::Environment,
    clock: Arc<dyn Clock>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Cleared, Failure> {
    let users = match &account.users {
        Some(Configured::File(path)) => Configured::Listed(read(path)?),
        Some(Configured::Listed(users)) => Configured::Listed(users.clone()),
        Some(Configured::Signalled) | None => {
            let text = format!("account `{name}` does not name its users");
            return Err(Failure::new(FailureKind::Refused, text)
                .with_hint("write a users file with their object ids, and name it in `users`"));
        }
    };
    let account = config::Account { users: Some(users), ..account };
    let resources = Resources {
        applications: &mut Applications::default(),
        environment,
        metrics: Arc::default(),
        lock: Locks::new(environment, Holder::this(None, None)).of(&account),
        file_watcher: FileWatcher::new(),
        clock: Arc::clone(&clock),
        life: Life::default(),
        kept: None,
    };
    let now = clock.now();
    let mut fleet = Fleet::new(AccountId(0), name, account, resources, &now)?;
    fleet.leave(&now);
    let (all, mut tasks) = (fleet.users.len(), JoinSet::new());
    loop {
        let now = clock.now();
        fleet.send(&mut tasks, &now);
        progress(all - fleet.users.len(), all);
        if fleet.users.is_empty() {
            return Ok(Cleared { users: all, requests: fleet.requests });
        }
        let failure = fleet.trouble.as_ref().map(|trouble| &trouble.failure);
        if let Some(failure) = failure.filter(|failure| is_final(failure.kind)) {
            return Err(failure.clone());
        }
        let next = fleet.next_wakeup(false, &now).0;
        tokio::select! {
            Some(Ok(done)) = tasks.join_next(), if !tasks.is_empty() => {
                let now = clock.now();
                fleet.finish(done, &mut tasks, &now);
            }
            () = sleep_or_never(next.map(|next| clock.sleep_until(next))) => {}
        }
    }
}

fn read(path: &Path) -> Result<Vec<config::UserEntry>, Failure> {
    let text = regular_file::read(path, users_file::MAX_FILE_BYTES).map_err(|unfit| {
        let text = format!("the users file {} cannot be read: {unfit}", path.display());
        Failure::new(FailureKind::Refused, text).with_hint(unfit.hint())
    })?;
    Ok(users_file::parse(&text).users)
}

/// Whether trying again fixes nothing.
fn is_final(kind: FailureKind) -> bool {
    match kind {
        FailureKind::SignInNeeded | FailureKind::Refused => true,
        FailureKind::Passing | FailureKind::Throttled | FailureKind::TokenRefused => false,
    }
}
