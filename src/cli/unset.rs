//! `presenced unset`: clears the presence set by hand.

use super::context::{Context, examples};
use super::daemon_client::request;
use super::error::{Error, Exit};
use super::terminal::output::print;

/// The arguments of `unset`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced unset                   Let the rules decide again"
))]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(Args {}: Args, context: &Context) -> Result<Exit, Error> {
    request(context, async |mut client| client.clear_override().await)?;
    print("the rules decide again\n")?;
    Ok(Exit::Ok)
}
