//! A yes or no that counts once it has lasted: a test of the microphone makes no call, and a change of the headset ends
//! none.

use std::time::Duration;

use crate::time::Instant;

/// What is seen, and what of it counts.
#[derive(Debug)]
pub(super) struct Settled {
    wait: Duration,
    /// What counted last; `None`: nothing was seen yet.
    counted: Option<bool>,
    /// Since when the opposite is seen.
    since: Option<Instant>,
    /// It was out of sight, and what is seen since then is not what counted before.
    doubted: bool,
}

impl Settled {
    /// What changes counts after `wait`; the first that is seen counts at once.
    pub(super) const fn new(wait: Duration) -> Self {
        Self { wait, counted: None, since: None, doubted: false }
    }

    /// Takes in what is seen at `now`, and says what counts; `None`: nothing does, because it was out of sight and is not
    /// as it was before.
    pub(super) fn see(&mut self, seen: bool, now: Instant) -> Option<bool> {
        let since = *self.since.get_or_insert(now);
        let lasted = now.saturating_since(since) >= self.wait;
        if self.counted.is_none_or(|counted| counted == seen) || lasted {
            *self = Self { counted: Some(seen), ..Self::new(self.wait) };
        }
        self.counted.filter(|_| !self.doubted)
    }

    /// It is out of sight.
    pub(super) const fn lose(&mut self) {
        self.since = None;
        self.doubted = true;
    }

    /// When what is seen now will count, if it does not yet.
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

    fn two_seconds() -> Settled {
        Settled::new(Duration::from_secs(2))
    }

    #[test]
    fn what_is_seen_first_counts_at_once() {
        for seen in [true, false] {
            let mut settled = two_seconds();
            assert_eq!(settled.see(seen, at(0)), Some(seen));
            assert_eq!(settled.counts_at(), None);
        }
    }

    #[test]
    fn a_change_counts_when_it_has_lasted() {
        let mut settled = two_seconds();
        settled.see(false, at(0));
        assert_eq!(settled.see(true, at(1000)), Some(false));
        assert_eq!(settled.counts_at(), Some(at(3000)));
        assert_eq!(settled.see(true, at(2999)), Some(false));
        assert_eq!(settled.see(true, at(3000)), Some(true));
        assert_eq!(settled.counts_at(), None);
        assert_eq!(settled.see(false, at(9000)), Some(true));
        assert_eq!(settled.see(false, at(11_000)), Some(false));
    }

    #[test]
    fn a_change_that_is_taken_back_never_was() {
        let mut settled = two_seconds();
        settled.see(true, at(0));
        settled.see(false, at(1000));
        assert_eq!(settled.see(true, at(2000)), Some(true));
        assert_eq!(settled.counts_at(), None);
        // It is reckoned anew.
        settled.see(false, at(2500));
        assert_eq!(settled.see(false, at(3500)), Some(true));
    }

    #[test]
    fn without_a_wait_a_change_counts_at_once() {
        let mut settled = Settled::new(Duration::ZERO);
        assert_eq!(settled.see(false, at(0)), Some(false));
        assert_eq!(settled.see(true, at(0)), Some(true));
        assert_eq!(settled.see(false, at(0)), Some(false));
    }

    #[test]
    fn after_it_was_out_of_sight_only_what_was_before_counts_at_once() {
        let mut settled = two_seconds();
        settled.see(true, at(0));
        settled.lose();
        assert_eq!(settled.see(true, at(1000)), Some(true), "as it was");
        settled.lose();
        assert_eq!(settled.see(false, at(2000)), None, "who records has perhaps not come back yet");
        assert_eq!(settled.counts_at(), Some(at(4000)));
        assert_eq!(settled.see(false, at(4000)), Some(false), "nobody came back");
        // Never seen before: there is nothing to go by.
        let mut settled = two_seconds();
        settled.lose();
        assert_eq!(settled.see(false, at(0)), Some(false));
    }
}
