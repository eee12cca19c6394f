//! One resource that Graph holds: its desired state, its last known state, and how the last request for it ended.
//!
//! A [`super::Session`] has two of them: the app's session and the preferred presence. Leaves to it: which of the two is next,
//! and when.

use std::time::Duration;

use super::{Action, Target, Why, timing};
use crate::failure::{Applied, FailureKind};
use crate::time::Instant;

/// Which of the two resources it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The app's presence session. Nothing else uses it, so a state that an earlier process left may be cleared.
    Session,
    /// The user's preferred presence. The user may set it too, so only a value that this process set may be cleared.
    Preferred,
}

impl Resource {
    /// How long it lasts without being set again. A session lasts until it fades or expires; a preferred presence never fades.
    fn interval(self, target: Target) -> Duration {
        match self {
            Self::Session => timing::interval(target),
            Self::Preferred => target.expiration.as_duration(),
        }
    }
}

/// The desired state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Not decided yet, or it should stay as it is.
    Undecided,
    Nothing,
    Hold(Target),
}

/// The state that Graph last confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confirmed {
    /// Unknown. An earlier process may have left something.
    Unknown,
    /// Nothing from this app.
    Nothing,
    Held {
        target: Target,
        sent_at: Instant,
    },
}

/// One of the two resources.
#[derive(Debug)]
pub(super) struct Holding {
    resource: Resource,
    pub(super) wish: Wish,
    confirmed: Confirmed,
    /// A request since the last confirmation may have been applied.
    uncertain: bool,
    /// One of those requests asked for something other than the confirmed state.
    diverted: bool,
    /// Until when an abandoned request may still overtake later ones. Until then, confirmations of later ones are unreliable.
    strays_until: Option<Instant>,
    /// When everything that may have been set has expired.
    expires_at: Instant,
    /// How the last request failed; `None` if it succeeded.
    pub(super) last_failure: Option<FailureKind>,
    /// If requests are refused: when to check whether they still are.
    pub(super) look_again_at: Option<Instant>,
}

impl Holding {
    /// The app's session, whose state is unknown.
    pub(super) const fn session() -> Self {
        Self::new(Resource::Session, Confirmed::Unknown)
    }

    /// The preferred presence, which this process has not set yet.
    pub(super) const fn preferred() -> Self {
        Self::new(Resource::Preferred, Confirmed::Nothing)
    }

    const fn new(resource: Resource, confirmed: Confirmed) -> Self {
        Self {
            resource,
            wish: Wish::Undecided,
            confirmed,
            uncertain: false,
            diverted: false,
            strays_until: None,
            expires_at: Instant::from_origin(Duration::ZERO),
            last_failure: None,
            look_again_at: None,
        }
    }

    /// Whether Graph may hold something other than the wish.
    pub(super) fn differs(&self) -> bool {
        match (self.wish, self.confirmed) {
            (Wish::Undecided, _) => false,
            (Wish::Nothing, confirmed) => self.uncertain || confirmed != Confirmed::Nothing,
            (Wish::Hold(wish), Confirmed::Held { target, .. }) => self.uncertain || target != wish,
            (Wish::Hold(_), Confirmed::Unknown | Confirmed::Nothing) => true,
        }
    }

    /// How the last request failed, as long as that matters. It does not if nothing is wished and nothing is left behind.
    pub(super) fn open_failure(&self) -> Option<FailureKind> {
        self.last_failure.filter(|_| matches!(self.wish, Wish::Hold(_)) || self.differs())
    }

    /// The request that would make Graph hold the wish; `None` if nothing is decided.
    pub(super) fn action(&self) -> Option<Action> {
        match (self.resource, self.wish) {
            (_, Wish::Undecided) => None,
            (Resource::Session, Wish::Nothing) => Some(Action::Clear),
            (Resource::Session, Wish::Hold(target)) => Some(Action::Set(target)),
            (Resource::Preferred, Wish::Nothing) => Some(Action::ClearPreferred),
            (Resource::Preferred, Wish::Hold(target)) => Some(Action::Prefer(target)),
        }
    }

    /// When to repeat a request although Graph holds the wish, and why; `None` if there is no need.
    pub(super) fn repeat_at(&self, other: &Self) -> Option<(Instant, Why)> {
        let keepalive = self.refresh_at(other).map(|at| (at, Why::Keepalive));
        let is_wished = self.wish != Wish::Undecided;
        let retry = self.strays_until.filter(|_| is_wished).map(|at| (at, Why::Retry));
        keepalive.into_iter().chain(retry).min_by_key(|(at, _)| *at)
    }

