//! Socket activation (`sd_listen_fds(3)`): the status socket that systemd created and passed to this program.

use std::os::fd::{FromRawFd as _, OwnedFd};

use crate::cli::error::{Error, Exit};

/// The socket that was passed to this process, if any. Call it once, and before there are threads.
#[expect(unsafe_code, reason = "a bare descriptor number has no owner, and the environment has no lock")]
pub(in crate::cli) fn passed_socket() -> Result<Option<OwnedFd>, Error> {
    // SAFETY: there is no other thread yet that could read the environment.
    let passed = unsafe { sd_notify::listen_fds_and_unset_env() };
    let mut passed =
        passed.map_err(|error| wrong(&format!("the sockets that systemd passed cannot be used: {error}")))?;
    match (passed.next(), passed.len()) {
        (None, _) => Ok(None),
        // SAFETY: systemd passed this descriptor for this process to use. It is open, because `listen_fds` set a flag on it. Nothing
        // else uses it, because the variables that announce it are removed.
        (Some(socket), 0) => Ok(Some(unsafe { OwnedFd::from_raw_fd(socket) })),
        (Some(_), more) => Err(wrong(&format!("systemd passed {} sockets, but presenced uses only one", more + 1))),
    }
}

fn wrong(text: &str) -> Error {
    Error::new(Exit::Usage, text)
        .with_hint("use exactly one `ListenStream=` in the socket unit, as in presenced.socket")
}
