//! Reading the calendar files once, for a command: nothing is watched, and the window does not move.
//!
//! Everything here may block on the file system. Leaves to others: finding and reading files (`files`), and following their
//! changes (the parent module).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::files::{self, Found, Trouble};
use super::subscription_copy::CachedCopy;
use super::subscription_fetch;
use crate::calendar::{FileReport, SourceId, Timeline};
use crate::config::{CalendarSource, Subscription};
use crate::failure::Failure;

/// The result of reading all sources.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The files that were read, by their real paths, in the order of the sources and then of the paths.
    pub(crate) read: Vec<(PathBuf, FileReport)>,
    /// What could not be read.
    pub(crate) unread: Vec<Unread>,
    /// The sources that exist, but of which nothing could be read, as they were named.
    pub(crate) lost: Vec<PathBuf>,
    /// How many folders were searched: following them takes one watch each.
    pub(crate) folders: usize,
}

/// A file or folder that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Its path; real, unless it does not exist.
    pub(crate) path: PathBuf,
    /// Why, as a predicate of "the calendar": `does not exist`.
    pub(crate) reason: String,
}

impl From<Trouble> for Unread {
    fn from(Trouble { path, reason, .. }: Trouble) -> Self {
        Self { path, reason }
    }
}

/// Where a configured source can be read: its path, or for a subscription the last good copy that the daemon keeps.
pub(crate) fn path(source: &CalendarSource, cache_dir: &Path) -> PathBuf {
    match source {
        CalendarSource::Path(path) => path.clone(),
        CalendarSource::Subscription(subscription) => CachedCopy::of(&subscription.url, cache_dir).path().to_owned(),
    }
}

/// When the publisher of a subscription last confirmed its copy; `None`: there is no copy.
pub(crate) fn confirmed_at(subscription: &Subscription, cache_dir: &Path) -> Option<Timestamp> {
    CachedCopy::of(&subscription.url, cache_dir).facts().map(|facts| facts.confirmed_at)
}

/// Checks whether a subscription can be fetched now. Its copy stays as it is.
///
/// # Errors
/// Like a fetch by the daemon.
pub(crate) async fn is_published(subscription: &Subscription) -> Result<(), Failure> {
    subscription_fetch::check(&subscription.url).await
}

/// Reads the files of all sources into the timeline. A source is the absolute path of a file, or of a folder that is
/// searched for `*.ics`; a file that two sources have belongs to the first.
pub(crate) fn read(sources: &[PathBuf], timeline: &mut Timeline) -> Outcome {
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
    let (_, Found { files, folders, troubles }) = files::find(&[(id, source.to_owned())]);
    outcome.folders += folders.len();
    let (mut some, mut failed) = (false, !troubles.is_empty());
    outcome.unread.extend(troubles.into_iter().map(Unread::from));
    for path in files.into_keys() {
        if !known.insert(path.clone()) {
            some = true;
            continue;
        }
        match files::read(timeline, id, &path) {
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
