//! Waits for a file to appear or change, with inotify on its folder: the daemon's socket, the next lines of a log.

use std::ffi::{CStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The events that create or change a file in a folder, or remove the folder itself.
const WATCHED_EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Watches one folder at a time. Needs a Tokio runtime.
#[derive(Debug)]
pub(super) struct FolderWatch {
    inotify: AsyncFd<OwnedFd>,
    /// The awaited name in the folder; `None` means any name.
    name: Option<OsString>,
}

impl FolderWatch {
    /// A watch without a folder yet.
    pub(super) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(deprecated, reason = "its successor is unsafe; an `OwnedFd` does keep its descriptor open")]
        let inotify = AsyncFd::with_interest(inotify, Interest::READABLE)?;
        Ok(Self { inotify, name: None })
    }

    /// Watches all files in `folder`.
    pub(super) fn watch_all(&mut self, folder: &Path) -> io::Result<()> {
        self.name = None;
        Ok(inotify::add_watch(&self.inotify, folder, WATCHED_EVENTS | WatchFlags::ONLYDIR).map(drop)?)
    }

    /// Watches for `path`: in its folder or, while that is missing, in the nearest existing folder above it for the next part of
    /// the path. A caller that checks the path after this call and then waits misses nothing.
    pub(super) fn watch_for(&mut self, path: &Path) -> io::Result<()> {
        let path = std::path::absolute(path)?;
        let mut below = path.as_path();
        while let (Some(folder), Some(name)) = (below.parent(), below.file_name()) {
            match inotify::add_watch(&self.inotify, folder, WATCHED_EVENTS | WatchFlags::ONLYDIR) {
                Ok(_) => {
                    self.name = Some(name.to_owned());
                    return Ok(());
                }
                Err(Errno::NOENT | Errno::NOTDIR) => below = folder,
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Waits for the next awaited event. Dropping the wait loses nothing.
    pub(super) async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable().await?;
            let awaited = self.drain()?;
            ready.clear_ready();
            if awaited {
                return Ok(());
            }
        }
    }

    /// Takes all pending events, and returns whether any was awaited.
    fn drain(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut awaited = false;
        loop {
            match events.next() {
                // An event without a name is about the folder itself, or the kernel's queue overflowed.
                Ok(event) => awaited |= event.file_name().is_none_or(|name| self.is_awaited(name)),
                Err(Errno::WOULDBLOCK) => return Ok(awaited),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn is_awaited(&self, name: &CStr) -> bool {
        self.name.as_ref().is_none_or(|awaited| awaited.as_bytes() == name.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_file_is_awaited_through_folders_that_do_not_exist_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/presenced/presenced.sock");
        let mut watch = FolderWatch::new().unwrap();
        watch.watch_for(&path).unwrap();
        fs::write(dir.path().join("other"), "").unwrap();
        assert!(!watch.drain().unwrap(), "another file is not awaited");
        fs::create_dir(dir.path().join("run")).unwrap();
        watch.changed().await.unwrap();
        watch.watch_for(&path).unwrap();
        fs::create_dir(path.parent().unwrap()).unwrap();
        watch.changed().await.unwrap();
        watch.watch_for(&path).unwrap();
        fs::write(&path, "").unwrap();
        watch.changed().await.unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        watch.changed().await.unwrap();
        watch.watch_for(&path).unwrap();
        fs::create_dir(path.parent().unwrap()).unwrap();
        watch.changed().await.unwrap();
    }

    #[tokio::test]
    async fn all_files_of_a_folder_are_watched() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = FolderWatch::new().unwrap();
        watch.watch_all(dir.path()).unwrap();
        fs::write(dir.path().join("one"), "").unwrap();
        watch.changed().await.unwrap();
        assert!(watch.watch_all(&dir.path().join("gone")).is_err());
    }
}
