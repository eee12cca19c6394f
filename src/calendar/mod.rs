//! The calendar: *what is the user's busy class now, why, and when does that next change?*
//!
//! Not a calendar library: a [`Timeline`] is fed the bytes of .ics files and answers that question.
//! Leaves to others: finding and reading files (`signals/calendar`), what a busy class means (`policy/`).

mod busy;

pub use busy::{BusyClass, BusyState};

mod draft;
mod event;
mod online;
mod property;
mod reader;
mod recurrence;
mod scanner;
mod schedule;
mod series;
mod timeline;
mod value;
mod vtimezone;
mod windows_zones;
mod zone;

pub use schedule::Schedule;
pub use timeline::{FileReport, Occurrence, Skipped, SourceId, Timeline, When};
