//! The metrics: counts of what has happened since the start. The report describes the present; these describe the past, and only
//! `GET /metrics` shows them.
//!
//! They are plain numbers behind a lock, without a clock. Whoever knows that something has ended counts it here and says how long
//! it took: `daemon/exchange` for calls to Graph, `auth/` for tokens. The core does not use them. Leaves to others: the text that
//! shows them (`status/open_metrics`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::failure::{Failure, FailureKind};
use crate::session::Action;
use presenced_core::words;

words! {
    /// A kind of call to a service.
    pub enum Call {
        /// setPresence.
        Set = "set",
        /// clearPresence.
        Clear = "clear",
        /// setUserPreferredPresence.
        Prefer = "prefer",
        /// clearUserPreferredPresence.
        ClearPreferred = "clear-preferred",
        /// Reading what others see.
        Read = "read",
        /// A token, from the sign-in service or from a command.
        Token = "token",
    }
}

impl From<Action> for Call {
    fn from(action: Action) -> Self {
        match action {
            Action::Set(_) => Self::Set,
            Action::Clear => Self::Clear,
            Action::Prefer(_) => Self::Prefer,
            Action::ClearPreferred => Self::ClearPreferred,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was carried out.
    Ok,
    /// It failed.
    Failed(FailureKind),
    /// Nobody waited for the answer, for example before a suspend.
    Abandoned,
}

impl Outcome {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let failures = FailureKind::ALL.iter().map(|kind| Self::Failed(*kind));
        [Self::Ok].into_iter().chain(failures).chain([Self::Abandoned])
    }

    /// The outcome that a result stands for.
    pub fn of<T>(result: &Result<T, Failure>) -> Self {
        result.as_ref().map_or_else(|failure| Self::Failed(failure.kind), |_| Self::Ok)
    }

    /// Its label in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(kind) => kind.as_str(),
            Self::Abandoned => "abandoned",
        }
    }
}

words! {
    /// What woke the event loop.
    pub enum Wakeup {
        /// A signal has changed.
        Signal = "signal",
        /// A request has ended.
        Answer = "answer",
        /// A command came, through the socket or as SIGHUP.
        Command = "command",
        /// Something was due: a keepalive, the end of a meeting, the watchdog.
        Time = "time",
    }
}

/// The upper bounds of the buckets for how long a call takes, in seconds: from a nearby service to a call that is abandoned after
/// 10 s.
pub const CALL_BOUNDS_SECS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The same for how long a changed decision takes to reach Graph. A burst, a backoff or a `Retry-After` makes that long.
pub const CHANGE_BOUNDS_SECS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

/// Durations, counted by length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many fall into each bucket; the last one is for durations beyond all bounds.
    pub counts: [u64; 11],
    /// Their sum, in seconds.
    pub sum: f64,
}

impl Histogram {
    fn add(&mut self, took: Duration, bounds: &[f64; 10]) {
        let seconds = took.as_secs_f64();
        let bucket = bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len());
        self.counts[bucket] += 1;
        self.sum += seconds;
    }
}

/// The counts of one kind of call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// How they ended.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// How long they took, without those that were abandoned.
    pub durations: Histogram,
}

/// The counts of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The calls, by kind.
    pub calls: BTreeMap<Call, Calls>,
    /// When the last request that Graph carried out was sent.
    pub last_success: Option<Timestamp>,
    /// The times from a changed decision until Graph confirmed it.
    pub changes: Histogram,
}

/// All counts at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The accounts, by name.
    pub accounts: BTreeMap<String, Account>,
    /// The wake-ups of the event loop.
    pub wakeups: BTreeMap<Wakeup, u64>,
    /// How many events the calendars hold; `None`: no calendar is configured, or none could be read.
    pub calendar_events: Option<usize>,
}

/// The counts, shared between those who count and those who show them.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Snapshot>);

