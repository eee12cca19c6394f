//! What the history records: each decision and whether Graph followed it, suspends, and the daemon's own start and end.
//!
//! A record comes from what changed in a turn, so nothing wakes up for it. The session says whether Graph is known to hold the wish
//! (`is_kept`) and until when (`kept_until`), so a presence that faded gets the time when it faded. If a record cannot be written,
//! that is a warning, and the next change tries again. Leaves to others: the file (`history/`).

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::account::Account;
use crate::history::{Book, Event, Held, Record};
use crate::off_the_loop::handed_over;
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How long the loop waits for the file. An ordinary file system takes less than a millisecond. One that does not answer costs this
/// once.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often a daemon without anything to record shows that it is alive.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_mins(1);

/// The daemon's end of the history.
#[derive(Debug)]
pub(super) struct History {
    /// `None`: no location is available for it.
    path: Option<PathBuf>,
    /// `None`: there is no location, or a thread still has it.
    book: Option<Book>,
    /// Where the thread that has it gives it back.
    lent: Option<mpsc::Receiver<Returned>>,
    /// Whether that takes long.
    is_late: bool,
    enabled: bool,
    begun: bool,
    /// The last record about each account.
    recorded: BTreeMap<String, Held>,
    /// When the daemon last showed that it is alive.
    shown_at: Option<Instant>,
    /// Why the last record could not be written.
    failure: Option<io::Error>,
}

impl History {
    /// A history in `file`, where nothing was written yet.
    pub(super) fn new(file: Option<PathBuf>, enabled: bool) -> Self {
        Self {
            book: file.clone().map(Book::new),
            path: file,
            lent: None,
            is_late: false,
            enabled,
            begun: false,
            recorded: BTreeMap::new(),
            shown_at: None,
            failure: None,
        }
    }

    /// Turns it on or off, as the configuration says.
    pub(super) fn enable(&mut self, enabled: bool, now: &Now) {
        if self.enabled && !enabled {
            // It will not know what happens after this.
            self.stop(now);
            (self.begun, self.failure) = (false, None);
            self.recorded.clear();
        }
        self.enabled = enabled;
    }

    /// Records what changed for the accounts.
    pub(super) fn record_changes(&mut self, accounts: &[Account], now: &Now) {
        if !self.is_on() {
            return;
        }
        for (held, at) in accounts.iter().filter_map(|account| account.held(now)) {
            let held = Held { because: without_private(&held.because).to_owned(), ..held };
            if self.recorded.get(&held.account) != Some(&held) {
                let record = Record { at, event: Event::Held(held.clone()) };
                if !self.write(&record, now) {
                    return;
                }
                self.recorded.insert(held.account.clone(), held);
            }
        }
        let gone = |name: &&String| accounts.iter().all(|account| account.name != **name);
        for account in self.recorded.keys().filter(gone).cloned().collect::<Vec<_>>() {
            self.recorded.remove(&account);
            self.record(Event::Gone { account }, now);
        }
    }

    /// The machine is about to sleep.
    pub(super) fn sleep(&mut self, now: &Now) {
        self.record(Event::Asleep, now);
    }

    /// The machine woke up.
    pub(super) fn wake(&mut self, now: &Now) {
        self.record(Event::Awake, now);
    }

    /// The daemon stops.
    pub(super) fn stop(&mut self, now: &Now) {
        self.record(Event::Stopped, now);
    }

    /// Something happened that is not worth a record, but shows that the daemon is alive.
    pub(super) fn sign_of_life(&mut self, now: &Now) {
        let is_due = self.shown_at.is_none_or(|at| at + SIGN_OF_LIFE_INTERVAL <= now.instant);
        if self.enabled && self.begun && is_due && self.failure.is_none() && self.is_at_hand() {
            self.lend(|book, _| {
                // If this fails, so will the next record, and that is reported.
                let _ = book.sign_of_life();
                Ok(())
            });
            self.shown_at = Some(now.instant);
        }
    }

