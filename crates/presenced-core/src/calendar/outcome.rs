//! What came of reading one file: what counts, what was left out, and why.

use super::event::Event;

/// How many problems are listed. Any more are only counted.
const MAX_LISTED_PROBLEMS: usize = 50;

/// The result of reading one file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Why the file does not count, with its line; `None` if it counts.
    pub(super) unusable: Option<(u32, String)>,
    /// The number of events that count.
    pub(super) events: usize,
    pub(super) problems: Problems,
    /// Zone names that could not be resolved.
    pub(super) unknown_zones: Vec<String>,
    /// The address that names a primary Google calendar.
    pub(super) owner: Option<String>,
    /// Whether a component was understood that makes nobody busy.
    has_other: bool,
    /// The line of the first component that was not understood.
    first_strange: Option<u32>,
}

impl Outcome {
    /// Why the file does not count although it is whole: if nothing in it is understood, nothing is known, which is not the same
    /// as free.
    pub(super) fn not_understood(&self) -> Option<(u32, String)> {
        let line = self.first_strange.filter(|_| self.events == 0 && !self.has_other)?;
        Some((line, "presenced understands no part of it".to_owned()))
    }

    /// Notes a component that is not an event in the calendar. A task, for example, is understood, but makes nobody busy.
    pub(super) fn note_component(&mut self, line: u32, is_understood: bool) {
        if is_understood {
            self.has_other = true;
        } else {
            self.first_strange.get_or_insert(line);
        }
    }
}

/// The parts of a file that were left out, each with its line and the reason.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) listed: Vec<(u32, String)>,
    pub(super) more: usize,
}

impl Problems {
    /// Adds a problem.
    pub(super) fn add(&mut self, line: u32, reason: impl Into<String>) {
        if self.listed.len() < MAX_LISTED_PROBLEMS {
            self.listed.push((line, reason.into()));
        } else {
            self.more += 1;
        }
    }
}

/// Receives each event with its UID, which is empty if the event has none. The error says why the event is left out.
pub(super) type Sink<'a> = dyn FnMut(String, Event) -> Result<(), &'static str> + 'a;
