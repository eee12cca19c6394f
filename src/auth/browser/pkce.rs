//! The secrets of one attempt: unguessable texts, and the proof of possession (RFC 7636) that makes a code worthless to
//! anyone else who sees it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom as _;
use ring::{digest, rand};
use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::{Failure, FailureKind};

/// 256 bits from the system's generator, as 43 letters, digits, `-` and `_`: a `code_verifier` (RFC 7636, 4.1), or a `state`.
///
/// # Errors
/// [`FailureKind::Refused`] if the system has none.
pub(super) fn random() -> Result<SecretString, Failure> {
    let mut bytes = [0; 32];
    rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failure::new(FailureKind::Refused, "this system has no random numbers for the sign-in"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

/// The `code_challenge` for a verifier with the method `S256` (RFC 7636, 4.2).
pub(super) fn challenge(verifier: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.expose_secret().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn a_challenge_is_that_of_the_standard() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn each_secret_is_new_and_a_valid_verifier() {
        let secrets: Vec<_> =
            std::iter::repeat_with(|| random().unwrap().expose_secret().to_owned()).take(100).collect();
        for (i, secret) in secrets.iter().enumerate() {
            assert!(secret.len() == 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            assert!(!secrets[..i].contains(secret));
        }
    }
}
