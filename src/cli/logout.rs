//! `presenced logout`: forgets a sign-in.

use super::accounts::{choose, tell_locked};
use super::context::{Context, examples};
use super::daemon_client::reload_daemon;
use super::error::{Error, Exit};
use super::runtime::block_on;
use crate::auth;
use crate::config::TokenStore;

/// The arguments of `logout`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced logout             Forget the sign-in of the only account"
    "presenced logout contoso     Forget that of one of several"
))]
pub(super) struct Args {
    /// The account; may be left out when there is only one
    account: Option<String>,
}

/// Runs it. An account that is named need not be in the configuration any more.
pub(super) fn run(Args { account }: Args, context: &Context) -> Result<Exit, Error> {
    let name = match account {
        Some(name) => name,
        None => choose(None, &context.load_config()?)?.0,
    };
    // Wherever it is: the configuration may have said something else when it was stored.
    let was_signed_in = block_on(auth::logout(&name, TokenStore::Auto, &context.environment, tell_locked))??;
    if was_signed_in {
        reload_daemon(context);
        anstream::println!("Signed out of `{name}` on this machine.");
    } else {
        anstream::println!("Nobody was signed in to `{name}`.");
    }
    Ok(Exit::Ok)
}
