//! Writes the configuration file, completely or not at all, and never over an existing file. Also checks first whether it can be
//! written.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::Access;

use crate::cli::error::{Error, Exit};
use crate::whole_file::{self, folder_of};

/// Whether something exists at `path`, even a dangling link.
pub(super) fn is_taken(path: &Path) -> bool {
    let is_nothing = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    !fs::symlink_metadata(path).is_err_and(|error| is_nothing(&error))
}

/// Checks that a file can be written at `path`, before any question is asked.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    let is_there = |folder: &&Path| is_taken(folder);
    let Some(folder) = folder_of(path).ancestors().find(is_there) else { return Ok(()) };
    let metadata = fs::metadata(folder).map_err(|error| cannot(path, &error))?;
    if !metadata.is_dir() {
        return Err(cannot(
            path,
            &io::Error::new(io::ErrorKind::NotADirectory, format!("{} is not a folder", folder.display())),
        ));
    }
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| cannot(path, &error.into()))
}

/// Writes the file for its owner only, and creates the folders above it.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let folder = DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path));
    let written = folder.and_then(|()| whole_file::create_new(path, text.as_bytes(), whole_file::PRIVATE));
    written.map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    let text = format!("the configuration {} cannot be written: {error}", path.display());
    let hint = if error.kind() == io::ErrorKind::AlreadyExists {
        "another program wrote it in the meantime; run `presenced init` again to use that file"
    } else {
        "fix that, or choose another file: `presenced init --config FILE`"
    };
    Error::new(Exit::Failed, text).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_file_is_private_and_never_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/config.toml");
        check(&path).unwrap();
        write(&path, "one").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let error = write(&path, "two").unwrap_err();
        assert!(error.hint.unwrap().starts_with("another program wrote it"), "{}", error.text);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn an_unwritable_path_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for path in [folder.path().join("file/x/config.toml"), "/proc/presenced/config.toml".into()] {
            let (checked, written) = (check(&path), write(&path, ""));
            assert!(written.is_err());
            // For root the check passes, and only the write fails.
            assert!(checked.is_err() || path.starts_with("/proc"), "{}", path.display());
        }
        symlink("nothing", folder.path().join("link")).unwrap();
        assert!(is_taken(&folder.path().join("link")) && !is_taken(&folder.path().join("none")));
    }
}
