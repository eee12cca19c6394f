//! Tokens for the application itself, by a client secret: OAuth's client credentials grant (RFC 6749, 4.4).

use secrecy::ExposeSecret as _;

use crate::config::{self, Environment, SecretSource};
use crate::session::Failure;

use super::token_service::{TokenResponse, TokenService, UNKNOWN_LIFETIME, Who, graph_scope};
use super::{Grant, SignedIn, claims, secret};

/// A new token. The secret is read each time, so that a rotated one needs no restart.
pub(super) async fn ask(
    config: &config::Account,
    source: &SecretSource,
    challenge: Option<&str>,
    environment: &Environment,
) -> Result<Grant, Failure> {
    let secret = secret::read(source, environment).await?;
    let response: TokenResponse = TokenService::new(config, Who::Application)?
        .post(
            "token",
            &[
                ("grant_type", "client_credentials"),
                ("client_id", &config.client_id),
                ("client_secret", secret.expose_secret()),
                ("scope", &graph_scope(config, ".default")),
                ("claims", &claims::parameter(challenge)),
            ],
        )
        .await?;
    let lifetime = response.expires_in.unwrap_or(UNKNOWN_LIFETIME);
    Ok(Grant { bearer: response.access_token, who: SignedIn::default(), lifetime })
}
