//! The session: keeps one presence in Graph for one user of one account. It sets the presence again before it fades or expires.
//! If a rule asks for it, the session also keeps the matching preferred presence.
//!
//! [`Session`] is a state machine without a clock or a network. The caller must, in this order:
//!
//! 1. report what happened: call any `handle_*` methods, with the one `now` of this turn;
//! 2. drain the session: send each request that [`Session::poll_request`] returns, and report its result exactly once with
//!    [`Session::handle_outcome`]. At most one request is in flight;
//! 3. wait until something else happens or until [`Session::poll_wakeup`], and then call [`Session::poll_request`] again.
//!
//! **The order of the two.** While the user has any session, others see the preferred presence instead of all sessions. It works
//! like a mask: it goes on before the session below it changes, and comes off afterwards. In between, others see the old presence
//! or the new one, never a third.
//!
//! - If the session is held, the preferred presence is set first. If the session changed from Busy to Away first, others would
//!   see a Teams client's Available in between. Without a session, a preferred presence has no effect, so the session goes first.
//! - If the session will hold something, the preferred presence is cleared last. If it were cleared before the session becomes
//!   Busy, others would also see what is below.
//! - If nothing will be held, the preferred presence is cleared first. Others see the old or the new presence in either order.
//!   But if only one of the two requests succeeds, a session that is left behind hides less than a preferred presence.
//! - After a failed request, the preferred presence goes second, so that it never delays the session.
//!
//! Source: Graph API reference, `presence: setPresence` and `presence: setUserPreferredPresence`; "Manage presence state using
//! the Microsoft Graph API" for what others see.
//!
//! Leaves to others: what presence to hold (`policy/`), how a request travels (`graph/`, `auth/`).

mod coalesce;
mod doubt;
mod holding;
mod paced;
mod reconnect;
mod request;
pub mod seen;
mod state;
pub mod timing;
mod verify;

#[cfg(test)]
mod preferred_tests;
#[cfg(test)]
mod tests;

use crate::failure::{Failure, FailureKind};
use crate::time::Instant;

use coalesce::Coalescer;
pub use doubt::NoEffect;
use holding::{Holding, Wish};
pub use paced::PacedSession;
use reconnect::Reconnects;
pub use request::{Action, Request, RequestId, Target};
pub use seen::Seen;
pub use state::{State, Why};
pub use verify::{Ours, ReadId, Verify};

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: RequestId,
    action: Action,
    sent_at: Instant,
    fresh_token: bool,
    /// The setup changed after it was sent. If it is refused, the next one may still succeed.
    outdated: bool,
}

/// The state machine.
#[derive(Debug)]
pub struct Session {
    /// The app's presence session.
    app: Holding,
    /// The preferred presence, but only one that this process has set.
    preferred: Holding,
    in_flight: Option<InFlight>,
    last_id: RequestId,
    coalescer: Coalescer,
    reconnects: Reconnects,
    /// Failures in a row since the last success or nudge; what the backoff grows with.
    failures: u32,
    /// The earliest next attempt after the backoff.
    retry_at: Option<Instant>,
    /// The earliest next attempt that the service's `Retry-After` allows.
    not_before: Option<Instant>,
    /// Nothing is sent until the user signs in.
    sign_in_needed: bool,
    /// The next request needs a new token: the last one was refused, or lacks a permission that was granted later.
    fresh_token: bool,
    leaving: bool,
    random: fastrand::Rng,
}

