//! Whether an HTTP request was meant for a server on this machine. The two servers on loopback ask this: the status listener and the
//! emulator.
//!
//! A page in a browser on this machine can send requests to loopback. If it uses a name of its own domain that points here (DNS
//! rebinding), it can also read the answers; the `Host` header shows that name. Otherwise the browser sends the page's address as
//! `Origin` (RFC 6454, 7; Fetch, 3.2).

use std::net::IpAddr;

/// Whether a `Host` header names this machine by an address or as `localhost`, with or without a port. Any other name may belong to
/// anybody.
pub fn is_local_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            return address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) && is_port(port);
        }
        None => host.split_once(':').map_or(Some(host), |(name, port)| is_digits(port).then_some(name)),
    };
    name.is_some_and(|name| name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok())
}

/// Whether an `Origin` header is that of a page on this machine. `null`, which browsers send for files and sandboxed pages, is not.
pub fn is_local_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.is_some_and(is_local_host)
}

/// Whether an address is this machine, also one of IPv4 in the form of IPv6 (`::ffff:127.0.0.1`).
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// What follows an address in brackets.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(is_digits)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_anybody_may_own_is_not_this_machine() {
        for (host, is_local) in [
            ("127.0.0.1:9464", true),
            ("127.0.0.1", true),
            ("[::1]:9464", true),
            ("[::ffff:127.0.0.1]", true),
            ("LocalHost:9464", true),
            ("10.1.2.3:9464", true),
            ("rebound.example:9464", false),
            ("localhost.rebound.example", false),
            ("127.0.0.1.rebound.example:9464", false),
            ("127.0.0.1:9464.rebound.example", false),
            ("[::1].rebound.example", false),
            ("[127.0.0.1]", false),
            ("[::1", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(is_local_host(host), is_local, "{host}");
        }
    }

    #[test]
    fn a_page_of_this_machine_has_its_origin() {
        for (origin, is_local) in [
            ("http://localhost:3000", true),
            ("https://127.0.0.1", true),
            ("http://evil.example", false),
            ("https://localhost.evil.example", false),
            ("file://localhost", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_local_origin(origin), is_local, "{origin}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_address_itself() {
        let is = |text: &str| is_loopback(text.parse().expect("an address"));
        assert!(is("127.0.0.1") && is("::1") && is("::ffff:127.0.0.1"));
        assert!(!is("::ffff:10.0.0.1") && !is("0.0.0.0") && !is("::"));
    }
}
