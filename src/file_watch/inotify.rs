//! inotify (the crate `notify`): one instance with one thread for what happens inside of folders, and one for the rename of the
//! folders above them. An instance that watches nothing does not exist.
//!
//! Two, because an instance asks the kernel for the same events of all its folders: files are written all the time in a home
//! folder or in `/tmp`, and the daemon must not wake up for each of them just because a calendar is somewhere below.
//! Leaves to others: what to watch, and which subscriber an event concerns.

use std::sync::{Arc, Mutex, PoisonError};

use notify::{Config, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};

use super::resolve::Extent;
use super::subscribers::{Subscribers, WatchedFolder};

/// The events inside of a folder that the kernel reports. Not that a file is opened or read: in `/etc`, that happens whenever a
/// program starts, and would wake the daemon each time.
const INSIDE: EventKindMask = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);

/// A folder's own rename (`IN_MOVE_SELF`), and nothing that happens inside.
const ITSELF: EventKindMask = EventKindMask::MODIFY_NAME;

/// The instances.
#[derive(Debug, Default)]
pub(super) struct Inotify {
    inside: Option<RecommendedWatcher>,
    itself: Option<RecommendedWatcher>,
}

impl Inotify {
    /// Watches a folder; starts a thread with the first one.
    pub(super) fn watch(
        &mut self,
        (extent, folder): &WatchedFolder,
        subscribers: &Arc<Mutex<Subscribers>>,
    ) -> notify::Result<()> {
        let (instance, events) = match extent {
            Extent::Inside => (&mut self.inside, INSIDE),
            Extent::Itself => (&mut self.itself, ITSELF),
        };
        if instance.is_none() {
            let subscribers = subscribers.clone();
            let handler = move |event| subscribers.lock().unwrap_or_else(PoisonError::into_inner).handle_event(event);
            *instance = Some(alive(RecommendedWatcher::new(handler, Config::default().with_event_kinds(events))?)?);
        }
        instance.as_mut().expect("made above").watch(folder, RecursiveMode::NonRecursive)
    }

    /// Stops watching a folder. A folder that is gone is not watched any more, which is not a failure.
    pub(super) fn unwatch(&mut self, (extent, folder): &WatchedFolder) {
        if let Some(Err(error)) = self.instance(*extent).as_mut().map(|instance| instance.unwatch(folder)) {
            tracing::trace!(%error, "inotify");
        }
    }

    /// Ends an instance that watches nothing.
    pub(super) fn end(&mut self, extent: Extent) {
        *self.instance(extent) = None;
    }

    fn instance(&mut self, extent: Extent) -> &mut Option<RecommendedWatcher> {
        match extent {
            Extent::Inside => &mut self.inside,
            Extent::Itself => &mut self.itself,
        }
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.inside.is_none() && self.itself.is_none()
    }
}

/// A new instance, if it has a thread: `notify` does not say that the system refused it one.
fn alive(instance: RecommendedWatcher) -> notify::Result<RecommendedWatcher> {
    if instance.watched_paths().is_ok() {
        return Ok(instance);
    }
    // Dropping it would panic, because its thread cannot be told to end.
    std::mem::forget(instance);
    Err(notify::Error::generic("the limit of processes is reached"))
}
