//! The tokens of one credential. Accounts that sign in as the same application share them, so that there is one token for all.
//!
//! Leaves to others: asking for a token (the parent module).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::expiry;
use super::token::{Held, Token, TokenStatus};
use crate::config;
use crate::failure::Failure;

/// The tokens in use, by who signs in. A clone is another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct TokenPool(Arc<Mutex<Vec<InUse>>>);

/// An account, and its tokens.
type InUse = (config::Account, Weak<Tokens>);

impl TokenPool {
    /// The tokens for this account: those of another one, if that signs in as the same application. A person's are never shared.
    pub(super) fn of(&self, account: &config::Account) -> Arc<Tokens> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, tokens)| tokens.strong_count() > 0);
        let shared = known.iter().find(|(other, _)| is_same_sign_in(account, other));
        if let Some(tokens) = shared.and_then(|(_, tokens)| tokens.upgrade()) {
            return tokens;
        }
        let tokens = Arc::new(Tokens::new(account));
        if !account.auth.is_interactive() {
            known.push((account.clone(), Arc::downgrade(&tokens)));
        }
        tokens
    }

    /// What a credential is worth may have changed: whoever asks from now on begins without a token.
    pub fn begin_anew(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Whether two accounts get the same token.
fn is_same_sign_in(one: &config::Account, other: &config::Account) -> bool {
    one.auth == other.auth
        && one.tenant.eq_ignore_ascii_case(&other.tenant)
        && one.client_id.eq_ignore_ascii_case(&other.client_id)
        && (one.cloud, &one.endpoints) == (other.cloud, &other.endpoints)
}

/// The current token, and what is known of the next one.
#[derive(Default)]
pub(super) struct TokenCache {
    pub(super) held: Option<Held>,
    /// The claims that Graph asked for. The next token has to contain them, and until then there is no usable token.
    pub(super) challenge: Option<String>,
    /// The last early renewal.
    pub(super) ahead: Option<AbortHandle>,
    /// What is shown of the newest token; `None`: there was no token yet.
    pub(super) status: Option<TokenStatus>,
    /// Why the last attempt to get one failed; `None`: it did not.
    pub(super) failure: Option<Failure>,
}

/// The tokens of one credential.
pub(super) struct Tokens {
    /// Never locked across an await.
    cache: Mutex<TokenCache>,
    /// Held during a renewal, so that there is only one at a time.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether there is one. The turn does not say that: those who wait for it have it one after the other.
    pub(super) renewing: watch::Sender<bool>,
    /// Counts all attempts to get one.
    pub(super) attempts: AtomicU64,
    pub(super) renewals: AtomicU64,
    /// The number of the newest token that Graph accepted; 0: none yet.
    pub(super) accepted: AtomicU64,
    /// How long the certificate is valid, if there is one.
    pub(super) certificate: expiry::Watch,
}

impl Tokens {
    fn new(account: &config::Account) -> Self {
        Self {
            cache: Mutex::default(),
            turn: Arc::default(),
            renewing: watch::Sender::default(),
            attempts: AtomicU64::new(0),
            renewals: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            certificate: expiry::Watch::new(&account.auth),
        }
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, TokenCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A renewal begins; it ends when the result is dropped. The caller must have the turn.
    pub(super) fn note_renewal(&self) -> Renewing {
        self.renewing.send_replace(true);
        Renewing(self.renewing.clone())
    }

    /// The current token, if it is `good` and no challenge is open.
    pub(super) fn held(&self, good: impl FnOnce(&Token) -> bool) -> Option<Token> {
        let cache = self.cache();
        let held = cache.held.as_ref().filter(|held| cache.challenge.is_none() && good(&held.token));
        held.map(|held| held.token.clone())
    }

    /// Whether Graph accepted a request with `token`, or with a newer one.
    pub(super) fn is_accepted(&self, token: &Token) -> bool {
        self.accepted.load(Ordering::Acquire) >= token.number
    }
}

/// A renewal that has begun.
pub(super) struct Renewing(watch::Sender<bool>);

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}
