//! The calendar: *how busy is the user now, why, and when does that next change?*
//!
//! This is not a general calendar library. A [`Timeline`] takes the bytes of .ics files and answers that question.
//!
//! From bytes to answers:
//!
//! 1. `scanner` unfolds lines; `property` and `value` parse them.
//! 2. `reader` splits a file into VCALENDAR objects and says whether it is whole. `object` collects the events of one object,
//!    `draft` the properties of one event, `repeat` how it repeats, `dated` its times, and `free_busy` the periods of a VFREEBUSY.
//! 3. `object_zones`, `zone`, `windows_zones` and `vtimezone` resolve time zone names. `busy`, `identity` and `online` decide
//!    the busy class, who is the user, and whether an event is an online meeting. `length` says how long an event lasts.
//! 4. `recurrence` expands one rule, and `series` all events with the same UID. `instance_key` says which of its instances is meant.
//! 5. `timeline` keeps the results for a window of time, `series_set` finds the series that an event belongs to, and `schedule` sorts
//!    the results into busy states.
//!
//! Source: RFC 5545 (iCalendar), RFC 5546 (which of two versions is newer), RFC 7986 (CONFERENCE), and MS-OXCICAL by Microsoft
//! for the properties that begin with X-MICROSOFT.
//!
//! Leaves to others: finding and opening files (`signals/calendar`), and what a busy class means (`policy/`).

mod busy;

pub use busy::{BusyClass, BusyState};

mod dated;
mod draft;
mod event;
mod free_busy;
mod identity;
mod instance_key;
mod length;
mod moment;
mod object;
mod object_zones;
mod online;
mod outcome;
mod property;
mod reader;
mod recurrence;
mod repeat;
mod scanner;
mod schedule;
mod series;
mod series_set;
mod timeline;
mod value;
mod vtimezone;
mod windows_zones;
mod zone;

pub use scanner::MAX_FILE_BYTES;
pub use schedule::Schedule;
pub use timeline::{FileReport, Occurrence, OccurrenceTime, Skipped, SourceId, Timeline};
pub use zone::by_name as zone_by_name;
