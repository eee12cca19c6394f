//! The pace of one application in one tenant, which all its accounts share.
//!
//! Leaves to others: the bucket ([`super::rate`]), and what is sent ([`super::Pacer`], and sessions of one user each).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rate::{Bucket, Rate};
use super::window::Window;
use crate::time::Instant;

/// The pace of one application in one tenant: one bucket for all accounts that use it. A clone is another handle to it.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Mutex<Spent>>);

/// What may be sent, and what was.
#[derive(Debug)]
struct Spent {
    bucket: Bucket,
    window: Window,
}

impl Pace {
    /// A pace at which nothing was sent yet.
    pub fn new(rate: Rate) -> Self {
        Self(Arc::new(Mutex::new(Spent { bucket: Bucket::new(rate), window: Window::new(rate) })))
    }

    /// Graph grants another rate from now on. What was sent so far still counts.
    pub fn set_rate(&self, rate: Rate) {
        let mut spent = self.spent();
        spent.bucket = spent.bucket.at(rate);
        spent.window.set_rate(rate);
    }

    /// When one request may be sent, if no other is until then. A past time means now.
    pub fn next(&self) -> Instant {
        self.has_at(1)
    }

    /// This many requests are sent.
    pub fn note_sent(&self, requests: usize, now: Instant) {
        let mut spent = self.spent();
        spent.bucket.take(requests, now);
        spent.window.note(requests, now);
    }

    /// Graph says that nothing may be sent until then.
    pub fn note_throttled(&self, until: Instant) {
        self.spent().bucket.empty(until);
    }

    pub(super) fn batch(&self) -> usize {
        self.spent().bucket.batch()
    }

    pub(super) fn tokens(&self, now: Instant) -> usize {
        self.spent().bucket.tokens(now)
    }

    pub(super) fn has_at(&self, tokens: usize) -> Instant {
        self.spent().bucket.has_at(tokens)
    }

    pub(super) fn used(&self, now: Instant) -> u32 {
        self.spent().window.used(now)
    }

    pub(super) fn unused_at(&self) -> Option<Instant> {
        self.spent().window.unused_at()
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        Self::new(rate)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn accounts_of_one_application_take_from_the_same_bucket() {
        let one = Pace::new(Rate::default());
        let other = one.clone();
        for _ in 0..45 {
            assert!(one.next() <= at(5000));
            other.note_sent(1, at(5000));
        }
        assert!(one.next() > at(5000) && one.next() <= at(5023));
        assert_eq!(one.used(at(5000)), 45);
        other.note_throttled(at(9000));
        assert_eq!(one.next(), at(9000));
        one.set_rate(Rate::new(30, Duration::from_secs(30)).expect("a rate"));
        assert!(other.next() >= at(9000), "another rate ends no pause");
    }
}