impl Session {
    /// A session whose state in Graph is unknown. `seed` is for the jitter of retries.
    pub fn new(seed: u64) -> Self {
        Self {
            app: Holding::session(),
            preferred: Holding::preferred(),
            in_flight: None,
            last_id: RequestId(0),
            coalescer: Coalescer::default(),
            reconnects: Reconnects::default(),
            failures: 0,
            retry_at: None,
            not_before: None,
            sign_in_needed: false,
            fresh_token: false,
            leaving: false,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The decision is to hold `wish`, or nothing. A wish that differs from the last one is sent at once, even during a backoff.
    /// Only coalescing and the service's `Retry-After` delay it.
    pub fn handle_wish(&mut self, wish: Option<Target>, now: Instant) {
        self.change_wishes(wish.map_or(Wish::Nothing, Wish::Hold), Wish::Nothing, now);
    }

    /// Like [`Session::handle_wish`]. The matching preferred presence will be set too, with the same expiration.
    pub fn handle_wish_to_prefer(&mut self, target: Target, now: Instant) {
        self.change_wishes(Wish::Hold(target), Wish::Hold(target), now);
    }

    fn change_wishes(&mut self, session: Wish, preferred: Wish, now: Instant) {
        if self.leaving || (self.app.wish, self.preferred.wish) == (session, preferred) {
            return;
        }
        (self.app.wish, self.preferred.wish) = (session, preferred);
        self.coalescer.note_change(now);
        self.retry_at = None;
    }

    /// The request `id` ended with `outcome`. Ignored if that request is not in flight.
    pub fn handle_outcome(&mut self, id: RequestId, outcome: Result<(), &Failure>, now: Instant) {
        let Some(request) = self.in_flight.take_if(|request| request.id == id) else { return };
        match outcome {
            Ok(()) => self.confirm(&request),
            Err(failure) => self.fail(&request, failure, now),
        }
    }

    /// It is worth trying again now, because the user unlocked the screen or the machine resumed. Ends a backoff, but never a
    /// `Retry-After`.
    pub fn handle_nudge(&mut self) {
        self.retry_at = None;
        self.failures = 0;
    }

    /// The session that Graph confirmed is no longer there: another program cleared or replaced it. It is set again at once.
    pub fn handle_lost(&mut self) {
        self.app.lose();
        self.retry_at = None;
    }

    /// The machine is about to sleep. Requests no longer wait for a backoff or for coalescing, because there is no later. They still
    /// wait for a `Retry-After`.
    pub fn handle_suspend(&mut self) {
        self.coalescer = Coalescer::default();
        self.handle_nudge();
    }

    /// Somebody signed in or changed the configuration: whatever was refused is worth another look.
    pub fn handle_setup_changed(&mut self) {
        self.sign_in_needed = false;
        self.app.look_again_at = None;
        self.preferred.look_again_at = None;
        if let Some(request) = &mut self.in_flight {
            request.outdated = true;
        }
        self.handle_nudge();
    }

    /// The daemon stops. With `clear`, the session and the preferred presence are cleared first. Otherwise they stay until they
    /// expire.
    pub fn handle_leave(&mut self, clear: bool) {
        let wish = if clear { Wish::Nothing } else { Wish::Undecided };
        self.leave(wish, wish);
    }

    /// Another state machine takes over the session and holds it from now on. It does not know about a preferred presence, so this
    /// one clears it first.
    pub fn handle_hand_over(&mut self) {
        self.leave(Wish::Undecided, Wish::Nothing);
    }

    fn leave(&mut self, session: Wish, preferred: Wish) {
        self.leaving = true;
        self.handle_nudge();
        (self.app.wish, self.preferred.wish) = (session, preferred);
    }

    /// The request to send now, if any. It counts as sent at `now`.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        self.preferred.forget_expired(now);
        if self.in_flight.is_some() {
            return None;
        }
        let next = self.next_attempt(now).filter(|next| next.at <= now)?;
        let action = next.of.action()?;
        self.last_id = RequestId(self.last_id.0 + 1);
        let fresh_token = std::mem::take(&mut self.fresh_token);
        self.coalescer.note_sent();
        self.in_flight = Some(InFlight { id: self.last_id, action, sent_at: now, fresh_token, outdated: false });
        Some(Request { id: self.last_id, action, fresh_token })
    }

    /// When to call [`Session::poll_request`] again if nothing else happens before, and why. `None` while a request is in flight,
    /// or if there is nothing to wait for.
    pub fn poll_wakeup(&self, now: Instant) -> Option<(Instant, Why)> {
        if self.in_flight.is_some() { None } else { self.next_attempt(now).map(|next| (next.at, next.why)) }
    }

    /// What the session is doing at `now`.
    pub fn state(&self, now: Instant) -> State {
        if self.leaving {
            return State::Stopping;
        }
        match self.app.last_failure.or(self.preferred.open_failure()) {
            Some(FailureKind::SignInNeeded) => State::SignInNeeded,
            Some(FailureKind::Refused) => State::Refused,
            Some(FailureKind::Throttled) => State::Throttled,
            None if self.app.is_unknown() => State::Starting,
            None if self.app.is_nothing() => State::Released,
            None if self.app.deadline().is_some_and(|deadline| now < deadline) => State::Holding,
            Some(FailureKind::Passing | FailureKind::TokenRefused) | None => State::Retrying,
        }
    }

    /// What the app's session held when Graph last confirmed it, and when that request was sent. `None` if it is nothing, unknown,
    /// or expired by `now`.
    pub fn asserted(&self, now: Instant) -> Option<(Target, Instant)> {
        self.app.held(now)
    }

    /// The same for the preferred presence, but only one that this process has set.
    pub fn preferred(&self, now: Instant) -> Option<(Target, Instant)> {
        self.preferred.held(now)
    }

    /// Whether Graph is known to hold the wish at `now`.
    pub fn is_kept(&self, now: Instant) -> bool {
        self.app.is_kept(now) && self.preferred.is_kept(now)
    }

    /// When the session or the preferred presence fades or expires, whichever is first, unless it is set again before.
    pub fn kept_until(&self) -> Option<Instant> {
        self.app.deadline().into_iter().chain(self.preferred.deadline()).min()
    }

    /// Whether it still has to clear a preferred presence.
    pub fn is_clearing_preferred(&self) -> bool {
        self.preferred.wish == Wish::Nothing && self.preferred.differs()
    }

    /// Whether the session will do nothing until `until` by itself: no request is in flight, and none is due by then.
    pub fn rests_until(&self, until: Instant, now: Instant) -> bool {
        self.in_flight.is_none() && self.next_attempt(now).is_none_or(|next| next.at > until)
    }

    /// Whether a session that is leaving has nothing left to do.
    pub fn has_left(&self) -> bool {
        let is_done = |of: &Holding| !of.differs() || self.looks_again_at(of).is_some();
        let done = self.sign_in_needed || (is_done(&self.app) && is_done(&self.preferred));
        self.leaving && self.in_flight.is_none() && done
    }

    /// When to check whether one of the two is still refused; `None` if it is not. Both need the same permission, so a refused
    /// session also stops the preferred presence.
    fn looks_again_at(&self, of: &Holding) -> Option<Instant> {
        of.look_again_at.max(self.app.look_again_at)
    }

    /// When the next request is due if none is in flight, and why not earlier. A time in the past means now.
    fn next_attempt(&self, now: Instant) -> Option<Attempt<'_>> {
        if self.sign_in_needed {
            return None;
        }
        let session = self.attempt(&self.app, &self.preferred, now);
        let preferred = self.attempt(&self.preferred, &self.app, now);
        let (Some(session), Some(preferred)) = (&session, &preferred) else { return session.or(preferred) };
        let preferred_first = if session.at.max(preferred.at) <= now {
            self.preferred_goes_first(now)
        } else {
            preferred.at < session.at
        };
        Some(if preferred_first { *preferred } else { *session })
    }

