//! The timeline: the events of all calendar files, and their times in one window.
//!
//! Events are kept by series. When a file changes, only the series with events in it are expanded again. Leaves to others:
//! reading a file (`reader`), expanding a series (`series`), and sorting the times in the window (`schedule`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use slab::Slab;

use super::event::Event;
use super::object_zones::KnownZones;
use super::outcome::Outcome;
use super::reader;
use super::recurrence::Budget;
use super::schedule::Span;
use super::series::{self, Incomplete, Interval, Window};
use super::{BusyClass, BusyState, Schedule};

/// The steps ([`Budget`]) for all series of one file. Each event adds a few more than an ordinary rule needs. The file adds many,
/// so that a few events may need more. There are fewer when fuzzing, which would otherwise mostly find ways to use them up.
const STEPS_PER_EVENT: u64 = 50;
const STEPS_PER_FILE: u64 = if cfg!(fuzzing) { 50_000 } else { 5_000_000 };

/// The most events with the same UID, over all files of a source.
const MAX_EVENTS_PER_SERIES: usize = 5_000;

/// A configured source. If two sources have the same event, both count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// The result of reading one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Why the file does not count: it is not whole, or nothing in it is understood. Its last good events stay. `None` if it
    /// counts.
    pub unusable: Option<Skipped>,
    /// The number of events in the file that count.
    pub events: usize,
    /// The parts that were skipped, in the order of their lines. At most 50 are listed; `skipped_more` counts the rest.
    pub skipped: Vec<Skipped>,
    /// The number of skipped parts that `skipped` does not list.
    pub skipped_more: usize,
    /// Time zone names that could not be resolved. The system's zone is used for them. At most 50 are listed.
    pub unknown_zones: Vec<String>,
    /// The address that the file's calendar is named after, if it is somebody's primary Google calendar.
    pub owner: Option<String>,
}

/// A part of a file that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub file: PathBuf,
    /// The line on which the part begins, counted from 1.
    pub line: u32,
    /// The reason, for people. Quotes nothing from the file that could be private.
    pub reason: String,
}

/// The time of an occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OccurrenceTime {
    /// From `start` to `end` (exclusive), in the zone in which the event was written.
    Time {
        /// Its start.
        start: jiff::ZonedDateTime,
        /// Its end.
        end: jiff::ZonedDateTime,
    },
    /// Whole days from `start` to `end` (exclusive), in the system's zone.
    Days {
        /// The first day.
        start: jiff::civil::Date,
        /// The day after the last.
        end: jiff::civil::Date,
    },
}

/// One occurrence of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The event's UID; empty if the file has none.
    pub uid: String,
    /// Its time.
    pub when: OccurrenceTime,
    /// Its busy class.
    pub class: BusyClass,
    /// Whether it is an online meeting.
    pub online: bool,
    /// Its title, cut to 200 bytes.
    pub summary: String,
}

/// What distinguishes one series from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SeriesKey {
    source: SourceId,
    /// The UID. An event without one is a series by itself; its file and its number in it are the key.
    uid: Arc<str>,
    without_uid: Option<(u32, u32)>,
}

/// Identifies a series as long as it has events.
type SeriesId = usize;

/// The events with one UID.
#[derive(Debug)]
struct Series {
    key: SeriesKey,
    events: Vec<Event>,
}

/// What is known of a file.
#[derive(Debug)]
struct File {
    /// A number that no other file has or had.
    number: u32,
    events: usize,
    /// The series that have events in it.
    series: Vec<SeriesId>,
}

/// The events of all calendar files, and their times in one window.
#[derive(Debug)]
pub struct Timeline {
    identity: Vec<String>,
    zone: TimeZone,
    window: (Timestamp, Timestamp),
    files: HashMap<PathBuf, File>,
    files_read: u32,
    /// In the order of reading, so that the series of a large file are next to each other in memory.
    series: Slab<Series>,
    by_key: HashMap<SeriesKey, SeriesId>,
    /// The times in the window. Series without any are left out.
    spans: BTreeMap<SeriesId, Box<[Span]>>,
    known_zones: KnownZones,
}

impl Timeline {
    /// An empty timeline for the window `[from, to)`. `identity` has the user's own e-mail addresses, which identify the user
    /// among attendees. `zone` is the system's time zone.
    pub fn new(identity: Vec<String>, zone: TimeZone, from: Timestamp, to: Timestamp) -> Self {
        Self {
            identity,
            zone,
            window: (from, to),
            files: HashMap::new(),
            files_read: 0,
            series: Slab::new(),
            by_key: HashMap::new(),
            spans: BTreeMap::new(),
            known_zones: KnownZones::default(),
        }
    }

