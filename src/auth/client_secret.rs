//! Tokens for the application itself, with a client secret.

use secrecy::ExposeSecret as _;

use crate::config::{self, Environment, SecretSource};
use crate::failure::Failure;

use super::secret::{self, Readers};
use super::token_service::{TokenService, Who};
use super::{Grant, client_credentials};

/// A new token. The secret is read each time, so that a rotated secret needs no restart.
pub(super) async fn ask(
    config: &config::Account,
    source: &SecretSource,
    challenge: Option<&str>,
    environment: &Environment,
) -> Result<Grant, Failure> {
    let secret = secret::read(source, Readers::Owner, "the client secret", environment).await?;
    let service = TokenService::new(config, Who::Application)?;
    client_credentials::ask(&service, config, &[("client_secret", secret.expose_secret())], challenge).await
}
