//! Watching folders: one inotify instance with one thread for all signals, however many folders they watch.
//!
//! A [`Watch`] is one signal's share of it. It is told which changes matter and then waits for them. Changes that come
//! while a signal is busy are gathered for its next turn, and a file that is being written is only reported when it is
//! closed, or has been quiet for a moment. After an overflow of the kernel's queue everything counts as changed.
//! inotify itself is blind to what another machine does to a network file system, and to a folder whose *grandparent* is
//! renamed. Leaves to others: which folders matter (`place`), and reading what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::place::Interests;
use crate::time::{Clock, Instant};
use crate::warning::{Code, Warning};

/// How long a file that is written but not closed must be quiet before it is reported.
const QUIET: Duration = Duration::from_millis(100);

/// After how long a file is reported though it is never quiet.
const NEVER_QUIET: Duration = Duration::from_secs(2);

/// With more changed paths than this, looking at everything is cheaper than remembering them.
const MAX_PATHS: usize = 10_000;

/// All watched folders; cheap to clone. Without a watched folder there is no inotify instance and no thread.
#[derive(Clone, Debug, Default)]
pub struct Watches(Arc<Shared>);

impl Watches {
    /// Watches nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A share for one signal. It gives its folders up when it is dropped.
    pub(super) fn share(&self) -> Watch {
        let bell = Arc::new(Notify::new());
        let mut audience = lock(&self.0.audience);
        let id = audience.next_id;
        audience.next_id += 1;
        let listener = Listener { interests: Interests::default(), pending: Pending::default(), bell: bell.clone() };
        audience.listeners.insert(id, listener);
        drop(audience);
        Watch { shared: self.0.clone(), id, bell, held: BTreeSet::new(), failures: Vec::new(), writing: None }
    }
}

/// What changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// What is at these real paths.
    Paths(BTreeSet<PathBuf>),
    /// Perhaps everything: the first look, a lost event, too many changes.
    Everything,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whoever changes which folders are watched holds this lock; the inotify thread never takes it, because it must
    /// answer those calls.
    engine: Mutex<Option<RecommendedWatcher>>,
    audience: Arc<Mutex<Audience>>,
}

/// What the inotify thread needs to know.
#[derive(Debug, Default)]
struct Audience {
    next_id: u64,
    listeners: BTreeMap<u64, Listener>,
    folders: BTreeMap<PathBuf, Folder>,
}

#[derive(Debug)]
struct Listener {
    interests: Interests,
    pending: Pending,
    bell: Arc<Notify>,
}

/// A watched folder.
#[derive(Debug, Default)]
struct Folder {
    /// How many listeners hold it.
    holders: usize,
    /// It was deleted or moved away: what is now at its path is not watched.
    lost: bool,
}

#[derive(Debug, Default)]
struct Pending {
    everything: bool,
    changed: BTreeSet<PathBuf>,
    /// Being written: made or modified, not closed yet.
    writing: BTreeSet<PathBuf>,
    /// Counts the writes, so that a listener sees whether there was another.
    writes: u64,
}

/// What an event says of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Changed,
    Written,
    /// Its metadata changed, which says nothing of a file that is still being written.
    Touched,
    /// It, and all below it, is gone from here.
    Gone,
}

impl News {
    /// `None`: nothing that matters, as when somebody reads a file.
    fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(Self::Gone),
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Create(CreateKind::Folder)
            | EventKind::Modify(ModifyKind::Name(_)) => Some(Self::Changed),
            EventKind::Modify(ModifyKind::Metadata(_)) => Some(Self::Touched),
            EventKind::Create(_) | EventKind::Modify(_) => Some(Self::Written),
            EventKind::Access(_) | EventKind::Any | EventKind::Other => None,
        }
    }
}

impl Audience {
    /// Takes in one event, on the inotify thread.
    fn hear(&mut self, event: notify::Result<notify::Event>) {
        let event = match event {
            Ok(event) if event.need_rescan() => return self.listeners.values_mut().for_each(Listener::rescan),
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(%error, "inotify");
                return self.listeners.values_mut().for_each(Listener::rescan);
            }
        };
        let Some(news) = News::of(event.kind) else { return };
        for path in event.paths {
            if news == News::Gone {
                let below = self.folders.range_mut(path.clone()..);
                below.take_while(|(folder, _)| folder.starts_with(&path)).for_each(|(_, folder)| folder.lost = true);
            }
            for listener in self.listeners.values_mut() {
                listener.hear(news, &path);
            }
        }
    }
}

impl Listener {
    fn rescan(&mut self) {
        self.pending = Pending { everything: true, writes: self.pending.writes, ..Pending::default() };
        self.bell.notify_one();
    }

    fn hear(&mut self, news: News, path: &Path) {
        let matters = self.interests.concern(path) || news == News::Gone && self.interests.below(path);
        if !matters || self.pending.everything {
            return;
        }
        match news {
            News::Written => {
                self.pending.writes += 1;
                self.pending.writing.insert(path.to_owned());
            }
            News::Touched if self.pending.writing.contains(path) => return,
            News::Changed | News::Touched | News::Gone => {
                self.pending.writing.remove(path);
                self.pending.changed.insert(path.to_owned());
            }
        }
        if self.pending.changed.len() + self.pending.writing.len() > MAX_PATHS {
            self.rescan();
        }
        self.bell.notify_one();
    }
}

