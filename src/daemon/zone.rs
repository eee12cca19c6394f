//! The moment when the system's time zone changes: the file that names it (`/etc/localtime`) is replaced then.
//!
//! Leaves to others: what the zone is (jiff), watching the file (`file_watch`), and what follows from a change.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tokio::sync::{Mutex, watch};

use crate::file_watch::resolve::WatchSet;
use crate::file_watch::{FileWatch, FileWatcher};

/// The file that names the zone when the environment does not.
const LOCALTIME: &str = "/etc/localtime";

/// Reports changes of the system's time zone.
#[derive(Debug, Default)]
pub(super) struct ZoneWatch {
    /// The file that names the zone; `None`: nothing changes the zone.
    localtime: Option<PathBuf>,
    file_watcher: FileWatcher,
    /// Watches that file, from the first wait on. The wait that holds the lock reports a change to the others.
    file: OnceLock<Mutex<FileWatch>>,
    changes: watch::Sender<()>,
}

impl ZoneWatch {
    /// Follows the file that the environment variable `TZ` names in its form `:/path`, otherwise the system's; none when `TZ`
    /// names the zone itself. Source: POSIX.1-2024, Base Definitions, 8.3, "TZ".
    pub(super) fn new(tz: Option<&str>, file_watcher: FileWatcher) -> Self {
        let localtime = match tz {
            None => Some(PathBuf::from(LOCALTIME)),
            Some(tz) => Some(PathBuf::from(tz.strip_prefix(':').unwrap_or(tz))).filter(|path| path.is_absolute()),
        };
        Self { localtime, file_watcher, ..Self::default() }
    }

    /// Waits for a change from now on: from the call, not from the first poll. After it the zone is read again.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        let mut changes = self.changes.subscribe();
        async move {
            let Some(localtime) = &self.localtime else { return std::future::pending().await };
            let file = self.file.get_or_init(|| Mutex::new(watch_file(&self.file_watcher, localtime)));
            let replaced = async {
                let mut file = file.lock().await;
                file.touched().await;
                // Its folder may have been replaced too.
                watch_again(&mut file, localtime);
            };
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = replaced => {
                    jiff::tz::reset_system_time_zone_cache();
                    self.changes.send_replace(());
                }
            }
        }
    }
}

fn watch_file(file_watcher: &FileWatcher, path: &Path) -> FileWatch {
    let mut watch = file_watcher.subscribe();
    watch_again(&mut watch, path);
    if let Some(failure) = watch.failures().first() {
        tracing::debug!(reason = failure.reason, "a change of the time zone will be noticed late");
    }
    watch
}

/// Watches the file itself, and not what it links to: that does not change.
fn watch_again(watch: &mut FileWatch, path: &Path) {
    watch.scan(|| {
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        let mut watch_set = WatchSet::default();
        if let (Some(folder), Some(name)) = (folder, path.file_name()) {
            watch_set.add_path(&folder.join(name));
        }
        (watch_set, ())
    });
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use futures_util::future::poll_immediate;

    use super::*;

    #[tokio::test]
    async fn a_replaced_file_is_noticed_by_all_waits() {
        let dir = tempfile::tempdir().unwrap();
        let localtime = dir.path().join("localtime");
        symlink("/usr/share/zoneinfo/Europe/Berlin", &localtime).unwrap();
        let zone = ZoneWatch::new(Some(&format!(":{}", localtime.display())), FileWatcher::new());
        let (mut one, mut two) = (std::pin::pin!(zone.changed()), std::pin::pin!(zone.changed()));
        assert_eq!(poll_immediate(&mut one).await, None);
        assert_eq!(poll_immediate(&mut two).await, None);
        symlink("/usr/share/zoneinfo/Asia/Tokyo", dir.path().join("new")).unwrap();
        fs::rename(dir.path().join("new"), &localtime).unwrap();
        one.await;
        two.await;
        let mut fresh = std::pin::pin!(zone.changed());
        assert_eq!(poll_immediate(&mut fresh).await, None);
        fs::remove_file(&localtime).unwrap();
        fresh.await;
    }

    #[tokio::test]
    async fn other_files_and_reads_do_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let localtime = dir.path().join("localtime");
        fs::write(&localtime, "").unwrap();
        let mut file = watch_file(&FileWatcher::new(), &localtime);
        fs::write(dir.path().join("resolv.conf"), "").unwrap();
        fs::read(&localtime).unwrap();
        let mut marker = FileWatcher::new().subscribe();
        let path = dir.path().canonicalize().unwrap().join("marker");
        marker.resolve(&path);
        fs::write(&path, "").unwrap();
        marker.touched().await;
        assert_eq!(poll_immediate(file.touched()).await, None);
    }

    #[test]
    fn the_environment_says_which_file_counts() {
        let of = |tz| ZoneWatch::new(tz, FileWatcher::new());
        assert_eq!(of(None).localtime.as_deref(), Some(Path::new(LOCALTIME)));
        assert_eq!(of(Some(":/run/zone")).localtime.as_deref(), Some(Path::new("/run/zone")));
        assert_eq!(of(Some("Europe/Berlin")).localtime, None);
    }
}
