//! Delegated tokens from a refresh token (RFC 6749, 6), however the person signed in. Leaves to others: the sign-in itself
//! (`login`), and where its refresh token is kept (`store`).

use secrecy::{ExposeSecret as _, SecretString};

use crate::config;
use crate::failure::Failure;

use super::jwt::{self, Claims};
use super::store::{SignIn, Store};
use super::token_service::{TokenResponse, TokenService, UNKNOWN_LIFETIME, Who, graph_scope};
use super::{Grant, SignedIn, claims};

/// A new access token from the stored refresh token. The store is read each time, so that a new sign-in counts at once.
pub(super) async fn renew(store: &Store, config: &config::Account, challenge: Option<&str>) -> Result<Grant, Failure> {
    let stored = store.load().await?;
    let response: TokenResponse = TokenService::new(config, Who::Person(store.account()))?
        .post(
            "token",
            &[
                ("grant_type", "refresh_token"),
                ("client_id", &config.client_id),
                ("refresh_token", stored.refresh_token.expose_secret()),
                ("scope", &scope(config, stored.reads)),
                ("claims", &claims::parameter(challenge)),
            ],
        )
        .await?;
    let claims = identity(response.id_token.as_ref());
    let who = SignedIn {
        user: claims.oid.or_else(|| stored.user.clone()),
        tenant: claims.tid.or_else(|| stored.tenant.clone()),
        username: claims.preferred_username.or_else(|| stored.username.clone()),
    };
    if let Some(refresh_token) = response.refresh_token {
        let renewed = SignIn {
            refresh_token,
            user: who.user.clone(),
            tenant: who.tenant.clone(),
            username: who.username.clone(),
            reads: stored.reads,
        };
        store.rotate(&stored, renewed).await;
    }
    Ok(Grant { bearer: response.access_token, who, lifetime: response.expires_in.unwrap_or(UNKNOWN_LIFETIME) })
}

/// Who signed in, according to the sign-in service.
pub(super) fn identity(id_token: Option<&SecretString>) -> Claims {
    id_token.map(|token| jwt::claims(token.expose_secret())).unwrap_or_default()
}

/// The scopes of a sign-in: `offline_access` for a refresh token, `openid profile` for an `id_token` that says who it is.
pub(super) fn scope(config: &config::Account, reads: bool) -> String {
    let read = if reads { format!("{} ", graph_scope(config, "Presence.Read")) } else { String::new() };
    format!("{} {read}offline_access openid profile", graph_scope(config, "Presence.ReadWrite"))
}
