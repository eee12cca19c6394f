//! Opens a page in the person's browser.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use crate::config::Environment;
use crate::program;

/// Asks the desktop to open `url`, by `xdg-open`, and does not wait for what comes of it: whether that is seen, only the person
/// knows, who has the address on the terminal as well. The terminal stays ours: nothing is written there, and Ctrl-C does
/// not end the browser.
pub(super) fn open(url: &str, environment: &Environment) {
    let mut command = program::command("xdg-open", environment);
    let started =
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn();
    if let Err(error) = started {
        tracing::debug!(%error, "xdg-open cannot be run");
    }
}
