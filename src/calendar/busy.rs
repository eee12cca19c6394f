//! Busy classes: how strongly an event claims its time.

use std::fmt;

use jiff::Timestamp;

use crate::policy::words;

words! {
    /// An event's busy class, weakest first: of overlapping events the strongest counts.
    BusyClass {
        /// Claims no time.
        Free = "free",
        /// Working, but not at the usual place.
        WorkingElsewhere = "working-elsewhere",
        /// Perhaps.
        Tentative = "tentative",
        /// Busy.
        Busy = "busy",
        /// Out of office.
        OutOfOffice = "out-of-office",
    }
}

/// The busy state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyState {
    /// The strongest class of all events now; free when there is none.
    pub class: BusyClass,
    /// Whether an event of that class is an online meeting.
    pub online: bool,
    /// When this state next changes, as far as the known window reaches; `None`: not within it.
    pub until: Option<Timestamp>,
}

impl fmt::Display for BusyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.class.fmt(f)
    }
}
