//! The session: holds one presence in Graph for one (account, user), timed to the session's two clocks.
//!
//! [`Session`] is a state machine without a clock or a network. The contract with whoever drives it:
//!
//! 1. tell it what happened: any `handle_*`, with the one `now` of this turn;
//! 2. then drain it: send what [`Session::poll_request`] gives (at most one is ever in flight), and answer each request
//!    exactly once with [`Session::handle_outcome`];
//! 3. then wait for the next thing to happen, or for [`Session::poll_wakeup`], and ask [`Session::poll_request`] again.
//!
//! Leaves to others: what presence to hold (`policy/`), how a request travels (`graph/`, `auth/`).

mod burst;
mod failure;
pub mod timing;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::presence::{Expiration, Presence};
use crate::time::Instant;

use burst::Burst;
pub use failure::{Applied, Failure, FailureKind};

/// A presence to hold, and for how long without a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The pair.
    pub presence: Presence,
    /// Its `expirationDuration`.
    pub expiration: Expiration,
}

/// What a request asks Graph to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// setPresence.
    Set(Target),
    /// clearPresence.
    Clear,
}

/// Names one request of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(u64);

/// A request to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// To be given back with the outcome.
    pub id: RequestId,
    /// What to ask for.
    pub action: Action,
    /// The last token was refused: get a new one first.
    pub fresh_token: bool,
}

/// What a session waits for, so that `status` can say why it will wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// To set the held presence again, ahead of its fade or expiry.
    Keepalive,
    /// To try again after a failure.
    Retry,
    /// To try again as soon as the service's `Retry-After` allows.
    RetryAfter,
    /// To send the newest of many changes.
    Coalesce,
    /// To look whether the service still refuses.
    LookAgain,
}

impl Why {
    /// The word for it in `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keepalive => "keepalive",
            Self::Retry => "retry",
            Self::RetryAfter => "retry-after",
            Self::Coalesce => "coalesce",
            Self::LookAgain => "look-again",
        }
    }
}

/// What a session is doing; `status` shows the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing was confirmed yet.
    Starting,
    /// A presence is held.
    Holding,
    /// Nothing is claimed, as wished.
    Released,
    /// The last request failed for a passing reason.
    Retrying,
    /// The service asked to wait.
    Throttled,
    /// Somebody must sign in.
    SignInNeeded,
    /// The service refuses; something must be changed.
    Refused,
    /// Leaving.
    Stopping,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Holding,
        Self::Released,
        Self::Retrying,
        Self::Throttled,
        Self::SignInNeeded,
        Self::Refused,
        Self::Stopping,
    ];
}

/// What is to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Nobody decided yet, or the session is to stay as it is.
    Undecided,
    Nothing,
    Hold(Target),
}

/// What Graph holds for this session as far as it confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confirmed {
    /// Not known: an earlier process may have left something.
    Unknown,
    Nothing,
    Held {
        target: Target,
        sent_at: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: RequestId,
    action: Action,
    sent_at: Instant,
    fresh_token: bool,
}

/// Why nothing is sent for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    SignInNeeded,
    Refused { look_again_at: Instant },
}

/// The state machine.
#[derive(Debug)]
pub struct Session {
    wish: Wish,
    confirmed: Confirmed,
    /// A request since the last confirmation may have been applied.
    uncertain: bool,
    in_flight: Option<InFlight>,
    last_id: RequestId,
    burst: Burst,
    /// Failures in a row since the last success or nudge; what the backoff grows with.
    failures: u32,
    /// The earliest next attempt by backoff.
    retry_at: Option<Instant>,
    /// The earliest next attempt by the service's own word.
    not_before: Option<Instant>,
    /// How the last request failed, if it did.
    last_failure: Option<FailureKind>,
    blocked: Option<Blocked>,
    /// The next request needs a new token: the last one was refused, or lacks what was granted since.
    fresh_token: bool,
    leaving: bool,
    random: fastrand::Rng,
}

