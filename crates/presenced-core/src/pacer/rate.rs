//! The rate: what Graph grants one application in one tenant, the bucket that stays below it, and the load that users will be.
//!
//! Leaves to others: what the tokens of the bucket are spent on ([`super::Pacer`]).

use std::time::Duration;

use crate::session::{Target, timing};
use crate::time::Instant;

/// How many requests fit in one `$batch`.
///
/// Source: Graph, "Combine multiple HTTP requests using JSON batching".
const BATCH: u32 = 20;

/// How much of the rate is used, as a fraction: 9/10.
const USED: (u32, u32) = (9, 10);

/// How many requests an application may send in one tenant. Each part of a `$batch` counts as one.
///
/// Source: Graph, "Microsoft Graph service-specific throttling limits", on presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    per: Duration,
}

/// The rate allows no request at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate must allow at least one request, in a time longer than zero")]
pub struct RateOfNothing;

impl Rate {
    /// `requests` in each `per`.
    pub fn new(requests: u32, per: Duration) -> Result<Self, RateOfNothing> {
        if requests == 0 || per.is_zero() { Err(RateOfNothing) } else { Ok(Self { requests, per }) }
    }

    /// How many requests are allowed in [`Rate::per`].
    pub const fn requests(self) -> u32 {
        self.requests
    }

    /// The time in which [`Rate::requests`] are allowed.
    pub const fn per(self) -> Duration {
        self.per
    }

    /// The slower of two rates.
    #[must_use]
    pub fn slower(self, other: Self) -> Self {
        if other.spacing() > self.spacing() { other } else { self }
    }

