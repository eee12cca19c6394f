//! The answer to a request that cannot be done: one shape, `{"error": {"code": "…", "message": "…", "hint": "…"}}`,
//! with a closed set of codes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::request::Invalid;
use crate::sanitize::printable;

/// How much of a wrong name is shown.
const SHOWN_CHARS: usize = 80;

/// The body of an answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    /// The error.
    pub(super) error: ErrorDetail,
}

/// What is wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ErrorDetail {
    /// One of the codes of [`Refusal`].
    pub(super) code: String,
    /// One sentence; for a refused configuration, the whole report.
    pub(super) message: String,
    /// How to fix it.
    pub(super) hint: String,
}

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    pub(super) message: String,
    pub(super) hint: String,
}

/// The code of a refused reload, which the client treats differently.
pub(super) const CONFIGURATION_REFUSED: &str = "configuration-refused";

/// The code of a daemon that has no seat for one more connection.
pub(super) const TOO_MANY_CONNECTIONS: &str = "too-many-connections";

/// The code of a daemon that is stopping.
pub(super) const STOPPING: &str = "stopping";

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), hint: hint.into() }
    }

    /// The path does not exist.
    pub(super) fn not_found(path: &str) -> Self {
        let hint = "the paths are /v1/status, /v1/watch, /v1/override, /v1/signals/NAME, /v1/users, /v1/reload, /healthz, /readyz and /metrics";
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("{path} does not exist"), hint)
    }

    /// The path does not exist over TCP.
    pub(super) fn not_found_here(path: &str) -> Self {
        let hint = "only /metrics, /healthz and /readyz are available here; the rest is on the status socket";
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("{path} does not exist"), hint)
    }

    /// The request over TCP uses a name that may be anybody's, or comes from a page of another machine.
    pub(super) fn not_by_name() -> Self {
        let message =
            "presenced only answers requests to an address here, not to a name, and not from pages of other machines";
        Self::new(StatusCode::FORBIDDEN, "not-by-name", message, "use 127.0.0.1, [::1] or localhost")
    }

    /// No account has this user.
    pub(super) fn unknown_user(user: &str) -> Self {
        let user = printable(&user.chars().take(SHOWN_CHARS).collect::<String>());
        let hint = "use the object id, or the name in the users file; `presenced users` lists them";
        Self::new(StatusCode::NOT_FOUND, "unknown-user", format!("no account has the user `{user}`"), hint)
    }

    /// There is no account of this name.
    pub(super) fn unknown_account(account: &str) -> Self {
        let account = printable(&account.chars().take(SHOWN_CHARS).collect::<String>());
        let message = format!("there is no account `{account}`");
        Self::new(StatusCode::NOT_FOUND, "unknown-account", message, "`presenced status` shows the accounts")
    }

    /// No account of this name has `users`; an empty name means that none has.
    pub(super) fn no_account_with_users(account: &str) -> Self {
        let (message, hint) = if account.is_empty() {
            (
                "no account has `users`".to_owned(),
                "add `users` to an account in the configuration; docs/fleet.md says how",
            )
        } else {
            let account = printable(&account.chars().take(SHOWN_CHARS).collect::<String>());
            (format!("no account `{account}` has `users`"), "`presenced status` shows the accounts")
        };
        Self::new(StatusCode::NOT_FOUND, "unknown-account", message, hint)
    }

    /// The parameters after the `?` cannot be read.
    pub(super) fn bad_query(text: &str) -> Self {
        let hint = "the parameters are account, state, presence, after and limit";
        Self::new(StatusCode::BAD_REQUEST, "bad-query", printable(text), hint)
    }

    /// The path has other methods.
    pub(super) fn method_not_allowed(method: &str, path: &str) -> Self {
        let message = format!("{path} does not accept {method}");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            message,
            "the Allow header lists what it accepts",
        )
    }

    /// The body is not the right JSON; `example` is.
    pub(super) fn bad_json(error: &serde_json::Error, example: &str) -> Self {
        let message = format!("the body cannot be read: {error}");
        Self::new(StatusCode::BAD_REQUEST, "bad-json", message, format!("send JSON like {example}"))
    }

    /// The body did not arrive completely.
    pub(super) fn body_lost() -> Self {
        let hint = "send as many bytes as Content-Length says";
        Self::new(StatusCode::BAD_REQUEST, "body-lost", "the body is incomplete", hint)
    }

    /// The body is larger than any sensible one.
    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body has more than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message, "send one small JSON object")
    }

    /// The body took too long.
    pub(super) fn too_slow() -> Self {
        let hint = "send as many bytes as Content-Length says";
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "the body did not arrive in time", hint)
    }

    /// The daemon did not do what it was asked.
    pub(super) fn refused(message: String) -> Self {
        let hint = "`presenced status` shows what is in force";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message, hint)
    }

    /// The new configuration is invalid; `report` is what `presenced check` prints.
    pub(super) fn configuration_refused(report: String) -> Self {
        let hint = "the last valid configuration stays in force; fix the file, then run `presenced reload`";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, CONFIGURATION_REFUSED, report, hint)
    }

    /// The daemon is stopping.
    pub(super) fn stopping() -> Self {
        let hint = "start it again with `presenced run` or `systemctl --user start presenced`";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, STOPPING, "presenced is stopping", hint)
    }

    /// Too many connections are open.
    pub(super) fn too_many_connections() -> Self {
        let hint = "try again in a few seconds: a client that does nothing loses its connection after 5 s";
        let message = "too many connections to presenced are open";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_CONNECTIONS, message, hint)
    }

    /// Too many connections watch.
    pub(super) fn too_many_watchers() -> Self {
        let hint = "close one of them, for example a `presenced status --watch`";
        let message = "too many connections to presenced are watching";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_CONNECTIONS, message, hint)
    }

    /// The client is another user.
    pub(super) fn not_yours() -> Self {
        let hint = "run this as the user who runs presenced";
        Self::new(StatusCode::FORBIDDEN, "not-yours", "presenced answers only the user it runs as, and root", hint)
    }

    fn into_parts(self) -> (StatusCode, ErrorBody) {
        let Self { status, code, message, hint } = self;
        (status, ErrorBody { error: ErrorDetail { code: code.to_owned(), message, hint } })
    }

    /// The whole answer as bytes, for a connection that is closed afterwards.
    pub(super) fn into_wire(self) -> Vec<u8> {
        let (status, body) = self.into_parts();
        let body = serde_json::to_string(&body).expect("three strings are JSON");
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::new(StatusCode::BAD_REQUEST, invalid.code, invalid.message, invalid.hint)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = self.into_parts();
        (status, Json(body)).into_response()
    }
}
