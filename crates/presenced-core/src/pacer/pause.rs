//! Pauses of the whole pacer: after a 429, and while Graph does not answer.
//!
//! - After a 429, nothing is sent for `Retry-After`. Without one it is 2 s, and twice as long with each further 429, up to 30 s.
//!   Answers to requests that were sent before the pause do not count as further ones. Source: Graph, "Microsoft Graph throttling
//!   guidance".
//! - If no answer comes, or a 5xx, nothing is sent for 1 s. Then one request goes every 2 s until one is answered. A failure counts as
//!   an outage only if no request that was sent at the same time or later has been answered. Otherwise one user's trouble would
//!   stop all others.
//!
//! Leaves to others: the pace ([`super::rate`]), and which request is the next one ([`super::Pacer`]).

use std::time::Duration;

use crate::time::Instant;

const MIN_THROTTLE: Duration = Duration::from_secs(2);
const MAX_THROTTLE: Duration = Duration::from_secs(30);
const FIRST_PROBE_AFTER: Duration = Duration::from_secs(1);
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Whatever the bucket has tokens for.
    All,
    /// One request, to see whether Graph answers again.
    Probe,
    /// Nothing until then.
    NotBefore(Instant),
}

/// An outage: no request that was sent since has been answered.
#[derive(Clone, Copy, Debug)]
struct Outage {
    /// When the newest failed request was sent.
    failed: Instant,
    next_probe: Instant,
}

/// The pauses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pauses {
    throttled_until: Instant,
    /// The 429s in a row without `Retry-After`, and when the last pause began.
    throttles: u32,
    throttled_at: Option<Instant>,
    outage: Option<Outage>,
    /// When the newest of the requests that were answered had been sent.
    answered: Option<Instant>,
}

impl Pauses {
    /// What may be sent now.
    pub(super) fn allowed(&self, now: Instant) -> Allowed {
        if now < self.throttled_until {
            return Allowed::NotBefore(self.throttled_until);
        }
        match self.outage {
            None => Allowed::All,
            Some(outage) if outage.next_probe <= now => Allowed::Probe,
            Some(outage) => Allowed::NotBefore(outage.next_probe),
        }
    }

    /// A probe is sent.
    pub(super) fn note_probe(&mut self, now: Instant) {
        if let Some(outage) = &mut self.outage {
            outage.next_probe = now + PROBE_EVERY;
        }
    }

    /// A request that was sent at `sent_at` was answered, whatever the answer was. Returns whether this ends an outage.
    pub(super) fn note_answer(&mut self, sent_at: Instant) -> bool {
        self.answered = self.answered.max(Some(sent_at));
        self.outage.take_if(|outage| outage.failed <= sent_at).is_some()
    }

    /// A request succeeded: a 429 after it is the first one.
    pub(super) fn note_success(&mut self, sent_at: Instant) {
        if self.throttled_at.is_none_or(|at| at <= sent_at) {
            self.throttles = 0;
        }
    }

    /// Graph answered 429. Returns until when to pause.
    pub(super) fn note_throttle(&mut self, sent_at: Instant, retry_after: Option<Duration>, now: Instant) -> Instant {
        let is_further = self.throttled_at.is_none_or(|at| at <= sent_at);
        if is_further {
            self.throttled_at = Some(now);
        }
        let pause = match retry_after {
            Some(asked) => asked,
            None if is_further => {
                let pause = MIN_THROTTLE.saturating_mul(2_u32.saturating_pow(self.throttles)).min(MAX_THROTTLE);
                self.throttles += 1;
                pause
            }
            None => Duration::ZERO,
        };
        self.throttled_until = self.throttled_until.max(now + pause);
        self.throttled_until
    }

    /// No answer came, or a 5xx. Returns whether it is an outage, and not the trouble of one user.
    pub(super) fn note_silence(&mut self, sent_at: Instant, retry_after: Option<Duration>, now: Instant) -> bool {
        if self.answered.is_some_and(|answered| answered >= sent_at) {
            return false;
        }
        let first_probe = now + FIRST_PROBE_AFTER;
        let outage = self.outage.get_or_insert(Outage { failed: sent_at, next_probe: first_probe });
        outage.failed = outage.failed.max(sent_at);
        outage.next_probe = outage.next_probe.max(now + retry_after.unwrap_or_default());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn a_429_pauses_for_retry_after_and_without_one_twice_as_long_each_time() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.note_throttle(at(0), Some(Duration::from_secs(20)), at(1)), at(21));
        assert_eq!(pauses.allowed(at(20)), Allowed::NotBefore(at(21)));
        assert_eq!(pauses.allowed(at(21)), Allowed::All);
        pauses.note_success(at(21));
        let mut now = 30;
        for pause in [2, 4, 8, 16, 30, 30] {
            assert_eq!(pauses.note_throttle(at(now), None, at(now)), at(now + pause));
            // The other parts of the batch say the same, and one of them succeeded.
            pauses.note_success(at(now - 1));
            assert_eq!(pauses.note_throttle(at(now - 1), None, at(now)), at(now + pause));
            now += pause;
        }
        pauses.note_success(at(now));
        assert_eq!(pauses.note_throttle(at(now), None, at(now)), at(now + 2));
    }

    #[test]
    fn silence_pauses_for_one_second_and_then_one_probe_goes_every_two_until_one_is_answered() {
        let mut pauses = Pauses::default();
        assert!(pauses.note_silence(at(0), None, at(10)));
        assert_eq!(pauses.allowed(at(10)), Allowed::NotBefore(at(11)));
        assert_eq!(pauses.allowed(at(11)), Allowed::Probe);
        pauses.note_probe(at(11));
        assert_eq!(pauses.allowed(at(11)), Allowed::NotBefore(at(13)));
        assert!(pauses.note_silence(at(11), None, at(12)), "the probe fails too");
        assert_eq!(pauses.allowed(at(13)), Allowed::Probe);
        pauses.note_probe(at(13));
        assert!(!pauses.note_answer(at(5)), "this one was sent before the last failure");
        assert_eq!(pauses.allowed(at(14)), Allowed::NotBefore(at(15)));
        assert!(pauses.note_answer(at(13)));
        assert_eq!(pauses.allowed(at(14)), Allowed::All);
    }

    #[test]
    fn one_users_trouble_is_not_an_outage() {
        let mut pauses = Pauses::default();
        pauses.note_answer(at(5));
        assert!(!pauses.note_silence(at(5), None, at(6)), "another part of the same batch was answered");
        assert!(!pauses.note_silence(at(1), None, at(11)), "it never came, but later ones were answered");
        assert_eq!(pauses.allowed(at(11)), Allowed::All);
        // The failure is reported before the other parts of its batch.
        assert!(pauses.note_silence(at(7), Some(Duration::from_secs(9)), at(8)));
        assert_eq!(pauses.allowed(at(16)), Allowed::NotBefore(at(17)));
        assert!(pauses.note_answer(at(7)));
        assert_eq!(pauses.allowed(at(8)), Allowed::All);
    }
}
