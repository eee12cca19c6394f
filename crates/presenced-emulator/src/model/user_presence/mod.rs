//! One user's presence: sessions that fade and expire, the preferred presence, and what others see as a result.
//!
//! Source: Graph API reference, `presence: setPresence` and `Manage presence state using the Microsoft Graph API`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::timeline::History;
use super::{Availability, Cause, Pair, StatusMessage, Timeline, WorkLocations};
use presenced_core::time::{Instant, Now};

/// How long a session stays Available after it was last set, and then how long it stays `AvailableInactive`.
const FADE_STEP: Duration = Duration::from_mins(5);

/// Who opened a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionOwner {
    /// An application, through Graph.
    Application,
    /// Another client, such as Teams on a desktop.
    Client,
}

/// Why others see what they see of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The user has no session, so others see Offline. A preferred presence has no effect.
    NoSession,
    /// The preferred presence hides the sessions.
    Preferred,
    /// There is only this session.
    OnlySession,
    /// The session's availability is the strongest.
    Strongest,
    /// Of the sessions with the strongest availability, it is the one that has not faded (inferred).
    NotFaded,
    /// Of equally strong sessions, it was set last (inferred).
    SetLast,
}

/// One presence session, as it was last set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Who opened it.
    pub(crate) owner: SessionOwner,
    /// What it was set to.
    pub(crate) pair: Pair,
    /// When it was last set.
    pub(crate) set_at: Instant,
    /// Whether it fades. An application's Available does. A client that watches its user refreshes its own session.
    pub(crate) fades: bool,
    /// When it expires; `None` if it stays until its client ends it.
    pub(crate) expires_at: Option<Instant>,
}

impl Session {
    /// When it fades to `AvailableInactive` and then to Away, unless it expires first.
    pub(crate) fn fade_times(&self) -> [Option<Instant>; 2] {
        [FADE_STEP, FADE_STEP * 2].map(|after| {
            let at = self.set_at + after;
            (self.fades && self.expires_at.is_none_or(|end| at < end)).then_some(at)
        })
    }

    /// What it counts as at `at`, if it still exists then.
    pub(crate) fn pair_at(&self, at: Instant) -> Pair {
        let [inactive, away] = self.fade_times().map(|time| time.is_some_and(|time| time <= at));
        match (inactive, away) {
            (false, _) => self.pair.clone(),
            (true, false) => Pair::new(Availability::Available, "AvailableInactive"),
            (true, true) => Pair::new(Availability::Away, "Away"),
        }
    }
}

/// The presence of one user.
#[derive(Debug)]
pub(crate) struct UserPresence {
    sessions: BTreeMap<String, Session>,
    preferred: Option<(Pair, Instant)>,
    status_message: Option<StatusMessage>,
    locations: WorkLocations,
    /// How often anything changed that a read shows.
    version: u64,
    fades: u64,
    expired: u64,
    history: History,
    as_of: Instant,
}

