//! A folder for the files that a signal watches.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::PathBuf;

/// A temporary folder by its real path.
pub(crate) struct Folder {
    _dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Folder {
    /// A new one, which goes with this value.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        Self { _dir: dir, path }
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file the way a careful program does: renamed into place when it is complete.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        let new = self.path.join(format!("{name}.tmp"));
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path.join(name)).unwrap();
    }
}
