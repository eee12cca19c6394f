//! Sign-in: gets bearer tokens for Microsoft Graph, keeps each until it has nearly expired, and renews it.
//!
//! The daemon uses [`Authenticator`]; [`login`] and [`logout`] are for a person, with a code or in a browser. Leaves to others:
//! what the token is used for (`graph/`), and what follows from a failure (`session/`).

pub mod aadsts;
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
mod remedy;
mod secret;
mod shared_tokens;
mod store;
mod token;
mod token_command;
mod token_error;
mod token_service;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant as Stopwatch;
use tracing::{debug, warn};

use crate::config::{self, Auth, Environment};
use crate::failure::{Failure, FailureKind, Missing};
use crate::metrics::{Call, Metrics, Outcome};
use crate::tasks;
use crate::time::{Instant, Now};

use credential::Credential;
use shared_tokens::Tokens;
use store::Store;
use token::Grant;

pub use browser::BrowserPrompt;
pub use credential::Expiry;
pub use device_code::DevicePrompt;
pub use keyring::{KeyringState, keyring_state};
pub use login::{Prompt, SignedIn, login};
pub use permissions::Permissions;
pub use shared_tokens::TokenPool;
pub use store::{ensure_storable, logout, sign_in_file, stored, sweep, unlock};
pub use token::{Token, TokenStatus};

/// How long to wait after an early renewal failed, while the current token is still valid. The second is for failures that
/// trying again does not fix.
const RENEWAL_RETRY: Duration = Duration::from_mins(1);
const REFUSAL_RETRY: Duration = Duration::from_mins(15);

/// The tokens of one account.
pub struct Authenticator {
    shared: Arc<Shared>,
}

