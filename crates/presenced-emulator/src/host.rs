//! The names by which clients reach the emulator besides `localhost` and the addresses of this machine.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host name (RFC 1123, 2.1) or an IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case. Underscores are accepted because names of containers have them.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// A text that is neither a host name nor an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHost;

impl fmt::Display for NotAHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it must be a host name or an IP address without a port, like `graph.test` or `192.0.2.7`")
    }
}

impl std::error::Error for NotAHost {}

impl FromStr for Host {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let is_label = |label: &str| {
            let ends = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let bytes = label.as_bytes();
            (1..=63).contains(&bytes.len())
                && bytes.iter().all(|&byte| ends(byte) || byte == b'-')
                && [bytes.first(), bytes.last()].into_iter().flatten().all(|&byte| ends(byte))
        };
        // A name that ends in digits alone reads like an address (WHATWG URL, 3.5).
        let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        let is_name =
            text.len() <= 253 && text.split('.').all(is_label) && !text.split('.').next_back().is_some_and(is_number);
        if is_name { Ok(Self::Name(text.to_ascii_lowercase())) } else { Err(NotAHost) }
    }
}

impl fmt::Display for Host {
    /// As in a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Host {
    /// Whether a `Host` header names this host, with or without a port.
    pub(super) fn is_in_header(&self, header: &str) -> bool {
        let name = match header.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => header,
        };
        name.eq_ignore_ascii_case(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_hosts_and_nothing_else_is() {
        for (text, shown) in [
            ("graph.test", "graph.test"),
            ("Build-7.Example", "build-7.example"),
            ("my_service", "my_service"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), shown);
        }
        let long = format!("{}.test", "a".repeat(64));
        for text in [
            "",
            "a b",
            "graph.test:8766",
            "https://graph.test",
            "*.test",
            "-a",
            "a-",
            "a..b",
            "a.",
            "1.2.3",
            "ü",
            &long,
        ] {
            assert_eq!(text.parse::<Host>(), Err(NotAHost), "{text}");
        }
    }

    #[test]
    fn a_header_names_a_host_with_or_without_a_port() {
        let host = "graph.test".parse::<Host>().unwrap();
        for (header, is) in [
            ("graph.test", true),
            ("GRAPH.test:8766", true),
            ("graph.test:8766.evil.example", false),
            ("graph.test.evil.example", false),
            ("evil.graph.test", false),
        ] {
            assert_eq!(host.is_in_header(header), is, "{header}");
        }
    }
}
