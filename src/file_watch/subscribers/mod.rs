//! The subscribers of the inotify threads: who hears of which event. Events that matter to a subscriber are collected until it
//! takes them.
//!
//! Leaves to others: inotify itself (`inotify`), and waiting (the parent module).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use tokio::sync::Notify;

use super::resolve::{Extent, WatchSet};
use crate::fill::Fill as _;
use crate::time::Instant;

/// With more changed paths than this, looking at everything is cheaper than remembering them.
const MAX_CHANGED_PATHS: usize = 10_000;

/// Looks that are asked for more often than this are one: with many accounts, a keepalive is always due.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);

/// What changed since the last scan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// What is at these real paths.
    Paths(BTreeSet<PathBuf>),
    /// Perhaps everything: the first scan, a lost event, too many changes.
    Everything,
}

/// All subscribers, and the folders that are watched for them.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    next_id: u64,
    by_id: BTreeMap<u64, Subscriber>,
    folders: BTreeMap<WatchedFolder, Folder>,
    /// When a look was last asked for.
    look_asked_at: Option<Instant>,
}

/// A folder, and how much of it is watched.
pub(super) type WatchedFolder = (Extent, PathBuf);

#[derive(Debug, Default)]
struct Subscriber {
    watch_set: WatchSet,
    /// The folders that are watched for it.
    folders: BTreeSet<WatchedFolder>,
    file_systems: FileSystems,
    collected: Collected,
    notify: Arc<Notify>,
}

/// What is known of the file systems on which a subscriber watches something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FileSystems {
    /// Nothing: it did not ask for looks, or has not looked since the last mount.
    #[default]
    Unknown,
    /// They report every change, and always answer.
    Ordinary,
    /// One of them does not report every change. It may be on another machine.
    Unreported,
}

/// A watched folder.
#[derive(Debug, Default)]
struct Folder {
    /// How many subscribers it is watched for.
    subscribers: usize,
    /// It was deleted or moved away: what is at its path now is not watched.
    lost: bool,
}

/// What a subscriber has not taken yet.
#[derive(Debug, Default)]
struct Collected {
    everything: bool,
    changed: BTreeSet<PathBuf>,
    /// Created or modified, and not closed yet.
    writing: BTreeSet<PathBuf>,
    /// Counts the writes, so that a subscriber sees whether there was another.
    writes: u64,
}

/// What a subscriber can take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// Nothing yet.
    Nothing,
    /// Files are being written; the number of writes so far.
    Writing(u64),
    /// These changes are complete.
    Changes(Changes),
}

/// What to do with inotify, in this order. If the kernel's limit is reached, what happens inside of folders matters most.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Folders that no subscriber needs any more.
    pub(super) unwatch: Vec<WatchedFolder>,
    /// Folders to watch; `true`: an old folder of this path is still watched and must be given up first.
    pub(super) watch: Vec<(WatchedFolder, bool)>,
}

/// How an event changes what is at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It is complete.
    Changed,
    /// It is being written.
    Written,
    /// Its metadata changed. A file that is being written may not be complete yet.
    Touched,
    /// It is gone from here, with everything below it.
    Gone,
}

impl Change {
    /// `None`: nothing that matters, such as a read.
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

impl Subscribers {
    /// A new subscriber's number, and what wakes it when there is something for it.
    pub(super) fn subscribe(&mut self) -> (u64, Arc<Notify>) {
        let id = self.next_id;
        self.next_id += 1;
        let subscriber = self.by_id.entry(id).or_default();
        (id, subscriber.notify.clone())
    }

    /// Removes a subscriber that has given up its folders.
    pub(super) fn unsubscribe(&mut self, id: u64) {
        self.by_id.remove(&id);
    }

    /// Whether the subscriber watches exactly this already, and has lost none of its folders since.
    pub(super) fn is_watching(&self, id: u64, watch_set: &WatchSet) -> bool {
        self.by_id.get(&id).is_some_and(|subscriber| {
            let lost = |folder: &WatchedFolder| self.folders.get(folder).is_none_or(|folder| folder.lost);
            subscriber.watch_set == *watch_set && !subscriber.folders.iter().any(lost)
        })
    }

    /// From now on the subscriber watches exactly this.
    pub(super) fn set_watch_set(&mut self, id: u64, watch_set: &WatchSet) -> Plan {
        let mut plan = Plan::default();
        let Some(subscriber) = self.by_id.get_mut(&id) else { return plan };
        subscriber.watch_set = watch_set.clone();
        let wanted: BTreeSet<WatchedFolder> = watch_set.to_watch().fill();
        let mut before = std::mem::replace(&mut subscriber.folders, wanted.clone());
        for watched in wanted {
            let folder = self.folders.entry(watched.clone()).or_default();
            folder.subscribers += usize::from(!before.remove(&watched));
            if folder.lost || folder.subscribers == 1 {
                plan.watch.push((watched, std::mem::take(&mut folder.lost)));
            }
        }
        for watched in before {
            if self.release(&watched) {
                plan.unwatch.push(watched);
            }
        }
        plan
    }

    /// Takes over what the subscriber found out about its file systems.
    pub(super) fn set_file_systems(&mut self, id: u64, file_systems: FileSystems) {
        if let Some(subscriber) = self.by_id.get_mut(&id) {
            subscriber.file_systems = file_systems;
        }
    }

    /// What is known of its file systems.
    pub(super) fn file_systems(&self, id: u64) -> FileSystems {
        self.by_id.get(&id).map(|subscriber| subscriber.file_systems).unwrap_or_default()
    }

