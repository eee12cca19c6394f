//! Watching files: one watcher for everything that waits for a file to change, however many folders that takes.
//!
//! A [`FileWatch`] is one subscriber's share of it: it says which changes matter and then waits for them. Changes that happen
//! while the subscriber is busy are collected for its next turn. A file that is being written is reported once it is closed,
//! or has been quiet for as long as the subscriber says; one that wants each write at once asks for that. After an overflow of the kernel's
//! queue everything counts as changed.
//!
//! The rename of a folder above, and a mount over it, are events too. What inotify cannot see is what another machine does to a
//! network file system, and the like (`file_system`). For a subscriber that asks for looks, everything there counts as changed once
//! a minute, and with each keepalive. On other file systems that costs nothing: no timer, no wake-up.
//! Leaves to others: which folders a path leads through (`resolve`), which subscriber an event concerns (`subscribers`), the
//! kernel's two sources of events (`inotify`, `mounts`), and reading what changed.

mod file_system;
mod inotify;
mod mounts;
pub(crate) mod resolve;
mod subscribers;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use self::inotify::Inotify;
use self::mounts::Mounts;
use self::resolve::{Extent, Resolved, WatchSet};
use self::subscribers::{FileSystems, Pending, Subscribers};
use crate::time::{Clock, Instant};

pub(crate) use self::file_system::Unreported;
pub(crate) use self::subscribers::Changes;

/// How long a change may go unnoticed that no event reports. The looks of all subscribers are at the same times, so that they
/// are one wake-up.
const BETWEEN_LOOKS: Duration = Duration::from_mins(1);

/// How presenced learns of changes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watched {
    /// The kernel reports each change.
    Events,
    /// The kernel may not report each change, so presenced also looks once a minute.
    Polled,
}

/// How long files that were written but not closed must be quiet before they are reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteQuiet {
    pub(crate) after: Duration,
    /// When they are reported although they are never quiet.
    pub(crate) at_most: Duration,
}

impl WriteQuiet {
    /// For small files, which are written at once.
    const SHORT: Self = Self { after: Duration::from_millis(100), at_most: Duration::from_secs(2) };
}

/// All watched folders; cheap to clone. While no folder is watched there is no inotify instance and no thread.
#[derive(Clone, Debug, Default)]
pub struct FileWatcher(Arc<Shared>);

impl FileWatcher {
    /// Watches nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new subscriber. It gives up its folders when it is dropped.
    pub(crate) fn subscribe(&self) -> FileWatch {
        self.subscribe_to_writers(WriteQuiet::SHORT)
    }

    /// The same, for files that are written like this.
    pub(crate) fn subscribe_to_writers(&self, quiet: WriteQuiet) -> FileWatch {
        let (id, notify) = lock(&self.0.subscribers).subscribe();
        FileWatch {
            shared: self.0.clone(),
            id,
            notify,
            quiet,
            failures: Vec::new(),
            writing: None,
            looks: false,
            unreported: None,
            look_due: None,
        }
    }

    /// A keepalive is due at `now`: a good time to look where events do not report every change.
    pub(crate) fn look(&self, now: Instant) {
        lock(&self.0.subscribers).look(now);
    }

    /// Reports what is mounted over watched folders, or unmounted from them. Never returns, unless the kernel does not report it.
    pub(crate) async fn follow_mounts(self) {
        let Err(error) = self.mounts().await;
        tracing::debug!(%error, "mounts over watched folders are not noticed");
    }

    async fn mounts(&self) -> std::io::Result<Infallible> {
        let mut mounts = Mounts::follow()?;
        loop {
            for place in mounts.changed().await? {
                lock(&self.0.subscribers).handle_mount(&place);
            }
        }
    }
}

/// Why events do not report every change at this path, if so. Blocks on the file system.
pub(crate) fn unreported(path: &Path) -> Option<Unreported> {
    let mut watch_set = WatchSet::default();
    watch_set.resolve(path);
    watch_set.unreported()
}

#[derive(Debug, Default)]
struct Shared {
    /// Locked while the set of watched folders changes. The inotify threads never take this lock, because they must answer
    /// those calls.
    inotify: Mutex<Inotify>,
    subscribers: Arc<Mutex<Subscribers>>,
}

