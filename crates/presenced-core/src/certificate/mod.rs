//! Certificates in files: PEM (RFC 7468), and the parts of X.509 (RFC 5280) that are needed to sign in with one.
//!
//! Bytes in, values out. Leaves to others: signing, and verifying chains and signatures.

use der::asn1::{BitStringRef, GeneralizedTime, UtcTime};
use der::{Reader as _, SliceReader, Tag};
use jiff::Timestamp;

pub mod pem;

/// An X.509 certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The whole certificate in DER, the input for thumbprints.
    pub der: Vec<u8>,
    /// The start of its validity.
    pub not_before: Timestamp,
    /// The end of its validity. [`Timestamp::MAX`] if it never expires.
    pub not_after: Timestamp,
    /// Its public key. For an RSA key, this is the `RSAPublicKey` of RFC 8017 in DER.
    pub public_key: Vec<u8>,
}

impl Certificate {
    /// Reads a certificate; `None` if `der` is not a certificate.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        read(der).ok()
    }

    /// The certificates in `blocks`, in the same order. `None` if a block with the label `CERTIFICATE` is not one.
    pub fn all(blocks: &[pem::Block]) -> Option<Vec<Self>> {
        blocks.iter().filter(|block| block.label == "CERTIFICATE").map(|block| Self::from_der(&block.content)).collect()
    }
}

/// Walks through the fields in the order of RFC 5280, 4.1, and takes the ones that are needed.
fn read(der: &[u8]) -> der::Result<Certificate> {
    let mut reader = SliceReader::new(der)?;
    let certificate = reader.sequence(|certificate| -> der::Result<_> {
        let found = certificate.sequence(|to_be_signed| -> der::Result<_> {
            if Tag::peek(to_be_signed)?.is_context_specific() {
                to_be_signed.tlv_bytes()?; // version
            }
            for _ in ["serialNumber", "signature", "issuer"] {
                to_be_signed.tlv_bytes()?;
            }
            let (not_before, not_after) =
                to_be_signed.sequence(|validity| -> der::Result<_> { Ok((time(validity)?, time(validity)?)) })?;
            to_be_signed.tlv_bytes()?; // subject
            let public_key = to_be_signed.sequence(public_key_info)?;
            while !to_be_signed.is_finished() {
                to_be_signed.tlv_bytes()?;
            }
            Ok(Certificate { der: der.to_vec(), not_before, not_after, public_key })
        })?;
        for _ in ["signatureAlgorithm", "signatureValue"] {
            certificate.tlv_bytes()?;
        }
        Ok(found)
    })?;
    reader.finish()?;
    Ok(certificate)
}

/// A certificate without an end has the last second of the year 9999 here (RFC 5280, 4.1.2.5), later than any timestamp.
fn time(reader: &mut SliceReader<'_>) -> der::Result<Timestamp> {
    let since_1970 = if Tag::peek(reader)? == Tag::UtcTime {
        reader.decode::<UtcTime>()?.to_unix_duration()
    } else {
        reader.decode::<GeneralizedTime>()?.to_unix_duration()
    };
    Ok(Timestamp::UNIX_EPOCH.checked_add(since_1970).unwrap_or(Timestamp::MAX))
}

/// The key in a `SubjectPublicKeyInfo` (RFC 5280, 4.1); `None` if `der` is not one. For an RSA key, this is its `RSAPublicKey`.
pub fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(der).ok()?;
    let key = reader.sequence(public_key_info).ok()?;
    reader.finish().ok()?;
    Some(key)
}

fn public_key_info(info: &mut SliceReader<'_>) -> der::Result<Vec<u8>> {
    info.tlv_bytes()?; // algorithm
    Ok(info.decode::<BitStringRef<'_>>()?.raw_bytes().to_vec())
}

/// Whether a private key in PKCS#8 (RFC 5958) is an RSA key; `None` if `pkcs8` is not a key.
pub fn is_rsa(pkcs8: &[u8]) -> Option<bool> {
    /// `rsaEncryption`, 1.2.840.113549.1.1.1, in DER.
    const RSA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let algorithm = SliceReader::new(pkcs8).ok()?.sequence(|key| -> der::Result<_> {
        key.tlv_bytes()?; // version
        let algorithm = key.sequence(|algorithm| -> der::Result<_> {
            let id = algorithm.tlv_bytes()?;
            while !algorithm.is_finished() {
                algorithm.tlv_bytes()?;
            }
            Ok(id)
        })?;
        while !key.is_finished() {
            key.tlv_bytes()?;
        }
        Ok(algorithm)
    });
    Some(algorithm.ok()? == RSA)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A test certificate whose key does not exist any more.
    const CERTIFICATE: &str = include_str!("../../testdata/certificate.pem");

    fn der() -> Vec<u8> {
        pem::blocks(CERTIFICATE).unwrap()[0].content.to_vec()
    }

    #[test]
    fn the_fields_that_signing_in_needs_are_read() {
        let certificate = Certificate::from_der(&der()).unwrap();
        assert_eq!(certificate.not_before.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(certificate.not_after, Timestamp::MAX, "no end: 99991231235959Z");
        // An RSAPublicKey of 2048 bits: a SEQUENCE with the INTEGERs n and e.
        assert_eq!((certificate.public_key.len(), &certificate.public_key[..4]), (270, &[0x30, 0x82, 0x01, 0x0a][..]));
    }

    #[test]
    fn a_key_is_taken_out_of_its_wrapper() {
        let key = Certificate::from_der(&der()).unwrap().public_key;
        // `openssl x509 -pubkey -noout`: a SEQUENCE of rsaEncryption with NULL, and a BIT STRING.
        let head = [0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        let wrapped = [&head[..], &[0x03, 0x82, 0x01, 0x0f, 0x00], &key].concat();
        assert_eq!(public_key(&wrapped), Some(key.clone()));
        assert_eq!(public_key(&key), None, "it is not wrapped");
        assert_eq!(public_key(&[&wrapped[..], &[0]].concat()), None);
    }

    #[test]
    fn a_certificate_that_is_cut_or_followed_by_a_byte_is_rejected() {
        let der = der();
        for end in 0..der.len() {
            assert_eq!(Certificate::from_der(&der[..end]), None, "{end}");
        }
        assert_eq!(Certificate::from_der(&[&der[..], &[0]].concat()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_changed_byte_does_no_harm(at in 0_usize..1_000, byte: u8) {
            let mut der = der();
            let at = at % der.len();
            der[at] = byte;
            let _ = (Certificate::from_der(&der), is_rsa(&der));
        }
    }
}
