//! Checks of a `client_assertion`: either the application's own, signed with a certificate registered for it, or one of another
//! identity provider that a federated credential allows.
//!
//! Source: Microsoft identity platform, "application authentication certificate credentials" and "Workload identity
//! federation"; RFC 7523, section 3. Inferred: that `jti` is required, the order of the checks, and the tolerance of 5 minutes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::{digest, signature};
use serde::Deserialize;
use serde_json::Value;

use super::error::EntraError;
use crate::options::{App, FederatedCredential};
use presenced_core::certificate::{self, Certificate};

/// How far the clock of the client or the issuer may be off.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

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
    exp: i64,
    nbf: Option<i64>,
    jti: Option<String>,
}

/// A decoded JWT.
struct Assertion<'a> {
    header: Header,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

/// Checks that `assertion` proves to the token endpoint `audience` that the client is `app`.
pub(super) fn check(assertion: &str, app: &App, audience: &str, now: Timestamp) -> Result<(), EntraError> {
    let assertion = decode(assertion).ok_or(EntraError::MalformedAssertion("it is not a JSON Web Token"))?;
    let claims = &assertion.claims;
    let own = claims.iss.eq_ignore_ascii_case(&app.client_id);
    if own || app.federated.is_empty() {
        check_own(&assertion, app, audience, now)?;
    } else {
        check_federated(&assertion, &app.federated)?;
    }
    let at = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let not_yet = claims.nbf.is_some_and(|nbf| now + MAX_CLOCK_SKEW < at(nbf));
    if not_yet || now >= at(claims.exp) + MAX_CLOCK_SKEW {
        return Err(EntraError::AssertionNotValidNow { now, from: claims.nbf.map(at), until: at(claims.exp) });
    }
    Ok(())
}

fn check_own(assertion: &Assertion<'_>, app: &App, audience: &str, now: Timestamp) -> Result<(), EntraError> {
    let Assertion { header, claims, .. } = assertion;
    let is_client = |name: &str| name.eq_ignore_ascii_case(&app.client_id);
    if !is_client(&claims.iss) || !is_client(&claims.sub) {
        return Err(EntraError::AssertionByAnotherApp);
    }
    if header.x5t.is_none() && header.x5t_s256.is_none() {
        return Err(EntraError::MalformedAssertion("no certificate thumbprint is specified in the token header"));
    }
    let fits = |certificate: &Certificate| {
        let is = |asked: &Option<String>, algorithm| {
            let thumbprint = digest::digest(algorithm, &certificate.der);
            asked.as_ref().is_none_or(|asked| *asked == URL_SAFE_NO_PAD.encode(thumbprint))
        };
        is(&header.x5t_s256, &digest::SHA256) && is(&header.x5t, &digest::SHA1_FOR_LEGACY_USE_ONLY)
    };
    let registered = app.certificates.iter().filter_map(|der| Certificate::from_der(der));
    let certificate = registered.into_iter().find(fits).ok_or(EntraError::BadSignature("The key was not found."))?;
    if now > certificate.not_after {
        return Err(EntraError::BadSignature("The key used is expired."));
    }
    check_signature(assertion, &certificate.public_key)?;
    if !is_for(&claims.aud, audience) {
        return Err(EntraError::AssertionForAnotherAudience);
    }
    if claims.jti.as_ref().is_none_or(String::is_empty) {
        return Err(EntraError::MalformedAssertion("it has no jti"));
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
    let credential = candidates.into_iter().find(|known| is_for(aud, &known.audience));
    let credential =
        credential.ok_or_else(|| EntraError::NoFederatedCredential(700_212, "audience", aud.to_string()))?;
    check_signature(assertion, &credential.public_key)
}

fn check_signature(assertion: &Assertion<'_>, public_key: &[u8]) -> Result<(), EntraError> {
    let algorithm = match &*assertion.header.alg {
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(EntraError::MalformedAssertion("its algorithm is neither PS256 nor RS256")),
    };
    let public_key = certificate::public_key(public_key).unwrap_or_else(|| public_key.to_vec());
    signature::UnparsedPublicKey::new(algorithm, public_key)
        .verify(assertion.signed.as_bytes(), &assertion.signature)
        .map_err(|_| {
            EntraError::BadSignature("The provided signature value did not match the expected signature value.")
        })
}

/// `aud` is one text or a list of texts.
fn is_for(aud: &Value, audience: &str) -> bool {
    match aud {
        Value::String(one) => one == audience,
        Value::Array(several) => several.iter().any(|one| one == audience),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn decode(assertion: &str) -> Option<Assertion<'_>> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let from_base64 = |part| URL_SAFE_NO_PAD.decode(part).ok();
    Some(Assertion {
        header: serde_json::from_slice(&from_base64(header)?).ok()?,
        claims: serde_json::from_slice(&from_base64(claims)?).ok()?,
        signed,
        signature: from_base64(signature)?,
    })
}
