//! What survives a restart of a fleet: what is set for each user alone, and where the wheel is. Accounts use it in the same way.
//!
//! The file grows by a line for each change, so that a change costs the same however many users there are: the newest line of a
//! user counts. It is written anew at the start, and when it has grown by more than what it says. A line that a killed process has
//! not finished is left out. Who changes something is answered when it is on the disk, as in [`super::super::kept`].
//!
//! Leaves to others: what still holds after a restart (`presenced_core::kept`).

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::kept::{Kept, Life, Restored};
use crate::off_the_loop::{handed_over, off_the_loop};
use crate::regular_file;
use crate::tasks;
use crate::time::{Instant, Now};
use crate::whole_file;

use super::super::kept::{Form, Word};

/// How often the place of the wheel is written.
const SLOT_EVERY: Duration = Duration::from_secs(10);

/// A larger file is not read: 100,000 users have less.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How much the file may always grow before it is written anew.
const GROWTH: usize = 1024 * 1024;

/// More than this is not kept in memory while the disk is full.
const MAX_UNWRITTEN: usize = 16 * 1024 * 1024;

/// How long the start waits for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    User {
        user: String,
        #[serde(flatten)]
        form: Form,
    },
    Slot {
        slot: Timestamp,
    },
}

/// What a file said at the start.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Journaled {
    /// What still holds for each user, by id.
    pub(in crate::daemon) users: HashMap<String, Restored<Word>>,
    /// The earliest slot that was not done.
    pub(super) slot: Option<Timestamp>,
}

/// Reads the file at the start. What cannot be read is left out, and the log says so.
pub(in crate::daemon) fn read(path: &Path, life: &Life, now: &Now) -> Journaled {
    let there = path.to_owned();
    let read = handed_over(move || {
        let mut text = Vec::new();
        let file = regular_file::open_own(&there)?;
        regular_file::read_into(&file, MAX_BYTES, &mut text).map(|()| text)
    });
    let text = match read.recv_timeout(PATIENCE) {
        Ok(Ok(text)) => text,
        Ok(Err(unfit)) if unfit.is_missing() => return Journaled::default(),
        Ok(Err(unfit)) => return lost(path, &unfit.to_string()),
        Err(_) => return lost(path, "its file system does not answer"),
    };
    parse(&text, life, now)
}

fn lost(path: &Path, why: &str) -> Journaled {
    warn!("what was set for users is lost: {} cannot be read: {why}", path.display());
    Journaled::default()
}

fn parse(text: &[u8], life: &Life, now: &Now) -> Journaled {
    let mut journaled = Journaled::default();
    let mut kept: HashMap<String, Kept<Word>> = HashMap::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Slot { slot }) => journaled.slot = Some(slot),
            Ok(Line::User { user, form }) => {
                if let Ok(form) = form.read() {
                    kept.insert(user, form);
                }
            }
            Err(_) => {}
        }
    }
    journaled.users = kept.into_iter().map(|(user, kept)| (user, kept.restore(life, now))).collect();
    journaled.users.retain(|_, restored| restored.manual.is_some() || !restored.signals.is_empty());
    journaled
}

/// Writes the file.
#[derive(Debug)]
pub(in crate::daemon) struct Journal {
    /// `None`: no location is available for the file.
    orders: Option<mpsc::UnboundedSender<Order>>,
    /// Lines that are not ordered yet.
    pending: Vec<u8>,
    /// How many bytes were written when the file was last whole, and since then.
    whole: usize,
    grown: usize,
    slot_due: Instant,
    slot: Option<Timestamp>,
}

#[derive(Debug)]
struct Order {
    text: Vec<u8>,
    /// Whether it is the whole file.
    is_whole: bool,
    written: Option<oneshot::Sender<()>>,
}

impl Journal {
    /// Writes to the file at `path`; `None`: nothing is kept. Needs a running tokio runtime.
    pub(in crate::daemon) fn start(path: Option<PathBuf>) -> Self {
        let orders = path.map(|path| {
            let (orders, queue) = mpsc::unbounded_channel();
            tasks::spawn(write_all(path, queue));
            orders
        });
        Self { orders, pending: Vec::new(), whole: 0, grown: 0, slot_due: Instant::default(), slot: None }
    }

    /// Notes what is set for a user now. It is written at the next [`Journal::flush`].
    pub(in crate::daemon) fn note(&mut self, user: &str, kept: &Kept<Word>) {
        if self.orders.is_some() {
            push(&mut self.pending, &Line::User { user: user.to_owned(), form: Form::of(kept) });
        }
    }

    /// Writes what was noted. The receiver ends when that is on the disk, or cannot be written.
    pub(in crate::daemon) fn flush(&mut self) -> oneshot::Receiver<()> {
        let (written, done) = oneshot::channel();
        let text = std::mem::take(&mut self.pending);
        if !text.is_empty() {
            self.grown += text.len();
            self.order(Order { text, is_whole: false, written: Some(written) });
        }
        done
    }

    /// Whether it is time to write it anew.
    pub(in crate::daemon) fn is_long(&self) -> bool {
        self.grown > self.whole.max(GROWTH)
    }

