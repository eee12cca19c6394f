//! Reconnects: a network that comes back cuts a backoff short, as an unlock does. But a flapping link comes back all day long,
//! and each time the backoff would start again. So only a few reconnects count.

use std::collections::VecDeque;
use std::time::Duration;

use super::Session;
use crate::time::Instant;

/// How many reconnects within [`COUNTED_FOR`] count. Several sources may report the same reconnect: an IPv4 route, an IPv6
/// route, and the network manager.
const FREE_RECONNECTS: usize = 5;

/// As long as the longest backoff. A reconnect that does not count costs no more than this: the last one that counted
/// restarted the backoff, which has not grown longer than the time since then.
const COUNTED_FOR: Duration = Duration::from_mins(5);

/// The recent reconnects that counted.
#[derive(Debug, Default)]
pub(super) struct Reconnects(VecDeque<Instant>);

impl Reconnects {
    /// Whether a reconnect at `now` counts. If so, it is recorded.
    fn admit(&mut self, now: Instant) -> bool {
        self.0.retain(|reconnect| now.saturating_since(*reconnect) < COUNTED_FOR);
        let counts = self.0.len() < FREE_RECONNECTS;
        if counts {
            self.0.push_back(now);
        }
        counts
    }
}

impl Session {
    /// The network came back. This is a nudge, unless it happened too often recently. If nothing failed, it changes nothing.
    pub fn handle_network_back(&mut self, now: Instant) {
        let failing = self.failures > 0 || self.retry_at.is_some();
        if failing && self.reconnects.admit(now) {
            self.handle_nudge();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureKind};
    use crate::presence::{Expiration, Presence};
    use crate::session::{Target, Why};

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn starting(seed: u64) -> Session {
        let mut session = Session::new(seed);
        let expiration = Expiration::try_from(Duration::from_mins(15)).expect("in range");
        session.handle_wish(Some(Target { presence: Presence::InACall, expiration }), at(0));
        session
    }

    /// Sends what is due, and answers at once; how many requests that were.
    fn answer(session: &mut Session, now: Instant, outcome: Result<(), &Failure>) -> u32 {
        let mut sent = 0;
        while let Some(request) = session.poll_request(now) {
            session.handle_outcome(request.id, outcome, now);
            sent += 1;
        }
        sent
    }

    fn passing() -> Failure {
        Failure::new(FailureKind::Passing, "unreachable")
    }

    /// Fails until the next attempt is more than two minutes away.
    fn far_back(session: &mut Session, mut now: Instant) -> Instant {
        loop {
            answer(session, now, Err(&passing()));
            let (next, why) = session.poll_wakeup(now).expect("a retry");
            assert_eq!(why, Why::Retry);
            if next.saturating_since(now) > Duration::from_mins(2) {
                return now;
            }
            now = next;
        }
    }

    #[test]
    fn a_link_that_flaps_for_an_hour_causes_no_storm_of_requests() {
        for seed in 0..50 {
            let mut session = starting(seed);
            let mut sent = 0;
            for second in 0..3600 {
                session.handle_network_back(at(second));
                sent += answer(&mut session, at(second), Err(&passing()));
            }
            // Five reconnects in five minutes, each with the attempts of the first minute of a backoff.
            assert!((60..=12 * (5 + 15)).contains(&sent), "{sent} requests with seed {seed}");
        }
    }

    #[test]
    fn a_reconnect_counts_at_once_and_only_if_something_failed() {
        let mut session = starting(1);
        for second in 0..100 {
            session.handle_network_back(at(second));
        }
        assert_eq!(answer(&mut session, at(100), Ok(())), 1);
        session.handle_network_back(at(101));
        assert_eq!(session.poll_wakeup(at(101)).expect("the keepalive").1, Why::Keepalive);

        let mut now = far_back(&mut session, at(820));
        for reconnect in 1..=FREE_RECONNECTS {
            session.handle_network_back(now);
            assert_eq!(answer(&mut session, now, Err(&passing())), 1, "reconnect {reconnect}");
            // Before the first retry is due.
            now = now + Duration::from_micros(1);
        }
        session.handle_network_back(now);
        assert_eq!(answer(&mut session, now, Err(&passing())), 0, "too many");
        let now = far_back(&mut session, now + COUNTED_FOR);
        session.handle_network_back(now);
        assert_eq!(answer(&mut session, now, Ok(())), 1);
    }

    #[test]
    fn a_request_under_way_is_followed_by_an_early_retry() {
        let mut session = starting(1);
        let now = far_back(&mut session, at(0));
        let (due, _) = session.poll_wakeup(now).expect("a retry");
        let request = session.poll_request(due).expect("due");
        session.handle_network_back(due);
        session.handle_outcome(request.id, Err(&passing()), due + Duration::from_secs(10));
        let (next, _) = session.poll_wakeup(due).expect("a retry");
        assert!(next <= due + Duration::from_secs(11), "the first backoff is at most a second");
    }

    #[test]
    fn a_reconnect_never_cuts_a_retry_after_short() {
        let mut session = starting(1);
        let wait = Duration::from_secs(100);
        answer(&mut session, at(0), Err(&Failure { retry_after: Some(wait), ..passing() }));
        session.handle_network_back(at(1));
        assert_eq!(session.poll_wakeup(at(1)), Some((at(100), Why::RetryAfter)));
        assert_eq!(answer(&mut session, at(99), Ok(())), 0);
    }
}
