//! What the inotify thread tells to whom: the events that matter to each signal, gathered until the signal asks.
//!
//! Leaves to others: inotify itself, and waiting (`watch`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use tokio::sync::Notify;

use super::resolve::Interests;

/// With more changed paths than this, looking at everything is cheaper than remembering them.
const MAX_PATHS: usize = 10_000;

/// What changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// What is at these real paths.
    Paths(BTreeSet<PathBuf>),
    /// Perhaps everything: the first look, a lost event, too many changes.
    Everything,
}

/// All listeners, and the folders that are watched for them.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    next_id: u64,
    listeners: BTreeMap<u64, Listener>,
    folders: BTreeMap<PathBuf, Folder>,
}

#[derive(Debug, Default)]
struct Listener {
    interests: Interests,
    /// The folders that are watched for it.
    held: BTreeSet<PathBuf>,
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

/// What there is for a listener.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing yet.
    Nothing,
    /// Files are being written; how many writes there were so far.
    Writing(u64),
    /// These changes are complete.
    Changes(Changes),
}

/// What is to be done with inotify, in this order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Folders that nobody holds any more.
    pub(crate) give_up: Vec<PathBuf>,
    /// Folders to watch; `true`: an old folder of this path is still watched and to be given up first.
    pub(crate) take: Vec<(PathBuf, bool)>,
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
    /// A new listener's number, and the bell that rings when there is something for it.
    pub(crate) fn join(&mut self) -> (u64, Arc<Notify>) {
        let id = self.next_id;
        self.next_id += 1;
        let listener = self.listeners.entry(id).or_default();
        (id, listener.bell.clone())
    }

    /// A listener is gone; it holds no folders any more.
    pub(crate) fn leave(&mut self, id: u64) {
        self.listeners.remove(&id);
    }

    /// Whether these changes, and no others, matter to the listener already, and none of its folders was lost since.
    pub(crate) fn is_watching(&self, id: u64, interests: &Interests) -> bool {
        self.listeners.get(&id).is_some_and(|listener| {
            let lost = |path: &PathBuf| self.folders.get(path).is_none_or(|folder| folder.lost);
            listener.interests == *interests && !listener.held.iter().any(lost)
        })
    }

    /// From now on these changes matter to the listener.
    pub(crate) fn want(&mut self, id: u64, interests: &Interests) -> Plan {
        let mut plan = Plan::default();
        let Some(listener) = self.listeners.get_mut(&id) else { return plan };
        listener.interests = interests.clone();
        let wanted: BTreeSet<PathBuf> = interests.folders().cloned().collect();
        let mut held = std::mem::replace(&mut listener.held, wanted.clone());
        for path in wanted {
            let folder = self.folders.entry(path.clone()).or_default();
            folder.holders += usize::from(!held.remove(&path));
            if folder.lost || folder.holders == 1 {
                plan.take.push((path, std::mem::take(&mut folder.lost)));
            }
        }
        for path in held {
            if self.release(&path) {
                plan.give_up.push(path);
            }
        }
        plan
    }

    /// A folder could not be watched. Should others hold it, it is lost to them too.
    pub(crate) fn failed(&mut self, id: u64, path: &Path) {
        if self.listeners.get_mut(&id).is_some_and(|listener| listener.held.remove(path)) {
            self.release(path);
        }
        if let Some(folder) = self.folders.get_mut(path) {
            folder.lost = true;
        }
    }

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

    /// Whether nobody holds a folder.
    pub(crate) fn is_idle(&self) -> bool {
        self.folders.is_empty()
    }

    /// Everything may have changed for the listener.
    pub(crate) fn rescan(&mut self, id: u64) {
        self.listeners.get_mut(&id).into_iter().for_each(Listener::rescan);
    }

    /// Takes what there is for the listener.
    pub(crate) fn take(&mut self, id: u64) -> Heard {
        let Some(Listener { pending, .. }) = self.listeners.get_mut(&id) else { return Heard::Nothing };
        if std::mem::take(&mut pending.everything) {
            Heard::Changes(Changes::Everything)
        } else if !pending.changed.is_empty() {
            Heard::Changes(Changes::Paths(std::mem::take(&mut pending.changed)))
        } else if pending.writing.is_empty() {
            Heard::Nothing
        } else {
            Heard::Writing(pending.writes)
        }
    }

    /// What is being written counts as changed.
    pub(crate) fn wait_no_longer(&mut self, id: u64) {
        if let Some(Listener { pending, .. }) = self.listeners.get_mut(&id) {
            pending.changed.append(&mut pending.writing);
        }
    }

    /// Takes in one event, on the inotify thread.
    pub(crate) fn hear(&mut self, event: notify::Result<notify::Event>) {
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

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, Flag};

    use super::*;

    const FOLDER: &str = "/nowhere";
    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const OPEN: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const MOVED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));

    fn listing(folder: &str) -> Interests {
        let mut interests = Interests::default();
        interests.all(Path::new(folder));
        interests
    }

    fn listener() -> (Audience, u64) {
        let mut audience = Audience::default();
        let (id, _) = audience.join();
        let plan = audience.want(id, &listing(FOLDER));
        assert_eq!((plan.take, plan.give_up), (vec![(PathBuf::from(FOLDER), false)], vec![]));
        (audience, id)
    }

    fn hear(audience: &mut Audience, kind: EventKind, path: &str) {
        audience.hear(Ok(notify::Event::new(kind).add_path(PathBuf::from(path))));
    }

    fn paths<const N: usize>(paths: [&str; N]) -> Heard {
        Heard::Changes(Changes::Paths(paths.into_iter().map(PathBuf::from).collect()))
    }

    #[test]
    fn a_file_is_reported_when_it_is_closed_and_never_for_being_read() {
        let (mut audience, id) = listener();
        for (kind, path) in [(WRITE, "/nowhere/a"), (OPEN, "/nowhere/b"), (WRITE, "/nowhere/b"), (CLOSE, "/nowhere/b")]
        {
            hear(&mut audience, kind, path);
        }
        assert_eq!(audience.take(id), paths(["/nowhere/b"]));
        assert_eq!(audience.take(id), Heard::Writing(2));
        hear(&mut audience, CLOSE, "/nowhere/a");
        assert_eq!(audience.take(id), paths(["/nowhere/a"]));
        assert_eq!(audience.take(id), Heard::Nothing);
    }

    #[test]
    fn a_burst_is_one_change() {
        let (mut audience, id) = listener();
        for _ in 0..1000 {
            hear(&mut audience, CLOSE, "/nowhere/a");
            hear(&mut audience, CLOSE, "/nowhere/b");
            hear(&mut audience, CLOSE, "/elsewhere/c");
        }
        assert_eq!(audience.take(id), paths(["/nowhere/a", "/nowhere/b"]));
        assert_eq!(audience.take(id), Heard::Nothing);
    }

    #[test]
    fn a_lost_event_or_too_many_mean_that_everything_may_have_changed() {
        let (mut audience, id) = listener();
        hear(&mut audience, CLOSE, "/nowhere/a");
        audience.hear(Ok(notify::Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        hear(&mut audience, CLOSE, "/nowhere/b");
        assert_eq!(audience.take(id), Heard::Changes(Changes::Everything));
        for number in 0..=MAX_PATHS {
            hear(&mut audience, CLOSE, &format!("/nowhere/{number}"));
        }
        assert_eq!(audience.take(id), Heard::Changes(Changes::Everything));
        assert_eq!(audience.take(id), Heard::Nothing);
    }

    #[test]
    fn a_folder_that_is_gone_is_watched_anew() {
        let (mut audience, id) = listener();
        let below = listing("/nowhere/below");
        audience.want(id, &below);
        assert!(audience.is_watching(id, &below));
        hear(&mut audience, MOVED, "/nowhere");
        assert_eq!(audience.take(id), paths(["/nowhere"]));
        assert!(!audience.is_watching(id, &below));
        assert_eq!(audience.want(id, &below).take, [(PathBuf::from("/nowhere/below"), true)]);
        assert!(audience.is_watching(id, &below));
    }

    #[test]
    fn a_folder_of_two_is_given_up_with_the_second() {
        let (mut audience, one) = listener();
        let (two, _) = audience.join();
        assert!(audience.want(two, &listing(FOLDER)).take.is_empty());
        assert!(audience.want(one, &Interests::default()).give_up.is_empty());
        assert_eq!(audience.want(two, &Interests::default()).give_up, [PathBuf::from(FOLDER)]);
        assert!(audience.is_idle());
    }
}
