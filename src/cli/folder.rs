//! Waiting for something to come, by inotify on the folder that it comes in: a daemon's socket, the next lines of a log.

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

/// What may bring or change a file of a folder, or take the folder itself away.
const MATTERS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// A watch of one folder at a time. Needs a Tokio runtime.
#[derive(Debug)]
pub(super) struct FolderWatch {
    inotify: AsyncFd<OwnedFd>,
    /// The one name in the folder that matters; `None`: all of them do.
    name: Option<OsString>,
}

impl FolderWatch {
    /// Watches nothing yet.
    pub(super) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(deprecated, reason = "its successor is unsafe; an `OwnedFd` does keep its descriptor open")]
        let inotify = AsyncFd::with_interest(inotify, Interest::READABLE)?;
        Ok(Self { inotify, name: None })
    }

    /// Watches for all that happens to the files in `folder`.
    pub(super) fn watch_all(&mut self, folder: &Path) -> io::Result<()> {
        self.name = None;
        Ok(inotify::add_watch(&self.inotify, folder, MATTERS | WatchFlags::ONLYDIR).map(drop)?)
    }

    /// Watches for `path`: in its folder, or, as long as that is missing, in the nearest one above it for the next part of the
    /// way. Whoever looks after this call and then waits misses nothing.
    pub(super) fn watch_for(&mut self, path: &Path) -> io::Result<()> {
        let path = std::path::absolute(path)?;
        let mut below = path.as_path();
        while let (Some(folder), Some(name)) = (below.parent(), below.file_name()) {
            match inotify::add_watch(&self.inotify, folder, MATTERS | WatchFlags::ONLYDIR) {
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

    /// Waits for the next thing that matters. Nothing is lost when the wait is dropped.
    pub(super) async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable().await?;
            let matters = self.drain()?;
            ready.clear_ready();
            if matters {
                return Ok(());
            }
        }
    }

    /// Takes all that has happened, and says whether something of it matters.
    fn drain(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut matters = false;
        loop {
            match events.next() {
                // Without a name it is about the folder itself, or the kernel has lost count.
                Ok(event) => matters |= event.file_name().is_none_or(|name| self.is_awaited(name)),
                Err(Errno::WOULDBLOCK) => return Ok(matters),
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
    async fn a_file_is_awaited_over_folders_that_are_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/presenced/presenced.sock");
        let mut watch = FolderWatch::new().unwrap();
        watch.watch_for(&path).unwrap();
        fs::write(dir.path().join("other"), "").unwrap();
        assert!(!watch.drain().unwrap(), "another file does not matter");
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
    async fn all_files_of_a_folder_are_heard() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = FolderWatch::new().unwrap();
        watch.watch_all(dir.path()).unwrap();
        fs::write(dir.path().join("one"), "").unwrap();
        watch.changed().await.unwrap();
        assert!(watch.watch_all(&dir.path().join("gone")).is_err());
    }
}
