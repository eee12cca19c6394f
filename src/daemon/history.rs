//! What the history records: each decision and whether Graph followed it, suspends, and the daemon's own start and end.
//!
//! A record comes from what changed in a turn, so nothing wakes up for it. The session says whether Graph is known to hold the wish
//! (`is_kept`) and until when (`kept_until`), so a presence that faded gets the time when it faded. A fleet says which of its users
//! have changed ([`Fleet::records`]). All records of a turn are one write. If it fails, that is a warning, and everything is recorded
//! again later.
//!
//! A thread writes, and a small file is waited for, because that takes no time. A large one is not: what changes meanwhile is recorded
//! when the thread is done. Leaves to others: the file (`history/`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::account::{Account, AccountId};
use super::fleet::Fleet;
use crate::config;
use crate::history::{Book, Event, Held, Limits, Record, without_private};
use crate::off_the_loop::{LATE_AFTER, handed_over};
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

/// How long the loop waits for the file. An ordinary file system takes less than a millisecond. One that does not answer costs this
/// once.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long the end of the daemon waits for a thread that works with a large file.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// More than this many records, or a larger file, take longer than the loop should wait.
const MAX_AWAITED_RECORDS: usize = 500;
const MAX_AWAITED_BYTES: u64 = 4_000_000;

/// How soon the loop looks again whether a thread is done with a large file.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How often a daemon without anything to record shows that it is alive.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_mins(1);

/// Old records are removed this many times in the time for which they are kept.
const TIDIED_TIMES: u32 = 4;

/// The daemon's end of the history.
#[derive(Debug)]
pub(super) struct History {
    /// `None`: no location is available for it.
    path: Option<PathBuf>,
    /// `None`: there is no location, or a thread still has it.
    book: Option<Book>,
    /// The thread that has it.
    lent: Option<Lent>,
    config: config::History,
    begun: bool,
    /// The last record about each account with one user.
    recorded: BTreeMap<String, Held>,
    /// The accounts with many whose users all have records.
    fleets: HashMap<AccountId, String>,
    /// Whether something may wait until the book is back.
    has_missed: bool,
    /// When the daemon last showed that it is alive.
    shown_at: Option<Instant>,
    /// When old records were last removed; `None`: not yet, or the limits are other ones now.
    tidied_at: Option<Instant>,
    /// Why the last record could not be written.
    failure: Option<io::Error>,
}

impl History {
    /// A history in `file`, where nothing was written yet.
    pub(super) fn new(file: Option<PathBuf>, config: config::History) -> Self {
        Self {
            book: file.clone().map(|file| Book::new(file, Limits::from(config))),
            path: file,
            lent: None,
            config,
            begun: false,
            recorded: BTreeMap::new(),
            fleets: HashMap::new(),
            has_missed: false,
            shown_at: None,
            tidied_at: None,
            failure: None,
        }
    }

    /// Does what the configuration says from now on.
    pub(super) fn configure(&mut self, config: config::History, now: &Now) {
        if self.config.enabled && !config.enabled {
            // It will not know what happens after this.
            self.stop(now);
            (self.begun, self.failure) = (false, None);
            self.repeat();
        }
        if self.config != config {
            (self.config, self.tidied_at) = (config, None);
        }
    }

    /// Records what changed for the accounts, and for the users that fleets say have changed.
    pub(super) fn record_changes(&mut self, accounts: &[Account], fleets: &mut [Fleet], now: &Now) {
        self.has_missed = false;
        if !self.is_on() || !self.begin(now) {
            return;
        }
        let mut records = self.gone(accounts, fleets, now);
        for (held, at) in accounts.iter().filter_map(|account| account.held(now)) {
            let held = Held { because: without_private(&held.because).to_owned(), ..held };
            if self.recorded.get(&held.account) != Some(&held) {
                records.push(Record { at, event: Event::Held(held.clone()) });
                self.recorded.insert(held.account.clone(), held);
            }
        }
        for fleet in fleets {
            // It is new or has another name, or something was lost. While nothing can be written, what changes is enough to try it.
            if self.failure.is_none()
                && let Entry::Vacant(entry) = self.fleets.entry(fleet.id)
            {
                entry.insert(fleet.name.clone());
                fleet.record_all_again();
            }
            records.extend(fleet.records(now));
        }
        if !records.is_empty() {
            let awaited = records.len() <= MAX_AWAITED_RECORDS && self.is_small();
            self.write(records, if awaited { PATIENCE } else { Duration::ZERO }, now);
        }
        self.tidy(now);
    }

    /// The records about accounts that were removed from the configuration.
    fn gone(&mut self, accounts: &[Account], fleets: &[Fleet], now: &Now) -> Vec<Record> {
        let names: HashSet<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        let accounts = self.recorded.extract_if(.., |name, _| !names.contains(name.as_str())).map(|(name, _)| name);
        let is_gone =
            |id: &AccountId, name: &mut String| fleets.iter().all(|fleet| fleet.id != *id || fleet.name != *name);
        let fleets = self.fleets.extract_if(is_gone).map(|(_, name)| name);
        let gone = |account| Record { at: now.wall, event: Event::Gone { account, user: None } };
        accounts.chain(fleets).map(gone).collect()
    }

    /// The machine is about to sleep.
    pub(super) fn sleep(&mut self, now: &Now) {
        self.record(Event::Asleep, PATIENCE, now);
    }

    /// The machine woke up.
    pub(super) fn wake(&mut self, now: &Now) {
        self.record(Event::Awake, PATIENCE, now);
    }