impl UserPresence {
    /// A user without sessions, whose timeline keeps the newest `max_changes` changes.
    pub(crate) fn new(now: &Now, max_changes: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            preferred: None,
            status_message: None,
            locations: WorkLocations::default(),
            version: 0,
            fades: 0,
            expired: 0,
            history: History::new(now.wall, max_changes),
            as_of: now.instant,
        }
    }

    /// Sets the session `id`, and replaces an existing one. It must not expire at `now` already.
    pub(crate) fn set(&mut self, id: &str, session: Session, now: &Now) {
        self.advance(now);
        let cause = match session.owner {
            SessionOwner::Application => Cause::Set,
            SessionOwner::Client => Cause::Client,
        };
        self.sessions.insert(id.to_owned(), session);
        self.note(now.wall, cause);
    }

    /// Ends the session `id` of `owner`. Returns `false` if there is no such session.
    pub(crate) fn clear(&mut self, id: &str, owner: SessionOwner, now: &Now) -> bool {
        self.advance(now);
        if self.sessions.get(id).is_none_or(|session| session.owner != owner) {
            return false;
        }
        self.sessions.remove(id);
        self.note(
            now.wall,
            match owner {
                SessionOwner::Application => Cause::Cleared,
                SessionOwner::Client => Cause::Client,
            },
        );
        true
    }

    /// Sets the preferred presence, for `expires_after`.
    pub(crate) fn prefer(&mut self, pair: Pair, expires_after: Duration, now: &Now) {
        self.advance(now);
        self.preferred = Some((pair, now.instant + expires_after));
        self.note(now.wall, Cause::Preferred);
    }

    /// Ends the preferred presence, if there is one.
    pub(crate) fn clear_preferred(&mut self, now: &Now) {
        self.advance(now);
        self.preferred = None;
        self.note(now.wall, Cause::PreferredCleared);
    }

    /// Sets the status message, or removes it.
    pub(crate) fn set_status_message(&mut self, message: Option<StatusMessage>) {
        self.status_message = message;
        self.version += 1;
    }

    /// Changes where the user works.
    pub(crate) fn change_locations(&mut self, change: impl FnOnce(&mut WorkLocations)) {
        change(&mut self.locations);
        self.version += 1;
    }

    /// Applies every fade and expiry up to `now`, each at its exact time.
    pub(crate) fn advance(&mut self, now: &Now) {
        while let Some(at) = self.next_change().filter(|at| *at <= now.instant) {
            self.as_of = at;
            let ended =
                self.sessions.extract_if(.., |_, session| session.expires_at.is_some_and(|end| end <= at)).count();
            let faded = self.sessions.values().filter(|session| session.fade_times().contains(&Some(at))).count();
            let inactive = self.sessions.values().filter(|session| session.fade_times()[0] == Some(at)).count();
            self.fades += inactive as u64;
            self.expired += ended as u64;
            self.preferred.take_if(|preferred| preferred.1 <= at);
            let cause = match (ended, faded) {
                (0, 0) => Cause::PreferredExpired,
                (0, _) => Cause::Faded,
                _ => Cause::Expired,
            };
            self.note(now.wall_at(at), cause);
        }
        self.as_of = self.as_of.max(now.instant);
    }

    /// What others see as of the last [`advance`](Self::advance): the preferred presence if the user has any session, otherwise
    /// the strongest session. Of equally strong sessions a fresh one wins over a faded one, then the one set last (inferred).
    pub(crate) fn visible(&self) -> Pair {
        let strongest = self.sessions.values().max_by_key(|session| self.strength(session));
        match (strongest, &self.preferred) {
            (None, _) => Pair::offline(),
            (Some(_), Some((preferred, _))) => preferred.clone(),
            (Some(session), None) => session.pair_at(self.as_of),
        }
    }

    /// Why others see that, and the session that they see or would see without the preferred presence.
    pub(crate) fn reason(&self) -> (Reason, Option<&str>) {
        let mut strongest: Vec<_> = self.sessions.iter().map(|(id, session)| (self.strength(session), id)).collect();
        strongest.sort_by_key(|(strength, _)| *strength);
        let Some(((availability, fresh, _), id)) = strongest.pop() else { return (Reason::NoSession, None) };
        let reason = match strongest.pop() {
            _ if self.preferred.is_some() => Reason::Preferred,
            None => Reason::OnlySession,
            Some((second, _)) if second.0 != availability => Reason::Strongest,
            Some((second, _)) if second.1 != fresh => Reason::NotFaded,
            Some(_) => Reason::SetLast,
        };
        (reason, Some(id))
    }

    /// What decides between sessions, the most important first: the availability, whether it is still what was set, and when that
    /// was.
    fn strength(&self, session: &Session) -> (Availability, bool, Instant) {
        let pair = session.pair_at(self.as_of);
        (pair.availability, pair == session.pair, session.set_at)
    }

    /// The status message that is shown at `now`.
    pub(crate) fn status_message(&self, now: Timestamp) -> Option<&StatusMessage> {
        self.status_message.as_ref().filter(|message| message.is_shown_at(now))
    }

    /// Where the user works.
    pub(crate) fn locations(&self) -> &WorkLocations {
        &self.locations
    }

    /// A number that grows with each change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Since when others see that.
    pub(crate) fn visible_since(&self) -> Timestamp {
        self.history.since()
    }

    /// How many times a session of this user faded from Available.
    pub(crate) fn fades(&self) -> u64 {
        self.fades
    }

    /// How many sessions of this user expired.
    pub(crate) fn expired(&self) -> u64 {
        self.expired
    }

    /// The sessions by id.
    pub(crate) fn sessions(&self) -> &BTreeMap<String, Session> {
        &self.sessions
    }

    /// The preferred presence and when it expires.
    pub(crate) fn preferred(&self) -> Option<&(Pair, Instant)> {
        self.preferred.as_ref()
    }

    /// What others saw over time.
    pub(crate) fn timeline(&self) -> Timeline {
        self.history.timeline()
    }

    /// The time of the next fade or expiry after the last [`advance`](Self::advance).
    pub(crate) fn next_change(&self) -> Option<Instant> {
        let sessions = self.sessions.values().flat_map(|session| {
            let [inactive, away] = session.fade_times();
            [inactive, away, session.expires_at]
        });
        sessions
            .chain([self.preferred.as_ref().map(|preferred| preferred.1)])
            .flatten()
            .filter(|at| *at > self.as_of)
            .min()
    }

    fn note(&mut self, at: Timestamp, cause: Cause) {
        self.version += 1;
        let visible = self.visible();
        self.history.note(at, visible, cause);
    }
}

#[cfg(test)]
mod tests;
