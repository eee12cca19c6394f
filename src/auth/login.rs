//! Signs a person in with the account's method, and stores the sign-in. Leaves to others: how the person gets to the sign-in
//! service and back (`device_code`, `browser`), and the renewal (`refresh`).

use std::pin::pin;

use secrecy::ExposeSecret as _;

use crate::config::{self, Auth, Environment};
use crate::failure::{Failure, FailureKind};

use super::browser::{Attempt, BrowserPrompt};
use super::device_code::{self, DevicePrompt};
use super::permissions::Permissions;
use super::refresh::identity;
use super::store::{SignIn, Store};
use super::token_service::{TokenResponse, TokenService, Who};

/// What a person must do to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Type a code on a page.
    Code(DevicePrompt),
    /// Open a page in a browser.
    Browser(BrowserPrompt),
}

/// Who signed in, as far as the sign-in service said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedIn {
    /// The user's object id.
    pub user: Option<String>,
    /// The tenant's directory id.
    pub tenant: Option<String>,
    /// A name to show. Often an e-mail address.
    pub username: Option<String>,
}

/// Signs a person in to account `account`. Calls `show` once with what the person must do, waits until that is done or
/// `cancelled` resolves, and stores the sign-in. `reads`: also ask for the permission to read presences. Also returns the
/// permissions, if they are known. If anything fails, an earlier stored sign-in stays.
///
/// # Errors
/// [`FailureKind::SignInNeeded`] if the person declined, was too late, or cancelled; [`FailureKind::Refused`] if it is not the
/// account's `user`, or the account does not need a person; otherwise what the sign-in service says.
pub async fn login(
    account: &str,
    config: &config::Account,
    environment: &Environment,
    reads: bool,
    mut show: impl FnMut(&Prompt),
    cancelled: impl Future<Output = ()>,
) -> Result<(SignedIn, Option<Permissions>), Failure> {
    let service = TokenService::new(config, Who::Person(account))?;
    let mut cancelled = pin!(cancelled);
    match &config.auth {
        Auth::DeviceCode => {
            let show = |prompt| show(&Prompt::Code(prompt));
            let response = unless(cancelled.as_mut(), device_code::ask(&service, config, reads, show)).await?;
            keep(account, config, environment, reads, response).await
        }
        Auth::Browser => {
            let mut attempt = Attempt::start(&service, config, reads).await?;
            show(&Prompt::Browser(attempt.prompt()));
            let arrival = unless(cancelled.as_mut(), attempt.arrival()).await?;
            let response = unless(cancelled, attempt.redeem(&arrival)).await;
            let signed_in = match response {
                Ok(response) => keep(account, config, environment, reads, response).await,
                Err(failure) => Err(failure),
            };
            arrival.tell(signed_in.as_ref().err()).await;
            signed_in
        }
        Auth::ClientSecret { .. }
        | Auth::ClientCertificate { .. }
        | Auth::Federated { .. }
        | Auth::TokenCommand { .. } => {
            Err(Failure::new(FailureKind::Refused, format!("account `{account}` does not need a sign-in")))
        }
    }
}

/// The result of `work`, unless the person cancels it. What comes after `work` cannot be cancelled: a sign-in is stored whole
/// or not at all.
async fn unless<T>(
    cancelled: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        done = work => done,
        () = cancelled => {
            Err(Failure::new(FailureKind::SignInNeeded, "the sign-in was cancelled; nothing has changed"))
        }
    }
}

/// Stores the sign-in, unless it is somebody else's: that is useless and must not replace a good one.
async fn keep(
    account: &str,
    config: &config::Account,
    environment: &Environment,
    reads: bool,
    response: TokenResponse,
) -> Result<(SignedIn, Option<Permissions>), Failure> {
    let claims = identity(response.id_token.as_ref());
    if let (Some(wanted), Some(signed_in)) = (&config.user, &claims.oid)
        && !wanted.eq_ignore_ascii_case(signed_in)
    {
        let text =
            format!("account `{account}` is for the user {wanted}, but somebody else signed in; nothing has changed");
        return Err(Failure::new(FailureKind::Refused, text)
            .with_hint("sign in as that user, or remove `user` from the account"));
    }
    let permissions = Permissions::granted(response.scope.as_deref(), response.access_token.expose_secret());
    let Some(refresh_token) = response.refresh_token else {
        let text = "the sign-in service gave no refresh token, so the sign-in would not last";
        return Err(Failure::new(FailureKind::Refused, text).with_hint("allow the application `offline_access`"));
    };
    let sign_in =
        SignIn { refresh_token, user: claims.oid, tenant: claims.tid, username: claims.preferred_username, reads };
    Store::new(account, config, environment).save(&sign_in).await?;
    Ok((SignedIn { user: sign_in.user, tenant: sign_in.tenant, username: sign_in.username }, permissions))
}
