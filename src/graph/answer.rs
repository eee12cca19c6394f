//! What Graph's answer means. The status, the headers and `error.code` decide, never `error.message`, which is for people
//! and may be empty. In one place it chooses between two hints: see `lacks_presence`.
//!
//! | answer | kind |
//! |---|---|
//! | any 2xx; `clearPresence`: 404 for the session | success |
//! | 429 | throttled |
//! | 5xx | passing, perhaps applied |
//! | 408, 401 `ServiceError` | passing, perhaps applied, and only about this request |
//! | a redirect, which Graph does not use: something else answered | passing |
//! | 401 for the token, or for claims it lacks (Continuous Access Evaluation) | token refused |
//! | 401 for claims that cannot be read | sign-in needed |
//! | any other 401, from the presence service | refused |
//! | any other 4xx | refused |
//!
//! **The two 401s.** Graph's gateway rejects a token with a `WWW-Authenticate` challenge, which RFC 9110 (15.5.2) requires for
//! a 401, and with a code about tokens (`InvalidAuthenticationToken`). The presence service behind it rejects the *user*, when
//! the token is already accepted, and so sends neither. A 401 without an error code is taken to be about the token, because
//! the session then tries once with a new one.
//!
//! `ServiceError` is the code that people report for a 401 that comes and goes. `Unauthorized` may mean another user, a missing
//! permission, or also that the service fails for a moment. The caller (`daemon/`) has the token and knows what was accepted
//! before, so it decides.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use tracing::trace;
use url::Url;

use crate::failure::{Applied, Extent, Failure, FailureKind, Missing, Permission};
use crate::http::retry_after;
use crate::sanitize::printable_code;
use presenced_core::words;

use super::challenge::Challenge;

/// The hint if the token does not allow reading what others see.
const MAY_NOT_READ: &str = "the app registration or the sign-in lacks the permission to read: grant delegated \
     `Presence.Read` and run `presenced login` again, or for a client secret grant the application permission \
     `Presence.ReadWrite.All` or `Presence.Read.All` with an administrator's consent; or remove `verify` from [session]";

words! {
    /// What is asked of Graph: the last part of the URL. Reading one presence has no such part, so it is named after what it reads.
    pub(super) enum Action {
        SetPresence = "setPresence",
        ClearPresence = "clearPresence",
        SetPreferred = "setUserPreferredPresence",
        ClearPreferred = "clearUserPreferredPresence",
        ReadPresence = "GET presence",
        ReadPresences = "getPresencesByUserId",
        Batch = "$batch",
    }
}

impl Action {
    /// Whether one user is the reason if it is refused.
    const fn is_about_one_user(self) -> bool {
        match self {
            Self::SetPresence
            | Self::ClearPresence
            | Self::SetPreferred
            | Self::ClearPreferred
            | Self::ReadPresence => true,
            Self::ReadPresences | Self::Batch => false,
        }
    }
}

/// Graph's error body.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// An answer that is not a success.
struct Refusal {
    status: StatusCode,
    /// `error.code`; `None` if the body is not Graph's.
    code: Option<String>,
    /// Whether there was no body at all.
    bodiless: bool,
    /// Whether what does not exist is `presence` itself, and not the user. Both have the same status and code.
    ///
    /// Source: microsoft-graph-docs-contrib, issue 3331.
    lacks_presence: bool,
    challenge: Challenge,
}

/// Whether an answer to `action` is a success, and if not, what has to happen next.
pub(super) fn judge(
    action: Action,
    endpoint: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let detail = serde_json::from_slice::<ErrorBody>(body).ok().map(|body| body.error);
    trace!(status = status.as_u16(), message = detail.as_ref().map(|detail| &*detail.message), "Graph's error");
    let refusal = Refusal {
        status,
        lacks_presence: detail.as_ref().is_some_and(|detail| detail.message.contains("'presence'")),
        code: detail.map(|detail| detail.code).filter(|code| !code.is_empty()),
        bodiless: body.is_empty(),
        challenge: Challenge::of(headers),
    };
    if action == Action::ClearPresence && refusal.is_no_such_session() {
        return Ok(());
    }

    let (kind, applied) = refusal.kind();
    let extent = if status.is_client_error() { Extent::Request } else { Extent::Service };
    let code = refusal.code.as_deref().map(|code| format!(" {}", printable_code(code))).unwrap_or_default();
    let text = format!("Microsoft Graph answered {} with {}{code}", action.as_str(), status.as_u16());
    let hint = match (action, status) {
        (Action::ReadPresence | Action::ReadPresences, StatusCode::FORBIDDEN) => Some(MAY_NOT_READ.to_owned()),
        (Action::ReadPresences | Action::Batch, StatusCode::NOT_FOUND) => Some(not_graph(endpoint)),
        // The hint would be about the user.
        (_, StatusCode::BAD_REQUEST) if !action.is_about_one_user() => None,
        (_, StatusCode::UNAUTHORIZED) if !action.is_about_one_user() && kind == FailureKind::Refused => None,
        _ => refusal.hint(endpoint),
    };
    let missing = refusal.missing(action).map(Box::new);
    Err(Failure { kind, applied, extent, retry_after: retry_after(headers), text, hint, missing })
}

