//! A schedule: the busy states of a window of time, resolved, so that the daemon can ask for any moment without parsing.

use jiff::Timestamp;

use super::{BusyClass, BusyState};

/// One occurrence: from when to when it claims what.
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
    /// Changes of state in ascending order; the state before the first is free.
    changes: Vec<(Timestamp, BusyClass, bool)>,
    /// How many events the calendar has, in the window or not.
    events: usize,
}

impl Schedule {
    /// A schedule of the window `[from, to)`. `changes` says from when on which class holds, and whether it is online.
    pub fn new(from: Timestamp, to: Timestamp, changes: Vec<(Timestamp, BusyClass, bool)>) -> Self {
        debug_assert!(changes.is_sorted_by(|earlier, later| earlier.0 < later.0), "changes ascend");
        Self { from, to, changes, events: 0 }
    }

    /// The same, of a calendar with so many events.
    pub(super) fn of_events(self, events: usize) -> Self {
        Self { events, ..self }
    }

    /// The schedule of occurrences, which may be in any order and reach out of the window.
    pub(super) fn of_spans<'a>(from: Timestamp, to: Timestamp, spans: impl Iterator<Item = &'a Span>) -> Self {
        // Free occurrences claim nothing, not even that they are online.
        let claiming = spans.filter(|span| span.class > BusyClass::Free && span.start < to && span.end > from);
        let mut edges: Vec<(Timestamp, bool, BusyClass, bool)> = claiming
            .filter(|span| span.start < span.end)
            .flat_map(|span| {
                let edge = |at, begins| (at, begins, span.class, span.online);
                [edge(span.start.max(from), true), edge(span.end, false)]
            })
            .collect();
        edges.sort_unstable_by_key(|edge| edge.0);

        // How many occurrences hold now, by class and by whether they are online.
        let mut holding = [[0_usize; 2]; BusyClass::ALL.len()];
        let mut changes = Vec::new();
        let mut state = (BusyClass::Free, false);
        for together in edges.chunk_by(|one, other| one.0 == other.0) {
            for &(_, begins, class, online) in together {
                let count = &mut holding[class as usize][usize::from(online)];
                *count = if begins { *count + 1 } else { *count - 1 };
            }
            let strongest = BusyClass::ALL.iter().rev().find(|class| holding[**class as usize] != [0, 0]);
            let next = strongest.map_or((BusyClass::Free, false), |class| (*class, holding[*class as usize][1] > 0));
            if next != state && together[0].0 < to {
                changes.push((together[0].0, next.0, next.1));
                state = next;
            }
        }
        Self::new(from, to, changes)
    }

    /// The window this schedule answers for.
    pub fn window(&self) -> (Timestamp, Timestamp) {
        (self.from, self.to)
    }

    /// How many events the calendar has, in the window or not.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The state at `now`; `None` outside of the window.
    pub fn at(&self, now: Timestamp) -> Option<BusyState> {
        if now < self.from || now >= self.to {
            return None;
        }
        let next = self.changes.partition_point(|change| change.0 <= now);
        let (class, online) = match next.checked_sub(1).map(|current| self.changes[current]) {
            Some((_, class, online)) => (class, online),
            None => (BusyClass::Free, false),
        };
        Some(BusyState { class, online, until: self.changes.get(next).map(|change| change.0) })
    }
}
