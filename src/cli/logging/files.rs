//! Daily log files, which only their owner can read. `tracing-appender` writes and removes them. It opens them by name with the
//! usual mode, so each file is made ready before that: it exists with mode 0600, belongs to
//! this user, and is neither a link nor a pipe.
//!
//! A folder that presenced makes has mode 0700. An existing folder of this user that holds only logs is narrowed to that; any
//! other folder, such as `/tmp`, keeps its mode. There the files are private, but whoever may write to it may also replace
//! them.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Stderr, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustix::fs::OFlags;
use tracing_appender::rolling::{RollingFileAppender, RollingWriter, Rotation};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::EitherWriter;

use crate::cli::context::Context;
use crate::cli::error::{Error, Exit};

/// How many daily files are kept.
const MAX_LOG_FILES: usize = 14;

const PREFIX: &str = "presenced";
const SUFFIX: &str = "log";

/// How long before midnight the next day's file is made ready: longer than it takes to write a line.
const EARLY: Duration = Duration::from_secs(10);

/// The files in one folder.
pub(super) struct DailyFiles {
    folder: PathBuf,
    appender: RollingFileAppender,
    ready: Mutex<Ready>,
}

/// The last day whose file was made ready, or could not be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    For(Date),
    Not(Date),
}

impl DailyFiles {
    /// Opens today's file in `folder`, which is made if it is missing.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(Exit::Failed, format!("cannot write logs to {}: {error}", folder.display()))
                .with_hint("use `--log-dir`, or `dir` in [log], to choose a folder of your own that you can write to")
        };
        let now = Context::now();
        let early = day(now + EARLY);
        prepare_folder(folder).map_err(|error| failed(&error))?;
        for day in [day(now), early] {
            prepare_file(&path(folder, day)).map_err(|error| failed(&error))?;
        }
        let appender = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(PREFIX)
            .filename_suffix(SUFFIX)
            // It makes room for the day's file, which is there already.
            .max_log_files(MAX_LOG_FILES + 1)
            .build(folder)
            .map_err(|error| failed(&error))?;
        Ok(Self { folder: folder.to_owned(), appender, ready: Mutex::new(Ready::For(early)) })
    }

    /// Makes the file for a line at `now` ready. `false`: it must not be written to.
    fn is_ready(&self, now: Timestamp) -> bool {
        let day = day(now + EARLY);
        let mut ready = self.ready.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *ready == Ready::For(day) {
            return true;
        }
        let path = path(&self.folder, day);
        match prepare_folder(&self.folder).and_then(|()| prepare_file(&path)) {
            Ok(()) => *ready = Ready::For(day),
            Err(error) => {
                if std::mem::replace(&mut *ready, Ready::Not(day)) != Ready::Not(day) {
                    let path = crate::sanitize::logged(format_args!("{}", path.display()));
                    let _ = writeln!(io::stderr(), "cannot write the log to {path}: {error}; it continues here");
                }
            }
        }
        *ready == Ready::For(day)
    }
}

impl<'a> MakeWriter<'a> for DailyFiles {
    type Writer = EitherWriter<RollingWriter<'a>, Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        if self.is_ready(Context::now()) {
            EitherWriter::A(self.appender.make_writer())
        } else {
            EitherWriter::B(io::stderr())
        }
    }
}

/// Whether others may replace files in `folder`.
pub(super) fn is_open_to_others(folder: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o022 != 0 && metadata.mode() & STICKY == 0)
}

/// The day, in UTC, whose file a line at this time goes to.
fn day(time: Timestamp) -> Date {
    time.to_zoned_datetime(TimeZone::UTC).date()
}

/// As `tracing-appender` names it.
fn path(folder: &Path, day: Date) -> PathBuf {
    folder.join(format!("{PREFIX}.{day}.{SUFFIX}"))
}

