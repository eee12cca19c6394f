//! The users of the accounts, for `check`: reads the files that name them, and reports bad lines, users whom two accounts would hold,
//! and more users than the rate is enough for.
//!
//! Leaves to others: what the daemon makes of the same file (`daemon/`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::cli::error::{Error, Exit};
use crate::cli::notes::Note;
use crate::config::users_file::{self, UsersFile};
use crate::config::{self, Account, CalendarPlace, CalendarSource, Config, Signals, Users};
use crate::presence::Presence;
use crate::regular_file;
use crate::session::Target;

/// How many problems are shown.
const MAX_SHOWN: usize = 20;
/// Above this load, a fleet has too little left for changes and for what an outage leaves behind.
const MAX_PLANNED_LOAD: f64 = 0.8;

/// One thing that is wrong with the users.
#[derive(Debug)]
pub(super) struct UsersProblem {
    /// The users file; `None`: it is about the configuration.
    pub(super) file: Option<PathBuf>,
    /// The line in it.
    pub(super) line: Option<usize>,
    pub(super) text: String,
}

impl fmt::Display for UsersProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: {}", file.display(), self.text),
            (Some(file), None) => write!(f, "{}: {}", file.display(), self.text),
            (None, _) => f.write_str(&self.text),
        }
    }
}

/// What there is to say about the users.
#[derive(Debug, Default)]
pub(super) struct UsersReport {
    /// How many each account has whose users are in a file.
    pub(super) in_files: BTreeMap<String, usize>,
    pub(super) problems: Vec<UsersProblem>,
    pub(super) notes: Vec<Note>,
}

impl UsersReport {
    /// Reads the users files of `config`.
    pub(super) fn of(config: &Config) -> Self {
        let mut report = Self::default();
        let mut files: BTreeMap<&Path, UsersFile> = BTreeMap::new();
        for account in config.accounts.values() {
            let Some(Users::File(path)) = &account.users else { continue };
            if !files.contains_key(path.as_path()) {
                let file = report.read(path);
                files.insert(path, file);
            }
        }
        // The same accounts, with their users as if they were in the configuration.
        let mut accounts = config.accounts.clone();
        for (name, account) in &mut accounts {
            let Some(Users::File(path)) = &account.users else { continue };
            let users = files.get(path.as_path()).map(|file| file.users.clone()).unwrap_or_default();
            if users.is_empty() {
                let text = format!("{} has no user, so no presence is held", path.display());
                report.notes.push(Note { table: format!("[accounts.{name}]"), text });
            }
            report.in_files.insert(name.clone(), users.len());
            account.users = Some(Users::Listed(users));
        }
        report.problems.extend(held_twice(&accounts));
        report.notes.extend(overloads(&accounts, config));
        report.notes.extend(shared_signals(&accounts, config));
        report
    }

    fn read(&mut self, path: &Path) -> UsersFile {
        let problem = |line, text| UsersProblem { file: Some(path.to_owned()), line, text };
        let file = match regular_file::read(path, users_file::MAX_FILE_BYTES) {
            Ok(text) => users_file::parse(&text),
            Err(unfit) => {
                self.problems.push(problem(None, format!("the users file cannot be read: {unfit}")));
                return UsersFile::default();
            }
        };
        self.problems.extend(file.bad.iter().map(|bad| problem(Some(bad.line), bad.reason.clone())));
        file
    }

    /// The problems as an error, if there are any.
    pub(super) fn error(&self) -> Option<Error> {
        let headline = match self.problems.len() {
            0 => return None,
            1 => "a problem with the users".to_owned(),
            many if many > MAX_SHOWN => format!("{many} problems with the users; the first {MAX_SHOWN}"),
            many => format!("{many} problems with the users"),
        };
        let lines = self.problems.iter().take(MAX_SHOWN).map(|problem| format!("\n  {problem}"));
        let hint = "the daemon leaves out bad lines, and is degraded until they are corrected";
        let error = Error::new(Exit::Usage, headline + ":" + &lines.collect::<String>());
        let has_line = self.problems.iter().any(|problem| problem.line.is_some());
        Some(if has_line { error.with_hint(hint) } else { error })
    }
}

fn held_twice(accounts: &BTreeMap<String, Account>) -> Vec<UsersProblem> {
    let shared = config::shared_sessions(accounts).into_iter();
    let problem = |(name, (other, user)): (_, (_, Option<String>))| UsersProblem {
        file: None,
        line: None,
        text: format!(
            "[accounts.{name}] holds the same session as [accounts.{other}]{}; leave the user out of one of them",
            user.map(|id| format!(": that of {id}")).unwrap_or_default(),
        ),
    };
    shared.map(problem).collect()
}

/// For the signals that would make all users of an account busy at once.
fn shared_signals(accounts: &BTreeMap<String, Account>, config: &Config) -> Vec<Note> {
    let Signals { call, calendar, .. } = &config.signals;
    let is_each_users = |source: &CalendarSource| matches!(source.place, CalendarPlace::Owners(_));
    let shared = [
        ("call", "call", call.as_ref().is_some_and(|call| call.owners.is_none())),
        ("calendar", "meeting", calendar.as_ref().is_some_and(|it| !it.sources.iter().any(is_each_users))),
    ];
    let mut notes = Vec::new();
    for (name, account) in accounts {
        let count = match &account.users {
            Some(Users::Listed(users)) if users.len() > 1 => users.len().to_string(),
            Some(Users::Signalled) => String::new(),
            _ => continue,
        };
        for (signal, event, _) in shared.iter().filter(|(_, _, is_shared)| *is_shared) {
            let all = format!("all {count} users").replace("  ", " ");
            notes.push(Note {
                table: format!("[signals.{signal}]"),
                text: format!(
                    "{all} of [accounts.{name}] follow the same one, so one {event} makes all of them busy; if each has \
                     their own, write {{user}} as the last part of `path`"
                ),
            });
        }
    }
    notes
}

/// For each application whose limit is too low if all its users are Available.
fn overloads(accounts: &BTreeMap<String, Account>, config: &Config) -> Vec<Note> {
    let available = Target { presence: Presence::Available, expiration: config.session.expiration };
    let mut applications: BTreeMap<_, (Vec<String>, usize, f64)> = BTreeMap::new();
    for (name, account) in accounts {
        let count = match &account.users {
            Some(Users::Listed(users)) => users.len(),
            // Nobody knows who they are yet.
            Some(Users::Signalled | Users::File(_)) => 0,
            None => 1,
        };
        let (graph, tenant) = (account.endpoints.graph.as_str(), account.tenant.to_ascii_lowercase());
        let application = applications.entry((graph, tenant, account.client_id.to_ascii_lowercase())).or_default();
        application.0.push(format!("[accounts.{name}]"));
        application.1 += count;
        application.2 += account.rate.planned_load([(count, available)]);
    }
    let too_many = applications.into_values().filter(|(_, _, load)| *load > MAX_PLANNED_LOAD);
    let note = |(names, count, load): (Vec<String>, usize, f64)| Note {
        table: names.join(", "),
        text: format!(
            "if all {count} users are Available, keeping them so takes {:.0} % of `rate`; above 80 % they may fade after an \
             outage; give some of them another app registration",
            load * 100.0,
        ),
    };
    too_many.map(note).collect()
}
