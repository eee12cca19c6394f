//! How presenced speaks HTTP: one set of time-outs, limits and rules for Graph, the sign-in service and calendar subscriptions,
//! and what kind of failure a request without an answer is.
//!
//! Leaves to others: what an answer means (`graph/`, `auth/`, `signals/`), and when to ask again (`session/`).

mod aside;
mod certificate;
mod probe;
mod proxy;
mod retry_after;

use std::error::Error;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::runtime::Handle;
use url::Url;

use crate::failure::{Applied, Failure, FailureKind};
use crate::loopback::is_loopback;

use aside::{Aside, Resolver};

pub(crate) use probe::{Answer, Stage, Unreached, probe};
pub(crate) use proxy::Proxy;
pub(crate) use retry_after::retry_after;

/// presenced reads at most this much of an answer. No answer that it needs is longer.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long an idle connection is kept: long enough for a burst of changes, short enough that no request uses a dead
/// connection after a change of network or a suspend.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the name to resolve, the connection and the TLS handshake.
    pub(crate) connect: Duration,
    /// For the whole request, from the name to the end of the answer.
    pub(crate) whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), whole: Duration::from_secs(10) }
    }
}

/// What to do with an answer that redirects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Redirects {
    /// Do not follow it: a bearer token goes only where the configuration says.
    Refused,
    /// Follow up to [`MAX_REDIRECTS`] of them, but never to where others could listen in.
    Followed,
}

/// How many redirects are followed for one request.
const MAX_REDIRECTS: usize = 5;

/// An HTTP client for one service.
#[derive(Debug)]
pub(crate) struct Client {
    endpoint: Url,
    timeouts: Timeouts,
    redirects: Redirects,
    /// Replaced by [`Client::reconnect`].
    connections: Mutex<reqwest::Client>,
    /// Empty: the connections are encrypted, or nothing was sent yet.
    aside: OnceLock<Arc<Aside>>,
}

impl Client {
    /// A client for the service at `endpoint`.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] when TLS cannot be set up, as on a machine without root certificates.
    pub(crate) fn new(endpoint: &Url, timeouts: Timeouts) -> Result<Self, Failure> {
        Self::redirected(endpoint, timeouts, Redirects::Refused)
    }

    /// The same, but the caller chooses what to do with redirects.
    pub(crate) fn redirected(endpoint: &Url, timeouts: Timeouts, redirects: Redirects) -> Result<Self, Failure> {
        let connections = Mutex::new(connect(endpoint, timeouts, redirects)?);
        Ok(Self { endpoint: endpoint.clone(), timeouts, redirects, connections, aside: OnceLock::new() })
    }

    /// The thread for connections without encryption; `None`: they are encrypted.
    fn aside(&self) -> Result<Option<&Arc<Aside>>, Failure> {
        if self.endpoint.scheme() != "http" || self.aside.get().is_some() {
            return Ok(self.aside.get());
        }
        let started = Aside::start().map_err(|error| {
            let service = self.endpoint.host_str().unwrap_or_default();
            Failure::new(
                FailureKind::Passing,
                format!("the system refuses a thread for the connection to {service}: {error}"),
            )
        })?;
        Ok(Some(self.aside.get_or_init(|| Arc::new(started))))
    }

    /// Sends the request that `build` makes and returns its answer, whatever the status; the body is not read yet.
    ///
    /// # Errors
    /// [`FailureKind::Passing`] if no answer came: with [`Applied::No`] if there was no connection and so the request was
    /// never sent, or no thread for it, otherwise with [`Applied::Perhaps`]. [`FailureKind::Refused`] if the request cannot be
    /// written, or needs a proxy of a kind that presenced cannot use.
    pub(crate) async fn send(
        &self,
        build: impl FnOnce(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let aside = self.aside()?;
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = async {
            let sent = build(&connections).send();
            let sent = match aside {
                Some(aside) => aside.with(sent).await,
                None => sent.await,
            };
            sent.map_err(|error| self.no_answer(error))
        };
        // The library counts the time too, but where the connection is, and that may be late.
        let mut response = match tokio::time::timeout(self.timeouts.whole, sent).await {
            Ok(sent) => sent?,
            Err(_) => return Err(self.no_answer_in_time()),
        };
        if let Some(aside) = aside {
            // The body may be read when the client is gone.
            response.extensions_mut().insert(Arc::clone(aside));
        }
        // Graph asks for a 503 to be retried on a new connection, which may reach a healthy server.
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            self.reconnect();
        }
        Ok(response)
    }

