//! Checks of a `client_assertion`: either the application's own, signed with a certificate registered for it, or one of another
//! identity provider that a federated credential allows.
//!
//! Source: Microsoft identity platform, "application authentication certificate credentials" and "Workload identity
//! federation"; RFC 7523, section 3; RFC 7519 (a NumericDate may have a fraction). Inferred: that `jti` is required, the order of the
//! checks, and the tolerance of 5 minutes. Reported: that the issuer is also accepted as the audience, and that a thumbprint may be
//! padded.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::{digest, signature};
use serde::Deserialize;
use serde_json::Value;
use url::{Position, Url};

use super::error::EntraError;
use crate::options::{App, FederatedCredential};
use presenced_core::certificate::{self, Certificate};

/// How far the clock of the client or the issuer may be off.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

/// Entra's hosts, in every cloud.
const LOGIN_HOSTS: [&str; 5] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.sovcloud-identity.fr",
    "login.sovcloud-identity.de",
];

#[derive(Deserialize)]
struct Header {
    alg: String,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    jti: Option<String>,
}

/// Seconds since 1970 (RFC 7519, section 2).
#[derive(Clone, Copy, Deserialize)]
struct NumericDate(f64);

impl NumericDate {
    /// As a time. What is too early or too late for one becomes the earliest or the latest.
    fn time(self) -> Timestamp {
        let outermost = if self.0 < 0.0 { Timestamp::MIN } else { Timestamp::MAX };
        let since_1970 = SignedDuration::try_from_secs_f64(self.0).ok();
        since_1970.and_then(|since| Timestamp::from_duration(since).ok()).unwrap_or(outermost)
    }
}

/// The token endpoint that got an assertion.
pub(super) struct TokenEndpoint<'a> {
    /// The URL at which the client reached the emulator, without a path.
    pub(super) base: &'a str,
    /// The tenant in the path, and its id.
    pub(super) tenant: [&'a str; 2],
}

impl TokenEndpoint<'_> {
    /// Whether an audience stands for this endpoint: one of its addresses at this emulator, whether the client reached it by http or,
    /// through a proxy, by https; the same address at Entra; or the tenant's issuer.
    fn is_meant_by(&self, audience: &str) -> bool {
        let Ok(url) = Url::parse(audience) else { return false };
        let Some((tenant, rest)) = url.path().trim_start_matches('/').split_once('/') else { return false };
        if url.query().is_some() || !self.tenant.iter().any(|known| known.eq_ignore_ascii_case(tenant)) {
            return false;
        }
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let here = self.base.split_once("://").is_some_and(|(_, host_here)| host_here.eq_ignore_ascii_case(host));
        match rest {
            "oauth2/v2.0/token" | "oauth2/token" | "v2.0" => here || LOGIN_HOSTS.contains(&host),
            "" => host == "sts.windows.net",
            _ => false,
        }
    }
}

/// A decoded JWT.
struct Assertion<'a> {
    header: Header,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

/// Checks that `assertion` proves to `endpoint` that the client is `app`.
pub(super) fn check(
    assertion: &str,
    app: &App,
    endpoint: &TokenEndpoint<'_>,
    now: Timestamp,
) -> Result<(), EntraError> {
    let assertion = decode(assertion).map_err(EntraError::MalformedAssertion)?;
    let claims = &assertion.claims;
    let own = claims.iss.eq_ignore_ascii_case(&app.client_id);
    if own || app.federated.is_empty() {
        check_own(&assertion, app, endpoint, now)?;
    } else {
        check_federated(&assertion, &app.federated)?;
    }
    let (from, until) = (claims.nbf.map(NumericDate::time), claims.exp.time());
    let not_yet = from.is_some_and(|from| now + MAX_CLOCK_SKEW < from);
    if not_yet || now - MAX_CLOCK_SKEW >= until {
        return Err(EntraError::AssertionNotValidNow { now, from, until });
    }
    Ok(())
}

fn check_own(
    assertion: &Assertion<'_>,
    app: &App,
    endpoint: &TokenEndpoint<'_>,
    now: Timestamp,
) -> Result<(), EntraError> {
    let Assertion { header, claims, .. } = assertion;
    let is_client = |name: &str| name.eq_ignore_ascii_case(&app.client_id);
    if !is_client(&claims.iss) || !is_client(&claims.sub) {
        return Err(EntraError::AssertionByAnotherApp);
    }
    if header.x5t.is_none() && header.x5t_s256.is_none() {
        return Err(EntraError::MalformedAssertion(
            "no certificate thumbprint is specified in the token header".to_owned(),
        ));
    }
    let fits = |certificate: &Certificate| {
        let is = |asked: &Option<String>, algorithm| {
            let thumbprint = digest::digest(algorithm, &certificate.der);
            asked.as_ref().is_none_or(|asked| asked.trim_end_matches('=') == URL_SAFE_NO_PAD.encode(thumbprint))
        };
        is(&header.x5t_s256, &digest::SHA256) && is(&header.x5t, &digest::SHA1_FOR_LEGACY_USE_ONLY)
    };
    let registered = app.certificates.iter().filter_map(|der| Certificate::from_der(der));
    let certificate = registered.into_iter().find(fits).ok_or(EntraError::BadSignature("The key was not found."))?;
    if now > certificate.not_after {
        return Err(EntraError::BadSignature("The key used is expired."));
    }
    check_signature(assertion, &certificate.public_key)?;
    if !is_for(&claims.aud, |audience| endpoint.is_meant_by(audience)) {
        return Err(EntraError::AssertionForAnotherAudience {
            audience: claims.aud.to_string(),
            endpoint: format!("{}/{}/oauth2/v2.0/token", endpoint.base, endpoint.tenant[0]),
        });
    }
    if claims.jti.as_ref().is_none_or(String::is_empty) {
        return Err(EntraError::MalformedAssertion("it has no jti".to_owned()));
    }
    Ok(())
}

