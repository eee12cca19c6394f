//! How an application proves at the token endpoint which one it is: with a secret, in the form or by HTTP Basic, or with an
//! assertion. Whether it must is left to the grant.
//!
//! Source: RFC 6749 section 2.3.1, RFC 7521 section 4.2, and Entra's OpenID configuration (`client_secret_basic`). Inferred: the
//! errors for a malformed `Authorization` header, and for two proofs in one request.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::assertion::{self, TokenEndpoint};
use super::error::EntraError;
use super::field;
use crate::message::Request;
use crate::options::App;
use presenced_core::time::Now;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Adds the application and the secret of a Basic `Authorization` header to the form.
pub(super) fn take_basic(request: &Request, form: &mut HashMap<String, String>) -> Result<(), EntraError> {
    let Some(header) = request.headers.get("authorization") else { return Ok(()) };
    let credentials = header.to_str().ok().and_then(basic).ok_or(EntraError::MalformedBasic)?;
    if form.contains_key("client_secret") || form.contains_key("client_assertion") {
        return Err(EntraError::TwoProofs);
    }
    let (client_id, secret) = credentials;
    if form.get("client_id").is_some_and(|named| !named.eq_ignore_ascii_case(&client_id)) {
        return Err(EntraError::TwoApps);
    }
    form.insert("client_id".to_owned(), client_id);
    form.insert("client_secret".to_owned(), secret);
    Ok(())
}

/// The name and the password of a Basic header. Both are form-encoded inside.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    let decoded = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8().ok().map(String::from);
    Some((decoded(name)?, decoded(password)?))
}

/// Refuses a wrong secret or assertion.
pub(super) fn check(
    app: &App,
    form: &HashMap<String, String>,
    endpoint: &TokenEndpoint<'_>,
    now: &Now,
) -> Result<(), EntraError> {
    if form.get("client_secret").is_some_and(|secret| app.secret.as_ref() != Some(secret)) {
        return Err(EntraError::WrongSecret(app.client_id.clone()));
    }
    let Some(assertion) = form.get("client_assertion") else { return Ok(()) };
    check_type(form)?;
    assertion::check(assertion, app, endpoint, now.wall)
}

/// Refuses an assertion of another type than JWT.
pub(super) fn check_type(form: &HashMap<String, String>) -> Result<(), EntraError> {
    if field(form, "client_assertion_type")? == JWT_BEARER { Ok(()) } else { Err(EntraError::UnknownAssertionType) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_header_has_a_form_encoded_name_and_password() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let expected = Some(("me".to_owned(), "a b:c%".to_owned()));
        assert_eq!(basic(&header("me:a+b:c%25")), expected);
        assert_eq!(basic(&header("me:a%20b%3Ac%25").replace("Basic", "basic")), expected);
        for wrong in [&*header("no colon"), "Basic !", "Bearer abc", "Basic", &header("%ff:a")] {
            assert_eq!(basic(wrong), None, "{wrong}");
        }
    }
}