    /// Writes it anew with what is set for these users.
    pub(in crate::daemon) fn replace<'a>(&mut self, users: impl Iterator<Item = (&'a str, Kept<Word>)>) {
        if self.orders.is_none() {
            return;
        }
        let mut text = Vec::new();
        for (user, kept) in users {
            push(&mut text, &Line::User { user: user.to_owned(), form: Form::of(&kept) });
        }
        if let Some(slot) = self.slot {
            push(&mut text, &Line::Slot { slot });
        }
        (self.whole, self.grown) = (text.len(), 0);
        self.pending.clear();
        self.order(Order { text, is_whole: true, written: None });
    }

    /// Writes the place of the wheel, if it is time.
    pub(super) fn keep_slot(&mut self, slot: Option<Timestamp>, now: &Now) {
        if self.slot_due > now.instant || slot == self.slot || self.orders.is_none() {
            return;
        }
        (self.slot_due, self.slot) = (now.instant + SLOT_EVERY, slot);
        if let Some(slot) = slot {
            let mut text = Vec::new();
            push(&mut text, &Line::Slot { slot });
            self.grown += text.len();
            self.order(Order { text, is_whole: false, written: None });
        }
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The task ends with this.
            let _ = orders.send(order);
        }
    }
}

fn push(text: &mut Vec<u8>, line: &Line) {
    serde_json::to_writer(&mut *text, line).expect("strings and times are JSON");
    text.push(b'\n');
}

/// Writes what is ordered, until nobody orders any more. Orders that wait are one write.
async fn write_all(path: PathBuf, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut failure = None;
    // What could not be written. It goes before what is ordered next.
    let mut unwritten = Order { text: Vec::new(), is_whole: false, written: None };
    // A killed process, or a full disk, may have left half a line.
    let mut may_end_in_half_a_line = true;
    while let Some(mut order) = orders.recv().await {
        let mut written: Vec<_> = order.written.take().into_iter().collect();
        while let Ok(Order { text, is_whole, written: next }) = orders.try_recv() {
            if is_whole {
                (order.text, order.is_whole) = (text, true);
            } else {
                order.text.extend(text);
            }
            written.extend(next);
        }
        if !order.is_whole {
            unwritten.text.append(&mut order.text);
            order = Order { text: unwritten.text, is_whole: unwritten.is_whole, written: None };
        }
        if may_end_in_half_a_line && !order.is_whole && order.text.first() != Some(&b'\n') {
            order.text.insert(0, b'\n');
        }
        let (there, is_durable) = (path.clone(), !written.is_empty());
        let (outcome, mut order) = off_the_loop(move || {
            let outcome = write(&there, &order.text, order.is_whole, is_durable);
            (outcome, order)
        })
        .await;
        may_end_in_half_a_line = outcome.is_err();
        if outcome.is_ok() || order.text.len() > MAX_UNWRITTEN {
            (order.text, order.is_whole) = (Vec::new(), false);
        }
        unwritten = order;
        let why = outcome.err().map(|error| error.to_string());
        if let Some(why) = why.as_ref().filter(|_| why != failure) {
            warn!("what is set for users does not survive a restart: {} cannot be written: {why}", path.display());
        }
        failure = why;
        drop(written);
    }
}

fn write(path: &Path, text: &[u8], is_whole: bool, is_durable: bool) -> io::Result<()> {
    if is_whole {
        if text.is_empty() {
            return whole_file::remove(path).map(drop);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(whole_file::folder_of(path))?;
        return whole_file::replace(path, text, whole_file::PRIVATE);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(whole_file::folder_of(path))?;
    let mut file = regular_file::open_or_create_to_append(path)?;
    file.write_all(text)?;
    if is_durable { file.sync_data() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::kept::Lasting;

    fn now() -> Now {
        Now { instant: Instant::from_origin(Duration::from_hours(1)), wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC }
    }

    fn life(boot: &str) -> Life {
        Life { boot: Some(boot.to_owned()), login: None }
    }

    fn kept(value: Option<&str>) -> Kept<Word> {
        let word = |value: &str| Lasting { value: Word { value: value.to_owned(), writer: None }, until: None };
        Kept {
            life: life("a"),
            instant: now().instant,
            wall: now().wall,
            manual: None,
            signals: value.map(|value| ("call".to_owned(), word(value))).into_iter().collect::<BTreeMap<_, _>>(),
        }
    }

    fn values(journaled: &Journaled) -> BTreeMap<&str, &str> {
        journaled.users.iter().map(|(user, set)| (user.as_str(), set.signals["call"].value.value.as_str())).collect()
    }

    #[tokio::test]
    async fn the_newest_line_of_a_user_counts_and_half_a_line_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept/a.jsonl");
        let mut journal = Journal::start(Some(path.clone()));
        journal.note("ada", &kept(Some("idle")));
        journal.note("ben", &kept(Some("in-call")));
        journal.flush().await.unwrap_err();
        journal.note("ada", &kept(Some("conference")));
        journal.note("cleo", &kept(Some("in-call")));
        journal.note("cleo", &kept(None));
        journal.keep_slot(Some(Timestamp::UNIX_EPOCH), &now());
        // Nothing is noted meanwhile, so this ends after the slot, too.
        journal.flush().await.unwrap_err();
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&text[..], b"{\"user\": \"ben\", \"vers"].concat()).unwrap();
        let journaled = read(&path, &life("a"), &now());
        assert_eq!(values(&journaled), BTreeMap::from([("ada", "conference"), ("ben", "in-call")]));
        assert_eq!(journaled.slot, Some(Timestamp::UNIX_EPOCH));
        // Signals end with the boot.
        assert!(read(&path, &life("b"), &now()).users.is_empty());
    }

    #[tokio::test]
    async fn a_file_that_has_grown_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut journal = Journal::start(Some(path.clone()));
        while !journal.is_long() {
            journal.note("ada", &kept(Some("idle")));
            journal.flush().await.unwrap_err();
        }
        journal.replace([("ada", kept(Some("in-call")))].into_iter());
        journal.note("ben", &kept(Some("idle")));
        journal.flush().await.unwrap_err();
        assert!(!journal.is_long() && path.metadata().unwrap().len() < 1000);
        assert_eq!(values(&read(&path, &life("a"), &now())), BTreeMap::from([("ada", "in-call"), ("ben", "idle")]));
    }
}
