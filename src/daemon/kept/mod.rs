//! What was set through the socket survives a restart: it is read from a file before the first decision, and the file is written
//! again after each change.
//!
//! **What an answer means.** A command that changes something is answered when the file is on the disk. So whatever was answered
//! is still there after `kill -9` or a power failure, and whatever was unset does not come back. The decision does not wait for
//! the disk: it goes out first. If the disk takes longer than [`PATIENCE`], or nothing can be written, the command is answered
//! anyway, and the log says that a restart may lose the change.
//!
//! **When it writes.** Only after a change, on a thread of its own, one write at a time. Changes that arrive meanwhile become one
//! write. An end that passes is not a change: the reader leaves out what has ended. A start writes only if less holds than the file
//! says, or if the file is from another boot.
//!
//! Leaves to others: what still holds after a restart (`presenced_core::kept`), and the file's form (`file`).

mod file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::Environment;
use crate::kept::{Kept, Life, Restored};
use crate::off_the_loop::handed_over;
use crate::tasks;
use crate::time::Now;

pub(super) use file::Form;
use file::Problem;

/// The value of a signal that was set through the socket, and the program that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) value: String,
    pub(super) writer: Option<String>,
}

/// Takes the answer to a command.
pub(super) type Reply = oneshot::Sender<Result<(), String>>;

/// How long a command, or the daemon's end, waits for the disk. In real time, because a disk does not answer sooner when the
/// daemon's clock runs fast.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The boot and the login that this process belongs to.
pub(super) fn this_life(environment: &Environment) -> Life {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let folder = environment.runtime_dir.as_ref().and_then(|folder| folder.metadata().ok());
    Life {
        boot: boot.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()),
        // systemd removes the folder at the last logout, and makes it again at the next login.
        login: folder.and_then(|folder| folder.created().ok()).and_then(|made| Timestamp::try_from(made).ok()),
    }
}

/// Reads what still holds, at the start. A file that cannot be used is left as it is until the next change, and the log says why.
/// Needs a running tokio runtime.
pub(super) fn restore(path: &Path, life: &Life, now: &Now) -> Option<Restored<Word>> {
    let there = path.to_owned();
    let read = handed_over(move || file::read(&there)).recv_timeout(PATIENCE);
    match read.unwrap_or(Err(Problem::Late)) {
        Ok(kept) => {
            let restored = kept?.restore(life, now);
            if !restored.outdated.is_empty() {
                let names = restored.outdated.join(", ");
                tracing::info!("signals from before the last reboot or login are dropped: {names}");
            }
            Some(restored)
        }
        Err(problem) => {
            tracing::warn!(
                "what was set through the socket is lost: {} {problem}; the next `presenced set` or `presenced signal` \
                 replaces the file",
                path.display()
            );
            None
        }
    }
}

/// Keeps what is set in its file.
#[derive(Debug)]
pub(super) struct Keeper {
    /// `None`: no location is available for the file, or the daemon has stopped.
    orders: Option<mpsc::UnboundedSender<Order>>,
    task: Option<JoinHandle<()>>,
}

/// What to write, and who is answered afterwards.
#[derive(Debug)]
struct Order {
    kept: Kept<Word>,
    reply: Option<Reply>,
}

impl Keeper {
    /// Keeps it in the file at `path`; `None`: it is not kept. Needs a running tokio runtime.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        path.map_or(Self { orders: None, task: None }, |path| Self::writing(path, file::write))
    }

    fn writing(path: PathBuf, write: fn(&Path, &Kept<Word>) -> io::Result<()>) -> Self {
        let (orders, queue) = mpsc::unbounded_channel();
        let writer = Writer { path, write, on_disk: None, failure: None };
        Self { orders: Some(orders), task: Some(tasks::spawn(writer.run(queue))) }
    }

    /// Writes `kept`, then answers.
    pub(super) fn keep(&self, kept: Kept<Word>, reply: Option<Reply>) {
        let order = Order { kept, reply };
        let refused = match &self.orders {
            Some(orders) => orders.send(order).err().map(|unsent| unsent.0),
            None => Some(order),
        };
        if let Some(order) = refused {
            answer(order.reply);
        }
    }

    /// Finishes the last write, or gives up after a while.
    pub(super) async fn stop(&mut self) {
        self.orders = None;
        if let Some(task) = self.task.take()
            && tokio::time::timeout(PATIENCE, task).await.is_err()
        {
            tracing::warn!("the last change may be lost: the state folder does not answer");
        }
    }
}

/// Writes the file.
struct Writer {
    path: PathBuf,
    write: fn(&Path, &Kept<Word>) -> io::Result<()>,
    /// What the file says, if this process wrote it.
    on_disk: Option<Kept<Word>>,
    /// Why the last write failed.
    failure: Option<String>,
}

