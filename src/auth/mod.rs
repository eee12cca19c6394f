//! Sign-in: gets bearer tokens for Microsoft Graph, keeps each until it is nearly over, and renews it.
//!
//! [`Authenticator`] is what the daemon asks; [`login`] and [`logout`] are what a person does, with a code or in a browser.
//! Leaves to others: what the token is used for (`graph/`), and what a failure leads to (`session/`).

mod aadsts;
mod browser;
mod claims;
mod client_certificate;
mod client_credentials;
mod client_secret;
mod command;
mod credential;
mod device_code;
mod expiry;
mod federated;
mod jwt;
mod keyring;
mod login;
mod permissions;
mod refresh;
mod secret;
mod store;
mod token_command;
mod token_error;
mod token_service;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::AbortHandle;
use tokio::time::Instant as Stopwatch;
use tracing::{debug, warn};

use crate::config::{self, Auth, Environment};
use crate::failure::{Failure, FailureKind, Missing};
use crate::tally::{Call, Outcome, Tally};
use crate::time::{Instant, Now};

use credential::Credential;
use store::Store;

pub use browser::BrowserPrompt;
pub use device_code::DevicePrompt;
pub use expiry::Expiry;
pub use keyring::{KeyringState, keyring_state};
pub use login::{Prompt, SignedIn, login};
pub use permissions::Permissions;
pub use store::{ensure_storable, logout, sign_in_file, stored, unlock};

/// After a renewal ahead of time failed, the token that still holds is used this long before the next try; and where trying
/// again does not help by itself, this long.
const RENEWAL_RETRY: Duration = Duration::from_mins(1);
const REFUSAL_RETRY: Duration = Duration::from_mins(15);

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

/// What is known of a sign-in, for whoever wants to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStatus {
    /// Who signed in; nobody where the application did.
    pub who: SignedIn,
    /// What the token permits; `None`: it does not say.
    pub permissions: Option<Permissions>,
    /// When the token ends, as the wall clock was when it was asked for.
    pub expires_at: Timestamp,
    /// Why no newer token could be had, since this one was.
    pub renewal_failure: Option<String>,
}

/// What a method of getting tokens got.
struct Grant {
    bearer: SecretString,
    /// Nobody where the application signed in.
    who: SignedIn,
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
struct TokenCache {
    held: Option<Held>,
    /// The claims that Graph asked for, of which the next token must say that it has them; until then there is none.
    challenge: Option<String>,
    /// The last renewal ahead of time.
    ahead: Option<AbortHandle>,
    /// What is shown of the newest token; `None`: there was none yet.
    status: Option<TokenStatus>,
}

/// The tokens of one account.
pub struct Authenticator {
    shared: Arc<Shared>,
}

/// What an authenticator shares with a renewal ahead of time.
struct Shared {
    account: String,
    config: config::Account,
    environment: Environment,
    store: Arc<Store>,
    /// Never locked across an await.
    cache: Mutex<TokenCache>,
    /// Held during a renewal, so that there is one at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    renewals: AtomicU64,
    /// The newest token that Graph accepted; 0: none yet.
    accepted: AtomicU64,
    /// Until when the certificate is good, where there is one.
    certificate: expiry::Watch,
    /// Where each question for a token counts.
    tally: Arc<Tally>,
}

impl fmt::Debug for Authenticator {
    /// Leaves the configuration out: the arguments of a command may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("account", &self.shared.account).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Gets tokens for the account named `account`.
    pub fn new(account: &str, config: &config::Account, environment: &Environment) -> Self {
        Self::tallied(account, config, environment, Arc::default())
    }

    /// The same, and each question for a token counts in `tally`.
    pub fn tallied(account: &str, config: &config::Account, environment: &Environment, tally: Arc<Tally>) -> Self {
        Self::with(account, config, environment, Arc::new(Store::new(account, config, environment)), tally)
    }

    fn with(
        account: &str,
        config: &config::Account,
        environment: &Environment,
        store: Arc<Store>,
        tally: Arc<Tally>,
    ) -> Self {
        let shared = Shared {
            account: account.to_owned(),
            config: config.clone(),
            environment: environment.clone(),
            store,
            cache: Mutex::default(),
            turn: Arc::default(),
            renewals: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            certificate: expiry::Watch::new(&config.auth),
            tally,
        };
        Self { shared: Arc::new(shared) }
    }

