//! Whether a fleet has a token to send with, and when to ask for one.
//!
//! Leaves to others: getting it, and renewing it in time (`auth/`).

use std::time::Duration;

use crate::failure::{Failure, FailureKind, Missing};
use crate::session::timing;
use crate::time::Instant;

/// The waits for a token double from the first to the second.
const TOKEN_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Whether there is a token to send with.
#[derive(Debug)]
pub(super) struct TokenState {
    stage: Stage,
    /// Failures since Graph last accepted one.
    failures: u32,
}

#[derive(Debug)]
enum Stage {
    /// `fresh`: the last one was refused.
    Absent {
        next_attempt: Instant,
        fresh: bool,
    },
    Asked,
    Present,
}

impl TokenState {
    pub(super) fn absent() -> Self {
        Self { stage: Stage::Absent { next_attempt: Instant::default(), fresh: false }, failures: 0 }
    }

    /// Whether it is time to ask for one, and for a fresh one. Then it counts as asked for.
    pub(super) fn ask(&mut self, now: Instant) -> Option<bool> {
        match self.stage {
            Stage::Absent { next_attempt, fresh } if next_attempt <= now => {
                self.stage = Stage::Asked;
                Some(fresh)
            }
            Stage::Absent { .. } | Stage::Asked | Stage::Present => None,
        }
    }

    /// It has arrived.
    pub(super) fn arrive(&mut self) {
        self.stage = Stage::Present;
    }

    pub(super) fn is_present(&self) -> bool {
        matches!(self.stage, Stage::Present)
    }

    /// Graph has accepted it.
    pub(super) fn accept(&mut self) {
        self.failures = 0;
    }

    /// The next attempt need not wait.
    pub(super) fn try_now(&mut self) {
        if let Stage::Absent { next_attempt, .. } = &mut self.stage {
            *next_attempt = Instant::default();
        }
    }

    /// When to ask for one; `None`: there is one, or it is on its way.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        match self.stage {
            Stage::Absent { next_attempt, .. } => Some(next_attempt),
            Stage::Asked | Stage::Present => None,
        }
    }

    /// Notes that there is none, because of this failure.
    pub(super) fn fail(&mut self, failure: &Failure, now: Instant) {
        let doubled = TOKEN_WAIT.0.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures += 1;
        let is_lock = matches!(failure.missing.as_deref(), Some(Missing::Lock(_)));
        let wait = match failure.kind {
            FailureKind::Refused | FailureKind::SignInNeeded if !is_lock => timing::REFUSED_RETRY_INTERVAL,
            FailureKind::Passing
            | FailureKind::Throttled
            | FailureKind::TokenRefused
            | FailureKind::SignInNeeded
            | FailureKind::Refused => doubled.min(TOKEN_WAIT.1).max(failure.retry_after.unwrap_or_default()),
        };
        self.stage = Stage::Absent { next_attempt: now + wait, fresh: false };
    }

    /// Graph refused it. The first time, another one is asked for at once.
    pub(super) fn refuse(&mut self, failure: &Failure, now: Instant) {
        if !matches!(self.stage, Stage::Present) {
            return;
        }
        let is_first = self.failures == 0;
        self.fail(failure, now);
        if let Stage::Absent { next_attempt, fresh } = &mut self.stage {
            *fresh = true;
            if is_first {
                *next_attempt = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn it_is_asked_for_once() {
        let mut token = TokenState::absent();
        assert_eq!((token.is_present(), token.next_attempt()), (false, Some(Instant::default())));
        assert_eq!((token.ask(at(1)), token.ask(at(1)), token.next_attempt()), (Some(false), None, None));
        token.arrive();
        assert_eq!((token.is_present(), token.next_attempt()), (true, None));
    }

    #[test]
    fn waits_double_up_to_a_minute_and_what_somebody_must_fix_waits_longer() {
        let mut token = TokenState::absent();
        let failure = |kind| Failure::new(kind, "no");
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            token.fail(&failure(FailureKind::Passing), at(100));
            assert_eq!(token.next_attempt(), Some(at(100 + wait)));
        }
        token.fail(&failure(FailureKind::SignInNeeded), at(100));
        assert_eq!(token.next_attempt(), Some(at(100 + 15 * 60)));
        token.try_now();
        assert_eq!(token.ask(at(101)), Some(false));
    }

    #[test]
    fn a_refused_token_is_replaced_at_once_but_only_the_first_time() {
        let refused = Failure::new(FailureKind::TokenRefused, "401");
        let mut token = TokenState::absent();
        token.arrive();
        token.refuse(&refused, at(5));
        // The other requests with the same token are refused, too.
        token.refuse(&refused, at(5));
        assert_eq!(token.ask(at(5)), Some(true));
        token.arrive();
        token.refuse(&refused, at(6));
        assert_eq!((token.ask(at(7)), token.ask(at(8))), (None, Some(true)));
        token.arrive();
        token.accept();
        token.refuse(&refused, at(9));
        assert_eq!(token.ask(at(9)), Some(true));
    }
}
