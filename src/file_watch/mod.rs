//! Watching folders: one inotify instance with one thread for all signals, however many folders they watch.
//!
//! A [`Watch`] is one signal's share of it. It is told which changes matter and then waits for them. Changes that come
//! while a signal is busy are gathered for its next turn, and a file that is being written is only reported when it is
//! closed, or has been quiet for a moment. After an overflow of the kernel's queue everything counts as changed.
//! inotify itself is blind to what another machine does to a network file system, and to a folder whose *grandparent* is
//! renamed. Leaves to others: which folders matter (`place`), who hears what (`audience`), and reading what changed.

pub(crate) mod resolve;
mod subscribers;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::time::{Clock, Instant};
use crate::warning::{Code, Warning};
use resolve::Interests;
use subscribers::{Audience, Heard};

pub(crate) use subscribers::Changes;

/// How long a file that is written but not closed must be quiet before it is reported.
const QUIET: Duration = Duration::from_millis(100);

/// After how long a file is reported though it is never quiet.
const NEVER_QUIET: Duration = Duration::from_secs(2);

/// All watched folders; cheap to clone. Without a watched folder there is no inotify instance and no thread.
#[derive(Clone, Debug, Default)]
pub struct Watches(Arc<Shared>);

impl Watches {
    /// Watches nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A share for one signal. It gives its folders up when it is dropped.
    pub(crate) fn share(&self) -> Watch {
        let (id, bell) = lock(&self.0.audience).join();
        Watch { shared: self.0.clone(), id, bell, failures: Vec::new(), writing: None }
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Whoever changes which folders are watched holds this lock; the inotify thread never takes it, because it must
    /// answer those calls.
    engine: Mutex<Option<RecommendedWatcher>>,
    audience: Arc<Mutex<Audience>>,
}

/// One signal's share of [`Watches`].
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    id: u64,
    bell: Arc<Notify>,
    /// Why folders could not be watched.
    failures: Vec<Warning>,
    /// Files are being written: since when, when the last write was seen, and how many there were.
    writing: Option<(Instant, Instant, u64)>,
}

impl Watch {
    /// Looks, watches what the look found to matter, and looks again if that was not watched before: what changes after
    /// the look that is returned will be reported. Blocks on the file system.
    pub(crate) fn settle<T>(&mut self, mut look: impl FnMut() -> (Interests, T)) -> T {
        loop {
            let (interests, found) = look();
            let watched = lock(&self.shared.audience).is_watching(self.id, &interests);
            if watched && self.failures.is_empty() {
                return found;
            }
            self.set(&interests);
            if watched && !self.failures.is_empty() {
                return found;
            }
        }
    }

    /// Folders that could not be watched at the last look. The next look tries again.
    pub(crate) fn failures(&self) -> &[Warning] {
        &self.failures
    }

    /// Watches for exactly these changes from now on.
    fn set(&mut self, interests: &Interests) {
        let mut engine = lock(&self.shared.engine);
        let plan = lock(&self.shared.audience).want(self.id, interests);
        for folder in &plan.give_up {
            unwatch(&mut engine, folder);
        }
        self.failures.clear();
        for (folder, was_lost) in &plan.take {
            if *was_lost {
                unwatch(&mut engine, folder);
            }
            let Err(error) = watch(&mut engine, &self.shared.audience, folder) else { continue };
            let mut audience = lock(&self.shared.audience);
            audience.failed(self.id, folder);
            if matches!(error.kind, notify::ErrorKind::PathNotFound) {
                // It vanished since it was looked at: look again.
                audience.rescan(self.id);
            } else {
                self.failures.push(failure(folder, &error));
            }
        }
        if lock(&self.shared.audience).is_idle() {
            *engine = None;
        }
    }

