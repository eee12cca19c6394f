//! What can be wrong with a calendar file or folder, what that means for the calendar, and the warning about it.
//!
//! presenced never claims what it does not know, and one bad file among thousands must not end all claims. So it depends on
//! what is wrong, on how much the file is needed, and on whether an older reading of it counts. Leaves to others: finding
//! faults (`files`, `collection`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::whose::Whose;
use crate::calendar::{FileReport, Schedule};
use crate::off_the_loop::LATE_AFTER;
use crate::policy::Reading;
use crate::signals::Observation;
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How long a file that was found in a folder makes the calendar unknown: somebody may still be writing it.
const FOUND_PATIENCE: Duration = Duration::from_mins(1);

/// How long a file that is gone still counts: an editor that keeps a backup moves the old file away before it writes the new
/// one.
const GONE_COUNTS: Duration = Duration::from_secs(1);

/// How much the calendar depends on a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Its source is optional: the calendar is known without it.
    Optional,
    /// It was found in a folder: without it, the calendar is unknown only for a while.
    Found,
    /// It is named in the configuration: without it, the calendar is unknown.
    Named,
}

impl Need {
    /// The need for a source itself.
    pub(super) const fn of_source(optional: bool) -> Self {
        if optional { Self::Optional } else { Self::Named }
    }

    /// The need for what is found in a folder for which this is the need.
    pub(super) fn within(self) -> Self {
        self.min(Self::Found)
    }
}

/// What a fault means for the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The calendar is known. There is only a warning.
    Known,
    /// It is unknown until this moment, then known.
    UnknownUntil(Instant),
    /// It is unknown until the fault is gone.
    Unknown,
}

impl Effect {
    /// Whether the calendar is unknown at `now`.
    pub(super) fn is_unknown(self, now: Instant) -> bool {
        match self {
            Self::Known => false,
            Self::UnknownUntil(end) => now < end,
            Self::Unknown => true,
        }
    }
}

/// Something that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// The file or folder.
    pub(super) path: PathBuf,
    /// What is wrong with it, as a predicate of "the calendar": `does not exist`.
    pub(super) reason: String,
    /// How to fix it.
    pub(super) hint: String,
    /// It is not there, so nothing of it counts any more.
    pub(super) missing: bool,
    /// It may pass without a change in a watched folder, so a retry is worthwhile.
    pub(super) passing: bool,
}

impl Trouble {
    /// `path` cannot be read because of `error`.
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound {
            let hint = "Correct the path in [signals.calendar], or wait for the program that creates the file.";
            Self { missing: true, ..Self::new(path, "does not exist".to_owned(), hint.to_owned(), false) }
        } else if kind == io::ErrorKind::PermissionDenied {
            let hint = format!("Let the user that runs presenced read it: `ls -ld {}` shows who may.", path.display());
            Self::new(path, "may not be read".to_owned(), hint, false)
        } else if kind == io::ErrorKind::FileTooLarge {
            Self::unsuitable(path, &error.to_string())
        } else {
            let hint = "Fix or move the file; presenced checks it again by itself.";
            Self::new(path, format!("cannot be read: {error}"), hint.to_owned(), true)
        }
    }

    /// `path` is something that presenced does not read.
    pub(super) fn unsuitable(path: &Path, reason: &str) -> Self {
        let hint = "Move it out of the calendar's folder, or correct the path in [signals.calendar].";
        Self::new(path, format!("is not read: {reason}"), hint.to_owned(), false)
    }

    fn new(path: &Path, reason: String, hint: String, passing: bool) -> Self {
        Self { path: path.to_owned(), reason, hint, missing: false, passing }
    }
}

/// Why a file or folder does not count as it is now.
#[derive(Debug)]
pub(super) enum Why {
    /// It is not a whole calendar: why, as a clause.
    NotWhole(String),
    /// It cannot be read.
    Unread(Trouble),
    /// It is not there any more.
    Gone,
}

/// A file or folder that does not count as it is now.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) whose: Whose,
    pub(super) need: Need,
    pub(super) why: Why,
    pub(super) since: Since,
    /// Whether an older reading of it still counts.
    pub(super) kept: bool,
}

/// When something was first seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    instant: Instant,
    wall: Timestamp,
}

impl From<&Now> for Since {
    fn from(now: &Now) -> Self {
        Self { instant: now.instant, wall: now.wall }
    }
}

impl Loss {
    /// What it means for the calendar.
    pub(super) fn effect(&self) -> Effect {
        match (&self.why, self.need, self.kept) {
            (Why::Gone, ..)
            | (_, Need::Optional, _)
            | (Why::NotWhole(_), _, true)
            | (Why::Unread(_), Need::Found, true) => Effect::Known,
            (Why::NotWhole(_), Need::Named, false) | (Why::Unread(_), Need::Named, _) => Effect::Unknown,
            (_, Need::Found, false) => Effect::UnknownUntil(self.since.instant + FOUND_PATIENCE),
        }
    }

    /// When it must be looked at again, although nothing changes until then.
    pub(super) fn due(&self) -> Option<Instant> {
        match (&self.why, self.effect()) {
            (Why::Gone, _) => Some(self.since.instant + GONE_COUNTS),
            (_, Effect::UnknownUntil(end)) => Some(end),
            (_, Effect::Known | Effect::Unknown) => None,
        }
    }

