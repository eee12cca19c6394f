//! One connection to the status socket: its requests, one after the other, until either side closes it.
//!
//! The limits: a request's head within [`HEADER_TIMEOUT`] and [`MAX_HEAD_BYTES`]; an answer that the client reads ([`WriteTimeout`]).
//! The first time-out also closes a kept-alive connection that stays silent. A client that sends nothing, garbage, or an endless
//! request, or does not read, loses its own connection and disturbs nothing else.
//!
//! Leaves to others: what is answered ([`super::routes`]), and how many connections there are ([`super::server`]).

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use super::connections::Connections;
use super::feed::Feed;
use super::report::Report;
use super::write_timeout::WriteTimeout;
use super::{Command, routes};

/// How long a client may take to send a request's head, and may be silent between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest head of a request; larger ones get a 431.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Answers one connection's requests until either side closes it.
pub(super) async fn converse(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, routes: Router) {
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream)), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a status connection ended early");
    }
}

/// Answers the requests on a stream as the status socket does, with a daemon that shows `report` and passes each command to
/// `execute`. For tests that have no socket.
pub async fn rehearse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    report: Report,
    mut execute: impl FnMut(Command),
) {
    // Without its sender, whoever watches sees the report and then the end.
    let (_, reports) = watch::channel(Arc::new(report));
    let (commands, mut received) = mpsc::channel(1);
    let routes = routes::router(reports, Feed::default(), commands, Arc::default(), 1);
    let Some(seat) = Connections::new(1, 0).seat() else { return };
    let executed = async {
        while let Some(command) = received.recv().await {
            execute(command);
        }
    };
    tokio::join!(converse(stream, routes.layer(Extension(seat))), executed);
}
