//! Leaving: an account that is no longer configured, or whose daemon stops, ends its session or hands it over.
//!
//! Leaves to others: which accounts leave (`daemon/reload`), and how long that may take (`daemon/leave`).

use crate::presence::Expiration;
use crate::time::Now;

use super::Account;

impl Account {
    /// Whether this account and `other` hold the same session in Graph. An account without `user` belongs to whoever signs in
    /// under its name, so two accounts of one name count as the same.
    pub(in crate::daemon) fn holds_same_session(&self, other: &Self) -> bool {
        let by_name = self.config.user.is_none() || other.config.user.is_none();
        self.config.is_same_session(&other.config) || (by_name && self.name == other.name)
    }

    /// Whether `next` must wait for this account, which is leaving: two requests for one session, or for one user's preferred
    /// presence, must never overtake each other.
    pub(in crate::daemon) fn holds_up(&self, next: &Self) -> bool {
        let users = self.config.user.as_ref().zip(next.config.user.as_ref());
        // An account without `user` may turn out to be any user.
        let perhaps_same_user = users.is_none_or(|(one, two)| one.eq_ignore_ascii_case(two));
        self.holds_same_session(next) || (perhaps_same_user && self.session.is_clearing_preferred())
    }

    /// The daemon stops, or the account is no longer configured.
    pub(in crate::daemon) fn leave(&mut self, clear: bool, now: &Now) {
        self.dropped_at.get_or_insert(now.instant + Expiration::MAX.as_duration());
        self.session.handle_leave(clear);
    }

    /// The account is no longer configured, but another one holds the same session from now on.
    pub(in crate::daemon) fn hand_over(&mut self, now: &Now) {
        self.dropped_at.get_or_insert(now.instant + Expiration::MAX.as_duration());
        self.session.handle_hand_over();
    }

    /// Whether it has finished leaving.
    pub(in crate::daemon) fn has_left(&self, now: &Now) -> bool {
        self.session.has_left() || self.dropped_at.is_some_and(|at| at <= now.instant)
    }
}
