//! A sign-in in a file: `{state_dir}/tokens/{account}.json`. Only its owner can read it, and it is whole or absent.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::{Failure, FailureKind};
use crate::off_the_loop::off_the_loop_in_time;
use crate::regular_file::{self, Unfit};
use crate::whole_file;

use super::lock::{Lock, Untaken};

/// More than any sign-in has: an answer of the sign-in service has at most half of it.
const MAX_BYTES: u64 = 128 * 1024;

/// The file of one account.
#[derive(Clone)]
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
    pub(super) async fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        self.patiently("read", |file| match regular_file::read(&file.path, MAX_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(unfit) if unfit.is_missing() => Ok(None),
            Err(unfit) => Err(unfit),
        })
        .await
    }

    /// Writes all or nothing, even if the power fails: half a refresh token would cost a sign-in.
    /// The lock is held until that has happened, even if nobody waits for it any more.
    pub(super) async fn write(&self, sign_in: SecretString, lock: &Arc<Lock>) -> Result<(), Failure> {
        let lock = Arc::clone(lock);
        self.patiently("written", move |file| {
            let _lock = lock;
            Ok(file.replace(sign_in.expose_secret().as_bytes())?)
        })
        .await
    }

    /// Removes it; false: there was none.
    pub(super) async fn remove(&self, lock: &Arc<Lock>) -> Result<bool, Failure> {
        let lock = Arc::clone(lock);
        self.patiently("removed", move |file| {
            let _lock = lock;
            Ok(file.clear()?)
        })
        .await
    }

    /// Waits for the lock that is held around each change of the sign-in, wherever the sign-in is kept.
    pub(super) async fn lock(&self) -> Result<Arc<Lock>, Failure> {
        let file = self.clone();
        let taken = Lock::take(&self.lock_path(), move || file.open_lock()).await;
        taken.map(Arc::new).map_err(|untaken| {
            let path = self.lock_path();
            match untaken {
                Untaken::Unfit(unfit) => unusable(&path, "written", &unfit),
                Untaken::Late => late(&path, "written"),
                Untaken::Held(error) => {
                    Failure::new(FailureKind::Passing, format!("{} cannot be locked: {error}", path.display()))
                }
            }
        })
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    fn open_lock(&self) -> Result<File, Unfit> {
        self.make_folder()?;
        regular_file::open_or_create(&self.lock_path())
    }

    /// Does something with the file where it may block, and gives up if the file system does not answer.
    async fn patiently<T: Send + 'static>(
        &self,
        done: &str,
        work: impl FnOnce(&Self) -> Result<T, Unfit> + Send + 'static,
    ) -> Result<T, Failure> {
        let file = self.clone();
        match off_the_loop_in_time(&self.path, move || work(&file)).await {
            Some(outcome) => outcome.map_err(|unfit| unusable(&self.path, done, &unfit)),
            None => Err(late(&self.path, done)),
        }
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(0o700))
    }

    fn clear(&self) -> io::Result<bool> {
        self.sweep_old_drafts()?;
        whole_file::remove(&self.path)
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
        let lock = match regular_file::open(&dir.join(format!("{stem}.lock"))) {
            Err(unfit) if unfit.is_missing() => None,
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

fn unusable(path: &Path, done: &str, unfit: &Unfit) -> Failure {
    Failure::new(FailureKind::Refused, format!("{} cannot be {done}: {unfit}", path.display())).with_hint(unfit.hint())
}

fn late(path: &Path, done: &str) -> Failure {
    let text = format!("{} cannot be {done}: its file system does not answer", path.display());
    Failure::new(FailureKind::Passing, text)
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
        file.replace(b"{}").unwrap();
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
        file.replace(b"{}").unwrap();
        for name in of_others {
            fs::write(file.dir.join(name), "").unwrap();
        }
        let clean = names();
        for change in [|file: &TokenFile| file.replace(b"{}"), |file: &TokenFile| file.clear().map(drop)] {
            for name in ["work.1.draft", "work.4194304.draft", ".work.json.draft", ".work.json.draft2"] {
                fs::write(file.dir.join(name), "half of a refresh tok").unwrap();
            }
            change(&file).unwrap();
            assert!(names().is_subset(&clean), "{:?}", names());
        }
        assert_eq!(names(), of_others.map(str::to_owned).into());
        assert!(!file.clear().unwrap());
    }

    #[test]
    fn a_start_removes_the_drafts_of_all_accounts_but_none_that_is_being_written() {
        let folder = TempDir::new().unwrap();
        sweep(folder.path()).unwrap();
        let (work, home) = (TokenFile::new("work", folder.path()), TokenFile::new("home", folder.path()));
        work.replace(b"{}").unwrap();
        home.replace(b"{}").unwrap();
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
