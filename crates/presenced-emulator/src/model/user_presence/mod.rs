//! One person's presence: their sessions with both clocks, the presence they prefer, and what others see of all that.
//!
//! Source: Graph API reference, `presence: setPresence` and `Manage presence state using the Microsoft Graph API`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::timeline::Record;
use super::{Availability, Cause, Pair, Timeline};
use presenced_core::time::{Instant, Now};

/// How long a session stays Available after it was last set, and how long `AvailableInactive` after that.
const FADE: Duration = Duration::from_mins(5);

/// Whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// An application's, set through Graph.
    Application,
    /// Another client's, such as Teams on a desktop.
    Client,
}

/// One presence session, as it was last set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Whose it is.
    pub(crate) holder: Holder,
    /// What it was set to.
    pub(crate) pair: Pair,
    /// When it was last set.
    pub(crate) set_at: Instant,
    /// Whether it fades: an application's Available does; a client that watches its user keeps itself fresh.
    pub(crate) fades: bool,
    /// When it ends; `None`: when its client ends it.
    pub(crate) expires_at: Option<Instant>,
}

impl Session {
    /// When it fades to `AvailableInactive` and to Away, if it lives that long.
    pub(crate) fn fade_times(&self) -> [Option<Instant>; 2] {
        [FADE, FADE * 2].map(|after| {
            let at = self.set_at + after;
            (self.fades && self.expires_at.is_none_or(|end| at < end)).then_some(at)
        })
    }

    /// What it stands for at `at`, given that it lives then.
    pub(crate) fn pair_at(&self, at: Instant) -> Pair {
        let [inactive, away] = self.fade_times().map(|time| time.is_some_and(|time| time <= at));
        match (inactive, away) {
            (false, _) => self.pair.clone(),
            (true, false) => Pair::new(Availability::Available, "AvailableInactive"),
            (true, true) => Pair::new(Availability::Away, "Away"),
        }
    }
}

/// One person.
#[derive(Debug)]
pub(crate) struct Person {
    sessions: BTreeMap<String, Session>,
    preferred: Option<(Pair, Instant)>,
    /// Graph's `presenceStatusMessage`, as it was last set; it is shown, and does not expire here.
    pub(crate) status_message: Option<serde_json::Value>,
    fades: u64,
    record: Record,
    as_of: Instant,
}

impl Person {
    /// Somebody without a session.
    pub(crate) fn new(now: &Now) -> Self {
        Self {
            sessions: BTreeMap::new(),
            preferred: None,
            status_message: None,
            fades: 0,
            record: Record::new(now.wall),
            as_of: now.instant,
        }
    }

    /// Sets the session `id`, in place of what it was. A session that would end at once is not set.
    pub(crate) fn set(&mut self, id: &str, session: Session, now: &Now) {
        self.advance(now);
        let cause = match session.holder {
            Holder::Application => Cause::Set,
            Holder::Client => Cause::Client,
        };
        self.sessions.insert(id.to_owned(), session);
        self.note(now.wall, cause);
    }

    /// Ends the session `id` of `holder`; `false` when there is none.
    pub(crate) fn clear(&mut self, id: &str, holder: Holder, now: &Now) -> bool {
        self.advance(now);
        if self.sessions.get(id).is_none_or(|session| session.holder != holder) {
            return false;
        }
        self.sessions.remove(id);
        self.note(
            now.wall,
            match holder {
                Holder::Application => Cause::Cleared,
                Holder::Client => Cause::Client,
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

    /// Lets everything happen that happens by itself up to `now`, each at its own time.
    pub(crate) fn advance(&mut self, now: &Now) {
        while let Some(at) = self.next_change().filter(|at| *at <= now.instant) {
            self.as_of = at;
            let ended =
                self.sessions.extract_if(.., |_, session| session.expires_at.is_some_and(|end| end <= at)).count();
            let faded = self.sessions.values().filter(|session| session.fade_times().contains(&Some(at))).count();
            let inactive = self.sessions.values().filter(|session| session.fade_times()[0] == Some(at)).count();
            self.fades += inactive as u64;
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

    /// What others see, as of the last [`advance`](Self::advance): the preferred presence while there is a session, else
    /// the strongest session. Of equals the fresh one counts before the faded one, then the one set last (inferred).
    pub(crate) fn visible(&self) -> Pair {
        let strongest = self
            .sessions
            .values()
            .map(|session| (session, session.pair_at(self.as_of)))
            .max_by_key(|(session, pair)| (pair.availability, *pair == session.pair, session.set_at));
        match (strongest, &self.preferred) {
            (None, _) => Pair::offline(),
            (Some(_), Some((preferred, _))) => preferred.clone(),
            (Some((_, pair)), None) => pair,
        }
    }

    /// Since when others see that.
    pub(crate) fn visible_since(&self) -> Timestamp {
        self.record.since()
    }

    /// How often a session of this person faded from Available.
    pub(crate) fn fades(&self) -> u64 {
        self.fades
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
        self.record.read()
    }

    /// The next time after `as_of` at which something happens by itself.
    fn next_change(&self) -> Option<Instant> {
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
        let visible = self.visible();
        self.record.note(at, visible, cause);
    }
}

#[cfg(test)]
mod tests;
