//! The calendar: *what is the user's busy class now, why, and when does that next change?*
//!
//! Not a calendar library: a [`Timeline`] is fed the bytes of .ics files and answers that question.
//!
//! From bytes to answers: `scanner` unfolds lines, `property` and `value` take them apart, `draft` gathers an event and
//! `reader` a file; `zone`, `windows_zones` and `vtimezone` say what a zone's name means, `busy` and `online` what an event
//! claims. `recurrence` gives the times of a rule, `series` those of all events of one UID, `timeline` keeps them for a
//! window, and `schedule` puts that window in order.
//!
//! Source: RFC 5545 (iCalendar), RFC 5546 (which of two versions is the newer), RFC 7986 (CONFERENCE).
//!
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

pub use scanner::MAX_FILE;
pub use schedule::Schedule;
pub use timeline::{FileReport, Occurrence, Skipped, SourceId, Timeline, When};