    /// Reads a file. If it is whole, its events replace the old ones. The file is streamed. The only texts that are kept are
    /// titles, except for single events that end before the window.
    ///
    /// # Errors
    ///
    /// If reading `bytes` fails, the error is returned and the old events of the file stay.
    pub fn update(&mut self, source: SourceId, path: &Path, mut bytes: impl Read) -> std::io::Result<FileReport> {
        self.update_from(source, path, &mut bytes)
    }

    /// Like [`Self::update`], but not generic: compiled once, and with the optimisation of this crate.
    fn update_from(&mut self, source: SourceId, path: &Path, bytes: &mut dyn Read) -> std::io::Result<FileReport> {
        let number = self.files_read;
        self.files_read += 1;
        let before = self.take_out(path);
        let mut file = File { number, events: 0, series: Vec::new() };
        let mut without_uid = 0;
        let (zone, window, all, by_key) = (&self.zone, self.window, &mut self.series, &mut self.by_key);
        let outcome =
            reader::read(bytes, number, &self.identity, &mut self.known_zones, zone, &mut |uid, mut event| {
                if is_over(&event, window.0, zone) {
                    event.summary = Box::default();
                }
                without_uid += u32::from(uid.is_empty());
                let without_uid = uid.is_empty().then_some((number, without_uid));
                let key = SeriesKey { source, uid: uid.into(), without_uid };
                match by_key.entry(key) {
                    Entry::Occupied(known) => {
                        let others = &mut all[*known.get()].events;
                        if others.len() >= MAX_EVENTS_PER_SERIES {
                            return Err("too many events have the same UID");
                        }
                        // This file's events come last. If the last event is from another file, the series is new to this file.
                        if others.last().is_none_or(|last| last.file != number) {
                            file.series.push(*known.get());
                        }
                        others.push(event);
                    }
                    Entry::Vacant(unknown) => {
                        // Most series have one event, so reserve room for no more.
                        let id = all.insert(Series { key: unknown.key().clone(), events: vec![event] });
                        unknown.insert(id);
                        file.series.push(id);
                    }
                }
                Ok(())
            });
        let mut reading = match outcome {
            Ok(reading) if reading.unusable.is_none() => reading,
            useless => {
                self.files.insert(path.to_owned(), file);
                self.take_out(path);
                self.put_back(path, before);
                return useless.map(|reading| report(path, reading));
            }
        };
        file.events = reading.events;
        file.series.shrink_to_fit();
        let mut touched = file.series.clone();
        touched.extend(before.into_iter().flat_map(|(file, _)| file.series));
        touched.sort_unstable();
        touched.dedup();
        self.files.insert(path.to_owned(), file);
        for (file, line, reason) in self.expand(touched) {
            if file == number {
                reading.problems.add(line, reason);
            }
        }
        Ok(report(path, reading))
    }

    /// Removes the events of a file.
    pub fn remove(&mut self, path: &Path) {
        if let Some((file, _)) = self.take_out(path) {
            self.expand(file.series);
        }
    }

    /// The number of events in all files.
    pub fn events(&self) -> usize {
        self.files.values().map(|file| file.events).sum()
    }

    /// Moves the window to `[from, to)`.
    pub fn set_window(&mut self, from: Timestamp, to: Timestamp) {
        self.window = (from, to);
        self.expand_all();
    }

    /// Changes the system's time zone, which floating times and whole days are in. A file with UTC times beside whole days means
    /// something else then, so read the files again after this.
    pub fn set_zone(&mut self, zone: TimeZone) {
        self.zone = zone;
        self.expand_all();
    }

    /// The busy state at `now`; `None` outside of the window.
    pub fn at(&self, now: Timestamp) -> Option<BusyState> {
        self.schedule().at(now)
    }

