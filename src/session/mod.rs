//! The session: holds one presence in Graph for one (account, user), timed to the session's two clocks, and where a rule
//! asks for it the matching preferred presence, timed to its expiration.
//!
//! [`Session`] is a state machine without a clock or a network. The contract with whoever drives it:
//!
//! 1. tell it what happened: any `handle_*`, with the one `now` of this turn;
//! 2. then drain it: send what [`Session::poll_request`] gives (at most one is ever in flight), and answer each request
//!    exactly once with [`Session::handle_outcome`];
//! 3. then wait for the next thing to happen, or for [`Session::poll_wakeup`], and ask [`Session::poll_request`] again.
//!
//! **Which of the two goes first.** Others see the preferred presence in place of all sessions, as long as there is one. It is
//! a mask, so it is put on before what is below changes, and taken off after: in between, others see the old presence or the
//! new one, never a third.
//!
//! - It is set first where the session is held: were the session changed from Busy to Away first, others would see a Teams
//!   client's Available in between. Without a session it would have no effect, so then the session comes first.
//! - It is cleared last where the session is to hold something: were it cleared before the session becomes Busy, others would
//!   again see what is below.
//! - It is cleared first where nothing is to be held. In between others see the old presence or the new one either way, and
//!   should only one of the two requests get through, a session left behind hides less than a preferred presence.
//! - After its last request failed it goes second, so that it never holds up the session.
//!
//! Leaves to others: what presence to hold (`policy/`), how a request travels (`graph/`, `auth/`).

mod burst;
mod holding;
mod network;
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

use burst::Burst;
use holding::{Holding, Wish};
pub use request::{Action, Request, RequestId, Target};
pub use seen::Seen;
pub use state::{State, Why};
pub use verify::{ReadId, Verify};

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: RequestId,
    action: Action,
    sent_at: Instant,
    fresh_token: bool,
    /// Something was mended since: that it is turned down says nothing about the next one.
    outdated: bool,
}

/// The state machine.
#[derive(Debug)]
pub struct Session {
    /// The app's session.
    app: Holding,
    /// The preferred presence, as far as it is this session's own.
    preferred: Holding,
    in_flight: Option<InFlight>,
    last_id: RequestId,
    burst: Burst,
    comebacks: network::Comebacks,
    /// Failures in a row since the last success or nudge; what the backoff grows with.
    failures: u32,
    /// The earliest next attempt by backoff.
    retry_at: Option<Instant>,
    /// The earliest next attempt by the service's own word.
    not_before: Option<Instant>,
    /// Nothing is sent until somebody signs in.
    sign_in_needed: bool,
    /// The next request needs a new token: the last one was refused, or lacks what was granted since.
    fresh_token: bool,
    leaving: bool,
    random: fastrand::Rng,
}