    /// Sends the next request on a new connection.
    pub(crate) fn reconnect(&self) {
        if let Ok(fresh) = connect(&self.endpoint, self.timeouts, self.redirects) {
            *self.connections.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    fn no_answer_in_time(&self) -> Failure {
        let service = self.endpoint.host_str().unwrap_or_default();
        let text = format!("no answer from {service} within {:?}", self.timeouts.whole);
        Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, text) }
    }

    fn no_answer(&self, error: reqwest::Error) -> Failure {
        let service = self.endpoint.host_str().unwrap_or_default();
        let redirected = error.is_redirect();
        // A redirect may have led to where another proxy, or none, is used.
        let proxy = error.url().and_then(Proxy::of);
        let error = error.without_url();
        if let Some((proxy, fault)) = proxy.and_then(|proxy| proxy.fault(&error).map(|fault| (proxy, fault))) {
            return proxy.failure(fault, service, &error, self.timeouts);
        }
        if let Some(failure) = certificate::failure(&error, service) {
            return failure;
        }
        let cause = root_cause(&error);
        if cause.builder {
            let text = format!("the request to {service} cannot be written: {}", cause.text);
            return Failure::new(FailureKind::Refused, text)
                .with_hint("the token contains characters that are not allowed in a token");
        }
        if redirected {
            return Failure::new(FailureKind::Refused, format!("{service} cannot be followed: {}", cause.text));
        }
        let (applied, text) = match (cause.connect, cause.timeout) {
            (true, true) => (Applied::No, format!("no connection to {service} within {:?}", self.timeouts.connect)),
            (true, false) => (Applied::No, format!("no connection to {service}: {}", cause.text)),
            (false, true) => return self.no_answer_in_time(),
            (false, false) => (Applied::Perhaps, format!("{service} broke off without an answer: {}", cause.text)),
        };
        Failure { applied, ..Failure::new(FailureKind::Passing, text) }
    }
}

fn connect(endpoint: &Url, timeouts: Timeouts, redirects: Redirects) -> Result<reqwest::Client, Failure> {
    // The first call decides, and all are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("presenced/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.whole)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(1)
        // The address may be a secret, so it must not be sent on to the redirect's target.
        .referer(false)
        .redirect(match redirects {
            Redirects::Refused => Policy::none(),
            Redirects::Followed => Policy::custom(|attempt| {
                let from = attempt.previous().first().unwrap_or(attempt.url());
                match refusal(from, attempt.url(), attempt.previous().len()) {
                    None => attempt.follow(),
                    Some(reason) => attempt.error(reason),
                }
            }),
        });
    // Other requests use the proxy from the environment: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    if is_loopback(endpoint) {
        builder = builder.no_proxy();
    }
    if endpoint.scheme() == "http" {
        // Plain http needs no root certificates, and a machine without any could not even run the demo.
        builder = builder.tls_certs_only([]);
        if let Ok(runtime) = Handle::try_current() {
            builder = builder.dns_resolver(Resolver(runtime));
        }
    }
    builder.build().map_err(|error| {
        let text = format!("TLS cannot be set up: {}", root_cause(&error).text);
        Failure::new(FailureKind::Refused, text).with_hint("install the system's root certificates (`ca-certificates`)")
    })
}

/// Why redirect `number` of a request that began at `from` is not followed to `to`; `None`: it is followed.
fn refusal(from: &Url, to: &Url, number: usize) -> Option<&'static str> {
    let stays_here = from.scheme() == "http" && is_loopback(from) && to.scheme() == "http" && is_loopback(to);
    if to.scheme() != "https" && !stays_here {
        Some("it redirects to an address without encryption")
    } else if number > MAX_REDIRECTS {
        Some("it redirects more than 5 times")
    } else {
        None
    }
}

/// What is behind an error of the HTTP library.
struct Cause {
    builder: bool,
    connect: bool,
    timeout: bool,
    /// The innermost error: the outer ones say only that sending failed.
    text: String,
}

fn root_cause(error: &reqwest::Error) -> Cause {
    Cause {
        builder: error.is_builder(),
        connect: error.is_connect(),
        timeout: error.is_timeout(),
        text: chain(error).pop().unwrap_or_default(),
    }
}

/// What each layer of an error says, from the outside in.
fn chain(error: &reqwest::Error) -> Vec<String> {
    let outermost: &dyn Error = error;
    std::iter::successors(Some(outermost), |&error| error.source()).map(ToString::to_string).collect()
}

/// The answer's body, up to [`MAX_BODY_BYTES`]. If it breaks off, the part that arrived is used: the status decides.
pub(crate) async fn body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_BODY_BYTES - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == MAX_BODY_BYTES {
            break;
        }
    }
    body
}

