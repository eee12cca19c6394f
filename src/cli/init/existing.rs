//! Compares the flags with an existing configuration. It stays as it is, so a difference is an error that says how to change it.

use std::path::Path;

use super::Args;
use super::questions;
use super::template::Method;
use crate::cli::context::Context;
use crate::cli::error::{Error, Exit};
use crate::config::{Account, Auth, Config};
use crate::suggest;

/// Checks that the configuration contains everything that the flags say. The error lists what it lacks.
pub(super) fn agree(args: &Args, config: &Config, folder: &Path, context: &Context) -> Result<(), Error> {
    let mut differences = accounts(args, config);
    let calendar = config.signals.calendar.clone().unwrap_or_default();
    for (text, source) in args.calendars.iter().zip(questions::sources(args, folder, &context.environment)?) {
        if !calendar.sources.iter().any(|known| known.place == source.means) {
            differences.push(format!("`--calendar {text}`"));
        }
    }
    if args.no_calendar && config.signals.calendar.is_some() {
        differences.push("`--no-calendar`".to_owned());
    }
    for address in &args.identity {
        if !calendar.identity.iter().any(|known| known.eq_ignore_ascii_case(address.trim())) {
            differences.push(format!("`--identity {address}`"));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    let file = context.config.display();
    let text = format!("{file} already exists, and does not have {}", suggest::join(&differences, "and"));
    Err(Error::new(Exit::Usage, text).with_hint(
        "change that file, then: presenced check && presenced reload; without these flags, `presenced init` uses it as it \
         is",
    ))
}

/// What the accounts lack of the flags. The account that lacks the least is the one they most likely mean.
fn accounts(args: &Args, config: &Config) -> Vec<String> {
    let named = |name: &String| args.account.as_ref().is_none_or(|named| named == name);
    let accounts: Vec<&Account> =
        config.accounts.iter().filter(|(name, _)| named(name)).map(|(_, account)| account).collect();
    let missing = accounts.into_iter().map(|account| missing_in_account(args, account)).min_by_key(Vec::len);
    missing.unwrap_or_else(|| args.account.iter().map(|name| format!("`--account {name}`")).collect())
}

fn missing_in_account(args: &Args, account: &Account) -> Vec<String> {
    let mut missing = Vec::new();
    let differs =
        |given: &Option<String>, has: &str| given.clone().filter(|given| !given.trim().eq_ignore_ascii_case(has));
    if let Some(given) = differs(&args.tenant, &account.tenant) {
        missing.push(format!("`--tenant {given}` (but {})", account.tenant));
    }
    if let Some(given) = differs(&args.client_id, &account.client_id) {
        missing.push(format!("`--client-id {given}` (but {})", account.client_id));
    }
    let has_method = match args.method {
        Some(Method::Browser) => account.auth == Auth::Browser,
        Some(Method::DeviceCode) => account.auth == Auth::DeviceCode,
        None => true,
    };
    if !has_method {
        missing.push(format!("`--method` (but {})", account.auth.method()));
    }
    missing
}
