//! Speaks to Entra ID's endpoints, `{login}/{tenant}/oauth2/v2.0/…`: small forms out, small JSON back.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use secrecy::SecretString;
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, de};
use tracing::{debug, trace};
use url::Url;

use crate::config;
use crate::http::{self, Timeouts, retry_after};
use crate::session::{Applied, Failure, FailureKind};

use super::entra_error::{self, ErrorBody, Mend};

/// A token's life when nobody says it: short, so that it is asked for again soon.
pub(super) const UNKNOWN_LIFETIME: Duration = Duration::from_mins(5);

/// The answer to a token request (RFC 6749, 5.1).
#[derive(Debug, Deserialize)]
pub(super) struct TokenResponse {
    pub(super) access_token: SecretString,
    #[serde(default, deserialize_with = "lifetime")]
    pub(super) expires_in: Option<Duration>,
    pub(super) refresh_token: Option<SecretString>,
    pub(super) id_token: Option<SecretString>,
    /// What was granted, which may be less than what was asked for.
    pub(super) scope: Option<String>,
}

/// Seconds, as a number or (some services do) as a text.
fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u32),
        Text(String),
    }
    let seconds = match Seconds::deserialize(deserializer)? {
        Seconds::Number(seconds) => seconds,
        Seconds::Text(text) => text.parse().map_err(de::Error::custom)?,
    };
    Ok(Some(Duration::from_secs(seconds.into())))
}

/// A request that was not granted.
pub(super) struct Rejection {
    /// OAuth's `error`, when there is one.
    pub(super) error: Option<String>,
    pub(super) failure: Failure,
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        rejection.failure
    }
}

/// Who signs in.
#[derive(Clone, Copy)]
pub(super) enum Who<'a> {
    /// A person, to the account of this name.
    Person(&'a str),
    /// The application itself, for whom `presenced login` can do nothing.
    Application,
}

/// The endpoints of one tenant.
pub(super) struct TokenService<'a> {
    http: http::Client,
    login: &'a Url,
    tenant: &'a str,
    who: Who<'a>,
    /// Whether there is another way in for what a device code cannot do.
    by_device_code: bool,
}

impl<'a> TokenService<'a> {
    /// A client made for the occasion: a token is asked for once an hour, and TLS certificates fill much memory.
    pub(super) fn new(config: &'a config::Account, who: Who<'a>) -> Result<Self, Failure> {
        let login = &config.endpoints.login;
        let by_device_code = config.auth == config::Auth::DeviceCode;
        Ok(Self {
            http: http::Client::new(login, Timeouts::default())?,
            login,
            tenant: &config.tenant,
            who,
            by_device_code,
        })
    }

    /// The address of `endpoint` (`authorize`, `token`, `devicecode`).
    pub(super) fn url(&self, endpoint: &str) -> Url {
        let mut url = self.login.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([self.tenant, "oauth2", "v2.0", endpoint]);
        }
        url
    }

    /// Posts `form` to `endpoint` (`token`, `devicecode`).
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        form: &[(&str, &str)],
    ) -> Result<T, Rejection> {
        let url = self.url(endpoint);
        let response = self.http.send(|http| http.post(url).form(form)).await.map_err(|failure| Rejection {
            error: None,
            // Whatever became of it, no presence was written.
            failure: Failure { applied: Applied::No, ..failure },
        })?;
        debug!(status = response.status().as_u16(), "{endpoint}");
        if !response.status().is_success() {
            return Err(self.reject(response).await);
        }
        // The parser's own words are left out: they may quote the token.
        serde_json::from_slice(&http::body(response).await).map_err(|_| {
            let text = "the sign-in service answered with something that is not the expected JSON";
            Rejection { error: None, failure: Failure::new(FailureKind::Passing, text).with_hint(NOT_ENTRA) }
        })
    }

    async fn reject(&self, response: Response) -> Rejection {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body: Option<ErrorBody> = serde_json::from_slice(&http::body(response).await).ok();
        let number = status.as_u16();
        let plain = |kind, hint: Option<&str>| {
            let text = format!("the sign-in service answered with {number}");
            Failure { retry_after, hint: hint.map(ToOwned::to_owned), ..Failure::new(kind, text) }
        };
        let failure = match (status, &body) {
            (StatusCode::TOO_MANY_REQUESTS, _) => plain(FailureKind::Throttled, None),
            (StatusCode::REQUEST_TIMEOUT, _) => plain(FailureKind::Passing, None),
            (status, Some(body)) if status.is_client_error() => {
                trace!(description = body.error_description, "token error");
                Failure { retry_after, ..self.judge(&format!("{number} "), body) }
            }
            (status, None) if status.is_client_error() => plain(FailureKind::Refused, Some(NOT_ENTRA)),
            (status, _) if status.is_redirection() => plain(FailureKind::Passing, Some(NOT_ENTRA)),
            _ => plain(FailureKind::Passing, None),
        };
        Rejection { error: body.map(|body| body.error), failure }
    }

    /// What it means that a person was sent back to presenced with an error instead of a code.
    pub(super) fn sent_back(&self, body: &ErrorBody) -> Failure {
        self.judge("", body)
    }

    /// `status` is empty, or ends with a space.
    fn judge(&self, status: &str, body: &ErrorBody) -> Failure {
        let verdict = entra_error::verdict(body);
        let number = verdict.number.map(|number| format!("AADSTS{number}, ")).unwrap_or_default();
        let error = printable(&body.error);
        let trace = body.trace_id.as_deref().map(|id| format!(", trace {}", printable(id))).unwrap_or_default();
        let text = format!("the sign-in service refuses: {} ({number}{status}{error}{trace})", verdict.wrong);
        let (kind, hint) = match (self.who, verdict.mend) {
            (_, Mend::Wait) => (verdict.kind, None),
            (_, Mend::Change(hint)) => (verdict.kind, Some(hint.to_owned())),
            (Who::Person(account), Mend::SignIn) => (verdict.kind, Some(format!("run `presenced login {account}`"))),
            (Who::Application, Mend::SignIn) => (
                FailureKind::Refused,
                Some("have an administrator check the application's permissions and sign-in log".to_owned()),
            ),
        };
        let hint = if self.by_device_code && entra_error::blocks_codes(body) {
            Some("the tenant lets no code in here: change the account to `auth = { method = \"browser\" }`, and sign in again".to_owned())
        } else {
            hint
        };
        Failure { hint, ..Failure::new(kind, text) }
    }
}

/// For answers that the sign-in service does not give.
const NOT_ENTRA: &str = "is `endpoints.login` right, and does this network let the sign-in service through?";

/// What a server wrote, fit for a terminal and a log line.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(64).collect()
}

/// `permission` on the account's Microsoft Graph, as a scope: `https://graph.microsoft.com/Presence.ReadWrite`.
pub(super) fn graph_scope(config: &config::Account, permission: &str) -> String {
    format!("{}/{permission}", config.endpoints.graph.origin().ascii_serialization())
}