    /// The warning that it cannot be written.
    pub(super) fn warning(&self) -> Option<Warning> {
        let (path, error) = self.path.as_ref().zip(self.failure.as_ref())?;
        let remedy = if error.kind() == ErrorKind::InvalidInput {
            "move it away"
        } else if error.kind() == ErrorKind::TimedOut {
            "see why its file system does not answer"
        } else {
            "free disk space or make its folder writable"
        };
        Some(Warning {
            code: Code::HistoryUnwritable,
            text: format!("the history {} cannot be written: {error}; the presence is still kept", path.display()),
            hint: format!("{remedy}, or set `enabled = false` in [history]"),
        })
    }

    fn is_on(&self) -> bool {
        self.enabled && self.path.is_some()
    }

    fn record(&mut self, event: Event, now: &Now) {
        if self.is_on() {
            self.write(&Record { at: now.wall, event }, now);
        }
    }

    /// Whether it was written. After a failure everything is recorded again, because nobody knows what was lost.
    fn write(&mut self, record: &Record, now: &Now) -> bool {
        if !self.is_at_hand() {
            return false;
        }
        let (record, wall) = (record.clone(), now.wall);
        self.lend(move |book, begun| {
            if !*begun {
                book.begin(env!("CARGO_PKG_VERSION"), wall)?;
                *begun = true;
            }
            book.write(&record)
        });
        self.shown_at = Some(now.instant);
        // If it is late, it will be written, or else everything again.
        self.is_at_hand() && self.failure.is_none() || self.is_late
    }

    /// Lets a thread work with the book, because its file system may not answer.
    fn lend(&mut self, work: impl FnOnce(&mut Book, &mut bool) -> io::Result<()> + Send + 'static) {
        if let Some(mut book) = self.book.take() {
            let mut begun = self.begun;
            self.lent = Some(handed_over(move || {
                let outcome = work(&mut book, &mut begun);
                Returned { book, begun, outcome }
            }));
        }
    }

    /// Whether the book is here. If a thread has it, waits a moment for it, unless that was in vain before.
    fn is_at_hand(&mut self) -> bool {
        let Some(lent) = &self.lent else { return self.book.is_some() };
        match lent.recv_timeout(if self.is_late { Duration::ZERO } else { PATIENCE }) {
            Ok(Returned { book, begun, outcome }) => {
                (self.book, self.begun, self.failure) = (Some(book), begun, outcome.err());
            }
            Err(RecvTimeoutError::Timeout) => {
                self.is_late = true;
                self.failure = Some(io::Error::new(ErrorKind::TimedOut, "its file system does not answer"));
                return false;
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.book = self.path.clone().map(Book::new);
                self.failure = Some(io::Error::other("its thread has ended"));
            }
        }
        (self.lent, self.is_late) = (None, false);
        if self.failure.is_some() {
            self.recorded.clear();
        }
        true
    }
}

/// A book that a thread gives back.
#[derive(Debug)]
struct Returned {
    book: Book,
    begun: bool,
    outcome: io::Result<()>,
}

/// The reason, without what a program said about itself unless that is a program's name: it might be a meeting's title or
/// somebody's address. A name is a single word, or comes from the sound server.
fn without_private(because: &str) -> &str {
    let cut = because.find(" (").unwrap_or(because.len());
    let mut rest = &because[cut..];
    while let Some((_, after)) = rest.split_once(" (") {
        let (inside, beyond) = after.split_once(')').unwrap_or((after, ""));
        if inside.contains(char::is_whitespace) && !inside.ends_with(" records") {
            return &because[..cut];
        }
        rest = beyond;
    }
    if because[cut..].contains('@') { &because[..cut] } else { because }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_is_kept_but_an_address_or_a_title_is_not() {
        for because in [
            "lock is locked",
            "call is in-call (baresip) and calendar is busy (online)",
            "call is in-call (Google Chrome records) and lock is unlocked",
        ] {
            assert_eq!(without_private(because), because);
        }
        for app in ["sip:bob@contoso.com", "Zoom: Budget 2027", "a (b) c@d.e", "a) c@d.e (b"] {
            assert_eq!(without_private(&format!("call is in-call ({app}) and x is y")), "call is in-call", "{app}");
        }
    }
}
