//! Batches of changes: a program that changes thousands of files, or a stream many times a second, must not cause as many
//! evaluations.
//!
//! A few changes are handled at once, so that a single change is never late. Those that follow are collected into batches.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// This many changes within [`IMMEDIATE_SPAN`] are handled at once.
const IMMEDIATE_CHANGES: usize = 5;
const IMMEDIATE_SPAN: Duration = Duration::from_millis(2600);
/// How long later changes are collected.
const BATCH_WINDOW: Duration = Duration::from_millis(500);

/// Counts the changes that were handled, and says until when the next ones are collected.
#[derive(Debug, Default)]
pub(super) struct Batch(VecDeque<Instant>);

impl Batch {
    /// Records that changes were handled.
    pub(super) fn note(&mut self, now: Instant) {
        self.0.push_back(now);
        if self.0.len() > IMMEDIATE_CHANGES {
            self.0.pop_front();
        }
    }

    /// Until when the next changes are collected; `None`: they are handled at once.
    pub(super) fn collects_until(&self, now: Instant) -> Option<Instant> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let is_frequent = self.0.len() == IMMEDIATE_CHANGES && now.saturating_since(*first) < IMMEDIATE_SPAN;
        is_frequent.then_some(*last + BATCH_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_stream_of_changes_is_handled_twice_a_second() {
        let mut batch = Batch::default();
        let mut handled = Vec::new();
        // One change each millisecond, for 3 seconds.
        for now in (0..3000).map(at) {
            if batch.collects_until(now).is_none_or(|until| now >= until) {
                batch.note(now);
                handled.push(now.since_origin().as_millis());
            }
        }
        assert_eq!(handled, [0, 1, 2, 3, 4, 504, 1004, 1504, 2004, 2504]);
    }

    #[test]
    fn occasional_changes_never_wait() {
        let mut batch = Batch::default();
        for now in (0..20).map(|number| at(number * 700)) {
            assert_eq!(batch.collects_until(now), None);
            batch.note(now);
        }
    }
}
