//! The server: accepts connections on the socket and keeps each of them in bounds. What is answered is in
//! [`super::routes`].
//!
//! The bounds: only the daemon's own user, and root; at most [`MAX_CONNECTIONS`] at once; a request's head within
//! [`HEADER_TIMEOUT`] and 16 KiB, which also closes a kept-alive connection that stays silent as long. A client that sends
//! nothing, garbage or without end costs its own connection and nothing else.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use super::answer::Refusal;
use super::connections::Connections;
use super::report::Report;
use super::socket::{self, BindError, Socket};
use super::{Command, routes};
use crate::metrics::Metrics;

/// How many connections are served at once; the next is answered with 503 and closed.
pub const MAX_CONNECTIONS: usize = 32;

/// How long a client may take to send the head of a request, and be silent between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest head of a request, in bytes; longer ones are answered with 431.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long a client that is turned away may take to read the answer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// The user id of the superuser.
const ROOT: u32 = 0;

/// Where a server listens.
#[derive(Debug)]
pub enum Listen {
    /// At this path, which it takes for itself.
    At(PathBuf),
    /// At a socket that the service manager listens at already, and keeps.
    Passed(OwnedFd),
}

/// The status server, bound and listening.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    /// `None`: the service manager keeps it.
    socket: Option<Socket>,
}

impl Server {
    /// Listens where it is told. Call it within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BindError`], as of [`Server::bind`]; or what was passed is no socket to listen at.
    pub fn listen(at: Listen) -> Result<Self, BindError> {
        match at {
            Listen::At(path) => Self::bind(&path),
            Listen::Passed(socket) => Self::wait_at(socket::adopt(socket)?, None, Path::new("the passed socket")),
        }
    }

    /// Takes the socket at `path`; clients can connect from then on, and are answered once [`Server::serve`] runs. Call
    /// it within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BindError`]: another daemon lives there, something else has that name, or the file system says no.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let (socket, listener) = socket::listen(path)?;
        Self::wait_at(listener, Some(socket), path)
    }

    fn wait_at(
        listener: std::os::unix::net::UnixListener,
        socket: Option<Socket>,
        path: &Path,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { action: "wait for connections at", path: path.to_owned(), source };
        Ok(Self { listener: UnixListener::from_std(listener).map_err(failed)?, socket })
    }

    /// Serves until it is dropped, which also ends every connection and removes the socket, unless that was passed. What clients
    /// see is the latest of `reports`, and in metrics also `metrics`; what they ask for goes to `commands`.
    pub async fn serve(
        self,
        reports: watch::Receiver<Arc<Report>>,
        commands: mpsc::Sender<Command>,
        metrics: Arc<Metrics>,
    ) {
        // Kept until the connections, declared after it, are gone.
        let _socket = self.socket;
        let routes = routes::router(reports, commands, metrics);
        let own_uid = rustix::process::geteuid().as_raw();
        let mut connections = Connections::new(MAX_CONNECTIONS);
        loop {
            let stream = connections.next(&self.listener, &"the status socket").await;
            // The mode of the socket keeps everyone else out. Root is let in: it could get in anyway, and nobody else can look
            // after a service whose user exists only while it runs.
            let peer = stream.peer_cred().ok().filter(|peer| peer.uid() == own_uid || peer.uid() == ROOT);
            let Some(peer) = peer else {
                connections.turn_away(turn_away(stream, Refusal::not_yours()));
                continue;
            };
            let Some(seat) = connections.seat() else {
                connections.turn_away(turn_away(stream, Refusal::busy()));
                continue;
            };
            let routes = match peer.pid() {
                Some(pid) => routes.clone().layer(Extension(routes::Peer(pid))),
                None => routes.clone(),
            };
            connections.serve(seat, converse(stream, routes));
        }
    }
}

/// Answers one connection's requests until either side closes it.
async fn converse(stream: UnixStream, routes: Router) {
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a status connection ended early");
    }
}

/// Gives an answer to whatever is asked, then closes. Waits for the question, because clients take an answer before it
/// for garbage; reads all of it, because closing over unread bytes could take the answer away.
async fn turn_away(mut stream: UnixStream, refusal: Refusal) {
    let farewell = async {
        let mut asked = [0; 1024];
        if stream.read(&mut asked).await? == 0 {
            return Ok(());
        }
        stream.write_all(&refusal.into_wire()).await?;
        stream.shutdown().await?;
        while stream.read(&mut asked).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether the client heard it is the client's affair.
    let _ = tokio::time::timeout(FAREWELL_TIMEOUT, farewell).await;
}
