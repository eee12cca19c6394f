//! Writes the few forms of DER (X.690) that a certificate consists of.

/// `BOOLEAN`.
pub(super) const TRUE: [u8; 3] = [0x01, 0x01, 0xff];

/// A value with its tag and length.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut encoded = vec![tag];
    if let Some(short) = u8::try_from(length).ok().filter(|short| *short < 0x80) {
        encoded.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        encoded.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
        encoded.extend_from_slice(bytes);
    }
    encoded.extend_from_slice(content);
    encoded
}

/// `SEQUENCE` of encoded values.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

/// `BIT STRING` of whole bytes.
pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    value(0x03, &[&[0], content].concat())
}

/// `OBJECT IDENTIFIER`, given by its encoded content.
pub(super) fn object_id(content: &[u8]) -> Vec<u8> {
    value(0x06, content)
}

/// `OCTET STRING`.
pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    value(0x04, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_or_long() {
        assert_eq!(value(0x04, &[7]), [0x04, 1, 7]);
        assert_eq!(value(0x04, &[7; 0x7f])[..3], [0x04, 0x7f, 7]);
        assert_eq!(value(0x04, &[7; 0x80])[..4], [0x04, 0x81, 0x80, 7]);
        assert_eq!(value(0x04, &[7; 0x100])[..5], [0x04, 0x82, 1, 0, 7]);
    }
}
