//! A token: what is known of it, and how long it is used.
//!
//! Leaves to others: how it is fetched (a file for each way), and when the next one is asked for (`mod`).

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::time::{Instant, Now};

use super::{Permissions, SignedIn, jwt};

/// A bearer token for Microsoft Graph.
#[derive(Clone, Debug)]
pub struct Token {
    /// The value for the `Authorization` header.
    pub bearer: SecretString,
    /// The object id of the person who signed in; `None` if an application did, or if it is unknown.
    pub user: Option<String>,
    /// What it permits; `None`: unknown.
    pub permissions: Option<Permissions>,
    /// Its number, counted from 1.
    pub(super) number: u64,
    /// Whether it was requested to meet a claims challenge.
    pub(super) meets_challenge: bool,
    /// When it expires.
    pub expires_at: Instant,
}

impl Token {
    /// Whether it is known to be valid for the presence of `user`: it is that user's, or an application's, which may set anyone's
    /// presence.
    pub fn may_set(&self, user: &str) -> bool {
        match (&self.user, &self.permissions) {
            (Some(own), _) => own.eq_ignore_ascii_case(user),
            (None, Some(Permissions::Application(_))) => true,
            (None, Some(Permissions::Delegated(_)) | None) => false,
        }
    }
}

/// What is known of a sign-in, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStatus {
    /// Who signed in; empty if the application did.
    pub who: SignedIn,
    /// What the token permits; `None`: unknown.
    pub permissions: Option<Permissions>,
    /// When the token expires, by the wall clock at the time of the request.
    pub expires_at: Timestamp,
    /// Why the last renewal since this token failed.
    pub renewal_failure: Option<String>,
}

/// The result of a method of getting tokens.
pub(super) struct Grant {
    pub(super) bearer: SecretString,
    /// Empty if the application signed in.
    pub(super) who: SignedIn,
    /// Counted from the request.
    pub(super) lifetime: Duration,
}

impl Grant {
    /// A token is renewed when less than 5 minutes or a tenth of its life is left, whichever is more. If its life is too short
    /// for that, it is renewed in the second half of its life.
    pub(super) fn held_from(self, asked_at: &Now, number: u64, meets_challenge: bool) -> (Held, TokenStatus) {
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

/// A token and when to renew it.
pub(super) struct Held {
    pub(super) token: Token,
    pub(super) renew_at: Instant,
}
