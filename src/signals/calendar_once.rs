//! The calendar files read once, for somebody who asks and goes: no watching, and a window that stays.
//!
//! Everything here may block on the file system. Leaves to others: finding and reading files (`calendar_files`), following
//! their changes (`calendar`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::calendar_files::{self, Found, Trouble};
use super::subscription_copy::CachedCopy;
use super::subscription_fetch;
use crate::calendar::{FileReport, SourceId, Timeline};
use crate::config::{CalendarSource, Subscription};
use crate::failure::Failure;

/// What came of reading all sources.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The files that were read, by their real paths, in the order of the sources and then of the paths.
    pub read: Vec<(PathBuf, FileReport)>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// The sources of which there was something to read and nothing could be, as they were named.
    pub lost: Vec<PathBuf>,
    /// How many folders were searched: to follow them takes a watch each.
    pub folders: usize,
}

/// A file or folder that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its path; real, unless it does not exist.
    pub path: PathBuf,
    /// Why, said of "the calendar": `does not exist`.
    pub reason: String,
}

impl From<Trouble> for Unread {
    fn from(Trouble { path, reason, .. }: Trouble) -> Self {
        Self { path, reason }
    }
}

/// Where a configured source can be read: its path, or the last good copy of a subscription, which the daemon keeps.
pub fn path(source: &CalendarSource, cache_dir: &Path) -> PathBuf {
    match source {
        CalendarSource::Path(path) => path.clone(),
        CalendarSource::Subscription(subscription) => CachedCopy::of(&subscription.url, cache_dir).path().to_owned(),
    }
}

/// When the publisher of a subscription last said that its copy is the calendar; `None`: there is no copy.
pub fn confirmed_at(subscription: &Subscription, cache_dir: &Path) -> Option<Timestamp> {
    CachedCopy::of(&subscription.url, cache_dir).facts().map(|facts| facts.confirmed_at)
}

/// Whether a subscription could be fetched now. Its copy stays as it is.
///
/// # Errors
/// As of a fetch by the daemon.
pub async fn is_published(subscription: &Subscription) -> Result<(), Failure> {
    subscription_fetch::look(&subscription.url).await
}

/// Reads the files of all sources into the timeline. A source is the absolute path of a file, or of a folder that is
/// searched for `*.ics`; a file that two sources have belongs to the first.
pub fn read(sources: &[PathBuf], timeline: &mut Timeline) -> Outcome {
    let mut outcome = Outcome::default();
    let mut known = BTreeSet::new();
    for (id, source) in (0..).map(SourceId).zip(sources) {
        if !read_source(id, source, timeline, &mut known, &mut outcome) {
            outcome.lost.push(source.clone());
        }
    }
    outcome
}

/// Reads one source. False: there was something, and nothing could be read.
fn read_source(
    id: SourceId,
    source: &Path,
    timeline: &mut Timeline,
    known: &mut BTreeSet<PathBuf>,
    outcome: &mut Outcome,
) -> bool {
    let (_, Found { files, folders, troubles }) = calendar_files::find(&[(id, source.to_owned())]);
    outcome.folders += folders.len();
    let (mut some, mut failed) = (false, !troubles.is_empty());
    outcome.unread.extend(troubles.into_iter().map(Unread::from));
    for path in files.into_keys() {
        if !known.insert(path.clone()) {
            some = true;
            continue;
        }
        match calendar_files::read(timeline, id, &path) {
            Ok((report, _)) => {
                some = true;
                outcome.read.push((path, report));
            }
            Err(error) => {
                failed = true;
                outcome.unread.push(Trouble::unreadable(&path, &error).into());
            }
        }
    }
    some || !failed
}
