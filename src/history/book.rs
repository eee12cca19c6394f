//! The daemon's end: appends records, and keeps the file small.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Unit};
use rustix::fs::Timestamps;

use super::{Event, KEPT_FOR, MAX_FILE_BYTES, Record, read};
use crate::regular_file;
use crate::whole_file;

/// The size to which a file is shortened that became too large.
const SHORTENED_BYTES: usize = 512 * 1024;

/// The file of one daemon, which is the only one that writes it.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    /// `None`: the next record opens it.
    file: Option<File>,
    length: u64,
}

impl Book {
    /// The book at `path`, not opened yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, length: 0 }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A daemon starts at `now`: removes what is too old, and records the end of the daemon before if that one could not.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&mut self, version: &str, now: Timestamp) -> io::Result<()> {
        let before = self.shorten(now)?;
        let ended = |record: &Record| matches!(record.event, Event::Stopped | Event::Lost);
        if let Some(last) = before.records.last().filter(|last| !ended(last)) {
            let at = before.alive_at.map_or(last.at, |alive_at| alive_at.max(last.at)).min(now.max(last.at));
            self.write(&Record { at, event: Event::Lost })?;
        }
        self.write(&Record { at: now, event: Event::Started { version: version.to_owned() } })
    }

    /// Appends a record.
    ///
    /// # Errors
    /// It cannot be written, and is lost. The next one tries again.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        let at = record.at.round(Unit::Millisecond).unwrap_or(record.at);
        let mut line = serde_json::to_vec(&Record { at, event: record.event.clone() })?;
        line.push(b'\n');
        if self.length + line.len() as u64 > MAX_FILE_BYTES {
            self.shorten(record.at)?;
        }
        let mut file = match self.file.take() {
            // Whoever deleted the file wanted a new one.
            Some(file) if file.metadata()?.nlink() > 0 => file,
            Some(_) | None => self.open()?,
        };
        file.write_all(&line)?;
        self.length += line.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Shows that the daemon is still alive, without a record: sets the file's time.
    ///
    /// # Errors
    /// The time cannot be set.
    pub fn sign_of_life(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        Ok(rustix::fs::futimens(file, &Timestamps { last_access: now, last_modification: now })?)
    }

    fn open(&mut self) -> io::Result<File> {
        self.make_folder()?;
        let mut file = regular_file::open_or_create_to_append(&self.path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        self.length = file.metadata()?.len();
        let mut last = [b'\n'];
        if self.length > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            // An incomplete line must not spoil the next one.
            file.write_all(b"\n")?;
            self.length += 1;
        }
        Ok(file)
    }

    fn make_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    /// Removes what is too old or too much, except for what is still true. Returns what the file held before.
    fn shorten(&mut self, now: Timestamp) -> io::Result<super::Read> {
        let before = match read(&self.path) {
            Ok(before) => before,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(super::Read::default()),
            Err(error) => return Err(error),
        };
        let lines = shortened(&before.records, now);
        if lines.len() == before.records.len() && before.skipped == 0 {
            return Ok(before);
        }
        whole_file::replace(&self.path, &lines.concat(), whole_file::PRIVATE)?;
        self.file = None;
        self.length = 0;
        Ok(before)
    }
}

/// The lines that are worth keeping at `now`: all records that are recent enough, up to a size, and of the older ones the last
/// record about each subject.
fn shortened(records: &[Record], now: Timestamp) -> Vec<Vec<u8>> {
    let since = now.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN);
    let mut room = SHORTENED_BYTES;
    let mut full = false;
    let mut settled = BTreeSet::new();
    let mut kept = Vec::new();
    for record in records.iter().rev() {
        let Ok(mut line) = serde_json::to_vec(record) else { continue };
        line.push(b'\n');
        full = full || record.at < since || line.len() > room;
        // Beyond the window, the first record found about a subject is the latest one.
        if full && !settled.insert(subject(&record.event)) {
            continue;
        }
        room = room.saturating_sub(line.len());
        kept.push(line);
    }
    kept.reverse();
    kept
}

