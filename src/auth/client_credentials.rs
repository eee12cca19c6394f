//! OAuth's client credentials grant (RFC 6749, 4.4): a token for the application itself, whatever its proof of identity.

use crate::config;
use crate::failure::Failure;

use super::token_service::{TokenResponse, TokenService, UNKNOWN_LIFETIME, graph_scope};
use super::{Grant, SignedIn, claims};

/// The type of a `client_assertion` that is a JWT (RFC 7523, 2.2).
pub(super) const JWT_BEARER: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

/// A new token from `service`; `proof` are the form fields that prove who asks.
pub(super) async fn ask(
    service: &TokenService<'_>,
    config: &config::Account,
    proof: &[(&str, &str)],
    challenge: Option<&str>,
) -> Result<Grant, Failure> {
    let (scope, claims) = (graph_scope(config, ".default"), claims::parameter(challenge));
    let mut form = vec![("grant_type", "client_credentials"), ("client_id", &config.client_id)];
    form.extend_from_slice(proof);
    form.extend([("scope", &*scope), ("claims", &claims)]);
    let response: TokenResponse = service.post("token", &form).await?;
    let lifetime = response.expires_in.unwrap_or(UNKNOWN_LIFETIME);
    Ok(Grant { bearer: response.access_token, who: SignedIn::default(), lifetime })
}