/// One subscriber of a [`FileWatcher`].
#[derive(Debug)]
pub(crate) struct FileWatch {
    shared: Arc<Shared>,
    id: u64,
    notify: Arc<Notify>,
    quiet: WriteQuiet,
    failures: Vec<WatchFailure>,
    /// Files are being written.
    writing: Option<Writing>,
    /// Whether it asks for looks.
    looks: bool,
    /// Why it needs them; `None`: it does not.
    unreported: Option<Unreported>,
    /// When the next one is due.
    look_due: Option<Instant>,
}

/// Writes to files that are not closed yet.
#[derive(Clone, Copy, Debug)]
struct Writing {
    first: Instant,
    last: Instant,
    /// How many writes there were until `last`.
    count: u64,
}

/// A folder that cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchFailure {
    pub(crate) folder: PathBuf,
    /// Why, as a clause for people.
    pub(crate) reason: String,
    /// The command that raises the limit, where the reason is a limit.
    pub(crate) command: Option<&'static str>,
}

impl FileWatch {
    /// The same subscriber, which also asks for looks: where events do not report every change, everything counts as changed once
    /// a minute.
    pub(crate) fn with_looks(mut self) -> Self {
        self.looks = true;
        self
    }

    /// Why events did not report every change of what the last scan found to matter; `None`: they did.
    pub(crate) fn unreported(&self) -> Option<&Unreported> {
        self.unreported.as_ref()
    }

    /// How changes are noticed of what the last scan found to matter.
    pub(crate) fn watched(&self) -> Watched {
        if self.unreported.is_some() { Watched::Polled } else { Watched::Events }
    }

    /// Whether a scan may wait for another machine. A subscriber that asks for looks learns that it may not.
    pub(crate) fn may_wait(&self) -> bool {
        lock(&self.shared.subscribers).file_systems(self.id) != FileSystems::Ordinary
    }

    /// Scans the file system, watches what the scan found to matter, and scans again if that was not watched before. So any
    /// change after the scan whose result is returned will be reported. Blocks on the file system.
    pub(crate) fn scan<T>(&mut self, mut scan: impl FnMut() -> (WatchSet, T)) -> T {
        loop {
            let (watch_set, found) = scan();
            let watched = lock(&self.shared.subscribers).is_watching(self.id, &watch_set);
            if watched && self.failures.is_empty() {
                return found;
            }
            self.set(&watch_set);
            if watched && !self.failures.is_empty() {
                return found;
            }
        }
    }

    /// Resolves an absolute path and watches it: any change after this of what it leads to will be reported. Blocks on the
    /// file system.
    pub(crate) fn resolve(&mut self, path: &Path) -> Resolved {
        self.scan(|| {
            let mut watch_set = WatchSet::default();
            let resolved = watch_set.resolve(path);
            (watch_set, resolved)
        })
    }

    /// The folders that could not be watched at the last scan. The next scan tries again.
    pub(crate) fn failures(&self) -> &[WatchFailure] {
        &self.failures
    }

    /// From now on watches exactly this.
    fn set(&mut self, watch_set: &WatchSet) {
        // A file system that does not answer blocks here, before it could block whoever else watches something.
        self.unreported = if self.looks { watch_set.unreported() } else { None };
        let mut inotify = lock(&self.shared.inotify);
        let plan = lock(&self.shared.subscribers).set_watch_set(self.id, watch_set);
        for watched in &plan.unwatch {
            inotify.unwatch(watched);
        }
        self.failures.clear();
        for (watched, was_lost) in &plan.watch {
            if *was_lost {
                inotify.unwatch(watched);
            }
            let Err(error) = inotify.watch(watched, &self.shared.subscribers) else { continue };
            let mut subscribers = lock(&self.shared.subscribers);
            subscribers.watch_failed(self.id, watched);
            let (extent, folder) = watched;
            if matches!(error.kind, notify::ErrorKind::PathNotFound) {
                // It vanished after the scan: scan again.
                subscribers.rescan(self.id);
            } else if *extent == Extent::Itself && is_denied(&error) {
                if self.looks && self.unreported.is_none() {
                    self.unreported = Some(Unreported::Rename(folder.clone()));
                }
            } else {
                self.failures.push(WatchFailure::new(folder, &error));
            }
        }
        for extent in [Extent::Inside, Extent::Itself] {
            if lock(&self.shared.subscribers).has_none(extent) {
                inotify.end(extent);
            }
        }
        let file_systems = match (self.looks, &self.unreported) {
            (false, _) => FileSystems::Unknown,
            (true, None) => FileSystems::Ordinary,
            (true, Some(_)) => FileSystems::Unreported,
        };
        lock(&self.shared.subscribers).set_file_systems(self.id, file_systems);
    }

