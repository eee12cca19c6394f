//! Sign-in: gets bearer tokens for Microsoft Graph, keeps each until it is nearly over, and renews it.
//!
//! [`Authenticator`] is what the daemon asks; [`login`] and [`logout`] are what a person does, with device codes. Leaves
//! to others: what the token is used for (`graph/`), and what a failure leads to (`session/`).

mod claims;
mod client_secret;
mod command;
mod device_code;
mod entra_error;
mod jwt;
mod keyring;
mod permissions;
mod secret;
mod store;
mod token_command;
mod token_service;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tracing::{debug, warn};

use crate::config::{self, Auth, Environment};
use crate::session::{Failure, FailureKind, Lack};
use crate::time::{Instant, Now};

use store::Store;

pub use device_code::{DevicePrompt, SignedIn, login};
pub use permissions::Permissions;
pub use store::{logout, make_room, unlock};

/// After a renewal ahead of time failed, the token that still holds is used this long before the next try.
const RENEWAL_RETRY: Duration = Duration::from_mins(1);

/// A bearer token for Microsoft Graph.
#[derive(Clone, Debug)]
pub struct Token {
    /// What goes into the `Authorization` header.
    pub bearer: SecretString,
    /// The object id of who signed in; `None` when an application did, or nobody said.
    pub user: Option<String>,
    /// What it permits; `None`: it does not say.
    pub permissions: Option<Permissions>,
    /// Which one it is, counted from 1.
    number: u64,
    /// Whether it was asked for to meet a claims challenge.
    meets_challenge: bool,
    /// When it is over.
    pub expires_at: Instant,
}

impl Token {
    /// Whether it is known to be for the presence of `user`: it is that user's, or an application's, which may set anyone's.
    pub fn may_set(&self, user: &str) -> bool {
        match (&self.user, &self.permissions) {
            (Some(own), _) => own.eq_ignore_ascii_case(user),
            (None, Some(Permissions::Application(_))) => true,
            (None, Some(Permissions::Delegated(_)) | None) => false,
        }
    }
}

/// What a method of getting tokens got.
struct Grant {
    bearer: SecretString,
    user: Option<String>,
    /// From when it was asked for.
    lifetime: Duration,
}

/// A token and when to look for the next.
struct Held {
    token: Token,
    renew_at: Instant,
}

/// What an authenticator has.
#[derive(Default)]
struct Wallet {
    held: Option<Held>,
    /// The claims that Graph asked for, of which the next token must say that it has them; until then there is none.
    challenge: Option<String>,
}

/// The tokens of one account.
pub struct Authenticator {
    account: String,
    config: config::Account,
    environment: Environment,
    store: Arc<Store>,
    /// Locked during a renewal, so that there is one at a time and everyone else waits for its result.
    wallet: Mutex<Wallet>,
    renewals: AtomicU64,
    /// The newest token that Graph accepted; 0: none yet.
    accepted: AtomicU64,
}

impl fmt::Debug for Authenticator {
    /// Leaves the configuration out: the arguments of a command may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Gets tokens for the account named `account`.
    pub fn new(account: &str, config: &config::Account, environment: &Environment) -> Self {
        Self {
            account: account.to_owned(),
            config: config.clone(),
            environment: environment.clone(),
            store: Arc::new(Store::new(account, config, environment)),
            wallet: Mutex::default(),
            renewals: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
        }
    }

    /// One that begins anew, by what is stored now. What could not be stored yet it takes over.
    #[must_use]
    pub fn anew(&self) -> Self {
        let store = Arc::clone(&self.store);
        Self { store, ..Self::new(&self.account, &self.config, &self.environment) }
    }

