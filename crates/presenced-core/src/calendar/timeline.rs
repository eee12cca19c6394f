//! The timeline: the events of all calendar files, and their times in one window.
//!
//! Events are kept by series. When a file changes, only the series with events in it are expanded again. Leaves to others:
//! reading a file (`reader`), expanding a series (`series`), and sorting the times in the window (`schedule`).

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::event::Event;
use super::object_zones::KnownZones;
use super::outcome::Outcome;
use super::reader;
use super::recurrence::Budget;
use super::schedule::Span;
use super::series::{self, Incomplete, Interval, Window};
use super::series_set::{Series, SeriesId, SeriesKey, SeriesName, SeriesSet};
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
    series: SeriesSet,
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
            series: SeriesSet::default(),
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
        let (zone, window, all) = (&self.zone, self.window, &mut self.series);
        let outcome =
            reader::read(bytes, number, &self.identity, &mut self.known_zones, zone, &mut |uid, mut event| {
                if is_over(&event, window.0, zone) {
                    event.summary = Box::default();
                }
                let name = if uid.is_empty() {
                    without_uid += 1;
                    SeriesName::Single(number, without_uid)
                } else {
                    SeriesName::Uid(uid.into())
                };
                let id = all.find_or_add(SeriesKey { source, name });
                let others = &mut all[id].events;
                if others.len() >= MAX_EVENTS_PER_SERIES {
                    return Err("too many events have the same UID");
                }
                // This file's events come last. If the last event is from another file, the series is new to this file.
                if others.last().is_none_or(|last| last.file != number) {
                    file.series.push(id);
                }
                // Most series have one event, so reserve room for no more.
                others.reserve_exact(usize::from(others.is_empty()));
                others.push(event);
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

    /// Whether it has no file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
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
        let mut budgets = BTreeMap::new();
        let mut found = Vec::new();
        let expand = |id: SeriesId| {
            let Series { key, events } = &self.series[id];
            // A series that repeats too much was reported when its file was read.
            _ = series::expand(events, &window, budget_of(&mut budgets, events), &mut |event, interval| {
                found.push((interval.span(&self.zone), occurrence(key, event, interval)));
            });
        };
        if self.window.0 <= from && to <= self.window.1 {
            self.spans.keys().copied().for_each(expand);
        } else {
            self.series.ids().for_each(expand);
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
    fn take_out(&mut self, path: &Path) -> Option<(File, Vec<Series>)> {
        let file = self.files.remove(path)?;
        let mut taken = Vec::with_capacity(file.series.len());
        for &id in &file.series {
            let Series { key, events } = &mut self.series[id];
            if events.iter().all(|event| event.file == file.number) {
                taken.push(self.series.remove(id));
                self.spans.remove(&id);
            } else {
                let events = events.extract_if(.., |event| event.file == file.number).collect();
                taken.push(Series { key: key.clone(), events });
            }
        }
        Some((file, taken))
    }

    fn put_back(&mut self, path: &Path, taken: Option<(File, Vec<Series>)>) {
        let Some((mut file, series)) = taken else { return };
        file.series.clear();
        for Series { key, events } in series {
            let id = self.series.find_or_add(key);
            self.series[id].events.extend(events);
            file.series.push(id);
        }
        self.expand(file.series.iter().copied());
        self.files.insert(path.to_owned(), file);
    }

    fn expand_all(&mut self) {
        self.spans.clear();
        let all: Vec<SeriesId> = self.series.ids().collect();
        self.expand(all);
    }

    /// Caches the times of some series in the window. Series that no longer exist are skipped. Returns the file number, line and
    /// reason for each series that repeats too much.
    fn expand(&mut self, ids: impl IntoIterator<Item = SeriesId>) -> Vec<(u32, u32, &'static str)> {
        let window = Window { from: self.window.0, to: self.window.1, system: &self.zone };
        let mut budgets = BTreeMap::new();
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
fn budget_of<'a>(budgets: &'a mut BTreeMap<u32, Budget>, events: &[Event]) -> &'a mut Budget {
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
        uid: key.uid().to_owned(),
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
