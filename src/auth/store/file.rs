//! A sign-in in a file: `{state_dir}/tokens/{account}.json`. Only its owner can read it, and it is whole or absent.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::failure::{Failure, FailureKind};
use crate::whole_file;

/// The file of one account.
pub(super) struct TokenFile {
    dir: PathBuf,
    path: PathBuf,
}

impl TokenFile {
    pub(super) fn new(account: &str, state_dir: &Path) -> Self {
        let dir = state_dir.join("tokens");
        let path = dir.join(format!("{}.json", stem(account)));
        Self { dir, path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its content; `None` if there is no file.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&self.path, "read", &error)),
        }
    }

    /// Writes all or nothing, even if the power fails: half a refresh token would cost a sign-in.
    pub(super) fn write(&self, sign_in: &[u8]) -> Result<(), Failure> {
        self.replace(sign_in).map_err(|error| unusable(&self.path, "written", &error))
    }

    /// Removes it; false: there was none.
    pub(super) fn remove(&self) -> Result<bool, Failure> {
        let removed = self.sweep_old_drafts().and_then(|()| whole_file::remove(&self.path));
        removed.map_err(|error| unusable(&self.path, "removed", &error))
    }

    /// The file to lock around each change of the sign-in, wherever the sign-in is kept.
    pub(super) fn open_lock(&self) -> Result<File, Failure> {
        let lock = self.path.with_extension("lock");
        let open = || {
            self.make_folder()?;
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock)
        };
        open().map_err(|error| unusable(&lock, "written", &error))
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(0o700))
    }

    fn replace(&self, sign_in: &[u8]) -> io::Result<()> {
        self.make_folder()?;
        self.sweep_old_drafts()?;
        whole_file::replace(&self.path, sign_in, whole_file::PRIVATE)
    }

    /// Removes drafts that killed processes of version 0.1 left. No live process has one, because the account is locked while
    /// its sign-in changes.
    fn sweep_old_drafts(&self) -> io::Result<()> {
        let stem = self.path.file_stem().unwrap_or_default().to_str();
        let is_own = |name: &str| old_draft_of(name).is_some_and(|of| Some(of) == stem);
        whole_file::sweep_names(&self.dir, is_own, |draft| fs::remove_file(draft))
    }
}

/// Removes what killed processes left of the sign-in to any account.
///
/// # Errors
/// Something cannot be removed.
pub(super) fn sweep(state_dir: &Path) -> io::Result<()> {
    let dir = state_dir.join("tokens");
    let swept = whole_file::sweep(&dir);
    let remove = |draft: &Path| {
        let stem = draft.file_name().and_then(OsStr::to_str).and_then(old_draft_of).unwrap_or_default();
        let lock = match File::open(dir.join(format!("{stem}.lock"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            lock => Some(lock?),
        };
        match lock.as_ref().map(|lock| flock(lock, FlockOperation::NonBlockingLockExclusive)) {
            // Whoever has the lock removes it.
            Some(Err(Errno::WOULDBLOCK)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(())) | None => fs::remove_file(draft),
        }
    };
    swept.and(whole_file::sweep_names(&dir, |name| old_draft_of(name).is_some(), remove))
}

/// The account, as in a file's name, whose draft version 0.1 gave this name: it contains a process id.
fn old_draft_of(name: &str) -> Option<&str> {
    let (stem, pid) = name.strip_suffix(".draft")?.rsplit_once('.')?;
    let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    (is_pid && !stem.is_empty()).then_some(stem)
}

fn unusable(path: &Path, done: &str, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Refused, format!("{} cannot be {done}: {error}", path.display()))
        .with_hint("check the owner and the permissions of the file and its folder, and whether the disk is full")
}

/// The account's name as a file name. Characters that could lead out of the folder, or confuse a shell, are percent-encoded.
fn stem(account: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    account.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn permissions_are_narrowed() {
        let folder = TempDir::new().unwrap();
        let file = TokenFile::new("work", folder.path());
        fs::create_dir(&file.dir).unwrap();
        fs::set_permissions(&file.dir, Permissions::from_mode(0o755)).unwrap();
        file.write(b"{}").unwrap();
        drop(file.open_lock().unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.dir), mode(&file.path)), (0o700, 0o600));
        assert_eq!(mode(&file.path.with_extension("lock")), 0o600);
    }

    #[test]
    fn drafts_of_killed_processes_go_with_the_next_change_and_other_files_stay() {
        let folder = TempDir::new().unwrap();
        let file = TokenFile::new("work", folder.path());
        let of_others = ["work2.17.draft", "work.x7.draft", "work..draft", "home.json", "home.17.draft"];
        let names = || {
            let names = fs::read_dir(&file.dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        file.write(b"{}").unwrap();
        for name in of_others {
            fs::write(file.dir.join(name), "").unwrap();
        }
        let clean = names();
        for change in [|file: &TokenFile| file.write(b"{}"), |file: &TokenFile| file.remove().map(drop)] {
            for name in ["work.1.draft", "work.4194304.draft", ".work.json.draft", ".work.json.draft2"] {
                fs::write(file.dir.join(name), "half of a refresh tok").unwrap();
            }
            change(&file).unwrap();
            assert!(names().is_subset(&clean), "{:?}", names());
        }
        assert_eq!(names(), of_others.map(str::to_owned).into());
        assert!(!file.remove().unwrap());
    }

    #[test]
    fn a_start_removes_the_drafts_of_all_accounts_but_none_that_is_being_written() {
        let folder = TempDir::new().unwrap();
        sweep(folder.path()).unwrap();
        let (work, home) = (TokenFile::new("work", folder.path()), TokenFile::new("home", folder.path()));
        work.write(b"{}").unwrap();
        home.write(b"{}").unwrap();
        let put = |name: &str| fs::write(work.dir.join(name), "half of a refresh tok").unwrap();
        for name in ["work.7.draft", "home.4194304.draft", "gone.1.draft", ".work.json.draft", ".gone.json.draft16"] {
            put(name);
        }
        for name in ["work.x.draft", "5.draft", ".draft", "notes.draft"] {
            put(name);
        }
        let (lock, mut draft) = (home.open_lock().unwrap(), whole_file::Draft::new(&home.path, 0o600).unwrap());
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        io::Write::write_all(&mut draft, b"{}").unwrap();
        sweep(folder.path()).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&work.dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        let mut left =
            [".draft", ".home.json.draft", "5.draft", "home.4194304.draft", "home.json", "home.lock"].to_vec();
        left.extend(["notes.draft", "work.json", "work.x.draft"]);
        assert_eq!(names, left);
        drop((lock, draft));
        sweep(folder.path()).unwrap();
        assert!(!work.dir.join("home.4194304.draft").exists());
    }

    #[test]
    fn an_account_is_one_file_whatever_its_name() {
        for (account, expected) in [
            ("work", "work"),
            ("../../etc", "%2E%2E%2F%2E%2E%2Fetc"),
            ("a b", "a%20b"),
            ("ü", "%C3%BC"),
            ("a%20b", "a%2520b"),
        ] {
            assert_eq!(stem(account), expected);
        }
    }
}
