//! Coalescing: a flapping signal must not become a stream of requests.
//!
//! The first few changes go out at once. After that, changes wait for the end of a short window, and only the newest is sent.
//! Leaves to others: what is sent, and what else holds it back ([`super::Session`]).

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// How many changes within [`COUNTED_FOR`] go out at once.
const FREE_CHANGES: usize = 5;
const COUNTED_FOR: Duration = Duration::from_secs(30);
/// How long later changes are collected, so that only the newest goes out.
const WINDOW: Duration = Duration::from_secs(5);

/// Counts changes, and says how long the newest must wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Coalescer {
    recent: VecDeque<Instant>,
    window_end: Option<Instant>,
}

impl Coalescer {
    /// Notes a change of wish.
    pub(super) fn note_change(&mut self, now: Instant) {
        self.recent.retain(|change| now.saturating_since(*change) < COUNTED_FOR);
        // A window that has ended but has not been used stays: its end must not move while the signal flaps.
        if self.recent.len() >= FREE_CHANGES && self.window_end.is_none() {
            self.window_end = Some(now + WINDOW);
        }
        self.recent.push_back(now);
        if self.recent.len() > FREE_CHANGES {
            self.recent.pop_front();
        }
    }

    /// Notes that the newest wish goes out: the next change opens a window of its own.
    pub(super) fn note_sent(&mut self) {
        self.window_end = None;
    }

    /// Until when a changed wish must wait; `None`: it may go at once.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.window_end.filter(|end| *end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn the_sixth_change_in_thirty_seconds_opens_a_window_of_five() {
        let mut coalescer = Coalescer::default();
        for change in 0..5 {
            coalescer.note_change(at(change * 1000));
            assert_eq!(coalescer.waits_until(at(change * 1000)), None);
        }
        coalescer.note_change(at(5000));
        assert_eq!(coalescer.waits_until(at(5000)), Some(at(10_000)));
        coalescer.note_change(at(7000));
        assert_eq!(coalescer.waits_until(at(7000)), Some(at(10_000)), "the window does not move");
        coalescer.note_change(at(10_000));
        assert_eq!(coalescer.waits_until(at(10_000)), None, "a change at its end does not open another");
        coalescer.note_sent();
        coalescer.note_change(at(11_000));
        assert_eq!(coalescer.waits_until(at(11_000)), Some(at(16_000)), "it keeps flapping");
    }

    #[test]
    fn slow_changes_never_wait() {
        let mut coalescer = Coalescer::default();
        for change in 0..100 {
            coalescer.note_change(at(change * 6001));
            assert_eq!(coalescer.waits_until(at(change * 6001)), None);
        }
    }
}
