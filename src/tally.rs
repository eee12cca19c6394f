//! The tally: what happened since the start, counted. The report says what is; this has what was, and only `GET /metrics`
//! shows it.
//!
//! Plain numbers behind a lock, without a clock: whoever knows that something ended counts it here, and says how long it took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::failure::{Failure, FailureKind};
use crate::session::Action;
use crate::words::words;

words! {
    /// What is asked of a service.
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
        /// A token, of the sign-in service or of a command.
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
    /// Done.
    Ok,
    /// Failed.
    Failed(FailureKind),
    /// Nobody waited for the answer any more, as before sleep.
    Abandoned,
}

impl Outcome {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let failures = FailureKind::ALL.iter().map(|kind| Self::Failed(*kind));
        [Self::Ok].into_iter().chain(failures).chain([Self::Abandoned])
    }

    /// What a result amounts to.
    pub fn of<T>(result: &Result<T, Failure>) -> Self {
        result.as_ref().map_or_else(|failure| Self::Failed(failure.kind), |_| Self::Ok)
    }

    /// The word for it in metrics.
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
        /// A signal said something.
        Signal = "signal",
        /// A request ended.
        Answer = "answer",
        /// Somebody asked for something: through the socket, or by SIGHUP.
        Command = "command",
        /// A time has come: a keepalive, the end of a meeting, the watchdog.
        Time = "time",
    }
}

/// The upper bounds in seconds of how long a call takes: from a service next door to one that is given up after 10 s.
pub const CALL_BOUNDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The same of how long a changed decision takes to be in Graph, which a burst, a backoff or a `Retry-After` makes long.
pub const CHANGE_BOUNDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

/// Durations, counted by how long they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Durations {
    /// How many there are up to each bound and beyond the one before; at last those beyond all.
    pub counts: [u64; 11],
    /// All of them together, in seconds.
    pub sum: f64,
}

impl Durations {
    fn add(&mut self, took: Duration, bounds: &[f64; 10]) {
        let seconds = took.as_secs_f64();
        let bucket = bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len());
        self.counts[bucket] += 1;
        self.sum += seconds;
    }
}

/// What is counted of one kind of call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// How they ended.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// How long they took, but for those that were abandoned.
    pub durations: Durations,
}

/// What is counted of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The calls.
    pub calls: BTreeMap<Call, Calls>,
    /// When the last request was sent that Graph carried out.
    pub last_success: Option<Timestamp>,
    /// From a changed decision to Graph's word that it holds.
    pub changes: Durations,
}

/// All that is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// The accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// The wake-ups of the event loop.
    pub wakeups: BTreeMap<Wakeup, u64>,
    /// How many events the calendars hold; `None`: there is no calendar, or it is not read.
    pub calendar_events: Option<usize>,
}

/// The counts, shared by who counts and who shows them.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

impl Tally {
    /// A call that begins. It counts once it ends, or is dropped.
    pub fn begin(self: &Arc<Self>, account: &str, call: Call) -> Pending {
        Pending { tally: Arc::clone(self), account: account.to_owned(), call, ended: false }
    }

    /// It took so long from a changed decision to Graph's word that it holds.
    pub fn note_change(&self, account: &str, took: Duration) {
        self.counts().accounts.entry(account.to_owned()).or_default().changes.add(took, &CHANGE_BOUNDS);
    }

    /// The event loop woke up.
    pub fn note_wakeup(&self, wakeup: Wakeup) {
        *self.counts().wakeups.entry(wakeup).or_default() += 1;
    }

    /// So many events the calendars hold now.
    pub fn note_calendar_events(&self, events: Option<usize>) {
        self.counts().calendar_events = events;
    }

    /// Forgets the accounts that are not to be kept.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.counts().accounts.retain(|name, _| keep(name));
    }

    /// What was counted so far.
    pub fn read(&self) -> Counts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. Dropped before its end, it counts as abandoned.
#[derive(Debug)]
pub struct Pending {
    tally: Arc<Tally>,
    account: String,
    call: Call,
    ended: bool,
}

impl Pending {
    /// It ended after `took`; it had begun at `sent_at`.
    pub fn end(mut self, outcome: Outcome, took: Duration, sent_at: Timestamp) {
        self.ended = true;
        let mut counts = self.tally.counts();
        let account = counts.accounts.entry(self.account.clone()).or_default();
        if outcome == Outcome::Ok && self.call != Call::Token {
            account.last_success = account.last_success.max(Some(sent_at));
        }
        let calls = account.calls.entry(self.call).or_default();
        calls.durations.add(took, &CALL_BOUNDS);
        *calls.outcomes.entry(outcome).or_default() += 1;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.ended {
            let mut counts = self.tally.counts();
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
        let tally = Arc::new(Tally::default());
        let at = |second| Timestamp::from_second(second).unwrap();
        let end = |call, outcome, millis, second| {
            tally.begin("work", call).end(outcome, Duration::from_millis(millis), at(second));
        };
        end(Call::Set, Outcome::Ok, 10, 1);
        end(Call::Set, Outcome::Failed(FailureKind::Throttled), 30, 3);
        end(Call::Token, Outcome::Ok, 20_000, 2);
        drop(tally.begin("work", Call::Set));

        let work = tally.read().accounts["work"].clone();
        let throttled = Outcome::Failed(FailureKind::Throttled);
        let set = &work.calls[&Call::Set];
        assert_eq!(set.outcomes, [(Outcome::Ok, 1), (throttled, 1), (Outcome::Abandoned, 1)].into());
        assert_eq!(set.durations.counts, [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], "what was abandoned took no time");
        assert_eq!(work.calls[&Call::Token].durations.counts[10], 1, "beyond all bounds");
        // Neither a failure nor a token is a success with Graph.
        assert_eq!(work.last_success, Some(at(1)));
    }

    #[test]
    fn an_older_success_that_ends_later_does_not_turn_back_the_time() {
        let tally = Arc::new(Tally::default());
        for second in [5, 4] {
            let sent_at = Timestamp::from_second(second).unwrap();
            tally.begin("work", Call::Read).end(Outcome::Ok, Duration::ZERO, sent_at);
        }
        assert_eq!(tally.read().accounts["work"].last_success.map(Timestamp::as_second), Some(5));
        tally.retain(|name| name != "work");
        assert_eq!(tally.read(), Counts::default());
    }

    #[test]
    fn each_outcome_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Outcome::all().map(Outcome::as_str).collect();
        assert_eq!(words.len(), Outcome::all().count());
    }
}