    /// Whether the preferred presence goes first when both are due. The module's documentation says why.
    fn preferred_goes_first(&self, now: Instant) -> bool {
        self.preferred.last_failure.is_none()
            && match (self.app.wish, self.preferred.wish) {
                (Wish::Hold(_), Wish::Hold(_)) => self.app.held(now).is_some(),
                (Wish::Hold(_), Wish::Nothing | Wish::Undecided) => false,
                (Wish::Nothing | Wish::Undecided, _) => true,
            }
    }

    /// When a request for one of the two is due, regardless of the other one.
    fn attempt<'a>(&'a self, of: &'a Holding, other: &Holding, now: Instant) -> Option<Attempt<'a>> {
        let (mut at, mut why) = if of.differs() {
            let waits_until = if self.leaving { None } else { self.coalescer.waits_until(now) };
            (waits_until.unwrap_or(now), Why::Coalesce)
        } else {
            of.repeat_at(other)?
        };
        let looks_again_at = self.looks_again_at(of);
        let floors =
            [(self.retry_at, Why::Retry), (looks_again_at, Why::LookAgain), (self.not_before, Why::RetryAfter)];
        for (floor, reason) in floors {
            if let Some(floor) = floor.filter(|floor| *floor > at) {
                (at, why) = (floor, reason);
            }
        }
        Some(Attempt { of, at, why })
    }

    /// The resource that `action` is about, and the other resource.
    fn resource_and_other(&mut self, action: Action) -> (&mut Holding, &mut Holding) {
        if action.is_about_preferred() {
            (&mut self.preferred, &mut self.app)
        } else {
            (&mut self.app, &mut self.preferred)
        }
    }

    fn confirm(&mut self, request: &InFlight) {
        let (confirmed, other) = self.resource_and_other(request.action);
        confirmed.confirm(request.action, request.sent_at);
        // Graph is reachable again, so only a refusal of the other one remains.
        other.last_failure.take_if(|kind| *kind != FailureKind::Refused);
        self.failures = 0;
        self.retry_at = None;
        self.not_before = None;
        self.sign_in_needed = false;
    }

    /// The only place that decides what to do about each kind of failure.
    fn fail(&mut self, request: &InFlight, failure: &Failure, now: Instant) {
        self.resource_and_other(request.action).0.fail(request.action, failure.kind, failure.applied, now);
        self.sign_in_needed = false;
        if let Some(wait) = failure.retry_after {
            self.not_before = Some(now + wait).max(self.not_before);
        }
        match failure.kind {
            FailureKind::SignInNeeded | FailureKind::Refused if request.outdated => {
                self.resource_and_other(request.action).0.look_again_at = None;
                self.fresh_token = true;
            }
            FailureKind::TokenRefused if !request.fresh_token => self.fresh_token = true,
            FailureKind::TokenRefused | FailureKind::Passing | FailureKind::Throttled => {
                // If the new token was not obtained, it is still needed.
                self.fresh_token |= request.fresh_token && failure.kind != FailureKind::TokenRefused;
                self.failures = self.failures.saturating_add(1);
                let deadlines = [self.app.deadline(), self.preferred.deadline()];
                let deadline = deadlines.into_iter().flatten().filter(|deadline| *deadline > now).min();
                let wait = timing::backoff(self.failures, now, deadline, &mut self.random);
                self.retry_at = Some(now + wait);
            }
            FailureKind::SignInNeeded => {
                self.fresh_token = true;
                self.sign_in_needed = true;
            }
            FailureKind::Refused => self.fresh_token = true,
        }
    }
}

/// The next request for one of the two.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    of: &'a Holding,
    at: Instant,
    why: Why,
}
