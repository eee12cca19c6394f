//! The user's compositors and X servers that are running, and waiting for one to start or to end.
//!
//! A socket where compositors and X servers have theirs is not enough: a crash leaves it behind. One that accepts a connection has
//! a server, and the kernel says which process that is (`SO_PEERCRED`). The connection is closed at once. From then on a pidfd
//! reports the end of the process, and `file_watch` reports that a socket appears, so nothing polls. Leaves to others: where the
//! sockets may be (`signals::displays`), and which session a server belongs to (`screen`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::select_all;
use tokio::net::UnixStream;

use crate::file_watch::FileWatch;
use crate::signals::backoff::{Backoff, until, within};
use crate::signals::displays::existing;
use crate::signals::process::Process;
use crate::signals::{Context, Displays};
use crate::time::{Clock, Instant};

/// How long a server may take to accept a connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a socket that refuses connections is tried. The server of a new socket may not listen yet; a socket that a crash
/// has left behind stays dead.
const MAX_DEAD_TRIES: u32 = 3;

/// The variable that names a process's session (`pam_systemd(8)`).
const SESSION_ID: &[u8] = b"XDG_SESSION_ID=";

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Wayland,
    X11,
}

/// A compositor or an X server that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) protocol: Protocol,
    pub(super) pid: i32,
    /// The session that its environment names.
    pub(super) session_id: Option<String>,
    /// The name of its program: `niri`, `Xorg`.
    pub(super) program: String,
}

/// All of them. While nobody looks for them, nothing is watched.
pub(super) struct Servers<'a> {
    context: &'a Context,
    displays: &'a Displays,
    watching: Option<Watching>,
}

/// What was found, and what would change it.
struct Watching {
    files: FileWatch,
    running: Vec<(Server, Process)>,
    /// Something changed since the last look.
    stale: bool,
    backoff: Backoff,
    tries: u32,
    /// When to try again what failed.
    retry_at: Option<Instant>,
}

impl<'a> Servers<'a> {
    /// Does not look yet.
    pub(super) const fn new(context: &'a Context, displays: &'a Displays) -> Self {
        Self { context, displays, watching: None }
    }

    /// Those that are running now. From now on, changes of them are watched.
    pub(super) async fn look(&mut self) -> impl Iterator<Item = &Server> {
        let watching = self.watching.get_or_insert_with(|| Watching {
            files: self.context.file_watcher.subscribe(),
            running: Vec::new(),
            stale: true,
            backoff: Backoff::new(),
            tries: 0,
            retry_at: None,
        });
        if watching.stale {
            watching.look(&*self.context.clock, self.displays).await;
        }
        watching.running.iter().map(|(server, _)| server)
    }

    /// Stops watching.
    pub(super) fn rest(&mut self) {
        self.watching = None;
    }

    /// Waits until others may be running.
    pub(super) async fn changed(&mut self) {
        match &mut self.watching {
            Some(watching) => watching.changed(&*self.context.clock).await,
            None => std::future::pending().await,
        }
    }
}

impl Watching {
    async fn look(&mut self, clock: &dyn Clock, displays: &Displays) {
        let wayland = displays.wayland_sockets();
        let sockets: Vec<PathBuf> = wayland.iter().cloned().chain(displays.x11_sockets()).collect();
        let found = self.files.scan(|| existing(&sockets));
        self.running.clear();
        let mut failed = false;
        for socket in found {
            let protocol = if wayland.contains(&socket) { Protocol::Wayland } else { Protocol::X11 };
            match server_at(clock, protocol, &socket).await {
                Ok(Some(server)) => self.running.push(server),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(socket = %socket.display(), %error, "display");
                    failed = true;
                }
            }
        }
        let again = !self.files.failures().is_empty() || failed && self.tries < MAX_DEAD_TRIES;
        self.retry_at = again.then(|| self.backoff.next(clock.now().instant));
        self.stale = false;
    }

    async fn changed(&mut self, clock: &dyn Clock) {
        tokio::select! {
            _ = self.files.changed(clock) => (self.backoff, self.tries) = (Backoff::new(), 0),
            () = one_ends(&self.running) => (self.backoff, self.tries) = (Backoff::new(), 0),
            () = until(clock, self.retry_at) => self.tries += 1,
        }
        self.stale = true;
    }
}

async fn one_ends(running: &[(Server, Process)]) {
    if running.is_empty() {
        return std::future::pending().await;
    }
    select_all(running.iter().map(|(_, process)| Box::pin(process.ended()))).await;
}

/// The server that listens at a socket. `None`: its process cannot be found, as in another PID namespace.
async fn server_at(clock: &dyn Clock, protocol: Protocol, socket: &Path) -> io::Result<Option<(Server, Process)>> {
    let connected = within(clock, ANSWER_TIMEOUT, UnixStream::connect(socket)).await;
    let stream = connected.ok_or(io::ErrorKind::TimedOut)??;
    let Some(pid) = stream.peer_cred()?.pid() else { return Ok(None) };
    let Some(process) = Process::open(pid)? else { return Ok(None) };
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned();
    // A program with capabilities does not let its environment be read.
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let session_id = session_id(&environment);
    Ok(Some((Server { protocol, pid, session_id, program }, process)))
}

/// The session that an environment names.
fn session_id(environment: &[u8]) -> Option<String> {
    let value = environment.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(SESSION_ID))?;
    String::from_utf8(value.to_owned()).ok().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_read_from_the_environment() {
        assert_eq!(session_id(b"HOME=/root\0XDG_SESSION_ID=c2\0LANG=C\0").as_deref(), Some("c2"));
        assert_eq!(session_id(b"XDG_SESSION_ID=\0"), None);
        assert_eq!(session_id(b"NOT_XDG_SESSION_ID=4\0"), None);
        assert_eq!(session_id(b""), None);
    }
}