/// What a record is about: an account, by name, or the daemon and the machine.
fn subject(event: &Event) -> Option<&str> {
    match event {
        Event::Held(held) => Some(&held.account),
        Event::Gone { account } => Some(account),
        Event::Started { .. } | Event::Stopped | Event::Lost | Event::Asleep | Event::Awake => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Held;
    use super::*;
    use crate::session::State;

    fn at(text: &str) -> Timestamp {
        format!("2020-11-{text}:00Z").parse().unwrap()
    }

    fn held(when: &str, account: &str, because: &str) -> Record {
        let held = Held {
            account: account.to_owned(),
            presence: Some("Away/Away".to_owned()),
            rule: None,
            because: because.to_owned(),
            state: State::Holding,
            confirmed: true,
        };
        Record { at: at(when), event: Event::Held(held) }
    }

    fn events(path: &Path) -> Vec<String> {
        let word = |record: Record| match record.event {
            Event::Held(held) => held.because,
            event @ (Event::Started { .. }
            | Event::Stopped
            | Event::Lost
            | Event::Asleep
            | Event::Awake
            | Event::Gone { .. }) => serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned(),
        };
        read(path).unwrap().records.into_iter().map(word).collect()
    }

    fn book() -> (tempfile::TempDir, Book) {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::new(folder.path().join("history/a.jsonl"));
        (folder, book)
    }

    #[test]
    fn only_its_owner_can_read_it() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(book.path()), mode(book.path().parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_daemon_that_ended_without_a_record_is_lost() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        book.write(&Record { at: at("24T10:00"), event: Event::Stopped }).unwrap();
        book.begin("0.1.0", at("24T11:00")).unwrap();
        book.write(&held("24T11:01", "work", "one")).unwrap();
        book.begin("0.1.0", at("24T12:00")).unwrap();
        assert_eq!(events(book.path()), ["started", "stopped", "started", "one", "lost", "started"]);
        let lost = &read(book.path()).unwrap().records[4];
        // The file is newer than these records, but a daemon cannot end after the next one started.
        assert_eq!(lost.at, at("24T12:00"));
    }

    #[test]
    fn an_incomplete_line_spoils_no_other() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        let mut file = File::options().append(true).open(book.path()).unwrap();
        file.write_all(br#"{"at":"2020-11-24T09:00:01Z","event":"#).unwrap();
        let mut book = Book::new(book.path().to_owned());
        book.write(&held("24T09:02", "work", "one")).unwrap();
        assert_eq!(events(book.path()), ["started", "one"]);
        assert_eq!(read(book.path()).unwrap().skipped, 1);
        // The next daemon removes it.
        book.begin("0.1.0", at("24T10:00")).unwrap();
        assert_eq!((events(book.path()).len(), read(book.path()).unwrap().skipped), (4, 0));
    }

    #[test]
    fn old_records_go_unless_they_are_still_true() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("20T09:00")).unwrap();
        for record in [
            held("20T09:01", "work", "old"),
            held("20T09:02", "home", "old too"),
            held("20T09:03", "work", "the last old one"),
            held("23T12:00", "work", "young"),
        ] {
            book.write(&record).unwrap();
        }
        book.write(&Record { at: at("23T13:00"), event: Event::Stopped }).unwrap();
        book.begin("0.1.0", at("24T12:00")).unwrap();
        let expected = ["started", "old too", "the last old one", "young", "stopped", "started"];
        assert_eq!(events(book.path()), expected);
    }

    #[test]
    fn it_never_becomes_too_large() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        book.write(&held("24T09:00", "home", "the other account")).unwrap();
        let long = "x".repeat(4000);
        for _ in 0..600 {
            book.write(&held("24T10:00", "work", &long)).unwrap();
            assert!(fs::metadata(book.path()).unwrap().len() <= MAX_FILE_BYTES);
        }
        let kept = events(book.path());
        assert!(kept.len() > 100, "{}", kept.len());
        assert_eq!(kept[..2], ["started", "the other account"]);
    }

    #[test]
    fn a_file_that_was_deleted_is_created_again() {
        let (folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        fs::remove_dir_all(folder.path().join("history")).unwrap();
        book.write(&held("24T09:01", "work", "one")).unwrap();
        assert_eq!(events(book.path()), ["one"]);
    }

    #[test]
    fn a_sign_of_life_sets_the_time_of_the_file() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        let file = File::options().write(true).open(book.path()).unwrap();
        let long_ago = rustix::fs::Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
        rustix::fs::futimens(&file, &Timestamps { last_access: long_ago, last_modification: long_ago }).unwrap();
        assert_eq!(read(book.path()).unwrap().alive_at, Timestamp::new(1_000_000, 0).ok());
        book.sign_of_life().unwrap();
        assert!(read(book.path()).unwrap().alive_at > Timestamp::new(1_000_000, 0).ok());
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_the_next_record_tries_again() {
        let (folder, mut book) = book();
        fs::write(folder.path().join("history"), "no folder").unwrap();
        book.write(&held("24T09:01", "work", "one")).unwrap_err();
        fs::remove_file(folder.path().join("history")).unwrap();
        book.write(&held("24T09:02", "work", "two")).unwrap();
        assert_eq!(events(book.path()), ["two"]);
        // A link cannot redirect it.
        fs::remove_file(book.path()).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), book.path()).unwrap();
        Book::new(book.path().to_owned()).write(&held("24T09:03", "work", "three")).unwrap_err();
    }
}
