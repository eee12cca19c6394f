//! Signs tokens with RS256, and publishes the key that verifies them.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};

use presenced_core::certificate::{Certificate, pem};

/// The same in every emulator: making an RSA key would slow down each test that starts one, and with one key the same seed gives the
/// same tokens. Everybody has this key, so its signatures prove nothing outside of tests.
const TEST_KEY: &str = include_str!("signing.pem");

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::read(TEST_KEY).expect("a test reads the test key"));

/// A key and its certificate.
struct SigningKey {
    pair: RsaKeyPair,
    certificate: Certificate,
    /// The thumbprint of the certificate, as Entra names its keys.
    id: String,
}

impl SigningKey {
    fn read(text: &str) -> Option<Self> {
        let blocks = pem::blocks(text).ok()?;
        let certificate = Certificate::all(&blocks)?.into_iter().next()?;
        let key = blocks.iter().find(|block| block.label == "PRIVATE KEY")?;
        let pair = RsaKeyPair::from_pkcs8(&key.content).ok()?;
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate.der));
        Some(Self { pair, certificate, id })
    }
}

/// A signed JWT with these claims.
pub(super) fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "typ": "JWT", "alg": "RS256", "kid": KEY.id, "x5t": KEY.id });
    let signed = format!("{}.{}", part(&header), part(claims));
    let mut signature = vec![0; KEY.pair.public().modulus_len()];
    KEY.pair
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .expect("a key of 2048 bits signs any message");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The public key as a JWK (RFC 7517) that verifies the tokens of `issuer`.
pub(super) fn jwk(issuer: &str) -> Value {
    let key = RsaPublicKeyComponents::<Vec<u8>>::from(KEY.pair.public_key());
    json!({
        "kty": "RSA",
        "use": "sig",
        "kid": KEY.id,
        "x5t": KEY.id,
        "n": URL_SAFE_NO_PAD.encode(key.n),
        "e": URL_SAFE_NO_PAD.encode(key.e),
        "x5c": [STANDARD.encode(&KEY.certificate.der)],
        "issuer": issuer,
    })
}

#[cfg(test)]
mod tests {
    use ring::signature::RSA_PKCS1_2048_8192_SHA256;

    use super::*;

    #[test]
    fn the_published_key_verifies_a_token() {
        let token = jwt(&json!({ "sub": "me" }));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let jwk = jwk("https://login.example");
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let key = RsaPublicKeyComponents { n: part("n"), e: part("e") };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).unwrap();
        key.verify(&RSA_PKCS1_2048_8192_SHA256, b"another message", &signature).unwrap_err();
    }
}
