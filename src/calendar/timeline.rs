//! The timeline: all calendar files of all sources, and what they say of the user's time.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{BusyClass, BusyState, Schedule};

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

/// All calendar files.
#[derive(Debug)]
pub struct Timeline {}

impl Timeline {
    /// An empty timeline. `identity` holds the user's own e-mail addresses, `zone` is the system's time zone, and the
    /// cached window is `[from, to)`.
    pub fn new(_identity: Vec<String>, _zone: TimeZone, _from: Timestamp, _to: Timestamp) -> Self {
        Self {}
    }

    /// Reads a file, in place of what was known of it.
    pub fn update(&mut self, _source: SourceId, _path: &Path, _bytes: impl Read) -> std::io::Result<FileReport> {
        Ok(FileReport::default())
    }

    /// Forgets a file.
    pub fn remove(&mut self, _path: &Path) {}

    /// How many events all files have.
    pub fn events(&self) -> usize {
        0
    }

    /// Moves the cached window to `[from, to)`.
    pub fn set_window(&mut self, _from: Timestamp, _to: Timestamp) {}

    /// Reads floating times and whole days in another system time zone from now on.
    pub fn set_zone(&mut self, _zone: TimeZone) {}

    /// The strongest class at `now`, and until when.
    pub fn at(&self, _now: Timestamp) -> Option<BusyState> {
        None
    }

    /// The occurrences that overlap `[from, to)`, whatever their class, by start.
    pub fn occurrences(&self, _from: Timestamp, _to: Timestamp) -> impl Iterator<Item = Occurrence> {
        std::iter::empty()
    }

    /// The busy states of the cached window.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(Timestamp::MIN, Timestamp::MIN, Vec::new())
    }
}
