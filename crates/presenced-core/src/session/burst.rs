//! Bursts: a flapping signal must not become a stream of requests.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// So many changes in [`SPAN`] go out at once.
const FREE_CHANGES: usize = 5;
const SPAN: Duration = Duration::from_secs(30);
/// How long later changes are gathered, so that only the newest goes out.
const WINDOW: Duration = Duration::from_secs(5);

/// Counts changes, and says until when the newest must wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Burst {
    recent: VecDeque<Instant>,
    window_end: Option<Instant>,
}

impl Burst {
    /// Notes a change of wish.
    pub(super) fn note_change(&mut self, now: Instant) {
        self.recent.retain(|change| now.saturating_since(*change) < SPAN);
        // A window that is over and has not been used stays: its end must not move on while the signal flaps.
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
        let mut burst = Burst::default();
        for change in 0..5 {
            burst.note_change(at(change * 1000));
            assert_eq!(burst.waits_until(at(change * 1000)), None);
        }
        burst.note_change(at(5000));
        assert_eq!(burst.waits_until(at(5000)), Some(at(10_000)));
        burst.note_change(at(7000));
        assert_eq!(burst.waits_until(at(7000)), Some(at(10_000)), "the window does not move");
        burst.note_change(at(10_000));
        assert_eq!(burst.waits_until(at(10_000)), None, "a change at its end does not open another");
        burst.note_sent();
        burst.note_change(at(11_000));
        assert_eq!(burst.waits_until(at(11_000)), Some(at(16_000)), "it goes on flapping");
    }

    #[test]
    fn slow_changes_never_wait() {
        let mut burst = Burst::default();
        for change in 0..100 {
            burst.note_change(at(change * 6001));
            assert_eq!(burst.waits_until(at(change * 6001)), None);
        }
    }
}
