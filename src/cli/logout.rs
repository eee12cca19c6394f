//! `presenced logout`: deletes a stored sign-in.

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
    "presenced logout             Sign out of the only account"
    "presenced logout contoso     Sign out of one of several accounts"
))]
pub(super) struct Args {
    /// The account; may be left out if there is only one
    account: Option<String>,
}

/// Runs it. A named account need not be in the configuration any more.
pub(super) fn run(Args { account }: Args, context: &Context) -> Result<Exit, Error> {
    let name = match account {
        Some(name) => name,
        None => choose(None, &context.load_config()?)?.0,
    };
    // Looks in every store: the configuration may have named another one when the sign-in was stored.
    let was_signed_in = block_on(auth::logout(&name, TokenStore::Auto, &context.environment, tell_locked))??;
    if was_signed_in {
        reload_daemon(context);
        anstream::println!("Signed out of `{name}` on this machine.");
    } else {
        anstream::println!("Account `{name}` was not signed in.");
    }
    Ok(Exit::Ok)
}
