//! Reading the calendar files once, for a command: nothing is watched, and the window does not move.
//!
//! Everything here may block on the file system. Leaves to others: finding and reading files (`files`), and following their
//! changes (the parent module).

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::fault::Trouble;
use super::files::{self, Found, Origin};
use super::subscription_copy::CachedCopy;
use super::subscription_fetch;
use super::whose::Whose;
use crate::calendar::{FileReport, Skipped, SourceId, Timeline};
use crate::config::{CalendarPlace, CalendarSource, OwnersPath, Subscription};
use crate::failure::Failure;
use crate::file_watch::Unreported;

pub(crate) use super::fault::Need;
pub(crate) use super::files::Source;

/// The result of reading all sources.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The files that count, by their real paths, in the order of the sources and then of the paths.
    pub(crate) read: Vec<(PathBuf, FileReport)>,
    /// What does not count.
    pub(crate) unread: Vec<Unread>,
    /// How many folders were searched: following them takes one watch each.
    pub(crate) folders: usize,
    /// Why events do not report every change there, if so.
    pub(crate) unreported: Option<Unreported>,
}

impl Outcome {
    /// What makes the calendar unknown: it is needed, and does not count. The daemon would wait a minute for files in a folder.
    pub(crate) fn needed(&self) -> Option<&Unread> {
        self.unread.iter().find(|unread| unread.need == Need::Named)
    }
}

/// A file or folder that could not be read, or is not a whole calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Its path; real, unless it does not exist.
    pub(crate) path: PathBuf,
    /// The line on which a file shows that it is not whole, from 1.
    pub(crate) line: Option<u32>,
    /// Why, as a predicate of "the calendar": `does not exist`.
    pub(crate) reason: String,
    /// How much the calendar depends on it.
    pub(crate) need: Need,
}

impl Unread {
    /// It cannot be read.
    pub(super) fn new(need: Need, Trouble { path, reason, .. }: Trouble) -> Self {
        Self { path, line: None, reason, need }
    }

    /// It was read, and is not whole.
    pub(super) fn not_whole(need: Need, Skipped { file, line, reason }: Skipped) -> Self {
        Self { path: file, line: Some(line), reason: format!("cannot be used: {reason}"), need }
    }
}

/// Where a configured source can be read: its path, or for a subscription the last good copy that the daemon keeps. If each owner
/// has one, all of them.
pub(crate) fn places(source: &CalendarSource, cache_dir: &Path) -> Vec<Source> {
    match &source.place {
        CalendarPlace::Path(path) => vec![Source::shared(path.clone(), source.optional)],
        CalendarPlace::Owners(OwnersPath { suffix, folders, .. }) => {
            let place =
                |path: &PathBuf| Source { whose: Whose::Each(suffix), ..Source::shared(path.clone(), source.optional) };
            folders.values().map(place).collect()
        }
        CalendarPlace::Subscription(subscription) => {
            vec![Source::shared(CachedCopy::of(&subscription.url, cache_dir).path().to_owned(), source.optional)]
        }
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

/// Reads the files of all sources into the timeline. A file that two sources have belongs to the first.
pub(crate) fn read(sources: &[Source], timeline: &mut Timeline) -> Outcome {
    let sources: Vec<(SourceId, Source)> = (0..).map(SourceId).zip(sources.iter().cloned()).collect();
    let (watch_set, Found { files, folders, troubles }) = files::find(&sources);
    let unread = troubles.into_iter().map(|(origin, trouble)| Unread::new(origin.need, trouble)).collect();
    let unreported = watch_set.unreported();
    let mut outcome = Outcome { unread, folders: folders.len(), unreported, ..Outcome::default() };
    let mut files: Vec<(PathBuf, Origin)> = files.into_iter().map(|(path, origin)| (path.into(), origin)).collect();
    files.sort_by_key(|(_, origin)| origin.source);
    for (path, Origin { source, need, whose: _ }) in files {
        match files::read(timeline, source, &path) {
            Ok((FileReport { unusable: Some(unusable), .. }, _)) => {
                outcome.unread.push(Unread::not_whole(need, unusable));
            }
            Ok((report, _)) => outcome.read.push((path, report)),
            Err(error) => outcome.unread.push(Unread::new(need, Trouble::unreadable(&path, &error))),
        }
    }
    outcome
}
