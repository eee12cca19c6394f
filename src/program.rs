//! The only place that starts programs. It removes the variables that `{ env = … }` names, so no program gets a configured secret in
//! its environment.
//!
//! Leaves to others: which variables those are ([`Environment::secret_vars`]), and the program's arguments and output.

use std::ffi::OsStr;
use std::io;
use std::process::Command;

use rustix::io::Errno;

use crate::config::Environment;

/// A command that starts `program` without the secrets in `environment`.
#[expect(clippy::disallowed_methods, reason = "this is the one place that starts programs")]
pub(crate) fn command(program: impl AsRef<OsStr>, environment: &Environment) -> Command {
    let mut command = Command::new(program);
    for name in &environment.secret_vars {
        command.env_remove(name);
    }
    command
}

/// The same for a program that the event loop waits for.
pub(crate) fn async_command(program: impl AsRef<OsStr>, environment: &Environment) -> tokio::process::Command {
    command(program, environment).into()
}

/// Whether starting a program failed because of a limit of the system, so that it may work later: the reasons of fork(2) and
/// pipe(2), and a program that is being written (execve(2)).
pub(crate) fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::TXTBSY];
    passing.into_iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
