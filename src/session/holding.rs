//! One thing that Graph holds: what it should be, what it is as far as that is known, and how the last attempt to make the
//! two agree ended. A [`super::Session`] has two of them, the app's session and the preferred presence. Leaves to it: which
//! of the two has its turn, and when.

use std::time::Duration;

use super::{Action, Target, Why, timing};
use crate::failure::{Applied, FailureKind};
use crate::time::Instant;

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The app's presence session. It is the app's alone, so that whatever an earlier process left in it may be cleared.
    Session,
    /// The user's preferred presence. It is the user's, so that only what this process set may be cleared.
    Preferred,
}

impl Resource {
    /// How long it lasts without being set again: a session to its fade or its expiration; a preferred presence never fades.
    fn interval(self, target: Target) -> Duration {
        match self {
            Self::Session => timing::interval(target),
            Self::Preferred => target.expiration.as_duration(),
        }
    }
}

/// What is to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nobody decided yet, or it is to stay as it is.
    Undecided,
    Nothing,
    Hold(Target),
}

/// What Graph holds, as far as it confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confirmed {
    /// Not known: an earlier process may have left something.
    Unknown,
    /// Nothing that is this app's.
    Nothing,
    Held {
        target: Target,
        sent_at: Instant,
    },
}

/// The one thing.
#[derive(Debug)]
pub(super) struct Holding {
    resource: Resource,
    pub(super) wish: Wish,
    confirmed: Confirmed,
    /// A request since the last confirmation may have been applied.
    uncertain: bool,
    /// The same of a request for something else than what is confirmed.
    diverted: bool,
    /// Until when a request that was given up may overtake later ones: what is confirmed of those is not to be relied on.
    strays_until: Option<Instant>,
    /// When the last of all that may have been set has expired.
    expires_at: Instant,
    /// How the last request failed, if it did.
    pub(super) last_failure: Option<FailureKind>,
    /// It is refused; when to look whether it still is.
    pub(super) look_again_at: Option<Instant>,
}

impl Holding {
    /// The app's session, of which nothing is known yet.
    pub(super) const fn session() -> Self {
        Self::new(Resource::Session, Confirmed::Unknown)
    }

    /// The preferred presence, of which nothing is this process's yet.
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

    /// Whether Graph may hold something else than the wish.
    pub(super) fn differs(&self) -> bool {
        match (self.wish, self.confirmed) {
            (Wish::Undecided, _) => false,
            (Wish::Nothing, confirmed) => self.uncertain || confirmed != Confirmed::Nothing,
            (Wish::Hold(wish), Confirmed::Held { target, .. }) => self.uncertain || target != wish,
            (Wish::Hold(_), Confirmed::Unknown | Confirmed::Nothing) => true,
        }
    }

    /// How the last request failed, while it is still of use: what is neither wished nor left behind troubles nobody.
    pub(super) fn open_failure(&self) -> Option<FailureKind> {
        self.last_failure.filter(|_| matches!(self.wish, Wish::Hold(_)) || self.differs())
    }

    /// What to ask for; `None`: nobody decided.
    pub(super) fn action(&self) -> Option<Action> {
        match (self.resource, self.wish) {
            (_, Wish::Undecided) => None,
            (Resource::Session, Wish::Nothing) => Some(Action::Clear),
            (Resource::Session, Wish::Hold(target)) => Some(Action::Set(target)),
            (Resource::Preferred, Wish::Nothing) => Some(Action::ClearPreferred),
            (Resource::Preferred, Wish::Hold(target)) => Some(Action::Prefer(target)),
        }
    }

    /// When to ask again for what is wished and confirmed, and why; `None`: no need to.
    pub(super) fn repeat_at(&self, other: &Self) -> Option<(Instant, Why)> {
        let keepalive = self.refresh_at(other).map(|at| (at, Why::Keepalive));
        let is_wished = self.wish != Wish::Undecided;
        let retry = self.strays_until.filter(|_| is_wished).map(|at| (at, Why::Retry));
        keepalive.into_iter().chain(retry).min_by_key(|(at, _)| *at)
    }

