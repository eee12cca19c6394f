//! Finding call-state files, and reading those that are small regular files.
//!
//! Leaves to others: what is in them (`state`).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::file_watch::resolve::{Resolved, WatchSet, is_scratch};
use crate::regular_file::{self, Unfit};

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// At most this many files of a folder are read, in the order of their names.
pub(super) const MAX_FILES: usize = 256;

/// What is at the configured path.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The files to read, by their real path.
    pub(super) files: BTreeSet<PathBuf>,
    /// What must be watched.
    pub(super) watch_set: WatchSet,
    /// Files beyond [`MAX_FILES`].
    pub(super) too_many: usize,
    /// Why the path itself cannot be used.
    pub(super) trouble: Option<Unread>,
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It does not exist any more.
    Vanished,
    /// It is larger than [`MAX_FILE_BYTES`].
    TooLarge,
    /// It is not a regular file.
    Special,
    /// The system refused to open or read it.
    Io(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Vanished } else { Self::Io(error) }
    }
}

impl From<Unfit> for Unread {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            // Anybody may tell of a call, so no file is foreign.
            Unfit::NotRegular(_) | Unfit::Foreign => Self::Special,
            Unfit::TooLarge(_) => Self::TooLarge,
            Unfit::Io(error) => error.into(),
        }
    }
}

/// Looks at a file, or at the files of a folder, where anything but a regular file is ignored.
pub(super) fn list(path: &Path) -> Listing {
    let mut listing = Listing::default();
    let folder = match listing.watch_set.resolve(path) {
        Resolved::Missing => return listing,
        Resolved::File(real) => {
            listing.files.insert(real);
            return listing;
        }
        Resolved::Folder(folder) => folder,
        Resolved::Special => return Listing { trouble: Some(Unread::Special), ..listing },
        Resolved::Unreachable(error) => return Listing { trouble: Some(Unread::Io(error)), ..listing },
    };
    let mut names = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            listing.watch_set.add_folder(&folder);
            names.extend(entries.flatten().map(|entry| entry.file_name()).filter(|name| !is_scratch(name)));
        }
        Err(error) => {
            // Without the right to list it, it cannot be watched either; a change of that right is seen in its parent folder.
            listing.watch_set.add_path(&folder);
            listing.trouble = (error.kind() != io::ErrorKind::NotFound).then_some(Unread::Io(error));
        }
    }
    names.sort_unstable();
    for name in names {
        let file = folder.join(name);
        let resolved = listing.watch_set.resolve(&file);
        let real = match resolved {
            Resolved::File(real) => real,
            Resolved::Unreachable(_) => file,
            Resolved::Missing | Resolved::Folder(_) | Resolved::Special => continue,
        };
        if listing.files.len() == MAX_FILES {
            listing.too_many += 1;
            continue;
        }
        listing.files.insert(real);
    }
    listing
}

/// Reads a file, and says when it was last written.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, Timestamp), Unread> {
    let file = regular_file::open(path)?;
    let metadata = file.metadata()?;
    let mut content = Vec::new();
    regular_file::read_into(&file, MAX_FILE_BYTES, &mut content)?;
    let nanos = i32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    let written = Timestamp::new(metadata.mtime(), nanos).unwrap_or(Timestamp::MIN);
    Ok((content, written))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_lists_its_regular_files_and_links_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("calls")).unwrap();
        fs::create_dir(root.join("calls/folder")).unwrap();
        fs::write(root.join("outside"), "idle").unwrap();
        for name in ["b", ".hidden", "a~", "a.tmp", "a.swp"] {
            fs::write(root.join("calls").join(name), "idle").unwrap();
        }
        symlink("../outside", root.join("calls/a")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("calls/presenced.sock")).unwrap();
        let listing = list(&root.join("calls"));
        let files: Vec<_> = listing.files.into_iter().collect();
        assert_eq!(files, [root.join("calls/b"), root.join("outside")]);
        assert!(listing.watch_set.contains(&root.join("outside")));
    }

    #[test]
    fn the_number_of_files_that_are_read_is_limited() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..MAX_FILES + 3 {
            fs::write(dir.path().join(format!("{number:04}")), "idle").unwrap();
        }
        let listing = list(dir.path());
        assert_eq!((listing.files.len(), listing.too_many), (MAX_FILES, 3));
    }

    #[test]
    fn a_large_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::File::create(&path).unwrap().set_len(50_000_000).unwrap();
        assert!(matches!(read(&path), Err(Unread::TooLarge)));
        fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES).unwrap();
        assert_eq!(read(&path).unwrap().0.len() as u64, MAX_FILE_BYTES);
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(read(&fifo), Err(Unread::Special)));
        assert!(matches!(list(&fifo).trouble, Some(Unread::Special)));
        assert!(matches!(read(Path::new("/dev/zero")), Err(Unread::Special)));
        assert!(matches!(read(dir.path()), Err(Unread::Special)));
        assert!(matches!(read(&dir.path().join("none")), Err(Unread::Vanished)));
    }
}
