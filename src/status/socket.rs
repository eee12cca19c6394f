//! The socket's place in the file system: taking it from nobody who lives, giving it to nobody else, and leaving it clean; or
//! taking over one that the service manager keeps.
//!
//! Leaves to others: what is spoken over it ([`super::server`]).

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::peer;

/// The longest socket path in bytes: `sun_path` of unix(7) holds 108 with the closing NUL.
pub(super) const MAX_PATH: usize = 107;

/// Connections the kernel keeps waiting while the daemon is busy with something else.
const BACKLOG: i32 = 64;

/// What systemd's processes call themselves.
const SERVICE_MANAGER: &str = "systemd";

/// Why the socket could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A daemon lives there.
    #[error("presenced already runs{} at {}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
        /// The daemon's process id; `None` while it is still starting.
        pid: Option<u32>,
    },
    /// The service manager listens there, to start a daemon when somebody asks.
    #[error("systemd holds the socket {} for the service", path.display())]
    Held {
        /// The socket.
        path: PathBuf,
    },
    /// What the service manager passed is no socket to listen at.
    #[error("systemd passed {found} in place of the status socket")]
    WrongDescriptor {
        /// What it is.
        found: &'static str,
    },
    /// Something else has that name; it is never touched.
    #[error("{} exists and is no socket", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// The path does not fit a socket address.
    #[error("the socket path {} has {length} bytes; a socket path has at most {MAX_PATH}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The file system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
}

impl BindError {
    /// The command or change that mends it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => {
                "`presenced status` shows it, `presenced reload` makes it read its configuration again; stop it first to \
                 run another"
            }
            Self::Held { .. } => {
                "`systemctl --user start presenced` runs it there; to run it by hand, first \
                 `systemctl --user stop presenced.socket presenced`"
            }
            Self::WrongDescriptor { .. } => {
                "its unit has one `ListenStream=` with the path of a Unix socket, and `Accept=no`"
            }
            Self::NotASocket { .. } => "move it out of the way, or choose another place with `--socket`",
            Self::PathTooLong { .. } => "choose a shorter path with `--socket`",
            Self::Io { .. } => "make the folder writable for this user, or choose another place with `--socket`",
        }
    }
}

/// A listening socket that is this process's alone. Dropping it removes the file, if it is still the same file.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    /// Device and inode of the file that was bound.
    identity: (u64, u64),
    /// Held as long as the socket is: whoever holds the lock may replace the file. The lock file itself is never
    /// removed, because removing it would let two processes hold two locks of one name.
    _lock: File,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // It is the last deed, and a file that stays is replaced by the next daemon.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes `path`, and listens there with mode 0600. A missing folder is made with mode 0700; a socket that nobody answers
/// is replaced.
pub(super) fn listen(path: &Path) -> Result<(Socket, UnixListener), BindError> {
    let length = path.as_os_str().len();
    if length > MAX_PATH {
        return Err(BindError::PathTooLong { path: path.to_owned(), length });
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(io_error("make the folder", folder))?;
    }
    let lock = lock(path)?;
    clear_the_way(path)?;

    let failed = |action| move |errno: Errno| io_error(action, path)(errno.into());
    let address = SocketAddrUnix::new(path).map_err(failed("name a socket"))?;
    let socket = new_socket().map_err(failed("make a socket for"))?;
    rustix::net::bind(&socket, &address).map_err(failed("bind"))?;
    // Nobody can connect before `listen`, so that the mode the umask left never counts.
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io_error("set the mode of", path))?;
    let identity = identity(path).map_err(io_error("look at", path))?;
    rustix::net::listen(&socket, BACKLOG).map_err(failed("listen at"))?;
    // For those who watch the folder for the socket: it showed up before it could be connected to.
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io_error("set the mode of", path))?;
    Ok((Socket { path: path.to_owned(), identity, _lock: lock }, UnixListener::from(socket)))
}

/// Listens at a socket that the service manager made and passed. It goes on holding the socket when this daemon is gone, so its
/// file stays, and no lock is needed: the manager starts one daemon at a time.
pub(super) fn adopt(passed: OwnedFd) -> Result<UnixListener, BindError> {
    let wrong = |found| BindError::WrongDescriptor { found };
    match (sockopt::socket_domain(&passed), sockopt::socket_type(&passed), sockopt::socket_acceptconn(&passed)) {
        (Err(_), ..) => Err(wrong("what is no socket")),
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

/// For those who watch the folder for a daemon's coming, as `listen` does it. The file is the service manager's, mode and all: that
/// it cannot be touched costs only them.
fn touch(listener: &UnixListener) {
    let address = listener.local_addr().ok();
    if let Some(path) = address.as_ref().and_then(|address| address.as_pathname()) {
        let _ = std::fs::metadata(path).and_then(|found| std::fs::set_permissions(path, found.permissions()));
    }
}

/// Takes the lock beside the socket, so that of two daemons that start at one moment only one goes on.
fn lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let nofollow = OFlags::NOFOLLOW.bits().cast_signed();
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nofollow)
        .open(&lock_path)
        .map_err(io_error("create the lock file", &lock_path))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => {
            let pid = match probe(path) {
                Probe::Lives { pid } => pid,
                Probe::Held | Probe::Stale | Probe::Failed(_) => None,
            };
            Err(BindError::InUse { path: path.to_owned(), pid })
        }
        Err(errno) => Err(io_error("lock", &lock_path)(errno.into())),
    }
}

/// Removes a socket nobody answers any more.
fn clear_the_way(path: &Path) -> Result<(), BindError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("look at", path)(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match probe(path) {
        Probe::Lives { pid } => Err(BindError::InUse { path: path.to_owned(), pid }),
        Probe::Held => Err(BindError::Held { path: path.to_owned() }),
        Probe::Stale => match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("remove the stale socket", path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        },
        Probe::Failed(error) => Err(io_error("connect to", path)(error)),
    }
}

/// Whether anybody listens at a socket.
enum Probe {
    /// Somebody does; the kernel says who.
    Lives { pid: Option<u32> },
    /// The service manager does, whether or not a daemon runs.
    Held,
    /// Nobody does.
    Stale,
    /// It cannot be told.
    Failed(io::Error),
}

/// Tries to connect, without waiting: a listener whose queue is full lives too.
fn probe(path: &Path) -> Probe {
    let connected = new_socket().and_then(|socket| {
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    });
    match connected {
        Ok(socket) => {
            let pid = sockopt::socket_peercred(&socket).ok().map(|peer| peer.pid.as_raw_nonzero().get());
            if pid.and_then(peer::comm).as_deref() == Some(SERVICE_MANAGER) {
                return Probe::Held;
            }
            Probe::Lives { pid: pid.map(i32::cast_unsigned) }
        }
        Err(Errno::AGAIN) => Probe::Lives { pid: None },
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
    fn only_a_listening_unix_socket_is_taken_over() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("s");
        assert_eq!(found(File::open("/dev/null").unwrap()), "what is no socket");
        assert_eq!(found(TcpListener::bind("127.0.0.1:0").unwrap()), "a network socket");
        assert_eq!(found(UnixDatagram::unbound().unwrap()), "a socket without connections");
        assert_eq!(found(UnixStream::pair().unwrap().0), "a connection");
        let taken = adopt(UnixListener::bind(&path).unwrap().into()).unwrap();
        let none = taken.accept().unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock, "it is waited for by the event loop alone");
        drop(taken);
        assert!(path.exists(), "the file is the service manager's");
    }

    #[test]
    fn whoever_watches_the_folder_hears_of_a_daemon_that_takes_a_socket_over() {
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
