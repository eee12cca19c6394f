//! The timeline of what others see of one user: each change with its exact time and cause.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Availability, Pair};

/// Why what others see changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The emulator started.
    Start,
    /// An application set its session.
    Set,
    /// An application cleared its session.
    Cleared,
    /// A session faded.
    Faded,
    /// A session expired.
    Expired,
    /// The preferred presence was set.
    Preferred,
    /// The preferred presence was cleared.
    PreferredCleared,
    /// The preferred presence expired.
    PreferredExpired,
    /// Another client, such as Teams on a desktop, changed its session.
    Client,
}

/// A period in which others saw the same presence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When it began.
    pub from: Timestamp,
    /// When it ended; `None` for the current one.
    pub to: Option<Timestamp>,
    /// What others saw.
    #[serde(flatten)]
    pub visible: Pair,
    /// Why it began.
    pub cause: Cause,
}

/// What others saw of one user, without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The periods, oldest first. Each starts where the one before it ends.
    pub spans: Vec<Span>,
    /// How many older periods were dropped.
    pub dropped: u64,
}

impl Timeline {
    /// What others saw at `at`; `None` before the first period.
    pub fn at(&self, at: Timestamp) -> Option<&Pair> {
        let after = self.spans.partition_point(|span| span.from <= at);
        after.checked_sub(1).map(|index| &self.spans[index].visible)
    }

    /// For how long, within `[from, to)`, others saw something other than `expected`. Each entry of `expected` holds from its time
    /// until the next entry; they must be in chronological order. Time before the first entry never counts as wrong.
    pub fn wrong(&self, expected: &[(Timestamp, Pair)], from: Timestamp, to: Timestamp) -> Duration {
        let mut wrong = Duration::ZERO;
        for (index, (begins, pair)) in expected.iter().enumerate() {
            let ends = expected.get(index + 1).map_or(to, |next| next.0).min(to);
            for span in self.spans.iter().filter(|span| span.visible != *pair) {
                let start = span.from.max(*begins).max(from);
                let end = span.to.unwrap_or(to).min(ends);
                wrong += Duration::try_from(end.duration_since(start)).unwrap_or_default();
            }
        }
        wrong
    }

    /// How many times, within `[from, to)`, others saw Available fade to `AvailableInactive`.
    pub fn fades(&self, from: Timestamp, to: Timestamp) -> usize {
        let begins = |span: &&Span| from <= span.from && span.from < to;
        let inactive =
            |span: &&Span| span.cause == Cause::Faded && span.visible.availability == Availability::Available;
        self.spans.iter().filter(begins).filter(inactive).count()
    }
}

/// The newest changes, from which a [`Timeline`] is made.
#[derive(Clone, Debug)]
pub(super) struct History {
    changes: VecDeque<(Timestamp, Pair, Cause)>,
    /// How many are kept. The oldest are dropped first.
    max_changes: usize,
    dropped: u64,
}

impl History {
    /// Offline since `from`.
    pub(super) fn new(from: Timestamp, max_changes: usize) -> Self {
        Self { changes: VecDeque::from([(from, Pair::offline(), Cause::Start)]), max_changes, dropped: 0 }
    }

    /// Notes what others see from `at` on, if that is a change.
    pub(super) fn note(&mut self, at: Timestamp, visible: Pair, cause: Cause) {
        if self.changes.back().is_some_and(|latest| latest.1 == visible) {
            return;
        }
        if self.changes.len() >= self.max_changes {
            self.changes.pop_front();
            self.dropped += 1;
        }
        self.changes.push_back((at, visible, cause));
    }

    /// When the latest change happened.
    pub(super) fn since(&self) -> Timestamp {
        self.changes.back().map_or(Timestamp::MIN, |latest| latest.0)
    }

    /// The timeline of all kept changes.
    pub(super) fn timeline(&self) -> Timeline {
        let ends = self.changes.iter().skip(1).map(|next| Some(next.0)).chain([None]);
        let spans = self
            .changes
            .iter()
            .zip(ends)
            .map(|((from, visible, cause), to)| Span { from: *from, to, visible: visible.clone(), cause: *cause })
            .collect();
        Timeline { spans, dropped: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pair(availability: Availability) -> Pair {
        Pair::new(availability, availability.to_string())
    }

    #[test]
    fn wrong_is_the_time_in_which_others_saw_something_unexpected() {
        let mut history = History::new(at(0), 10);
        history.note(at(10), pair(Availability::Available), Cause::Set);
        history.note(at(10), pair(Availability::Available), Cause::Set);
        history.note(at(100), pair(Availability::Away), Cause::Set);
        let timeline = history.timeline();
        assert_eq!(timeline.spans.len(), 3);
        assert_eq!(timeline.at(at(-1)), None);
        assert_eq!(timeline.at(at(10)), Some(&pair(Availability::Available)));
        assert_eq!(timeline.at(at(500)), Some(&pair(Availability::Away)));

        let expected = [(at(5), pair(Availability::Available)), (at(90), pair(Availability::Away))];
        assert_eq!(timeline.wrong(&expected, at(0), at(200)), Duration::from_secs(15));
        assert_eq!(timeline.wrong(&expected, at(8), at(95)), Duration::from_secs(7));
        assert_eq!(timeline.wrong(&[], at(0), at(200)), Duration::ZERO);
    }

    #[test]
    fn a_fade_counts_once_when_it_begins() {
        let mut history = History::new(at(0), 10);
        history.note(at(10), pair(Availability::Available), Cause::Set);
        history.note(at(310), Pair::new(Availability::Available, "AvailableInactive"), Cause::Faded);
        history.note(at(610), pair(Availability::Away), Cause::Faded);
        let timeline = history.timeline();
        let fades = [(0, 310), (310, 311), (311, 700), (0, 700)].map(|(from, to)| timeline.fades(at(from), at(to)));
        assert_eq!(fades, [0, 1, 0, 1]);
    }

    #[test]
    fn old_changes_are_dropped_and_counted() {
        let mut history = History::new(at(0), 10);
        for second in 1..=14 {
            let availability = if second % 2 == 0 { Availability::Busy } else { Availability::Away };
            history.note(at(second), pair(availability), Cause::Set);
        }
        let timeline = history.timeline();
        assert_eq!(timeline.spans.len(), 10);
        assert_eq!(timeline.dropped, 5);
        assert_eq!(timeline.spans[0].from, at(5));
    }
}
