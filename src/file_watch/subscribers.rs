//! The subscribers of the inotify thread: who hears of which event. Events that matter to a subscriber are collected until it
//! takes them.
//!
//! Leaves to others: inotify itself, and waiting (the parent module).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use tokio::sync::Notify;

use super::resolve::WatchSet;

/// With more changed paths than this, looking at everything is cheaper than remembering them.
const MAX_CHANGED_PATHS: usize = 10_000;

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
    folders: BTreeMap<PathBuf, Folder>,
}

#[derive(Debug, Default)]
struct Subscriber {
    watch_set: WatchSet,
    /// The folders that are watched for it.
    folders: BTreeSet<PathBuf>,
    collected: Collected,
    notify: Arc<Notify>,
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

/// What to do with inotify, in this order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Folders that no subscriber needs any more.
    pub(super) unwatch: Vec<PathBuf>,
    /// Folders to watch; `true`: an old folder of this path is still watched and must be given up first.
    pub(super) watch: Vec<(PathBuf, bool)>,
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
            let lost = |path: &PathBuf| self.folders.get(path).is_none_or(|folder| folder.lost);
            subscriber.watch_set == *watch_set && !subscriber.folders.iter().any(lost)
        })
    }

    /// From now on the subscriber watches exactly this.
    pub(super) fn set_watch_set(&mut self, id: u64, watch_set: &WatchSet) -> Plan {
        let mut plan = Plan::default();
        let Some(subscriber) = self.by_id.get_mut(&id) else { return plan };
        subscriber.watch_set = watch_set.clone();
        let wanted: BTreeSet<PathBuf> = watch_set.folders().cloned().collect();
        let mut before = std::mem::replace(&mut subscriber.folders, wanted.clone());
        for path in wanted {
            let folder = self.folders.entry(path.clone()).or_default();
            folder.subscribers += usize::from(!before.remove(&path));
            if folder.lost || folder.subscribers == 1 {
                plan.watch.push((path, std::mem::take(&mut folder.lost)));
            }
        }
        for path in before {
            if self.release(&path) {
                plan.unwatch.push(path);
            }
        }
        plan
    }

    /// A folder could not be watched. If others share it, they have lost it too.
    pub(super) fn watch_failed(&mut self, id: u64, path: &Path) {
        if self.by_id.get_mut(&id).is_some_and(|subscriber| subscriber.folders.remove(path)) {
            self.release(path);
        }
        if let Some(folder) = self.folders.get_mut(path) {
            folder.lost = true;
        }
    }

    /// One subscriber fewer for a folder; true when it was the last.
    fn release(&mut self, path: &Path) -> bool {
        let Some(folder) = self.folders.get_mut(path) else { return false };
        folder.subscribers -= 1;
        let last = folder.subscribers == 0;
        if last {
            self.folders.remove(path);
        }
        last
    }

    /// Whether no folder is watched.
    pub(super) fn no_folders(&self) -> bool {
        self.folders.is_empty()
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
            if change == Change::Gone {
                let below = self.folders.range_mut(path.clone()..);
                below.take_while(|(folder, _)| folder.starts_with(&path)).for_each(|(_, folder)| folder.lost = true);
            }
            for subscriber in self.by_id.values_mut() {
                subscriber.handle(change, &path);
            }
        }
    }
}

impl Subscriber {
    fn rescan(&mut self) {
        self.collected = Collected { everything: true, writes: self.collected.writes, ..Collected::default() };
        self.notify.notify_one();
    }

