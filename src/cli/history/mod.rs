//! `presenced history`: shows what was claimed, why, and when it was unconfirmed. It works without a running daemon.
//!
//! With `--json` it prints one object:
//!
//! ```json
//! {"version": 1, "from": "…", "to": "…", "skipped_lines": 0,
//!  "accounts": {"work": {"held_seconds": 32400, "unconfirmed_seconds": 4, "spans": [
//!    {"from": "…", "to": "…", "kind": "held", "presence": "Busy/InACall", "rule": "call", "because": "call is in-call (baresip)",
//!     "unconfirmed": [{"from": "…", "to": "…", "state": "retrying"}]}]}}}
//! ```
//!
//! With `--user`, each account has `user`, the object id. Without it, accounts with many users are only named, in
//! `accounts_with_users`.
//!
//! `kind` is `held` (`presence` is null if nothing was claimed), `starting`, `asleep` or `not-running`; the last three have no
//! `presence` and no later keys. Leaves to others: the file (`history/`), turning its records into spans (`timeline`), the
//! output (`view`, `json`), and who a user is (`whom`).

mod json;
mod timeline;
mod view;
mod whom;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::moment::{Since, since};
use super::runtime::block_on;
use super::terminal::output::print;
use super::terminal::screen;
use crate::history::{self, Whose};
use crate::status::Client;
use crate::suggest;

/// How far back it looks by default.
const DEFAULT_SINCE: SignedDuration = SignedDuration::from_hours(24);

/// The arguments of `history`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced history                     The last day"
    "presenced history --since 2h          The last two hours"
    "presenced history --since 09:00       Since 9 o'clock today"
    "presenced history --user anna         One of many users"
    "presenced history --json | jq '.accounts.work.unconfirmed_seconds'";
    "Unconfirmed: Microsoft Graph may not have held the presence, because a request was under way, failed or got no answer, or \
     the presence had faded. Two days are kept, unless [history] says otherwise, without meeting titles and addresses.";
    "Of many users, a change that Graph has within a second is one line. A user who has left is found by object id."
))]
pub(super) struct Args {
    /// Start: how long ago, a time today, a date, or a date with a time [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,

    /// Show only this account; left out: all
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Show this user of an account with many, by object id or by name
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Print the history as JSON
    #[arg(long)]
    json: bool,
}

/// The history to show.
struct History {
    zone: TimeZone,
    /// `[from, to)`.
    window: (Timestamp, Timestamp),
    /// The one user that is shown, as on the command line and by object id.
    user: Option<String>,
    user_id: Option<String>,
    accounts: BTreeMap<String, timeline::Timeline>,
    /// The accounts with many users, none of whom is shown.
    of_many: BTreeSet<String>,
    /// How many lines of the file could not be read.
    skipped: usize,
}

/// Runs it.
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let socket = context.require_socket()?;
    let zone = TimeZone::system();
    let now = Context::now();
    let from = args.since.unwrap_or(Since::Ago(DEFAULT_SINCE)).instant(now, &zone);
    if from >= now {
        let error = Error::new(Exit::Usage, "the history would start in the future");
        return Err(error.with_hint("give a `--since` in the past, like 2h or 09:00"));
    }
    let path = history::path(&context.environment.state_dir, socket).map_err(|error| {
        Error::new(Exit::Failed, format!("`--socket` is relative to a folder that no longer exists: {error}"))
    })?;
    let user_id = args.user.as_deref().map(|user| whom::object_id(user, context)).transpose()?;
    let whose = user_id.as_deref().map_or(Whose::Accounts, Whose::User);
    let read = history::read(&path, whose).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            let hint =
                "the daemon writes it, unless [history] has `enabled = false`; each `--socket` has its own history";
            return Error::new(Exit::Failed, format!("there is no history yet at {}", path.display())).with_hint(hint);
        }
        Error::new(Exit::Failed, format!("the history {} cannot be read: {error}", path.display()))
            .with_hint("run this as the user who runs presenced")
    })?;
    let runs = block_on(async { Client::connect(socket).await.is_ok() })?;
    let mut accounts = timeline::timelines(&read.records, (from, now), runs, read.alive_at);
    let mut of_many = if user_id.is_some() { BTreeSet::new() } else { read.of_many };
    if let Some(user) = args.user.as_ref().filter(|_| accounts.is_empty()) {
        let error = Error::new(Exit::Failed, format!("the history has nothing about the user `{user}` for this time"));
        return Err(error.with_hint("look further back with `--since 48h`"));
    }
    if let Some(only) = &args.account {
        if !accounts.contains_key(only) && !of_many.contains(only) {
            let error = Error::new(Exit::Failed, format!("the history has no account `{only}`"));
            let names = suggest::list(accounts.keys().chain(&of_many).map(String::as_str), "and");
            return Err(error.with_hint(if names.is_empty() {
                "look further back with `--since 48h`".to_owned()
            } else {
                format!("it has {names}")
            }));
        }
        accounts.retain(|name, _| name == only);
        of_many.retain(|name| name == only);
    }
    let history =
        History { zone, window: (from, now), user: args.user, user_id, accounts, of_many, skipped: read.skipped };
    print(&if args.json { json::render(&history) } else { view::render(&history, screen::width()) })?;
    Ok(Exit::Ok)
}
