//! Talks to Entra ID's endpoints, `{login}/{tenant}/oauth2/v2.0/…`: small forms out, small JSON back.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};
use tracing::{debug, trace};
use url::Url;

use crate::config;
use crate::failure::{Applied, Failure, FailureKind};
use crate::http::{self, Timeouts, retry_after};
use crate::sanitize::printable_code;

use super::aadsts;
use super::remedy::Remedy;
use super::token_error::{self, ErrorBody};

/// A token's life if the answer does not say: short, so that the next request comes soon.
pub(super) const UNKNOWN_LIFETIME: Duration = Duration::from_mins(5);

/// The longest life that presenced believes. Entra's longest tokens live 28 hours.
const MAX_TOKEN_LIFE: Duration = Duration::from_hours(7 * 24);

/// An answer that grants the request.
pub(super) trait Granted: DeserializeOwned {
    /// What is wrong with it, as the end of a sentence about the sign-in service. Never the wrong value itself.
    fn flaw(&self) -> Option<&'static str>;
}

/// The answer to a token request (RFC 6749, 5.1).
#[derive(Debug, Deserialize)]
pub(super) struct TokenResponse {
    #[serde(default)]
    token_type: Option<String>,
    pub(super) access_token: SecretString,
    #[serde(default, deserialize_with = "lifetime")]
    pub(super) expires_in: Option<Duration>,
    pub(super) refresh_token: Option<SecretString>,
    pub(super) id_token: Option<SecretString>,
    /// What was granted, which may be less than requested.
    pub(super) scope: Option<String>,
}

impl Granted for TokenResponse {
    fn flaw(&self) -> Option<&'static str> {
        // RFC 6749, 7.1: a client must not use a token of an unknown type.
        if self.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Some("returned a token that is not a bearer token");
        }
        (!is_token(self.access_token.expose_secret()))
            .then_some("returned a token with characters that are not allowed in a token")
    }
}

/// Whether `text` can be a bearer token. Anything else must not get into a header or a log.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Seconds, as a number or (from some services) as a text. Anything else counts as missing, and a negative number as zero.
fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
        Other(IgnoredAny),
    }
    let seconds = match Seconds::deserialize(deserializer)? {
        Seconds::Number(seconds) => Some(seconds),
        Seconds::Text(text) => text.trim().parse::<f64>().ok(),
        Seconds::Other(_) => None,
    };
    let seconds = seconds.filter(|seconds| !seconds.is_nan());
    Ok(seconds.map(|seconds| {
        Duration::try_from_secs_f64(seconds.max(0.0)).map_or(MAX_TOKEN_LIFE, |life| life.min(MAX_TOKEN_LIFE))
    }))
}

/// A request that was not granted.
pub(super) struct Rejection {
    /// OAuth's `error`, if there is one.
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
    /// The application itself, which `presenced login` cannot help.
    Application,
}

/// The endpoints of one tenant.
pub(super) struct TokenService<'a> {
    http: http::Client,
    login: &'a Url,
    tenant: &'a str,
    who: Who<'a>,
    /// Whether the account uses a device code, so that a browser may do more.
    by_device_code: bool,
}

impl<'a> TokenService<'a> {
    /// A client for one use: a token is requested once an hour, and TLS certificates take up much memory.
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
    pub(super) async fn post<T: Granted>(&self, endpoint: &str, form: &[(&str, &str)]) -> Result<T, Rejection> {
        let url = self.url(endpoint);
        let response = self.http.send(|http| http.post(url).form(form)).await.map_err(|failure| Rejection {
            error: None,
            // Whatever happened to it, no presence was written.
            failure: Failure { applied: Applied::No, ..failure },
        })?;
        debug!(status = response.status().as_u16(), "{endpoint}");
        if !response.status().is_success() {
            return Err(self.reject(response).await);
        }
        // Wiped afterwards: it contains the token.
        let body = Zeroizing::new(http::body(response).await);
        // Without the parser's own message: it may quote the token.
        let failure = match serde_json::from_slice::<T>(&body).map(|granted| (granted.flaw(), granted)) {
            Ok((None, granted)) => return Ok(granted),
            Ok((Some(flaw), _)) => Failure::new(FailureKind::Refused, format!("the sign-in service {flaw}")),
            Err(_) => {
                // It may be a refusal with the status of a success.
                if let Ok(body) = serde_json::from_slice::<ErrorBody>(&body) {
                    return Err(Rejection { failure: self.judge(Some(200), &body), error: Some(body.error) });
                }
                let text = "the sign-in service answered with something that is not the expected JSON";
                Failure::new(FailureKind::Passing, text)
            }
        };
        Err(Rejection { error: None, failure: failure.with_hint(NOT_ENTRA) })
    }