    /// The occurrences of any class that overlap `[from, to)`, sorted by start. Cancelled and declined events have none. This is
    /// faster if the range is within the window, because only series with times in the window are expanded then.
    pub fn occurrences(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Occurrence> {
        let window = Window { from, to, system: &self.zone };
        let mut budgets = HashMap::new();
        let mut found = Vec::new();
        let mut expand = |id: SeriesId| {
            let Series { key, events } = &self.series[id];
            // A series that repeats too much was reported when its file was read.
            _ = series::expand(events, &window, budget_of(&mut budgets, events), &mut |event, interval| {
                found.push((interval.span(&self.zone), occurrence(key, event, interval)));
            });
        };
        if self.window.0 <= from && to <= self.window.1 {
            self.spans.keys().copied().for_each(&mut expand);
        } else {
            self.series.iter().for_each(|(id, _)| expand(id));
        }
        found.sort_by(|(span, one), (other_span, other)| {
            span.cmp(other_span).then_with(|| (&one.uid, &one.summary).cmp(&(&other.uid, &other.summary)))
        });
        found.into_iter().map(|(_, occurrence)| occurrence)
    }

    /// The busy states in the window.
    pub fn schedule(&self) -> Schedule {
        Schedule::of_spans(self.window.0, self.window.1, self.spans.values().flatten()).with_events(self.events())
    }

    /// Removes a file and its events. Series that have other events keep their times for now.
    fn take_out(&mut self, path: &Path) -> Option<(File, Vec<(SeriesKey, Event)>)> {
        let file = self.files.remove(path)?;
        let mut taken = Vec::with_capacity(file.events);
        for &id in &file.series {
            let Series { key, events } = &mut self.series[id];
            taken.extend(events.extract_if(.., |event| event.file == file.number).map(|event| (key.clone(), event)));
            if events.is_empty() {
                self.by_key.remove(key);
                self.series.remove(id);
                self.spans.remove(&id);
            }
        }
        Some((file, taken))
    }

    fn put_back(&mut self, path: &Path, taken: Option<(File, Vec<(SeriesKey, Event)>)>) {
        let Some((mut file, events)) = taken else { return };
        file.series.clear();
        for (key, event) in events {
            let id = *self
                .by_key
                .entry(key)
                .or_insert_with_key(|key| self.series.insert(Series { key: key.clone(), events: Vec::new() }));
            self.series[id].events.push(event);
            file.series.push(id);
        }
        file.series.sort_unstable();
        file.series.dedup();
        self.expand(file.series.iter().copied());
        self.files.insert(path.to_owned(), file);
    }

    fn expand_all(&mut self) {
        self.spans.clear();
        let all: Vec<SeriesId> = self.series.iter().map(|(id, _)| id).collect();
        self.expand(all);
    }

    /// Caches the times of some series in the window. Series that no longer exist are skipped. Returns the file number, line and
    /// reason for each series that repeats too much.
    fn expand(&mut self, ids: impl IntoIterator<Item = SeriesId>) -> Vec<(u32, u32, &'static str)> {
        let window = Window { from: self.window.0, to: self.window.1, system: &self.zone };
        let mut budgets = HashMap::new();
        let mut problems = Vec::new();
        for id in ids {
            let Some(Series { events, .. }) = self.series.get(id) else { continue };
            let mut spans = Vec::new();
            let outcome = series::expand(events, &window, budget_of(&mut budgets, events), &mut |event, interval| {
                let (start, end) = interval.span(&self.zone);
                if let Some(class) = event.class {
                    spans.push(Span { start, end, class, online: event.online });
                }
            });
            if let Err((event, incomplete)) = outcome {
                let reason = match incomplete {
                    Incomplete::Steps => "the event's rules take too long to expand; its repetitions are left out",
                    Incomplete::Times => "the event repeats too often; its later times are left out",
                };
                problems.push((event.file, event.line, reason));
            }
            if spans.is_empty() {
                self.spans.remove(&id);
            } else {
                self.spans.insert(id, spans.into_boxed_slice());
            }
        }
        problems
    }
}

/// Whether an event is a single time that ends before `before`.
fn is_over(event: &Event, before: Timestamp, system: &TimeZone) -> bool {
    let interval = || Interval::new(&event.start, event.length, system);
    event.repeat.is_none() && event.instance.is_none() && interval().span(system).1 < before
}

/// The budget for a series: that of the file with its first event, plus the steps for its own events.
fn budget_of<'a>(budgets: &'a mut HashMap<u32, Budget>, events: &[Event]) -> &'a mut Budget {
    let file = events.first().map_or(0, |event| event.file);
    let budget = budgets.entry(file).or_insert_with(|| Budget::new(STEPS_PER_FILE));
    budget.add(STEPS_PER_EVENT * events.len() as u64);
    budget
}

fn occurrence(key: &SeriesKey, event: &Event, interval: Interval) -> Occurrence {
    let when = match interval {
        Interval::Time(start, end, zone) => {
            OccurrenceTime::Time { start: start.to_zoned_datetime(zone.clone()), end: end.to_zoned_datetime(zone) }
        }
        Interval::Days(start, end) => OccurrenceTime::Days { start, end },
    };
    Occurrence {
        uid: key.uid.to_string(),
        when,
        class: event.class.unwrap_or(BusyClass::Free),
        online: event.online,
        summary: event.summary.to_string(),
    }
}

fn report(path: &Path, outcome: Outcome) -> FileReport {
    let mut problems = outcome.problems;
    problems.listed.sort_by_key(|(line, _)| *line);
    let skipped = |(line, reason)| Skipped { file: path.to_owned(), line, reason };
    FileReport {
        events: if outcome.unusable.is_some() { 0 } else { outcome.events },
        unusable: outcome.unusable.map(skipped),
        skipped: problems.listed.into_iter().map(skipped).collect(),
        skipped_more: problems.more,
        unknown_zones: outcome.unknown_zones,
        owner: outcome.owner,
    }
}
