//! The blocks of a PEM file (RFC 7468), with whatever stands between them, as openssl writes it, passed over.
//!
//! A reader of our own, since a key must leave nothing behind in memory: every buffer is wiped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block.
pub struct Block {
    /// What it is called: `CERTIFICATE`, `PRIVATE KEY`.
    pub label: String,
    /// What it holds; empty when that is encrypted.
    pub content: Zeroizing<Vec<u8>>,
    /// Whether it takes a passphrase to read it.
    pub is_encrypted: bool,
}

/// Why a text is no PEM.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A block that does not end.
    #[error("its `{0}` does not end")]
    NoEnd(String),
    /// A block that holds something else than base64.
    #[error("its `{0}` is damaged")]
    NoBase64(String),
}

/// The blocks of `text`, in their order. None at all is no error.
pub fn blocks(text: &str) -> Result<Vec<Block>, Malformed> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // Editors of Windows put a byte order mark first.
        let line = line.trim_start_matches('\u{feff}').trim_end();
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let end = format!("-----END {label}-----");
        // No longer than the text, so that it never moves and leaves a copy.
        let mut encoded = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut is_encrypted = label == "ENCRYPTED PRIVATE KEY";
        loop {
            let line = lines.next().ok_or_else(|| Malformed::NoEnd(shown(label)))?.trim();
            if line == end {
                break;
            }
            // The headers of before RFC 7468 (RFC 1421): `Proc-Type: 4,ENCRYPTED`.
            if line.contains(':') {
                is_encrypted |= line.contains("ENCRYPTED");
            } else {
                encoded.extend_from_slice(line.as_bytes());
            }
        }
        let mut content = Zeroizing::new(Vec::new());
        if !is_encrypted {
            content.resize(encoded.len(), 0);
            let length =
                STANDARD.decode_slice(&encoded[..], &mut content).map_err(|_| Malformed::NoBase64(shown(label)))?;
            content.truncate(length);
        }
        blocks.push(Block { label: label.to_owned(), content, is_encrypted });
    }
    Ok(blocks)
}

/// A label, fit for a message: whatever a file holds, it may be a secret in the wrong place.
fn shown(label: &str) -> String {
    let is_label =
        label.len() <= 40 && label.bytes().all(|byte| byte.is_ascii_uppercase() || b" 0123456789".contains(&byte));
    if is_label { label.to_owned() } else { "first block".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, Vec<u8>, bool)>, Malformed> {
        let blocks = blocks(text)?;
        Ok(blocks.into_iter().map(|block| (block.label, block.content.to_vec(), block.is_encrypted)).collect())
    }

    #[test]
    fn blocks_are_found_among_whatever_else_there_is() {
        let text = "Bag Attributes\n  friendlyName: x\n-----BEGIN A B-----  \r\naGVs\r\n bG8=\r\n-----END A B-----\r\n\r\n\
                    -----BEGIN C-----\n-----END C-----\n-----BEGIN";
        let expected = [("A B".to_owned(), b"hello".to_vec(), false), ("C".to_owned(), Vec::new(), false)];
        assert_eq!(read(text), Ok(expected.to_vec()));
        assert_eq!(read("no block"), Ok(Vec::new()));
        assert_eq!(read("\u{feff}-----BEGIN C-----\n-----END C-----"), Ok(expected[1..].to_vec()));
    }

    #[test]
    fn encrypted_ones_are_told_apart_in_both_their_forms() {
        for text in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\naGVsbG8=\n\
             -----END RSA PRIVATE KEY-----",
        ] {
            let blocks = read(text).unwrap();
            assert_eq!((&blocks[0].1, blocks[0].2), (&Vec::new(), true), "{text}");
        }
    }

    #[test]
    fn damage_is_told_without_what_is_damaged() {
        assert_eq!(read("-----BEGIN A-----\naGVsbG8="), Err(Malformed::NoEnd("A".to_owned())));
        assert_eq!(read("-----BEGIN A-----\na%\n-----END A-----"), Err(Malformed::NoBase64("A".to_owned())));
        assert_eq!(read("-----BEGIN hunter2-----\n"), Err(Malformed::NoEnd("first block".to_owned())));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_or_refused(text in "(-----BEGIN |-----END |A|-----|\n|aGVs|=|:|\\PC){0,30}") {
            let _ = blocks(&text);
        }
    }
}
