//! A schedule: the busy states of a window of time, resolved, so that the daemon can ask for any moment without parsing.

use jiff::Timestamp;

use super::{BusyClass, BusyState};

/// The busy state at every moment of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    from: Timestamp,
    to: Timestamp,
    /// Changes of state in ascending order; the state before the first is free.
    changes: Vec<(Timestamp, BusyClass, bool)>,
}

impl Schedule {
    /// A schedule of the window `[from, to)`. `changes` says from when on which class holds, and whether it is online.
    pub fn new(from: Timestamp, to: Timestamp, changes: Vec<(Timestamp, BusyClass, bool)>) -> Self {
        debug_assert!(changes.is_sorted_by(|earlier, later| earlier.0 < later.0), "changes ascend");
        Self { from, to, changes }
    }

    /// The window this schedule answers for.
    pub fn window(&self) -> (Timestamp, Timestamp) {
        (self.from, self.to)
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
