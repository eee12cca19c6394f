//! Notes about a configuration: what is valid but cannot work. They change no exit code.
//!
//! A new kind of note takes a function and a line in [`settings`], or in [`notes`] if it looks at the disk.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::{CalendarPlace, Config, Environment, Signals};
use crate::policy::{Rule, SignalsOn, Unreached, default_rules, unreached};

/// One thing that cannot work, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The table, as in `[accounts.work]`.
    pub(super) table: String,
    /// What is wrong with it and what to do, as a clause.
    pub(super) text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.text)
    }
}

/// All notes about `config`. Looks at the disk.
pub(super) fn notes(config: &Config, environment: &Environment) -> Vec<Note> {
    let missing = missing_calendars(config).chain(missing_call_folder(config, environment));
    settings(config).into_iter().chain(missing).collect()
}

/// The notes that depend on the configuration alone.
pub(super) fn settings(config: &Config) -> Vec<Note> {
    clouds_without_presence(config).chain(nothing_watched(config)).chain(unreached_rules(config)).collect()
}

fn clouds_without_presence(config: &Config) -> impl Iterator<Item = Note> {
    config.accounts.iter().filter_map(|(name, account)| {
        Some(Note { table: format!("[accounts.{name}]"), text: account.cloud.obstacle()? })
    })
}

/// No signal is on, and no rule depends on anything else that changes.
fn nothing_watched(config: &Config) -> Option<Note> {
    let Signals { calendar, lock, call, microphone, idle } = &config.signals;
    let is_off = calendar.is_none() && lock.is_none() && call.is_none() && microphone.is_none() && idle.is_none();
    let changes = |rule: &Rule| {
        let when = &rule.when;
        let is_called = has_users(config) && !when.call.is_empty();
        is_called || !when.within.is_empty() || !when.outside.is_empty() || !when.signal.is_empty()
    };
    (is_off && !config.rules.iter().any(changes)).then(|| Note {
        table: "[signals]".to_owned(),
        text: "nothing is watched, so the presence changes only by hand; add a table, like [signals.lock] or \
               [signals.calendar]"
            .to_owned(),
    })
}

/// Whether the socket can say for one user alone whether they are in a call, although the signal is off.
fn has_users(config: &Config) -> bool {
    config.accounts.values().any(|account| account.users.is_some())
}

fn missing_calendars(config: &Config) -> impl Iterator<Item = Note> {
    config.signals.calendar.iter().flat_map(|calendar| &calendar.sources).filter_map(|source| {
        let paths = match &source.place {
            CalendarPlace::Path(path) => vec![path],
            CalendarPlace::Owners(path) => path.folders.values().collect(),
            CalendarPlace::Subscription(_) => Vec::new(),
        };
        let then = if source.optional { "so it has no events" } else { "so the calendar is unknown" };
        let path = paths.into_iter().find(|path| is_missing(path))?;
        Some(Note {
            table: "[signals.calendar]".to_owned(),
            text: format!("{} does not exist, {then}", path.display()),
        })
    })
}

/// A missing call-state file is usual: there is no call. Without its folder no program can write it. The daemon makes the folder of
/// the status socket when it starts.
fn missing_call_folder(config: &Config, environment: &Environment) -> Option<Note> {
    let call = config.signals.call.as_ref()?;
    let socket = environment.socket();
    let made = socket.as_deref().and_then(Path::parent);
    let mut folders: Vec<&Path> = match &call.owners {
        Some(owners) => owners.folders.values().map(PathBuf::as_path).collect(),
        None => call.path.parent().filter(|_| is_missing(&call.path)).into_iter().collect(),
    };
    folders.retain(|folder| Some(*folder) != made && is_missing(folder));
    let folder = folders.first()?;
    Some(Note {
        table: "[signals.call]".to_owned(),
        text: format!(
            "the folder {} does not exist, so no program can report a call; create it: `mkdir -p {0}`",
            folder.display()
        ),
    })
}

/// Rules that never decide. The default rules are for all signals, and most people do not use all.
fn unreached_rules(config: &Config) -> Vec<Note> {
    if config.rules == default_rules() {
        return Vec::new();
    }
    let Signals { calendar, lock, call, microphone, idle } = &config.signals;
    let on = SignalsOn {
        sleep: lock.is_some(),
        call: call.is_some() || microphone.is_some(),
        idle: idle.is_some(),
        calendar: calendar.is_some(),
    };
    let note = |(place, why): (usize, Unreached)| {
        let why = match why {
            Unreached::SignalOff(signal) => {
                // Sleep comes with the lock.
                let table = if signal == "sleep" { "lock" } else { signal };
                format!(
                    "it is never reached, because it needs `{signal}`, which is off; add [signals.{table}], or remove the rule"
                )
            }
            Unreached::SignalOn(signal) => {
                format!("it is never reached, because it needs `{signal}` to be off, but it is on; remove the rule")
            }
            Unreached::Behind(rule) => {
                format!(
                    "it is never reached, because the rule `{rule}` above it always comes first; move it up, or remove it"
                )
            }
            Unreached::BehindSeveral => {
                "it is never reached, because one of the rules above it always comes first; move it up, or remove it"
                    .to_owned()
            }
        };
        Note { table: format!("[[rules]] `{}`", config.rules[place].name), text: why }
    };
    let accounts: Vec<&str> = config.accounts.keys().map(String::as_str).collect();
    let mut never = unreached(&config.rules, on, &accounts);
    if has_users(config) && !on.call {
        // Some users may have a call while others have none.
        let in_calls = unreached(&config.rules, SignalsOn { call: true, ..on }, &accounts);
        never.retain(|(place, _)| in_calls.iter().any(|(other, _)| other == place));
    }
    never.into_iter().map(note).collect()
}

/// Whether nothing is there. A path that may not be looked at is not missing.
fn is_missing(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}
