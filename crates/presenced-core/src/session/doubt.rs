//! Doubt: what to do when others do not see the asserted presence, because the session may have been lost.
//!
//! Any program with the same application and user writes the same session, and may clear it. So a session that seems lost is set
//! again, at most once a minute. If that does not help, it was not lost: somebody prefers another presence, or sessions of this
//! user have no effect. Leaves to others: when to read (`verify`), and what an answer means (`seen`).

use std::time::Duration;

use super::seen::{Difference, Seen};
use crate::time::Instant;

/// For how long after a change Graph may still show the presence from before.
const SETTLE_TIME: Duration = Duration::from_secs(30);

/// The shortest time between two attempts to set a lost session again.
const MIN_SET_AGAIN_INTERVAL: Duration = Duration::from_mins(1);

/// After this many answers of `Offline/Offline` in a row, setting the session again does not help.
const MAX_OFFLINE_ANSWERS: u32 = 3;

/// For how long it is worth knowing that the session was lost.
const LOSS_SHOWN_FOR: Duration = Duration::from_mins(15);

/// What to do about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    ReadAgain(Instant),
    SetAgain(Instant),
}

/// What the last answers mean for the user, if the presence has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEffect {
    /// Graph accepts the presence, but the user stays offline.
    Offline,
    /// Graph does not know the user's presence.
    UnknownUser,
}

/// The state machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt {
    /// How many answers in a row said that the session may have been lost.
    answers: u32,
    /// The earliest time to set the session again.
    not_before: Option<Instant>,
    /// When it was last found lost, and what others saw.
    lost: Option<(Instant, Seen)>,
    no_effect: Option<NoEffect>,
}

impl Doubt {
    /// The asserted presence has changed.
    pub(super) fn note_change(&mut self) {
        if self.no_effect.is_none() {
            self.answers = 0;
        }
    }

    /// Others see `seen`. The asserted presence was last set or changed at `set_at`.
    pub(super) fn judge(
        &mut self,
        seen: &Seen,
        difference: Option<Difference>,
        set_at: Option<Instant>,
        now: Instant,
    ) -> Next {
        let settles = set_at.map(|set_at| set_at + SETTLE_TIME).filter(|settled| now < *settled);
        match (difference, settles) {
            (Some(Difference::UnknownUser), None) => {
                self.no_effect = Some(NoEffect::UnknownUser);
                Next::Nothing
            }
            (Some(difference), Some(settled)) if difference.is_perhaps_lost() => Next::ReadAgain(settled),
            (Some(difference), None) if difference.is_perhaps_lost() => self.lose(seen, difference, now),
            (Some(Difference::UnknownUser), Some(settled)) => Next::ReadAgain(settled),
            (Some(_) | None, _) => {
                (self.answers, self.no_effect) = (0, None);
                Next::Nothing
            }
        }
    }

    fn lose(&mut self, seen: &Seen, difference: Difference, now: Instant) -> Next {
        self.answers = self.answers.saturating_add(1);
        if difference == Difference::NotInEffect && self.answers >= MAX_OFFLINE_ANSWERS {
            self.no_effect = Some(NoEffect::Offline);
            return Next::Nothing;
        }
        if difference == Difference::FadedOrPreferred && self.answers > 1 {
            // It stays after the session was set again, so somebody prefers it.
            return Next::Nothing;
        }
        let at = self.not_before.map_or(now, |not_before| not_before.max(now));
        self.not_before = Some(at + MIN_SET_AGAIN_INTERVAL);
        self.lost = Some((now, seen.clone()));
        Next::SetAgain(at)
    }

    /// What others saw when the session was last found lost, as long as that is worth knowing.
    pub(super) fn lost(&self, now: Instant) -> Option<&Seen> {
        let (at, seen) = self.lost.as_ref()?;
        (now < *at + LOSS_SHOWN_FOR && self.no_effect.is_none()).then_some(seen)
    }

    /// When [`Self::lost`] ends.
    pub(super) fn loss_shown_until(&self) -> Option<Instant> {
        self.lost.as_ref().map(|(at, _)| *at + LOSS_SHOWN_FOR)
    }

    /// Why the presence has no effect.
    pub(super) fn no_effect(&self) -> Option<NoEffect> {
        self.no_effect
    }
}
