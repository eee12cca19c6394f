//! `presenced reload`: makes the daemon reload its configuration.

use super::context::{Context, examples};
use super::daemon_client::request;
use super::error::{Error, Exit};
use super::terminal::output::print;

/// The arguments of `reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced check && presenced reload";
    "An invalid configuration is refused, and the last valid one stays in force.";
    "Exit codes: 0 in force; 2 refused; 3 not running."
))]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(Args {}: Args, context: &Context) -> Result<Exit, Error> {
    request(context, async |mut client| client.reload().await)?;
    print("the new configuration is in force\n")?;
    Ok(Exit::Ok)
}
