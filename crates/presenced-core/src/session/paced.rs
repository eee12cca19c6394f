//! The session of one of many users. [`crate::pacer::Pacer`] says when to send; this says what, and what Graph holds.
//!
//! Leaves to others: when (`pacer/`), and what presence to hold (`policy/`).

use super::holding::{Holding, Wish};
use super::{Action, State, Target};
use crate::failure::{Failure, FailureKind};
use crate::time::Instant;

/// The state machine.
#[derive(Debug)]
pub struct PacedSession {
    app: Holding,
    /// What a read showed, which this process has not set.
    found: Option<Target>,
}

impl Default for PacedSession {
    /// Nothing is decided, and what Graph holds is unknown.
    fn default() -> Self {
        Self { app: Holding::session(), found: None }
    }
}

impl PacedSession {
    /// The decision is to hold `wish`, or nothing.
    pub fn handle_wish(&mut self, wish: Option<Target>) {
        self.app.wish = wish.map_or(Wish::Nothing, Wish::Hold);
    }

    /// A read shows what the user should hold, so an earlier process may have set it. False: that says nothing new, because this
    /// process has set something itself, or nothing should be held.
    pub fn handle_found(&mut self) -> bool {
        let Wish::Hold(target) = self.app.wish else { return false };
        let is_news = self.app.is_unknown();
        self.found = is_news.then_some(target);
        is_news
    }

    /// Graph carried out `action`, which was sent at `sent_at`.
    pub fn handle_done(&mut self, action: Action, sent_at: Instant) {
        self.found = None;
        self.app.confirm(action, sent_at);
    }

    /// `action` failed.
    pub fn handle_failure(&mut self, action: Action, failure: &Failure, now: Instant) {
        self.found = None;
        self.app.fail(action, failure.kind, failure.applied, now);
    }

    /// The request that makes Graph hold the wish, also if it holds it already; `None` if nothing is decided.
    pub fn action(&self) -> Option<Action> {
        self.app.action()
    }

    /// Whether Graph may hold something other than the wish.
    pub fn differs(&self) -> bool {
        let is_found = self.found.is_some_and(|found| self.app.wish == Wish::Hold(found));
        !is_found && self.app.differs()
    }

    /// What Graph last confirmed, and when that request was sent. `None` if it is nothing, unknown, or expired by `now`.
    pub fn asserted(&self, now: Instant) -> Option<(Target, Instant)> {
        self.app.held(now)
    }

    /// When what Graph last confirmed fades or expires.
    pub fn deadline(&self) -> Option<Instant> {
        self.app.deadline()
    }

    /// Whether Graph is known to hold the wish at `now`: it confirmed that, or a read showed it.
    pub fn is_kept(&self, now: Instant) -> bool {
        !self.differs() && self.found.is_some() || self.app.is_kept(now)
    }

    /// What it is doing at `now`.
    pub fn state(&self, now: Instant) -> State {
        match self.app.last_failure {
            Some(FailureKind::SignInNeeded) => State::SignInNeeded,
            Some(FailureKind::Refused) => State::Refused,
            Some(FailureKind::Throttled) => State::Throttled,
            None if self.found.is_some() => State::Holding,
            None if self.app.is_unknown() => State::Starting,
            None if self.app.is_nothing() => State::Released,
            None if self.app.deadline().is_some_and(|deadline| now < deadline) => State::Holding,
            Some(FailureKind::Passing | FailureKind::TokenRefused) | None => State::Retrying,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::Applied;
    use crate::presence::{Expiration, Presence};

    fn hold(presence: Presence) -> Target {
        Target { presence, expiration: Expiration::default() }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn what_a_read_found_need_not_be_set() {
        let mut session = PacedSession::default();
        assert_eq!((session.action(), session.handle_found()), (None, false));
        session.handle_wish(Some(hold(Presence::Available)));
        assert!(session.differs());
        assert!(session.handle_found());
        assert_eq!((session.differs(), session.state(at(0))), (false, State::Holding));
        assert_eq!((session.asserted(at(0)), session.is_kept(at(0))), (None, true));
        session.handle_wish(Some(hold(Presence::InACall)));
        assert_eq!((session.differs(), session.action()), (true, Some(Action::Set(hold(Presence::InACall)))));
        assert!(!session.is_kept(at(0)));
        session.handle_done(Action::Set(hold(Presence::InACall)), at(1));
        assert!(!session.handle_found());
        assert_eq!(session.asserted(at(2)), Some((hold(Presence::InACall), at(1))));
    }

    #[test]
    fn what_an_earlier_process_may_have_left_is_cleared() {
        let mut session = PacedSession::default();
        session.handle_wish(None);
        assert_eq!((session.differs(), session.action()), (true, Some(Action::Clear)));
        session.handle_done(Action::Clear, at(1));
        assert_eq!((session.differs(), session.state(at(1))), (false, State::Released));
    }

    #[test]
    fn a_request_without_an_answer_is_sent_again() {
        let mut session = PacedSession::default();
        session.handle_wish(Some(hold(Presence::Available)));
        let action = session.action().expect("a wish");
        session.handle_done(action, at(1));
        assert_eq!((session.differs(), session.deadline()), (false, Some(at(301))));
        let silence = Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, "no answer") };
        session.handle_failure(action, &silence, at(241));
        assert!(session.is_kept(at(300)) && !session.is_kept(at(301)));
        assert_eq!((session.differs(), session.state(at(241))), (true, State::Retrying));
        session.handle_done(action, at(243));
        assert_eq!((session.differs(), session.state(at(243))), (false, State::Holding));
    }
}
