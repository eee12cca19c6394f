//! What may be in place of a file, and is not a small regular file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::{fs, io};

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

    /// Puts it in place of a file, which a program may be writing.
    pub(crate) fn put(self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        loop {
            remove(path);
            match self.make(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.unwrap(),
            }
        }
    }

    fn make(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Pipe => Ok(mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0)?),
            Self::Device => symlink("/dev/zero", path),
            Self::Folder => fs::create_dir(path),
            // Sparse, so that it takes no room.
            Self::Huge => fs::File::create_new(path)?.set_len(1 << 40),
        }
    }
}

/// Removes a file, or whatever is in its place.
pub(crate) fn remove(path: &Path) {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{}: {error}", path.display()),
        Ok(()) | Err(_) => {}
    }
}
