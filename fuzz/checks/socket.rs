//! What must hold for everything that a client may send to the status socket: each request gets an answer or ends the connection,
//! and only what follows the rules becomes a command. The fuzz target tries to break it; the normal tests replay the corpus.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use presenced::status::report::{Health, Report};
use presenced::status::users::{NotDone, UsersCommand};
use presenced::status::{Command, SignalName, SignalValue, rehearse};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longer input finds nothing new. A head may have 16 KiB, and whether one is longer depends on how it arrives.
const MAX_INPUT: usize = 8 * 1024;

/// The longest time for a signal or an override: 366 days.
const MAX_TTL: Duration = Duration::from_hours(366 * 24);

/// Every status that an answer may have.
const STATUSES: [&str; 13] =
    ["200", "204", "400", "404", "405", "408", "411", "413", "414", "415", "422", "431", "503"];

/// The bytes mean the same whether they arrive at once or in pieces, as far as they are understood.
pub(crate) fn conversation(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MAX_INPUT)];
    let (answers, commands) = converse(bytes, usize::MAX);
    for status in statuses(&answers) {
        assert!(STATUSES.contains(&status.as_str()), "{status}");
    }
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answers));
    let (trickled_answers, trickled) = converse(bytes, 3);
    // A body that nobody reads ends the connection, unless it is there already; then what follows it counts too. And what arrives in
    // pieces is judged when a head is complete, which it may never be.
    agree(&commands, &trickled);
    agree(&statuses(&answers), &statuses(&trickled_answers));
}

/// One is the beginning of the other.
fn agree(one: &[String], other: &[String]) {
    assert!(one.starts_with(other) || other.starts_with(one), "{one:?} {other:?}");
}

/// The statuses of the answers. A path in the text of an answer has no space, so it is not taken for a status.
fn statuses(answers: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answers);
    let heads = text.split("HTTP/1.").skip(1).filter_map(|head| head.get(2..5));
    let statuses = heads.filter(|status| status.bytes().all(|byte| byte.is_ascii_digit()));
    // Whether a client is asked for the rest of a body depends on how much there is already.
    statuses.filter(|status| *status != "100").map(str::to_owned).collect()
}

/// The answers to these bytes, and the commands that became of them.
fn converse(bytes: &[u8], piece: usize) -> (Vec<u8>, Vec<String>) {
    let written = Arc::default();
    let tape = Tape { unread: bytes.to_vec(), piece, written: Arc::clone(&written) };
    let mut commands = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(rehearse(tape, report(), |command| commands.push(obey(command))));
    let answers = std::mem::take(&mut *written.lock().expect("no panic"));
    (answers, commands)
}

fn report() -> Report {
    Report {
        version: "0".to_owned(),
        pid: 1,
        started_at: Timestamp::UNIX_EPOCH,
        health: Health::Ok,
        accounts: BTreeMap::new(),
        signals: BTreeMap::new(),
        manual: None,
        warnings: Vec::new(),
    }
}

/// Checks a command and answers it.
fn obey(command: Command) -> String {
    let (shown, reply) = match command {
        Command::SetOverride { claim, ttl, reply } => {
            assert!(is_valid(ttl));
            (format!("override {claim} {ttl:?}"), reply)
        }
        Command::ClearOverride { reply } => ("no override".to_owned(), reply),
        Command::SetSignal { name, value, ttl, writer, reply } => {
            assert!(is_valid(ttl) && writer.is_none());
            let (name, value) = (name.parse::<SignalName>(), value.parse::<SignalValue>());
            (format!("{:?} = {:?} {ttl:?}", name.expect("a valid name"), value.expect("a valid value")), reply)
        }
        Command::ClearSignal { name, reply } => {
            (format!("no {:?}", name.parse::<SignalName>().expect("a valid name")), reply)
        }
        Command::Reload { reply } => ("reload".to_owned(), reply),
        Command::Users(command) => return obey_about_users(command),
    };
    let _ = reply.send(Ok(()));
    shown
}

/// The same for a command about users. There are none.
fn obey_about_users(command: UsersCommand) -> String {
    match command {
        UsersCommand::Change { changes, reply, .. } => {
            let shown = format!("{changes:?}");
            let _ = reply.send(vec![Err(NotDone::UnknownUser); changes.len()]);
            shown
        }
        UsersCommand::List { query, reply } => {
            assert!((1..=10_000).contains(&query.limit));
            let _ = reply.send(None);
            format!("{query:?}")
        }
        UsersCommand::Show { user, reply } => {
            let _ = reply.send(None);
            user
        }
    }
}

fn is_valid(ttl: Option<Duration>) -> bool {
    ttl.is_none_or(|ttl| (Duration::from_secs(1)..=MAX_TTL).contains(&ttl))
}

/// A stream whose other side has sent everything, and keeps what it gets.
struct Tape {
    unread: Vec<u8>,
    /// How much arrives at once.
    piece: usize,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tape {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.unread.len().min(self.piece).min(into.remaining());
        let rest = self.unread.split_off(count);
        into.put_slice(&std::mem::replace(&mut self.unread, rest));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tape {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.lock().expect("no panic").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
