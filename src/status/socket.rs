//! The socket's file: it is created where no other daemon runs, locked against a second daemon, and removed at the end. Or the
//! service manager passes a socket and keeps it.
//!
//! Leaves to others: what happens on the socket ([`super::server`]).

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::peer;
use crate::regular_file::{self, Unfit};

/// The longest socket path: `sun_path` of unix(7) has 108 bytes, including the final NUL.
pub(super) const MAX_PATH_BYTES: usize = 107;

/// How many connections the kernel keeps waiting while the daemon is busy.
const BACKLOG: i32 = 64;

/// The process name of systemd.
const SERVICE_MANAGER: &str = "systemd";

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon runs there.
    #[error("presenced is already running{} at {}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
        /// The daemon's process id; `None` while it is still starting.
        pid: Option<u32>,
    },
    /// The service manager listens there, to start a daemon on demand.
    #[error("systemd holds the socket {} for the service", path.display())]
    Held {
        /// The socket.
        path: PathBuf,
    },
    /// Another user's program listens there.
    #[error("another user listens at {}", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
    },
    /// The service manager passed something that cannot be listened on.
    #[error("systemd passed {found} instead of the status socket")]
    WrongDescriptor {
        /// What it is.
        found: &'static str,
    },
    /// Something else has that name. It is never touched.
    #[error("{} exists but is not a socket", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// Something else has the name of the socket's lock. It is never touched.
    #[error("{} cannot lock the socket: {reason}", path.display())]
    NotALock {
        /// What is there.
        path: PathBuf,
        /// Why it cannot be one.
        reason: String,
    },
    /// The path does not fit a socket address.
    #[error("the socket path {} has {length} bytes; a socket path has at most {MAX_PATH_BYTES}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl BindError {
    /// The command or change that fixes it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => {
                "`presenced status` shows it, and `presenced reload` reloads its configuration; stop it before you run another"
            }
            Self::Held { .. } => {
                "`systemctl --user start presenced` runs it there; to run it by hand, first \
                 `systemctl --user stop presenced.socket presenced`"
            }
            Self::Foreign { .. } => "choose another path with `--socket`, in a folder that only this user may write to",
            Self::WrongDescriptor { .. } => {
                "its unit needs one `ListenStream=` with the path of a Unix socket, and `Accept=no`"
            }
            Self::NotASocket { .. } | Self::NotALock { .. } => "move it away, or choose another path with `--socket`",
            Self::PathTooLong { .. } => "choose a shorter path with `--socket`",
            Self::Io { .. } => "make the folder writable for this user, or choose another path with `--socket`",
        }
    }
}

/// A listening socket that belongs to this process alone. Dropping it removes the file, if it is still the same file.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    /// Device and inode of the file that was bound.
    identity: (u64, u64),
    /// Held as long as the socket: whoever holds the lock may replace the socket's file. The lock file itself is never removed,
    /// because then two processes could hold two locks of the same name.
    _lock: File,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // If this fails, the next daemon replaces the file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`, with mode 0600. A missing folder is created with mode 0700. A socket that nothing answers on is replaced.
pub(super) fn listen(path: &Path) -> Result<(Socket, UnixListener), BindError> {
    let length = path.as_os_str().len();
    if length > MAX_PATH_BYTES {
        return Err(BindError::PathTooLong { path: path.to_owned(), length });
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(io_error("create the folder", folder))?;
    }
    let lock = lock(path)?;
    remove_stale(path)?;

    let failed = |action| move |errno: Errno| io_error(action, path)(errno.into());
    let address = SocketAddrUnix::new(path).map_err(failed("name a socket"))?;
    let socket = new_socket().map_err(failed("create a socket for"))?;
    rustix::net::bind(&socket, &address).map_err(failed("bind"))?;
    // Nobody can connect before `listen`, so the mode that the umask left never matters.
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io_error("set the mode of", path))?;
    let identity = identity(path).map_err(io_error("look at", path))?;
    rustix::net::listen(&socket, BACKLOG).map_err(failed("listen at"))?;
    // For programs that watch the folder: the socket appeared before it accepted connections, so it changes once more now.
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io_error("set the mode of", path))?;
    Ok((Socket { path: path.to_owned(), identity, _lock: lock }, UnixListener::from(socket)))
}

/// Listens on a socket that the service manager created and passed. The manager keeps the socket when this daemon is gone, so its
/// file stays. No lock is needed, because the manager starts one daemon at a time.
pub(super) fn adopt(passed: OwnedFd) -> Result<UnixListener, BindError> {
    let wrong = |found| BindError::WrongDescriptor { found };
    match (sockopt::socket_domain(&passed), sockopt::socket_type(&passed), sockopt::socket_acceptconn(&passed)) {
        (Err(_), ..) => Err(wrong("something that is not a socket")),
        (Ok(family), ..) if family != AddressFamily::UNIX => Err(wrong("a network socket")),
        (Ok(_), Ok(SocketType::STREAM), Ok(true)) => {
            let listener = UnixListener::from(passed);
            listener.set_nonblocking(true).map_err(|_| wrong("a socket that cannot be waited for"))?;
            touch(&listener);
            Ok(listener)
        }
        (Ok(_), Ok(SocketType::STREAM), _) => Err(wrong("a connection")),
        (Ok(_), ..) => Err(wrong("a socket without connections")),
    }
}

