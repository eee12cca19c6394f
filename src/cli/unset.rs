//! `presenced unset`: clears the presence set by hand.

use super::context::{Context, examples};
use super::daemon_client::request;
use super::error::{Error, Exit};
use super::terminal::output::print;
use super::whom::WhomArgs;
use crate::status::users::UserChange;

/// The arguments of `unset`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced unset                   Let the rules decide again"
    "presenced unset --user anna       For one of many users"
    "presenced unset --account work    For one of several accounts"
))]
pub(super) struct Args {
    #[command(flatten)]
    whom: WhomArgs,
}

/// Runs it.
pub(super) fn run(Args { whom }: Args, context: &Context) -> Result<Exit, Error> {
    request(context, async |mut client| match whom.some() {
        None => client.clear_override().await,
        Some(whom) => client.change(&whom, &UserChange::ClearOverride).await,
    })?;
    print(&format!("the rules decide again{}\n", whom.shown()))?;
    Ok(Exit::Ok)
}
