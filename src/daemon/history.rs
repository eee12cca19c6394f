//! What the history records: each decision and whether Graph followed it, suspends, and the daemon's own start and end.
//!
//! A record comes from what changed in a turn, so nothing wakes up for it. The session says whether Graph is known to hold the wish
//! (`is_kept`) and until when (`kept_until`), so a presence that faded gets the time when it faded. If a record cannot be written,
//! that is a warning, and the next change tries again. Leaves to others: the file (`history/`).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::account::Account;
use crate::history::{Book, Event, Held, Record};
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How often a daemon without anything to record shows that it is alive.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_mins(1);

/// The daemon's end of the history.
#[derive(Debug)]
pub(super) struct History {
    /// `None`: no location is available for it.
    book: Option<Book>,
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
        let book = file.map(Book::new);
        Self { book, enabled, begun: false, recorded: BTreeMap::new(), shown_at: None, failure: None }
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
        if let Some(book) = self.book.as_ref().filter(|_| self.enabled && self.begun && is_due) {
            // If this fails, so will the next record, and that is reported.
            let _ = book.sign_of_life();
            self.shown_at = Some(now.instant);
        }
    }

    /// The warning that it cannot be written.
    pub(super) fn warning(&self) -> Option<Warning> {
        let (book, error) = self.book.as_ref().zip(self.failure.as_ref())?;
        Some(Warning {
            code: Code::HistoryUnwritable,
            text: format!(
                "the history {} cannot be written: {error}; the presence is still kept",
                book.path().display()
            ),
            hint: "free disk space or make its folder writable, or set `enabled = false` in [history]".to_owned(),
        })
    }

    fn is_on(&self) -> bool {
        self.enabled && self.book.is_some()
    }

    fn record(&mut self, event: Event, now: &Now) {
        if self.is_on() {
            self.write(&Record { at: now.wall, event }, now);
        }
    }

    /// Whether it was written. After a failure everything is recorded again, because nobody knows what was lost.
    fn write(&mut self, record: &Record, now: &Now) -> bool {
        let Some(book) = &mut self.book else { return false };
        let begun = if self.begun { Ok(()) } else { book.begin(env!("CARGO_PKG_VERSION"), now.wall) };
        self.begun |= begun.is_ok();
        self.failure = begun.and_then(|()| book.write(record)).err();
        if self.failure.is_some() {
            self.recorded.clear();
        }
        self.shown_at = Some(now.instant);
        self.failure.is_none()
    }
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