/// The whole body of an answer.
///
/// # Errors
/// [`FailureKind::Passing`] if it is longer than `limit`, breaks off or takes too long.
pub(crate) async fn whole_body(mut response: Response, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = next_part(&mut response).await? {
        if part.as_ref().len() > limit - body.len() {
            let text = format!("the answer is longer than {limit} bytes");
            return Err(Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, text) });
        }
        body.extend_from_slice(part.as_ref());
    }
    Ok(body)
}

/// The next part of the answer's body; `None` at its end.
///
/// # Errors
/// [`FailureKind::Passing`] if it breaks off or takes too long.
pub(crate) async fn next_part(response: &mut Response) -> Result<Option<impl AsRef<[u8]> + use<>>, Failure> {
    response.chunk().await.map_err(|error| {
        let text = format!("the answer broke off: {}", root_cause(&error.without_url()).text);
        Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, text) }
    })
}

/// The value of header `name`, if it is present and readable.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A server that calls `serve` with each connection.
    async fn server<F>(scheme: &str, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Url
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection));
            }
        });
        endpoint
    }

    async fn read_request(connection: &mut TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.read_u8().await.unwrap());
        }
    }

    async fn get(endpoint: &Url, timeouts: Timeouts) -> Result<Response, Failure> {
        Client::new(endpoint, timeouts)?.send(|http| http.get(endpoint.clone())).await
    }

    const IMPATIENT: Timeouts = Timeouts { connect: Duration::from_millis(40), whole: Duration::from_millis(60) };

    #[tokio::test]
    async fn nobody_listening_means_not_applied() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let failure = get(&format!("http://{free}").parse().unwrap(), Timeouts::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.applied), (FailureKind::Passing, Applied::No));
        assert_eq!(failure.text, "no connection to 127.0.0.1: Connection refused (os error 111)");
    }

    #[tokio::test]
    async fn a_handshake_that_hangs_means_not_applied() {
        let endpoint = server("https", |connection| async move {
            let _open = connection;
            std::future::pending::<()>().await;
        })
        .await;
        let patient = Timeouts { whole: Duration::from_secs(10), ..IMPATIENT };
        let failure = get(&endpoint, patient).await.unwrap_err();
        assert_eq!((failure.kind, failure.applied), (FailureKind::Passing, Applied::No));
        assert_eq!(failure.text, "no connection to 127.0.0.1 within 40ms");
    }

    #[tokio::test]
    async fn an_answer_that_hangs_means_perhaps() {
        let endpoint = server("http", |mut connection| async move {
            read_request(&mut connection).await;
            std::future::pending::<()>().await;
        })
        .await;
        let patient = Timeouts { connect: Duration::from_secs(5), ..IMPATIENT };
        let failure = get(&endpoint, patient).await.unwrap_err();
        assert_eq!((failure.kind, failure.applied), (FailureKind::Passing, Applied::Perhaps));
        assert_eq!(failure.text, "no answer from 127.0.0.1 within 60ms");
    }

    #[tokio::test]
    async fn the_part_of_a_body_that_arrived_is_used() {
        let endpoint = server("http", |mut connection| async move {
            read_request(&mut connection).await;
            connection.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
        })
        .await;
        assert_eq!(body(get(&endpoint, Timeouts::default()).await.unwrap()).await, b"half");
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let endpoint = server("http", |mut connection| async move {
            read_request(&mut connection).await;
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
            // Ends when the client has read enough and disconnects.
            while connection.write_all(&[b'x'; 1000]).await.is_ok() {}
        })
        .await;
        assert_eq!(body(get(&endpoint, Timeouts::default()).await.unwrap()).await.len(), MAX_BODY_BYTES);
    }

    #[test]
    fn redirects_stay_encrypted_or_on_this_machine() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let (https, here) = (url("https://a.example/x"), url("http://127.0.0.1:1/x"));
        assert_eq!(refusal(&https, &url("https://b.example/y"), 5), None);
        assert_eq!(refusal(&https, &url("https://b.example/y"), 6), Some("it redirects more than 5 times"));
        let unencrypted = Some("it redirects to an address without encryption");
        assert_eq!(refusal(&https, &url("http://a.example/x"), 1), unencrypted);
        assert_eq!(refusal(&https, &here, 1), unencrypted);
        assert_eq!(refusal(&here, &url("http://localhost:2/"), 1), None);
        assert_eq!(refusal(&here, &url("http://a.example/"), 1), unencrypted);
    }
}
