//! An event as the timeline keeps it: its time, recurrence and busy class. Its title is the only text.
//!
//! Leaves to others: how it is read (`draft`), and which of its times count (`series`).

use jiff::civil::Date;

use super::BusyClass;
use super::length::Length;
use super::moment::Moment;
use super::recurrence::Rule;

/// The version of an event. The greater one is newer (RFC 5546, 2.1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    /// `SEQUENCE`.
    pub(super) sequence: u32,
    /// `DTSTAMP`, then `LAST-MODIFIED`, in seconds since 1970; 0 if missing.
    pub(super) stamp: i64,
    pub(super) modified: i64,
}

/// A moment that names an instance of a series: an EXDATE or a RECURRENCE-ID.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// The instance's start. If it is floating, it is on the clock of the series.
    pub(super) at: Moment,
    /// The instance's date in a series of whole days.
    pub(super) day: Date,
    /// Whether the moment was written in an unknown zone. It is then only assumed to be on the clock of the series. If the
    /// series has no instance at that time, the instances on that date are meant.
    pub(super) is_assumed: bool,
}

/// The instance of a series that an event replaces (`RECURRENCE-ID`).
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// The original start in the series.
    pub(super) named: Named,
    /// Whether it also changes all later instances (`RANGE=THISANDFUTURE`).
    pub(super) and_future: bool,
}

/// How an event repeats.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeat {
    /// `RRULE`s.
    pub(super) rules: Vec<Rule>,
    /// `EXRULE`s (RFC 2445).
    pub(super) exception_rules: Vec<Rule>,
    /// `RDATE`s. A PERIOD has its own length.
    pub(super) dates: Vec<(Moment, Option<Length>)>,
    /// `EXDATE`s.
    pub(super) exceptions: Vec<Named>,
}

/// An event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The number of its file, and the line on which it begins.
    pub(super) file: u32,
    pub(super) line: u32,
    pub(super) start: Moment,
    pub(super) length: Length,
    pub(super) version: Version,
    pub(super) instance: Option<Box<Instance>>,
    pub(super) repeat: Option<Box<Repeat>>,
    /// Its busy class; `None` if it is cancelled or declined and does not count at all.
    pub(super) class: Option<BusyClass>,
    pub(super) cancelled: bool,
    pub(super) online: bool,
    pub(super) summary: Box<str>,
}