impl Session {
    /// A session of which nothing is known yet. `seed` drives the jitter of retries.
    pub fn new(seed: u64) -> Self {
        Self {
            wish: Wish::Undecided,
            confirmed: Confirmed::Unknown,
            uncertain: false,
            in_flight: None,
            last_id: RequestId(0),
            burst: Burst::default(),
            failures: 0,
            retry_at: None,
            not_before: None,
            last_failure: None,
            blocked: None,
            fresh_token: false,
            leaving: false,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The decision asks to hold `wish`, or nothing. A wish that differs from the one before is sent at once, also in the
    /// middle of a backoff, but for bursts and for the service's `Retry-After`.
    pub fn handle_wish(&mut self, wish: Option<Target>, now: Instant) {
        let wish = wish.map_or(Wish::Nothing, Wish::Hold);
        if self.leaving || self.wish == wish {
            return;
        }
        self.wish = wish;
        self.burst.note_change(now);
        self.retry_at = None;
    }

    /// How the request `id` ended. An outcome of a request that is not in flight is ignored.
    pub fn handle_outcome(&mut self, id: RequestId, outcome: Result<(), &Failure>, now: Instant) {
        let Some(request) = self.in_flight.take_if(|request| request.id == id) else { return };
        match outcome {
            Ok(()) => self.confirm(request),
            Err(failure) => self.fail(request, failure, now),
        }
    }

    /// Something says that trying again is worth it now: the network came back, the user unlocked, the machine resumed.
    /// Cuts a backoff short, never a `Retry-After`.
    pub fn handle_nudge(&mut self) {
        self.retry_at = None;
        self.failures = 0;
    }

    /// Somebody signed in or changed the configuration: whatever was refused is worth another look.
    pub fn handle_mended(&mut self) {
        self.blocked = None;
        self.handle_nudge();
    }

    /// The daemon stops. `clear`: the session is to be cleared first; otherwise it stays until it expires.
    pub fn handle_leave(&mut self, clear: bool) {
        self.leaving = true;
        self.handle_nudge();
        self.wish = if clear { Wish::Nothing } else { Wish::Undecided };
    }

    /// The request to send now, if there is one. Counts as sent at `now`.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if self.in_flight.is_some() || self.next_attempt(now).is_none_or(|(at, _)| at > now) {
            return None;
        }
        let action = match self.wish {
            Wish::Undecided => return None,
            Wish::Nothing => Action::Clear,
            Wish::Hold(target) => Action::Set(target),
        };
        self.last_id = RequestId(self.last_id.0 + 1);
        let fresh_token = std::mem::take(&mut self.fresh_token);
        self.burst.note_sent();
        self.in_flight = Some(InFlight { id: self.last_id, action, sent_at: now, fresh_token });
        Some(Request { id: self.last_id, action, fresh_token })
    }

    /// When to ask [`Session::poll_request`] again if nothing happens before, and why; `None` while a request is in flight
    /// or when there is nothing to wait for.
    pub fn poll_wakeup(&self, now: Instant) -> Option<(Instant, Why)> {
        if self.in_flight.is_some() { None } else { self.next_attempt(now) }
    }

    /// What it is doing at `now`.
    pub fn state(&self, now: Instant) -> State {
        if self.leaving {
            return State::Stopping;
        }
        match (self.last_failure, self.confirmed) {
            (Some(FailureKind::SignInNeeded), _) => State::SignInNeeded,
            (Some(FailureKind::Refused), _) => State::Refused,
            (Some(FailureKind::Throttled), _) => State::Throttled,
            (None, Confirmed::Unknown) => State::Starting,
            (None, Confirmed::Nothing) => State::Released,
            (None, Confirmed::Held { target, sent_at }) if now < timing::deadline(target, sent_at) => State::Holding,
            (Some(FailureKind::Passing | FailureKind::TokenRefused), _) | (None, Confirmed::Held { .. }) => {
                State::Retrying
            }
        }
    }

    /// What Graph last confirmed to hold, and when that request was sent; `None` when that is nothing, unknown, or expired
    /// by `now`.
    pub fn asserted(&self, now: Instant) -> Option<(Target, Instant)> {
        match self.confirmed {
            Confirmed::Held { target, sent_at } if now < sent_at + target.expiration.as_duration() => {
                Some((target, sent_at))
            }
            Confirmed::Held { .. } | Confirmed::Nothing | Confirmed::Unknown => None,
        }
    }

