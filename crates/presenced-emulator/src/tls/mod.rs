//! TLS: a certificate authority of its own, and what a server needs to speak TLS with a certificate of that authority.
//!
//! Bytes in, bytes out. Leaves to others: the file of the authority, and the sockets.

mod certificate;
mod der;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use presenced_core::certificate::{Certificate, pem};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use self::certificate::Key;
use super::host::Host;

/// The name of each authority. Their keys tell them apart.
const AUTHORITY_NAME: &str = "presenced emulator CA";

/// How long a server's certificate is valid. Apple accepts no more than 398 days.
const SERVER_LIFETIME: SignedDuration = SignedDuration::from_hours(397 * 24);

/// How long an authority is valid.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// A certificate authority. Clients that trust its [certificate](Self::certificate_pem) accept the emulator's https.
pub struct Authority {
    certificate: Certificate,
    key: Key,
}

/// Why a text is not an [`Authority`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityError(String);

impl fmt::Display for AuthorityError {
    /// As a clause about the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AuthorityError {}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("until", &self.certificate.not_after).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one, valid for ten years.
    ///
    /// # Errors
    /// The machine gives no random numbers.
    pub fn new(now: Timestamp) -> io::Result<Self> {
        let key = Key::generate()?;
        let der = certificate::authority(&key, AUTHORITY_NAME, now, AUTHORITY_LIFETIME)?;
        let certificate = Certificate::from_der(&der).ok_or_else(|| io::Error::other("the CA cannot be encoded"))?;
        Ok(Self { certificate, key })
    }

    /// Reads what [`to_pem`](Self::to_pem) wrote.
    ///
    /// # Errors
    /// The text is damaged, or not from there.
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let wrong = |why: &str| AuthorityError(why.to_owned());
        let blocks = pem::blocks(text).map_err(|error| AuthorityError(error.to_string()))?;
        let certificates = Certificate::all(&blocks).ok_or_else(|| wrong("its certificate is damaged"))?;
        let certificate = certificates.into_iter().next().ok_or_else(|| wrong("it has no certificate"))?;
        let key =
            blocks.iter().find(|block| block.label == "PRIVATE KEY").ok_or_else(|| wrong("it has no private key"))?;
        let key = Key::from_pkcs8(key.content.to_vec()).ok_or_else(|| wrong("its private key is damaged"))?;
        if key.public() != certificate.public_key {
            return Err(wrong("its private key does not belong to its certificate"));
        }
        Ok(Self { certificate, key })
    }

    /// The certificate and the private key in PEM. Only the owner of the key may see it.
    pub fn to_pem(&self) -> String {
        format!("{}{}", self.certificate_pem(), armored("PRIVATE KEY", &self.key.pkcs8))
    }

    /// The certificate in PEM, for the clients.
    pub fn certificate_pem(&self) -> String {
        armored("CERTIFICATE", &self.certificate.der)
    }

    /// Whether a new one is needed: this one would expire before a certificate that it signs now, or is not valid yet.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now + SERVER_LIFETIME > self.certificate.not_after || now < self.certificate.not_before
    }

    /// What a server needs to speak TLS: a new key, with a certificate for `localhost`, 127.0.0.1, `::1` and `hosts`.
    ///
    /// # Errors
    /// The machine gives no random numbers.
    pub fn tls(&self, hosts: &[Host], now: Timestamp) -> io::Result<Tls> {
        let local = [
            Host::Name("localhost".to_owned()),
            Host::Address(Ipv4Addr::LOCALHOST.into()),
            Host::Address(Ipv6Addr::LOCALHOST.into()),
        ];
        let names: Vec<Host> = local.into_iter().chain(hosts.iter().cloned()).collect();
        let key = Key::generate()?;
        let der = certificate::server(&key, &names, &self.key, AUTHORITY_NAME, now, SERVER_LIFETIME)?;
        let chain = vec![CertificateDer::from(der)];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.pkcs8));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem: self.certificate_pem() })
    }
}

/// What a server needs to speak TLS; [`Authority::tls`] makes one.
#[derive(Clone)]
pub struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// The certificate of the authority, for the clients.
    pub(super) ca_pem: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// A block of PEM (RFC 7468), with lines of 64 columns.
fn armored(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_authority_is_the_same_after_it_was_written() {
        let authority = Authority::new(now()).unwrap();
        let read = Authority::from_pem(&authority.to_pem()).unwrap();
        assert_eq!(read.certificate, authority.certificate);
        assert_eq!(read.key.pkcs8, authority.key.pkcs8);
        assert!(!authority.certificate_pem().contains("PRIVATE"));
    }

    #[test]
    fn an_authority_is_renewed_before_what_it_signs_would_outlive_it() {
        let authority = Authority::new(now()).unwrap();
        let end = now() + AUTHORITY_LIFETIME;
        assert_eq!(authority.certificate.not_after, end);
        let second = SignedDuration::from_secs(1);
        for (at, is_due) in [
            (now(), false),
            (end - SERVER_LIFETIME, false),
            (end - SERVER_LIFETIME + second, true),
            (end + second, true),
            (now() - SignedDuration::from_hours(24), false),
            (now() - SignedDuration::from_hours(24) - second, true),
        ] {
            assert_eq!(authority.is_due(at), is_due, "{at}");
        }
    }

    #[test]
    fn a_damaged_authority_says_what_is_damaged() {
        let pem = Authority::new(now()).unwrap().to_pem();
        let other = Authority::new(now()).unwrap();
        let (certificate, key) = pem.split_once("-----BEGIN PRIVATE").unwrap();
        let key = format!("-----BEGIN PRIVATE{key}");
        let cases = [
            (String::new(), "it has no certificate"),
            (certificate.to_owned(), "it has no private key"),
            (key.clone(), "it has no certificate"),
            (other.certificate_pem() + &key, "its private key does not belong to its certificate"),
            (pem[..pem.len() - 5].to_owned(), "its `PRIVATE KEY` does not end"),
            (
                pem.replacen("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAAAA", 1),
                "its certificate is damaged",
            ),
            (key.replacen("KEY-----\n", "KEY-----\nAAAA", 1) + certificate, "its private key is damaged"),
        ];
        for (text, why) in cases {
            assert_eq!(Authority::from_pem(&text).unwrap_err().to_string(), why);
        }
    }
}
