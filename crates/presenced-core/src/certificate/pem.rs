//! The blocks of a PEM file (RFC 7468). Text between the blocks, which openssl writes, is skipped.
//!
//! presenced has its own reader because a private key must not stay behind in memory: every buffer is wiped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block.
pub struct Block {
    /// Its label: `CERTIFICATE`, `PRIVATE KEY`.
    pub label: String,
    /// Its decoded content; empty if the block is encrypted.
    pub content: Zeroizing<Vec<u8>>,
    /// Whether reading it takes a passphrase.
    pub is_encrypted: bool,
}

/// Why a text is not valid PEM. The `String` is the block's label.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A block has no `END` line.
    #[error("its `{0}` does not end")]
    Unterminated(String),
    /// A block contains something other than base64.
    #[error("its `{0}` is damaged")]
    NotBase64(String),
}

/// The blocks of `text`, in order. A text without blocks is not an error.
pub fn blocks(text: &str) -> Result<Vec<Block>, Malformed> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // Windows editors put a byte order mark first.
        let line = line.trim_start_matches('\u{feff}').trim_end();
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let end = format!("-----END {label}-----");
        // It never needs more room than the text. Growing it would leave a copy of the key in memory.
        let mut encoded = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut is_encrypted = label == "ENCRYPTED PRIVATE KEY";
        loop {
            let line = lines.next().ok_or_else(|| Malformed::Unterminated(shown(label)))?.trim();
            if line == end {
                break;
            }
            // Headers of the older format (RFC 1421): `Proc-Type: 4,ENCRYPTED`.
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
                STANDARD.decode_slice(&encoded[..], &mut content).map_err(|_| Malformed::NotBase64(shown(label)))?;
            content.truncate(length);
        }
        blocks.push(Block { label: label.to_owned(), content, is_encrypted });
    }
    Ok(blocks)
}

/// A label that is safe to show. Any other text in its place may be a misplaced secret, and is not shown.
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
    fn blocks_are_found_among_other_text() {
        let text = "Bag Attributes\n  friendlyName: x\n-----BEGIN A B-----  \r\naGVs\r\n bG8=\r\n-----END A B-----\r\n\r\n\
                    -----BEGIN C-----\n-----END C-----\n-----BEGIN";
        let expected = [("A B".to_owned(), b"hello".to_vec(), false), ("C".to_owned(), Vec::new(), false)];
        assert_eq!(read(text), Ok(expected.to_vec()));
        assert_eq!(read("no block"), Ok(Vec::new()));
        assert_eq!(read("\u{feff}-----BEGIN C-----\n-----END C-----"), Ok(expected[1..].to_vec()));
    }

    #[test]
    fn both_kinds_of_encrypted_block_are_recognized() {
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
    fn errors_do_not_quote_the_content() {
        assert_eq!(read("-----BEGIN A-----\naGVsbG8="), Err(Malformed::Unterminated("A".to_owned())));
        assert_eq!(read("-----BEGIN A-----\na%\n-----END A-----"), Err(Malformed::NotBase64("A".to_owned())));
        assert_eq!(read("-----BEGIN hunter2-----\n"), Err(Malformed::Unterminated("first block".to_owned())));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_or_rejected(text in "(-----BEGIN |-----END |A|-----|\n|aGVs|=|:|\\PC){0,30}") {
            let _ = blocks(&text);
        }
    }
}