    /// The time between two requests at the pace that is used. Rounded up, so that the pace is never above it.
    fn spacing(self) -> Duration {
        let (used, of) = USED;
        let nanos = (self.per.as_nanos() * u128::from(of)).div_ceil(u128::from(self.requests) * u128::from(used));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The share of this rate that keepalives for these users need: 1.0 is all of it. Each entry is a number of users and what they
    /// hold.
    pub fn planned_load(self, users: impl IntoIterator<Item = (usize, Target)>) -> f64 {
        let requests_in_a_second = |(count, target)| {
            #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 users")]
            let count = count as f64;
            count / timing::refresh_after(timing::interval(target)).as_secs_f64()
        };
        let load: f64 = users.into_iter().map(requests_in_a_second).sum();
        load * self.per.as_secs_f64() / f64::from(self.requests)
    }
}

impl Default for Rate {
    /// What Graph documents for presence: 1,500 requests in 30 s.
    fn default() -> Self {
        Self { requests: 1500, per: Duration::from_secs(30) }
    }
}

/// A token bucket. It fills at 90 % of the rate and holds what flows in during one second, but at least one token.
///
/// In any time `t`, it gives at most `t` times the pace plus one second's worth: 1,395 in 30 s at the default rate. A process that is
/// started again begins with a full bucket, so the tenth that is left is enough for three starts in 30 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    spacing: Duration,
    size: u32,
    /// When it is full again.
    full_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate) -> Self {
        let (used, of) = USED;
        let in_a_second = Duration::from_secs(1).as_nanos() * u128::from(rate.requests) * u128::from(used)
            / (rate.per.as_nanos() * u128::from(of));
        let size = u32::try_from(in_a_second).unwrap_or(u32::MAX).max(1);
        Self { spacing: rate.spacing(), size, full_at: Instant::default() }
    }

    /// As full as this one, at another rate. A pause goes on.
    pub(super) fn at(&self, rate: Rate) -> Self {
        Self { full_at: self.full_at, ..Self::new(rate) }
    }

    /// How many requests go in one batch at most.
    pub(super) fn batch(&self) -> usize {
        self.size.min(BATCH) as usize
    }

    /// How many whole tokens there are.
    pub(super) fn tokens(&self, now: Instant) -> usize {
        let missing = self.full_at.saturating_since(now).as_nanos().div_ceil(self.spacing.as_nanos());
        (u128::from(self.size).saturating_sub(missing)).try_into().unwrap_or(usize::MAX)
    }

    /// When there are `tokens`, if none is taken until then. A past time means now.
    pub(super) fn has_at(&self, tokens: usize) -> Instant {
        let others = self.size.saturating_sub(u32::try_from(tokens).unwrap_or(u32::MAX));
        self.full_at - self.spacing.saturating_mul(others)
    }

    /// Takes tokens that are there.
    pub(super) fn take(&mut self, tokens: usize, now: Instant) {
        self.full_at = self.full_at.max(now) + self.spacing.saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX));
    }

    /// Empties it, so that the next token is there at `until` and not before.
    pub(super) fn empty(&mut self, until: Instant) {
        self.full_at = self.full_at.max(until + self.spacing.saturating_mul(self.size - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Expiration, Presence};

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn it_fills_at_nine_tenths_of_the_rate_and_holds_one_second() {
        let mut bucket = Bucket::new(Rate::default());
        assert_eq!((bucket.tokens(at(0)), bucket.batch()), (45, 20));
        bucket.take(45, at(0));
        assert_eq!((bucket.tokens(at(22)), bucket.tokens(at(23))), (0, 1));
        assert_eq!(bucket.tokens(at(999)), 44);
        assert_eq!(bucket.tokens(at(1001)), 45);
        assert_eq!(bucket.tokens(at(60_000)), 45);
    }

    #[test]
    fn at_another_rate_it_is_as_full_as_before() {
        let mut bucket = Bucket::new(Rate::default());
        bucket.take(45, at(5000));
        let slower = bucket.at(Rate::new(300, Duration::from_secs(30)).expect("a rate"));
        assert_eq!([5000, 5500, 6001].map(|millis| slower.tokens(at(millis))), [0, 4, 9]);
        bucket.empty(at(25_000));
        assert_eq!(bucket.at(Rate::default()).tokens(at(24_999)), 0);
    }

    #[test]
    fn it_says_when_it_will_have_the_tokens() {
        let mut bucket = Bucket::new(Rate::default());
        bucket.take(45, at(5000));
        let then = bucket.has_at(20);
        assert_eq!((bucket.tokens(then), bucket.tokens(then - Duration::from_nanos(1))), (20, 19));
        bucket.empty(at(25_000));
        assert_eq!((bucket.tokens(at(24_999)), bucket.tokens(at(25_000)), bucket.has_at(1)), (0, 1, at(25_000)));
    }

    #[test]
    fn a_slow_rate_has_at_least_one_token() {
        let mut bucket = Bucket::new(Rate::new(1, Duration::from_mins(1)).expect("a rate"));
        assert_eq!((bucket.tokens(at(0)), bucket.batch()), (1, 1));
        bucket.take(1, at(0));
        assert_eq!((bucket.tokens(at(66_000)), bucket.tokens(at(66_667))), (0, 1));
        assert_eq!(Rate::new(0, Duration::from_secs(30)), Err(RateOfNothing));
        assert_eq!(Rate::new(1, Duration::ZERO), Err(RateOfNothing));
    }

    #[test]
    fn the_planned_load_is_what_keepalives_take_of_the_rate() {
        let hold = |presence| Target { presence, expiration: Expiration::default() };
        let load = |available, others| {
            let users = [(available, hold(Presence::Available)), (others, hold(Presence::Away))];
            format!("{:.4}", Rate::default().planned_load(users))
        };
        // GRAPH_FACTS: "The ceiling is 12,000 Available users at one refresh per 240 s; 9,600 at 80 % of it."
        assert_eq!(load(12_000, 0), "1.0000");
        assert_eq!(load(9600, 0), "0.8000");
        assert_eq!(load(9600, 2400), "0.8667");
        assert_eq!(load(0, 0), "0.0000");
    }
}
