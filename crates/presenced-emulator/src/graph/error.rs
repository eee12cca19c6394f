//! Graph's errors, in Graph's shape: `{"error": {"code", "message", "innerError": {…}}}`.
//!
//! `behaviour` says which of them are documented, reported or inferred. The texts of 405 and 413 are inferred.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::Ids;
use super::behaviour::{self, Basis, Behaviour};
use crate::entra::Invalid;
use crate::faults::Refusal;
use crate::message::Reply;
use presenced_core::time::Now;

/// The `WWW-Authenticate` header that Graph sends with each 401 about a token.
const BEARER_CHALLENGE: &str = "Bearer realm=\"\", \
    authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
    client_id=\"00000003-0000-0000-c000-000000000000\"";

/// The header that says what an answer rests on.
pub(super) const BASIS_HEADER: HeaderName = HeaderName::from_static("x-presenced-basis");

/// An error answer of Graph.
#[derive(Clone, Debug)]
pub(super) struct GraphError {
    status: StatusCode,
    code: &'static str,
    message: String,
    header: Option<(HeaderName, String)>,
    basis: Basis,
}

impl GraphError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>, behaviour: Behaviour) -> Self {
        Self { status, code, message: message.into(), header: None, basis: behaviour.basis }
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    fn token(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message, behaviour::TOKEN)
            .with(WWW_AUTHENTICATE, BEARER_CHALLENGE)
    }

    /// The token is missing.
    pub(super) fn no_token() -> Self {
        Self::token("Access token is empty.")
    }

    /// The token is not accepted.
    pub(super) fn invalid_token(invalid: Invalid) -> Self {
        Self::token(match invalid {
            Invalid::Malformed => "IDX14100: JWT is not well formed, there are no dots (.).",
            Invalid::Unknown => "Access token validation failure. Invalid signature.",
            Invalid::Expired => "Lifetime validation failed, the token is expired.",
        })
    }

    /// The token must not have been issued before `not_before` (Continuous Access Evaluation).
    pub(super) fn claims(not_before: Timestamp) -> Self {
        let time = not_before.as_second().to_string();
        let claims = json!({"access_token": {"nbf": {"essential": true, "value": time}}}).to_string();
        let challenge =
            format!("{BEARER_CHALLENGE}, error=\"insufficient_claims\", claims=\"{}\"", STANDARD.encode(claims));
        let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: \
                       TokenIssuedBeforeRevocationTimestamp";
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message, behaviour::CLAIMS)
            .with(WWW_AUTHENTICATE, challenge)
    }

    /// Graph has no such path.
    pub(super) fn unknown_segment(segment: &str) -> Self {
        Self::bad_request(format!("Resource not found for the segment '{segment}'."), behaviour::UNKNOWN_SEGMENT)
    }

    /// Neither Graph nor Entra has the path.
    pub(super) fn nothing_here() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "Nothing is here: the emulator has /v1.0/…, /beta/…, /{tenant}/oauth2/v2.0/… and /_emulator/….",
            behaviour::NOT_HERE,
        )
    }

    /// The method is not allowed.
    pub(super) fn method(allowed: &Method) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
            behaviour::METHOD,
        )
        .with(ALLOW, allowed.as_str())
    }

    /// Too many requests.
    pub(super) fn throttled(wait: Duration) -> Self {
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::of_status(StatusCode::TOO_MANY_REQUESTS).with(RETRY_AFTER, secs.max(1).to_string())
    }

    /// The body is too large.
    pub(super) fn too_large() -> Self {
        Self::of_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// The request is malformed.
    pub(super) fn bad_request(message: impl Into<String>, behaviour: Behaviour) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message, behaviour)
    }

    /// An argument has an invalid value.
    pub(super) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::invalid(message, behaviour::INVALID_VALUE)
    }

    /// An argument has a value that is invalid for this reason.
    pub(super) fn invalid(message: impl Into<String>, behaviour: Behaviour) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message, behaviour)
    }

    /// The permission is missing.
    pub(super) fn forbidden() -> Self {
        Self::of_status(StatusCode::FORBIDDEN)
    }

    /// The token is delegated, and the presence is another user's.
    pub(super) fn another_user() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "Cannot set the presence of another user",
            behaviour::ANOTHER_USER,
        )
    }

    /// The user does not exist.
    pub(super) fn unknown_user(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("User '{id}' does not exist."), behaviour::UNKNOWN_USER)
    }

    /// The session does not exist.
    pub(super) fn no_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "The presence session does not exist.", behaviour::NO_SESSION)
    }

    /// A refusal that does not say what is wrong.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => {
                Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized", behaviour::VAGUE)
            }
            Refusal::NoPresence => Self::new(
                StatusCode::NOT_FOUND,
                "Request_ResourceNotFound",
                "Resource 'presence' does not exist or one of its queried reference-property objects are not present.",
                behaviour::VAGUE,
            ),
            Refusal::PersonalAccount => {
                Self::bad_request("This API is not supported for MSA accounts.", behaviour::VAGUE)
            }
        }
    }

    /// The error that Graph sends with `status`.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, message, behaviour) = match status.as_u16() {
            400 => ("BadRequest", "The request is malformed.", behaviour::OTHER_FAULT),
            401 => ("ServiceError", "An error has occurred.", behaviour::PASSING_FAULT),
            403 => ("Forbidden", "", behaviour::FORBIDDEN),
            404 => ("NotFound", "Not found.", behaviour::OTHER_FAULT),
            413 => ("RequestEntityTooLarge", "The request is too large.", behaviour::TOO_LARGE),
            424 => ("FailedDependency", "A request this one depends on failed.", behaviour::FAILED_DEPENDENCY),
            429 => ("TooManyRequests", "Please retry again later.", behaviour::THROTTLED),
            500 => ("InternalServerError", "An unexpected error occurred.", behaviour::OTHER_FAULT),
            502 => ("BadGateway", "An error occurred behind the gateway.", behaviour::OTHER_FAULT),
            503 => ("ServiceUnavailable", "The service is temporarily unavailable.", behaviour::OTHER_FAULT),
            504 => ("GatewayTimeout", "The service did not answer in time.", behaviour::OTHER_FAULT),
            _ => ("UnknownError", "", behaviour::OTHER_FAULT),
        };
        Self::new(status, code, message, behaviour)
    }

    /// The answer.
    pub(super) fn reply(&self, ids: &Ids, now: &Now) -> Reply {
        let mut inner = json!({
            "date": now.wall.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            "request-id": ids.request,
            "client-request-id": ids.client,
        });
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            inner["code"] = "429".into();
            inner["message"] = "Please retry after".into();
            inner["status"] = "429".into();
        }
        let body = json!({ "error": { "code": self.code, "message": self.message, "innerError": inner } });
        let basis = self.basis.to_string();
        let reply = Reply::json(self.status, &body).coded(self.code).with(BASIS_HEADER, &basis);
        match &self.header {
            Some((name, value)) => reply.with(name.clone(), value),
            None => reply,
        }
    }
}
