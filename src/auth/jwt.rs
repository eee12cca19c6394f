//! Reads the claims of a JSON Web Token (RFC 7519) without checking its signature.
//!
//! presenced does not need to check it. An `id_token` comes directly from the token endpoint over TLS, which `OpenID` Connect
//! Core (3.1.3.7, point 6) accepts in place of the signature. From an access token, or another provider's assertion, presenced
//! takes only hints; the service that receives the token checks it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The claims that presenced reads. Each may be missing.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Claims {
    /// The object id of the user, or of the application's service principal.
    pub(super) oid: Option<String>,
    /// The tenant's id.
    pub(super) tid: Option<String>,
    /// A name to show. It may be an e-mail address.
    pub(super) preferred_username: Option<String>,
    /// Delegated permissions: the token is for a user.
    pub(super) scp: Option<String>,
    /// Application permissions; the token of an application without permissions has no such claim.
    #[serde(default)]
    pub(super) roles: Vec<String>,
    /// When it expires, in seconds since 1970.
    pub(super) exp: Option<i64>,
}

/// The claims of `token`; none if it is not such a token.
pub(super) fn claims(token: &str) -> Claims {
    read(token).unwrap_or_default()
}

/// The same; `None` if it is not such a token.
pub(super) fn read(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?.trim_end_matches('=');
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_from_the_payload() {
        let payload =
            URL_SAFE_NO_PAD.encode(r#"{"oid": "o", "tid": "t", "preferred_username": "ü@x", "exp": 7, "aud": []}"#);
        let claims = claims(&format!("e30.{payload}.sig"));
        assert_eq!((claims.oid.as_deref(), claims.tid.as_deref()), (Some("o"), Some("t")));
        assert_eq!((claims.preferred_username.as_deref(), claims.exp), (Some("ü@x"), Some(7)));
    }

    #[test]
    fn other_texts_have_no_claims() {
        for token in ["", "opaque", "a.b", "a.!.c", "a.e30.c", "..", "a.W10.c"] {
            assert_eq!(claims(token), Claims::default(), "{token}");
        }
    }
}
