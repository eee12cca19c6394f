//! The feed: what has changed for users, one line for each, for everybody who watches.
//!
//! All watchers share the lines, and only the newest are kept. A watcher that reads slowly misses the others, and learns how many.
//! While nobody watches, no line is made.
//!
//! Leaves to others: whose line is due (`daemon/fleet`), and what else a watcher gets ([`super::routes`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::users::UserRow;

/// Lines are sent in pieces of about this size, and this many are kept: all lines of 12,000 users who change at once.
const PIECE_BYTES: usize = 16 * 1024;
const MAX_PIECES: usize = 512;

/// The most pieces that a watcher gets before it is looked again whether the report has changed.
const MAX_TAKEN: usize = 16;

/// A line of `GET /v1/watch` that is not a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchLine {
    /// This is new about a user.
    User(Box<UserRow>),
    /// A user is gone.
    Removed {
        /// The object id.
        user: String,
        /// The account that held the presence.
        account: String,
    },
    /// This many lines were left out, because the client read too slowly.
    Missed(u64),
}

impl WatchLine {
    /// The line itself, with its end.
    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).expect("its keys are strings") + "\n"
    }
}

/// The daemon's end.
#[derive(Clone, Debug)]
pub struct Feed {
    pieces: broadcast::Sender<Piece>,
    /// How many lines there were so far.
    lines: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Piece {
    text: Arc<str>,
    /// How many lines came before it, and how many it has.
    before: u64,
    lines: u64,
}

impl Default for Feed {
    fn default() -> Self {
        Self { pieces: broadcast::Sender::new(MAX_PIECES), lines: Arc::default() }
    }
}

impl Feed {
    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.pieces.receiver_count() > 0
    }

    /// Tells everybody who watches. If nobody does, `lines` is not even asked for its first one.
    pub fn tell(&self, lines: impl Iterator<Item = WatchLine>) {
        if !self.is_watched() {
            return;
        }
        let (mut text, mut count) = (String::new(), 0);
        for line in lines {
            text += &line.write();
            count += 1;
            if text.len() >= PIECE_BYTES {
                self.send(&std::mem::take(&mut text), std::mem::take(&mut count));
            }
        }
        if count > 0 {
            self.send(&text, count);
        }
    }

    fn send(&self, text: &str, lines: u64) {
        let before = self.lines.fetch_add(lines, Ordering::Relaxed);
        // The last watcher may have left meanwhile.
        let _ = self.pieces.send(Piece { text: text.into(), before, lines });
    }

    /// For one more watcher: everything from now on.
    pub(super) fn subscribe(&self) -> Subscription {
        let pieces = self.pieces.subscribe();
        Subscription { pieces, next: None, seen: self.lines.load(Ordering::Relaxed) }
    }
}

/// One watcher's end.
#[derive(Debug)]
pub(super) struct Subscription {
    pieces: broadcast::Receiver<Piece>,
    next: Option<Piece>,
    /// How many lines it has seen or missed.
    seen: u64,
}

impl Subscription {
    /// What is there, at most [`MAX_TAKEN`] pieces, and how many lines were missed before it.
    pub(super) fn take(&mut self) -> (u64, String) {
        let (mut missed, mut text) = (0, String::new());
        for _ in 0..MAX_TAKEN {
            let next = self.next.take().or_else(|| {
                loop {
                    match self.pieces.try_recv() {
                        Ok(piece) => break Some(piece),
                        Err(TryRecvError::Lagged(_)) => {}
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break None,
                    }
                }
            });
            let Some(piece) = next else { break };
            missed += piece.before.saturating_sub(self.seen);
            self.seen = piece.before + piece.lines;
            text += &piece.text;
        }
        (missed, text)
    }

    /// Waits until there is something to take. Nothing is lost when the wait is dropped.
    pub(super) async fn wait(&mut self) {
        while self.next.is_none() {
            match self.pieces.recv().await {
                Ok(piece) => self.next = Some(piece),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(numbers: impl Iterator<Item = usize>) -> impl Iterator<Item = WatchLine> {
        numbers.map(|number| WatchLine::Removed { user: format!("{number:0100}"), account: "agents".to_owned() })
    }

    #[tokio::test]
    async fn each_watcher_gets_the_lines_from_its_begin_on_and_is_told_how_many_it_missed() {
        let feed = Feed::default();
        feed.tell(std::iter::from_fn(|| panic!("nobody watches")));
        let mut one = feed.subscribe();
        feed.tell(removed(0..3));
        let mut other = feed.subscribe();
        feed.tell(removed(3..5));
        one.wait().await;
        let lines = |(missed, text): (u64, String)| (missed, text.lines().count());
        assert_eq!((lines(one.take()), lines(one.take()), lines(other.take())), ((0, 5), (0, 0), (0, 2)));

        // One reads all the time, and the other does not.
        let (mut read, mut told) = (0, 0);
        while told < 200_000 {
            feed.tell(removed(0..1000));
            told += 1000;
            loop {
                match lines(one.take()) {
                    (0, 0) => break,
                    (0, lines) => read += lines,
                    (missed, _) => panic!("it missed {missed}"),
                }
            }
        }
        assert_eq!(read, told);
        let (missed, mut kept) = other.take();
        while let (0, more) = other.take()
            && !more.is_empty()
        {
            kept += &more;
        }
        assert_eq!(missed + kept.lines().count() as u64, told as u64);
        assert!(kept.len() < MAX_PIECES * (PIECE_BYTES + 200), "{} bytes are kept", kept.len());
        drop((one, other));
        assert!(!feed.is_watched());
    }
}
