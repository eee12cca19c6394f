//! Socket activation (`sd_listen_fds(3)`): the status socket that systemd made, and passed to the program it started.

use std::os::fd::{FromRawFd as _, OwnedFd};

use crate::cli::error::{Error, Exit};

/// The socket that was passed to this process, if one was. To be called once, and before there are threads.
#[expect(unsafe_code, reason = "a descriptor that is only a number has no owner yet, and the environment no lock")]
pub(in crate::cli) fn passed_socket() -> Result<Option<OwnedFd>, Error> {
    // SAFETY: there is no other thread yet that could read the environment.
    let passed = unsafe { sd_notify::listen_fds_and_unset_env() };
    let mut passed = passed.map_err(|error| wrong(&format!("what systemd passed cannot be taken: {error}")))?;
    match (passed.next(), passed.len()) {
        (None, _) => Ok(None),
        // SAFETY: this number was passed to this process for it to use, it is open, since `listen_fds` set a flag on it, and nobody
        // else takes it: the variables that tell of it are gone.
        (Some(socket), 0) => Ok(Some(unsafe { OwnedFd::from_raw_fd(socket) })),
        (Some(_), more) => Err(wrong(&format!("systemd passed {} sockets, and presenced has one", more + 1))),
    }
}

fn wrong(text: &str) -> Error {
    Error::new(Exit::Usage, text)
        .with_hint("have one `ListenStream=` in the unit of the socket, as in presenced.socket")
}