    /// A token that holds at `now`: the one there is, or a new one when that is nearly over. `fresh` asks for one newer than
    /// any the caller has seen, because Graph turned that down.
    ///
    /// # Errors
    /// Any kind but [`FailureKind::TokenRefused`]. While the present token holds, a failure that passes is not reported, nor a
    /// keyring that is locked or gone; where that is, [`keyring_changed`] says when it is worth another look.
    pub async fn token(&self, now: &Now, fresh: bool) -> Result<Token, Failure> {
        let seen = self.renewals.load(Ordering::Acquire);
        let mut wallet = self.wallet.lock().await;
        let Wallet { held, challenge } = &mut *wallet;
        let renewed_meanwhile = self.renewals.load(Ordering::Acquire) != seen;
        if let Some(held) = held
            && challenge.is_none()
            && (!fresh || renewed_meanwhile)
            && now.instant < held.renew_at
        {
            return Ok(held.token.clone());
        }
        match self.ask(challenge.as_deref(), now).await {
            Ok(grant) => {
                let number = self.renewals.fetch_add(1, Ordering::Release) + 1;
                let new = grant.held_from(now.instant, number, challenge.take().is_some());
                debug!(account = self.account, lifetime = ?new.token.expires_at.saturating_since(now.instant), "token renewed");
                Ok(held.insert(new).token.clone())
            }
            Err(failure) => match held {
                Some(held)
                    if challenge.is_none() && !fresh && passes(&failure) && now.instant < held.token.expires_at =>
                {
                    warn!(account = self.account, "the token could not be renewed ahead of time: {failure}");
                    let wait = failure.retry_after.unwrap_or_default().max(RENEWAL_RETRY);
                    held.renew_at = (now.instant + wait).min(held.token.expires_at);
                    Ok(held.token.clone())
                }
                Some(_) | None => Err(failure),
            },
        }
    }

    /// Graph asked for `claims` that `token` lacks, and the next token will be asked for with them. `false`: it was asked for
    /// to meet a challenge itself and was never accepted, so that no other would be better. Whether the claims are the same
    /// says nothing about that: the time in them may be another one in each challenge.
    pub async fn challenge(&self, token: &Token, claims: &str) -> bool {
        if token.meets_challenge && self.accepted.load(Ordering::Acquire) < token.number {
            return false;
        }
        let mut wallet = self.wallet.lock().await;
        // A newer one may have come while the request was on its way.
        if wallet.held.as_ref().is_none_or(|held| held.token.number == token.number) {
            wallet.challenge = Some(claims.to_owned());
        }
        true
    }

    /// Graph did what a request with `token` asked for.
    pub fn note_accepted(&self, token: &Token) {
        self.accepted.fetch_max(token.number, Ordering::AcqRel);
    }

    /// Whether Graph ever did what a request of this sign-in asked for.
    pub fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Acquire) > 0
    }

    /// The account whose tokens these are.
    pub fn account(&self) -> &str {
        &self.account
    }

    async fn ask(&self, challenge: Option<&str>, now: &Now) -> Result<Grant, Failure> {
        match &self.config.auth {
            Auth::DeviceCode => device_code::renew(&self.store, &self.config, challenge).await,
            Auth::ClientSecret { secret } => {
                client_secret::ask(&self.config, secret, challenge, &self.environment).await
            }
            // A newer token may do: often the claims only ask for one that was issued since.
            Auth::TokenCommand { command } => token_command::ask(command, now).await,
        }
    }
}

fn passes(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Passing | FailureKind::Throttled => true,
        FailureKind::TokenRefused | FailureKind::SignInNeeded | FailureKind::Refused => {
            matches!(failure.lacks.as_deref(), Some(Lack::Keyring(_)))
        }
    }
}

/// Waits until the keyring is worth another look after a failure that lacked it: see [`Lack::Keyring`]. Nobody is asked
/// for anything.
pub async fn keyring_changed(locked: &[String]) {
    keyring::wait(locked, keyring::Prompt::Never).await;
}

impl Grant {
    /// Renewed when less than 5 minutes or a tenth of its life is left, whichever is more; one that lives so short that this
    /// would be at once, in the second half of its life.
    fn held_from(self, asked_at: Instant, number: u64, meets_challenge: bool) -> Held {
        let ahead = Duration::from_mins(5).max(self.lifetime / 10).min(self.lifetime / 2);
        let expires_at = asked_at + self.lifetime;
        let permissions = Permissions::of(self.bearer.expose_secret());
        let token = Token { bearer: self.bearer, user: self.user, permissions, number, meets_challenge, expires_at };
        Held { token, renew_at: expires_at - ahead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_ahead_of_its_end_but_used_however_short_it_lives() {
        let ahead = |minutes| {
            let grant = Grant { bearer: "t".into(), user: None, lifetime: Duration::from_mins(minutes) };
            let held = grant.held_from(Instant::from_origin(Duration::from_hours(1)), 1, false);
            held.token.expires_at.saturating_since(held.renew_at)
        };
        assert_eq!(ahead(75), Duration::from_secs(450));
        assert_eq!(ahead(28 * 60), Duration::from_mins(168));
        assert_eq!(ahead(30), Duration::from_mins(5));
        assert_eq!(ahead(4), Duration::from_mins(2));
        assert_eq!(ahead(0), Duration::ZERO);
    }
}
