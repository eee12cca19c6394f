//! The daemon's end: appends records, and keeps the file small.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Unit};
use rustix::fs::Timestamps;

use super::shorten::shorten;
use super::{Event, Limits, Record};
use crate::regular_file;

/// The last record is looked for in this part of the file.
const END_BYTES: u64 = 64 * 1024;

/// The file of one daemon, which is the only one that writes it.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    limits: Limits,
    /// `None`: the next record opens it.
    file: Option<File>,
    length: u64,
}

impl Book {
    /// The book at `path`, not opened yet.
    pub fn new(path: PathBuf, limits: Limits) -> Self {
        Self { path, limits, file: None, length: 0 }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it has; 0 if it was not opened yet.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// From now on, this much is kept.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A daemon starts at `now`. Records also the end of the daemon before if that one could not.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&mut self, version: &str, now: Timestamp) -> io::Result<()> {
        let mut records = Vec::new();
        let ended = |record: &Record| matches!(record.event, Event::Stopped | Event::Lost);
        if let Some((last, alive_at)) = self.last()?.filter(|(last, _)| !ended(last)) {
            let at = alive_at.map_or(last.at, |alive_at| alive_at.max(last.at)).min(now.max(last.at));
            records.push(Record { at, event: Event::Lost });
        }
        records.push(Record { at: now, event: Event::Started { version: version.to_owned() } });
        self.write(records, now)
    }

    /// Appends records.
    ///
    /// # Errors
    /// They cannot be written, and some may be lost. The next ones try again.
    pub fn write(&mut self, records: Vec<Record>, now: Timestamp) -> io::Result<()> {
        let mut lines = Vec::new();
        for Record { at, event } in records {
            let at = at.round(Unit::Millisecond).unwrap_or(at);
            serde_json::to_writer(&mut lines, &Record { at, event })?;
            lines.push(b'\n');
            // More at once might not fit at all.
            if lines.len() as u64 > self.limits.max_bytes / 16 {
                self.append(&lines, now)?;
                lines.clear();
            }
        }
        if lines.is_empty() { Ok(()) } else { self.append(&lines, now) }
    }

    fn append(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        let mut file = self.take_file()?;
        if self.length + lines.len() as u64 > self.limits.max_bytes {
            shorten(&self.path, &self.limits, self.limits.room(), now)?;
            file = self.open()?;
        }
        file.write_all(lines)?;
        self.length += lines.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Removes what is too old or too much, except for what is still true.
    ///
    /// # Errors
    /// It cannot be read or written, and stays as it is.
    pub fn tidy(&mut self, now: Timestamp) -> io::Result<()> {
        let file = self.take_file()?;
        let max = self.limits.max_bytes;
        let room = if self.length > max { self.limits.room() } else { max };
        let is_other_file = shorten(&self.path, &self.limits, room, now)?;
        self.file = Some(if is_other_file { self.open()? } else { file });
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

    fn take_file(&mut self) -> io::Result<File> {
        match self.file.take() {
            // Whoever deleted the file wanted a new one.
            Some(file) if file.metadata()?.nlink() > 0 => Ok(file),
            Some(_) | None => self.open(),
        }
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

    /// The last record, and when the daemon last showed that it was alive.
    fn last(&self) -> io::Result<Option<(Record, Option<Timestamp>)>> {
        let mut file = match regular_file::open(&self.path).map_err(io::Error::from) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let metadata = file.metadata()?;
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(END_BYTES)))?;
        let mut end = Vec::new();
        file.take(END_BYTES).read_to_end(&mut end)?;
        let last = end.rsplit(|byte| *byte == b'\n').find_map(|line| serde_json::from_slice(line).ok());
        Ok(last.map(|record| (record, Timestamp::new(metadata.mtime(), 0).ok())))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::SignedDuration;

    use super::super::{Held, Read, Whose};
    use super::*;
    use crate::session::State;

    const LIMITS: Limits = Limits { keep: SignedDuration::from_hours(48), max_bytes: 1_000_000 };

    fn at(text: &str) -> Timestamp {
        format!("2020-11-{text}:00Z").parse().unwrap()
    }

    fn held(when: &str, account: &str, because: &str) -> Record {
        let held = Held {
            account: account.to_owned(),
            user: None,
            presence: Some("Away/Away".to_owned()),
            rule: None,
            because: because.to_owned(),
            state: State::Holding,
            confirmed: true,
        };
        Record { at: at(when), event: Event::Held(held) }
    }

    fn of_user(when: &str, number: u32, because: &str) -> Record {
        let mut record = held(when, "agents", because);
        if let Event::Held(held) = &mut record.event {
            held.user = Some(format!("fa8bf3dc-eca7-46b7-bad1-{number:012}"));
        }
        record
    }

    fn read(path: &Path) -> Read {
        super::super::read(path, Whose::All).unwrap()
    }

    fn write(book: &mut Book, record: Record) -> io::Result<()> {
        let at = record.at;
        book.write(vec![record], at)
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
        read(path).records.into_iter().map(word).collect()
    }

    fn book() -> (tempfile::TempDir, Book) {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::new(folder.path().join("history/a.jsonl"), LIMITS);
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
        write(&mut book, Record { at: at("24T10:00"), event: Event::Stopped }).unwrap();
        book.begin("0.1.0", at("24T11:00")).unwrap();
        write(&mut book, held("24T11:01", "work", "one")).unwrap();
        book.begin("0.1.0", at("24T12:00")).unwrap();
        assert_eq!(events(book.path()), ["started", "stopped", "started", "one", "lost", "started"]);
        let lost = &read(book.path()).records[4];
        // The file is newer than these records, but a daemon cannot end after the next one started.
        assert_eq!(lost.at, at("24T12:00"));
    }

    #[test]
    fn an_incomplete_line_spoils_no_other() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        let mut file = File::options().append(true).open(book.path()).unwrap();
        file.write_all(br#"{"at":"2020-11-24T09:00:01Z","event":"#).unwrap();
        let mut book = Book::new(book.path().to_owned(), LIMITS);
        write(&mut book, held("24T09:02", "work", "one")).unwrap();
        assert_eq!(events(book.path()), ["started", "one"]);
        assert_eq!(read(book.path()).skipped, 1);
        // The next daemon removes it.
        book.begin("0.1.0", at("24T10:00")).unwrap();
        book.tidy(at("24T10:00")).unwrap();
        assert_eq!((events(book.path()).len(), read(book.path()).skipped), (4, 0));
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
            write(&mut book, record).unwrap();
        }
        write(&mut book, Record { at: at("23T13:00"), event: Event::Stopped }).unwrap();
        book.begin("0.1.0", at("24T12:00")).unwrap();
        book.tidy(at("24T12:00")).unwrap();
        let expected = ["started", "old too", "the last old one", "young", "stopped", "started"];
        assert_eq!(events(book.path()), expected);
    }

    #[test]
    fn it_never_becomes_too_large() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        write(&mut book, held("24T09:00", "home", "the other account")).unwrap();
        let long = "x".repeat(4000);
        for _ in 0..600 {
            write(&mut book, held("24T10:00", "work", &long)).unwrap();
            assert!(fs::metadata(book.path()).unwrap().len() <= LIMITS.max_bytes);
        }
        let kept = events(book.path());
        assert!(kept.len() > 100, "{}", kept.len());
        assert_eq!(kept[..2], ["started", "the other account"]);
    }

