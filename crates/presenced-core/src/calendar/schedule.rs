//! A schedule: the busy states in a window of time. The daemon can look up any moment in it without parsing anything.

use jiff::Timestamp;

use super::{BusyClass, BusyState};

/// The time and busy class of one occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) class: BusyClass,
    pub(super) online: bool,
}

/// The busy state at every moment of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    from: Timestamp,
    to: Timestamp,
    /// The changes of state, ascending. Before the first one, the state is free.
    changes: Vec<(Timestamp, BusyClass, bool)>,
    /// The number of events in the calendar, inside the window or not.
    events: usize,
}

impl Schedule {
    /// A schedule for the window `[from, to)`. Each change has its time, the new class, and whether that is an online meeting.
    /// The times must ascend.
    pub fn new(from: Timestamp, to: Timestamp, changes: Vec<(Timestamp, BusyClass, bool)>) -> Self {
        debug_assert!(changes.is_sorted_by(|earlier, later| earlier.0 < later.0), "the times ascend");
        Self { from, to, changes, events: 0 }
    }

    /// The same schedule, for a calendar with `events` events.
    pub(super) fn with_events(self, events: usize) -> Self {
        Self { events, ..self }
    }

    /// The schedule of some occurrences. They may be in any order and reach beyond the window.
    pub(super) fn of_spans<'a>(from: Timestamp, to: Timestamp, spans: impl Iterator<Item = &'a Span>) -> Self {
        // Free occurrences do not count, not even as online meetings.
        let busy = spans.filter(|span| span.class > BusyClass::Free && span.start < to && span.end > from);
        let mut edges: Vec<(Timestamp, bool, BusyClass, bool)> = busy
            .filter(|span| span.start < span.end)
            .flat_map(|span| {
                let edge = |at, begins| (at, begins, span.class, span.online);
                [edge(span.start.max(from), true), edge(span.end, false)]
            })
            .collect();
        edges.sort_unstable_by_key(|edge| edge.0);

        // The number of current occurrences, by class and by whether they are online.
        let mut current = [[0_usize; 2]; BusyClass::ALL.len()];
        let mut changes = Vec::new();
        let mut state = (BusyClass::Free, false);
        for together in edges.chunk_by(|one, other| one.0 == other.0) {
            for &(_, begins, class, online) in together {
                let count = &mut current[class as usize][usize::from(online)];
                *count = if begins { *count + 1 } else { *count - 1 };
            }
            let strongest = BusyClass::ALL.iter().rev().find(|class| current[**class as usize] != [0, 0]);
            let next = strongest.map_or((BusyClass::Free, false), |class| (*class, current[*class as usize][1] > 0));
            if next != state && together[0].0 < to {
                changes.push((together[0].0, next.0, next.1));
                state = next;
            }
        }
        Self::new(from, to, changes)
    }

    /// The schedule of both calendars together, for the window that both cover. At each moment the stronger class counts; of two
    /// that are equally strong, one online meeting is enough.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        let mut times: Vec<Timestamp> = self.changes.iter().chain(&other.changes).map(|change| change.0).collect();
        times.push(from);
        times.retain(|time| (from..to).contains(time));
        times.sort_unstable();
        times.dedup();
        let mut changes: Vec<(Timestamp, BusyClass, bool)> = Vec::new();
        for time in times {
            let [one, two] = [self, other].map(|schedule| schedule.state(time));
            let (class, online) = if one.0 == two.0 { (one.0, one.1 || two.1) } else { one.max(two) };
            if changes.last().map_or((BusyClass::Free, false), |last| (last.1, last.2)) != (class, online) {
                changes.push((time, class, online));
            }
        }
        Self { events: self.events + other.events, ..Self::new(from, to, changes) }
    }

    /// The window `[from, to)` of this schedule.
    pub fn window(&self) -> (Timestamp, Timestamp) {
        (self.from, self.to)
    }

    /// The number of events in the calendar, inside the window or not.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The state at `now`; `None` if `now` is outside of the window.
    pub fn at(&self, now: Timestamp) -> Option<BusyState> {
        if now < self.from || now >= self.to {
            return None;
        }
        let (class, online) = self.state(now);
        Some(BusyState { class, online, until: self.changes.get(self.next(now)).map(|change| change.0) })
    }

    /// The place of the first change after `now`.
    fn next(&self, now: Timestamp) -> usize {
        self.changes.partition_point(|change| change.0 <= now)
    }

    fn state(&self, now: Timestamp) -> (BusyClass, bool) {
        let current = self.next(now).checked_sub(1).map(|current| self.changes[current]);
        current.map_or((BusyClass::Free, false), |(_, class, online)| (class, online))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn schedule() -> impl Strategy<Value = Schedule> {
        let change = (0..60_i64, prop::sample::select(BusyClass::ALL), any::<bool>());
        (0..10_i64, 40..60_i64, prop::collection::vec(change, 0..8)).prop_map(|(from, to, mut changes)| {
            changes.sort_by_key(|change| change.0);
            changes.dedup_by_key(|change| change.0);
            let changes = changes.into_iter().map(|(at, class, online)| (second(at), class, online)).collect();
            Schedule::new(second(from), second(to), changes)
        })
    }

    proptest! {
        #[test]
        fn two_calendars_together_are_the_stronger_at_each_moment(one in schedule(), other in schedule()) {
            let both = one.with(&other);
            for at in (-1..61).map(second) {
                let expected = one.at(at).zip(other.at(at)).map(|(one, other)| {
                    let class = one.class.max(other.class);
                    (class, [one, other].iter().any(|state| state.class == class && state.online))
                });
                prop_assert_eq!(both.at(at).map(|state| (state.class, state.online)), expected);
            }
            prop_assert!(both.changes.is_sorted_by(|earlier, later| earlier.0 < later.0));
        }
    }
}
