//! History: what was claimed in the last two days, and whether Graph held it, in a file of the state folder.
//!
//! A line of JSON is one [`Record`]: from its time on something is so, until the next line says otherwise. [`Book`] is the
//! daemon's end, [`read`] everybody else's. Leaves to others: what is worth a record (`daemon/history`), and what follows from
//! them (`cli/history`).
//!
//! Nothing depends on it, so that it is written without waiting for the disk: what a crash costs is a line. A line that was not
//! written to its end, or that a later version wrote, is passed over. The file is its owner's alone, and holds no meeting's title
//! and nobody's address.

mod book;
mod read;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::State;

pub use book::Book;
pub use read::{Read, read};

/// How far back it reaches. What was so before that and still is stays.
pub const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// The largest the file becomes, in bytes.
pub const LARGEST: u64 = 1024 * 1024;

/// What is so from a time on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Since when.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What became so.
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
    /// It ended without a word, about then: it was killed, or the machine went down.
    Lost,
    /// The machine went to sleep.
    Asleep,
    /// It woke up.
    Awake,
    /// An account's decision, or what became of it.
    Held(Held),
    /// An account is not in the configuration any more.
    Gone {
        /// Its name.
        account: String,
    },
}

/// What an account is to hold, and whether it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its name.
    pub account: String,
    /// The pair as `Availability/Activity`; `None`: nothing.
    pub presence: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why, in one clause.
    pub because: String,
    /// What its session is doing.
    pub state: State,
    /// Whether Graph is known to hold just that.
    pub confirmed: bool,
}

/// The file of the daemon at `socket`: each has its own, since a socket has one daemon.
///
/// # Errors
/// The folder that a relative path starts from is gone.
pub fn path(state_dir: &Path, socket: &Path) -> io::Result<PathBuf> {
    let mut name = Vec::new();
    // As `systemd-escape` does it, but that what need not be escaped is left readable.
    for &byte in std::path::absolute(socket)?.as_os_str().as_bytes() {
        match byte {
            b'/' => name.push(b'-'),
            b'-' | b'%' => name.extend(format!("%{byte:02X}").into_bytes()),
            other => name.push(other),
        }
    }
    let mut name = OsString::from_vec(name);
    name.push(".jsonl");
    Ok(state_dir.join("history").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_has_a_file_of_its_own() {
        let name = |socket: &str| path(Path::new("/s"), Path::new(socket)).unwrap();
        assert_eq!(
            name("/run/user/1000/presenced/presenced.sock"),
            Path::new("/s/history/-run-user-1000-presenced-presenced.sock.jsonl")
        );
        assert_ne!(name("/run/a-b"), name("/run/a/b"));
        assert_ne!(name("/run/a%2Db"), name("/run/a-b"));
    }

    #[test]
    fn a_record_is_a_line_of_json_that_stays_as_it_is() {
        let at: Timestamp = "2026-11-24T09:00:00.125Z".parse().unwrap();
        let held = Held {
            account: "work".to_owned(),
            presence: Some("Busy/InACall".to_owned()),
            rule: Some("call".to_owned()),
            because: "call is in-call (baresip)".to_owned(),
            state: State::Holding,
            confirmed: true,
        };
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
            (Event::Gone { account: "work".to_owned() }, r#"{"at":"…","event":"gone","account":"work"}"#),
        ] {
            let json = json.replace('…', "2026-11-24T09:00:00.125Z");
            let record = Record { at, event };
            assert_eq!(serde_json::to_string(&record).unwrap(), json);
            assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        }
    }
}