impl Metrics {
    /// A call begins. It is counted when it ends or is dropped.
    pub fn begin(self: &Arc<Self>, account: &str, call: Call) -> Pending {
        Pending { metrics: Arc::clone(self), account: account.to_owned(), call, ended: false }
    }

    /// A changed decision took this long until Graph confirmed it.
    pub fn note_change(&self, account: &str, took: Duration) {
        self.counts().accounts.entry(account.to_owned()).or_default().changes.add(took, &CHANGE_BOUNDS_SECS);
    }

    /// The event loop woke up.
    pub fn note_wakeup(&self, wakeup: Wakeup) {
        *self.counts().wakeups.entry(wakeup).or_default() += 1;
    }

    /// The calendars hold this many events now.
    pub fn note_calendar_events(&self, events: Option<usize>) {
        self.counts().calendar_events = events;
    }

    /// Forgets the accounts that `keep` rejects.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.counts().accounts.retain(|name, _| keep(name));
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Snapshot {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in progress. If it is dropped before its end, it counts as abandoned.
#[derive(Debug)]
pub struct Pending {
    metrics: Arc<Metrics>,
    account: String,
    call: Call,
    ended: bool,
}

impl Pending {
    /// It ended after `took`, and began at `sent_at`.
    pub fn end(mut self, outcome: Outcome, took: Duration, sent_at: Timestamp) {
        self.ended = true;
        let mut counts = self.metrics.counts();
        let account = counts.accounts.entry(self.account.clone()).or_default();
        if outcome == Outcome::Ok && self.call != Call::Token {
            account.last_success = account.last_success.max(Some(sent_at));
        }
        let calls = account.calls.entry(self.call).or_default();
        calls.durations.add(took, &CALL_BOUNDS_SECS);
        *calls.outcomes.entry(outcome).or_default() += 1;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.ended {
            let mut counts = self.metrics.counts();
            let account = counts.accounts.entry(self.account.clone()).or_default();
            *account.calls.entry(self.call).or_default().outcomes.entry(Outcome::Abandoned).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_by_its_outcome_and_its_time() {
        let metrics = Arc::new(Metrics::default());
        let at = |second| Timestamp::from_second(second).unwrap();
        let end = |call, outcome, millis, second| {
            metrics.begin("work", call).end(outcome, Duration::from_millis(millis), at(second));
        };
        end(Call::Set, Outcome::Ok, 10, 1);
        end(Call::Set, Outcome::Failed(FailureKind::Throttled), 30, 3);
        end(Call::Token, Outcome::Ok, 20_000, 2);
        drop(metrics.begin("work", Call::Set));

        let work = metrics.snapshot().accounts["work"].clone();
        let throttled = Outcome::Failed(FailureKind::Throttled);
        let set = &work.calls[&Call::Set];
        assert_eq!(set.outcomes, [(Outcome::Ok, 1), (throttled, 1), (Outcome::Abandoned, 1)].into());
        assert_eq!(set.durations.counts, [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], "an abandoned call has no duration");
        assert_eq!(work.calls[&Call::Token].durations.counts[10], 1, "beyond all bounds");
        // Neither a failure nor a token counts as a success with Graph.
        assert_eq!(work.last_success, Some(at(1)));
    }

    #[test]
    fn an_older_success_that_ends_later_does_not_move_the_time_back() {
        let metrics = Arc::new(Metrics::default());
        for second in [5, 4] {
            let sent_at = Timestamp::from_second(second).unwrap();
            metrics.begin("work", Call::Read).end(Outcome::Ok, Duration::ZERO, sent_at);
        }
        assert_eq!(metrics.snapshot().accounts["work"].last_success.map(Timestamp::as_second), Some(5));
        metrics.retain(|name| name != "work");
        assert_eq!(metrics.snapshot(), Snapshot::default());
    }

    #[test]
    fn each_outcome_has_its_own_label() {
        let words: std::collections::BTreeSet<_> = Outcome::all().map(Outcome::as_str).collect();
        assert_eq!(words.len(), Outcome::all().count());
    }
}