    /// For those to whom events do not report everything, everything may have changed.
    pub(super) fn look(&mut self, now: Instant) {
        if self.look_asked_at.is_none_or(|at| now.saturating_since(at) >= BETWEEN_LOOKS) {
            self.look_asked_at = Some(now);
            let unreported = |subscriber: &&mut Subscriber| subscriber.file_systems == FileSystems::Unreported;
            self.by_id.values_mut().filter(unreported).for_each(Subscriber::rescan);
        }
    }

    /// A folder could not be watched. If others share it, they have lost it too.
    pub(super) fn watch_failed(&mut self, id: u64, watched: &WatchedFolder) {
        if self.by_id.get_mut(&id).is_some_and(|subscriber| subscriber.folders.remove(watched)) {
            self.release(watched);
        }
        if let Some(folder) = self.folders.get_mut(watched) {
            folder.lost = true;
        }
    }

    /// One subscriber fewer for a folder; true when it was the last.
    fn release(&mut self, watched: &WatchedFolder) -> bool {
        let Some(folder) = self.folders.get_mut(watched) else { return false };
        folder.subscribers -= 1;
        let last = folder.subscribers == 0;
        if last {
            self.folders.remove(watched);
        }
        last
    }

    /// Whether no folder is watched to this extent.
    pub(super) fn has_none(&self, extent: Extent) -> bool {
        !self.folders.keys().any(|(of, _)| *of == extent)
    }

    /// Everything may have changed for the subscriber.
    pub(super) fn rescan(&mut self, id: u64) {
        self.by_id.get_mut(&id).into_iter().for_each(Subscriber::rescan);
    }

    /// Takes what was collected for the subscriber.
    pub(super) fn take(&mut self, id: u64) -> Pending {
        let Some(Subscriber { collected, .. }) = self.by_id.get_mut(&id) else { return Pending::Nothing };
        if std::mem::take(&mut collected.everything) {
            Pending::Changes(Changes::Everything)
        } else if !collected.changed.is_empty() {
            Pending::Changes(Changes::Paths(std::mem::take(&mut collected.changed)))
        } else if collected.writing.is_empty() {
            Pending::Nothing
        } else {
            Pending::Writing(collected.writes)
        }
    }

    /// Files that are being written count as changed for the subscriber.
    pub(super) fn report_writing(&mut self, id: u64) {
        if let Some(Subscriber { collected, .. }) = self.by_id.get_mut(&id) {
            collected.changed.append(&mut collected.writing);
        }
    }

    /// Hands one event to the subscribers that it concerns. Runs on the inotify thread.
    pub(super) fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        let event = match event {
            Ok(event) if event.need_rescan() => return self.by_id.values_mut().for_each(Subscriber::rescan),
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(%error, "inotify");
                return self.by_id.values_mut().for_each(Subscriber::rescan);
            }
        };
        let Some(change) = Change::of(event.kind) else { return };
        for path in event.paths {
            self.hand_out(change, &path);
        }
    }

    /// Something was mounted at `path`, or unmounted there: what was there is not what is there now.
    pub(super) fn handle_mount(&mut self, path: &Path) {
        for subscriber in self.by_id.values_mut().filter(|subscriber| subscriber.is_concerned(Change::Gone, path)) {
            subscriber.file_systems = FileSystems::Unknown;
        }
        // A file may be mounted over a file. What is watched is the same then, and yet must be found out about again.
        if let Some(folder) = path.parent()
            && let Some(folder) = self.folders.get_mut(&(Extent::Inside, folder.to_owned()))
        {
            folder.lost = true;
        }
        self.hand_out(Change::Gone, path);
    }

    fn hand_out(&mut self, change: Change, path: &Path) {
        if change == Change::Gone {
            self.lose(path);
        }
        for subscriber in self.by_id.values_mut() {
            subscriber.handle(change, path);
        }
    }

    /// What is at `path` is gone from there, with everything below it.
    fn lose(&mut self, path: &Path) {
        let was_folder = self.folders.contains_key(&(Extent::Inside, path.to_owned()));
        for extent in [Extent::Inside, Extent::Itself] {
            let below = self.folders.range_mut((extent, path.to_owned())..);
            let below = below.take_while(|((of, folder), _)| *of == extent && folder.starts_with(path));
            below.for_each(|(_, folder)| folder.lost = true);
        }
        if was_folder {
            // The folders above may have been deleted with it, which only the deletion of a folder inside shows.
            let above = self.folders.range_mut((Extent::Itself, PathBuf::new())..);
            above.filter(|((_, folder), _)| path.starts_with(folder)).for_each(|(_, folder)| folder.lost = true);
        }
    }
}

impl Subscriber {
    fn rescan(&mut self) {
        self.collected = Collected { everything: true, writes: self.collected.writes, ..Collected::default() };
        self.notify.notify_one();
    }

    fn is_concerned(&self, change: Change, path: &Path) -> bool {
        self.watch_set.contains(path) || change == Change::Gone && self.watch_set.has_folder_within(path)
    }

    fn handle(&mut self, change: Change, path: &Path) {
        if !self.is_concerned(change, path) || self.collected.everything {
            return;
        }
        match change {
            Change::Written => {
                self.collected.writes += 1;
                self.collected.writing.insert(path.to_owned());
            }
            Change::Touched if self.collected.writing.contains(path) => return,
            Change::Changed | Change::Touched | Change::Gone => {
                self.collected.writing.remove(path);
                self.collected.changed.insert(path.to_owned());
            }
        }
        if self.collected.changed.len() + self.collected.writing.len() > MAX_CHANGED_PATHS {
            self.rescan();
        }
        self.notify.notify_one();
    }
}

#[cfg(test)]
mod tests;
