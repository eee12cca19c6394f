//! `presenced users`: lists the users of accounts with many, or shows one of them.
//!
//! With `--json` it prints the rows as the socket answers them: one on each line in the order of ids, or with USER one object.
//! Leaves to others: the list for people (`table`), clearing everybody (`clear`), and one user (`status/one_user`).

mod clear;
mod table;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::tz::TimeZone;

use super::context::{Context, examples};
use super::daemon_client::request;
use super::error::{Error, Exit};
use super::status::{exit_for, json_line, show_user};
use super::terminal::output::print;
use super::terminal::screen;
use crate::session::State;
use crate::status::users::{MAX_LIMIT, Query, UserRow};
use crate::status::{Client, ClientError};

/// The availabilities that presenced can claim, and nothing.
const AVAILABILITIES: [&str; 5] = ["Available", "Busy", "Away", "DoNotDisturb", "nothing"];

/// The arguments of `users`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced users                       All users, problems first"
    "presenced users --state refused       Those for whom Graph refuses requests"
    "presenced users --presence Busy       Those who should be Busy"
    "presenced users anna                  What is claimed for one user, and why"
    "presenced users --clear               Clear everybody; stop presenced first"
    "presenced users --json | jq -r 'select(.error) | .user'";
    "Exit codes: 0 success; 1 a user shown has a problem; 3 not running; 4 sign-in needed."
))]
pub(super) struct Args {
    /// Show this user, by object id or by name; left out: list all
    #[arg(conflicts_with_all = ["account", "state", "presence"])]
    user: Option<String>,

    /// Show only users of this account; left out: all
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Show only users in this state; left out: all
    #[arg(long, value_name = "STATE", value_parser = states())]
    state: Option<State>,

    /// Show only users who should have this availability; left out: all
    #[arg(long, value_name = "PRESENCE", ignore_case = true, value_parser = AVAILABILITIES)]
    presence: Option<String>,

    /// Print a line of JSON for each user; with USER, one object
    #[arg(long)]
    json: bool,

    /// Clear the presence of all users, after the daemon was stopped; takes 22 s for 1,000 users
    #[arg(long, conflicts_with_all = ["user", "state", "presence", "json"])]
    clear: bool,
}

fn states() -> impl TypedValueParser<Value = State> {
    let words = PossibleValuesParser::new(State::ALL.iter().map(|state| state.as_str()));
    words.map(|word| word.parse().expect("it is one of the words"))
}

/// Runs it.
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let Args { user, account, state, presence, json, clear } = args;
    if clear {
        return clear::run(account.as_deref(), context);
    }
    if let Some(user) = user {
        return show_user(&user, json, context);
    }
    let query = Query { account, state, presence, after: None, limit: MAX_LIMIT };
    let rows = request(context, async |mut client| all(&mut client, query).await)?;
    print(&if json {
        rows.iter().map(json_line).collect()
    } else {
        table::render(&rows, Context::now(), &TimeZone::system(), screen::width())
    })?;
    Ok(exit_for(&rows))
}

/// All users that `query` asks for, page by page.
async fn all(client: &mut Client, mut query: Query) -> Result<Vec<UserRow>, ClientError> {
    let mut rows = Vec::new();
    loop {
        let page = client.users(&query).await?;
        rows.extend(page.users);
        // A page that ends where it began would be asked for again and again.
        if page.next.is_none() || page.next <= query.after {
            return Ok(rows);
        }
        query.after = page.next;
    }
}