impl Refusal {
    fn kind(&self) -> (FailureKind, Applied) {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => (FailureKind::Throttled, Applied::No),
            StatusCode::UNAUTHORIZED => self.unauthorized(),
            // It waited for the rest of a request, but may have read enough of it to act.
            StatusCode::REQUEST_TIMEOUT => (FailureKind::Passing, Applied::Perhaps),
            status if status.is_client_error() => (FailureKind::Refused, Applied::No),
            status if status.is_redirection() => (FailureKind::Passing, Applied::No),
            _ => (FailureKind::Passing, Applied::Perhaps),
        }
    }

    fn unauthorized(&self) -> (FailureKind, Applied) {
        match (&self.challenge, self.code.as_deref()) {
            (Challenge::Claims(Some(_)), _) => (FailureKind::TokenRefused, Applied::No),
            (Challenge::Claims(None), _) => (FailureKind::SignInNeeded, Applied::No),
            // People report that it alternates with 200 for the same request: the service failed, perhaps after acting.
            (_, Some("ServiceError")) => (FailureKind::Passing, Applied::Perhaps),
            (Challenge::Absent, Some(code)) if !is_about_the_token(code) => (FailureKind::Refused, Applied::No),
            (Challenge::Absent | Challenge::Token, _) => (FailureKind::TokenRefused, Applied::No),
        }
    }

    fn missing(&self, action: Action) -> Option<Missing> {
        match (self.status, &self.challenge) {
            (StatusCode::FORBIDDEN, _) => Some(Missing::Permission(match action {
                Action::ReadPresence | Action::ReadPresences => Permission::Read,
                Action::SetPresence
                | Action::ClearPresence
                | Action::SetPreferred
                | Action::ClearPreferred
                | Action::Batch => Permission::Write,
            })),
            (StatusCode::UNAUTHORIZED, Challenge::Claims(claims)) => claims.clone().map(Missing::Claims),
            (StatusCode::UNAUTHORIZED, _) if self.kind().0 == FailureKind::Refused && action.is_about_one_user() => {
                Some(Missing::User)
            }
            _ => None,
        }
    }

    /// Whether a 404 to `clearPresence` has its documented meaning: there is no session. An unknown user is also a 404, and so is
    /// the answer of a server that is not Graph.
    fn is_no_such_session(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
            && self.is_from_graph()
            && !self.code.as_deref().is_some_and(is_about_the_user)
    }

    /// Another server's 404 has its own page as the body.
    fn is_from_graph(&self) -> bool {
        self.bodiless || self.code.is_some()
    }

    fn is_coded(&self, code: &str) -> bool {
        self.code.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(code))
    }

    fn hint(&self, endpoint: &Url) -> Option<String> {
        let hint = match (self.status, self.kind().0) {
            (StatusCode::FORBIDDEN, _) => {
                "the app registration lacks the permission: grant delegated `Presence.ReadWrite`, or for a client secret \
                 the application permission `Presence.ReadWrite.All` with an administrator's consent"
            }
            (StatusCode::UNAUTHORIZED, FailureKind::Refused) => {
                "a sign-in can only set its own presence: leave `user` out of the account, or set it to the object id \
                 (not the e-mail address) of who signed in"
            }
            (StatusCode::UNAUTHORIZED, FailureKind::SignInNeeded) => "run `presenced login`",
            (StatusCode::NOT_FOUND, _) if self.is_coded("Request_ResourceNotFound") && self.lacks_presence => {
                "this cloud has no presence: check `cloud`, and `endpoints` if the account has any"
            }
            (StatusCode::NOT_FOUND, _) if self.is_from_graph() => {
                "this user does not exist in this tenant: check the object id in `user` or `users` of the account, and `tenant`"
            }
            (StatusCode::NOT_FOUND, _) => return Some(not_graph(endpoint)),
            // Requests with a wrong value get `InvalidArgument`. Source: the answer "This API is not supported for MSA accounts".
            (StatusCode::BAD_REQUEST, _) if self.is_coded("BadRequest") => {
                "Graph answers so for a personal Microsoft account, for which it has no presence: sign in with a work or school \
                 account; otherwise check `client_id` and `user` in the account"
            }
            (StatusCode::BAD_REQUEST, _) => "check `client_id` and `user` in the account",
            (status, _) if status.is_redirection() => {
                "Graph does not redirect, so something on the way does: does this network have a captive portal?"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn not_graph(endpoint: &Url) -> String {
    format!("{endpoint} is not Microsoft Graph: check `endpoints.graph`")
}

/// Graph's codes for a token that it rejected: `InvalidAuthenticationToken`, `Authentication_ExpiredToken`, …
fn is_about_the_token(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    code.contains("token") || code.contains("authentication")
}

/// The directory's code for an unknown user: `Request_ResourceNotFound`; the services send `UserNotFound`.
fn is_about_the_user(code: &str) -> bool {
    ["Request_ResourceNotFound", "UserNotFound"].iter().any(|known| code.eq_ignore_ascii_case(known))
}