    /// Waits for changes that matter, until files that are being written are complete. Nothing is lost when the future is
    /// dropped.
    pub(crate) async fn changed(&mut self, clock: &dyn Clock) -> Changes {
        loop {
            let pending = lock(&self.shared.subscribers).take(self.id);
            let count = match pending {
                Pending::Changes(changes) => return changes,
                Pending::Writing(count) => count,
                Pending::Nothing => {
                    self.writing = None;
                    let due = self.look_due(clock);
                    tokio::select! {
                        () = self.notify.notified() => continue,
                        () = sleep_until(clock, due) => {
                            self.look_due = None;
                            return Changes::Everything;
                        }
                    }
                }
            };
            let now = clock.now().instant;
            let writing = match self.writing {
                Some(writing) if writing.count == count => writing,
                Some(writing) => Writing { last: now, count, ..writing },
                None => Writing { first: now, last: now, count },
            };
            self.writing = Some(writing);
            tokio::select! {
                () = self.notify.notified() => {}
                () = clock.sleep_until((writing.last + self.quiet.after).min(writing.first + self.quiet.at_most)) => {
                    self.writing = None;
                    lock(&self.shared.subscribers).report_writing(self.id);
                }
            }
        }
    }

    /// When the next look is due: at the next whole minute. It stays until it is taken.
    fn look_due(&mut self, clock: &dyn Clock) -> Option<Instant> {
        self.look_due = self.unreported.as_ref().map(|_| {
            self.look_due.unwrap_or_else(|| {
                let minutes = clock.now().instant.since_origin().as_secs() / BETWEEN_LOOKS.as_secs();
                Instant::from_origin(Duration::from_secs((minutes + 1) * BETWEEN_LOOKS.as_secs()))
            })
        });
        self.look_due
    }

    /// Waits for the next change that matters; a write counts at once. Nothing is lost when the future is dropped.
    pub(crate) async fn touched(&mut self) {
        loop {
            {
                let mut subscribers = lock(&self.shared.subscribers);
                subscribers.report_writing(self.id);
                if let Pending::Changes(_) = subscribers.take(self.id) {
                    return;
                }
            }
            self.notify.notified().await;
        }
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.set(&WatchSet::default());
        lock(&self.shared.subscribers).unsubscribe(self.id);
    }
}

impl WatchFailure {
    fn new(folder: &Path, error: &notify::Error) -> Self {
        let (reason, command) = match &error.kind {
            notify::ErrorKind::MaxFilesWatch => (
                "the limit of inotify watches is reached".to_owned(),
                Some("sudo sysctl fs.inotify.max_user_watches=524288"),
            ),
            notify::ErrorKind::Io(io) if io.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => (
                "the limit of inotify instances is reached".to_owned(),
                Some("sudo sysctl fs.inotify.max_user_instances=512"),
            ),
            notify::ErrorKind::Io(io) => (io.to_string(), None),
            notify::ErrorKind::Generic(_)
            | notify::ErrorKind::PathNotFound
            | notify::ErrorKind::WatchNotFound
            | notify::ErrorKind::InvalidConfig(_) => (error.to_string(), None),
        };
        Self { folder: folder.to_owned(), reason, command }
    }
}

/// Whether the folder may not be read. Without that right it cannot be watched (`EACCES` of `inotify_add_watch(2)`).
fn is_denied(error: &notify::Error) -> bool {
    matches!(&error.kind, notify::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied)
}

async fn sleep_until(clock: &dyn Clock, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// After a panic while a lock was held, the plain data behind it is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
