//! Follows a users file: reads it now and after each change.
//!
//! Leaves to others: what a line means (`config/users_file`), and what follows for the users ([`super::roster`]).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::users_file::{self, UsersFile};
use crate::file_watch::resolve::{Resolved, WatchSet};
use crate::file_watch::{FileWatch, FileWatcher, WriteQuiet};
use crate::off_the_loop::off_the_loop;
use crate::regular_file::{self, Unfit};
use crate::time::Clock;

/// Programs that rewrite a file in place write it in pieces.
const QUIET: WriteQuiet = WriteQuiet { after: Duration::from_secs(1), at_most: Duration::from_secs(10) };

/// The watch on a users file.
#[derive(Debug)]
pub(super) struct Follower {
    /// Only the newest one counts.
    pub(super) number: u64,
    watch: FileWatch,
    pub(super) path: PathBuf,
}

/// What a users file says after a change.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) follower: Follower,
    pub(super) read: Result<UsersFile, Unfit>,
}

impl Follower {
    /// A watch on the file at `path`, which has not looked yet.
    pub(super) fn new(number: u64, path: PathBuf, watcher: &FileWatcher) -> Self {
        Self { number, watch: watcher.subscribe_to_writers(QUIET).with_looks(), path }
    }

    /// Waits for a change, unless this is the first look, and reads the file.
    pub(super) async fn next(mut self, is_first: bool, clock: Arc<dyn Clock>) -> Followed {
        if !is_first {
            self.watch.changed(&*clock).await;
        }
        off_the_loop(move || {
            self.watch.scan(|| {
                let mut watch_set = WatchSet::default();
                if let Resolved::Folder(folder) = watch_set.resolve(&self.path) {
                    // Until a file takes its place.
                    watch_set.add_path(&folder);
                }
                (watch_set, ())
            });
            let read = regular_file::read(&self.path, users_file::MAX_FILE_BYTES).map(|text| users_file::parse(&text));
            Followed { follower: self, read }
        })
        .await
    }
}
