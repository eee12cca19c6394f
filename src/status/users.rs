//! Many users on the socket: what may be asked about them and set for them, and the rows that are answered.
//!
//! Leaves to others: the routes (`routes/users`), and who the users are (`daemon/fleet`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::report::{Asserted, Pair};
use super::request::{Invalid, SignalName, SignalValue, parse_claim, parse_ttl};
use crate::policy::{CallState, Claim};
use crate::session::State;

/// The name under which a user's call state is set.
pub(crate) const CALL: &str = "call";

/// How many rows one answer has if the request does not say.
pub(super) const DEFAULT_LIMIT: usize = 1000;

/// The most that one answer has.
pub const MAX_LIMIT: usize = 10_000;

/// Which users, at most how many, and from where on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only those of this account.
    pub account: Option<String>,
    /// Only those whose session does this.
    pub state: Option<State>,
    /// Only those who should have this availability, or `nothing`.
    pub presence: Option<String>,
    /// Only those whose id comes after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRow {
    /// The object id.
    pub user: String,
    /// The name in the users file.
    pub name: Option<String>,
    /// The account that holds the presence.
    pub account: String,
    /// What the session is doing.
    pub state: State,
    /// What the decision asks for; `None`: nothing.
    pub desired: Option<Pair>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Why, in one clause.
    pub because: String,
    /// Since when this rule has asked for this presence.
    pub since: Option<Timestamp>,
    /// When the decision changes by itself.
    pub until: Option<Timestamp>,
    /// What Graph last confirmed; `None`: nothing, or only a read has shown it.
    pub asserted: Option<Asserted>,
    /// What is set for this user alone, by name: `call`, `override`, `signal.NAME`.
    pub signals: BTreeMap<String, String>,
    /// Why the last request failed.
    pub error: Option<String>,
}

/// The answer to `GET /v1/users`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The users in the order of their ids.
    pub users: Vec<UserRow>,
    /// What to ask for next with `after`; `None`: these were all.
    pub next: Option<String>,
}

/// Whom a change is for. Without a user, for the whole account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// The id or the name of one of many users.
    pub user: Option<String>,
    /// The name of the account; `None`: the one that has this user.
    pub account: Option<String>,
}

impl Whom {
    /// One of many users.
    pub fn user(user: &str) -> Self {
        Self { user: Some(user.to_owned()), account: None }
    }
}

/// One change for one user or one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Holds this by hand, for some time or until unset.
    SetOverride(Claim, Option<Duration>),
    /// Back to the rules.
    ClearOverride,
    /// Sets the call state.
    SetCall(CallState, Option<Duration>),
    /// Forgets the call state.
    ClearCall,
    /// Sets a signal.
    SetSignal(String, String, Option<Duration>),
    /// Forgets a signal.
    ClearSignal(String),
}

impl UserChange {
    /// Sets the signal `name`, which may be `call`.
    pub(super) fn set(name: &str, value: &str, ttl: Option<&str>) -> Result<Self, Invalid> {
        Self::signal(name, value, ttl.map(parse_ttl).transpose()?)
    }

    /// The same with the time to live as a duration.
    pub fn signal(name: &str, value: &str, ttl: Option<Duration>) -> Result<Self, Invalid> {
        if name == CALL {
            let state = value.parse().map_err(|()| Invalid {
                code: "bad-signal-value",
                message: format!("`{value}` is not a call state"),
                hint: "use idle, in-call, conference or presenting".to_owned(),
            })?;
            return Ok(Self::SetCall(state, ttl));
        }
        let (name, value) = (name.parse::<SignalName>()?, value.parse::<SignalValue>()?);
        Ok(Self::SetSignal(name.into(), value.into(), ttl))
    }

    /// Forgets the signal `name`, which may be `call`.
    pub fn clear(name: &str) -> Result<Self, Invalid> {
        if name == CALL { Ok(Self::ClearCall) } else { Ok(Self::ClearSignal(name.parse::<SignalName>()?.into())) }
    }

    /// Whether something is set, and not forgotten.
    pub(crate) fn is_setting(&self) -> bool {
        match self {
            Self::SetOverride(..) | Self::SetCall(..) | Self::SetSignal(..) => true,
            Self::ClearOverride | Self::ClearCall | Self::ClearSignal(_) => false,
        }
    }

    /// Holds `presence` by hand.
    pub(super) fn hold(presence: &str, ttl: Option<&str>) -> Result<Self, Invalid> {
        Ok(Self::SetOverride(parse_claim(presence)?, ttl.map(parse_ttl).transpose()?))
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// No account has this user, or not the one that was named.
    UnknownUser,
    /// There is no such account.
    UnknownAccount,
    /// One sentence.
    Refused(String),
}

/// A command about users.
#[derive(Debug)]
pub enum UsersCommand {
    /// `PUT` and `DELETE /v1/users/{user}/…`, those of `/v1/override` and `/v1/signals/{name}` with an `account`, and each line of
    /// `POST /v1/users/signals`.
    Change {
        /// For whom, and what; in order.
        changes: Vec<(Whom, UserChange)>,
        /// The program that sets it, for people to see; `None`: unknown.
        writer: Option<String>,
        /// The outcomes in the same order.
        reply: oneshot::Sender<Vec<Result<(), NotDone>>>,
    },
    /// `GET /v1/users`.
    List {
        /// Which.
        query: Query,
        /// The answer; `None`: there is no such account.
        reply: oneshot::Sender<Option<Page>>,
    },
    /// `GET /v1/users/{user}`.
    Show {
        /// The id or the name.
        user: String,
        /// The answer; `None`: no account has this user.
        reply: oneshot::Sender<Option<UserRow>>,
    },
}

/// One line of `POST /v1/users/signals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The id or the name.
    pub user: String,
    /// The account that has this user; left out, whichever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The signal's name, or `call`.
    pub signal: String,
    /// Its value; `null` or left out unsets it.
    #[serde(default)]
    pub value: Option<String>,
    /// After how long it becomes unknown; if omitted, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// The answer to `POST /v1/users/signals`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// How many lines are in force.
    pub accepted: usize,
    /// The others.
    pub errors: Vec<LineError>,
}

/// Why one line is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineError {
    /// Which line, from 1.
    pub line: usize,
    /// The error's code.
    pub code: String,
    /// What is wrong, and what to do.
    pub message: String,
}
