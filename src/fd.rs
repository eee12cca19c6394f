//! A file descriptor as a source of events for the event loop: a timer, a process, a socket.
//!
//! Leaves to others: what is read from it.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets the event loop wait until `fd` is readable. The descriptor must not block. Needs a Tokio runtime.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    with_interest(fd, Interest::READABLE)
}

/// Lets the event loop wait until `fd` has something urgent (`POLLPRI`). Needs a Tokio runtime.
pub(crate) fn urgent(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    with_interest(fd, Interest::PRIORITY)
}

fn with_interest(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "its replacement is unsafe; an `OwnedFd` keeps its descriptor open, as that requires"
    )]
    AsyncFd::with_interest(fd, interest)
}