    /// When to set again what is held and wished, ahead of its deadline; `None` where there is nothing to keep. It goes along
    /// with `other` where that was set again just before it would be, so that the two wake the machine once.
    fn refresh_at(&self, other: &Self) -> Option<Instant> {
        let (Wish::Hold(_), Confirmed::Held { target, sent_at }) = (self.wish, self.confirmed) else { return None };
        let own = sent_at + timing::refresh_after(self.resource.interval(target));
        let along = match other.confirmed {
            Confirmed::Held { sent_at: other, .. } if other > sent_at && own < other + timing::ALONG => other,
            Confirmed::Held { .. } | Confirmed::Unknown | Confirmed::Nothing => own,
        };
        Some(own.min(along))
    }

    /// When what is confirmed fades or expires. Reckoned from the sending, since nobody knows when in between sending and
    /// answer the service began to count.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.confirmed {
            Confirmed::Held { target, sent_at } => Some(sent_at + self.resource.interval(target)),
            Confirmed::Unknown | Confirmed::Nothing => None,
        }
    }

    /// What Graph last confirmed to hold, and when that request was sent; `None` when that is nothing, unknown, or expired by
    /// `now`.
    pub(super) fn held(&self, now: Instant) -> Option<(Target, Instant)> {
        match self.confirmed {
            Confirmed::Held { target, sent_at } if now < sent_at + target.expiration.as_duration() => {
                Some((target, sent_at))
            }
            Confirmed::Held { .. } | Confirmed::Unknown | Confirmed::Nothing => None,
        }
    }

    /// Whether Graph is known to hold what is wished at `now`. A repetition that failed takes nothing away from that before what
    /// is held fades or expires.
    pub(super) fn is_kept(&self, now: Instant) -> bool {
        let agrees = match (self.wish, self.confirmed) {
            (Wish::Undecided, _) | (Wish::Nothing, Confirmed::Nothing) => true,
            (Wish::Hold(wish), Confirmed::Held { target, .. }) => target == wish,
            (Wish::Nothing | Wish::Hold(_), _) => false,
        };
        agrees && !self.diverted && self.deadline().is_none_or(|deadline| now < deadline)
    }

    /// Whether `action` asks for just what is confirmed.
    fn asks_for_confirmed(&self, action: Action) -> bool {
        match (action, self.confirmed) {
            (Action::Set(asked) | Action::Prefer(asked), Confirmed::Held { target, .. }) => asked == target,
            (Action::Clear | Action::ClearPreferred, Confirmed::Nothing) => true,
            (Action::Set(_) | Action::Prefer(_) | Action::Clear | Action::ClearPreferred, _) => false,
        }
    }

    /// Whether nothing was ever confirmed of it.
    pub(super) fn is_unknown(&self) -> bool {
        self.confirmed == Confirmed::Unknown
    }

    /// Whether nothing is held.
    pub(super) fn is_nothing(&self) -> bool {
        self.confirmed == Confirmed::Nothing
    }

    /// Lets go of what has expired by `now`: what Graph holds after that is somebody else's, and is not to be cleared.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        if now >= self.expires_at {
            self.confirmed = Confirmed::Nothing;
            (self.uncertain, self.diverted) = (false, false);
            self.strays_until = None;
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
        // What was sent before then may be overtaken.
        self.strays_until.take_if(|until| *until <= sent_at);
        self.last_failure = None;
        self.look_again_at = None;
    }

    /// `action` failed, and that is known at `now`.
    pub(super) fn fail(&mut self, action: Action, kind: FailureKind, applied: Applied, now: Instant) {
        let applied_by = match applied {
            Applied::No => None,
            Applied::Perhaps => Some(now),
            Applied::PerhapsLater => {
                self.strays_until = Some(now + timing::STRAY);
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
        self.look_again_at = (kind == FailureKind::Refused).then(|| now + timing::LOOK_AGAIN);
    }
}
