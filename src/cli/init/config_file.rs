//! The configuration's file: whether it can be written, and writing it, whole or not at all, and never over one that is there.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::Access;

use crate::cli::error::{Error, Exit};
use crate::whole_file::{self, folder_of};

/// Whether there is something at `path`, be it a link to nothing.
pub(super) fn is_taken(path: &Path) -> bool {
    let is_nothing = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    !fs::symlink_metadata(path).is_err_and(|error| is_nothing(&error))
}

/// Whether a file could be written at `path`, said before anybody is asked anything.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    let is_there = |folder: &&Path| is_taken(folder);
    let Some(folder) = folder_of(path).ancestors().find(is_there) else { return Ok(()) };
    let metadata = fs::metadata(folder).map_err(|error| cannot(path, &error))?;
    if !metadata.is_dir() {
        return Err(cannot(
            path,
            &io::Error::new(io::ErrorKind::NotADirectory, format!("{} is no folder", folder.display())),
        ));
    }
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| cannot(path, &error.into()))
}

/// Writes the file, for its owner alone, with the folders that it needs.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let folder = DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path));
    let written = folder.and_then(|()| whole_file::create_new(path, text.as_bytes(), whole_file::PRIVATE));
    written.map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    let text = format!("the configuration {} cannot be written: {error}", path.display());
    let hint = if error.kind() == io::ErrorKind::AlreadyExists {
        "somebody else wrote it meanwhile; run `presenced init` again, which goes on with that one"
    } else {
        "mend that, or name another place: `presenced init --config FILE`"
    };
    Error::new(Exit::Failed, text).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn it_is_written_for_its_owner_alone_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/config.toml");
        check(&path).unwrap();
        write(&path, "one").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let error = write(&path, "two").unwrap_err();
        assert!(error.hint.unwrap().starts_with("somebody else wrote it"), "{}", error.text);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_place_where_nothing_can_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for path in [folder.path().join("file/x/config.toml"), "/proc/presenced/config.toml".into()] {
            let (checked, written) = (check(&path), write(&path, ""));
            assert!(written.is_err());
            // The superuser may do anything, until it is tried.
            assert!(checked.is_err() || path.starts_with("/proc"), "{}", path.display());
        }
        symlink("nothing", folder.path().join("link")).unwrap();
        assert!(is_taken(&folder.path().join("link")) && !is_taken(&folder.path().join("none")));
    }
}
