//! The timeline: all calendar files of all sources, and what they say of the user's time.
//!
//! It keeps the events of all files by series, and for each series the times it gives in one window. A changed file costs
//! only what it and the other files of its series hold. Leaves to others: reading a file (`reader`), what a series gives
//! (`series`), and the order of the times in the window (`schedule`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use slab::Slab;

use super::event::Event;
use super::reader::{self, KnownZones, Problems};
use super::recurrence::Budget;
use super::schedule::Span;
use super::series::{self, Incomplete, Place, Window};
use super::{BusyClass, BusyState, Schedule};

/// The steps that the series of one file may take together: some for each event, a little more than ordinary rules need, and
/// some for the file, so that a few may need many. Fuzzing would otherwise find little but ways to use them all up.
const STEPS_OF_AN_EVENT: u64 = 50;
const STEPS_OF_A_FILE: u64 = if cfg!(fuzzing) { 50_000 } else { 5_000_000 };

/// The most events that one UID may have, over all files of a source.
const MAX_EVENTS_OF_A_SERIES: usize = 5_000;

/// One configured source; of the same event in two sources both count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// What was read from one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// How many events the file has.
    pub events: usize,
    /// What was skipped and why, in the order of the lines; capped, see `skipped_more`.
    pub skipped: Vec<Skipped>,
    /// How many more were skipped than `skipped` lists.
    pub skipped_more: usize,
    /// Time zone names that could not be resolved; the system's zone stood in.
    pub unknown_zones: Vec<String>,
}

/// A part of a file that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, at which the part begins.
    pub line: u32,
    /// Why, for people; quotes no text of the file that could be private.
    pub reason: String,
}

/// When an occurrence is: at an instant, or on whole days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// A span of time, `[start, end)`, in the zone it was written in.
    Time {
        /// Its start.
        start: jiff::ZonedDateTime,
        /// Its end.
        end: jiff::ZonedDateTime,
    },
    /// Whole days, `[start, end)`, in the system's zone.
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
    /// The event's UID; empty when the file gave none.
    pub uid: String,
    /// When it is.
    pub when: When,
    /// Its busy class.
    pub class: BusyClass,
    /// Whether it is an online meeting.
    pub online: bool,
    /// Its title.
    pub summary: String,
}

/// What tells one series from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SeriesKey {
    source: SourceId,
    /// The UID; an event without one is a series of its own, named by its file and its number there.
    uid: Arc<str>,
    without_uid: Option<(u32, u32)>,
}

/// Names a series as long as it has events.
type SeriesId = usize;

/// All events of one UID.
#[derive(Debug)]
struct Series {
    key: SeriesKey,
    events: Vec<Event>,
}

/// What is known of a file.
#[derive(Debug)]
struct File {
    /// A number no other file has or had.
    number: u32,
    events: usize,
    /// The series it has events of.
    series: Vec<SeriesId>,
}

/// All calendar files.
#[derive(Debug)]
pub struct Timeline {
    identity: Vec<String>,
    zone: TimeZone,
    window: (Timestamp, Timestamp),
    files: HashMap<PathBuf, File>,
    files_read: u32,
    /// In the order in which they came, so that to go through those of a large file is to go through memory.
    series: Slab<Series>,
    by_key: HashMap<SeriesKey, SeriesId>,
    /// The times in the window of the series that have any there.
    spans: BTreeMap<SeriesId, Box<[Span]>>,
    known_zones: KnownZones,
}

impl Timeline {
    /// An empty timeline. `identity` holds the user's own e-mail addresses, `zone` is the system's time zone, and the
    /// cached window is `[from, to)`.
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

    /// Reads a file, in place of what was known of it. Streams: of the text only titles are kept, and not those of single
    /// events that are over before the window begins. When `bytes` fails, what was known stays.
    pub fn update(&mut self, source: SourceId, path: &Path, bytes: impl Read) -> std::io::Result<FileReport> {
        let number = self.files_read;
        self.files_read += 1;
        let before = self.take_out(path);
        let mut file = File { number, events: 0, series: Vec::new() };
        let mut without_uid = 0;
        let (zone, window, all, by_key) = (&self.zone, self.window, &mut self.series, &mut self.by_key);
        let outcome = reader::read(bytes, number, &self.identity, &mut self.known_zones, &mut |uid, mut event| {
            if is_over(&event, window.0, zone) {
                event.summary = Box::default();
            }
            without_uid += u32::from(uid.is_empty());
            let without_uid = uid.is_empty().then_some((number, without_uid));
            let key = SeriesKey { source, uid: uid.into(), without_uid };
            match by_key.entry(key) {
                Entry::Occupied(known) => {
                    let others = &mut all[*known.get()].events;
                    if others.len() >= MAX_EVENTS_OF_A_SERIES {
                        return Err("too many have the same UID");
                    }
                    // This file's events come last: the series is new to the file when the last is another's.
                    if others.last().is_none_or(|last| last.file != number) {
                        file.series.push(*known.get());
                    }
                    others.push(event);
                }
                Entry::Vacant(unknown) => {
                    // A series of one event is the rule: no room for more.
                    let id = all.insert(Series { key: unknown.key().clone(), events: vec![event] });
                    unknown.insert(id);
                    file.series.push(id);
                }
            }
            Ok(())
        });
        let reading = match outcome {
            Ok(reading) => reading,
            Err(error) => {
                self.files.insert(path.to_owned(), file);
                self.take_out(path);
                self.put_back(path, before);
                return Err(error);
            }
        };
        file.events = reading.events;
        file.series.shrink_to_fit();
        let mut touched = file.series.clone();
        touched.extend(before.into_iter().flat_map(|(file, _)| file.series));
        touched.sort_unstable();
        touched.dedup();
        self.files.insert(path.to_owned(), file);
        let mut problems = reading.problems;
        for (file, line, reason) in self.expand(touched) {
            if file == number {
                problems.add(line, reason);
            }
        }
        Ok(report(path, reading.events, problems, reading.unknown_zones))
    }