    fn handle(&mut self, change: Change, path: &Path) {
        let matters = self.watch_set.contains(path) || change == Change::Gone && self.watch_set.has_folder_within(path);
        if !matters || self.collected.everything {
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
mod tests {
    use notify::event::{DataChange, Flag};

    use super::*;

    const FOLDER: &str = "/nowhere";
    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const OPEN: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const MOVED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));

    fn folder_set(folder: &str) -> WatchSet {
        let mut watch_set = WatchSet::default();
        watch_set.add_folder(Path::new(folder));
        watch_set
    }

    fn subscriber() -> (Subscribers, u64) {
        let mut subscribers = Subscribers::default();
        let (id, _) = subscribers.subscribe();
        let plan = subscribers.set_watch_set(id, &folder_set(FOLDER));
        assert_eq!((plan.watch, plan.unwatch), (vec![(PathBuf::from(FOLDER), false)], vec![]));
        (subscribers, id)
    }

    fn handle(subscribers: &mut Subscribers, kind: EventKind, path: &str) {
        subscribers.handle_event(Ok(notify::Event::new(kind).add_path(PathBuf::from(path))));
    }

    fn paths<const N: usize>(paths: [&str; N]) -> Pending {
        Pending::Changes(Changes::Paths(paths.into_iter().map(PathBuf::from).collect()))
    }

    #[test]
    fn a_file_is_reported_when_it_is_closed_and_not_when_it_is_read() {
        let (mut subscribers, id) = subscriber();
        for (kind, path) in [(WRITE, "/nowhere/a"), (OPEN, "/nowhere/b"), (WRITE, "/nowhere/b"), (CLOSE, "/nowhere/b")]
        {
            handle(&mut subscribers, kind, path);
        }
        assert_eq!(subscribers.take(id), paths(["/nowhere/b"]));
        assert_eq!(subscribers.take(id), Pending::Writing(2));
        handle(&mut subscribers, CLOSE, "/nowhere/a");
        assert_eq!(subscribers.take(id), paths(["/nowhere/a"]));
        assert_eq!(subscribers.take(id), Pending::Nothing);
    }

    #[test]
    fn many_changes_of_a_file_are_one() {
        let (mut subscribers, id) = subscriber();
        for _ in 0..1000 {
            handle(&mut subscribers, CLOSE, "/nowhere/a");
            handle(&mut subscribers, CLOSE, "/nowhere/b");
            handle(&mut subscribers, CLOSE, "/elsewhere/c");
        }
        assert_eq!(subscribers.take(id), paths(["/nowhere/a", "/nowhere/b"]));
        assert_eq!(subscribers.take(id), Pending::Nothing);
    }

    #[test]
    fn after_a_lost_event_or_too_many_everything_may_have_changed() {
        let (mut subscribers, id) = subscriber();
        handle(&mut subscribers, CLOSE, "/nowhere/a");
        subscribers.handle_event(Ok(notify::Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        handle(&mut subscribers, CLOSE, "/nowhere/b");
        assert_eq!(subscribers.take(id), Pending::Changes(Changes::Everything));
        for number in 0..=MAX_CHANGED_PATHS {
            handle(&mut subscribers, CLOSE, &format!("/nowhere/{number}"));
        }
        assert_eq!(subscribers.take(id), Pending::Changes(Changes::Everything));
        assert_eq!(subscribers.take(id), Pending::Nothing);
    }

    #[test]
    fn a_folder_that_is_gone_is_watched_again() {
        let (mut subscribers, id) = subscriber();
        let below = folder_set("/nowhere/below");
        subscribers.set_watch_set(id, &below);
        assert!(subscribers.is_watching(id, &below));
        handle(&mut subscribers, MOVED, "/nowhere");
        assert_eq!(subscribers.take(id), paths(["/nowhere"]));
        assert!(!subscribers.is_watching(id, &below));
        assert_eq!(subscribers.set_watch_set(id, &below).watch, [(PathBuf::from("/nowhere/below"), true)]);
        assert!(subscribers.is_watching(id, &below));
    }

    #[test]
    fn a_shared_folder_is_given_up_with_its_last_subscriber() {
        let (mut subscribers, one) = subscriber();
        let (two, _) = subscribers.subscribe();
        assert!(subscribers.set_watch_set(two, &folder_set(FOLDER)).watch.is_empty());
        assert!(subscribers.set_watch_set(one, &WatchSet::default()).unwatch.is_empty());
        assert_eq!(subscribers.set_watch_set(two, &WatchSet::default()).unwatch, [PathBuf::from(FOLDER)]);
        assert!(subscribers.no_folders());
    }
}
