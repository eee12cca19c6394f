//! What every command gets besides its own arguments, and the clock of the command line.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::error::{Error, Exit};
use crate::config::{self, Config, Environment};

/// The end of a command's help: examples, a line each with the command and what it does in two columns, then what else is
/// to be known.
macro_rules! examples {
    ($($line:literal)+ $(; $note:literal)*) => {
        concat!("\u{1b}[1;4mExamples:\u{1b}[0m", $("\n  ", $line,)+ $("\n\n", $note),*)
    };
}
pub(super) use examples;

/// What every command gets besides its own arguments.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) environment: Environment,
    /// `--config`, already resolved against `$PRESENCED_CONFIG` and the default.
    pub(super) config: PathBuf,
    /// `--socket`, already resolved against the default; `None` outside of a login session.
    pub(super) socket: Option<PathBuf>,
}

impl Context {
    /// The status socket, for a command that cannot do without.
    pub(super) fn require_socket(&self) -> Result<&Path, Error> {
        self.socket.as_deref().ok_or_else(|| {
            Error::new(Exit::Usage, "there is no place for the status socket: $XDG_RUNTIME_DIR is not set")
                .with_hint("do this from a login session, or say where the socket is with `--socket`")
        })
    }

    /// Loads the configuration, or says all that is wrong with it.
    pub(super) fn load_config(&self) -> Result<Config, Error> {
        Ok(config::load(&self.config, &self.environment)?)
    }

    /// What time it is. A command has no daemon's clock to ask: it shows times on this machine, from now on.
    #[expect(clippy::disallowed_methods, reason = "the one place on the command line that reads the clock")]
    pub(super) fn now() -> Timestamp {
        Timestamp::now()
    }

    /// What day it is in `zone`.
    pub(super) fn today(zone: &TimeZone) -> jiff::civil::Date {
        Self::now().to_zoned_datetime(zone.clone()).date()
    }
}