/// What an authenticator shares with an early renewal.
struct Shared {
    account: String,
    config: config::Account,
    environment: Environment,
    store: Arc<Store>,
    tokens: Arc<Tokens>,
    pool: TokenPool,
    /// Counts each request for a token.
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Authenticator {
    /// Omits the configuration: the arguments of a command may contain a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("account", &self.shared.account).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Gets tokens for the account named `account`.
    pub fn new(account: &str, config: &config::Account, environment: &Environment) -> Self {
        Self::sharing(account, config, environment, &TokenPool::default(), Arc::default())
    }

    /// The same; shares the tokens with all accounts of this pool that sign in as the same application. Each request for a token
    /// counts in `metrics`.
    pub fn sharing(
        account: &str,
        config: &config::Account,
        environment: &Environment,
        pool: &TokenPool,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self::with(account, config, environment, Arc::new(Store::new(account, config, environment)), pool, metrics)
    }

    fn with(
        account: &str,
        config: &config::Account,
        environment: &Environment,
        store: Arc<Store>,
        pool: &TokenPool,
        metrics: Arc<Metrics>,
    ) -> Self {
        let shared = Shared {
            account: account.to_owned(),
            config: config.clone(),
            environment: environment.clone(),
            store,
            tokens: pool.of(config),
            pool: pool.clone(),
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// A new one in `environment`, which starts from what is stored now. It takes over what could not be stored yet. After
    /// [`TokenPool::begin_anew`], it has no token.
    #[must_use]
    pub fn anew(&self, environment: &Environment) -> Self {
        let shared = &self.shared;
        let (store, metrics) = (Arc::clone(&shared.store), Arc::clone(&shared.metrics));
        Self::with(&shared.account, &shared.config, environment, store, &shared.pool, metrics)
    }

    /// A token that is valid at `now`. While the current token is valid, this returns it at once; when it has nearly expired,
    /// the next one is fetched in the background, so that a slow sign-in service delays no request. `fresh` asks for a token
    /// newer than any that the caller has seen, because Graph rejected that one.
    ///
    /// # Errors
    /// Any kind except [`FailureKind::TokenRefused`]. While the current token is valid, a failed renewal is not reported. If
    /// the keyring is locked or gone, [`keyring_changed`] says when to try again.
    pub async fn token(&self, now: &Now, fresh: bool) -> Result<Token, Failure> {
        let (shared, tokens) = (&self.shared, &self.shared.tokens);
        let (seen, tried) = (tokens.renewals.load(Ordering::Acquire), tokens.attempts.load(Ordering::Acquire));
        if !fresh && let Some(token) = tokens.held(|token| now.instant < token.expires_at) {
            tokens.certificate.look_again(&shared.config.auth, now).await;
            shared.renew_ahead(now);
            return Ok(token);
        }
        let _turn = tokens.turn.lock().await;
        // The task that had the turn before this one asked for all that waited: it got a token, however short its life, or none.
        if tokens.renewals.load(Ordering::Acquire) != seen
            && let Some(token) = tokens.held(|_| true)
        {
            return Ok(token);
        }
        if tokens.attempts.load(Ordering::Acquire) != tried
            && let Some(failure) = tokens.cache().failure.clone()
        {
            return Err(failure);
        }
        let _renewing = tokens.note_renewal();
        shared.renew(now).await
    }

    /// Gives up an early renewal that will probably get no answer, as after the machine slept.
    pub fn abandon_renewal(&self) {
        if let Some(ahead) = self.shared.tokens.cache().ahead.take() {
            ahead.abort();
        }
    }

    /// Graph asked for `claims` that `token` lacks, so the next token request will include them. `false`: this token was itself
    /// requested to meet a challenge and was never accepted, so that another would not be better. Comparing the claims would
    /// not show that: they may contain a time that differs in each challenge.
    pub fn challenge(&self, token: &Token, claims: &str) -> bool {
        if token.meets_challenge && !self.is_accepted(token) {
            return false;
        }
        let mut cache = self.shared.tokens.cache();
        // A newer token may have arrived while the request was on its way.
        if cache.held.as_ref().is_none_or(|held| held.token.number == token.number) {
            cache.challenge = Some(claims.to_owned());
        }
        true
    }

    /// Graph accepted a request with `token`.
    pub fn note_accepted(&self, token: &Token) {
        self.shared.tokens.accepted.fetch_max(token.number, Ordering::AcqRel);
    }

    /// Whether Graph accepted a request with `token`, or with a newer one.
    pub fn is_accepted(&self, token: &Token) -> bool {
        self.shared.tokens.is_accepted(token)
    }

    /// Whether Graph ever accepted a request of this sign-in.
    pub fn was_accepted(&self) -> bool {
        self.shared.tokens.accepted.load(Ordering::Acquire) > 0
    }

    /// What is known of the sign-in; `None`: there was no token yet.
    pub fn status(&self) -> Option<TokenStatus> {
        self.shared.tokens.cache().status.clone()
    }

    /// Why the newest refresh token is not stored; `None`: it is, or there is none.
    pub fn not_stored(&self) -> Option<Failure> {
        self.shared.store.not_stored()
    }

    /// Whether a token is being fetched.
    pub fn is_renewing(&self) -> bool {
        *self.shared.tokens.renewing.borrow()
    }

    /// Waits until no token is being fetched.
    pub async fn renewal_ended(&self) {
        // The sender lives as long as these tokens.
        let _ = self.shared.tokens.renewing.subscribe().wait_for(|renewing| !renewing).await;
    }

    /// How long the certificate that it signs in with is valid, if that is known.
    pub fn certificate(&self) -> Option<Expiry> {
        self.shared.tokens.certificate.expiry()
    }

    /// The account whose tokens these are.
    pub fn account(&self) -> &str {
        &self.shared.account
    }
}

impl Shared {
    /// Fetches the next token in the background if it is time, unless that is already under way.
    fn renew_ahead(self: &Arc<Self>, now: &Now) {
        if self.tokens.cache().held.as_ref().is_none_or(|held| now.instant < held.renew_at) {
            return;
        }
        let Ok(turn) = Arc::clone(&self.tokens.turn).try_lock_owned() else { return };
        let (shared, now, renewing) = (Arc::clone(self), now.clone(), self.tokens.note_renewal());
        let renewal = tasks::spawn(async move {
            let (_turn, _renewing) = (turn, renewing);
            if let Err(failure) = shared.renew(&now).await {
                shared.put_off(&failure, now.instant);
            }
        });
        self.tokens.cache().ahead = Some(renewal.abort_handle());
    }

    /// Fetches a new token and keeps it. The caller must hold the turn.
    async fn renew(&self, now: &Now) -> Result<Token, Failure> {
        let challenge = self.tokens.cache().challenge.clone();
        let (pending, began) = (self.metrics.begin(&self.account, Call::Token), Stopwatch::now());
        let asked = self.ask(challenge.as_deref(), now).await;
        pending.end(Outcome::of(&asked), began.elapsed(), now.wall);
        let mut cache = self.tokens.cache();
        self.tokens.attempts.fetch_add(1, Ordering::AcqRel);
        cache.failure = asked.as_ref().err().cloned();
        if let (Err(failure), Some(status)) = (&asked, &mut cache.status) {
            status.renewal_failure = Some(failure.text.clone());
        }
        let number = self.tokens.renewals.load(Ordering::Acquire) + 1;
        let (new, status) = asked?.held_from(now, number, challenge.is_some());
        self.tokens.renewals.store(number, Ordering::Release);
        cache.status = Some(status);
        debug!(account = self.account, lifetime = ?new.token.expires_at.saturating_since(now.instant), "token renewed");
        // A challenge that came in the meantime is still open.
        if cache.challenge == challenge {
            cache.challenge = None;
        }
        Ok(cache.held.insert(new).token.clone())
    }

    /// An early renewal failed.
    fn put_off(&self, failure: &Failure, asked_at: Instant) {
        warn!(account = self.account, hint = failure.hint, "the token could not be renewed early: {failure}");
        let pause = if passes(failure) { RENEWAL_RETRY } else { REFUSAL_RETRY };
        if let Some(held) = &mut self.tokens.cache().held {
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
                self.tokens.certificate.note(certificate, &credential.certificate);
                credential.check_time(certificate, now)?;
                client_certificate::ask(&self.config, &credential, challenge, now).await
            }
            Auth::Federated { assertion } => {
                federated::ask(&self.config, assertion, challenge, &self.environment, now).await
            }
            // A newer token may be enough: often the claims only require one that was issued since.
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

/// Waits until it is worth trying the keyring again after a failure without it: see [`Missing::Keyring`]. Asks nobody for
/// anything.
pub async fn keyring_changed(locked: &[String]) {
    keyring::wait(locked, keyring::Prompt::Never).await;
}
