//! Makes X.509 certificates (RFC 5280) with keys on P-256. They satisfy OpenSSL's strict mode, which is the default of Python 3.13.
//!
//! Written by hand because there is little to write, and `rcgen` needs a second time crate.

use std::io;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::der::{TRUE, bits, object_id, octets, sequence, value};
use crate::host::Host;

/// 1.2.840.10045.4.3.2, `ecdsa-with-SHA256`.
const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// 1.2.840.10045.2.1, `id-ecPublicKey`.
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7, `secp256r1`.
const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 2.5.4.3, `id-at-commonName`.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// 1.3.6.1.5.5.7.3.1, `id-kp-serverAuth`.
const SERVER_AUTH: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// The last byte of an extension's identifier, which begins with 2.5.29.
const SUBJECT_KEY_ID: u8 = 14;
const KEY_USAGE: u8 = 15;
const SUBJECT_ALT_NAME: u8 = 17;
const BASIC_CONSTRAINTS: u8 = 19;
const AUTHORITY_KEY_ID: u8 = 35;
const EXTENDED_KEY_USAGE: u8 = 37;

/// A certificate is valid from this long before it is made, because clocks differ.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// A key pair, and the same in PKCS#8.
pub(super) struct Key {
    pair: EcdsaKeyPair,
    pub(super) pkcs8: Vec<u8>,
}

impl Key {
    pub(super) fn generate() -> io::Result<Self> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.map_err(|_| no_random_numbers())?.as_ref().to_vec();
        Self::from_pkcs8(pkcs8).ok_or_else(no_random_numbers)
    }

    pub(super) fn from_pkcs8(pkcs8: Vec<u8>) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new()).ok()?;
        Some(Self { pair, pkcs8 })
    }

    /// The public key, as a point that is not compressed.
    pub(super) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The identifier of the key (RFC 7093, 2, method 1).
    fn id(&self) -> Vec<u8> {
        digest(&SHA256, self.public()).as_ref()[..20].to_vec()
    }
}

/// The CA's own certificate.
pub(super) fn authority(key: &Key, name: &str, now: Timestamp, lifetime: SignedDuration) -> io::Result<Vec<u8>> {
    let extensions = [
        // It signs servers, not other CAs.
        extension(BASIC_CONSTRAINTS, true, &sequence(&[&TRUE, &value(0x02, &[0])])),
        // keyCertSign and cRLSign.
        extension(KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x06]),
        extension(SUBJECT_KEY_ID, false, &octets(&key.id())),
    ];
    signed(key, name, key, name, now, lifetime, &extensions.concat())
}

/// The certificate of a server with `key` and these names, signed by the CA with the key `by` and the name `issuer`.
pub(super) fn server(
    key: &Key,
    names: &[Host],
    by: &Key,
    issuer: &str,
    now: Timestamp,
    lifetime: SignedDuration,
) -> io::Result<Vec<u8>> {
    let names: Vec<u8> = names.iter().flat_map(general_name).collect();
    let extensions = [
        extension(BASIC_CONSTRAINTS, true, &sequence(&[])),
        // digitalSignature.
        extension(KEY_USAGE, true, &[0x03, 0x02, 0x07, 0x80]),
        extension(EXTENDED_KEY_USAGE, false, &sequence(&[&object_id(&SERVER_AUTH)])),
        extension(SUBJECT_KEY_ID, false, &octets(&key.id())),
        extension(AUTHORITY_KEY_ID, false, &sequence(&[&value(0x80, &by.id())])),
        extension(SUBJECT_ALT_NAME, false, &sequence(&[&names])),
    ];
    signed(by, issuer, key, "presenced emulator", now, lifetime, &extensions.concat())
}

fn signed(
    by: &Key,
    issuer: &str,
    key: &Key,
    subject: &str,
    now: Timestamp,
    lifetime: SignedDuration,
    extensions: &[u8],
) -> io::Result<Vec<u8>> {
    let random = SystemRandom::new();
    let mut serial = [0; 16];
    random.fill(&mut serial).map_err(|_| no_random_numbers())?;
    // Positive, and without a zero in front.
    serial[0] = serial[0] & 0x3f | 0x40;
    let algorithm = sequence(&[&object_id(&ECDSA_WITH_SHA256)]);
    let to_be_signed = sequence(&[
        // Version 3.
        &value(0xa0, &value(0x02, &[2])),
        &value(0x02, &serial),
        &algorithm,
        &name(issuer),
        &sequence(&[&time(now - MAX_CLOCK_SKEW), &time(now + lifetime)]),
        &name(subject),
        &sequence(&[&sequence(&[&object_id(&EC_PUBLIC_KEY), &object_id(&P256)]), &bits(key.public())]),
        &value(0xa3, &sequence(&[extensions])),
    ]);
    let signature = by.pair.sign(&random, &to_be_signed).map_err(|_| no_random_numbers())?;
    Ok(sequence(&[&to_be_signed, &algorithm, &bits(signature.as_ref())]))
}

fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&object_id(&COMMON_NAME), &value(0x0c, common_name.as_bytes())]);
    sequence(&[&value(0x31, &attribute)])
}

/// `UTCTime` until 2049, then `GeneralizedTime` (RFC 5280, 4.1.2.5).
fn time(at: Timestamp) -> Vec<u8> {
    let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
    if text.as_str() < "2050" { value(0x17, &text.as_bytes()[2..]) } else { value(0x18, text.as_bytes()) }
}

fn extension(id: u8, is_critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &TRUE } else { &[] };
    sequence(&[&object_id(&[0x55, 0x1d, id]), critical, &octets(content)])
}

fn general_name(host: &Host) -> Vec<u8> {
    match host {
        Host::Name(name) => value(0x82, name.as_bytes()),
        Host::Address(IpAddr::V4(address)) => value(0x87, &address.octets()),
        Host::Address(IpAddr::V6(address)) => value(0x87, &address.octets()),
    }
}

fn no_random_numbers() -> io::Error {
    io::Error::other("this machine has no random numbers")
}
