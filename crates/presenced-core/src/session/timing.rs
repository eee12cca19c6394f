//! The session's arithmetic: deadlines, how far ahead of them to refresh, and how long to wait after a failure.

use std::time::Duration;

use super::Target;
use crate::time::Instant;

/// How long after it was set Graph fades an Available session, whatever its expiration.
///
/// Source: Graph API reference, `presence: setPresence`, "Timeout, expiration, and keep alive".
pub const FADE: Duration = Duration::from_mins(5);

/// How often a refused session looks whether it still is.
pub const LOOK_AGAIN: Duration = Duration::from_mins(15);

/// A keepalive that would come within this time after one for the same account goes along with that: no interval is short
/// enough for the two to chase each other.
pub(super) const ALONG: Duration = Duration::from_mins(1);

/// How long a request that nobody waits for any more may still take to have its effect. A client that waits to the end gives
/// up no sooner.
pub const STRAY: Duration = Duration::from_secs(10);

const LEAD_MIN: Duration = Duration::from_mins(1);
const LEAD_MAX: Duration = Duration::from_mins(5);
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(5);
/// The closest that attempts come to each other when a deadline presses.
const ATTEMPT_GAP: Duration = Duration::from_secs(1);

/// How long a session set to `target` lasts without being set again: to its fade, or to its expiration.
pub fn interval(target: Target) -> Duration {
    let expiration = target.expiration.as_duration();
    if target.presence.fades() { expiration.min(FADE) } else { expiration }
}

/// How long after setting it to set it again, when it lasts for `interval`: a fifth of that ahead of its end, at least 1 and
/// at most 5 minutes.
pub fn refresh_after(interval: Duration) -> Duration {
    interval.saturating_sub((interval / 5).clamp(LEAD_MIN, LEAD_MAX))
}

/// How long to wait after the `failures`-th failure in a row (1 for the first): exponential from 1 s to 5 min with full
/// jitter. Where a deadline lies ahead the wait is at most half of the time that is left, so that several attempts fit.
pub fn backoff(failures: u32, now: Instant, deadline: Option<Instant>, random: &mut fastrand::Rng) -> Duration {
    let ceiling = BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_MAX);
    let jittered = ceiling.mul_f64(random.f64());
    match deadline.map(|deadline| deadline.saturating_since(now)) {
        Some(left) if !left.is_zero() => jittered.min((left / 2).max(ATTEMPT_GAP)),
        Some(_) | None => jittered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Expiration, Presence};

    fn target(presence: Presence, minutes: u64) -> Target {
        let expiration = Expiration::try_from(Duration::from_mins(minutes)).expect("in range");
        Target { presence, expiration }
    }

    #[test]
    fn refreshes_come_a_fifth_ahead_but_one_to_five_minutes() {
        let after = |presence, minutes| refresh_after(interval(target(presence, minutes)));
        assert_eq!(after(Presence::Available, 5), Duration::from_mins(4));
        assert_eq!(after(Presence::Available, 240), Duration::from_mins(4), "Available fades whatever it expires");
        assert_eq!(after(Presence::InACall, 5), Duration::from_mins(4));
        assert_eq!(after(Presence::InACall, 15), Duration::from_mins(12));
        assert_eq!(after(Presence::Away, 240), Duration::from_mins(235));
    }

    #[test]
    fn backoff_doubles_to_five_minutes_with_full_jitter() {
        let mut random = fastrand::Rng::with_seed(1);
        for (failures, ceiling) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (400, 300)] {
            let waits: Vec<_> =
                (0..2000).map(|_| backoff(failures, Instant::default(), None, &mut random).as_secs_f64()).collect();
            let ceiling = f64::from(ceiling);
            assert!(waits.iter().all(|wait| (0.0..=ceiling).contains(wait)));
            assert!(waits.iter().any(|wait| *wait < ceiling * 0.1) && waits.iter().any(|wait| *wait > ceiling * 0.9));
        }
    }

    #[test]
    fn several_attempts_fit_before_a_deadline() {
        let mut random = fastrand::Rng::with_seed(2);
        let deadline = Instant::default() + Duration::from_mins(1);
        let (mut now, mut attempts) = (Instant::default(), 0);
        for failures in 20.. {
            now = now + backoff(failures, now, Some(deadline), &mut random);
            if now >= deadline {
                break;
            }
            attempts += 1;
        }
        assert!(attempts >= 5, "{attempts} attempts in the last minute");
    }
}
