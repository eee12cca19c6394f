//! How much a calendar contains, for a user who is about to choose one: its files and events, counted for as long as there is
//! time.
//!
//! Leaves to others: finding and opening files (`files`), reading them ([`Timeline`]).

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::fault::Trouble;
use super::files::{self, Found, Source};
use super::once::Unread;
use crate::calendar::{SourceId, Timeline};

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extent {
    /// The files that were found.
    pub(crate) files: usize,
    /// The events in those that are whole.
    pub(crate) events: usize,
    /// Whether there was time to count everything.
    pub(crate) is_whole: bool,
    /// What could not be read, or is not whole.
    pub(crate) unread: Vec<Unread>,
}

/// Counts what is in the file or folder at `source`, while `has_time`. May block on the file system.
pub(crate) fn extent(source: &Path, has_time: &dyn Fn() -> bool) -> Extent {
    let source = Source::shared(source.to_owned(), false);
    let (_, Found { files, troubles, .. }) = files::find_while(&[(SourceId(0), source)], has_time);
    let unread = troubles.into_iter().map(|(origin, trouble)| Unread::new(origin.need, trouble)).collect();
    let mut extent = Extent { files: files.len(), events: 0, is_whole: true, unread };
    // All events count, whenever they are. A window that contains hardly any of them costs least.
    let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1));
    let mut timeline = Timeline::new(Vec::new(), TimeZone::UTC, from, to);
    for (path, origin) in files {
        let path = PathBuf::from(path);
        let read =
            files::open(&path).and_then(|(file, _)| timeline.update(SourceId(0), &path, Timed { file, has_time }));
        match read {
            Ok(report) => {
                extent.events += report.events;
                extent.unread.extend(report.unusable.map(|unusable| Unread::not_whole(origin.need, unusable)));
            }
            Err(_) if !has_time() => break,
            Err(error) => extent.unread.push(Unread::new(origin.need, Trouble::unreadable(&path, &error))),
        }
    }
    extent.is_whole = has_time();
    extent
}

/// A file that fails to read once time is up.
struct Timed<'a, R> {
    file: R,
    has_time: &'a dyn Fn() -> bool,
}

impl<R: Read> Read for Timed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.has_time)() { self.file.read(buffer) } else { Err(ErrorKind::TimedOut.into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const EVENT: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261124T090000Z\nEND:VEVENT\nEND:VCALENDAR\n";

    #[test]
    fn files_and_events_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.ics"), EVENT.repeat(2)).unwrap();
        std::fs::write(folder.path().join("b.ics"), EVENT.replace("END:VCALENDAR\n", "")).unwrap();
        std::fs::File::create(folder.path().join("huge.ics")).unwrap().set_len(1 << 40).unwrap();
        let extent = extent(folder.path(), &|| true);
        assert_eq!((extent.files, extent.events, extent.is_whole), (3, 2, true));
        let reasons: Vec<_> = extent.unread.iter().map(|unread| unread.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "cannot be used: it is not complete: it ends before its END:VCALENDAR",
                "is not read: it is larger than 640 MiB",
            ]
        );
        let none = super::extent(&folder.path().join("none"), &|| true);
        assert_eq!((none.files, none.unread[0].reason.as_str()), (0, "does not exist"));
    }

    #[test]
    fn when_time_is_up_the_count_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        for name in 0..10 {
            std::fs::write(folder.path().join(format!("{name}.ics")), EVENT).unwrap();
        }
        for asked in [0, 1, 5, 20] {
            let left = Cell::new(asked);
            let extent = extent(folder.path(), &|| {
                left.set(left.get() - 1);
                left.get() >= 0
            });
            assert!(!extent.is_whole && extent.events < 10 && extent.unread.is_empty(), "{asked}: {extent:?}");
        }
    }
}
