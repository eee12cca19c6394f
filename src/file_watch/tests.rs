//! Watching real files and folders.

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
    assert!(lock(&watcher.0.inotify).is_idle(), "while no folder is watched there is no thread");
}

/// A clock whose timers nobody may need.
struct NoTimers;

impl Clock for NoTimers {
    fn now(&self) -> Now {
        Still.now()
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        panic!("a timer")
    }

    fn sleep_until_wall(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        panic!("a timer")
    }
}

#[tokio::test]
async fn an_ordinary_file_system_needs_no_looks() {
    // On a tmpfs, whatever the machine has for temporary files.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let watcher = FileWatcher::new();
    let mut watch = watcher.subscribe().with_looks();
    watch.resolve(&dir.path().join("file"));
    assert_eq!((watch.watched(), watch.unreported()), (Watched::Events, None));
    watcher.look(Instant::default());
    assert_eq!(poll_immediate(watch.changed(&NoTimers)).await, None);
}

#[tokio::test]
async fn what_happens_in_a_folder_above_wakes_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("above/below")).unwrap();
    let watcher = FileWatcher::new();
    let mut watch = watcher.subscribe();
    watch.resolve(&root.join("above/below/file"));
    let mask = watched_events(&root.join("above")).unwrap();
    // IN_DELETE_SELF, IN_MOVE_SELF.
    assert_eq!(mask & 0xfff, 0x400 | 0x800);
    fs::rename(root.join("above"), root.join("away")).unwrap();
    watch.touched().await;
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

/// The events of a folder that the kernel reports to this process.
fn watched_events(folder: &Path) -> Option<u32> {
    // `inotify wd:1 ino:9e7e sdev:800013 mask:800afce …`, in hexadecimal (proc_pid_fdinfo(5)).
    let inode = format!("ino:{:x}", folder.metadata().unwrap().ino());
    let infos = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let infos: Vec<String> = infos.filter_map(|info| fs::read_to_string(info.path()).ok()).collect();
    let lines = infos.iter().flat_map(|info| info.lines()).filter(|line| line.starts_with("inotify "));
    let watched = lines.map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words.contains(&&*inode))?;
    let mask = watched.into_iter().find_map(|word| word.strip_prefix("mask:")).unwrap();
    Some(u32::from_str_radix(mask, 16).unwrap())
}

#[test]
fn the_kernel_does_not_report_reads() {
    const READS: u32 = 0x01 | 0x10 | 0x20; // IN_ACCESS, IN_CLOSE_NOWRITE, IN_OPEN
    let dir = tempfile::tempdir().unwrap();
    let mut watch = FileWatcher::new().subscribe();
    watch.resolve(&dir.path().canonicalize().unwrap().join("file"));
    assert_eq!(watched_events(dir.path()).unwrap() & READS, 0, "a read would wake the daemon");
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
