//! The server: serves the connections to the socket within limits.
//!
//! The limits: only the daemon's own user, and root; [`MAX_CONNECTIONS`] at once, and besides them [`MAX_WATCHERS`] that watch, so
//! that watchers never keep a command out.
//!
//! Leaves to others: what happens on one connection ([`super::conversation`]), and the socket's file ([`super::socket`]).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use super::answer::Refusal;
use super::connections::Connections;
use super::conversation::converse;
use super::feed::Feed;
use super::report::Report;
use super::socket::{self, BindError, Socket};
use super::{Command, peer, routes};
use crate::metrics::Metrics;

/// How many connections are served at once; further ones get a 503 and are closed.
pub const MAX_CONNECTIONS: usize = 32;

/// How many more connections may watch; further ones get a 503.
pub const MAX_WATCHERS: usize = 16;

/// How many connections are being refused at once; further ones wait.
const MAX_REFUSALS: usize = 32;

/// How long a refused client may take to read the answer.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a server listens.
#[derive(Debug)]
pub enum Listen {
    /// At this path, which the server creates.
    At(PathBuf),
    /// At a socket that the service manager already listens on, and keeps.
    Passed(OwnedFd),
}

/// The status server, bound and listening.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    /// `None`: the service manager keeps the socket.
    socket: Option<Socket>,
}

impl Server {
    /// Listens at the given place. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BindError`], as from [`Server::bind`]; or what was passed cannot be listened on.
    pub fn listen(at: Listen) -> Result<Self, BindError> {
        match at {
            Listen::At(path) => Self::bind(&path),
            Listen::Passed(socket) => Self::wait_at(socket::adopt(socket)?, None, Path::new("the passed socket")),
        }
    }

    /// Creates the socket at `path`. Clients can connect from then on, and are answered once [`Server::serve`] runs. Must be called
    /// within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BindError`]: another daemon runs there, something else has that name, or the file system refuses.
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

    /// Serves until it is dropped. That also ends every connection, and removes the socket unless it was passed. Clients see the
    /// latest of `reports`, and `metrics`; who watches also sees the `feed`. Their commands go to `commands`.
    pub async fn serve(
        self,
        reports: watch::Receiver<Arc<Report>>,
        feed: Feed,
        commands: mpsc::Sender<Command>,
        metrics: Arc<Metrics>,
    ) {
        // Dropped after the connections, which are declared later.
        let _socket = self.socket;
        let routes = routes::router(reports, feed, commands, metrics, MAX_WATCHERS);
        let own_uid = rustix::process::geteuid().as_raw();
        let mut connections = Connections::new(MAX_CONNECTIONS, MAX_WATCHERS + MAX_REFUSALS);
        loop {
            let stream = connections.next(&self.listener, &"the status socket").await;
            // The mode of the socket keeps everyone else out. Root is let in: it could get in anyway, and nobody else can look
            // after a service whose user exists only while it runs.
            let peer = stream.peer_cred().ok().filter(|peer| peer.uid() == own_uid || peer.uid() == peer::ROOT);
            let Some(peer) = peer else {
                connections.refuse(refuse(stream, Refusal::not_yours()));
                continue;
            };
            let Some(seat) = connections.seat() else {
                connections.refuse(refuse(stream, Refusal::too_many_connections()));
                continue;
            };
            let routes = match peer.pid() {
                Some(pid) => routes.clone().layer(Extension(routes::Peer(pid))),
                None => routes.clone(),
            };
            let routes = routes.layer(Extension(seat.clone()));
            connections.serve(seat, converse(stream, routes));
        }
    }
}

/// Refuses whatever is asked, then closes. Waits for the request first, because clients take an earlier answer for garbage. Reads
/// all of it, because closing with unread bytes could discard the answer.
async fn refuse(mut stream: UnixStream, refusal: Refusal) {
    let refusing = async {
        let mut asked = [0; 1024];
        if stream.read(&mut asked).await? == 0 {
            return Ok(());
        }
        stream.write_all(&refusal.into_wire()).await?;
        stream.shutdown().await?;
        while stream.read(&mut asked).await? > 0 {}
        std::io::Result::Ok(())
    };
    // It does not matter whether the client read it.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, refusing).await;
}