    /// The daemon stops.
    pub(super) fn stop(&mut self, now: &Now) {
        self.record(Event::Stopped, LAST_PATIENCE, now);
    }

    /// Something happened that is not worth a record, but shows that the daemon is alive.
    pub(super) fn sign_of_life(&mut self, now: &Now) {
        let is_due = self.shown_at.is_none_or(|at| at + SIGN_OF_LIFE_INTERVAL <= now.instant);
        if self.config.enabled && self.begun && is_due && self.failure.is_none() && self.is_at_hand(now) {
            self.lend(PATIENCE, now, |book, _| {
                // If this fails, so will the next record, and that is reported.
                let _ = book.sign_of_life();
                Ok(())
            });
            self.shown_at = Some(now.instant);
        }
    }

    /// When to look again whether what waits can be recorded.
    pub(super) fn next_wakeup(&self, now: &Now) -> Option<Instant> {
        let is_late = self.lent.as_ref().is_some_and(|lent| lent.is_late);
        (self.has_missed && !is_late).then(|| now.instant + LOOK_AGAIN_AFTER)
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
        self.config.enabled && self.path.is_some()
    }

    /// Whether reading and writing the whole file takes no time.
    fn is_small(&self) -> bool {
        self.book.as_ref().is_some_and(|book| book.length() <= MAX_AWAITED_BYTES)
    }

    /// Records this. `patience`: how long to wait for a thread that has the book.
    fn record(&mut self, event: Event, patience: Duration, now: &Now) {
        if let Some(lent) = &mut self.lent {
            lent.patience = patience;
        }
        if self.is_on() && self.begin(now) {
            self.write(vec![Record { at: now.wall, event }], PATIENCE, now);
        }
    }

    /// Whether the book is here, and has a record of the daemon's start.
    fn begin(&mut self, now: &Now) -> bool {
        if self.is_at_hand(now) && !self.begun {
            let wall = now.wall;
            self.lend(PATIENCE, now, move |book, begun| {
                book.begin(env!("CARGO_PKG_VERSION"), wall)?;
                *begun = true;
                Ok(())
            });
        }
        self.is_at_hand(now) && self.begun
    }

    fn write(&mut self, records: Vec<Record>, patience: Duration, now: &Now) {
        let wall = now.wall;
        self.lend(patience, now, move |book, _| book.write(records, wall));
        self.shown_at = Some(now.instant);
        if !patience.is_zero() {
            // So that this turn's report says if it failed.
            self.is_at_hand(now);
        }
    }

    /// Removes old records, if it is time.
    fn tidy(&mut self, now: &Now) {
        let interval = Duration::try_from(self.config.keep).unwrap_or_default() / TIDIED_TIMES;
        let is_due = self.tidied_at.is_none_or(|at| at + interval <= now.instant);
        if is_due && self.failure.is_none() && self.is_at_hand(now) {
            let (wall, patience) = (now.wall, if self.is_small() { PATIENCE } else { Duration::ZERO });
            self.lend(patience, now, move |book, _| book.tidy(wall));
            self.tidied_at = Some(now.instant);
        }
    }

    /// Lets a thread work with the book, because its file system may not answer. `patience`: how long to wait for it.
    fn lend(
        &mut self,
        patience: Duration,
        now: &Now,
        work: impl FnOnce(&mut Book, &mut bool) -> io::Result<()> + Send + 'static,
    ) {
        if let Some(mut book) = self.book.take() {
            book.limit(Limits::from(self.config));
            let mut begun = self.begun;
            let returns = handed_over(move || {
                let outcome = work(&mut book, &mut begun);
                Returned { book, begun, outcome }
            });
            self.lent = Some(Lent { returns, patience, since: now.instant, is_late: false });
        }
    }

    /// Whether the book is here. If a thread has it, waits a moment for it, unless that was in vain before.
    fn is_at_hand(&mut self, now: &Now) -> bool {
        let Some(lent) = &mut self.lent else { return self.book.is_some() };
        match lent.returns.recv_timeout(if lent.is_late { Duration::ZERO } else { lent.patience }) {
            Ok(Returned { book, begun, outcome }) => {
                (self.book, self.begun, self.failure) = (Some(book), begun, outcome.err());
            }
            Err(RecvTimeoutError::Timeout) => {
                if !lent.patience.is_zero() || lent.since + LATE_AFTER <= now.instant {
                    lent.is_late = true;
                    self.failure = Some(io::Error::new(ErrorKind::TimedOut, "its file system does not answer"));
                }
                self.has_missed = true;
                return false;
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.book = self.path.clone().map(|path| Book::new(path, Limits::from(self.config)));
                self.failure = Some(io::Error::other("its thread has ended"));
            }
        }
        self.lent = None;
        if self.failure.is_some() {
            self.repeat();
        }
        true
    }

    /// Everything is recorded again, because nobody knows what was lost.
    fn repeat(&mut self) {
        self.recorded.clear();
        self.fleets.clear();
    }
}

/// The book is with a thread.
#[derive(Debug)]
struct Lent {
    /// Where the thread gives it back.
    returns: mpsc::Receiver<Returned>,
    /// How long to wait for it; zero for what takes long on any file system.
    patience: Duration,
    since: Instant,
    /// Whether it was waited for in vain.
    is_late: bool,
}

/// A book that a thread gives back.
#[derive(Debug)]
struct Returned {
    book: Book,
    begun: bool,
    outcome: io::Result<()>,
}
