//! Watching files: one inotify instance with one thread (the crate `notify`) for everything that waits for a file to change,
//! however many folders that takes.
//!
//! A [`FileWatch`] is one subscriber's share of it: it says which changes matter and then waits for them. Changes that happen
//! while the subscriber is busy are collected for its next turn. A file that is being written is reported once it is closed,
//! or has been quiet for as long as the subscriber says; one that wants each write at once asks for that. After an overflow of the kernel's
//! queue everything counts as changed.
//! inotify does not see what another machine does to a network file system, nor that the *grandparent* of a folder is renamed.
//! Leaves to others: which folders a path leads through (`resolve`), which subscriber an event concerns (`subscribers`), and
//! reading what changed.

pub(crate) mod resolve;
mod subscribers;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{Config, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use self::resolve::{Resolved, WatchSet};
use self::subscribers::{Pending, Subscribers};
use crate::time::{Clock, Instant};

pub(crate) use self::subscribers::Changes;

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

/// The events that the kernel reports. Not that a file is opened or read: in `/etc`, that happens whenever a program starts,
/// and would wake the daemon each time.
const WATCHED_EVENTS: EventKindMask = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);

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
        FileWatch { shared: self.0.clone(), id, notify, quiet, failures: Vec::new(), writing: None }
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Locked while the set of watched folders changes. The inotify thread never takes this lock, because it must answer
    /// those calls.
    inotify: Mutex<Option<RecommendedWatcher>>,
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
        let mut inotify = lock(&self.shared.inotify);
        let plan = lock(&self.shared.subscribers).set_watch_set(self.id, watch_set);
        for folder in &plan.unwatch {
            unwatch(&mut inotify, folder);
        }
        self.failures.clear();
        for (folder, was_lost) in &plan.watch {
            if *was_lost {
                unwatch(&mut inotify, folder);
            }
            let Err(error) = watch(&mut inotify, &self.shared.subscribers, folder) else { continue };
            let mut subscribers = lock(&self.shared.subscribers);
            subscribers.watch_failed(self.id, folder);
            if matches!(error.kind, notify::ErrorKind::PathNotFound) {
                // It vanished after the scan: scan again.
                subscribers.rescan(self.id);
            } else {
                self.failures.push(WatchFailure::new(folder, &error));
            }
        }
        if lock(&self.shared.subscribers).no_folders() {
            *inotify = None;
        }
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
                    self.notify.notified().await;
                    continue;
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

/// Watches a folder; starts the inotify thread with the first one.
fn watch(
    inotify: &mut Option<RecommendedWatcher>,
    subscribers: &Arc<Mutex<Subscribers>>,
    folder: &Path,
) -> notify::Result<()> {
    if inotify.is_none() {
        let subscribers = subscribers.clone();
        let handler = move |event| lock(&subscribers).handle_event(event);
        *inotify = Some(RecommendedWatcher::new(handler, Config::default().with_event_kinds(WATCHED_EVENTS))?);
    }
    let inotify = inotify.as_mut().expect("made above");
    inotify.watch(folder, RecursiveMode::NonRecursive)
}

/// Stops watching a folder. A folder that is gone is not watched any more, which is not a failure.
fn unwatch(inotify: &mut Option<RecommendedWatcher>, folder: &Path) {
    if let Some(Err(error)) = inotify.as_mut().map(|inotify| inotify.unwatch(folder)) {
        tracing::trace!(%error, "inotify");
    }
}

