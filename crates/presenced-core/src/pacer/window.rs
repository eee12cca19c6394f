//! How much of the rate is used: what was sent in the last time of the rate.

use std::collections::VecDeque;
use std::time::Duration;

use super::rate::Rate;
use crate::time::Instant;

/// Into how many parts the time of the rate is divided. What was sent is forgotten one part at a time.
const PARTS: u32 = 30;

/// Counts what was sent in the time of the rate.
#[derive(Debug)]
pub(super) struct Window {
    per: Duration,
    /// When each part began, and how much was sent in it.
    parts: VecDeque<(Instant, u32)>,
}

impl Window {
    pub(super) fn new(rate: Rate) -> Self {
        Self { per: rate.per(), parts: VecDeque::new() }
    }

    pub(super) fn set_rate(&mut self, rate: Rate) {
        self.per = rate.per();
    }

    pub(super) fn note(&mut self, sent: usize, now: Instant) {
        self.forget(now);
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        match self.parts.back_mut() {
            Some((begin, count)) if now < *begin + self.per / PARTS => *count = count.saturating_add(sent),
            Some(_) | None => self.parts.push_back((now, sent)),
        }
    }

    pub(super) fn used(&mut self, now: Instant) -> u32 {
        self.forget(now);
        self.parts.iter().map(|(_, count)| *count).sum()
    }

    pub(super) fn unused_at(&self) -> Option<Instant> {
        self.parts.back().map(|(begin, _)| *begin + self.per)
    }

    fn forget(&mut self, now: Instant) {
        while self.parts.front().is_some_and(|(begin, _)| *begin + self.per <= now) {
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_counts_for_as_long_as_the_rate_says() {
        let at = |millis| Instant::from_origin(Duration::from_millis(millis));
        let mut window = Window::new(Rate::default());
        assert_eq!((window.used(at(0)), window.unused_at()), (0, None));
        for millis in [0, 500, 1500, 2499, 2500] {
            window.note(10, at(millis));
        }
        assert_eq!(window.parts.len(), 3, "one part for each second");
        assert_eq!(
            [29_999, 30_000, 31_499, 31_500, 32_499, 32_500].map(|at_| window.used(at(at_))),
            [50, 30, 30, 10, 10, 0]
        );
        window.note(1, at(40_000));
        assert_eq!(window.unused_at(), Some(at(70_000)));
        for millis in (50_000..500_000).step_by(20) {
            window.note(1, at(millis));
        }
        assert!(window.parts.len() <= 30);
        assert!((1450..=1500).contains(&window.used(at(500_000))));
    }
}
