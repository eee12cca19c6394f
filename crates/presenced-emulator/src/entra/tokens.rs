//! The issued tokens, and whom they belong to. They look like Entra's and are signed, but the emulator recognizes a token by its
//! whole text. Unlike here, Entra's own access tokens for Graph cannot be verified by others, and clients must not read them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::error::EntraError;
use super::signing::jwt;
use crate::options::User;
use crate::route::Version;
use presenced_core::time::{Instant, Now};

/// How long a refresh token lives.
const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// How long the emulator still answers "expired" about an expired access token.
const EXPIRED_TOKEN_RETENTION: Duration = Duration::from_hours(24);

/// How many access tokens, and how many refresh tokens, are kept.
const MAX_TOKENS_OF_A_KIND: usize = 10_000;

/// Whom a token represents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The application itself, with application permissions.
    Application { roles: Vec<String> },
    /// A user, with delegated permissions.
    User { id: String, scopes: Vec<String> },
}

/// What is known of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) app: String,
    pub(crate) tenant: String,
    pub(crate) subject: Subject,
    requested: RequestedClaims,
    issued_at: Instant,
    expires_at: Instant,
}

/// What the `claims` parameter of a token request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestedClaims {
    /// The client declares that it handles claims challenges (capability `cp1`).
    pub(super) handles_challenges: bool,
    /// The token must not have been issued before some time (`nbf`), as a challenge demands.
    pub(super) not_before: bool,
}

impl Access {
    /// Whether a challenge that began at `began` applies to it: its client handles challenges, and the token was not issued in
    /// response to this one.
    pub(crate) fn is_subject_to_challenge(&self, began: Instant) -> bool {
        self.requested.handles_challenges && !(self.requested.not_before && self.issued_at >= began)
    }
}

/// Why an access token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// It has no dots, so it is not a JWT.
    Malformed,
    /// It was not issued here, or has been forgotten.
    Unknown,
    /// It has expired.
    Expired,
}

/// What is known of a refresh token.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    app: String,
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    expires_at: Instant,
    revoked: bool,
}

/// All issued tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    lifetime: RangeInclusive<Duration>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Grant>,
}

impl Tokens {
    /// No tokens yet. Access tokens will live for a time within `lifetime`.
    pub(super) fn new(lifetime: RangeInclusive<Duration>) -> Self {
        Self { lifetime, access: BTreeMap::new(), refresh: BTreeMap::new() }
    }

    /// Issues an access token. Returns it with its lifetime.
    pub(super) fn issue_access(
        &mut self,
        app: &str,
        tenant: &str,
        subject: Subject,
        requested: RequestedClaims,
        now: &Now,
        rng: &mut fastrand::Rng,
    ) -> (String, Duration) {
        self.access.retain(|_, access| now.instant < access.expires_at + EXPIRED_TOKEN_RETENTION);
        drop_soonest(&mut self.access, |access| access.expires_at);
        let (shortest, longest) = (self.lifetime.start().as_secs(), self.lifetime.end().as_secs());
        let lifetime = Duration::from_secs(rng.u64(shortest..=longest.max(shortest)));
        let issued = now.wall.as_second();
        let mut claims = json!({
            "aud": "https://graph.microsoft.com",
            "iss": Version::V1.issuer(tenant),
            "iat": issued,
            "nbf": issued,
            "exp": now.wall_at(now.instant + lifetime).as_second(),
            "appid": app,
            "tid": tenant,
            "uti": random(22, rng),
            "ver": "1.0",
        });
        match &subject {
            Subject::Application { roles } => {
                claims["idtyp"] = "app".into();
                claims["roles"] = roles.clone().into();
            }
            Subject::User { id, scopes } => {
                claims["idtyp"] = "user".into();
                claims["oid"] = id.clone().into();
                claims["scp"] = scopes.join(" ").into();
            }
        }
        if requested.handles_challenges {
            claims["xms_cc"] = json!(["cp1"]);
        }
        let token = jwt(&claims);
        let access = Access {
            app: app.to_owned(),
            tenant: tenant.to_owned(),
            subject,
            requested,
            issued_at: now.instant,
            expires_at: now.instant + lifetime,
        };
        self.access.insert(token.clone(), access);
        (token, lifetime)
    }

