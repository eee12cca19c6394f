//! Delegated sign-in by a code that is typed on any device (RFC 8628), and the renewal of its tokens.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tracing::debug;

use crate::config::{self, Environment};
use crate::session::{Failure, FailureKind};

use super::jwt::{self, Claims};
use super::store::{SignIn, Store};
use super::token_service::{Rejection, TokenResponse, TokenService, UNKNOWN_LIFETIME, Who, graph_scope};
use super::{Grant, claims};

/// How much slower to ask after `slow_down` (RFC 8628, 3.5), and after a request that got lost, as the same paragraph asks
/// to ask less then.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// What a person must do to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePrompt {
    /// The code to type.
    pub user_code: String,
    /// The page to type it on.
    pub verification_uri: String,
    /// How long the code is good for.
    pub expires_in: Duration,
}

/// Who signed in, as far as the sign-in service told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedIn {
    /// The user's object id.
    pub user: Option<String>,
    /// The tenant's directory id.
    pub tenant: Option<String>,
    /// A name to show; often an e-mail address.
    pub username: Option<String>,
}

/// The answer of the device authorization endpoint (RFC 8628, 3.2).
#[derive(Deserialize)]
struct DeviceAuthorization {
    device_code: SecretString,
    user_code: String,
    verification_uri: String,
    expires_in: u32,
    #[serde(default = "default_interval")]
    interval: u32,
}

const fn default_interval() -> u32 {
    5
}

/// Signs a person in to account `account`: `show` is called once with what the person must do, then this waits until it is
/// done, and stores the sign-in. `reads`: ask for the permission to read presences, besides that to write them.
///
/// # Errors
/// [`FailureKind::SignInNeeded`] when the code was declined or not used in time; else as the sign-in service says.
pub async fn login(
    account: &str,
    config: &config::Account,
    environment: &Environment,
    reads: bool,
    mut show: impl FnMut(&DevicePrompt),
) -> Result<SignedIn, Failure> {
    let service = TokenService::new(config, Who::Person(account))?;
    let form = [("client_id", &*config.client_id), ("scope", &scope(config, reads))];
    let authorization: DeviceAuthorization = service.post("devicecode", &form).await?;
    show(&DevicePrompt {
        user_code: authorization.user_code.clone(),
        verification_uri: authorization.verification_uri.clone(),
        expires_in: Duration::from_secs(authorization.expires_in.into()),
    });
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", &config.client_id),
        ("device_code", authorization.device_code.expose_secret()),
    ];
    #[expect(
        clippy::disallowed_methods,
        reason = "somebody sits and waits; how long a code is good for the service knows"
    )]
    let wait = tokio::time::sleep;
    let response = poll(&authorization, wait, || service.post("token", &form)).await?;
    let Some(refresh_token) = response.refresh_token else {
        let text = "the sign-in service gave no refresh token, so the sign-in would not last";
        return Err(Failure::new(FailureKind::Refused, text).with_hint("allow the application `offline_access`"));
    };
    let claims = identity(response.id_token.as_ref());
    let sign_in =
        SignIn { refresh_token, user: claims.oid, tenant: claims.tid, username: claims.preferred_username, reads };
    Store::new(account, config, environment).save(&sign_in).await?;
    Ok(SignedIn { user: sign_in.user, tenant: sign_in.tenant, username: sign_in.username })
}

/// Asks until the person is done, with a pause before each time.
async fn poll<W: Future<Output = ()>, A: Future<Output = Result<TokenResponse, Rejection>>>(
    authorization: &DeviceAuthorization,
    wait: impl Fn(Duration) -> W,
    ask: impl Fn() -> A,
) -> Result<TokenResponse, Failure> {
    let mut left = Duration::from_secs(authorization.expires_in.into());
    let mut interval = Duration::from_secs(authorization.interval.max(1).into());
    let mut next = interval;
    loop {
        wait(next).await;
        left = left.saturating_sub(next);
        next = interval;
        let Rejection { error, failure } = match ask().await {
            Ok(response) => return Ok(response),
            Err(rejection) => rejection,
        };
        match (error.as_deref(), failure.kind) {
            (Some("authorization_pending"), _) => {}
            (Some("slow_down"), _) => interval += SLOW_DOWN,
            (_, FailureKind::Passing | FailureKind::Throttled) => {
                debug!("asking whether the code was used failed: {failure}");
                interval += SLOW_DOWN;
                next = failure.retry_after.unwrap_or_default();
            }
            (_, FailureKind::TokenRefused | FailureKind::SignInNeeded | FailureKind::Refused) => return Err(failure),
        }
        next = next.max(interval);
        if left.is_zero() {
            // The service says so itself, unless it cannot be reached.
            return Err(Failure { kind: FailureKind::SignInNeeded, ..failure });
        }
    }
}

