//! The sign-in service's errors, in Entra's shape.
//!
//! Names and codes are those of Entra's error reference and its pages on each grant. The descriptions only resemble Entra's; clients
//! must not depend on them. Inferred: the codes of a declined and of a redeemed device code, the status of refused assertions, that
//! an unknown `client_assertion_type`, `slow_down` and malformed `claims` have no code, and the `error` of 50011, 500112 and 700054.

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue};
use jiff::Timestamp;
use serde_json::json;

use super::agent_error::AgentError;
use crate::message::Reply;

/// An error answer of the sign-in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntraError {
    NotPost(String),
    NotGet(String),
    TooLarge,
    Missing(&'static str),
    UnknownTenant(String),
    /// The address that an instance discovery asks about.
    UnknownInstance(String),
    UnknownApp(String),
    WrongSecret(String),
    NoSecret,
    MalformedBasic,
    TwoApps,
    TwoProofs,
    UnknownAssertionType,
    MalformedAssertion(String),
    AssertionByAnotherApp,
    AssertionForAnotherAudience {
        audience: String,
        endpoint: String,
    },
    AssertionNotValidNow {
        now: Timestamp,
        from: Option<Timestamp>,
        until: Timestamp,
    },
    BadSignature(&'static str),
    /// The AADSTS number, the claim that does not match, and its value.
    NoFederatedCredential(u32, &'static str, String),
    UnsupportedGrant,
    NotDefaultScope(String),
    UnknownScope(String),
    ConsentRequired(String),
    AuthorizationPending,
    AuthorizationDeclined,
    BadVerificationCode,
    DeviceCodeExpired,
    SlowDown,
    Agent(AgentError),
    Code(CodeError),
    MalformedGrant,
    MalformedClaims,
    RefreshTokenExpired,
    Revoked,
}

/// An error of a browser sign-in or of its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CodeError {
    NotRegistered(String),
    UnsupportedResponse(&'static str),
    ChallengeMethod,
    ChallengeSize,
    Declined,
    Expired,
    Redeemed,
    OtherRedirect,
    NoVerifier,
    WrongVerifier,
    PublicClient,
}

impl EntraError {
    /// `error`, the AADSTS number (0 if it has none) and the text.
    #[expect(clippy::too_many_lines, reason = "a table, with a row for each error")]
    fn parts(&self) -> (&'static str, u32, String) {
        match self {
            Self::NotPost(method) => (
                "invalid_request",
                900_561,
                format!("The endpoint only accepts POST requests. Received a {method} request."),
            ),
            // Inferred.
            Self::NotGet(method) => (
                "invalid_request",
                900_561,
                format!("The endpoint only accepts GET requests. Received a {method} request."),
            ),
            Self::TooLarge => ("invalid_request", 0, "The request is too large.".to_owned()),
            Self::Missing(name) => (
                "invalid_request",
                900_144,
                format!("The request body must contain the following parameter: '{name}'."),
            ),
            Self::UnknownTenant(tenant) => ("invalid_request", 90_002, format!("Tenant '{tenant}' not found.")),
            Self::UnknownInstance(address) => (
                "invalid_instance",
                50_049,
                format!("Unknown or invalid instance: '{address}' is not an address of this service."),
            ),
            Self::UnknownApp(app) => (
                "unauthorized_client",
                700_016,
                format!("Application with identifier '{app}' was not found in the directory."),
            ),
            Self::WrongSecret(app) => {
                ("invalid_client", 7_000_215, format!("Invalid client secret provided for app '{app}'."))
            }
            Self::NoSecret => (
                "invalid_client",
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
                    .to_owned(),
            ),
            Self::MalformedBasic => (
                "invalid_client",
                0,
                "The Authorization header is not 'Basic' with the base64 of client id, colon and secret.".to_owned(),
            ),
            Self::TwoApps => (
                "invalid_request",
                0,
                "The Authorization header and 'client_id' name different applications.".to_owned(),
            ),
            Self::TwoProofs => (
                "invalid_request",
                0,
                "Besides the Authorization header, the request must not have a 'client_secret' or 'client_assertion'."
                    .to_owned(),
            ),
            Self::UnknownAssertionType => {
                ("invalid_request", 0, "The parameter 'client_assertion_type' is not known.".to_owned())
            }
            Self::MalformedAssertion(why) => ("invalid_client", 50_027, format!("Invalid JWT token: {why}.")),
            Self::AssertionByAnotherApp => (
                "invalid_client",
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.".to_owned(),
            ),
            Self::AssertionForAnotherAudience { audience, endpoint } => (
                "invalid_client",
                700_023,
                format!(
                    "Client assertion audience claim does not match Realm issuer: it is {audience}, and the token endpoint \
                     is {endpoint}."
                ),
            ),
            Self::AssertionNotValidNow { now, from, until } => (
                "invalid_client",
                700_024,
                format!(
                    "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {}, \
                     expiry time of assertion {until}.",
                    from.map_or_else(|| "ever".to_owned(), |from| from.to_string()),
                ),
            ),
            Self::BadSignature(why) => {
                ("invalid_client", 700_027, format!("Client assertion contains an invalid signature. [Reason - {why}]"))
            }
            Self::NoFederatedCredential(number, claim, said) => (
                "invalid_client",
                *number,
                format!("No matching federated identity record found for presented assertion {claim} '{said}'."),
            ),
            Self::UnsupportedGrant => {
                ("unsupported_grant_type", 70_003, "The app requested an unsupported grant type.".to_owned())
            }
            Self::NotDefaultScope(scope) => (
                "invalid_scope",
                1_002_012,
                format!("The scope {scope} is not valid: client credentials need one that ends with /.default."),
            ),
            Self::UnknownScope(scope) => ("invalid_scope", 70_011, format!("The scope {scope} is not valid.")),
            Self::ConsentRequired(scope) => {
                ("invalid_grant", 65_001, format!("The user has not consented to use {scope}."))
            }
            Self::AuthorizationPending => {
                ("authorization_pending", 70_016, "Authorization is pending. Continue polling.".to_owned())
            }
            Self::AuthorizationDeclined => {
                ("authorization_declined", 65_004, "The user declined the authorization request.".to_owned())
            }
            Self::BadVerificationCode => {
                ("bad_verification_code", 70_018, "The device code was not recognized.".to_owned())
            }
            Self::DeviceCodeExpired => ("expired_token", 70_020, "The device code has expired.".to_owned()),
            Self::SlowDown => ("slow_down", 0, "The client polls too often: wait 5 seconds more.".to_owned()),
            Self::Agent(refusal) => refusal.parts(),
            Self::Code(refusal) => refusal.parts(),
            Self::MalformedGrant => ("invalid_grant", 9_002_313, "The request is malformed or invalid.".to_owned()),
            Self::MalformedClaims => ("invalid_request", 0, "The parameter 'claims' is not a JSON object.".to_owned()),
            Self::RefreshTokenExpired => {
                ("invalid_grant", 700_082, "The refresh token has expired due to inactivity.".to_owned())
            }
            Self::Revoked => (
                "invalid_grant",
                50_173,
                "The provided grant was revoked, and a fresh sign-in is needed: the password may have changed."
                    .to_owned(),
            ),
        }
    }

    /// `error` and `error_description` for a redirect.
    pub(super) fn in_redirect(&self) -> (&'static str, String) {
        let (error, code, text) = self.parts();
        (error, if code == 0 { text } else { format!("AADSTS{code}: {text}") })
    }

    /// The answer.
    pub(super) fn reply(&self, trace: &str, correlation: &str, now: Timestamp) -> Reply {
        let status = match self {
            Self::Agent(refusal) if refusal.is_about_client() => StatusCode::UNAUTHORIZED,
            Self::NotPost(_) | Self::NotGet(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongSecret(_)
            | Self::NoSecret
            | Self::MalformedBasic
            | Self::MalformedAssertion(_)
            | Self::AssertionByAnotherApp
            | Self::AssertionForAnotherAudience { .. }
            | Self::AssertionNotValidNow { .. }
            | Self::BadSignature(_)
            | Self::NoFederatedCredential(..)
            | Self::Code(CodeError::PublicClient) => StatusCode::UNAUTHORIZED,
            Self::Missing(_)
            | Self::UnknownTenant(_)
            | Self::UnknownInstance(_)
            | Self::UnknownApp(_)
            | Self::TwoApps
            | Self::TwoProofs
            | Self::UnsupportedGrant
            | Self::UnknownAssertionType
            | Self::NotDefaultScope(_)
            | Self::UnknownScope(_)
            | Self::ConsentRequired(_)
            | Self::AuthorizationPending
            | Self::AuthorizationDeclined
            | Self::BadVerificationCode
            | Self::DeviceCodeExpired
            | Self::SlowDown
            | Self::Agent(_)
            | Self::Code(_)
            | Self::MalformedGrant
            | Self::MalformedClaims
            | Self::RefreshTokenExpired
            | Self::Revoked => StatusCode::BAD_REQUEST,
        };
        let (error, code, text) = self.parts();
        let mut reply = reply(status, error, code, &text, trace, correlation, now);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = if matches!(self, Self::NotGet(_)) { "GET" } else { "POST" };
            reply.headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        reply
    }
}

/// The status and OAuth's `error` for an AADSTS number. Inferred where Microsoft's pages do not show an answer with the number: for
/// errors that need the user to do more, and for temporary ones.
pub(super) fn status_and_error(number: u32) -> (StatusCode, &'static str) {
    let error = match number {
        50_027
        | 70_002
        | 70_021
        | 700_021
        | 700_023
        | 700_024
        | 700_025
        | 700_027
        | 700_211..=700_213
        | 7_000_215
        | 7_000_218
        | 7_000_222
        | 7_002_138 => return (StatusCode::UNAUTHORIZED, "invalid_client"),
        90_055 => return (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        50_033 | 50_087 | 90_006 | 90_012 | 90_024 | 90_033 | 90_090 => {
            return (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
        }
        700_011 | 700_016 | 7_000_112 | 65_002 => "unauthorized_client",
        50_001 | 500_011 | 500_014 | 650_057 => "invalid_resource",
        70_011 | 650_053 => "invalid_scope",
        50_059 | 50_128 | 50_194 | 90_002 | 90_019 | 90_038 | 500_113 | 900_023 | 9_001_023 | 9_002_327 => {
            "invalid_request"
        }
        16_000 | 50_072 | 50_074 | 50_076 | 50_079 | 50_158 | 50_199 | 700_020 => "interaction_required",
        65_004 => "authorization_declined",
        70_016 => "authorization_pending",
        70_018 => "bad_verification_code",
        70_019 | 70_020 => "expired_token",
        _ => "invalid_grant",
    };
    (StatusCode::BAD_REQUEST, error)
}

impl CodeError {
    /// The same as [`EntraError::parts`].
    fn parts(&self) -> (&'static str, u32, String) {
        match self {
            Self::NotRegistered(uri) => (
                "invalid_request",
                50_011,
                format!(
                    "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured."
                ),
            ),
            Self::UnsupportedResponse(name) => (
                "unsupported_response_type",
                700_054,
                format!("The value of '{name}' is not enabled for the application."),
            ),
            Self::ChallengeMethod => ("invalid_request", 50_149, "Invalid Code_Challenge_method parameter.".to_owned()),
            Self::ChallengeSize => ("invalid_request", 501_491, "Invalid size of Code_Challenge parameter.".to_owned()),
            Self::Declined => ("access_denied", 65_004, "User declined to consent to access the app.".to_owned()),
            Self::Expired => {
                ("invalid_grant", 70_008, "The provided authorization code has expired. Send a new one.".to_owned())
            }
            Self::Redeemed => ("invalid_grant", 54_005, "OAuth2 Authorization code was already redeemed.".to_owned()),
            Self::OtherRedirect => (
                "invalid_grant",
                500_112,
                "The reply address does not match the one provided when requesting Authorization code.".to_owned(),
            ),
            Self::NoVerifier => (
                "invalid_grant",
                50_148,
                "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE."
                    .to_owned(),
            ),
            Self::WrongVerifier => (
                "invalid_grant",
                501_481,
                "The Code_Verifier does not match the code_challenge supplied in the authorization request.".to_owned(),
            ),
            Self::PublicClient => (
                "invalid_client",
                700_025,
                "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.".to_owned(),
            ),
        }
    }
}

impl From<AgentError> for EntraError {
    fn from(refusal: AgentError) -> Self {
        Self::Agent(refusal)
    }
}

impl From<CodeError> for EntraError {
    fn from(refusal: CodeError) -> Self {
        Self::Code(refusal)
    }
}

/// An error in Entra's shape.
pub(super) fn reply(
    status: StatusCode,
    error: &str,
    code: u32,
    text: &str,
    trace: &str,
    correlation: &str,
    now: Timestamp,
) -> Reply {
    let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let number = if code == 0 { String::new() } else { format!("AADSTS{code}: ") };
    let description = format!("{number}{text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}");
    let codes: Vec<u32> = if code == 0 { Vec::new() } else { vec![code] };
    let body = json!({
        "error": error,
        "error_description": description,
        "error_codes": codes,
        "timestamp": timestamp,
        "trace_id": trace,
        "correlation_id": correlation,
    });
    Reply::json(status, &body).coded(error)
}
