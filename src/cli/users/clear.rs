//! `presenced users --clear`: clears the presence of whole fleets, after presenced was stopped for good.

use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::error::{Error, Exit};
use crate::cli::runtime::block_on;
use crate::cli::terminal::output::print;
use crate::cli::terminal::progress::Progress;
use crate::daemon::clear_users;
use crate::daemon::clock::SystemClock;

/// Clears the users of this account, or of all accounts with users.
pub(super) fn run(account: Option<&str>, context: &Context) -> Result<Exit, Error> {
    let config = context.load_config()?;
    let environment = context.environment.clone().hiding_secrets_of(&config);
    let wanted = |name: &str| account.is_none_or(|account| account == name);
    let accounts: Vec<_> = config.accounts.iter().filter(|(name, of)| wanted(name) && of.users.is_some()).collect();
    if accounts.is_empty() {
        let text = account.map_or_else(
            || "no account has `users`".to_owned(),
            |account| format!("no account `{account}` has `users`"),
        );
        return Err(Error::new(Exit::Usage, text).with_hint("`presenced check` shows the accounts"));
    }
    for (name, account) in accounts {
        let progress = Progress::new(&format!("Clearing the users of {name}"));
        let show = |done, all| progress.change(format!("Clearing the users of {name}: {done} of {all}"));
        let clock = Arc::new(SystemClock::real());
        let cleared = block_on(clear_users(name, account.clone(), &environment, clock, show))??;
        drop(progress);
        let (users, s) = (cleared.users, if cleared.users == 1 { "" } else { "s" });
        let crate::status::report::Requests { sent, failed, .. } = cleared.requests;
        print(&format!("{name}: {users} user{s} cleared with {sent} requests, {failed} of which failed\n"))?;
    }
    Ok(Exit::Ok)
}