/// A new access token by the stored refresh token. That is read each time, so that a sign-in counts at once.
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
    let user = claims.oid.or_else(|| stored.user.clone());
    if let Some(refresh_token) = response.refresh_token {
        let renewed = SignIn {
            refresh_token,
            user: user.clone(),
            tenant: claims.tid.or_else(|| stored.tenant.clone()),
            username: claims.preferred_username.or_else(|| stored.username.clone()),
            reads: stored.reads,
        };
        store.rotate(&stored, renewed).await;
    }
    Ok(Grant { bearer: response.access_token, user, lifetime: response.expires_in.unwrap_or(UNKNOWN_LIFETIME) })
}

fn identity(id_token: Option<&SecretString>) -> Claims {
    id_token.map(|token| jwt::claims(token.expose_secret())).unwrap_or_default()
}

/// `offline_access` for a refresh token, `openid profile` for an `id_token` that says who it is.
fn scope(config: &config::Account, reads: bool) -> String {
    let read = if reads { format!("{} ", graph_scope(config, "Presence.Read")) } else { String::new() };
    format!("{} {read}offline_access openid profile", graph_scope(config, "Presence.ReadWrite"))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::ready;

    use super::*;

    /// What the service answers, as OAuth's `error` and the kind of failure.
    fn rejection(error: &str, kind: FailureKind, retry_after: Option<u64>) -> Rejection {
        let retry_after = retry_after.map(Duration::from_secs);
        let error = (!error.is_empty()).then(|| error.to_owned());
        Rejection { error, failure: Failure { retry_after, ..Failure::new(kind, "what went wrong") } }
    }

    /// Polls a code that is good for `expires_in` seconds through `rejections`, and then a token; returns the pauses in
    /// seconds as well.
    async fn polled(
        expires_in: u32,
        interval: u32,
        rejections: impl IntoIterator<Item = Rejection>,
    ) -> (Result<TokenResponse, Failure>, Vec<u64>) {
        let authorization = DeviceAuthorization {
            device_code: "d".into(),
            user_code: "u".to_owned(),
            verification_uri: "v".to_owned(),
            expires_in,
            interval,
        };
        let pauses = RefCell::new(Vec::new());
        let rejections = RefCell::new(rejections.into_iter());
        let wait = |pause: Duration| {
            pauses.borrow_mut().push(pause.as_secs());
            ready(())
        };
        let token = TokenResponse { access_token: "t".into(), expires_in: None, refresh_token: None, id_token: None };
        let token = Cell::new(Some(token));
        let ask = || ready(rejections.borrow_mut().next().map_or_else(|| Ok(token.take().unwrap()), Err));
        let polled = poll(&authorization, wait, ask).await;
        (polled, pauses.into_inner())
    }

    #[tokio::test]
    async fn the_service_sets_the_pace() {
        let pending = || rejection("authorization_pending", FailureKind::Refused, None);
        let slow_down = || rejection("slow_down", FailureKind::Refused, None);
        let (response, pauses) = polled(900, 5, [pending(), slow_down(), pending(), slow_down(), pending()]).await;
        assert!(response.is_ok());
        assert_eq!(pauses, [5, 5, 10, 10, 15, 15]);
        assert_eq!(polled(900, 0, []).await.1, [1], "no pause at all");
    }

    #[tokio::test]
    async fn requests_that_get_lost_are_sent_again_more_slowly() {
        let lost = rejection("", FailureKind::Passing, None);
        let throttled = rejection("", FailureKind::Throttled, Some(60));
        let busy = rejection("temporarily_unavailable", FailureKind::Passing, None);
        let (response, pauses) = polled(900, 5, [lost, throttled, busy]).await;
        assert!(response.is_ok());
        assert_eq!(pauses, [5, 10, 60, 20]);
    }

    #[tokio::test]
    async fn an_end_is_an_end() {
        for (error, kind) in [
            ("authorization_declined", FailureKind::SignInNeeded),
            ("expired_token", FailureKind::SignInNeeded),
            ("bad_verification_code", FailureKind::SignInNeeded),
            ("invalid_client", FailureKind::Refused),
        ] {
            let (response, pauses) = polled(900, 5, [rejection(error, kind, None)]).await;
            assert_eq!((response.unwrap_err().kind, pauses.len()), (kind, 1), "{error}");
        }
    }

    #[tokio::test]
    async fn a_code_ends_though_nobody_says_so() {
        let lost = || rejection("", FailureKind::Passing, None);
        let (response, pauses) = polled(60, 5, std::iter::repeat_with(lost)).await;
        assert_eq!(response.unwrap_err().kind, FailureKind::SignInNeeded);
        assert_eq!(pauses, [5, 10, 15, 20, 25]);
    }
}