    /// Whether nothing will happen before `until` unless something is told to it: no request is in flight or due by then.
    pub fn rests_until(&self, until: Instant, now: Instant) -> bool {
        self.in_flight.is_none() && self.next_attempt(now).is_none_or(|(at, _)| at > until)
    }

    /// Whether a session that leaves has nothing left to do.
    pub fn has_left(&self) -> bool {
        self.leaving && self.in_flight.is_none() && (!self.differs() || self.blocked.is_some())
    }

    /// Whether Graph may hold something else than the wish.
    fn differs(&self) -> bool {
        match (self.wish, self.confirmed) {
            (Wish::Undecided, _) => false,
            (Wish::Nothing, confirmed) => self.uncertain || confirmed != Confirmed::Nothing,
            (Wish::Hold(wish), Confirmed::Held { target, .. }) => self.uncertain || target != wish,
            (Wish::Hold(_), Confirmed::Unknown | Confirmed::Nothing) => true,
        }
    }

    /// When the next request goes out, were none in flight, and why not earlier. A time in the past means now.
    fn next_attempt(&self, now: Instant) -> Option<(Instant, Why)> {
        let mut next = if self.differs() {
            let waits_until = if self.leaving { None } else { self.burst.waits_until(now) };
            (waits_until.unwrap_or(now), Why::Coalesce)
        } else if let (Wish::Hold(_), Confirmed::Held { target, sent_at }) = (self.wish, self.confirmed) {
            (timing::refresh_at(target, sent_at), Why::Keepalive)
        } else {
            return None;
        };
        let look_again_at = match self.blocked {
            Some(Blocked::SignInNeeded) => return None,
            Some(Blocked::Refused { look_again_at }) => Some(look_again_at),
            None => None,
        };
        let floors = [(self.retry_at, Why::Retry), (look_again_at, Why::LookAgain), (self.not_before, Why::RetryAfter)];
        for (floor, why) in floors {
            if let Some(floor) = floor.filter(|floor| *floor > next.0) {
                next = (floor, why);
            }
        }
        Some(next)
    }

    fn confirm(&mut self, request: InFlight) {
        self.confirmed = match request.action {
            Action::Set(target) => Confirmed::Held { target, sent_at: request.sent_at },
            Action::Clear => Confirmed::Nothing,
        };
        self.uncertain = false;
        self.failures = 0;
        self.retry_at = None;
        self.not_before = None;
        self.last_failure = None;
        self.blocked = None;
    }

    /// The one place where each kind of failure gets its policy.
    fn fail(&mut self, request: InFlight, failure: &Failure, now: Instant) {
        self.uncertain |= failure.applied == Applied::Perhaps;
        self.last_failure = Some(failure.kind);
        self.blocked = None;
        if let Some(wait) = failure.retry_after {
            self.not_before = Some(now + wait).max(self.not_before);
        }
        match failure.kind {
            FailureKind::TokenRefused if !request.fresh_token => self.fresh_token = true,
            FailureKind::TokenRefused | FailureKind::Passing | FailureKind::Throttled => {
                // A renewal that did not come about is still owed.
                self.fresh_token |= request.fresh_token && failure.kind != FailureKind::TokenRefused;
                self.failures = self.failures.saturating_add(1);
                let deadline = match self.confirmed {
                    Confirmed::Held { target, sent_at } => Some(timing::deadline(target, sent_at)),
                    Confirmed::Unknown | Confirmed::Nothing => None,
                };
                let wait = timing::backoff(self.failures, now, deadline, &mut self.random);
                self.retry_at = Some(now + wait);
            }
            FailureKind::SignInNeeded => {
                self.fresh_token = true;
                self.blocked = Some(Blocked::SignInNeeded);
            }
            FailureKind::Refused => {
                self.fresh_token = true;
                self.blocked = Some(Blocked::Refused { look_again_at: now + timing::LOOK_AGAIN });
            }
        }
    }
}
