//! Reading the file: every line that can be read, in order, or only those about one user.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

use super::Record;
use super::lines::{Head, Lines};
use crate::regular_file;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The records, in the order in which they were written. Their times may go back, if the clock was set back.
    pub records: Vec<Record>,
    /// The accounts with many users, if records about users are left out.
    pub of_many: BTreeSet<String>,
    /// How many lines could not be read.
    pub skipped: usize,
    /// When the daemon last showed that it was alive, to the minute.
    pub alive_at: Option<Timestamp>,
}

/// Whose records are read, beside those about the daemon and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// All.
    All,
    /// Those of accounts, but not of their users.
    Accounts,
    /// Those of the user with this object id, in lower case.
    User(&'a str),
}

/// Reads the file line by line, so that what is not asked for needs no memory.
///
/// # Errors
/// It cannot be read, or does not exist.
pub fn read(path: &Path, whose: Whose<'_>) -> io::Result<Read> {
    let file = regular_file::open(path)?;
    let mut read = Read { alive_at: Timestamp::new(file.metadata()?.mtime(), 0).ok(), ..Read::default() };
    let mut lines = Lines::of(file);
    while let Some((_, line)) = lines.next()? {
        if line == b"\n" {
            continue;
        }
        let Some(head) = Head::of(line) else {
            read.skipped += 1;
            continue;
        };
        let is_wanted = match (whose, head) {
            (Whose::All, _) | (_, Head { account: None, .. }) => true,
            (Whose::Accounts, Head { user, .. }) => user.is_none(),
            (Whose::User(_), Head { event, user: None, .. }) => event == "gone",
            (Whose::User(wanted), Head { user: Some(user), .. }) => user == wanted,
        };
        if is_wanted {
            match serde_json::from_slice(line) {
                Ok(record) => read.records.push(record),
                Err(_) => read.skipped += 1,
            }
        } else if let Some(account) =
            head.account.filter(|account| head.user.is_some() && !read.of_many.contains(*account))
        {
            read.of_many.insert(account.to_owned());
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_is_asked_for_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let held = |about: &str| {
            format!(
                r#"{{"at":"2026-11-24T09:00:00Z","event":"held",{about},"presence":null,"because":"x","state":"released","confirmed":true}}"#
            )
        };
        let lines = [
            r#"{"at":"2026-11-24T08:00:00Z","event":"started","version":"1"}"#.to_owned(),
            held(r#""account":"work""#),
            held(r#""account":"agents","user":"aa""#),
            held(r#""account":"agents","user":"bb""#),
            held(r#""account":"bots","user":"aa""#),
            r#"{"at":"2026-11-24T10:00:00Z","event":"gone","account":"bots"}"#.to_owned(),
            // What a later version might write, and half a line.
            r#"{"at":"2026-11-24T10:00:00Z","event":"moved","account":"work"}"#.to_owned(),
            held("").replace('}', ""),
        ];
        fs::write(&path, lines.join("\n")).unwrap();
        let count = |whose| {
            let read = read(&path, whose).unwrap();
            (read.records.len(), read.of_many.into_iter().collect::<Vec<_>>().join(" "), read.skipped)
        };
        assert_eq!(count(Whose::All), (6, String::new(), 2));
        assert_eq!(count(Whose::Accounts), (3, "agents bots".to_owned(), 2));
        // The daemon's start, two accounts, and that one of them is gone.
        assert_eq!(count(Whose::User("aa")).0, 4);
        assert_eq!(count(Whose::User("bb")).0, 3);
        assert_eq!(count(Whose::User("cc")).0, 2);
    }
}