    /// Whether a retry is worthwhile although nothing in a watched folder changes.
    pub(super) fn is_passing(&self) -> bool {
        matches!(&self.why, Why::Unread(trouble) if trouble.passing)
    }

    /// The warning about it at `now`. `subscription`: it is the copy of the subscription at this host.
    pub(super) fn warning(&self, path: &Path, subscription: Option<&str>, now: &Now) -> Option<Warning> {
        let calendar = subscription.map_or_else(
            || format!("the calendar {}", path.display()),
            |host| format!("the copy of the calendar subscription at {host}"),
        );
        let consequence = self.consequence(now.instant);
        match &self.why {
            Why::Gone => None,
            Why::Unread(Trouble { reason, hint, .. }) => {
                let text = capitalized(format!("{calendar} {reason}{consequence}."));
                Some(Warning { code: Code::CalendarUnreadable, text, hint: hint.clone() })
            }
            Why::NotWhole(reason) => {
                let since = clock(self.since.wall, &now.zone);
                let text = format!("Since {since}, {calendar} cannot be used, because {reason}{consequence}.");
                let hint = if subscription.is_some() {
                    "Wait a moment: presenced is fetching it again.".to_owned()
                } else {
                    format!(
                        "If no program is writing it, save it again, or remove it; `presenced agenda --calendar {}` checks it.",
                        path.display()
                    )
                };
                Some(Warning { code: Code::CalendarIncomplete, text, hint })
            }
        }
    }

    fn consequence(&self, now: Instant) -> &'static str {
        match (self.effect(), &self.why) {
            (Effect::Known, _) if self.kept => "; presenced uses what it read before",
            (Effect::UnknownUntil(end), _) if now < end => {
                "; the calendar is unknown for a minute, then presenced leaves this out"
            }
            (Effect::Known | Effect::UnknownUntil(_), _) => "; presenced leaves it out",
            (Effect::Unknown, Why::NotWhole(_)) => "; the calendar is unknown until it is whole",
            (Effect::Unknown, Why::Unread(_) | Why::Gone) => "",
        }
    }
}

fn capitalized(mut text: String) -> String {
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// A time on the clock, with its day: a fault may last for days.
fn clock(at: Timestamp, zone: &TimeZone) -> impl std::fmt::Display {
    at.to_zoned_datetime(zone.clone()).strftime("%H:%M on %-d %b")
}

/// The warning for a subscription without a copy, unless its task has said why.
pub(super) fn not_fetched(host: &str) -> Warning {
    Warning {
        code: Code::CalendarUnreadable,
        text: format!("The calendar subscription at {host} has not been fetched yet."),
        hint: "Wait a moment: presenced is fetching it.".to_owned(),
    }
}

/// What the calendar says while its files are being read for so long that their file system may not answer. `before`: what it said
/// before, which still counts.
pub(super) fn late(place: &Path, before: Option<Observation<Arc<Schedule>>>) -> Observation<Arc<Schedule>> {
    let consequence = if before.as_ref().is_some_and(|before| before.reading.known().is_some()) {
        "presenced uses what it read before"
    } else {
        "the calendar is unknown until they are read"
    };
    let warning = Warning {
        code: Code::CalendarUnreadable,
        text: format!(
            "Reading the calendar files takes longer than {} seconds, because the file system of {} does not answer or is slow; \
             {consequence}.",
            LATE_AFTER.as_secs(),
            place.display()
        ),
        hint: "If the files are on another machine, check that it responds. presenced continues by itself.".to_owned(),
    };
    let mut observation = before.unwrap_or_else(|| Observation {
        reading: Reading::Unknown,
        source: "not read yet".to_owned(),
        warnings: Vec::new(),
        watched: None,
    });
    observation.warnings.insert(0, warning);
    observation
}

/// One warning for everything that was skipped in a file.
pub(super) fn skipped(report: &FileReport) -> Option<Warning> {
    let first = report.skipped.first()?;
    let more = report.skipped.len() - 1 + report.skipped_more;
    let others = if more == 0 { String::new() } else { format!(" (and {more} more in this file)") };
    Some(Warning {
        code: Code::CalendarSkipped,
        text: format!("Skipped at {}:{}: {}{others}.", first.file.display(), first.line, first.reason),
        hint: "`presenced agenda --json` lists everything that is skipped; the rest of the file counts.".to_owned(),
    })
}

/// One warning for each unknown zone, with the first file that names it.
pub(super) fn unknown_zones<'a>(reports: impl Iterator<Item = (&'a PathBuf, &'a FileReport)>) -> Vec<Warning> {
    let mut zones: BTreeMap<&str, &Path> = BTreeMap::new();
    for (path, report) in reports {
        for zone in &report.unknown_zones {
            zones.entry(zone).or_insert(path);
        }
    }
    zones.into_iter().map(|(zone, path)| unknown_zone(zone, path)).collect()
}

fn unknown_zone(zone: &str, path: &Path) -> Warning {
    Warning {
        code: Code::CalendarZoneUnknown,
        text: format!("The time zone `{zone}` in {} is not known; the system's zone is used instead.", path.display()),
        hint: "Export the calendar with IANA zone names (Europe/Berlin) or with its VTIMEZONE.".to_owned(),
    }
}
