//! A content line, split into name, parameters and value (RFC 5545, 3.1).
//!
//! Leaves to others: what the values mean (`value`).

use std::borrow::Cow;

/// A property as written; nothing is unescaped yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Property<'a> {
    name: &'a [u8],
    parameters: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Property<'a> {
    /// Splits a line; `None` if it is not a property.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let name_end = line.iter().position(|&byte| byte == b':' || byte == b';')?;
        let name = line[..name_end].trim_ascii();
        if name.is_empty() || !name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return None;
        }
        if line[name_end] == b':' {
            return Some(Self { name, parameters: &[], value: &line[name_end + 1..] });
        }
        let rest = &line[name_end + 1..];
        let colon = value_colon(name, rest)?;
        Some(Self { name, parameters: &rest[..colon], value: &rest[colon + 1..] })
    }

    /// Whether this is the property `name`, ignoring case.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The name in upper case; `None` if it is longer than any name that matters here.
    pub(super) fn upper_name<'b>(&self, into: &'b mut [u8; 40]) -> Option<&'b str> {
        let into = into.get_mut(..self.name.len())?;
        into.copy_from_slice(self.name);
        into.make_ascii_uppercase();
        std::str::from_utf8(into).ok()
    }

    /// The value of the first parameter `name`, ignoring case, without quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.parameters;
        while !rest.is_empty() {
            let end = unquoted(rest, |byte| byte == b';').unwrap_or(rest.len());
            let parameter = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            let Some(equals) = parameter.iter().position(|&byte| byte == b'=') else { continue };
            if parameter[..equals].trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
                return Some(without_quotes(&parameter[equals + 1..]));
            }
        }
        None
    }

    /// The value as trimmed text. Bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.value.trim_ascii())
    }
}

/// The colon before the value. Values of dates contain no colon, so it is the last one there: zone names like
/// `(UTC+01:00) Berlin` often lack the quotes that they need.
fn value_colon(name: &[u8], rest: &[u8]) -> Option<usize> {
    const DATES: [&str; 5] = ["DTSTART", "DTEND", "EXDATE", "RDATE", "RECURRENCE-ID"];
    if DATES.iter().any(|date| name.eq_ignore_ascii_case(date.as_bytes())) {
        return rest.iter().rposition(|&byte| byte == b':');
    }
    // A quote that is never closed is ignored.
    unquoted(rest, |byte| byte == b':').or_else(|| rest.iter().position(|&byte| byte == b':'))
}

/// The position of the first byte outside of double quotes that `wanted` accepts.
fn unquoted(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut quoted = false;
    bytes.iter().position(|&byte| {
        quoted ^= byte == b'"';
        !quoted && wanted(byte)
    })
}

fn without_quotes(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").map_or(value, |inner| inner.strip_suffix(b"\"").unwrap_or(inner))
}

/// Removes the escapes from a text (RFC 5545, 3.3.11). Line breaks become spaces; the result has at most `max_bytes`.
pub(super) fn unescape(text: &str, max_bytes: usize) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let character = match character {
            '\\' => match characters.next() {
                Some('n' | 'N') => ' ',
                Some(escaped) => escaped,
                None => break,
            },
            control if control.is_control() => ' ',
            other => other,
        };
        if plain.len() + character.len_utf8() > max_bytes {
            break;
        }
        plain.push(character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Property<'_>> {
        Property::parse(line.as_bytes())
    }

    #[test]
    fn quotes_hide_colons_and_semicolons() {
        let property = parse("ATTENDEE;CN=\"Doe; John: x\";PARTSTAT=accepted:mailto:a@b.c").unwrap();
        assert!(property.is("ATTENDEE"));
        assert_eq!(property.parameter("CN"), Some(b"Doe; John: x".as_slice()));
        assert_eq!(property.parameter("PARTSTAT"), Some(b"accepted".as_slice()));
        assert_eq!(property.parameter("ROLE"), None);
        assert_eq!(property.value, b"mailto:a@b.c");
    }

    #[test]
    fn a_zone_name_may_hold_a_colon_without_quotes() {
        let property = parse("dtstart;TZID=(UTC+01:00) Amsterdam, Berlin:20260105T090000").unwrap();
        assert_eq!(property.parameter("TZID"), Some(b"(UTC+01:00) Amsterdam, Berlin".as_slice()));
        assert_eq!(property.value, b"20260105T090000");
    }

    #[test]
    fn other_lines_are_rejected() {
        for line in ["", "no colon", ":value", "<a href=\"x\">:", "A B:c", "X;P=1"] {
            assert!(parse(line).is_none(), "{line}");
        }
        assert_eq!(parse("X;P=\"open:v").unwrap().value, b"v");
    }

    #[test]
    fn escapes_are_removed() {
        assert_eq!(unescape("a\\, b\\; c\\\\ d\\ne\\", 100), "a, b; c\\ d e");
        assert_eq!(unescape("abcdef", 3), "abc");
    }
}
