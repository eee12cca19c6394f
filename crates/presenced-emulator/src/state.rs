//! The emulator's state as `GET /_emulator/state` shows it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::journal::RequestCounts;
use super::model::{Pair, Reason, Session, SessionOwner, UserPresence};
use super::options::User;
use super::route::Call;
use presenced_core::fill::Fill as _;
use presenced_core::time::Now;

/// The emulator's whole state at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The emulator's time.
    pub time: Timestamp,
    /// All users in numbers.
    pub summary: Summary,
    /// The users by object id. Left out if the directory has more than 20, unless they are asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, UserState>,
    /// All requests since the start, by kind of call.
    pub requests: BTreeMap<Call, RequestCounts>,
    /// How many requests were answered with 429, by the throttle or by a fault.
    pub throttled: u64,
    /// The user codes of device code sign-ins that wait for approval.
    pub devices: Vec<String>,
    /// The ids of browser sign-ins that wait for approval.
    pub consents: Vec<String>,
    /// How many faults are active.
    pub faults: usize,
}

/// All users in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many users the directory has.
    pub users: usize,
    /// How many users others see with each presence, such as `Busy/InACall`.
    pub visible: BTreeMap<String, usize>,
    /// How many times a session faded from Available to `AvailableInactive`, whether others saw it or not.
    pub fades: u64,
    /// How many sessions expired.
    pub expired: u64,
    /// How many requests were answered with 429: the same as [`State::throttled`].
    pub throttled: u64,
    /// When the throttle admitted the most requests.
    pub busiest: Busiest,
}

/// The window of the throttle in which the most requests of one application in one tenant were admitted. Each part of a batch
/// counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busiest {
    /// How many.
    pub requests: usize,
    /// The window's length: 30 seconds, unless the options say otherwise.
    pub window: SignedDuration,
    /// When the window ended; `None` before the first request.
    pub until: Option<Timestamp>,
}

/// Which users a state has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownUsers {
    /// All, unless there are more than 20.
    IfFew,
    All,
    /// The first 20.
    First,
    /// The one at this place of the directory.
    One(usize),
}

/// One user's presence at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// The user principal name.
    pub principal_name: String,
    /// What others see of the user.
    pub visible: Pair,
    /// Since when others see that.
    pub since: Timestamp,
    /// Why others see that.
    pub reason: Reason,
    /// The id of the session that others see, or would see without the preferred presence; `None` if there is no session.
    pub winner: Option<String>,
    /// The open sessions by id.
    pub sessions: BTreeMap<String, SessionState>,
    /// The preferred presence, if one is set.
    pub preferred: Option<PreferredPresence>,
    /// The status message in Graph's JSON, until it expires.
    pub status_message: Option<serde_json::Value>,
    /// How many times a session faded from Available to `AvailableInactive`, whether others saw it or not.
    pub fades: u64,
}

/// One open session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// `true` for a session that an application set through Graph, `false` for one of another client.
    pub application: bool,
    /// What it was last set to.
    pub set: Pair,
    /// What it counts as now, after fading.
    pub now: Pair,
    /// When it was last set.
    pub set_at: Timestamp,
    /// When it fades to `AvailableInactive`; `None` if it does not fade or expires first.
    pub fades_at: Option<Timestamp>,
    /// When it fades to Away; `None` if it does not fade or expires first.
    pub away_at: Option<Timestamp>,
    /// When it expires; `None` if its client ends it.
    pub expires_at: Option<Timestamp>,
}

/// A preferred presence, which hides the sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferredPresence {
    /// What is preferred.
    #[serde(flatten)]
    pub pair: Pair,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl UserState {
    /// The state of `presence` at `now`. The presence must have been advanced to `now`.
    pub(super) fn of(user: &User, presence: &UserPresence, now: &Now) -> Self {
        let (reason, winner) = presence.reason();
        Self {
            principal_name: user.principal_name.clone(),
            visible: presence.visible(),
            since: presence.visible_since(),
            reason,
            winner: winner.map(ToOwned::to_owned),
            sessions: presence
                .sessions()
                .iter()
                .map(|(id, session)| (id.clone(), SessionState::of(session, now)))
                .fill(),
            preferred: presence
                .preferred()
                .map(|(pair, expires)| PreferredPresence { pair: pair.clone(), expires_at: now.wall_at(*expires) }),
            status_message: presence.status_message(now.wall).map(|message| message.resource(true)),
            fades: presence.fades(),
        }
    }
}

impl SessionState {
    fn of(session: &Session, now: &Now) -> Self {
        let [fades_at, away_at] = session.fade_times().map(|time| time.map(|time| now.wall_at(time)));
        Self {
            application: session.owner == SessionOwner::Application,
            set: session.pair.clone(),
            now: session.pair_at(now.instant),
            set_at: now.wall_at(session.set_at),
            fades_at,
            away_at,
            expires_at: session.expires_at.map(|time| now.wall_at(time)),
        }
    }
}
