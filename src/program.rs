//! Starts programs. Nothing else does, so that no program gets a secret of the configuration in its environment: the variables
//! that `{ env = … }` names are taken out here, for every program alike.
//!
//! Leaves to others: which variables those are ([`Environment::secret_vars`]), and what the program is told and may print.

use std::ffi::OsStr;
use std::process::Command;

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

/// The same for a program that is waited for on the event loop.
pub(crate) fn async_command(program: impl AsRef<OsStr>, environment: &Environment) -> tokio::process::Command {
    command(program, environment).into()
}