    #[test]
    fn more_at_once_than_fits_leaves_the_newest() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        let records = (0..20_000).map(|number| of_user("24T09:01", number, "one"));
        book.write(records.collect(), at("24T09:01")).unwrap();
        let length = fs::metadata(book.path()).unwrap().len();
        assert!((LIMITS.max_bytes / 2..=LIMITS.max_bytes).contains(&length), "{length}");
        let last = read(book.path()).records.pop().unwrap();
        assert_eq!(last, of_user("24T09:01", 19_999, "one"));
    }

    #[test]
    fn lower_limits_count_from_the_next_tidying_on() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        book.write((0..4000).map(|number| of_user("24T09:01", number, "old")).collect(), at("24T09:01")).unwrap();
        book.write((0..400).map(|number| of_user("24T11:01", number, "new")).collect(), at("24T11:01")).unwrap();
        let count = |book: &Book, of: &str| events(book.path()).iter().filter(|event| *event == of).count();
        book.limit(Limits { max_bytes: 400_000, ..LIMITS });
        book.tidy(at("24T11:02")).unwrap();
        assert!(fs::metadata(book.path()).unwrap().len() <= 350_000);
        assert!(count(&book, "old") > 400 && count(&book, "new") == 400);
        book.limit(Limits { keep: SignedDuration::from_hours(1), ..LIMITS });
        book.tidy(at("24T11:30")).unwrap();
        // Of each user, the last old one is still true at the start of the hour.
        let old = count(&book, "old");
        assert!(old > 0 && count(&book, "new") == 400);
        book.tidy(at("24T11:30")).unwrap();
        assert_eq!(count(&book, "old"), old);
        write(&mut book, held("24T11:31", "work", "one")).unwrap();
        assert_eq!(events(book.path()).last().unwrap(), "one");
    }

    #[test]
    fn a_file_that_was_deleted_is_created_again() {
        let (folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        fs::remove_dir_all(folder.path().join("history")).unwrap();
        write(&mut book, held("24T09:01", "work", "one")).unwrap();
        assert_eq!(events(book.path()), ["one"]);
    }

    #[test]
    fn a_sign_of_life_sets_the_time_of_the_file() {
        let (_folder, mut book) = book();
        book.begin("0.1.0", at("24T09:00")).unwrap();
        let file = File::options().write(true).open(book.path()).unwrap();
        let long_ago = rustix::fs::Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
        rustix::fs::futimens(&file, &Timestamps { last_access: long_ago, last_modification: long_ago }).unwrap();
        assert_eq!(read(book.path()).alive_at, Timestamp::new(1_000_000, 0).ok());
        book.sign_of_life().unwrap();
        assert!(read(book.path()).alive_at > Timestamp::new(1_000_000, 0).ok());
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_the_next_record_tries_again() {
        let (folder, mut book) = book();
        fs::write(folder.path().join("history"), "no folder").unwrap();
        write(&mut book, held("24T09:01", "work", "one")).unwrap_err();
        fs::remove_file(folder.path().join("history")).unwrap();
        write(&mut book, held("24T09:02", "work", "two")).unwrap();
        assert_eq!(events(book.path()), ["two"]);
        // A link cannot redirect it.
        fs::remove_file(book.path()).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), book.path()).unwrap();
        let mut book = Book::new(book.path().to_owned(), LIMITS);
        write(&mut book, held("24T09:03", "work", "three")).unwrap_err();
    }
}
