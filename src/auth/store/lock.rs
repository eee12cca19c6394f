//! A lock between processes: only one at a time reads, compares and writes a sign-in.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::off_the_loop::off_the_loop_in_time;
use crate::regular_file::Unfit;

/// A process that holds the lock longer than this is stuck: each step under the lock has a shorter time-out.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// Held until it is dropped, or the process ends in any way.
pub(super) struct Lock {
    _file: File,
}

/// Why it was not taken.
#[derive(Debug)]
pub(super) enum Untaken {
    /// The file cannot be locked.
    Unfit(Unfit),
    /// The file's system does not answer.
    Late,
    /// Another process keeps it locked.
    Held(io::Error),
}

impl Lock {
    /// Waits for the lock on the file at `path`, which `open` opens. Other holders in the same process count too.
    ///
    /// # Errors
    /// Also if that takes longer than a minute.
    pub(super) async fn take(
        path: &Path,
        open: impl FnOnce() -> Result<File, Unfit> + Send + 'static,
    ) -> Result<Self, Untaken> {
        let tried = move || {
            let file = open()?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok((file, true)),
                Err(Errno::WOULDBLOCK) => Ok((file, false)),
                Err(error) => Err(Unfit::Io(error.into())),
            }
        };
        let (file, is_taken) = off_the_loop_in_time(path, tried).await.ok_or(Untaken::Late)?.map_err(Untaken::Unfit)?;
        if is_taken {
            return Ok(Self { _file: file });
        }
        Self::wait_for(file).await.map_err(Untaken::Held)
    }

    async fn wait_for(file: File) -> io::Result<Self> {
        // A separate thread, not one of the runtime's: it may wait for a minute, and the runtime may have only one. If nobody
        // waits any more when the thread gets the lock, dropping the file releases it.
        let (sender, receiver) = oneshot::channel();
        thread::Builder::new().spawn(move || sender.send(wait(&file).map(|()| Self { _file: file })))?;
        match tokio::time::timeout(LOCK_TIMEOUT, receiver).await {
            Ok(Ok(taken)) => taken,
            Ok(Err(_)) => Err(io::Error::other("the thread that waits for it ended")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "another presenced keeps it locked")),
        }
    }
}

fn wait(file: &File) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            taken => return Ok(taken?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_has_it_and_the_next_gets_it_when_it_is_dropped() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lock");
        let open = || {
            let path = path.clone();
            move || Ok(File::create(path)?)
        };
        let inside = AtomicU32::new(0);
        let first = Lock::take(&path, open()).await.unwrap();
        let others = futures_util::future::join_all((0..4).map(async |_| {
            let lock = Lock::take(&path, open()).await.unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
            drop(lock);
        }));
        let release = async {
            tokio::task::yield_now().await;
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            drop(first);
        };
        tokio::join!(others, release);
        // A waiter that gives up leaves nothing locked.
        let held = Lock::take(&path, open()).await.unwrap();
        assert!(futures_util::FutureExt::now_or_never(Lock::take(&path, open())).is_none());
        drop(held);
        drop(Lock::take(&path, open()).await.unwrap());
    }
}
