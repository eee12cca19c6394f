//! Tokens for the application itself, with a certificate: its key signs a short-lived assertion (RFC 7523, 2.2).
//!
//! Source: Microsoft identity platform, "Microsoft identity platform application authentication certificate credentials".

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::{digest, rand, signature};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use uuid::Uuid;

use crate::config;
use crate::failure::{Failure, FailureKind};
use crate::time::Now;

use super::credential::Credential;
use super::token_service::{TokenService, Who};
use super::{Grant, client_credentials};

/// How far this machine's clock may be ahead or behind. An assertion is valid from SKEW before issue until SKEW after it:
/// together the 10 minutes that Entra's page allows at most. If it started *now*, as the page recommends, a service whose
/// clock is behind would reject it as not yet valid, and nobody documents how much it tolerates.
const SKEW: Duration = Duration::from_mins(5);

/// A new token.
pub(super) async fn ask(
    config: &config::Account,
    credential: &Credential,
    challenge: Option<&str>,
    now: &Now,
) -> Result<Grant, Failure> {
    let service = TokenService::new(config, Who::Application)?;
    let assertion = assertion(credential, &config.client_id, service.url("token").as_str(), now.wall, Uuid::new_v4())?;
    let proof = [client_credentials::JWT_BEARER, ("client_assertion", assertion.expose_secret())];
    client_credentials::ask(&service, config, &proof, challenge).await
}

/// The claims that the sender is `client_id`: only for `audience`, only once (`id`), around `now`.
fn assertion(
    credential: &Credential,
    client_id: &str,
    audience: &str,
    now: Timestamp,
    id: Uuid,
) -> Result<SecretString, Failure> {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let thumbprint = digest::digest(&digest::SHA256, &credential.certificate.der);
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": part(thumbprint.as_ref())});
    let begin = now.as_second() - SKEW.as_secs().cast_signed();
    let claims = json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": id.to_string(),
        "iat": begin,
        "nbf": begin,
        "exp": now.as_second() + SKEW.as_secs().cast_signed(),
    });
    let message = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()));
    let mut signed = vec![0; credential.key.public().modulus_len()];
    credential
        .key
        .sign(&signature::RSA_PSS_SHA256, &rand::SystemRandom::new(), message.as_bytes(), &mut signed)
        .map_err(|_| Failure::new(FailureKind::Refused, "the certificate's key cannot sign"))?;
    Ok(format!("{message}.{}", part(&signed)).into())
}

#[cfg(test)]
mod tests {
    use ring::rsa::KeyPair;
    use ring::signature::KeyPair as _;

    use super::*;
    use crate::certificate::{Certificate, pem};

    /// A worthless certificate for tests. Its thumbprint: `openssl x509 -outform DER | openssl dgst -sha256 -binary | base64 | tr +/ -_`.
    const CERTIFICATE: &str = include_str!("../../crates/presenced-core/testdata/certificate.pem");
    /// A worthless key for tests: `openssl genrsa 2048`.
    const KEY: &str = include_str!("../../crates/presenced-core/testdata/key.pem");
    const THUMBPRINT: &str = "FIkXMBZnQLFzbDbRW4cNFh2Y37uAdltQde3vYddCJTA";

    #[test]
    fn an_assertion_says_who_sends_it_to_whom_and_when() {
        let certificate = Certificate::from_der(&pem::blocks(CERTIFICATE).unwrap()[0].content).unwrap();
        let key = KeyPair::from_pkcs8(&pem::blocks(KEY).unwrap()[0].content).unwrap();
        let credential = Credential { certificate, key };
        let now = "2026-11-24T08:00:00.7Z".parse().unwrap();
        let id = Uuid::from_u128(7);
        let audience = "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token";
        let made = assertion(&credential, "22553876-f5ab-4529-bffb-cfe50aa89f87", audience, now, id).unwrap();

        let parts: Vec<&str> = made.expose_secret().split('.').collect();
        let [header, claims, signed] = parts[..] else { panic!("three parts in {parts:?}") };
        let text = |part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(text(header), format!(r#"{{"alg":"PS256","typ":"JWT","x5t#S256":"{THUMBPRINT}"}}"#));
        let begin = 1_795_507_200 - 300;
        assert_eq!(
            text(claims),
            format!(
                r#"{{"aud":"{audience}","exp":{},"iat":{begin},"iss":"22553876-f5ab-4529-bffb-cfe50aa89f87","jti":"00000000-0000-0000-0000-000000000007","nbf":{begin},"sub":"22553876-f5ab-4529-bffb-cfe50aa89f87"}}"#,
                begin + 600,
            )
        );
        let public = signature::UnparsedPublicKey::new(
            &signature::RSA_PSS_2048_8192_SHA256,
            credential.key.public_key().as_ref(),
        );
        let signed = URL_SAFE_NO_PAD.decode(signed).unwrap();
        assert_eq!(public.verify(format!("{header}.{claims}").as_bytes(), &signed), Ok(()));
    }
}
