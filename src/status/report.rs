//! The report: the whole state as `GET /v1/status` shows it. The shape is a contract (version 1): fields are added, never
//! changed. Times are RFC 3339.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::file_watch::Watched;
pub use crate::session::State;
use crate::warning::{Code, Severity};

/// The whole state of the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// presenced's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
    /// When the daemon started.
    pub started_at: Timestamp,
    /// The worst health of everything below.
    pub health: Health,
    /// The accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// The signals by name; `signal.NAME` for those set through the socket.
    pub signals: BTreeMap<String, Signal>,
    /// The manual override in force.
    #[serde(rename = "override")]
    pub manual: Option<Override>,
    /// Everything that is wrong now.
    pub warnings: Vec<Warning>,
}

/// How healthy something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Everything works.
    Ok,
    /// It works, but without something that is configured.
    Degraded,
    /// The presence is not being kept.
    Failing,
}

impl Health {
    /// All three, best first.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Degraded, Self::Failing];
}

/// One account's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// What the session is doing.
    pub state: State,
    /// What the decision asks for; `None`: nothing.
    pub desired: Option<Pair>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Why, in one clause.
    pub because: String,
    /// What presenced would claim if it knew more; left out if that changes nothing, or if an older daemon does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
    /// Since when this rule has asked for this presence; `None`: nothing was decided yet, or an older daemon does not report it.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// When the decision changes by itself.
    pub until: Option<Timestamp>,
    /// What Graph last confirmed; `None`: nothing.
    pub asserted: Option<Asserted>,
    /// The preferred presence that presenced set and Graph last confirmed; `None`: presenced has set none.
    pub preferred: Option<Preferred>,
    /// What others saw when that was last read back; `None`: not since the last change, or `verify` is off.
    pub seen: Option<Seen>,
    /// The session's next wake-up.
    pub next: Option<Next>,
    /// Requests since the start.
    pub requests: Requests,
    /// The last failure, until a request succeeds.
    pub last_error: Option<LastError>,
    /// The sign-in; `None`: there was no token yet.
    pub sign_in: Option<SignIn>,
    /// What is worth knowing about it although nothing is wrong, for people; left out if there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its users, if it holds the presence of many; left out otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
}

/// Stands in [`Users::presences`] for those who should have none.
pub const NOTHING: &str = "nothing";

/// The users of an account with many, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Users {
    /// How many there are.
    pub count: usize,
    /// How many sessions are in each state.
    pub states: BTreeMap<String, usize>,
    /// How many should have each pair (`Available/Available`), or [`NOTHING`].
    pub presences: BTreeMap<String, usize>,
    /// The share of the rate that keepalives for these presences need: 1.0 is all of it.
    pub planned_load: f64,
    /// How much of the rate is used now.
    pub rate: Rate,
    /// What waits to be sent.
    pub waiting: Waiting,
    /// When the next of their presences fades or expires unless it is set again; `None`: none whose time this daemon knows.
    pub next_deadline: Option<Timestamp>,
    /// How many should hold a presence that has faded or expired.
    pub faded: usize,
    /// How often that has happened since the start.
    pub fades: u64,
    /// For how many the last request failed for a reason of their own.
    pub with_problems: usize,
    /// Some of them, at most 20.
    pub problems: Vec<UserProblem>,
}

/// How much of the rate is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many requests this daemon sent in the last `per_seconds`.
    pub used: u32,
    /// How many Graph allows in that time.
    pub requests: u32,
    /// That time.
    pub per_seconds: u64,
}

/// What waits to be sent, or to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Changes and clears.
    pub changes: Queue,
    /// Keepalives that are due and not done yet.
    pub keepalives: Queue,
}

/// Users who wait for the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many.
    pub count: usize,
    /// Since when the first of them has waited; `None`: nobody waits.
    pub oldest: Option<Timestamp>,
}

/// A user whose last request failed for a reason of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserProblem {
    /// The object id.
    pub user: String,
    /// The name in the users file.
    pub name: Option<String>,
    /// What went wrong.
    pub text: String,
    /// How to fix it.
    pub hint: Option<String>,
}

