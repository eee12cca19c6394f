//! The series of all files, each found by its number or by its key.
//!
//! A calendar with a hundred thousand events has about as many series, so each key is kept only once, with its series: the index
//! consists of numbers. Leaves to others: what the events of a series mean together (`series`).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;
use slab::Slab;

use super::SourceId;
use super::event::Event;

/// Identifies a series as long as it has events.
pub(super) type SeriesId = u32;

/// Enough of a hash for the few million series that fit into memory.
type Hash = u32;

/// What distinguishes one series from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeriesKey {
    pub(super) source: SourceId,
    pub(super) name: SeriesName,
}

/// The name of a series in its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SeriesName {
    /// The UID of its events.
    Uid(Box<str>),
    /// An event without a UID is a series by itself: its file, and its number among such events there.
    Single(u32, u32),
}

impl SeriesKey {
    /// The UID; empty if there is none.
    pub(super) fn uid(&self) -> &str {
        match &self.name {
            SeriesName::Uid(uid) => uid,
            SeriesName::Single(..) => "",
        }
    }
}

/// The events with one key.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: SeriesKey,
    pub(super) events: Vec<Event>,
}

/// All series.
#[derive(Debug, Default)]
pub(super) struct SeriesSet {
    /// In the order of reading, so that the series of a large file are next to each other in memory.
    series: Slab<Series>,
    /// With the hash of each key, so that no key is read when the table grows.
    by_key: HashTable<(Hash, SeriesId)>,
    /// With random keys, so that nobody can write a file with UIDs that collide.
    hasher: RandomState,
}

impl SeriesSet {
    /// The series with this number, if it still has events.
    pub(super) fn get(&self, id: SeriesId) -> Option<&Series> {
        self.series.get(id as usize)
    }

    /// The numbers of all series.
    pub(super) fn ids(&self) -> impl Iterator<Item = SeriesId> {
        self.series.iter().map(|(id, _)| number(id))
    }

    /// The number of the series with this key. If there is none yet, it is added without events.
    pub(super) fn find_or_add(&mut self, key: SeriesKey) -> SeriesId {
        let Self { series, by_key, hasher } = self;
        let hash = hash(hasher, &key);
        if let Some((_, id)) = by_key.find(spread(hash), |(_, id)| series[*id as usize].key == key) {
            return *id;
        }
        let id = number(series.vacant_key());
        by_key.insert_unique(spread(hash), (hash, id), |(hash, _)| spread(*hash));
        series.insert(Series { key, events: Vec::new() });
        id
    }

    /// Removes a series.
    pub(super) fn remove(&mut self, id: SeriesId) -> Series {
        let series = self.series.remove(id as usize);
        if let Ok(found) = self.by_key.find_entry(spread(hash(&self.hasher, &series.key)), |(_, other)| *other == id) {
            found.remove();
        }
        series
    }
}

impl Index<SeriesId> for SeriesSet {
    type Output = Series;

    fn index(&self, id: SeriesId) -> &Series {
        &self.series[id as usize]
    }
}

impl IndexMut<SeriesId> for SeriesSet {
    fn index_mut(&mut self, id: SeriesId) -> &mut Series {
        &mut self.series[id as usize]
    }
}

/// The same UID in another source has the same hash, but there are few sources.
#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn hash(hasher: &RandomState, key: &SeriesKey) -> Hash {
    let mut state = hasher.build_hasher();
    match &key.name {
        SeriesName::Uid(uid) => state.write(uid.as_bytes()),
        SeriesName::Single(file, number) => state.write_u64(u64::from(*file) << 32 | u64::from(*number)),
    }
    state.finish() as Hash
}

/// The table takes the first bits of the hash for one purpose, and the last ones for another.
fn spread(hash: Hash) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

fn number(id: usize) -> SeriesId {
    SeriesId::try_from(id).expect("four billion series need more memory than there is")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: u32, uid: &str) -> SeriesKey {
        SeriesKey { source: SourceId(source), name: SeriesName::Uid(uid.into()) }
    }

    #[test]
    fn a_series_is_found_by_its_key_until_it_is_removed() {
        let mut set = SeriesSet::default();
        let ids: Vec<SeriesId> = (0..1000).map(|number| set.find_or_add(key(0, &number.to_string()))).collect();
        assert_eq!(set.find_or_add(key(0, "500")), ids[500]);
        assert_ne!(set.find_or_add(key(1, "500")), ids[500]);
        assert_eq!(set.remove(ids[500]).key.uid(), "500");
        assert!(set.get(ids[500]).is_none());
        assert_eq!(set.ids().count(), 1000);
        assert_eq!(set.find_or_add(key(0, "499")), ids[499]);
        let again = set.find_or_add(key(0, "500"));
        assert_eq!(set[again].key, key(0, "500"));
    }

    #[test]
    fn events_without_a_uid_are_never_in_one_series() {
        let mut set = SeriesSet::default();
        let single = |file, number| SeriesKey { source: SourceId(0), name: SeriesName::Single(file, number) };
        let ids = [single(1, 1), single(1, 2), single(2, 1), key(0, "")].map(|key| set.find_or_add(key));
        assert_eq!(set.ids().count(), ids.len());
    }
}
