//! What matters most about an account, or one of its users: a few words, with their style.

use anstyle::Style;

use super::{GREEN, PLAIN, RED, YELLOW, count, pair};
use crate::session::State;
use crate::status::report::{Account, Pair, Users};

/// An account in a few words, with their style.
pub(in crate::cli) fn headline(account: &Account) -> (Style, String) {
    match &account.users {
        Some(users) => headline_of_many(account.state, users),
        None => headline_of(account.state, account.desired.as_ref()),
    }
}

/// An account with one user, or one of many, in a few words.
pub(super) fn headline_of(state: State, desired: Option<&Pair>) -> (Style, String) {
    let desired = desired.map_or_else(|| "nothing".to_owned(), pair);
    let words = match state {
        State::Holding => desired,
        State::Released | State::Stopping => state_words(state).to_owned(),
        State::Starting | State::Retrying | State::Throttled | State::SignInNeeded | State::Refused => {
            format!("{}; wants {desired}", state_words(state))
        }
    };
    (state_style(state), words)
}

/// An account with many users in a few words.
fn headline_of_many(state: State, users: &Users) -> (Style, String) {
    let count = count(users.count);
    let words = if state == State::Holding { count } else { format!("{}; {count}", state_words(state)) };
    let faded = if users.faded == 0 { String::new() } else { format!(", {} faded", users.faded) };
    let problems = match users.with_problems {
        0 => String::new(),
        1 => ", 1 with a problem".to_owned(),
        many => format!(", {many} with problems"),
    };
    let style =
        if state == State::Holding && users.with_problems + users.faded > 0 { YELLOW } else { state_style(state) };
    (style, words + &faded + &problems)
}

/// A state for people.
fn state_words(state: State) -> &'static str {
    match state {
        State::Released => "nothing claimed",
        State::SignInNeeded => "sign-in needed",
        State::Refused => "refused by Microsoft Graph",
        State::Holding | State::Starting | State::Retrying | State::Throttled | State::Stopping => state.as_str(),
    }
}

/// The style of whatever is in this state.
pub(in crate::cli) fn state_style(state: State) -> Style {
    match state {
        State::Holding => GREEN,
        State::Released => PLAIN,
        State::Starting | State::Retrying | State::Throttled | State::Stopping => YELLOW,
        State::SignInNeeded | State::Refused => RED,
    }
}
