//! The readings that each user or each account has alone, from entries in folders.
//!
//! A folder may be away for a moment, and nobody's presence should change because of that. So what its entries said before counts
//! until the sessions expire. Leaves to others: the entries (`signals/call/owners`, `signals/calendar/owners`), and what is set
//! through the socket, which comes first (`fleet/own`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Schedule;
use crate::config::{self, CalendarPlace, Owners, OwnersPath};
use crate::fill::Fill as _;
use crate::policy::{Call, CallState, Reading, Snapshot, strongest};
use crate::signals::OwnersReadings;
use crate::signals::calendar;
use crate::status::report;
use crate::time::{Instant, Now};
use crate::warning::Warning;

/// What is known about the owners.
#[derive(Debug)]
pub(super) struct OwnersSignals {
    calls: Signal<Call>,
    calendars: Signal<Arc<Schedule>>,
    /// For the report: the signals of which nothing is everybody's, where the entries are, and whose.
    rows: Vec<(&'static str, OwnersPath)>,
}

/// One user of many.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserNames<'a> {
    pub(super) id: &'a str,
    pub(super) name: Option<&'a str>,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It may concern everybody.
    All,
    /// It concerns these owners, by name.
    Of(Owners, Vec<String>),
}

impl OwnersSignals {
    /// Nothing is known yet about the owners that the configuration asks for.
    pub(super) fn new(signals: &config::Signals) -> Self {
        let idle = Reading::Known(Call { state: CallState::Idle, app: None });
        let (call, is_shared) =
            (signals.call.as_ref(), signals.calendar.as_ref().is_some_and(config::Calendar::is_shared));
        let calls =
            call.and_then(|call| call.owners.as_ref()).into_iter().flat_map(|path| path.folders.keys().cloned());
        let calendars = signals.calendar.iter().flat_map(|calendar| calendar::owners::sources(calendar).into_keys());
        // A calendar for everybody says what is known about those who have none of their own.
        let free = Schedule::new(jiff::Timestamp::MIN, jiff::Timestamp::MAX, Vec::new());
        let of_calls = call.and_then(|call| call.owners.clone()).map(|path| ("call", path));
        let of_calendars = signals.calendar.iter().filter(|_| !is_shared).flat_map(|calendar| &calendar.sources);
        let of_calendars = of_calendars.filter_map(|source| match &source.place {
            CalendarPlace::Owners(path) => Some(("calendar", path.clone())),
            CalendarPlace::Path(_) | CalendarPlace::Subscription(_) => None,
        });
        Self {
            rows: of_calls.into_iter().chain(of_calendars).collect(),
            calls: Signal {
                without_entry: if call.is_some_and(|call| call.stale_after.is_some()) {
                    Reading::Unknown
                } else {
                    idle
                },
                join: strongest,
                folders: calls.map(|owners| (owners, Folder::default())).fill(),
            },
            calendars: Signal {
                without_entry: if is_shared { Reading::Off } else { Reading::Known(Arc::new(free)) },
                join: both,
                folders: calendars.map(|owners| (owners, Folder::default())).fill(),
            },
        }
    }

    /// Says in the report that these signals are not off, but different for each.
    pub(super) fn describe(&self, signals: &mut BTreeMap<String, report::Signal>) {
        for (name, path) in &self.rows {
            if let Some(signal) = signals.get_mut(*name).filter(|signal| signal.value == "off") {
                let each = if path.is_of_users() { "each user" } else { "each account" };
                (signal.value, signal.source) = (each.to_owned(), path.path.display().to_string());
            }
        }
    }

    /// Whether everything was heard that a decision for users needs.
    pub(super) fn is_complete(&self) -> bool {
        self.calls.is_heard(|_| true) && self.calendars.is_heard(|_| true)
    }

    /// Whether everything was heard that a decision for an account with one user needs.
    pub(super) fn is_complete_for_accounts(&self) -> bool {
        let of_accounts = |owners: &Owners| *owners == Owners::Accounts;
        self.calls.is_heard(of_accounts) && self.calendars.is_heard(of_accounts)
    }

    /// Takes in what the files of calls say. `hold`: how long the last readings count if the folder is away.
    pub(super) fn hear_calls(&mut self, said: OwnersReadings<Call>, hold: Duration, now: &Now) -> News {
        self.calls.hear(said, hold, now)
    }

    /// Takes in what the calendars say.
    pub(super) fn hear_calendars(&mut self, said: OwnersReadings<Arc<Schedule>>, hold: Duration, now: &Now) -> News {
        self.calendars.hear(said, hold, now)
    }

    /// When the readings of a folder that is away end to count.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.calls.next_end().into_iter().chain(self.calendars.next_end()).min()
    }

    /// Ends them. True: some did, which may concern everybody.
    pub(super) fn end(&mut self, now: &Now) -> bool {
        // Both, not only the first.
        self.calls.end(now) | self.calendars.end(now)
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = &Warning> {
        let calls = self.calls.folders.values().flat_map(|folder| &folder.warnings);
        calls.chain(self.calendars.folders.values().flat_map(|folder| &folder.warnings))
    }

    /// The machine's readings with those of an account, or of one of its users. `None`: they have none of their own.
    pub(super) fn over(&self, machine: &Snapshot, account: &str, user: Option<UserNames<'_>>) -> Option<Snapshot> {
        let call = self.calls.reading(account, user);
        let calendar = self.calendars.reading(account, user);
        if call.is_none() && calendar.is_none() {
            return None;
        }
        let call = strongest(call.unwrap_or_default(), machine.call.clone());
        let calendar = both(calendar.unwrap_or_default(), machine.calendar.clone());
        Some(Snapshot { call, calendar, ..machine.clone() })
    }
}

