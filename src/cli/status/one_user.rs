//! One user of an account with many: `presenced status --user USER` and `presenced users USER`.

use jiff::tz::TimeZone;

use super::view::render_user;
use crate::cli::context::Context;
use crate::cli::daemon_client::request;
use crate::cli::error::{Error, Exit};
use crate::cli::terminal::output::print;
use crate::cli::terminal::screen;
use crate::session::State;
use crate::status::users::UserRow;

/// Shows this user, by object id or by name.
pub(in crate::cli) fn show_user(user: &str, json: bool, context: &Context) -> Result<Exit, Error> {
    let row = request(context, async |mut client| client.user(user).await)?;
    let text =
        if json { json_line(&row) } else { render_user(&row, Context::now(), &TimeZone::system(), screen::width()) };
    print(&text)?;
    Ok(exit_for(std::slice::from_ref(&row)))
}

/// The row as a line of JSON.
pub(in crate::cli) fn json_line(row: &UserRow) -> String {
    serde_json::to_string(row).expect("the keys of a row are strings") + "\n"
}

/// The exit code for these users.
pub(in crate::cli) fn exit_for(rows: &[UserRow]) -> Exit {
    if rows.iter().any(|row| row.state == State::SignInNeeded) {
        Exit::SignInNeeded
    } else if rows.iter().any(has_problem) {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

/// Whether the presence of this user may not be what it should be.
pub(in crate::cli) fn has_problem(row: &UserRow) -> bool {
    row.error.is_some()
        || match row.state {
            State::Refused | State::SignInNeeded | State::Retrying | State::Throttled => true,
            State::Starting | State::Holding | State::Released | State::Stopping => false,
        }
}
