//! A calendar subscription as a task: keeps the copy of a published calendar fresh, and reports its status.
//!
//! The copy survives everything: a network outage, a server that sends nonsense, a restart. Leaves to others: the
//! fetch itself (`subscription_fetch`), and reading the copy (`collection`).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::subscription_copy::{CachedCopy, Facts};
use super::subscription_fetch::{Fetched, Unfetched, fetch};
use crate::config;
use crate::failure::FailureKind;
use crate::off_the_loop::off_the_loop;
use crate::session::timing;
use crate::time::{Clock, Instant, Now};
use crate::warning::{Code, Warning};

/// After this many refreshes without an answer the copy counts as old, which is worth a warning.
const OLD_AFTER_REFRESHES: u32 = 3;

/// The status of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SubscriptionStatus {
    /// Whether there is a copy, or it is known that there is none.
    pub(super) is_settled: bool,
    /// How many new copies arrived since the start.
    pub(super) copies: u64,
    /// What is wrong.
    pub(super) warning: Option<Warning>,
}

/// Fetches a subscription whenever that is due, and reports its status. Ends when the receiver is gone.
pub(super) async fn follow(
    config: config::Subscription,
    copy: CachedCopy,
    clock: Arc<dyn Clock>,
    statuses: watch::Sender<SubscriptionStatus>,
) {
    let known = copy.clone();
    let facts = off_the_loop(move || known.facts()).await;
    let subscription = Subscription::new(config, copy, facts, &clock.now());
    statuses.send_replace(subscription.status(&clock.now()));
    subscription.follow(clock, statuses).await;
}

/// One subscription.
#[derive(Debug)]
struct Subscription {
    config: config::Subscription,
    copy: CachedCopy,
    /// When the server last confirmed the copy; `None`: there is no copy.
    confirmed_at: Option<Timestamp>,
    copies: u64,
    failure: Option<Unfetched>,
    /// Failures since the last success.
    failures: u32,
    /// When to fetch next.
    next: Instant,
}

impl Subscription {
    /// A subscription with what is known about its copy, if it has one. The first fetch happens when that copy is due, or at once
    /// if it is not what the server sent.
    fn new(config: config::Subscription, copy: CachedCopy, facts: Option<Facts>, now: &Now) -> Self {
        let confirmed_at = facts.as_ref().map(|facts| facts.confirmed_at);
        // After the clock was set back, a copy from the future does not delay the fetch for long.
        let due = |at| now.instant_at(later(at, config.refresh));
        let next = facts.filter(|facts| facts.size.is_some()).map_or(now.instant, |facts| due(facts.confirmed_at));
        let next = next.min(now.instant + config.refresh);
        Self { config, copy, confirmed_at, copies: 0, failure: None, failures: 0, next }
    }

    /// Its status at `now`.
    fn status(&self, now: &Now) -> SubscriptionStatus {
        SubscriptionStatus {
            is_settled: self.confirmed_at.is_some() || self.failure.is_some(),
            copies: self.copies,
            warning: self.warning(now.wall),
        }
    }

    async fn follow(mut self, clock: Arc<dyn Clock>, statuses: watch::Sender<SubscriptionStatus>) {
        let mut random = fastrand::Rng::new();
        loop {
            let now = clock.now();
            let grows_old = self.grows_old_at(&now).filter(|at| *at > now.instant);
            clock.sleep_until(grows_old.map_or(self.next, |at| at.min(self.next))).await;
            let now = clock.now();
            if now.instant >= self.next {
                let outcome = fetch(&self.config.url, &self.copy, now.wall).await;
                self.take(outcome, clock.now().instant, &mut random);
            }
            let status = self.status(&clock.now());
            if statuses.is_closed() {
                return;
            }
            statuses.send_if_modified(|current| std::mem::replace(current, status.clone()) != status);
        }
    }

    fn take(&mut self, outcome: Result<Fetched, Unfetched>, now: Instant, random: &mut fastrand::Rng) {
        let wait = match outcome {
            Ok(found) => {
                let facts = match found {
                    Fetched::Same(facts) => facts,
                    Fetched::New(facts) => {
                        self.copies += 1;
                        facts
                    }
                };
                self.confirmed_at = Some(facts.confirmed_at);
                (self.failure, self.failures) = (None, 0);
                self.config.refresh
            }
            Err(unfetched) => {
                let failure = &unfetched.failure;
                tracing::debug!("a calendar subscription could not be fetched: {failure}");
                self.failures = self.failures.saturating_add(1);
                let wait = match failure.kind {
                    FailureKind::Passing | FailureKind::Throttled => {
                        timing::backoff(self.failures, now, None, random).min(self.config.refresh)
                    }
                    FailureKind::Refused | FailureKind::TokenRefused | FailureKind::SignInNeeded => self.config.refresh,
                };
                let wait = failure.retry_after.map_or(wait, |floor| wait.max(floor));
                self.failure = Some(unfetched);
                wait
            }
        };
        self.next = now + wait;
    }

    /// When the copy counts as old, unless a fetch succeeds before.
    fn grows_old_at(&self, now: &Now) -> Option<Instant> {
        Some(now.instant_at(later(self.confirmed_at?, self.config.refresh * OLD_AFTER_REFRESHES)))
    }

    fn warning(&self, now: Timestamp) -> Option<Warning> {
        let Unfetched { failure, is_broken_answer } = self.failure.as_ref()?;
        let hint = failure.hint.clone().unwrap_or_else(|| {
            format!("Check that this machine can reach {}; presenced tries again by itself.", self.config.url)
        });
        let Some(confirmed_at) = self.confirmed_at else {
            let text = format!("A calendar subscription could not be fetched yet: {failure}.");
            return Some(Warning { code: Code::CalendarUnreadable, text, hint });
        };
        let passes = matches!(failure.kind, FailureKind::Passing | FailureKind::Throttled);
        if passes && !is_broken_answer && now < later(confirmed_at, self.config.refresh * OLD_AFTER_REFRESHES) {
            return None;
        }
        let text = format!(
            "A calendar subscription cannot be fetched: {failure}; presenced uses its copy of {confirmed_at:.0}."
        );
        Some(Warning { code: Code::CalendarStale, text, hint })
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
