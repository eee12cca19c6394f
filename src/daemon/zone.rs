//! The moment the system's time zone changes: the file that names it (`/etc/localtime`) is replaced then.
//!
//! Watched through its folder with a mask that leaves reading out: `/etc` is read all day, and every reader would wake the
//! daemon. That is why the signals' own watching, which sees more, is not used. Leaves to others: what the zone is (jiff),
//! and what follows from a change.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// The file that names the zone when the environment does not.
const LOCALTIME: &str = "/etc/localtime";

/// Tells when the system's time zone has changed.
#[derive(Debug, Default)]
pub(super) struct ZoneWatch {
    /// The file that names the zone; `None`: nothing changes it.
    localtime: Option<PathBuf>,
    /// Its folder, watched from the first wait on; `None`: it cannot be.
    folder: OnceLock<Option<AsyncFd<OwnedFd>>>,
    changes: watch::Sender<()>,
}

impl ZoneWatch {
    /// Follows the file that the environment variable `TZ` names in its form `:/path`, else the system's; none when `TZ`
    /// names the zone itself. Source: POSIX.1-2024, Base Definitions, 8.3, "TZ".
    pub(super) fn new(tz: Option<&str>) -> Self {
        let localtime = match tz {
            None => Some(PathBuf::from(LOCALTIME)),
            Some(tz) => Some(PathBuf::from(tz.strip_prefix(':').unwrap_or(tz))).filter(|path| path.is_absolute()),
        };
        Self { localtime, ..Self::default() }
    }

    /// Waits for a change from now on: from the call, not from the first poll. After it the zone is read anew.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        let mut changes = self.changes.subscribe();
        async move {
            let watched = self.localtime.as_deref().and_then(|localtime| Some((localtime, self.folder(localtime)?)));
            let Some((localtime, folder)) = watched else { return std::future::pending().await };
            loop {
                tokio::select! {
                    _ = changes.changed() => return,
                    ready = folder.readable() => {
                        // Fails when the runtime ends, and everything with it.
                        let Ok(mut ready) = ready else { return std::future::pending().await };
                        if has_changed(localtime, folder.get_ref()) {
                            jiff::tz::reset_system_time_zone_cache();
                            self.changes.send_replace(());
                        }
                        ready.clear_ready();
                    }
                }
            }
        }
    }

    fn folder(&self, localtime: &Path) -> Option<&AsyncFd<OwnedFd>> {
        let watch = || {
            watch_folder(localtime.parent()?)
                .inspect_err(|error| tracing::debug!(%error, "a change of the time zone is noticed late"))
                .ok()
        };
        self.folder.get_or_init(watch).as_ref()
    }
}

fn watch_folder(folder: &Path) -> std::io::Result<AsyncFd<OwnedFd>> {
    let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let mask = WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ONLYDIR;
    inotify::add_watch(&inotify, folder, mask)?;
    #[expect(deprecated, reason = "its successor is unsafe; an `OwnedFd` does keep its descriptor open")]
    AsyncFd::with_interest(inotify, Interest::READABLE)
}

/// Takes all events, and says whether one of them is of the file, or some were lost.
fn has_changed(localtime: &Path, inotify: &OwnedFd) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(inotify, &mut buffer);
    let mut changed = false;
    while let Ok(event) = events.next() {
        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
        changed |= name == localtime.file_name() || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
    }
    changed
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use futures_util::future::poll_immediate;

    use super::*;

    #[tokio::test]
    async fn a_replaced_file_is_heard_of_by_all_and_others_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let localtime = dir.path().join("localtime");
        symlink("/usr/share/zoneinfo/Europe/Berlin", &localtime).unwrap();
        let zone = ZoneWatch::new(Some(&format!(":{}", localtime.display())));
        let (mut one, mut two) = (std::pin::pin!(zone.changed()), std::pin::pin!(zone.changed()));
        assert_eq!(poll_immediate(&mut one).await, None);
        assert_eq!(poll_immediate(&mut two).await, None);
        // What another file's change causes is over when the events behind it are there.
        fs::write(dir.path().join("resolv.conf"), "").unwrap();
        fs::read(&localtime).ok();
        assert!(!has_changed(&localtime, zone.folder(&localtime).unwrap().get_ref()));
        symlink("/usr/share/zoneinfo/Asia/Tokyo", dir.path().join("new")).unwrap();
        fs::rename(dir.path().join("new"), &localtime).unwrap();
        one.await;
        two.await;
        let mut fresh = std::pin::pin!(zone.changed());
        assert_eq!(poll_immediate(&mut fresh).await, None);
        fs::remove_file(&localtime).unwrap();
        fresh.await;
    }

    #[test]
    fn the_environment_says_which_file_counts() {
        assert_eq!(ZoneWatch::new(None).localtime.as_deref(), Some(Path::new(LOCALTIME)));
        assert_eq!(ZoneWatch::new(Some(":/run/zone")).localtime.as_deref(), Some(Path::new("/run/zone")));
        assert_eq!(ZoneWatch::new(Some("Europe/Berlin")).localtime, None);
    }
}