/// For programs that watch the folder for a new daemon, as `listen` does it. The file and its mode belong to the service manager. If
/// it cannot be touched, only those programs notice.
fn touch(listener: &UnixListener) {
    let address = listener.local_addr().ok();
    if let Some(path) = address.as_ref().and_then(|address| address.as_pathname()) {
        let _ = std::fs::metadata(path).and_then(|found| std::fs::set_permissions(path, found.permissions()));
    }
}

/// Takes the lock beside the socket, so that if two daemons start at the same moment, only one continues.
fn lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let lock = regular_file::open_or_create(&lock_path).map_err(|unfit| match unfit {
        Unfit::Io(error) => io_error("create the lock file", &lock_path)(error),
        Unfit::NotRegular(_) | Unfit::Foreign | Unfit::TooLarge(_) => {
            BindError::NotALock { path: lock_path.clone(), reason: unfit.to_string() }
        }
    })?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => {
            let pid = match probe(path) {
                Probe::Alive { pid } => pid,
                Probe::Foreign => return Err(BindError::Foreign { path: path.to_owned() }),
                Probe::Held | Probe::Stale | Probe::Failed(_) => None,
            };
            Err(BindError::InUse { path: path.to_owned(), pid })
        }
        Err(errno) => Err(io_error("lock", &lock_path)(errno.into())),
    }
}

/// Removes a socket that nothing answers on any more.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("look at", path)(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match probe(path) {
        Probe::Alive { pid } => Err(BindError::InUse { path: path.to_owned(), pid }),
        Probe::Held => Err(BindError::Held { path: path.to_owned() }),
        Probe::Foreign => Err(BindError::Foreign { path: path.to_owned() }),
        Probe::Stale => match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("remove the stale socket", path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        },
        Probe::Failed(error) => Err(io_error("connect to", path)(error)),
    }
}

/// Whether anything listens on a socket.
enum Probe {
    /// A process does; the kernel says which.
    Alive { pid: Option<u32> },
    /// The service manager does, whether or not a daemon runs.
    Held,
    /// A process of another user does.
    Foreign,
    /// Nothing does.
    Stale,
    /// Unknown.
    Failed(io::Error),
}

/// Tries to connect, without waiting. A listener with a full queue is alive too.
fn probe(path: &Path) -> Probe {
    let connected = new_socket().and_then(|socket| {
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    });
    match connected {
        Ok(socket) => {
            let peer = sockopt::socket_peercred(&socket).ok();
            if peer.as_ref().is_some_and(|peer| !peer::may_answer(peer.uid.as_raw())) {
                return Probe::Foreign;
            }
            let pid = peer.map(|peer| peer.pid.as_raw_nonzero().get());
            if pid.and_then(peer::comm).as_deref() == Some(SERVICE_MANAGER) {
                return Probe::Held;
            }
            Probe::Alive { pid: pid.map(i32::cast_unsigned) }
        }
        Err(Errno::AGAIN) => Probe::Alive { pid: None },
        Err(Errno::CONNREFUSED | Errno::NOENT) => Probe::Stale,
        Err(errno) => Probe::Failed(errno.into()),
    }
}

fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BindError {
    let path = path.to_owned();
    move |source| BindError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::net::TcpListener;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use rustix::fs::inotify;
    use tempfile::TempDir;

    use super::*;

    fn found(passed: impl Into<OwnedFd>) -> &'static str {
        match adopt(passed.into()) {
            Err(BindError::WrongDescriptor { found }) => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_listening_unix_socket_is_adopted() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("s");
        assert_eq!(found(File::open("/dev/null").unwrap()), "something that is not a socket");
        assert_eq!(found(TcpListener::bind("127.0.0.1:0").unwrap()), "a network socket");
        assert_eq!(found(UnixDatagram::unbound().unwrap()), "a socket without connections");
        assert_eq!(found(UnixStream::pair().unwrap().0), "a connection");
        let taken = adopt(UnixListener::bind(&path).unwrap().into()).unwrap();
        let none = taken.accept().unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock, "only the event loop waits for it");
        drop(taken);
        assert!(path.exists(), "the file belongs to the service manager");
    }

    #[test]
    fn a_daemon_that_adopts_a_socket_is_seen_by_those_who_watch_the_folder() {
        let folder = TempDir::new().unwrap();
        let passed = UnixListener::bind(folder.path().join("s")).unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, folder.path(), inotify::WatchFlags::ATTRIB).unwrap();
        adopt(passed.into()).unwrap();
        let mut room = [MaybeUninit::uninit(); 1024];
        let mut news = inotify::Reader::new(&watch, &mut room);
        assert_eq!(news.next().unwrap().file_name(), Some(c"s"));
    }
}