    /// One that begins anew in `environment`, by what is stored now. What could not be stored yet it takes over.
    #[must_use]
    pub fn anew(&self, environment: &Environment) -> Self {
        let shared = &self.shared;
        let (store, tally) = (Arc::clone(&shared.store), Arc::clone(&shared.tally));
        Self::with(&shared.account, &shared.config, environment, store, tally)
    }

    /// A token that holds at `now`. While the one there is holds, it is given at once, and when it is nearly over the next one
    /// is got in the meantime: a slow sign-in service holds no request up. `fresh` asks for one newer than any the caller has
    /// seen, because Graph turned that down.
    ///
    /// # Errors
    /// Any kind but [`FailureKind::TokenRefused`]. While the present token holds, a failure to renew it is not reported. Where
    /// the keyring is locked or gone, [`keyring_changed`] says when it is worth another look.
    pub async fn token(&self, now: &Now, fresh: bool) -> Result<Token, Failure> {
        let shared = &self.shared;
        let seen = shared.renewals.load(Ordering::Acquire);
        if !fresh && let Some(token) = shared.held(|token| now.instant < token.expires_at) {
            shared.certificate.look_again(&shared.config.auth, now);
            shared.renew_ahead(now);
            return Ok(token);
        }
        let _turn = shared.turn.lock().await;
        // Whoever had the turn before has got one for everybody who waited, however short it lives.
        if shared.renewals.load(Ordering::Acquire) != seen
            && let Some(token) = shared.held(|_| true)
        {
            return Ok(token);
        }
        shared.renew(now).await
    }

    /// What is under way will hardly be answered, as after the machine slept: nobody waits for it any more.
    pub fn abandon_renewal(&self) {
        if let Some(ahead) = self.shared.cache().ahead.take() {
            ahead.abort();
        }
    }

    /// Graph asked for `claims` that `token` lacks, and the next token will be asked for with them. `false`: it was asked for
    /// to meet a challenge itself and was never accepted, so that no other would be better. Whether the claims are the same
    /// says nothing about that: the time in them may be another one in each challenge.
    pub fn challenge(&self, token: &Token, claims: &str) -> bool {
        if token.meets_challenge && self.shared.accepted.load(Ordering::Acquire) < token.number {
            return false;
        }
        let mut cache = self.shared.cache();
        // A newer one may have come while the request was on its way.
        if cache.held.as_ref().is_none_or(|held| held.token.number == token.number) {
            cache.challenge = Some(claims.to_owned());
        }
        true
    }

    /// Graph did what a request with `token` asked for.
    pub fn note_accepted(&self, token: &Token) {
        self.shared.accepted.fetch_max(token.number, Ordering::AcqRel);
    }

    /// Whether Graph ever did what a request of this sign-in asked for.
    pub fn was_accepted(&self) -> bool {
        self.shared.accepted.load(Ordering::Acquire) > 0
    }

    /// What is known of the sign-in; `None`: no token was got yet.
    pub fn status(&self) -> Option<TokenStatus> {
        self.shared.cache().status.clone()
    }

    /// Until when the certificate is good that it signs in with, as far as that is known.
    pub fn certificate(&self) -> Option<Expiry> {
        self.shared.certificate.expiry()
    }

    /// The account whose tokens these are.
    pub fn account(&self) -> &str {
        &self.shared.account
    }
}

impl Shared {
    fn cache(&self) -> MutexGuard<'_, TokenCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token there is, if it is `good` and nothing more was asked of it.
    fn held(&self, good: impl FnOnce(&Token) -> bool) -> Option<Token> {
        let cache = self.cache();
        let held = cache.held.as_ref().filter(|held| cache.challenge.is_none() && good(&held.token));
        held.map(|held| held.token.clone())
    }

    /// Gets the next token in the background when it is time to, and nobody does so already.
    fn renew_ahead(self: &Arc<Self>, now: &Now) {
        if self.cache().held.as_ref().is_none_or(|held| now.instant < held.renew_at) {
            return;
        }
        let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() else { return };
        let (shared, now) = (Arc::clone(self), now.clone());
        let renewal = tokio::spawn(async move {
            let _turn = turn;
            if let Err(failure) = shared.renew(&now).await {
                shared.put_off(&failure, now.instant);
            }
        });
        self.cache().ahead = Some(renewal.abort_handle());
    }

