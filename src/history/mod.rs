//! History: what was claimed for some time back, and whether Graph held it, in a file of the state folder.
//!
//! A line of JSON is one [`Record`]: it is true from its time on, until a later line says otherwise. [`Book`] is the daemon's end; it
//! appends, and keeps the file small ([`shorten`](mod@shorten)). [`read`](fn@read) is for everyone else. Leaves to others: what is recorded (`daemon/history`), and the
//! spans of time between the records (`cli/history`).
//!
//! Nothing depends on it, so it is appended without waiting for the disk: a crash costs a line. A line that is incomplete, or that a
//! later version wrote, is skipped. Only the file's owner may read it, and it holds no meeting's title and no address.
//!
//! Users of accounts with many are in the same file, each record with the user's object id. A reader who asks for one user, and
//! whatever makes the file shorter, go through it line by line, because it may be large then.

mod book;
mod lines;
mod private;
mod read;
mod shorten;

use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config;
use crate::session::State;

pub use book::Book;
pub use private::without_private;
pub use read::{Read, Whose, read};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far back it reaches. An older record stays as long as it is still true.
    pub keep: SignedDuration,
    /// The largest size of the file.
    pub max_bytes: u64,
}

impl Limits {
    /// How many bytes of recent records stay when the file is full, so that it is not full again at once.
    fn room(self) -> u64 {
        self.max_bytes / 4 * 3
    }
}

impl From<config::History> for Limits {
    fn from(config::History { keep, max_size, enabled: _ }: config::History) -> Self {
        Self { keep, max_bytes: max_size }
    }
}

/// What is true from a time on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Since when.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A daemon started.
    Started {
        /// Its version.
        version: String,
    },
    /// It stopped.
    Stopped,
    /// It ended without a record, at about this time: it was killed, or the machine went down.
    Lost,
    /// The machine was suspended.
    Asleep,
    /// It woke up.
    Awake,
    /// The decision for an account or for one of its users, or whether Graph holds it.
    Held(Held),
    /// An account is no longer configured, or one of its users has left.
    Gone {
        /// The account's name.
        account: String,
        /// The object id of the user; `None`: the account itself, with all its users.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
    },
}

/// What an account, or one of its users, should hold, and whether it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The account's name.
    pub account: String,
    /// The object id of the user, in lower case; `None`: the account has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The pair as `Availability/Activity`; `None`: nothing.
    pub presence: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why, in one clause.
    pub because: String,
    /// What its session is doing.
    pub state: State,
    /// Whether Graph is known to hold exactly that.
    pub confirmed: bool,
}

/// The file of the daemon at `socket`. Each socket has its own file, because each has its own daemon.
///
/// # Errors
/// The path is relative, and the current folder no longer exists.
pub fn path(state_dir: &Path, socket: &Path) -> io::Result<PathBuf> {
    config::state_file(state_dir, "history", socket, "jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_of_json_that_never_changes() {
        let at: Timestamp = "2026-11-24T09:00:00.125Z".parse().unwrap();
        let held = Held {
            account: "work".to_owned(),
            user: None,
            presence: Some("Busy/InACall".to_owned()),
            rule: Some("call".to_owned()),
            because: "call is in-call (baresip)".to_owned(),
            state: State::Holding,
            confirmed: true,
        };
        let of_many = Held { user: Some("fa8bf3dc".to_owned()), ..held.clone() };
        let nothing = Held { presence: None, rule: None, state: State::Released, ..held.clone() };
        for (event, json) in [
            (Event::Started { version: "0.1.0".to_owned() }, r#"{"at":"…","event":"started","version":"0.1.0"}"#),
            (Event::Stopped, r#"{"at":"…","event":"stopped"}"#),
            (
                Event::Held(held),
                r#"{"at":"…","event":"held","account":"work","presence":"Busy/InACall","rule":"call","because":"call is in-call (baresip)","state":"holding","confirmed":true}"#,
            ),
            (
                Event::Held(nothing),
                r#"{"at":"…","event":"held","account":"work","presence":null,"because":"call is in-call (baresip)","state":"released","confirmed":true}"#,
            ),
            (
                Event::Held(of_many),
                r#"{"at":"…","event":"held","account":"work","user":"fa8bf3dc","presence":"Busy/InACall","rule":"call","because":"call is in-call (baresip)","state":"holding","confirmed":true}"#,
            ),
            (Event::Gone { account: "work".to_owned(), user: None }, r#"{"at":"…","event":"gone","account":"work"}"#),
            (
                Event::Gone { account: "work".to_owned(), user: Some("fa8bf3dc".to_owned()) },
                r#"{"at":"…","event":"gone","account":"work","user":"fa8bf3dc"}"#,
            ),
        ] {
            let json = json.replace('…', "2026-11-24T09:00:00.125Z");
            let record = Record { at, event };
            assert_eq!(serde_json::to_string(&record).unwrap(), json);
            assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        }
    }
}
