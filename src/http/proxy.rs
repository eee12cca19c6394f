//! The proxy from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`): which one a request takes, and which
//! failures are the proxy's and not the service's.
//!
//! The HTTP library takes the same way by the same rules, but its errors do not name the proxy.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::failure::{Failure, FailureKind};
use crate::loopback::is_loopback;

use super::{Timeouts, chain, root_cause};

/// A proxy, without the user name and the password in its address.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    scheme: String,
    /// Host and port.
    address: String,
    /// The variable that names it, unless `ALL_PROXY` does.
    variable: &'static str,
}

/// What is wrong with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// presenced does not speak its protocol.
    Unsupported,
    /// There is no connection to it.
    Unreachable,
    /// It does not connect to the service.
    Refuses,
    /// There was no connection in time. Whether the proxy or the service is the reason is not visible.
    Late,
}

impl Proxy {
    /// The proxy for requests to `url`.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        if is_loopback(url) {
            return None;
        }
        let proxy = Matcher::from_system().intercept(&url.as_str().parse().ok()?)?;
        let authority = proxy.uri().authority()?;
        let port = authority.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self {
            scheme: proxy.uri().scheme_str().unwrap_or("http").to_owned(),
            address: format!("{}{port}", authority.host()),
            variable: if url.scheme() == "http" { "HTTP_PROXY" } else { "HTTPS_PROXY" },
        })
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its protocol, if presenced does not speak it.
    pub(crate) fn unsupported_scheme(&self) -> Option<&str> {
        (!matches!(&*self.scheme, "http" | "https")).then_some(&*self.scheme)
    }

    /// What is wrong with it, if `error` is its fault.
    pub(super) fn fault(&self, error: &reqwest::Error) -> Option<Fault> {
        let cause = root_cause(error);
        let words = chain(error);
        let says = |text: &str| words.iter().any(|word| word.contains(text));
        if !cause.connect {
            None
        } else if self.unsupported_scheme().is_some() {
            Some(Fault::Unsupported)
        } else if cause.timeout {
            Some(Fault::Late)
        } else if says("tunnel error") && !says("underlying connection") {
            Some(Fault::Refuses)
        } else if says("tcp connect error") || says("dns error") || says("tunnel error") {
            // presenced itself connects only to the proxy.
            Some(Fault::Unreachable)
        } else {
            None
        }
    }

    /// The failure of a request to `service` because of this `fault`, which shows as `error`.
    pub(super) fn failure(&self, fault: Fault, service: &str, error: &reqwest::Error, timeouts: Timeouts) -> Failure {
        let Self { scheme, address, variable } = self;
        let reason = reason(error);
        let (kind, text) = match fault {
            Fault::Unsupported => (
                FailureKind::Refused,
                format!(
                    "no connection to {service}: its proxy {address} is a {scheme} proxy, which presenced cannot use"
                ),
            ),
            Fault::Unreachable => (
                FailureKind::Passing,
                format!("no connection to {service}, because its proxy {address} cannot be reached: {reason}"),
            ),
            Fault::Refuses => (
                FailureKind::Passing,
                format!("no connection to {service}, because its proxy {address} does not connect to it: {reason}"),
            ),
            Fault::Late => (
                FailureKind::Passing,
                format!("no connection to {service} through its proxy {address} within {:?}", timeouts.connect),
            ),
        };
        let hint = match fault {
            Fault::Unsupported => format!("set {variable} to the http:// address of a proxy"),
            Fault::Unreachable | Fault::Refuses | Fault::Late => {
                format!("check the proxy's address and password in {variable} or ALL_PROXY")
            }
        };
        Failure::new(kind, text).with_hint(format!("{hint}; or add {service} to NO_PROXY, if no proxy is needed"))
    }
}

/// Why the request ended, without the library's name for the connection through a proxy.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let text = root_cause(error).text;
    match text.strip_prefix("tunnel error: ") {
        Some("unsuccessful") => "it refused".to_owned(),
        Some("proxy authorization required") => "it requires a user name and a password".to_owned(),
        Some(reason) => reason.to_owned(),
        None => text,
    }
}