    /// Looks up an access token.
    pub(super) fn authenticate(&self, token: &str, now: Instant) -> Result<&Access, Invalid> {
        match self.access.get(token) {
            Some(access) if now < access.expires_at => Ok(access),
            Some(_) => Err(Invalid::Expired),
            None if token.contains('.') => Err(Invalid::Unknown),
            None => Err(Invalid::Malformed),
        }
    }

    /// Forgets all access tokens.
    pub(super) fn forget_access(&mut self) {
        self.access.clear();
    }

    /// Issues a refresh token.
    pub(super) fn issue_refresh(
        &mut self,
        app: &str,
        user: &str,
        scopes: Vec<String>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> String {
        drop_soonest(&mut self.refresh, |grant| grant.expires_at);
        let token = format!("1.{}", random(150, rng));
        let grant = Grant {
            app: app.to_owned(),
            user: user.to_owned(),
            scopes,
            expires_at: now + REFRESH_TOKEN_LIFETIME,
            revoked: false,
        };
        self.refresh.insert(token.clone(), grant);
        token
    }

    /// Looks up a refresh token of `app`. It stays valid: Entra issues a new one at each use but does not revoke the old one.
    pub(super) fn redeem(&self, token: &str, app: &str, now: Instant) -> Result<Grant, EntraError> {
        let grant = self.refresh.get(token).filter(|grant| grant.app == app).ok_or(EntraError::MalformedGrant)?;
        if grant.revoked {
            return Err(EntraError::Revoked);
        }
        if now >= grant.expires_at {
            return Err(EntraError::RefreshTokenExpired);
        }
        Ok(grant.clone())
    }

    /// Revokes the refresh tokens of a user, or of all users if `user` is `None`.
    pub(super) fn revoke(&mut self, user: Option<&str>) {
        for grant in self.refresh.values_mut().filter(|grant| user.is_none_or(|user| grant.user == user)) {
            grant.revoked = true;
        }
    }

    /// An `id_token` that names the user who signed in. `nonce` is that of the client's request.
    pub(super) fn id_token(
        &self,
        app: &str,
        tenant: &str,
        user: &User,
        nonce: Option<&str>,
        now: &Now,
        rng: &mut fastrand::Rng,
    ) -> String {
        let issued = now.wall.as_second();
        let mut claims = json!({
            "aud": app,
            "iss": Version::V2.issuer(tenant),
            "iat": issued,
            "nbf": issued,
            "exp": now.wall_at(now.instant + *self.lifetime.start()).as_second(),
            "name": user.principal_name.split('@').next(),
            "oid": user.id,
            "preferred_username": user.principal_name,
            "sub": URL_SAFE_NO_PAD.encode(format!("{}/{app}", user.id)),
            "tid": tenant,
            "uti": random(22, rng),
            "ver": "2.0",
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        jwt(&claims)
    }
}

/// Makes room for one more token by forgetting the one that expires first.
fn drop_soonest<T>(known: &mut BTreeMap<String, T>, expires_at: impl Fn(&T) -> Instant) {
    if known.len() >= MAX_TOKENS_OF_A_KIND
        && let Some(soonest) = known.iter().min_by_key(|(_, token)| expires_at(token)).map(|(text, _)| text.clone())
    {
        known.remove(&soonest);
    }
}

/// A random text of `length` letters and digits.
pub(super) fn random(length: usize, rng: &mut fastrand::Rng) -> String {
    std::iter::repeat_with(|| rng.alphanumeric()).take(length).collect()
}
