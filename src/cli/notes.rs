//! Notes about a configuration: what is valid but cannot work. They change no exit code.
//!
//! A new kind of note takes a function and a line in [`notes`].

use std::fmt;

use crate::config::Config;

/// One thing that cannot work, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The table, as in `[accounts.work]`.
    pub(super) table: String,
    /// What is wrong with it, as a sentence without its full stop.
    pub(super) text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.text)
    }
}

/// All notes about `config`, in the order of the configuration.
pub(super) fn notes(config: &Config) -> Vec<Note> {
    clouds_without_presence(config).collect()
}

fn clouds_without_presence(config: &Config) -> impl Iterator<Item = Note> {
    config.accounts.iter().filter_map(|(name, account)| {
        Some(Note { table: format!("[accounts.{name}]"), text: account.cloud.obstacle()? })
    })
}
