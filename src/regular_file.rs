//! The one way to open a file at a path where anything may be. Only a regular file is opened, the caller never waits for another
//! program, and no more is read than a limit.
//!
//! A path proves nothing: a pipe waits for whoever writes to it, a device may have no end, and a link may lead to either. So what
//! is there is looked at before it is opened, because opening a pipe or a device has effects, and again afterwards, because it may
//! have been replaced.
//!
//! Leaves to others: a file system that does not answer (`off_the_loop`), and replacing a file as a whole (`whole_file`).

use std::fmt;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Why a file is not opened, or not read.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It is something else: `a pipe`.
    NotRegular(&'static str),
    /// It belongs to another user, or others may write to it.
    Foreign,
    /// It has more than this many bytes.
    TooLarge(u64),
    /// The system refused.
    Io(io::Error),
}

impl Unfit {
    /// Whether there is nothing at the path.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// What a person can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotRegular(_) | Self::Foreign | Self::TooLarge(_) => "move it away",
            Self::Io(_) => {
                "check the owner and the permissions of the file and its folder, and whether the disk is full or damaged"
            }
        }
    }
}

impl fmt::Display for Unfit {
    /// As a clause about the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegular(kind) => write!(f, "it is {kind}, not a regular file"),
            Self::Foreign => f.write_str("it belongs to another user, or others may write to it"),
            Self::TooLarge(limit) if limit % (1024 * 1024) == 0 => {
                write!(f, "it is larger than {} MiB", limit / 1024 / 1024)
            }
            Self::TooLarge(limit) => write!(f, "it is larger than {} KiB", limit / 1024),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unfit {}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Unfit> for io::Error {
    /// An error that says the same.
    fn from(unfit: Unfit) -> Self {
        let kind = match unfit {
            Unfit::NotRegular(_) => io::ErrorKind::InvalidInput,
            Unfit::Foreign => io::ErrorKind::PermissionDenied,
            Unfit::TooLarge(_) => io::ErrorKind::FileTooLarge,
            Unfit::Io(error) => return error,
        };
        Self::new(kind, unfit.to_string())
    }
}

/// Opens a file for reading. Links are followed.
pub(crate) fn open(path: &Path) -> Result<File, Unfit> {
    opened(path, OpenOptions::new().read(true), OFlags::empty())
}

/// Opens a file of this user, to which nobody else may write. A link is not followed.
pub(crate) fn open_own(path: &Path) -> Result<File, Unfit> {
    let file = opened(path, OpenOptions::new().read(true), OFlags::NOFOLLOW)?;
    let metadata = file.metadata()?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    if is_own { Ok(file) } else { Err(Unfit::Foreign) }
}

/// Opens a file for reading and writing; creates it for this user alone if there is none. A link is not followed.
pub(crate) fn open_or_create(path: &Path) -> Result<File, Unfit> {
    let mut options = OpenOptions::new();
    opened(path, options.read(true).write(true).create(true).truncate(false).mode(0o600), OFlags::NOFOLLOW)
}

/// The same for a file that only grows.
pub(crate) fn open_or_create_to_append(path: &Path) -> Result<File, Unfit> {
    opened(path, OpenOptions::new().read(true).append(true).create(true).mode(0o600), OFlags::NOFOLLOW)
}

/// The content of a file, which may have up to `limit` bytes. Links are followed.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Unfit> {
    let mut content = Vec::new();
    read_into(&open(path)?, limit, &mut content)?;
    Ok(content)
}

/// Appends the content of a file to `content`, if it has up to `limit` bytes.
pub(crate) fn read_into(file: &File, limit: u64, content: &mut Vec<u8>) -> Result<(), Unfit> {
    // One byte more is enough to know that it is too long. A file of /proc has no size.
    if file.metadata()?.len() > limit || file.take(limit + 1).read_to_end(content)? as u64 > limit {
        return Err(Unfit::TooLarge(limit));
    }
    Ok(())
}

/// What this is if it is not a regular file.
pub(crate) fn check(metadata: &Metadata) -> Result<(), Unfit> {
    if metadata.is_file() { Ok(()) } else { Err(Unfit::NotRegular(kind(metadata.file_type()))) }
}

fn opened(path: &Path, options: &mut OpenOptions, flags: OFlags) -> Result<File, Unfit> {
    let nofollow = flags.contains(OFlags::NOFOLLOW);
    match if nofollow { fs::symlink_metadata(path) } else { fs::metadata(path) } {
        Ok(found) => check(&found)?,
        // It may be created.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    // Every file that std opens is closed on exec.
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        if nofollow && error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            Unfit::NotRegular("a symbolic link")
        } else {
            Unfit::Io(error)
        }
    })?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn kind(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, mknodat};
    use tempfile::TempDir;

    use super::*;

    type Opener = fn(&Path) -> Result<File, Unfit>;
    const OPENERS: [Opener; 4] = [open, open_own, open_or_create, open_or_create_to_append];

    #[test]
    fn whatever_is_not_a_regular_file_is_named_and_never_waited_for() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        mknodat(CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        fs::create_dir(path("folder")).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        for open in OPENERS {
            for name in ["pipe", "folder", "socket"] {
                let unfit = open(&path(name)).unwrap_err();
                assert_eq!(unfit.to_string(), format!("it is a {name}, not a regular file"));
            }
            assert_eq!(open(Path::new("/dev/zero")).unwrap_err().to_string(), "it is a device, not a regular file");
        }
    }

    #[test]
    fn only_what_others_write_is_read_through_a_link() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "x").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("none", path("loose")).unwrap();
        assert_eq!(read(&path("link"), 1).unwrap(), b"x");
        for open in &OPENERS[1..] {
            for name in ["link", "loose"] {
                assert!(matches!(open(&path(name)), Err(Unfit::NotRegular("a symbolic link"))), "{name}");
            }
        }
        assert!(!path("none").exists());
        assert!(open(&path("loose")).unwrap_err().is_missing());
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path, 64 * 1024).unwrap_err().to_string(), "it is larger than 64 KiB");
        assert_eq!(read(&path, 1024 * 1024).unwrap_err().to_string(), "it is larger than 1 MiB");
        File::create(&path).unwrap().set_len(64 * 1024).unwrap();
        assert_eq!(read(&path, 64 * 1024).unwrap().len(), 64 * 1024);
        assert!(!read(Path::new("/proc/self/status"), 64 * 1024).unwrap().is_empty());
    }

    #[test]
    fn what_is_created_is_for_this_user_alone_and_what_exists_stays() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        open_or_create(&path).unwrap().write_all(b"one").unwrap();
        open_or_create_to_append(&path).unwrap().write_all(b" two").unwrap();
        drop(open_or_create(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        open_own(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(open_own(&path), Err(Unfit::Foreign)));
    }
}
