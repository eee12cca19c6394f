//! The context that every command gets in addition to its own arguments, and the clock of the command line.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::{Error, Exit};
use crate::config::{self, Config, Environment};

/// The end of a command's help: first the examples, one per line, with the command and what it does in two columns; then the
/// notes.
macro_rules! examples {
    ($($line:literal)+ $(; $note:literal)*) => {
        concat!("\u{1b}[1;4mExamples:\u{1b}[0m", $("\n  ", $line,)+ $("\n\n", $note),*)
    };
}
pub(super) use examples;

/// What every command gets in addition to its own arguments.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) environment: Environment,
    /// `--config`, already resolved against `$PRESENCED_CONFIG` and the default.
    pub(super) config: PathBuf,
    /// `--socket`, already resolved against the default; `None` outside a login session.
    pub(super) socket: Option<PathBuf>,
}

impl Context {
    /// The status socket, for a command that needs it.
    pub(super) fn require_socket(&self) -> Result<&Path, Error> {
        self.socket.as_deref().ok_or_else(|| {
            Error::new(Exit::Usage, "no location is available for the status socket: $XDG_RUNTIME_DIR is not set")
                .with_hint("run this in a login session, or give the path of the socket with `--socket`")
        })
    }

    /// Loads the configuration, or returns all its problems.
    pub(super) fn load_config(&self) -> Result<Config, Error> {
        Ok(config::load(&self.config, &self.environment)?)
    }

    /// The current time. Commands use this machine's clock, not the daemon's.
    #[expect(clippy::disallowed_methods, reason = "the one place on the command line that reads the clock")]
    pub(super) fn now() -> Timestamp {
        Timestamp::now()
    }
}
