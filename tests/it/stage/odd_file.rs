//! What may be in place of a file, and is not a small regular file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, mknodat};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    Pipe,
    Device,
    Folder,
    Huge,
}

impl Odd {
    pub(crate) const ALL: [Self; 4] = [Self::Pipe, Self::Device, Self::Folder, Self::Huge];

    /// Puts it in place of a file.
    pub(crate) fn put(self, path: &Path) {
        remove(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Self::Pipe => mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap(),
            Self::Device => symlink("/dev/zero", path).unwrap(),
            Self::Folder => fs::create_dir(path).unwrap(),
            // Sparse, so that it takes no room.
            Self::Huge => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        }
    }
}

/// Removes a file, or whatever is in its place.
pub(crate) fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir(path).unwrap();
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).unwrap();
    }
}