    async fn reject(&self, response: Response) -> Rejection {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body: Option<ErrorBody> = serde_json::from_slice(&http::body(response).await).ok();
        let number = status.as_u16();
        let plain = |kind, hint: Option<&str>| {
            let text = match (&body, kind) {
                (None, _) => format!("the sign-in service answered with {number}"),
                (Some(body), FailureKind::Throttled) => {
                    format!("the sign-in service asks to wait ({})", facts(Some(number), body))
                }
                (Some(body), _) => format!("the sign-in service fails ({})", facts(Some(number), body)),
            };
            let hint = with_page(hint.map(ToOwned::to_owned), body.as_ref());
            Failure { retry_after, hint, ..Failure::new(kind, text) }
        };
        let puts_off = |body: &ErrorBody| {
            let kind = token_error::known(body).map(|verdict| verdict.remedy.kind());
            matches!(kind, Some(FailureKind::Passing | FailureKind::Throttled))
        };
        let failure = match (status, &body) {
            (status, Some(body)) if !status.is_redirection() && puts_off(body) => {
                Failure { retry_after, ..self.judge(Some(number), body) }
            }
            (StatusCode::TOO_MANY_REQUESTS, _) => plain(FailureKind::Throttled, None),
            (StatusCode::REQUEST_TIMEOUT, _) => plain(FailureKind::Passing, None),
            (status, Some(body)) if status.is_client_error() => {
                trace!(description = body.error_description, "token error");
                Failure { retry_after, ..self.judge(Some(number), body) }
            }
            (status, None) if status.is_client_error() => plain(FailureKind::Refused, Some(NOT_ENTRA)),
            (status, _) if status.is_redirection() => plain(FailureKind::Passing, Some(NOT_ENTRA)),
            _ => plain(FailureKind::Passing, None),
        };
        Rejection { error: body.map(|body| body.error), failure }
    }

    /// The failure if the browser came back with an error instead of a code.
    pub(super) fn sent_back(&self, body: &ErrorBody) -> Failure {
        self.judge(None, body)
    }

    /// `status` is the answer's status, if there was an answer.
    fn judge(&self, status: Option<u16>, body: &ErrorBody) -> Failure {
        let verdict = token_error::verdict(body);
        let does = match verdict.remedy {
            Remedy::Wait | Remedy::Pause => "puts it off",
            Remedy::SignIn
            | Remedy::SignInAnd(_)
            | Remedy::SignInOrBrowser(_)
            | Remedy::Browser(_)
            | Remedy::Change(_) => "refuses",
        };
        let text = format!("the sign-in service {does}: {} ({})", verdict.wrong, facts(status, body));
        let hint = with_page(self.hint(verdict.remedy), Some(body));
        let kind = match (self.who, verdict.remedy.kind()) {
            (Who::Application, FailureKind::SignInNeeded) => FailureKind::Refused,
            (_, kind) => kind,
        };
        Failure { hint, ..Failure::new(kind, text) }
    }

    /// `remedy` in words for the person or application that signs in.
    fn hint(&self, remedy: Remedy) -> Option<String> {
        let Who::Person(account) = self.who else {
            return match remedy {
                Remedy::SignIn | Remedy::SignInAnd(_) | Remedy::SignInOrBrowser(_) => {
                    Some("have an administrator check the application's permissions and sign-in log".to_owned())
                }
                Remedy::Browser(words) | Remedy::Change(words) => Some(words.to_owned()),
                Remedy::Wait | Remedy::Pause => None,
            };
        };
        match remedy {
            Remedy::SignIn => Some(format!("run `presenced login {account}`")),
            Remedy::SignInOrBrowser(how) if self.by_device_code => Some(format!(
                "run `presenced login {account}` {how}; if it happens again, set `auth = {{ method = \"browser\" }}` in the \
                 account first"
            )),
            Remedy::SignInAnd(how) | Remedy::SignInOrBrowser(how) => {
                Some(format!("run `presenced login {account}` {how}"))
            }
            Remedy::Browser(otherwise) if self.by_device_code => Some(format!(
                "sign in with a browser: set `auth = {{ method = \"browser\" }}` in the account and run \
                 `presenced login {account}`; or {otherwise}"
            )),
            Remedy::Browser(words) | Remedy::Change(words) => Some(words.to_owned()),
            Remedy::Wait | Remedy::Pause => None,
        }
    }
}

/// What an administrator needs to look an error up: its number, the status, OAuth's word and the trace.
fn facts(status: Option<u16>, body: &ErrorBody) -> String {
    let number = body.number().map(|number| format!("AADSTS{number}, ")).unwrap_or_default();
    let status = status.map(|status| format!("{status} ")).unwrap_or_default();
    let trace = body.trace_id.as_deref().map(|id| format!(", trace {}", printable_code(id))).unwrap_or_default();
    format!("{number}{status}{}{trace}", printable_code(&body.error))
}

/// `hint`, and where Microsoft explains the number in `body`, if presenced cannot.
fn with_page(hint: Option<String>, body: Option<&ErrorBody>) -> Option<String> {
    let number = body.and_then(ErrorBody::number).filter(|number| aadsts::meaning(*number).is_none());
    let page = number.map(|number| format!("Microsoft explains AADSTS{number} at {}", aadsts::page(number)));
    match (hint, page) {
        (Some(hint), Some(page)) => Some(format!("{hint}; {page}")),
        (hint, page) => hint.or(page),
    }
}

/// The hint for answers that the sign-in service never gives.
const NOT_ENTRA: &str = "is `endpoints.login` correct, and does this network let the sign-in service through?";

/// `permission` on the account's Microsoft Graph, as a scope: `https://graph.microsoft.com/Presence.ReadWrite`.
pub(super) fn graph_scope(config: &config::Account, permission: &str) -> String {
    format!("{}/{permission}", config.endpoints.graph.origin().ascii_serialization())
}