    /// When to set the resource again, ahead of its deadline; `None` if there is nothing to keep. If `other` has just been set, this
    /// one follows at once, so that the two wake the machine only once.
    fn refresh_at(&self, other: &Self) -> Option<Instant> {
        let (Wish::Hold(_), Confirmed::Held { target, sent_at }) = (self.wish, self.confirmed) else { return None };
        let own = sent_at + timing::refresh_after(self.resource.interval(target));
        let with_other = match other.confirmed {
            Confirmed::Held { sent_at: other, .. } if other > sent_at && own < other + timing::SHARED_WAKEUP_SPAN => {
                other
            }
            Confirmed::Held { .. } | Confirmed::Unknown | Confirmed::Nothing => own,
        };
        Some(own.min(with_other))
    }

    /// When the confirmed state fades or expires. Counted from the sending of the request, because the service may have started
    /// to count at any time between the request and the answer.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.confirmed {
            Confirmed::Held { target, sent_at } => Some(sent_at + self.resource.interval(target)),
            Confirmed::Unknown | Confirmed::Nothing => None,
        }
    }

    /// The state that Graph last confirmed, and when that request was sent; `None` if it is nothing, unknown, or expired by `now`.
    pub(super) fn held(&self, now: Instant) -> Option<(Target, Instant)> {
        match self.confirmed {
            Confirmed::Held { target, sent_at } if now < sent_at + target.expiration.as_duration() => {
                Some((target, sent_at))
            }
            Confirmed::Held { .. } | Confirmed::Unknown | Confirmed::Nothing => None,
        }
    }

    /// Whether Graph is known to hold the wish at `now`. This stays true after a failed keepalive, until the state fades or
    /// expires.
    pub(super) fn is_kept(&self, now: Instant) -> bool {
        let agrees = match (self.wish, self.confirmed) {
            (Wish::Undecided, _) | (Wish::Nothing, Confirmed::Nothing) => true,
            (Wish::Hold(wish), Confirmed::Held { target, .. }) => target == wish,
            (Wish::Nothing | Wish::Hold(_), _) => false,
        };
        agrees && !self.diverted && self.deadline().is_none_or(|deadline| now < deadline)
    }

    /// Whether `action` asks for the confirmed state.
    fn asks_for_confirmed(&self, action: Action) -> bool {
        match (action, self.confirmed) {
            (Action::Set(asked) | Action::Prefer(asked), Confirmed::Held { target, .. }) => asked == target,
            (Action::Clear | Action::ClearPreferred, Confirmed::Nothing) => true,
            (Action::Set(_) | Action::Prefer(_) | Action::Clear | Action::ClearPreferred, _) => false,
        }
    }

    /// Whether its state was never confirmed.
    pub(super) fn is_unknown(&self) -> bool {
        self.confirmed == Confirmed::Unknown
    }

    /// Whether nothing is held.
    pub(super) fn is_nothing(&self) -> bool {
        self.confirmed == Confirmed::Nothing
    }

    /// Forgets a state that has expired by `now`. What Graph holds after that was set by the user or another app, and must not be
    /// cleared.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        if now >= self.expires_at {
            self.confirmed = Confirmed::Nothing;
            (self.uncertain, self.diverted) = (false, false);
            self.strays_until = None;
        }
    }

    /// Graph no longer holds what it confirmed.
    pub(super) fn lose(&mut self) {
        if matches!(self.confirmed, Confirmed::Held { .. }) {
            (self.uncertain, self.diverted) = (true, true);
        }
    }

    /// `action`, sent at `sent_at`, had its effect.
    pub(super) fn confirm(&mut self, action: Action, sent_at: Instant) {
        self.confirmed = match action {
            Action::Set(target) | Action::Prefer(target) => {
                self.expires_at = sent_at + target.expiration.as_duration();
                Confirmed::Held { target, sent_at }
            }
            Action::Clear | Action::ClearPreferred => Confirmed::Nothing,
        };
        (self.uncertain, self.diverted) = (false, false);
        // If it was sent earlier, an abandoned request may still overtake it.
        self.strays_until.take_if(|until| *until <= sent_at);
        self.last_failure = None;
        self.look_again_at = None;
    }

    /// `action` failed; its failure was reported at `now`.
    pub(super) fn fail(&mut self, action: Action, kind: FailureKind, applied: Applied, now: Instant) {
        let applied_by = match applied {
            Applied::No => None,
            Applied::Perhaps => Some(now),
            Applied::PerhapsLater => {
                self.strays_until = Some(now + timing::STRAY_LIFETIME);
                self.strays_until
            }
        };
        if let Some(applied_by) = applied_by {
            self.uncertain = true;
            self.diverted |= !self.asks_for_confirmed(action);
            if let Action::Set(target) | Action::Prefer(target) = action {
                self.expires_at = self.expires_at.max(applied_by + target.expiration.as_duration());
            }
        }
        self.last_failure = Some(kind);
        self.look_again_at = (kind == FailureKind::Refused).then(|| now + timing::REFUSED_RETRY_INTERVAL);
    }
}
