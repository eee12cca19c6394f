//! Whether an address leads to this machine itself. Two security rules depend on it and must agree: plain http is allowed only
//! there, and such requests never go through a proxy.

use std::net::IpAddr;

use url::Url;

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

/// Whether a host is this machine: `localhost`, or an address of the loopback interface, with or without brackets. Other names
/// may resolve to loopback too, but only until somebody changes that.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_and_loopback_addresses_count() {
        for (url, expected) in [
            ("http://127.0.0.1:8765/v1.0", true),
            ("http://127.1.2.3", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://LOCALHOST", true),
            ("https://graph.microsoft.com/v1.0", false),
            ("https://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("http://0.0.0.0", false),
            ("mailto:localhost", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
        assert!(is_loopback_host("::1") && is_loopback_host("[::1]"));
        assert!(!is_loopback_host("") && !is_loopback_host("[localhost]"));
    }
}
