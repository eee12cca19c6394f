//! A yes or no that counts once it has lasted: a short test of the microphone is not a call, and changing the headset does not
//! end one.

use std::time::Duration;

use crate::time::Instant;

/// What was seen, and what counts.
#[derive(Debug)]
pub(super) struct Debounce {
    wait: Duration,
    /// The value that counted last; `None`: nothing was seen yet.
    counted: Option<bool>,
    /// Since when the opposite has been seen.
    since: Option<Instant>,
    /// Nothing could be seen for a while, and the value seen since then is not the one that counted before.
    is_doubtful: bool,
}

impl Debounce {
    /// A change counts after `wait`; the first value counts at once.
    pub(super) const fn new(wait: Duration) -> Self {
        Self { wait, counted: None, since: None, is_doubtful: false }
    }

    /// Records the value seen at `now`, and returns the one that counts. `None`: neither does, because nothing could be seen
    /// for a while and the value is not as it was before.
    pub(super) fn update(&mut self, seen: bool, now: Instant) -> Option<bool> {
        let since = *self.since.get_or_insert(now);
        let lasted = now.saturating_since(since) >= self.wait;
        if self.counted.is_none_or(|counted| counted == seen) || lasted {
            *self = Self { counted: Some(seen), ..Self::new(self.wait) };
        }
        self.counted.filter(|_| !self.is_doubtful)
    }

    /// Records that nothing can be seen.
    pub(super) const fn interrupt(&mut self) {
        self.since = None;
        self.is_doubtful = true;
    }

    /// When the value seen now will count, if it does not yet.
    pub(super) fn counts_at(&self) -> Option<Instant> {
        self.since.map(|since| since + self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    fn two_seconds() -> Debounce {
        Debounce::new(Duration::from_secs(2))
    }

    #[test]
    fn the_first_value_counts_at_once() {
        for seen in [true, false] {
            let mut debounce = two_seconds();
            assert_eq!(debounce.update(seen, at(0)), Some(seen));
            assert_eq!(debounce.counts_at(), None);
        }
    }

    #[test]
    fn a_change_counts_once_it_has_lasted() {
        let mut debounce = two_seconds();
        debounce.update(false, at(0));
        assert_eq!(debounce.update(true, at(1000)), Some(false));
        assert_eq!(debounce.counts_at(), Some(at(3000)));
        assert_eq!(debounce.update(true, at(2999)), Some(false));
        assert_eq!(debounce.update(true, at(3000)), Some(true));
        assert_eq!(debounce.counts_at(), None);
        assert_eq!(debounce.update(false, at(9000)), Some(true));
        assert_eq!(debounce.update(false, at(11_000)), Some(false));
    }

    #[test]
    fn a_change_that_is_taken_back_never_counts() {
        let mut debounce = two_seconds();
        debounce.update(true, at(0));
        debounce.update(false, at(1000));
        assert_eq!(debounce.update(true, at(2000)), Some(true));
        assert_eq!(debounce.counts_at(), None);
        // The wait starts again.
        debounce.update(false, at(2500));
        assert_eq!(debounce.update(false, at(3500)), Some(true));
    }

    #[test]
    fn without_a_wait_a_change_counts_at_once() {
        let mut debounce = Debounce::new(Duration::ZERO);
        assert_eq!(debounce.update(false, at(0)), Some(false));
        assert_eq!(debounce.update(true, at(0)), Some(true));
        assert_eq!(debounce.update(false, at(0)), Some(false));
    }

    #[test]
    fn after_an_interruption_only_the_earlier_value_counts_at_once() {
        let mut debounce = two_seconds();
        debounce.update(true, at(0));
        debounce.interrupt();
        assert_eq!(debounce.update(true, at(1000)), Some(true), "as it was");
        debounce.interrupt();
        assert_eq!(debounce.update(false, at(2000)), None, "the recording program may not have come back yet");
        assert_eq!(debounce.counts_at(), Some(at(4000)));
        assert_eq!(debounce.update(false, at(4000)), Some(false), "no program came back");
        // Never seen before: there is no earlier value.
        let mut debounce = two_seconds();
        debounce.interrupt();
        assert_eq!(debounce.update(false, at(0)), Some(false));
    }
}
