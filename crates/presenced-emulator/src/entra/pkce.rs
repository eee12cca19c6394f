//! Proof Key for Code Exchange: whoever redeems a code must know the verifier whose challenge came with the request for the code.
//!
//! Source: RFC 7636, and Entra's page on the authorization code flow: native and web applications may leave it out, and without a
//! method, the challenge is plain. Inferred: that a verifier without a challenge is refused.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use super::error::{CodeError, EntraError};

/// The length of a challenge with S256: 32 bytes in base64url.
const S256_CHARS: usize = 43;

/// The lengths of a plain challenge, which is the verifier itself.
const PLAIN_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// The challenge of a request for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    None,
    Plain(String),
    S256(String),
}

impl Challenge {
    /// The challenge in the query of a request.
    pub(super) fn of(query: &HashMap<String, String>) -> Result<Self, EntraError> {
        let (method, challenge) = (query.get("code_challenge_method"), query.get("code_challenge"));
        let (challenge, is_sized) = match (method.map(String::as_str), challenge) {
            (None, None) => return Ok(Self::None),
            (Some("S256" | "plain"), None) => return Err(EntraError::Missing("code_challenge")),
            (Some("S256"), Some(text)) => (Self::S256(text.clone()), text.len() == S256_CHARS),
            (Some("plain") | None, Some(text)) => (Self::Plain(text.clone()), PLAIN_CHARS.contains(&text.len())),
            (Some(_), _) => return Err(CodeError::ChallengeMethod.into()),
        };
        if is_sized { Ok(challenge) } else { Err(CodeError::ChallengeSize.into()) }
    }

    /// Checks the verifier that came with the code.
    pub(super) fn check(&self, verifier: Option<&str>) -> Result<(), EntraError> {
        let matches = match (self, verifier.filter(|verifier| !verifier.is_empty())) {
            (Self::None, verifier) => verifier.is_none(),
            (_, None) => return Err(CodeError::NoVerifier.into()),
            (Self::Plain(expected), Some(verifier)) => verifier == expected,
            (Self::S256(expected), Some(verifier)) => {
                URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == *expected
            }
        };
        if matches { Ok(()) } else { Err(CodeError::WrongVerifier.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn challenge(method: Option<&str>, challenge: Option<&str>) -> Result<Challenge, EntraError> {
        let pairs = [("code_challenge_method", method), ("code_challenge", challenge)];
        let query = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        Challenge::of(&query.collect())
    }

    #[test]
    fn a_verifier_fits_its_challenge_and_no_other() {
        for (method, text, verifier) in [
            (Some("S256"), Some(CHALLENGE), Some(VERIFIER)),
            (Some("plain"), Some(VERIFIER), Some(VERIFIER)),
            (None, Some(VERIFIER), Some(VERIFIER)),
            (None, None, None),
        ] {
            let challenge = challenge(method, text).unwrap();
            challenge.check(verifier).unwrap();
            assert_eq!(challenge.check(Some("another")), Err(CodeError::WrongVerifier.into()), "{challenge:?}");
            if text.is_some() {
                assert_eq!(challenge.check(None), Err(CodeError::NoVerifier.into()));
                assert_eq!(challenge.check(Some("")), Err(CodeError::NoVerifier.into()));
            }
        }
    }

    #[test]
    fn a_challenge_has_a_known_method_and_a_length() {
        for (method, text, expected) in [
            (Some("S256"), None, EntraError::Missing("code_challenge")),
            (Some("S512"), Some(CHALLENGE), CodeError::ChallengeMethod.into()),
            (Some("s256"), Some(CHALLENGE), CodeError::ChallengeMethod.into()),
            (Some("S256"), Some("short"), CodeError::ChallengeSize.into()),
            (None, Some("short"), CodeError::ChallengeSize.into()),
        ] {
            assert_eq!(challenge(method, text), Err(expected));
        }
    }
}