fn is_log(name: &OsStr) -> bool {
    let day = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    day.is_some_and(|day| day.starts_with('.') && day.ends_with('.'))
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes `folder`, or narrows it and the files of older versions in it.
fn prepare_folder(folder: &Path) -> io::Result<()> {
    let metadata = match fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            // A umask can take away more than it should.
            return fs::set_permissions(folder, Permissions::from_mode(0o700));
        }
        metadata => metadata?,
    };
    // Root owns folders like /tmp and /var/log.
    if metadata.uid() != user() && metadata.uid() != 0 {
        return Err(io::Error::other(format!(
            "the folder belongs to another user (number {}), who could replace the files",
            metadata.uid()
        )));
    }
    let names: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    for name in names.iter().filter(|name| is_log(name)) {
        // What cannot be opened is not a file of ours.
        let Ok(file) = open(&folder.join(name), OpenOptions::new().read(true)) else { continue };
        narrow(&file)?;
    }
    let is_shared = metadata.mode() & 0o1000 != 0;
    let is_wide = metadata.mode() & 0o077 != 0;
    if is_wide && !is_shared && metadata.uid() == user() && names.iter().all(|name| is_log(name)) {
        fs::set_permissions(folder, Permissions::from_mode(metadata.mode() & 0o7700))?;
    }
    Ok(())
}

/// Makes sure that a file of ours is at `path`, and nothing that leads elsewhere.
fn prepare_file(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(found) = found {
        if found.is_file() && found.uid() != user() {
            return Err(io::Error::other(format!("{} belongs to another user", path.display())));
        }
        if found.is_file() && found.nlink() == 1 {
            return narrow(&open(path, OpenOptions::new().append(true))?);
        }
        // A planted link or pipe. What it leads to stays as it is.
        fs::remove_file(path)?;
    }
    narrow(&open(path, OpenOptions::new().append(true).create_new(true).mode(0o600))?)
}

/// Opens a file, but follows no link and waits for nobody at the other end.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

/// Lets only the owner read and write it.
fn narrow(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.uid() == user() && metadata.mode() & 0o7777 != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn the_next_days_file_is_ready_before_midnight() {
        let house = tempfile::tempdir().unwrap();
        let folder = house.path().join("logs");
        let files = DailyFiles::open(&folder).unwrap();
        let [noon, late, after]: [Timestamp; 3] =
            ["2030-01-05T12:00:00Z", "2030-01-05T23:59:55Z", "2030-01-06T08:00:00Z"].map(|time| time.parse().unwrap());
        let (today, tomorrow) = (folder.join("presenced.2030-01-05.log"), folder.join("presenced.2030-01-06.log"));
        symlink(house.path().join("elsewhere"), &tomorrow).unwrap();
        assert!(files.is_ready(noon));
        assert_eq!((mode(&today), tomorrow.is_symlink()), (0o600, true));
        assert!(files.is_ready(late));
        assert_eq!(mode(&tomorrow), 0o600);
        // The folder was removed in the meantime, and is made again.
        fs::remove_dir_all(&folder).unwrap();
        assert!(files.is_ready(after) && !folder.exists(), "nothing to do: it was ready");
        assert!(files.is_ready(noon));
        assert_eq!((mode(&folder), mode(&today)), (0o700, 0o600));
        assert!(!house.path().join("elsewhere").exists());
    }

    #[test]
    fn a_file_that_cannot_be_ready_is_not_written_to_until_it_can() {
        let house = tempfile::tempdir().unwrap();
        let files = DailyFiles::open(house.path()).unwrap();
        let noon = "2030-01-05T12:00:00Z".parse().unwrap();
        let in_the_way = house.path().join("presenced.2030-01-05.log");
        fs::create_dir(&in_the_way).unwrap();
        assert!(!files.is_ready(noon) && !files.is_ready(noon));
        fs::remove_dir(&in_the_way).unwrap();
        assert!(files.is_ready(noon));
    }

    #[test]
    fn the_library_opens_the_file_that_was_made_ready() {
        let house = tempfile::tempdir().unwrap();
        let before = day(Context::now());
        let files = DailyFiles::open(house.path()).unwrap();
        files.make_writer().write_all(b"a line\n").unwrap();
        let days = [before, before.tomorrow().unwrap()];
        let written =
            days.iter().filter_map(|day| fs::read_to_string(path(house.path(), *day)).ok()).collect::<String>();
        assert_eq!(written, "a line\n");
    }
}
