//! `presenced unset`: clears the presence set by hand.

use super::context::{Context, examples};
use super::daemon_client::request;
use super::error::{Error, Exit};
use super::terminal::output::print;
use super::terminal::text::printable;
use crate::status::users::UserChange;

/// The arguments of `unset`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced unset                   Let the rules decide again"
    "presenced unset --user anna       For one of many users"
))]
pub(super) struct Args {
    /// For this user alone, by object id or by name; left out: for this machine
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Runs it.
pub(super) fn run(Args { user }: Args, context: &Context) -> Result<Exit, Error> {
    request(context, async |mut client| match &user {
        None => client.clear_override().await,
        Some(user) => client.change_user(user, &UserChange::ClearOverride).await,
    })?;
    print(&match user {
        None => "the rules decide again\n".to_owned(),
        Some(user) => format!("the rules decide again for {}\n", printable(&user)),
    })?;
    Ok(Exit::Ok)
}