impl Writer {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut next = None;
        loop {
            let mut waiting = Vec::new();
            if next.is_none() {
                let Some(order) = orders.recv().await else { return };
                next = Some(order.kept);
                waiting.push(order.reply);
            }
            while let Ok(order) = orders.try_recv() {
                next = Some(order.kept);
                waiting.push(order.reply);
            }
            if let Some(kept) = next.take().filter(|kept| !self.is_on_disk(kept)) {
                next = self.write(kept, &mut waiting, &mut orders).await;
            }
            waiting.into_iter().for_each(answer);
        }
    }

    /// Whether the file says the same already, apart from when it was written.
    fn is_on_disk(&self, kept: &Kept<Word>) -> bool {
        self.on_disk.as_ref().is_some_and(|last| (&last.manual, &last.signals) == (&kept.manual, &kept.signals))
    }

    /// Writes the file. If the disk is slow, nobody waits for it any longer; then the newest change that arrives meanwhile is
    /// returned, to be written next.
    async fn write(
        &mut self,
        kept: Kept<Word>,
        waiting: &mut Vec<Option<Reply>>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Option<Kept<Word>> {
        let (write, path, text) = (self.write, self.path.clone(), kept.clone());
        // What follows from the change goes out first.
        tokio::task::yield_now().await;
        let mut write = tokio::task::spawn_blocking(move || write(&path, &text));
        let mut next = None;
        let ended = if let Ok(ended) = tokio::time::timeout(PATIENCE, &mut write).await {
            ended
        } else {
            tracing::warn!("{} is still being written; until then, a restart loses the change", self.path.display());
            waiting.drain(..).for_each(answer);
            loop {
                tokio::select! {
                    ended = &mut write => break ended,
                    Some(order) = orders.recv() => {
                        next = Some(order.kept);
                        answer(order.reply);
                    }
                }
            }
        };
        let failure =
            ended.map_err(|error| error.to_string()).and_then(|ended| ended.map_err(|error| error.to_string()));
        let failure = failure.err();
        self.on_disk = failure.is_none().then_some(kept);
        if let Some(why) = failure.as_ref().filter(|_| failure != self.failure) {
            tracing::warn!(
                "what is set through the socket does not survive a restart: {} cannot be written: {why}",
                self.path.display()
            );
        }
        self.failure = failure;
        next
    }
}

/// The change is in force, so the answer is good. A client that has left does not need it.
fn answer(reply: Option<Reply>) {
    if let Some(reply) = reply {
        let _ = reply.send(Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use rustix::fs::{FlockOperation, flock};

    use super::*;
    use crate::kept::Lasting;
    use crate::time::Instant;

    fn kept(value: &str) -> Kept<Word> {
        let word = Word { value: value.to_owned(), writer: None };
        Kept {
            life: Life { boot: Some("a".to_owned()), login: None },
            instant: Instant::default(),
            wall: Timestamp::UNIX_EPOCH,
            manual: None,
            signals: BTreeMap::from([("focus".to_owned(), Lasting { value: word, until: None })]),
        }
    }

    fn value(path: &Path) -> Option<String> {
        Some(file::read(path).unwrap()?.signals.remove("focus")?.value.value)
    }

    #[tokio::test]
    async fn an_answer_means_that_it_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept/a.json");
        let keeper = Keeper::new(Some(path.clone()));
        for word in ["one", "two"] {
            let (reply, answered) = oneshot::channel();
            keeper.keep(kept(word), Some(reply));
            assert_eq!(answered.await.unwrap(), Ok(()));
            assert_eq!(value(&path).as_deref(), Some(word));
        }
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let (reply, answered) = oneshot::channel();
        keeper.keep(Kept { signals: BTreeMap::new(), ..kept("") }, Some(reply));
        answered.await.unwrap().unwrap();
        assert!(!path.exists(), "nothing is set");
    }

    #[tokio::test]
    async fn a_burst_is_one_write_and_the_newest_change_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let mut keeper = Keeper::new(Some(path.clone()));
        let answers: Vec<_> = (0..100)
            .map(|number| {
                let (reply, answered) = oneshot::channel();
                keeper.keep(kept(&number.to_string()), Some(reply));
                answered
            })
            .collect();
        // The task has not run yet, so all of them are in its queue.
        keeper.stop().await;
        for answered in answers {
            answered.await.unwrap().unwrap();
        }
        assert_eq!(value(&path).as_deref(), Some("99"));
    }

    #[tokio::test]
    async fn the_same_again_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let keeper = Keeper::new(Some(path.clone()));
        let keep = async |word: &str| {
            let (reply, answered) = oneshot::channel();
            keeper.keep(kept(word), Some(reply));
            answered.await.unwrap().unwrap();
        };
        keep("one").await;
        std::fs::remove_file(&path).unwrap();
        keep("one").await;
        assert!(!path.exists());
        keep("two").await;
        assert_eq!(value(&path).as_deref(), Some("two"));
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_slow_disk_and_the_newest_change_is_written_when_it_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        // The disk does not answer while this is locked.
        let answers = std::fs::File::create(folder.path().join("a.lock")).unwrap();
        flock(&answers, FlockOperation::LockExclusive).unwrap();
        let mut keeper = Keeper::writing(path.clone(), |path, kept| {
            flock(std::fs::File::open(path.with_extension("lock"))?, FlockOperation::LockExclusive)?;
            file::write(path, kept)
        });
        for word in ["one", "two", "three"] {
            let (reply, answered) = oneshot::channel();
            keeper.keep(kept(word), Some(reply));
            assert_eq!(answered.await.unwrap(), Ok(()));
        }
        assert_eq!(value(&path), None);
        drop(answers);
        keeper.stop().await;
        assert_eq!(value(&path).as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn without_a_place_to_write_to_commands_are_still_answered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        for path in [None, Some(folder.path().join("file/kept/a.json"))] {
            let keeper = Keeper::new(path);
            let (reply, answered) = oneshot::channel();
            keeper.keep(kept("one"), Some(reply));
            assert_eq!(answered.await.unwrap(), Ok(()));
        }
    }

    #[test]
    fn a_process_knows_its_boot_and_its_login() {
        let folder = tempfile::tempdir().unwrap();
        let environment =
            Environment { runtime_dir: Some(folder.path().to_owned()), ..Environment::bare(folder.path()) };
        let life = this_life(&environment);
        assert_eq!(life, this_life(&environment));
        assert!(life.boot.is_some());
        assert_eq!(this_life(&Environment::bare(folder.path())).login, None);
    }
}