    /// A new token, which is kept. Only for whoever has the turn.
    async fn renew(&self, now: &Now) -> Result<Token, Failure> {
        let challenge = self.cache().challenge.clone();
        let (pending, began) = (self.tally.begin(&self.account, Call::Token), Stopwatch::now());
        let asked = self.ask(challenge.as_deref(), now).await;
        pending.end(Outcome::of(&asked), began.elapsed(), now.wall);
        let mut cache = self.cache();
        if let (Err(failure), Some(status)) = (&asked, &mut cache.status) {
            status.renewal_failure = Some(failure.text.clone());
        }
        let number = self.renewals.load(Ordering::Acquire) + 1;
        let (new, status) = asked?.held_from(now, number, challenge.is_some());
        self.renewals.store(number, Ordering::Release);
        cache.status = Some(status);
        debug!(account = self.account, lifetime = ?new.token.expires_at.saturating_since(now.instant), "token renewed");
        // One that came in the meantime still stands.
        if cache.challenge == challenge {
            cache.challenge = None;
        }
        Ok(cache.held.insert(new).token.clone())
    }

    /// A renewal ahead of time failed.
    fn put_off(&self, failure: &Failure, asked_at: Instant) {
        warn!(account = self.account, hint = failure.hint, "the token could not be renewed ahead of time: {failure}");
        let pause = if passes(failure) { RENEWAL_RETRY } else { REFUSAL_RETRY };
        if let Some(held) = &mut self.cache().held {
            let wait = failure.retry_after.unwrap_or_default().max(pause);
            held.renew_at = (asked_at + wait).min(held.token.expires_at);
        }
    }

    async fn ask(&self, challenge: Option<&str>, now: &Now) -> Result<Grant, Failure> {
        match &self.config.auth {
            Auth::DeviceCode | Auth::Browser => refresh::renew(&self.store, &self.config, challenge).await,
            Auth::ClientSecret { secret } => {
                client_secret::ask(&self.config, secret, challenge, &self.environment).await
            }
            Auth::ClientCertificate { certificate, key } => {
                let credential = Credential::read(certificate, key.as_ref(), &self.environment).await?;
                self.certificate.note(certificate, &credential.certificate);
                credential.check_time(certificate, now)?;
                client_certificate::ask(&self.config, &credential, challenge, now).await
            }
            Auth::Federated { assertion } => {
                federated::ask(&self.config, assertion, challenge, &self.environment, now).await
            }
            // A newer token may do: often the claims only ask for one that was issued since.
            Auth::TokenCommand { command } => token_command::ask(command, &self.environment, now).await,
        }
    }
}

fn passes(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Passing | FailureKind::Throttled => true,
        FailureKind::TokenRefused | FailureKind::SignInNeeded | FailureKind::Refused => {
            matches!(failure.missing.as_deref(), Some(Missing::Keyring(_)))
        }
    }
}

/// Waits until the keyring is worth another look after a failure that lacked it: see [`Missing::Keyring`]. Nobody is asked
/// for anything.
pub async fn keyring_changed(locked: &[String]) {
    keyring::wait(locked, keyring::Prompt::Never).await;
}

impl Grant {
    /// Renewed when less than 5 minutes or a tenth of its life is left, whichever is more; one that lives so short that this
    /// would be at once, in the second half of its life.
    fn held_from(self, asked_at: &Now, number: u64, meets_challenge: bool) -> (Held, TokenStatus) {
        let ahead = Duration::from_mins(5).max(self.lifetime / 10).min(self.lifetime / 2);
        let expires_at = asked_at.instant + self.lifetime;
        let permissions = Permissions::of(self.bearer.expose_secret());
        let tenant = self.who.tenant.or_else(|| jwt::claims(self.bearer.expose_secret()).tid);
        let status = TokenStatus {
            who: SignedIn { tenant, ..self.who },
            permissions: permissions.clone(),
            expires_at: asked_at.wall_at(expires_at),
            renewal_failure: None,
        };
        let user = status.who.user.clone();
        let token = Token { bearer: self.bearer, user, permissions, number, meets_challenge, expires_at };
        (Held { token, renew_at: expires_at - ahead }, status)
    }
}
