//! The last good copy of a calendar subscription: a file in the cache folder, and beside it what the server said about it.
//!
//! Only its owner may read it, it is never seen half-written, and its name does not reveal the address. Everything here blocks
//! on the file system. Leaves to others: fetching it (`subscription_fetch`).

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::SecretUrl;
use crate::regular_file;
use crate::whole_file::{self, Draft, PRIVATE, folder_of};

/// The folder of all copies, in the cache folder.
const FOLDER: &str = "subscriptions";

/// More is not known about a copy.
const MAX_FACTS_BYTES: u64 = 64 * 1024;

/// What is known about a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The server's `ETag`, for asking whether there is something newer.
    pub(super) etag: Option<String>,
    /// The server's `Last-Modified`, for the same purpose.
    pub(super) last_modified: Option<String>,
    /// When the server last confirmed that this is the calendar.
    pub(super) confirmed_at: Timestamp,
    /// The size of the calendar that the server sent, in bytes. `None`: the copy is not known to be what the server sent.
    #[serde(default)]
    pub(super) size: Option<u64>,
}

/// Where a copy is kept.
#[derive(Clone, Debug)]
pub(super) struct CachedCopy {
    calendar: PathBuf,
    facts: PathBuf,
}

impl CachedCopy {
    /// Where the copy of the calendar at `url` is kept. Its name is a name-based UUID (RFC 9562, 5.5): the same for the same
    /// address, which cannot be read out of it.
    pub(super) fn of(url: &SecretUrl, cache_dir: &Path) -> Self {
        let folder = cache_dir.join(FOLDER);
        let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, url.expose().as_str().as_bytes());
        Self { calendar: folder.join(format!("{name}.ics")), facts: folder.join(format!("{name}.json")) }
    }

    /// The calendar file.
    pub(super) fn path(&self) -> &Path {
        &self.calendar
    }

    /// What is known about the copy; `None` if there is no copy.
    pub(super) fn facts(&self) -> Option<Facts> {
        let facts: Facts = serde_json::from_slice(&regular_file::read(&self.facts, MAX_FACTS_BYTES).ok()?).ok()?;
        let copy = fs::metadata(&self.calendar).ok().filter(fs::Metadata::is_file)?;
        if facts.size == Some(copy.len()) {
            return Some(facts);
        }
        // An earlier version took over what was cut off. The server must send all of it, not only what is newer.
        Some(Facts { etag: None, last_modified: None, size: None, ..facts })
    }

    /// A new file for the next copy; dropping it deletes it.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        draft_of(&self.calendar)
    }

    /// Replaces the copy with a complete draft.
    pub(super) fn replace(&self, draft: Draft, facts: &Facts) -> io::Result<()> {
        // Without facts the next fetch is unconditional: old facts must never stand beside a new calendar.
        match fs::remove_file(&self.facts) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        draft.replace()?;
        self.store_facts(facts)
    }

    /// Stores new facts about the existing copy.
    pub(super) fn store_facts(&self, facts: &Facts) -> io::Result<()> {
        let mut draft = draft_of(&self.facts)?;
        draft.write_all(&serde_json::to_vec(facts)?)?;
        draft.replace()
    }
}

/// Removes what killed processes left in the cache folder: parts of copies. Blocks on the file system.
///
/// # Errors
/// Something cannot be removed.
pub(crate) fn sweep(cache_dir: &Path) -> io::Result<()> {
    let folder = cache_dir.join(FOLDER);
    let swept = whole_file::sweep(&folder);
    swept.and(whole_file::sweep_names(&folder, is_old_draft, |draft| fs::remove_file(draft)))
}

/// Whether version 0.1 gave a draft this name.
fn is_old_draft(name: &str) -> bool {
    name.strip_prefix(".tmp").is_some_and(|random| random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn draft_of(path: &Path) -> io::Result<Draft> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path))?;
    Draft::new(path, PRIVATE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const CALENDAR: &[u8] = b"BEGIN:VCALENDAR";

    fn url(text: &str) -> SecretUrl {
        SecretUrl::new(text.parse().unwrap())
    }

    fn facts() -> Facts {
        let confirmed_at = Timestamp::UNIX_EPOCH;
        Facts { etag: Some("\"1\"".to_owned()), last_modified: None, confirmed_at, size: Some(CALENDAR.len() as u64) }
    }

    #[test]
    fn only_its_owner_reads_a_copy_and_its_name_reveals_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let copy = CachedCopy::of(&url("https://cal.example/hunter2/basic.ics"), dir.path());
        assert_eq!(copy.facts(), None);
        let mut draft = copy.draft().unwrap();
        draft.write_all(CALENDAR).unwrap();
        copy.replace(draft, &facts()).unwrap();
        assert_eq!(copy.facts(), Some(facts()));
        let folder = copy.path().parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).unwrap().flatten() {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            names.push(entry.file_name().into_string().unwrap());
        }
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|name| !name.contains("hunter2") && !name.contains("cal")), "{names:?}");
    }

    #[test]
    fn a_copy_that_is_not_what_the_server_sent_is_asked_for_again() {
        let dir = tempfile::tempdir().unwrap();
        let copy = CachedCopy::of(&url("https://cal.example/a"), dir.path());
        let mut draft = copy.draft().unwrap();
        draft.write_all(&CALENDAR[1..]).unwrap();
        copy.replace(draft, &facts()).unwrap();
        let unconfirmed = Facts { etag: None, size: None, ..facts() };
        assert_eq!(copy.facts(), Some(unconfirmed.clone()));
        // As an earlier version wrote it.
        fs::write(&copy.facts, r#"{"etag": "\"1\"", "last_modified": null, "confirmed_at": "1970-01-01T00:00:00Z"}"#)
            .unwrap();
        assert_eq!(copy.facts(), Some(unconfirmed));
    }

    #[test]
    fn parts_of_copies_are_removed_and_copies_stay() {
        let dir = tempfile::tempdir().unwrap();
        sweep(dir.path()).unwrap();
        let copy = CachedCopy::of(&url("https://cal.example/a"), dir.path());
        let mut draft = copy.draft().unwrap();
        draft.write_all(CALENDAR).unwrap();
        copy.replace(draft, &facts()).unwrap();
        let folder = folder_of(copy.path());
        let name = copy.path().file_name().unwrap().to_str().unwrap();
        for left in [".tmpAb3xYz", ".tmp000000", &format!(".{name}.draft"), &format!(".{name}.draft3")] {
            fs::write(folder.join(left), CALENDAR).unwrap();
        }
        let under_way = copy.draft().unwrap();
        fs::write(folder.join(".tmp-mine"), CALENDAR).unwrap();
        sweep(dir.path()).unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 4, "the copy, its facts, a draft, and a file of others");
        drop(under_way);
        assert_eq!(copy.facts(), Some(facts()));
    }

    #[test]
    fn facts_without_a_calendar_do_not_count_and_a_dropped_draft_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let copy = CachedCopy::of(&url("https://cal.example/a"), dir.path());
        copy.store_facts(&facts()).unwrap();
        assert_eq!(copy.facts(), None);
        drop(copy.draft().unwrap());
        assert_eq!(fs::read_dir(dir.path().join("subscriptions")).unwrap().count(), 1);
    }
}
