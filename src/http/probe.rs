//! Whether a service can be reached: one request without a token. Any answer will do; without one, this says how far the
//! request got.
//!
//! It uses the same client as all other requests, and so the same proxy, certificates and time-outs.

use jiff::Timestamp;
use reqwest::header::DATE;
use url::Url;

use super::proxy::{self, Fault, Proxy};
use super::{Redirects, Timeouts, body, chain, connect, header, retry_after, root_cause};

/// Any answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// The time on the service's clock; `None`: it did not send it.
    pub(crate) date: Option<Timestamp>,
    /// Its body, up to presenced's limit.
    pub(crate) body: Vec<u8>,
}

/// Where a request without an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// TLS cannot be set up on this machine.
    Setup,
    /// The name has no address.
    Name,
    /// Nothing accepts the connection.
    Connection,
    /// presenced does not speak the proxy's protocol.
    ProxyUnsupported,
    /// There is no connection to the proxy.
    ProxyUnreachable,
    /// The proxy does not connect to the service.
    Proxy,
    /// The two sides cannot agree on encryption, most often because the certificate is not trusted.
    Tls,
    /// There was a connection, but no answer.
    Answer,
}

/// A request without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Unreached {
    /// How far it got.
    pub(crate) stage: Stage,
    /// Why it got no further, as a clause.
    pub(crate) reason: String,
}

/// Requests `url` and accepts any answer.
pub(crate) async fn probe(url: &Url, timeouts: Timeouts) -> Result<Answer, Unreached> {
    let client = connect(url, timeouts, Redirects::Refused)
        .map_err(|failure| Unreached { stage: Stage::Setup, reason: failure.text })?;
    let response = client.get(url.clone()).send().await.map_err(|error| unreached(error, url, timeouts))?;
    let date = header(&response, DATE.as_str()).and_then(retry_after::http_date);
    Ok(Answer { status: response.status().as_u16(), date, body: body(response).await })
}

fn unreached(error: reqwest::Error, url: &Url, timeouts: Timeouts) -> Unreached {
    let error = error.without_url();
    if let Some((proxy, fault)) = Proxy::of(url).and_then(|proxy| proxy.fault(&error).map(|fault| (proxy, fault))) {
        let address = proxy.address();
        let (stage, reason) = match fault {
            Fault::Unsupported => (Stage::ProxyUnsupported, proxy.unsupported_scheme().unwrap_or_default().to_owned()),
            Fault::Unreachable => (Stage::ProxyUnreachable, proxy::reason(&error)),
            Fault::Refuses => (Stage::Proxy, proxy::reason(&error)),
            Fault::Late => (Stage::Proxy, format!("nothing happened within {:?}", timeouts.connect)),
        };
        return Unreached { stage, reason: format!("{address}: {reason}") };
    }
    let words = chain(&error);
    let says = |text: &str| words.iter().any(|word| word.contains(text));
    let cause = root_cause(&error);
    let stage = if !cause.connect {
        Stage::Answer
    } else if says("dns error") {
        Stage::Name
    } else if says("tcp connect error") || cause.timeout || url.scheme() == "http" {
        Stage::Connection
    } else {
        Stage::Tls
    };
    let reason = match (cause.timeout, cause.connect) {
        (true, true) => format!("nothing happened within {:?}", timeouts.connect),
        (true, false) => format!("nothing came within {:?}", timeouts.whole),
        (false, _) => cause.text,
    };
    Unreached { stage, reason }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), whole: Duration::from_secs(5) };

    async fn asked(url: &str) -> Result<Answer, Unreached> {
        probe(&url.parse().unwrap(), TIMEOUTS).await
    }

    /// A server that sends this after the client has sent something, and closes the connection.
    async fn server(scheme: &str, says: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _ = connection.read(&mut [0; 4096]).await;
                let _ = connection.write_all(says).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn the_stage_says_how_far_a_request_got() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let garbage = server("https", b"HTTP/1.1 400 This is not TLS\r\n\r\n").await;
        let mute = server("http", b"").await;
        for (url, expected) in [
            ("http://nobody.invalid/".to_owned(), Stage::Name),
            (format!("http://{closed}/"), Stage::Connection),
            (format!("https://{closed}/"), Stage::Connection),
            (garbage, Stage::Tls),
            (mute, Stage::Answer),
        ] {
            let unreached = asked(&url).await.unwrap_err();
            assert_eq!(unreached.stage, expected, "{url}: {}", unreached.reason);
        }
    }

    #[tokio::test]
    async fn any_status_is_an_answer_and_has_the_time() {
        let url =
            server("http", b"HTTP/1.1 503 No\r\nDate: Tue, 24 Nov 2026 09:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}")
                .await;
        let answer = asked(&url).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (503, &b"{}"[..]));
        assert_eq!(answer.date.unwrap().to_string(), "2026-11-24T09:00:00Z");
    }
}
