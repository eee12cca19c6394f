//! The emulator's state as `GET /_emulator/state` shows it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::journal::Counts;
use super::model::{Holder, Pair, Person, Session};
use super::options::User;
use super::route::Call;
use presenced_core::time::Now;

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The time in the emulator.
    pub time: Timestamp,
    /// The users by object id.
    pub users: BTreeMap<String, UserState>,
    /// Requests by kind of call.
    pub requests: BTreeMap<Call, Counts>,
    /// How many of them were throttled: answered with 429.
    pub throttled: u64,
    /// Sign-ins by device code that wait for somebody to approve them: the user codes.
    pub devices: Vec<String>,
    /// Sign-ins in a browser that wait for somebody to approve them: their ids.
    pub consents: Vec<String>,
    /// How many faults stand.
    pub faults: usize,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// The user principal name.
    pub principal_name: String,
    /// What others see.
    pub visible: Pair,
    /// Since when.
    pub since: Timestamp,
    /// The sessions by id.
    pub sessions: BTreeMap<String, SessionState>,
    /// The preferred presence.
    pub preferred: Option<Preferred>,
    /// The status message, as it was set.
    pub status_message: Option<serde_json::Value>,
    /// How often a session faded from Available, whether others saw it or not.
    pub fades: u64,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// `true`: an application's; `false`: another client's.
    pub application: bool,
    /// What it was last set to.
    pub set: Pair,
    /// What it stands for now, after fading.
    pub now: Pair,
    /// When it was last set.
    pub set_at: Timestamp,
    /// When it fades to `AvailableInactive`.
    pub fades_at: Option<Timestamp>,
    /// When it fades to Away.
    pub away_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// A preferred presence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferred {
    /// What is preferred.
    #[serde(flatten)]
    pub pair: Pair,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl UserState {
    /// What is known of `person` at `now`, up to which it was advanced.
    pub(super) fn of(user: &User, person: &Person, now: &Now) -> Self {
        Self {
            principal_name: user.principal_name.clone(),
            visible: person.visible(),
            since: person.visible_since(),
            sessions: person
                .sessions()
                .iter()
                .map(|(id, session)| (id.clone(), SessionState::of(session, now)))
                .collect(),
            preferred: person
                .preferred()
                .map(|(pair, expires)| Preferred { pair: pair.clone(), expires_at: now.wall_at(*expires) }),
            status_message: person.status_message.clone(),
            fades: person.fades(),
        }
    }
}

impl SessionState {
    fn of(session: &Session, now: &Now) -> Self {
        let [fades_at, away_at] = session.fade_times().map(|time| time.map(|time| now.wall_at(time)));
        Self {
            application: session.holder == Holder::Application,
            set: session.pair.clone(),
            now: session.pair_at(now.instant),
            set_at: now.wall_at(session.set_at),
            fades_at,
            away_at,
            expires_at: session.expires_at.map(|time| now.wall_at(time)),
        }
    }
}