/// What two calendars say together.
fn both(one: Reading<Arc<Schedule>>, other: Reading<Arc<Schedule>>) -> Reading<Arc<Schedule>> {
    match (one, other) {
        (Reading::Off, reading) | (reading, Reading::Off) => reading,
        (Reading::Known(one), Reading::Known(other)) => Reading::Known(Arc::new(one.with(&other))),
        (Reading::Unknown, _) | (_, Reading::Unknown) => Reading::Unknown,
    }
}

/// One signal, of all owners.
#[derive(Debug)]
struct Signal<T> {
    /// What the signal is for an owner without an entry.
    without_entry: Reading<T>,
    /// What two readings mean together.
    join: fn(Reading<T>, Reading<T>) -> Reading<T>,
    folders: BTreeMap<Owners, Folder<T>>,
}

impl<T: Clone> Signal<T> {
    fn is_heard(&self, of: impl Fn(&Owners) -> bool) -> bool {
        self.folders.iter().all(|(owners, folder)| !of(owners) || folder.is_heard)
    }

    fn hear(&mut self, said: OwnersReadings<T>, hold: Duration, now: &Now) -> News {
        match self.folders.get_mut(&said.owners) {
            Some(folder) => folder.hear(said, hold, now),
            // It was sent before the configuration changed.
            None => News::Of(said.owners, Vec::new()),
        }
    }

    fn next_end(&self) -> Option<Instant> {
        self.folders.values().filter_map(|folder| folder.held_until).min()
    }

    fn end(&mut self, now: &Now) -> bool {
        let has_ended = |folder: &mut Folder<T>| folder.held_until.take_if(|until| *until <= now.instant).is_some();
        self.folders.values_mut().map(has_ended).fold(false, |any, ended| any | ended)
    }

    /// `None`: neither this account nor this user has entries.
    fn reading(&self, account: &str, user: Option<UserNames<'_>>) -> Option<Reading<T>> {
        let of_user = |UserNames { id, name }| {
            let folders = [self.folders.get(&Owners::Users), self.folders.get(&Owners::UsersOf(account.to_owned()))];
            folders.into_iter().flatten().map(move |folder| self.reading_in(folder, &[Some(id), name]))
        };
        let of_account = self.folders.get(&Owners::Accounts).map(|folder| self.reading_in(folder, &[Some(account)]));
        of_account.into_iter().chain(user.into_iter().flat_map(of_user)).reduce(self.join)
    }

    fn reading_in(&self, folder: &Folder<T>, names: &[Option<&str>]) -> Reading<T> {
        if !folder.is_known && folder.held_until.is_none() {
            return Reading::Unknown;
        }
        let found = names.iter().flatten().filter_map(|name| folder.readings.get(*name).cloned());
        found.reduce(self.join).unwrap_or_else(|| self.without_entry.clone())
    }
}

/// What the entries of one folder say.
#[derive(Debug)]
struct Folder<T> {
    is_heard: bool,
    is_known: bool,
    /// It is away, and until then the readings count.
    held_until: Option<Instant>,
    /// By the name of the entry.
    readings: HashMap<String, Reading<T>>,
    /// The entries of which nothing was said since the folder is read anew. They count until it could be read.
    unsaid: BTreeSet<String>,
    warnings: Vec<Warning>,
}

impl<T> Default for Folder<T> {
    fn default() -> Self {
        Self {
            is_heard: false,
            is_known: false,
            held_until: None,
            readings: HashMap::new(),
            unsaid: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }
}

impl<T> Folder<T> {
    fn hear(&mut self, said: OwnersReadings<T>, hold: Duration, now: &Now) -> News {
        let OwnersReadings { owners, replaces, changed, is_known, warnings } = said;
        if !self.is_heard && !replaces && is_known {
            // It is what has changed in a folder of an earlier configuration.
            return News::Of(owners, Vec::new());
        }
        let counted_before = self.is_known || self.held_until.is_some();
        match (self.is_known, is_known) {
            (true, false) => self.held_until = Some(now.instant + hold),
            (_, true) => self.held_until = None,
            (false, false) => {}
        }
        let concerns_all = !self.is_heard || (is_known && !counted_before);
        (self.is_heard, self.is_known, self.warnings) = (true, is_known, warnings);
        // The id of a user may be written in any case.
        let is_id = |name: &str| owners != Owners::Accounts && config::is_object_id(name);
        let owner = |name: String| if is_id(&name) { name.to_ascii_lowercase() } else { name };
        let changed: Vec<_> = changed.into_iter().map(|(name, reading)| (owner(name), reading)).collect();
        let mut names: Vec<String> = changed.iter().map(|(name, _)| name.clone()).collect();
        if replaces {
            self.unsaid = self.readings.keys().cloned().collect();
        }
        for (name, reading) in changed {
            self.unsaid.remove(&name);
            match reading {
                Reading::Off => drop(self.readings.remove(&name)),
                reading @ (Reading::Unknown | Reading::Known(_)) => drop(self.readings.insert(name, reading)),
            }
        }
        if is_known {
            let gone = std::mem::take(&mut self.unsaid);
            self.readings.retain(|name, _| !gone.contains(name));
            names.extend(gone);
        }
        if concerns_all { News::All } else { News::Of(owners, names) }
    }
}

#[cfg(test)]
mod tests;
