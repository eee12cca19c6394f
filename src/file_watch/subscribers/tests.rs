//! Who hears of which event.

use notify::event::{DataChange, Flag, RemoveKind};

use super::*;

const FOLDER: &str = "/nowhere";
const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
const OPEN: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
const MOVED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));

fn inside(folder: &str) -> WatchedFolder {
    (Extent::Inside, PathBuf::from(folder))
}

fn folder_set(folder: &str) -> WatchSet {
    let mut watch_set = WatchSet::default();
    watch_set.add_folder(Path::new(folder));
    watch_set
}

fn subscriber() -> (Subscribers, u64) {
    let mut subscribers = Subscribers::default();
    let (id, _) = subscribers.subscribe();
    let plan = subscribers.set_watch_set(id, &folder_set(FOLDER));
    assert_eq!((plan.watch, plan.unwatch), (vec![(inside(FOLDER), false)], vec![]));
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
    for (kind, path) in [(WRITE, "/nowhere/a"), (OPEN, "/nowhere/b"), (WRITE, "/nowhere/b"), (CLOSE, "/nowhere/b")] {
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
    assert_eq!(subscribers.set_watch_set(id, &below).watch, [(inside("/nowhere/below"), true)]);
    assert!(subscribers.is_watching(id, &below));
}

#[test]
fn a_folder_above_that_is_moved_takes_what_is_below_with_it() {
    let (mut subscribers, id) = subscriber();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    let mut watch_set = WatchSet::default();
    watch_set.resolve(&folder.join("file"));
    subscribers.set_watch_set(id, &watch_set);
    let above = folder.parent().unwrap().to_owned();
    handle(&mut subscribers, MOVED, above.to_str().unwrap());
    assert_eq!(subscribers.take(id), Pending::Changes(Changes::Paths([above].into())));
    assert!(!subscribers.is_watching(id, &watch_set));
    assert!(subscribers.set_watch_set(id, &watch_set).watch.iter().all(|(_, was_lost)| *was_lost));
    assert!(subscribers.is_watching(id, &watch_set));
    // All folders are deleted, and made again at once. Only the innermost is reported.
    handle(&mut subscribers, EventKind::Remove(RemoveKind::Folder), folder.to_str().unwrap());
    let again = subscribers.set_watch_set(id, &watch_set).watch;
    assert_eq!(again.len(), folder.ancestors().count() - 1, "{again:?}");
}

#[test]
fn looks_are_for_those_who_need_them_and_a_keepalive_of_each_account_is_one() {
    let (mut subscribers, id) = subscriber();
    let at = |seconds| Instant::from_origin(Duration::from_secs(seconds));
    subscribers.look(at(100));
    assert_eq!(subscribers.take(id), Pending::Nothing);
    subscribers.set_file_systems(id, FileSystems::Unreported);
    subscribers.look(at(110));
    assert_eq!(subscribers.take(id), Pending::Changes(Changes::Everything));
    subscribers.look(at(119));
    assert_eq!(subscribers.take(id), Pending::Nothing);
    subscribers.look(at(120));
    assert_eq!(subscribers.take(id), Pending::Changes(Changes::Everything));
}

#[test]
fn a_shared_folder_is_given_up_with_its_last_subscriber() {
    let (mut subscribers, one) = subscriber();
    let (two, _) = subscribers.subscribe();
    assert!(subscribers.set_watch_set(two, &folder_set(FOLDER)).watch.is_empty());
    assert!(subscribers.set_watch_set(one, &WatchSet::default()).unwatch.is_empty());
    assert_eq!(subscribers.set_watch_set(two, &WatchSet::default()).unwatch, [inside(FOLDER)]);
    assert!(subscribers.has_none(Extent::Inside));
}
