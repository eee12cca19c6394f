//! The timelines of a collection: one for everybody, or one for each owner. They have the same window and zone.
//!
//! Leaves to others: which files belong to which owner (`files`), and when they are read (`collection`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::files::{self, Origin, Stamp};
use super::whose::Whose;
use crate::calendar::{FileReport, Schedule, Timeline};

/// The timelines, by whose they are.
#[derive(Debug)]
pub(super) struct Timelines {
    identity: Vec<String>,
    zone: TimeZone,
    window: (Timestamp, Timestamp),
    /// Each has at least one file.
    by_owner: BTreeMap<Whose, Timeline>,
    /// Whose timeline has changed since [`take_changed`](Self::take_changed).
    changed: BTreeSet<Whose>,
}

impl Timelines {
    pub(super) fn new(identity: Vec<String>, zone: TimeZone, window: (Timestamp, Timestamp)) -> Self {
        Self { identity, zone, window, by_owner: BTreeMap::new(), changed: BTreeSet::new() }
    }

    pub(super) fn set_zone(&mut self, zone: &TimeZone) {
        self.zone = zone.clone();
        self.change_all(|timeline: &mut Timeline| timeline.set_zone(zone.clone()));
    }

    pub(super) fn set_window(&mut self, window: (Timestamp, Timestamp)) {
        self.window = window;
        self.change_all(|timeline: &mut Timeline| timeline.set_window(window.0, window.1));
    }

    fn change_all(&mut self, change: impl Fn(&mut Timeline)) {
        self.by_owner.values_mut().for_each(change);
        self.changed.extend(self.by_owner.keys().cloned());
    }

    /// Reads a file. On an error its timeline stays as it was.
    pub(super) fn read(&mut self, path: &Path, origin: &Origin) -> io::Result<(FileReport, Stamp)> {
        let new = || Timeline::new(self.identity.clone(), self.zone.clone(), self.window.0, self.window.1);
        let mut timeline = self.by_owner.remove(&origin.whose).unwrap_or_else(new);
        let outcome = files::read(&mut timeline, origin.source, path);
        self.put_back(&origin.whose, timeline);
        outcome
    }

    /// Forgets a file.
    pub(super) fn remove(&mut self, path: &Path, whose: &Whose) {
        let Some(mut timeline) = self.by_owner.remove(whose) else { return };
        timeline.remove(path);
        self.put_back(whose, timeline);
    }

    fn put_back(&mut self, whose: &Whose, timeline: Timeline) {
        if !timeline.is_empty() {
            self.by_owner.insert(whose.clone(), timeline);
        }
        self.changed.insert(whose.clone());
    }

    /// How many events there are.
    pub(super) fn events(&self) -> usize {
        self.by_owner.values().map(Timeline::events).sum()
    }

    /// Whether this calendar has a file.
    pub(super) fn has(&self, whose: &Whose) -> bool {
        self.by_owner.contains_key(whose)
    }

    /// What this calendar says. One without a file is free.
    pub(super) fn schedule(&self, whose: &Whose) -> Schedule {
        let free = || Schedule::new(self.window.0, self.window.1, Vec::new());
        self.by_owner.get(whose).map_or_else(free, Timeline::schedule)
    }

    /// Whose timeline has changed since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeSet<Whose> {
        std::mem::take(&mut self.changed)
    }
}
