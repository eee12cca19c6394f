//! The emulator's certificate authority in the state folder: one file with its private key, which is the truth, and a copy of its
//! certificate for the clients.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use presenced_emulator::Authority;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::cli::error::{Error, Exit};
use crate::regular_file;
use crate::whole_file;

/// A file of an authority has about 1 KB.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Everybody may know the certificate.
const PUBLIC: u32 = 0o644;

/// The authority in `state_dir`, and the path of its certificate. It is created if there is none, and renewed before it expires.
/// Two emulators that start at once use the same one.
pub(super) fn authority(state_dir: &Path, now: Timestamp) -> Result<(Authority, PathBuf), Error> {
    let folder = state_dir.join("emulator");
    let unusable = |error: &io::Error| {
        let text = format!("the folder of the emulator's CA, {}, cannot be used: {error}", folder.display());
        Error::new(Exit::Failed, text).with_hint(
            "check who owns the folder, or choose another one with `XDG_STATE_HOME=DIR presenced emulator --tls`",
        )
    };
    let _lock = lock(&folder).map_err(|error| unusable(&error))?;
    let (secret, public) = (folder.join("ca-key.pem"), folder.join("ca.pem"));
    let stored = read(&secret)?.filter(|stored| !stored.is_due(now));
    let authority = if let Some(stored) = stored {
        stored
    } else {
        let new = Authority::new(now).map_err(|error| unusable(&error))?;
        whole_file::replace(&secret, new.to_pem().as_bytes(), whole_file::PRIVATE).map_err(|error| unusable(&error))?;
        new
    };
    let certificate = authority.certificate_pem();
    if !regular_file::read(&public, MAX_FILE_BYTES).is_ok_and(|bytes| bytes == certificate.as_bytes()) {
        whole_file::replace(&public, certificate.as_bytes(), PUBLIC).map_err(|error| unusable(&error))?;
    }
    Ok((authority, public))
}

/// Creates the folder and locks it until the result is dropped. Whoever has it locked only writes two small files.
fn lock(folder: &Path) -> io::Result<OwnedFd> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let folder = rustix::fs::open(folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    loop {
        match flock(&folder, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            taken => return taken.map(|()| folder).map_err(io::Error::from),
        }
    }
}

/// The stored authority; `None` if there is none yet.
fn read(path: &Path) -> Result<Option<Authority>, Error> {
    let wrong = |why: &dyn std::fmt::Display| {
        let text = format!("the emulator's CA {} cannot be used: {why}", path.display());
        Error::new(Exit::Failed, text)
            .with_hint("delete the file: the next start makes a new CA, which your clients must trust instead")
    };
    let bytes = match regular_file::read(path, MAX_FILE_BYTES) {
        Err(unfit) if unfit.is_missing() => return Ok(None),
        read => read.map_err(|unfit| wrong(&unfit).with_hint(unfit.hint()))?,
    };
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not text"))?;
    Authority::from_pem(&text).map(Some).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use jiff::SignedDuration;

    use super::*;

    fn now() -> Timestamp {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn it_is_made_once_and_its_key_is_private() {
        let state = tempfile::tempdir().unwrap();
        let (first, path) = authority(state.path(), now()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!((mode(&path.with_file_name("ca-key.pem")), mode(&path)), (0o600, 0o644));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first.certificate_pem());
        // A copy that was lost comes back.
        std::fs::remove_file(&path).unwrap();
        let (second, _) = authority(state.path(), now()).unwrap();
        assert_eq!(second.to_pem(), first.to_pem());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first.certificate_pem());
    }

    #[test]
    fn starts_at_once_use_the_same_one_also_when_it_is_renewed() {
        let state = tempfile::tempdir().unwrap();
        let mut before = String::new();
        for now in [now(), now() + SignedDuration::from_hours(9 * 365 * 24)] {
            let all: Vec<String> = thread::scope(|scope| {
                let starts: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| authority(state.path(), now).unwrap().0.to_pem())).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            assert!(all.iter().all(|pem| *pem == all[0]));
            assert_ne!(all[0], before, "it was due");
            before.clone_from(&all[0]);
        }
    }

    #[test]
    fn a_damaged_file_is_named_and_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        let (_, path) = authority(state.path(), now()).unwrap();
        let secret = path.with_file_name("ca-key.pem");
        std::fs::write(&secret, "damaged").unwrap();
        let error = authority(state.path(), now()).unwrap_err();
        assert!(error.text.contains("ca-key.pem cannot be used: it has no certificate"), "{}", error.text);
        assert!(error.hint.unwrap().starts_with("delete the file"));
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "damaged");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join("emulator"), "a file").unwrap();
        let error = authority(state.path(), now()).unwrap_err();
        assert!(error.text.contains("/emulator, cannot be used"), "{}", error.text);
        assert!(error.hint.unwrap().contains("XDG_STATE_HOME"));
    }
}
