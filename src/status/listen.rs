//! The TCP listener of `[status] listen`: metrics and health for programs that cannot reach the socket, like Prometheus or a
//! kubelet. It answers anybody who can connect, so it shows nothing else and changes nothing.
//!
//! The limits: [`MAX_CONNECTIONS`] at once, and further ones are closed without an answer; one request per connection, within
//! [`MAX_CONNECTION_TIME`]. On a loopback address, the request must be meant for this machine ([`local_request`]): otherwise a page in
//! a browser on this machine could send it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::answer::Refusal;
use super::connections::Connections;
use super::conversation::MAX_HEAD_BYTES;
use super::report::Report;
use super::routes::{self, View};
use crate::local_request;
use crate::metrics::Metrics;

/// How many connections are served at once.
const MAX_CONNECTIONS: usize = 16;

/// How long a connection may last.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(5);

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes `address`. Call it within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The address is in use, or does not belong to this machine.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener: TcpListener::from_std(listener)?, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped, which also ends every connection.
    pub async fn serve(self, reports: watch::Receiver<Arc<Report>>, metrics: Arc<Metrics>) {
        let mut routes = routes::open(View::new(reports, metrics))
            .method_not_allowed_fallback(async |request: Request| {
                Refusal::method_not_allowed(request.method().as_str(), request.uri().path())
            })
            .fallback(async |request: Request| Refusal::not_found_here(request.uri().path()));
        if local_request::is_loopback(self.address.ip()) {
            routes = routes.layer(middleware::from_fn(only_local));
        }
        let mut connections = Connections::new(MAX_CONNECTIONS, 1);
        loop {
            let stream = connections.next(&self.listener, &self.address).await;
            if let Some(seat) = connections.seat() {
                let answer = answer(stream, routes.clone());
                connections.serve(seat, async {
                    // A client that is too slow gets no answer.
                    let _ = tokio::time::timeout(MAX_CONNECTION_TIME, answer).await;
                });
            }
        }
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, routes: Router) {
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection for metrics ended early");
    }
}

async fn only_local(request: Request, next: Next) -> Response {
    if is_local(request.headers()) { next.run(request).await } else { Refusal::not_by_name().into_response() }
}

/// Whether all of its headers say that it was meant for this machine. A request without them does not come from a browser.
fn is_local(headers: &HeaderMap) -> bool {
    let all = |name, is: fn(&str) -> bool| headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(is));
    all(header::HOST, local_request::is_local_host) && all(header::ORIGIN, local_request::is_local_origin)
}
