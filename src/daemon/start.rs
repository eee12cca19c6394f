//! What a daemon needs to start, and why it may not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{self, Config, Environment};
use crate::failure::Failure;
use crate::signals::{Buses, FileWatcher};
use crate::status::{BindError, Listen};
use crate::time::Clock;

/// What a daemon needs to start.
pub struct Options {
    /// The first configuration.
    pub config: Config,
    /// The file to read it from again on reload; `None`: reloading is not possible.
    pub config_file: Option<PathBuf>,
    /// The folders and variables of its environment.
    pub environment: Environment,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The status socket.
    pub socket: Listen,
    /// The history's file; `None`: no history is kept.
    pub history: Option<PathBuf>,
    /// The file that keeps what is set through the socket over a restart; `None`: a restart forgets it.
    pub kept: Option<PathBuf>,
    /// The D-Bus addresses.
    pub buses: Buses,
    /// Watches the files of all signals, and the file that names the time zone.
    pub file_watcher: FileWatcher,
}

/// The file in the state folder that keeps what is set through `socket`.
///
/// # Errors
/// The path is relative, and the current folder no longer exists.
pub fn kept_path(state_dir: &Path, socket: &Path) -> io::Result<PathBuf> {
    config::state_file(state_dir, "kept", socket, "json")
}

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The status socket is not available.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// An account cannot be set up.
    #[error("account `{account}`: {failure}")]
    Account {
        /// Its name.
        account: String,
        /// Why.
        failure: Failure,
    },
    /// Another process holds the only account's session.
    #[error("account `{account}`: {failure}")]
    Held {
        /// Its name.
        account: String,
        /// Who holds it.
        failure: Failure,
    },
    /// The operating system refuses something.
    #[error("cannot {what}: {source}")]
    System {
        /// What the daemon tried to do.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}