/// One signal's share of [`Watches`].
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    id: u64,
    bell: Arc<Notify>,
    /// The folders that are watched for this share.
    held: BTreeSet<PathBuf>,
    /// Why folders could not be watched.
    failures: Vec<Warning>,
    /// Files are being written: since when, when the last write was seen, and how many there were.
    writing: Option<(Instant, Instant, u64)>,
}

impl Watch {
    /// Looks, watches what the look found to matter, and looks again if that was not watched before: what changes after
    /// the look that is returned will be reported. Blocks on the file system.
    pub(super) fn settle<T>(&mut self, mut look: impl FnMut() -> (Interests, T)) -> T {
        loop {
            let (interests, found) = look();
            let watched = self.is_watching(&interests);
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
    pub(super) fn failures(&self) -> &[Warning] {
        &self.failures
    }

    /// Whether these changes, and no others, were asked for, and no folder was lost since.
    fn is_watching(&self, interests: &Interests) -> bool {
        let audience = lock(&self.shared.audience);
        let same = audience.listeners.get(&self.id).is_some_and(|listener| listener.interests == *interests);
        same && !self.held.iter().any(|path| audience.folders.get(path).is_none_or(|folder| folder.lost))
    }

    /// Watches for exactly these changes from now on.
    fn set(&mut self, interests: &Interests) {
        let shared = self.shared.clone();
        let mut engine = lock(&shared.engine);
        let wanted: BTreeSet<PathBuf> = interests.folders().cloned().collect();
        let mut audience = lock(&shared.audience);
        if let Some(listener) = audience.listeners.get_mut(&self.id) {
            listener.interests = interests.clone();
        }
        let mut give_up = Vec::new();
        for folder in self.held.difference(&wanted) {
            if audience.release(folder) {
                give_up.push(folder.clone());
            }
        }
        let mut take = Vec::new();
        for path in &wanted {
            let folder = audience.folders.entry(path.clone()).or_default();
            folder.holders += usize::from(self.held.insert(path.clone()));
            if folder.lost || folder.holders == 1 {
                take.push((path.clone(), std::mem::take(&mut folder.lost)));
            }
        }
        self.held = wanted;
        drop(audience);

        for folder in &give_up {
            unwatch(&mut engine, folder);
        }
        self.failures.clear();
        for (folder, was_lost) in take {
            if was_lost {
                unwatch(&mut engine, &folder);
            }
            if let Err(error) = watch(&mut engine, &shared.audience, &folder) {
                self.held.remove(&folder);
                let mut audience = lock(&shared.audience);
                audience.release(&folder);
                if let Some(others) = audience.folders.get_mut(&folder) {
                    others.lost = true;
                }
                match (&error.kind, audience.listeners.get_mut(&self.id)) {
                    // It vanished since it was looked at: look again.
                    (notify::ErrorKind::PathNotFound, Some(listener)) => listener.rescan(),
                    _ => self.failures.push(failure(&folder, &error)),
                }
            }
        }
        if lock(&shared.audience).folders.is_empty() {
            *engine = None;
        }
    }

    /// Waits for changes that matter. Nothing is lost when the future is dropped.
    pub(super) async fn changed(&mut self, clock: &dyn Clock) -> Changes {
        loop {
            let (changes, writes) = self.take_changed();
            if let Some(changes) = changes {
                return changes;
            }
            let Some(writes) = writes else {
                self.writing = None;
                self.bell.notified().await;
                continue;
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
                    let mut audience = lock(&self.shared.audience);
                    if let Some(Listener { pending, .. }) = audience.listeners.get_mut(&self.id) {
                        pending.changed.append(&mut pending.writing);
                    }
                }
            }
        }
    }

    /// The changes that are complete, if any; else how many writes there were, when files are being written.
    fn take_changed(&self) -> (Option<Changes>, Option<u64>) {
        let mut audience = lock(&self.shared.audience);
        let Some(Listener { pending, .. }) = audience.listeners.get_mut(&self.id) else { return (None, None) };
        if std::mem::take(&mut pending.everything) {
            return (Some(Changes::Everything), None);
        }
        if !pending.changed.is_empty() {
            return (Some(Changes::Paths(std::mem::take(&mut pending.changed))), None);
        }
        (None, (!pending.writing.is_empty()).then_some(pending.writes))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.set(&Interests::default());
        lock(&self.shared.audience).listeners.remove(&self.id);
    }
}

impl Audience {
    /// Gives up one hold of a folder; true when it was the last.
    fn release(&mut self, path: &Path) -> bool {
        let Some(folder) = self.folders.get_mut(path) else { return false };
        folder.holders -= 1;
        let last = folder.holders == 0;
        if last {
            self.folders.remove(path);
        }
        last
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