impl Session {
    /// A session of which nothing is known yet. `seed` drives the jitter of retries.
    pub fn new(seed: u64) -> Self {
        Self {
            app: Holding::session(),
            preferred: Holding::preferred(),
            in_flight: None,
            last_id: RequestId(0),
            burst: Burst::default(),
            comebacks: network::Comebacks::default(),
            failures: 0,
            retry_at: None,
            not_before: None,
            sign_in_needed: false,
            fresh_token: false,
            leaving: false,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The decision asks to hold `wish`, or nothing. A wish that differs from the one before is sent at once, also in the
    /// middle of a backoff, but for bursts and for the service's `Retry-After`.
    pub fn handle_wish(&mut self, wish: Option<Target>, now: Instant) {
        self.take_over(wish.map_or(Wish::Nothing, Wish::Hold), Wish::Nothing, now);
    }

    /// The same, and the matching preferred presence is to be set too, with the same expiration.
    pub fn handle_wish_to_prefer(&mut self, target: Target, now: Instant) {
        self.take_over(Wish::Hold(target), Wish::Hold(target), now);
    }

    fn take_over(&mut self, session: Wish, preferred: Wish, now: Instant) {
        if self.leaving || (self.app.wish, self.preferred.wish) == (session, preferred) {
            return;
        }
        (self.app.wish, self.preferred.wish) = (session, preferred);
        self.burst.note_change(now);
        self.retry_at = None;
    }

    /// How the request `id` ended. An outcome of a request that is not in flight is ignored.
    pub fn handle_outcome(&mut self, id: RequestId, outcome: Result<(), &Failure>, now: Instant) {
        let Some(request) = self.in_flight.take_if(|request| request.id == id) else { return };
        match outcome {
            Ok(()) => self.confirm(&request),
            Err(failure) => self.fail(&request, failure, now),
        }
    }

    /// Trying again is worth it now: the user unlocked, the machine resumed. Cuts a backoff short, never a `Retry-After`.
    pub fn handle_nudge(&mut self) {
        self.retry_at = None;
        self.failures = 0;
    }

    /// The machine is about to sleep: what waits for a backoff or for the end of a burst goes now, since there is no later.
    /// Cuts no `Retry-After` short.
    pub fn handle_suspend(&mut self) {
        self.burst = Burst::default();
        self.handle_nudge();
    }

    /// Somebody signed in or changed the configuration: whatever was refused is worth another look.
    pub fn handle_mended(&mut self) {
        self.sign_in_needed = false;
        self.app.look_again_at = None;
        self.preferred.look_again_at = None;
        if let Some(request) = &mut self.in_flight {
            request.outdated = true;
        }
        self.handle_nudge();
    }

    /// The daemon stops. `clear`: the session and a preferred presence are to be cleared first; otherwise they stay until
    /// they expire.
    pub fn handle_leave(&mut self, clear: bool) {
        let wish = if clear { Wish::Nothing } else { Wish::Undecided };
        self.leave(wish, wish);
    }

    /// The session goes over to another state machine, which holds it from now on. That one knows nothing of a preferred
    /// presence, which is cleared.
    pub fn handle_hand_over(&mut self) {
        self.leave(Wish::Undecided, Wish::Nothing);
    }

    fn leave(&mut self, session: Wish, preferred: Wish) {
        self.leaving = true;
        self.handle_nudge();
        (self.app.wish, self.preferred.wish) = (session, preferred);
    }

    /// The request to send now, if there is one. Counts as sent at `now`.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        self.preferred.forget_expired(now);
        if self.in_flight.is_some() {
            return None;
        }
        let next = self.next_attempt(now).filter(|next| next.at <= now)?;
        let action = next.of.action()?;
        self.last_id = RequestId(self.last_id.0 + 1);
        let fresh_token = std::mem::take(&mut self.fresh_token);
        self.burst.note_sent();
        self.in_flight = Some(InFlight { id: self.last_id, action, sent_at: now, fresh_token, outdated: false });
        Some(Request { id: self.last_id, action, fresh_token })
    }

    /// When to ask [`Session::poll_request`] again if nothing happens before, and why; `None` while a request is in flight
    /// or when there is nothing to wait for.
    pub fn poll_wakeup(&self, now: Instant) -> Option<(Instant, Why)> {
        if self.in_flight.is_some() { None } else { self.next_attempt(now).map(|next| (next.at, next.why)) }
    }

    /// What it is doing at `now`.
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

    /// What Graph last confirmed to hold, and when that request was sent; `None` when that is nothing, unknown, or expired
    /// by `now`.
    pub fn asserted(&self, now: Instant) -> Option<(Target, Instant)> {
        self.app.held(now)
    }

    /// The same of the preferred presence, as far as it is this session's own.
    pub fn preferred(&self, now: Instant) -> Option<(Target, Instant)> {
        self.preferred.held(now)
    }

    /// Whether Graph is known to hold what is wished at `now`.
    pub fn is_kept(&self, now: Instant) -> bool {
        self.app.is_kept(now) && self.preferred.is_kept(now)
    }

    /// When the first of what is held fades or expires, unless it is set again before.
    pub fn kept_until(&self) -> Option<Instant> {
        self.app.deadline().into_iter().chain(self.preferred.deadline()).min()
    }

    /// Whether it still has to take a preferred presence back.
    pub fn is_clearing_preferred(&self) -> bool {
        self.preferred.wish == Wish::Nothing && self.preferred.differs()
    }

    /// Whether nothing will happen before `until` unless something is told to it: no request is in flight or due by then.
    pub fn rests_until(&self, until: Instant, now: Instant) -> bool {
        self.in_flight.is_none() && self.next_attempt(now).is_none_or(|next| next.at > until)
    }

    /// Whether a session that leaves has nothing left to do.
    pub fn has_left(&self) -> bool {
        let is_done = |of: &Holding| !of.differs() || self.looks_again_at(of).is_some();
        let done = self.sign_in_needed || (is_done(&self.app) && is_done(&self.preferred));
        self.leaving && self.in_flight.is_none() && done
    }

    /// When to look again whether one of the two is refused; `None`: it is not. Without the permission for the session there
    /// is none for the preferred presence either.
    fn looks_again_at(&self, of: &Holding) -> Option<Instant> {
        of.look_again_at.max(self.app.look_again_at)
    }

    /// When the next request goes out, were none in flight, and why not earlier. A time in the past means now.
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

    /// Which of the two goes first when both are due; the module says why.
    fn preferred_goes_first(&self, now: Instant) -> bool {
        self.preferred.last_failure.is_none()
            && match (self.app.wish, self.preferred.wish) {
                (Wish::Hold(_), Wish::Hold(_)) => self.app.held(now).is_some(),
                (Wish::Hold(_), Wish::Nothing | Wish::Undecided) => false,
                (Wish::Nothing | Wish::Undecided, _) => true,
            }
    }

    /// When one of the two goes out, were the other not there.
    fn attempt<'a>(&'a self, of: &'a Holding, other: &Holding, now: Instant) -> Option<Attempt<'a>> {
        let (mut at, mut why) = if of.differs() {
            let waits_until = if self.leaving { None } else { self.burst.waits_until(now) };
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

    /// What `action` is about, and the other one.
    fn sort(&mut self, action: Action) -> (&mut Holding, &mut Holding) {
        if action.is_about_preferred() {
            (&mut self.preferred, &mut self.app)
        } else {
            (&mut self.app, &mut self.preferred)
        }
    }

    fn confirm(&mut self, request: &InFlight) {
        let (confirmed, other) = self.sort(request.action);
        confirmed.confirm(request.action, request.sent_at);
        // The way to Graph is free. What it refuses it still refuses.
        other.last_failure.take_if(|kind| *kind != FailureKind::Refused);
        self.failures = 0;
        self.retry_at = None;
        self.not_before = None;
        self.sign_in_needed = false;
    }

    /// The one place where each kind of failure gets its policy.
    fn fail(&mut self, request: &InFlight, failure: &Failure, now: Instant) {
        self.sort(request.action).0.fail(request.action, failure.kind, failure.applied, now);
        self.sign_in_needed = false;
        if let Some(wait) = failure.retry_after {
            self.not_before = Some(now + wait).max(self.not_before);
        }
        match failure.kind {
            FailureKind::SignInNeeded | FailureKind::Refused if request.outdated => {
                self.sort(request.action).0.look_again_at = None;
                self.fresh_token = true;
            }
            FailureKind::TokenRefused if !request.fresh_token => self.fresh_token = true,
            FailureKind::TokenRefused | FailureKind::Passing | FailureKind::Throttled => {
                // A renewal that did not come about is still owed.
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
