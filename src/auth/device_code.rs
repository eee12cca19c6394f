//! A person's sign-in with a code, which can be typed on any device (RFC 8628). Leaves to others: storing it (`login`) and
//! renewing it (`refresh`).

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tracing::debug;
use url::Url;

use crate::config;
use crate::failure::{Failure, FailureKind};

use super::refresh::scope;
use super::token_service::{Granted, Rejection, TokenResponse, TokenService};

/// How much longer to wait after `slow_down` (RFC 8628, 3.5), and after a request that got lost: the same section says to ask
/// less often then.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// What a person must do to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePrompt {
    /// The code to type.
    pub user_code: String,
    /// The page to type it on.
    pub verification_uri: String,
    /// A page that already contains the code, if the service has one.
    pub verification_uri_complete: Option<String>,
    /// How long the code is valid.
    pub expires_in: Duration,
}

/// The answer of the device authorization endpoint (RFC 8628, 3.2).
#[derive(Deserialize)]
struct DeviceAuthorization {
    device_code: SecretString,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u32,
    #[serde(default = "default_interval")]
    interval: u32,
}

const fn default_interval() -> u32 {
    5
}

/// Longer than any code that a person has to type.
const MAX_CODE_BYTES: usize = 64;

/// With longer pauses the code would expire before presenced asks about it.
const MAX_INTERVAL_SECONDS: u32 = 60;

impl Granted for DeviceAuthorization {
    /// A terminal shows all of it and a person follows it, so it may contain only web pages and characters to type.
    fn flaw(&self) -> Option<&'static str> {
        let code = &self.user_code;
        if code.is_empty() || code.len() > MAX_CODE_BYTES || !code.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Some("returned a code that cannot be typed");
        }
        let is_page = |page: &String| {
            let is_web = Url::parse(page).is_ok_and(|page| matches!(page.scheme(), "https" | "http"));
            is_web && page.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let mut pages = std::iter::once(&self.verification_uri).chain(&self.verification_uri_complete);
        (!pages.all(is_page)).then_some("returned a sign-in page that is not a web page")
    }
}

impl DeviceAuthorization {
    fn prompt(&self) -> DevicePrompt {
        DevicePrompt {
            user_code: self.user_code.clone(),
            verification_uri: self.verification_uri.clone(),
            verification_uri_complete: self.verification_uri_complete.clone(),
            expires_in: Duration::from_secs(self.expires_in.into()),
        }
    }
}

/// Asks for a code, calls `show` with it, and waits until the person has finished.
///
/// # Errors
/// [`FailureKind::SignInNeeded`] if the person declined or did not use the code in time; otherwise what the sign-in service says.
pub(super) async fn ask(
    service: &TokenService<'_>,
    config: &config::Account,
    reads: bool,
    show: impl FnOnce(DevicePrompt),
) -> Result<TokenResponse, Failure> {
    let form = [("client_id", &*config.client_id), ("scope", &scope(config, reads))];
    let authorization: DeviceAuthorization = service.post("devicecode", &form).await?;
    show(authorization.prompt());
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
    poll(&authorization, wait, || service.post("token", &form)).await
}

/// Asks until the person has finished, with a pause before each request.
async fn poll<W: Future<Output = ()>, A: Future<Output = Result<TokenResponse, Rejection>>>(
    authorization: &DeviceAuthorization,
    wait: impl Fn(Duration) -> W,
    ask: impl Fn() -> A,
) -> Result<TokenResponse, Failure> {
    let mut left = Duration::from_secs(authorization.expires_in.into());
    let mut interval = Duration::from_secs(authorization.interval.clamp(1, MAX_INTERVAL_SECONDS).into());
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
            // The service says this itself, unless it cannot be reached.
            return Err(Failure { kind: FailureKind::SignInNeeded, ..failure });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::ready;

    use super::*;

    /// The service's answer: OAuth's `error` and the kind of failure.
    fn rejection(error: &str, kind: FailureKind, retry_after: Option<u64>) -> Rejection {
        let retry_after = retry_after.map(Duration::from_secs);
        let error = (!error.is_empty()).then(|| error.to_owned());
        Rejection { error, failure: Failure { retry_after, ..Failure::new(kind, "what went wrong") } }
    }

    /// Polls a code that is valid for `expires_in` seconds: first come `rejections`, then a token. Also returns the pauses in
    /// seconds.
    async fn polled(
        expires_in: u32,
        interval: u32,
        rejections: impl IntoIterator<Item = Rejection>,
    ) -> (Result<TokenResponse, Failure>, Vec<u64>) {
        let authorization = DeviceAuthorization {
            device_code: "d".into(),
            user_code: "u".to_owned(),
            verification_uri: "v".to_owned(),
            verification_uri_complete: None,
            expires_in,
            interval,
        };
        let pauses = RefCell::new(Vec::new());
        let rejections = RefCell::new(rejections.into_iter());
        let wait = |pause: Duration| {
            pauses.borrow_mut().push(pause.as_secs());
            ready(())
        };
        let token: TokenResponse = serde_json::from_str(r#"{"access_token": "t"}"#).unwrap();
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
        assert_eq!(polled(900, u32::MAX, []).await.1, [60], "a pause that nobody would live to the end of");
        assert_eq!(polled(0, 5, []).await.1, [5], "a code that expires at once may still be valid");
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
    async fn a_code_ends_even_if_the_service_does_not_say_so() {
        let lost = || rejection("", FailureKind::Passing, None);
        let (response, pauses) = polled(60, 5, std::iter::repeat_with(lost)).await;
        assert_eq!(response.unwrap_err().kind, FailureKind::SignInNeeded);
        assert_eq!(pauses, [5, 10, 15, 20, 25]);
    }
}