/// After a panic while a lock was held, the plain data behind it is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::future::Future;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::pin::Pin;

    use futures_util::future::poll_immediate;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::time::Now;

    /// A clock on which no time passes.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Now {
            Now { instant: Instant::default(), wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC }
        }

        fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }

        fn sleep_until_wall(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    fn folder_set(folder: &Path) -> WatchSet {
        let mut watch_set = WatchSet::default();
        watch_set.add_folder(folder);
        watch_set
    }

    fn paths<const N: usize>(paths: [&Path; N]) -> Changes {
        Changes::Paths(paths.into_iter().map(Path::to_owned).collect())
    }

    #[tokio::test]
    async fn subscribers_of_one_folder_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        let watcher = FileWatcher::new();
        let (mut one, mut two) = (watcher.subscribe(), watcher.subscribe());
        one.set(&folder_set(&folder));
        two.set(&folder_set(&folder));
        fs::create_dir(folder.join("a")).unwrap();
        assert_eq!(one.changed(&Still).await, paths([&folder.join("a")]));
        assert_eq!(two.changed(&Still).await, paths([&folder.join("a")]));
        drop(one);
        fs::create_dir(folder.join("b")).unwrap();
        assert_eq!(two.changed(&Still).await, paths([&folder.join("b")]));
        drop(two);
        assert!(lock(&watcher.0.inotify).is_none(), "while no folder is watched there is no thread");
    }

    #[tokio::test]
    async fn a_folder_that_was_replaced_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap().join("folder");
        fs::create_dir(&folder).unwrap();
        let watcher = FileWatcher::new();
        let mut watch = watcher.subscribe();
        watch.scan(|| (folder_set(&folder), ()));
        fs::rename(&folder, dir.path().join("old")).unwrap();
        fs::create_dir(&folder).unwrap();
        assert_eq!(watch.changed(&Still).await, paths([&folder]));
        watch.scan(|| (folder_set(&folder), ()));
        assert!(watch.failures().is_empty(), "{:?}", watch.failures());
        fs::create_dir(folder.join("new")).unwrap();
        assert_eq!(watch.changed(&Still).await, paths([&folder.join("new")]));
    }

    #[tokio::test]
    async fn a_file_in_folders_that_do_not_exist_yet_is_awaited_step_by_step() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("run/presenced/presenced.sock");
        let mut watch = FileWatcher::new().subscribe();
        assert!(matches!(watch.resolve(&path), Resolved::Missing));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        watch.touched().await;
        assert!(matches!(watch.resolve(&path), Resolved::Missing));
        fs::write(&path, "").unwrap();
        watch.touched().await;
        assert!(matches!(watch.resolve(&path), Resolved::File(_)));
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        watch.touched().await;
        assert!(matches!(watch.resolve(&path), Resolved::Missing));
        fs::create_dir(path.parent().unwrap()).unwrap();
        watch.touched().await;
    }

    #[tokio::test]
    async fn a_write_to_an_open_file_counts_at_once_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        let mut file = File::create(folder.join("log")).unwrap();
        let watcher = FileWatcher::new();
        let (mut whole, mut each) = (watcher.subscribe(), watcher.subscribe());
        whole.set(&folder_set(&folder));
        each.set(&folder_set(&folder));
        file.write_all(b"line\n").unwrap();
        each.touched().await;
        assert_eq!(poll_immediate(whole.changed(&Still)).await, None, "the file may not be complete");
        drop(file);
        assert_eq!(whole.changed(&Still).await, paths([&folder.join("log")]));
    }

    #[test]
    fn the_kernel_does_not_report_reads() {
        const READS: u32 = 0x01 | 0x10 | 0x20; // IN_ACCESS, IN_CLOSE_NOWRITE, IN_OPEN
        let dir = tempfile::tempdir().unwrap();
        let mut watch = FileWatcher::new().subscribe();
        watch.resolve(&dir.path().canonicalize().unwrap().join("file"));
        // `inotify wd:1 ino:9e7e sdev:800013 mask:800afce …`, in hexadecimal (proc_pid_fdinfo(5)).
        let inode = format!("ino:{:x}", dir.path().metadata().unwrap().ino());
        let infos = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
        let infos: Vec<String> = infos.filter_map(|info| fs::read_to_string(info.path()).ok()).collect();
        let lines = infos.iter().flat_map(|info| info.lines()).filter(|line| line.starts_with("inotify "));
        let watched = lines.map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words.contains(&&*inode));
        let mask = watched.unwrap().into_iter().find_map(|word| word.strip_prefix("mask:")).unwrap();
        assert_eq!(u32::from_str_radix(mask, 16).unwrap() & READS, 0, "a read would wake the daemon");
    }

    #[test]
    fn a_limit_names_the_command_that_raises_it() {
        let folder = Path::new("/home/me/.calendars");
        let watches = WatchFailure::new(folder, &notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        assert!(watches.command.unwrap().contains("max_user_watches"));
        let io = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert!(WatchFailure::new(folder, &notify::Error::io(io)).command.unwrap().contains("max_user_instances"));
        let io = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert_eq!(WatchFailure::new(folder, &notify::Error::io(io)).command, None);
    }
}
