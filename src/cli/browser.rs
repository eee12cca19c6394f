//! Opens a page in the user's browser.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use crate::config::Environment;
use crate::program;

/// Asks the desktop to open `url` with `xdg-open`, and does not wait for the result: only the user knows whether the page
/// appeared, and the terminal also shows the address. The browser writes nothing to the terminal, and Ctrl-C does not end it.
pub(super) fn open(url: &str, environment: &Environment) {
    let mut command = program::command("xdg-open", environment);
    let started =
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn();
    if let Err(error) = started {
        tracing::debug!(%error, "xdg-open cannot be run");
    }
}
