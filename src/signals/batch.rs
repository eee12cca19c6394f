//! Bursts of changed files: a program that writes thousands of them must not cause thousands of evaluations.
//!
//! A few changes are taken in at once, so that one is never late; after that they are gathered.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// So many changes in [`SPAN`] are taken in at once.
const FREE_CHANGES: usize = 5;
const SPAN: Duration = Duration::from_millis(2600);
/// How long later ones are gathered.
const WINDOW: Duration = Duration::from_millis(500);

/// Counts changes that were taken in, and says until when the next ones are gathered.
#[derive(Debug, Default)]
pub(super) struct Burst(VecDeque<Instant>);

impl Burst {
    /// Notes that changes were taken in.
    pub(super) fn note(&mut self, now: Instant) {
        self.0.push_back(now);
        if self.0.len() > FREE_CHANGES {
            self.0.pop_front();
        }
    }

    /// Until when the next changes are gathered; `None`: they are taken in at once.
    pub(super) fn gathers_until(&self, now: Instant) -> Option<Instant> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let is_burst = self.0.len() == FREE_CHANGES && now.saturating_since(*first) < SPAN;
        is_burst.then_some(*last + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_stream_of_changes_is_taken_in_twice_a_second() {
        let mut burst = Burst::default();
        let mut taken = Vec::new();
        // One change each millisecond, for 3 seconds.
        for now in (0..3000).map(at) {
            if burst.gathers_until(now).is_none_or(|until| now >= until) {
                burst.note(now);
                taken.push(now.since_origin().as_millis());
            }
        }
        assert_eq!(taken, [0, 1, 2, 3, 4, 504, 1004, 1504, 2004, 2504]);
    }

    #[test]
    fn changes_now_and_then_never_wait() {
        let mut burst = Burst::default();
        for now in (0..20).map(|number| at(number * 700)) {
            assert_eq!(burst.gathers_until(now), None);
            burst.note(now);
        }
    }
}