    /// Forgets a file.
    pub fn remove(&mut self, path: &Path) {
        if let Some((file, _)) = self.take_out(path) {
            self.expand(file.series);
        }
    }

    /// How many events all files have.
    pub fn events(&self) -> usize {
        self.files.values().map(|file| file.events).sum()
    }

    /// Moves the cached window to `[from, to)`.
    pub fn set_window(&mut self, from: Timestamp, to: Timestamp) {
        self.window = (from, to);
        self.expand_all();
    }

    /// Reads floating times and whole days in another system time zone from now on.
    pub fn set_zone(&mut self, zone: TimeZone) {
        self.zone = zone;
        self.expand_all();
    }

    /// The strongest class at `now`, and until when; `None` outside of the window.
    pub fn at(&self, now: Timestamp) -> Option<BusyState> {
        self.schedule().at(now)
    }

    /// The occurrences that overlap `[from, to)`, whatever their class, by start. Within the
    /// cached window only series that have times there cost anything. Events that are cancelled, and those the user declined,
    /// have none.
    pub fn occurrences(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Occurrence> {
        let window = Window { from, to, system: &self.zone };
        let mut budgets = HashMap::new();
        let mut found = Vec::new();
        let mut expand = |id: SeriesId| {
            let Series { key, events } = &self.series[id];
            // A series that gives too much is named when its file is read.
            _ = series::expand(events, &window, budget_of(&mut budgets, events), &mut |event, place| {
                found.push((place.span(&self.zone), occurrence(key, event, place)));
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

    /// The busy states of the cached window.
    pub fn schedule(&self) -> Schedule {
        Schedule::of_spans(self.window.0, self.window.1, self.spans.values().flatten()).of_events(self.events())
    }

    /// Takes a file and its events out. The times of the series that have other events are as before.
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

    /// Caches the times of some series in the window; one that is gone has none. Gives file number, line and reason of those
    /// that give too much.
    fn expand(&mut self, ids: impl IntoIterator<Item = SeriesId>) -> Vec<(u32, u32, &'static str)> {
        let window = Window { from: self.window.0, to: self.window.1, system: &self.zone };
        let mut budgets = HashMap::new();
        let mut problems = Vec::new();
        for id in ids {
            let Some(Series { events, .. }) = self.series.get(id) else { continue };
            let mut spans = Vec::new();
            let outcome = series::expand(events, &window, budget_of(&mut budgets, events), &mut |event, place| {
                let (start, end) = place.span(&self.zone);
                if let Some(class) = event.class {
                    spans.push(Span { start, end, class, online: event.online });
                }
            });
            if let Err((event, incomplete)) = outcome {
                let reason = match incomplete {
                    Incomplete::Steps => "the event's rules take too long to work out; its repetitions are left out",
                    Incomplete::Times => "the event repeats too often; only the first of its times count",
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

/// Whether an event is no more than one time, and that is over before `before`.
fn is_over(event: &Event, before: Timestamp, system: &TimeZone) -> bool {
    let place = || Place::new(&event.start, event.length, system);
    event.repeat.is_none() && event.instance.is_none() && place().span(system).1 < before
}

/// The budget that a series draws on, with what its own events bring: that of the file its first event is in.
fn budget_of<'a>(budgets: &'a mut HashMap<u32, Budget>, events: &[Event]) -> &'a mut Budget {
    let file = events.first().map_or(0, |event| event.file);
    let budget = budgets.entry(file).or_insert_with(|| Budget::new(STEPS_OF_A_FILE));
    budget.add(STEPS_OF_AN_EVENT * events.len() as u64);
    budget
}

fn occurrence(key: &SeriesKey, event: &Event, place: Place) -> Occurrence {
    let when = match place {
        Place::Time(start, end, zone) => {
            When::Time { start: start.to_zoned_datetime(zone.clone()), end: end.to_zoned_datetime(zone) }
        }
        Place::Days(start, end) => When::Days { start, end },
    };
    Occurrence {
        uid: key.uid.to_string(),
        when,
        class: event.class.unwrap_or(BusyClass::Free),
        online: event.online,
        summary: event.summary.to_string(),
    }
}

fn report(path: &Path, events: usize, mut problems: Problems, unknown_zones: Vec<String>) -> FileReport {
    problems.listed.sort_by_key(|(line, _)| *line);
    let skipped = problems.listed.into_iter().map(|(line, reason)| Skipped { file: path.to_owned(), line, reason });
    FileReport { events, skipped: skipped.collect(), skipped_more: problems.more, unknown_zones }
}
