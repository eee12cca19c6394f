//! A content line, split into name, parameters and value (RFC 5545, 3.1).
//!
//! Leaves to others: what the values mean (`value`).

use std::borrow::Cow;

use super::value;

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
        let name_end = memchr::memchr2(b':', b';', line)?;
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
    pub(super) fn upper_name<'b>(&'b self, into: &'b mut [u8; 40]) -> Option<&'b [u8]> {
        let into = into.get_mut(..self.name.len())?;
        if !self.name.iter().any(u8::is_ascii_lowercase) {
            return Some(self.name);
        }
        into.copy_from_slice(self.name);
        into.make_ascii_uppercase();
        Some(into)
    }

    /// The value of the first parameter `name`, ignoring case, without quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.parameters;
        while !rest.is_empty() {
            let end = unquoted(rest, b';').unwrap_or(rest.len());
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

/// The colon before the value. In a property that holds dates, it is the first colon with a date after it: zone names like
/// `(UTC+01:00) Berlin` often lack the quotes that they need, and some programs put the closing quote after the time.
fn value_colon(name: &[u8], rest: &[u8]) -> Option<usize> {
    const DATES: [&str; 5] = ["DTSTART", "DTEND", "EXDATE", "RDATE", "RECURRENCE-ID"];
    if DATES.iter().any(|date| name.eq_ignore_ascii_case(date.as_bytes())) {
        let before_a_date = |&colon: &usize| value::begins_with_date(&rest[colon + 1..]);
        return memchr::memchr_iter(b':', rest).find(before_a_date).or_else(|| memchr::memrchr(b':', rest));
    }
    unquoted(rest, b':')
}

/// The position of the first `wanted` outside of double quotes. A quote that is never closed is ignored.
fn unquoted(bytes: &[u8], wanted: u8) -> Option<usize> {
    let first = memchr::memchr2(wanted, b'"', bytes)?;
    if bytes[first] == wanted {
        return Some(first);
    }
    let mut quoted = false;
    let found = bytes.iter().position(|&byte| {
        quoted ^= byte == b'"';
        !quoted && byte == wanted
    });
    if quoted { memchr::memchr(wanted, bytes) } else { found }
}

fn without_quotes(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").map_or(value, |inner| inner.strip_suffix(b"\"").unwrap_or(inner))
}

/// Removes the escapes from a text (RFC 5545, 3.3.11). Line breaks become spaces; the result has at most `max_bytes`.
pub(super) fn unescape(text: &str, max_bytes: usize) -> String {
    // Most texts have nothing to unescape.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\';
    let first = text.bytes().position(|byte| !is_plain(byte)).unwrap_or(text.len());
    let mut plain = text[..first.min(max_bytes)].to_owned();
    let mut characters = text[first..].chars();
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
    fn a_quote_in_the_wrong_place_hides_nothing() {
        let property = parse("DTSTART;TZID=\"W. Europe Standard Time:20260105T090000\"").unwrap();
        assert_eq!(property.parameter("TZID"), Some(b"W. Europe Standard Time".as_slice()));
        assert_eq!(property.value, b"20260105T090000\"");
        let property = parse("DTSTART;TZID=\"Europe/Berlin;VALUE=DATE-TIME:20260105T090000").unwrap();
        assert_eq!(property.parameter("TZID"), Some(b"Europe/Berlin".as_slice()));
        assert_eq!(property.parameter("VALUE"), Some(b"DATE-TIME".as_slice()));
    }

    #[test]
    fn a_time_in_the_extended_format_holds_colons() {
        let property = parse("DTSTART;TZID=Europe/Berlin:2026-01-05T09:00:00").unwrap();
        assert_eq!(property.parameter("TZID"), Some(b"Europe/Berlin".as_slice()));
        assert_eq!(property.value, b"2026-01-05T09:00:00");
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