/// A presence that is not claimed because something is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The presence; `None`: a rule that claims nothing.
    pub presence: Option<Pair>,
    /// The names of the signals that are unknown.
    pub unknown: Vec<String>,
}

/// Who signed in, and what the newest token permits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The method's name in the configuration.
    pub method: String,
    /// The user's object id; `None`: the application signed in, or the token does not say.
    pub user: Option<String>,
    /// The user's name; often an e-mail address.
    pub username: Option<String>,
    /// The tenant's directory id.
    pub tenant: Option<String>,
    /// What the token permits, as far as it says.
    pub permissions: Vec<String>,
    /// Whose permissions these are; `None`: the token does not say.
    pub kind: Option<PermissionKind>,
    /// When the token expires. It is renewed before that.
    pub token_expires_at: Option<Timestamp>,
    /// Why the last renewal failed; `None`: it succeeded, or was not needed yet.
    pub renewal_error: Option<String>,
}

/// Whose permissions a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionKind {
    /// A signed-in user's.
    Delegated,
    /// The application's own.
    Application,
}

/// A pair as Graph writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Availability.
    pub availability: String,
    /// Activity.
    pub activity: String,
}

impl From<crate::presence::Presence> for Pair {
    fn from(presence: crate::presence::Presence) -> Self {
        Self { availability: presence.availability().to_owned(), activity: presence.activity().to_owned() }
    }
}

/// What Graph holds for this session, as far as it confirmed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asserted {
    /// Availability.
    pub availability: String,
    /// Activity.
    pub activity: String,
    /// When the confirmed request was sent.
    pub sent_at: Timestamp,
    /// When Graph fades it; `None`: it does not fade.
    pub fades_at: Option<Timestamp>,
    /// When Graph drops it.
    pub expires_at: Timestamp,
}

/// The user's preferred presence, if presenced set it. It replaces every session in what others see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preferred {
    /// Availability.
    pub availability: String,
    /// Activity: the same word.
    pub activity: String,
    /// When the confirmed request was sent.
    pub sent_at: Timestamp,
    /// When Graph drops it.
    pub expires_at: Timestamp,
}

/// What others see, as Graph aggregates it from all sessions and the preferred presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Availability, which may be any of Graph's words.
    pub availability: String,
    /// Activity, the same.
    pub activity: String,
    /// When it was read.
    pub at: Timestamp,
}

/// The next wake-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Next {
    /// When.
    pub at: Timestamp,
    /// Why: `keepalive`, `retry`, `retry-after`, `coalesce`, `look-again`.
    pub why: String,
}

/// Counts of requests to Graph, including reads of what others see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// All requests that were sent.
    pub sent: u64,
    /// Those that failed, including throttled ones.
    pub failed: u64,
    /// Those answered with 429.
    pub throttled: u64,
}

/// The last failure of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    /// When it happened.
    pub at: Timestamp,
    /// What went wrong.
    pub text: String,
    /// How to fix it.
    pub hint: Option<String>,
}

/// A signal's present state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The value, `unknown`, `off`, or `each user` or `each account` if each has one of their own.
    pub value: String,
    /// Since when it has that value.
    pub since: Timestamp,
    /// Where it comes from.
    pub source: String,
    /// How healthy the source is.
    pub health: Health,
    /// Why it is unknown, as a clause; left out if it is known, or if nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the value changes by itself; absent if that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How changes of its files are noticed; absent if it does not come from files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Watched>,
}

/// A manual override.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Override {
    /// The pair as `Availability/Activity`, or `nothing`.
    pub presence: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// A warning in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and where.
    pub text: String,
    /// How to fix it.
    pub hint: String,
    /// Since when.
    pub since: Timestamp,
}

/// The word for a plain enum of the report ([`State`], [`Health`], [`Code`]) in JSON, so that people and metrics see the same
/// words as programs.
pub fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}