    /// Waits for changes that matter. Nothing is lost when the future is dropped.
    pub(crate) async fn changed(&mut self, clock: &dyn Clock) -> Changes {
        loop {
            let heard = lock(&self.shared.audience).take(self.id);
            let writes = match heard {
                Heard::Changes(changes) => return changes,
                Heard::Writing(writes) => writes,
                Heard::Nothing => {
                    self.writing = None;
                    self.bell.notified().await;
                    continue;
                }
            };
            let now = clock.now().instant;
            let (first, last) = match self.writing {
                Some((first, last, seen)) => (first, if seen == writes { last } else { now }),
                None => (now, now),
            };
            self.writing = Some((first, last, writes));
            tokio::select! {
                () = self.bell.notified() => {}
                () = clock.sleep_until((last + QUIET).min(first + NEVER_QUIET)) => {
                    self.writing = None;
                    lock(&self.shared.audience).wait_no_longer(self.id);
                }
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.set(&Interests::default());
        lock(&self.shared.audience).leave(self.id);
    }
}

/// Watches a folder; starts the inotify thread with the first one.
fn watch(
    engine: &mut Option<RecommendedWatcher>,
    audience: &Arc<Mutex<Audience>>,
    folder: &Path,
) -> notify::Result<()> {
    if engine.is_none() {
        let audience = audience.clone();
        *engine = Some(notify::recommended_watcher(move |event| lock(&audience).hear(event))?);
    }
    let engine = engine.as_mut().expect("made above");
    engine.watch(folder, RecursiveMode::NonRecursive)
}

/// Stops watching a folder. That it is not watched any more (it is gone) is no failure.
fn unwatch(engine: &mut Option<RecommendedWatcher>, folder: &Path) {
    if let Some(Err(error)) = engine.as_mut().map(|engine| engine.unwatch(folder)) {
        tracing::trace!(%error, "inotify");
    }
}

/// The warning for a folder that cannot be watched.
fn failure(folder: &Path, error: &notify::Error) -> Warning {
    let (reason, hint) = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => (
            "the limit of inotify watches is reached".to_owned(),
            "Raise it: `sudo sysctl fs.inotify.max_user_watches=524288`, and write that into /etc/sysctl.d/ to keep it.",
        ),
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => (
            "the limit of inotify instances is reached".to_owned(),
            "Raise it: `sudo sysctl fs.inotify.max_user_instances=512`, and write that into /etc/sysctl.d/ to keep it.",
        ),
        notify::ErrorKind::Io(io) => {
            (io.to_string(), "Give the user that runs presenced the right to read the folder.")
        }
        notify::ErrorKind::Generic(_)
        | notify::ErrorKind::PathNotFound
        | notify::ErrorKind::WatchNotFound
        | notify::ErrorKind::InvalidConfig(_) => (error.to_string(), "Check that the folder exists and can be read."),
    };
    Warning {
        code: Code::WatchFailed,
        text: format!(
            "The folder {} cannot be watched for changes ({reason}); until it can, it is looked at once a minute.",
            folder.display()
        ),
        hint: hint.to_owned(),
    }
}

/// A panic while a lock is held leaves plain data behind that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::future::Future;
    use std::pin::Pin;

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

    fn listing(folder: &Path) -> Interests {
        let mut interests = Interests::default();
        interests.all(folder);
        interests
    }

    fn paths<const N: usize>(paths: [&Path; N]) -> Changes {
        Changes::Paths(paths.into_iter().map(Path::to_owned).collect())
    }

    #[tokio::test]
    async fn shares_of_one_folder_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        let watches = Watches::new();
        let (mut one, mut two) = (watches.share(), watches.share());
        one.set(&listing(&folder));
        two.set(&listing(&folder));
        fs::create_dir(folder.join("a")).unwrap();
        assert_eq!(one.changed(&Still).await, paths([&folder.join("a")]));
        assert_eq!(two.changed(&Still).await, paths([&folder.join("a")]));
        drop(one);
        fs::create_dir(folder.join("b")).unwrap();
        assert_eq!(two.changed(&Still).await, paths([&folder.join("b")]));
        drop(two);
        assert!(lock(&watches.0.engine).is_none(), "without a watched folder there is no thread");
    }

    #[tokio::test]
    async fn a_folder_that_was_replaced_is_watched_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap().join("folder");
        fs::create_dir(&folder).unwrap();
        let watches = Watches::new();
        let mut watch = watches.share();
        watch.settle(|| (listing(&folder), ()));
        fs::rename(&folder, dir.path().join("old")).unwrap();
        fs::create_dir(&folder).unwrap();
        assert_eq!(watch.changed(&Still).await, paths([&folder]));
        watch.settle(|| (listing(&folder), ()));
        assert!(watch.failures().is_empty(), "{:?}", watch.failures());
        fs::create_dir(folder.join("new")).unwrap();
        assert_eq!(watch.changed(&Still).await, paths([&folder.join("new")]));
    }

    #[test]
    fn limits_are_explained_by_what_raises_them() {
        let folder = Path::new("/home/me/.calendars");
        let watches = failure(folder, &notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        assert!(watches.text.contains("/home/me/.calendars") && watches.hint.contains("max_user_watches"));
        let io = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert!(failure(folder, &notify::Error::io(io)).hint.contains("max_user_instances"));
    }
}