/// Issuer, subject and audience must all match one credential, including case.
fn check_federated(assertion: &Assertion<'_>, credentials: &[FederatedCredential]) -> Result<(), EntraError> {
    let Claims { iss, sub, aud, .. } = &assertion.claims;
    let mut candidates: Vec<&FederatedCredential> = credentials.iter().filter(|known| known.issuer == *iss).collect();
    if candidates.is_empty() {
        return Err(EntraError::NoFederatedCredential(700_211, "issuer", iss.clone()));
    }
    candidates.retain(|known| known.subject == *sub);
    if candidates.is_empty() {
        return Err(EntraError::NoFederatedCredential(700_213, "subject", sub.clone()));
    }
    let credential = candidates.into_iter().find(|known| is_for(aud, |audience| audience == known.audience));
    let credential =
        credential.ok_or_else(|| EntraError::NoFederatedCredential(700_212, "audience", aud.to_string()))?;
    check_signature(assertion, &credential.public_key)
}

fn check_signature(assertion: &Assertion<'_>, public_key: &[u8]) -> Result<(), EntraError> {
    let algorithm = match &*assertion.header.alg {
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(EntraError::MalformedAssertion("its algorithm is neither PS256 nor RS256".to_owned())),
    };
    let public_key = certificate::public_key(public_key).unwrap_or_else(|| public_key.to_vec());
    signature::UnparsedPublicKey::new(algorithm, public_key)
        .verify(assertion.signed.as_bytes(), &assertion.signature)
        .map_err(|_| {
            EntraError::BadSignature("The provided signature value did not match the expected signature value.")
        })
}

/// Whether an audience fits. `aud` is one text or a list of texts.
fn is_for(aud: &Value, fits: impl Fn(&str) -> bool) -> bool {
    match aud {
        Value::String(one) => fits(one),
        Value::Array(several) => several.iter().filter_map(Value::as_str).any(fits),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// The parts of a JWT, or what is wrong with it.
fn decode(assertion: &str) -> Result<Assertion<'_>, String> {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err("it is not a JSON Web Token, which has three parts with dots between them".to_owned());
    };
    let bytes = |name: &str, part: &str| {
        URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| format!("its {name} is not base64url"))
    };
    Ok(Assertion {
        header: serde_json::from_slice(&bytes("header", header)?)
            .map_err(|error| format!("its header cannot be read: {error}"))?,
        claims: serde_json::from_slice(&bytes("payload", claims)?)
            .map_err(|error| format!("its claims cannot be read: {error}"))?,
        signed: &assertion[..header.len() + 1 + claims.len()],
        signature: bytes("signature", signature)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_the_endpoint_as_the_client_sees_it_or_entras_own() {
        let endpoint = TokenEndpoint { base: "http://localhost:8765", tenant: ["contoso.com", "the-id"] };
        for (audience, fits) in [
            ("http://localhost:8765/contoso.com/oauth2/v2.0/token", true),
            ("https://localhost:8765/contoso.com/oauth2/v2.0/token", true),
            ("http://LOCALHOST:8765/The-Id/v2.0", true),
            ("https://login.microsoftonline.com/the-id/oauth2/v2.0/token", true),
            ("https://login.microsoftonline.com/contoso.com/v2.0", true),
            ("https://login.microsoftonline.us/the-id/oauth2/token", true),
            ("https://sts.windows.net/the-id/", true),
            ("http://localhost:1/contoso.com/oauth2/v2.0/token", false),
            ("http://127.0.0.1:8765/contoso.com/oauth2/v2.0/token", false),
            ("https://login.microsoftonline.com/common/oauth2/v2.0/token", false),
            ("https://login.microsoftonline.com/fabrikam.com/oauth2/v2.0/token", false),
            ("https://login.example.com/the-id/oauth2/v2.0/token", false),
            ("https://login.microsoftonline.com/the-id/", false),
            ("http://localhost:8765/contoso.com/oauth2/v2.0/authorize", false),
            ("http://localhost:8765/contoso.com/oauth2/v2.0/token?a", false),
            ("contoso.com", false),
            ("", false),
        ] {
            assert_eq!(endpoint.is_meant_by(audience), fits, "{audience}");
        }
    }

    #[test]
    fn a_date_may_have_a_fraction_and_be_out_of_range() {
        assert_eq!(NumericDate(1_800_000_000.5).time().as_millisecond(), 1_800_000_000_500);
        assert_eq!(NumericDate(1e300).time(), Timestamp::MAX);
        assert_eq!(NumericDate(-1e300).time(), Timestamp::MIN);
    }
}
