//! The server on loopback that the browser is redirected to (RFC 8252, 7.3). It lives as long as one attempt. Other
//! requests to its port, from anyone on this machine, cost little and do not end the attempt.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::select_all;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

use crate::failure::{Failure, FailureKind};
use crate::tasks::spawn_into;

use super::page::Page;
use super::redirect::{Outcome, Visit};

/// How many ports are tried if one is free only on IPv4.
const PORTS_TRIED: usize = 16;

/// How many connections may be open at once. For another one the oldest is closed.
const MAX_CONNECTIONS: usize = 32;

/// How long a client may take for its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest request. A code has about 2 KB, but the cookies that `localhost` collects may have more.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long the last page may take to reach the browser.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait if the system has no socket left for the next connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server. Dropping it closes everything.
pub(super) struct Loopback {
    port: u16,
    visitor: oneshot::Receiver<Visitor>,
    _serving: JoinSet<()>,
}

/// The browser that came back and waits for its page.
pub(super) struct Visitor {
    pub(super) outcome: Outcome,
    page: oneshot::Sender<Page>,
    /// Ends with the connection.
    gone: oneshot::Receiver<Infallible>,
}

/// What the connections share.
struct Awaited {
    state: SecretString,
    head_timeout: Duration,
    /// Taken by the first redirect. There is no second one.
    first: Mutex<Option<oneshot::Sender<Visitor>>>,
}

impl Loopback {
    /// Waits on a free port for the redirect with `state`.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] if there is none.
    pub(super) async fn open(state: SecretString) -> Result<Self, Failure> {
        Self::open_for(state, HEAD_TIMEOUT).await
    }

    async fn open_for(state: SecretString, head_timeout: Duration) -> Result<Self, Failure> {
        let no_port = |error: io::Error| {
            let text = format!("there is no free port on localhost for the browser to come back to: {error}");
            Failure::new(FailureKind::Refused, text)
                .with_hint("see what is wrong with the interface `lo`: `ip address show lo`")
        };
        let listeners = listen(TcpListener::bind).await.map_err(no_port)?;
        let port = listeners[0].local_addr().map_err(no_port)?.port();
        let (first, visitor) = oneshot::channel();
        let mut serving = JoinSet::new();
        let awaited = Awaited { state, head_timeout, first: Mutex::new(Some(first)) };
        spawn_into(&mut serving, serve(listeners, Arc::new(awaited)));
        Ok(Self { port, visitor, _serving: serving })
    }

    /// The port, for both address families.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the first redirect of this attempt; `None`: the server failed.
    pub(super) async fn visitor(&mut self) -> Option<Visitor> {
        (&mut self.visitor).await.ok()
    }
}

impl Visitor {
    /// Sends the browser its page, and waits until it has it.
    pub(super) async fn show(self, page: Page) {
        // A browser that left, or does not read, only misses its page.
        if self.page.send(page).is_ok() {
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, self.gone).await;
        }
    }
}

/// Listens on one port that is free in both address families: the browser may choose either for `localhost`. If this machine
/// lacks a family, the browser cannot use it either. But if another program has the port in the other family, it would get the
/// redirect.
async fn listen(bind: impl AsyncFn(SocketAddr) -> io::Result<TcpListener>) -> io::Result<Vec<TcpListener>> {
    let mut taken = io::ErrorKind::AddrInUse.into();
    for _ in 0..PORTS_TRIED {
        let first = match bind((Ipv4Addr::LOCALHOST, 0).into()).await {
            Ok(first) => first,
            Err(error) => return bind((Ipv6Addr::LOCALHOST, 0).into()).await.map(|only| vec![only]).map_err(|_| error),
        };
        let port = first.local_addr()?.port();
        match bind((Ipv6Addr::LOCALHOST, port).into()).await {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken = error,
            Err(error) => {
                debug!(%error, "localhost is IPv4 only");
                return Ok(vec![first]);
            }
        }
    }
    Err(taken)
}

async fn serve(listeners: Vec<TcpListener>, awaited: Arc<Awaited>) {
    let mut connections = JoinSet::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepts = listeners.iter().map(|listener| Box::pin(listener.accept()));
        match select_all(accepts).await.0 {
            Ok((stream, _)) => {
                while connections.try_join_next().is_some() {}
                open.retain(|connection| !connection.is_finished());
                if open.len() == MAX_CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(spawn_into(&mut connections, connection(stream, Arc::clone(&awaited))));
            }
            Err(error) => {
                debug!(%error, "no connection could be accepted");
                #[expect(clippy::disallowed_methods, reason = "somebody sits and waits")]
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, awaited: Arc<Awaited>) {
    let (_here, gone) = oneshot::channel();
    let gone = Mutex::new(Some(gone));
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .timer(TokioTimer::new())
        .header_read_timeout(awaited.head_timeout)
        .serve_connection(TokioIo::new(stream), service_fn(|request| answer(&awaited, &gone, request)))
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection broke");
    }
}

/// One request. Its body, if there is one, is not read.
async fn answer(
    awaited: &Awaited,
    gone: &Mutex<Option<oneshot::Receiver<Infallible>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let page = match Visit::of(request.method(), request.uri(), &awaited.state) {
        Visit::Redirect(outcome) => match (take(&awaited.first), take(gone)) {
            (Some(first), Some(gone)) => {
                let (page, shown) = oneshot::channel();
                // If nobody waits any more, `page` is dropped with it.
                drop(first.send(Visitor { outcome, page, gone }));
                shown.await.unwrap_or_else(|_| Page::over())
            }
            _ => Page::over(),
        },
        Visit::Stray => Page::stray(),
        Visit::Elsewhere => Page::elsewhere(),
        Visit::NoGet => Page::no_get(),
    };
    Ok(page.response())
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[cfg(test)]
mod tests;
