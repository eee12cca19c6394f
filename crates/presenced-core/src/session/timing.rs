//! The session's timing: how long a presence lasts, when to set it again, and how long to wait after a failure.

use std::time::Duration;

use super::Target;
use crate::time::Instant;

/// How long after it was set an Available session fades in Graph, regardless of its expiration.
///
/// Source: Graph API reference, `presence: setPresence`, "Timeout, expiration, and keep alive".
pub(super) const AVAILABLE_FADES_AFTER: Duration = Duration::from_mins(5);

/// How long to wait before a refused request is tried again.
pub const REFUSED_RETRY_INTERVAL: Duration = Duration::from_mins(15);

/// If the session and the preferred presence are due within this time of each other, they share a wakeup. All refresh intervals
/// are longer than this, so the two cannot keep triggering each other.
pub(super) const SHARED_WAKEUP_SPAN: Duration = Duration::from_mins(1);

/// How long an abandoned request may still take to have its effect. This is the time after which the client would have given up.
pub(super) const STRAY_LIFETIME: Duration = Duration::from_secs(10);

/// The least and the most time before its end at which a presence is set again.
const MIN_REFRESH_LEAD: Duration = Duration::from_mins(1);
const MAX_REFRESH_LEAD: Duration = Duration::from_mins(5);
/// The longest wait after the first failure. It doubles with each further failure, up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(5);
/// The limit of a wait that is shortened because of a deadline does not go below this.
const MIN_DEADLINE_WAIT: Duration = Duration::from_secs(1);

/// How long a session with `target` lasts without being set again: until it fades or expires.
pub fn interval(target: Target) -> Duration {
    let expiration = target.expiration.as_duration();
    if target.presence.fades() { expiration.min(AVAILABLE_FADES_AFTER) } else { expiration }
}

/// How long after setting a presence to set it again, if it lasts for `interval`. That is a fifth of `interval` before its end,
/// but at least 1 and at most 5 minutes before it.
pub fn refresh_after(interval: Duration) -> Duration {
    interval.saturating_sub((interval / 5).clamp(MIN_REFRESH_LEAD, MAX_REFRESH_LEAD))
}

/// How long to wait after the `failures`-th failure in a row, counted from 1. The wait is random between 0 and a limit ("full
/// jitter"). The limit doubles from 1 second to 5 minutes. If a deadline is ahead, the wait is at most half of the time until
/// then (but that limit is never below 1 second), so that several attempts fit.
pub fn backoff(failures: u32, now: Instant, deadline: Option<Instant>, random: &mut fastrand::Rng) -> Duration {
    let ceiling = MIN_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(MAX_BACKOFF);
    let jittered = ceiling.mul_f64(random.f64());
    match deadline.map(|deadline| deadline.saturating_since(now)) {
        Some(left) if !left.is_zero() => jittered.min((left / 2).max(MIN_DEADLINE_WAIT)),
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
    fn a_refresh_is_a_fifth_ahead_but_one_to_five_minutes() {
        let after = |presence, minutes| refresh_after(interval(target(presence, minutes)));
        assert_eq!(after(Presence::Available, 5), Duration::from_mins(4));
        assert_eq!(after(Presence::Available, 240), Duration::from_mins(4), "Available fades, whatever its expiration");
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
