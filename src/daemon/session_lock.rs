//! The lock of a session: on one machine, one daemon at a time holds the session of an application and a user.
//!
//! Two daemons with the same application and user would write the same session in Graph, and when one leaves, it would clear the
//! other's. So a daemon takes a lock before its first write. The lock is a file, and the kernel frees it when its holder ends in
//! any way. The file says who holds it. Without a folder to write to, there is no lock, and `status` says so.
//!
//! Leaves to others: two machines (docs/seen.md), and accounts of one daemon (`leaving`).

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config;
use crate::failure::{Failure, FailureKind, Missing};
use crate::regular_file;
use crate::sanitize::printable;

/// More of a lock file is not read.
const MAX_HOLDER_BYTES: u64 = 16 * 1024;

/// Who holds a lock, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    /// The machine's name.
    pub(super) host: String,
    pub(super) pid: u32,
    /// The status socket; `None` if a service manager passed it.
    pub(super) socket: Option<PathBuf>,
    /// The configuration's file.
    pub(super) config: Option<PathBuf>,
}

impl Holder {
    /// This process.
    pub(super) fn this(socket: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { host, pid: std::process::id(), socket, config }
    }

    fn is_same_process(&self, other: &Self) -> bool {
        (&self.host, self.pid) == (&other.host, other.pid)
    }

    /// `process 4242 on desk (socket /run/user/1000/presenced/presenced.sock, configuration …)`.
    fn describe(&self) -> String {
        let part = |name: &str, path: &Option<PathBuf>| {
            path.as_ref().map(|path| format!("{name} {}", printable(&path.display().to_string())))
        };
        let parts: Vec<_> =
            part("socket", &self.socket).into_iter().chain(part("configuration", &self.config)).collect();
        let more = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        format!("process {} on {}{more}", self.pid, printable(&self.host))
    }
}

/// Where locks are, and who takes them.
#[derive(Clone, Debug)]
pub(super) struct Locks {
    folders: Vec<PathBuf>,
    holder: Holder,
}

impl Locks {
    /// Locks in the state folder, or else in the runtime folder.
    pub(super) fn new(environment: &config::Environment, holder: Holder) -> Self {
        let runtime = environment.runtime_dir.as_ref().map(|dir| dir.join("presenced"));
        let folders = [Some(environment.state_dir.clone()), runtime].into_iter().flatten();
        Self { folders: folders.map(|folder| folder.join("sessions")).collect(), holder }
    }

    /// The lock of an account, not taken yet.
    pub(super) fn of(&self, account: &config::Account) -> SessionLock {
        let key = format!("{} {}", account.endpoints.graph, account.client_id).to_lowercase();
        SessionLock { locks: self.clone(), key, state: Arc::default() }
    }
}

/// The lock of one account's session. Its clones are the same lock.
#[derive(Clone, Debug)]
pub(super) struct SessionLock {
    locks: Locks,
    key: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The user, and the file while it is locked.
    held: Option<(String, File)>,
    /// Why there is no lock, although none is held by somebody else.
    missing: Option<String>,
}

impl SessionLock {
    /// Takes the lock of `user`'s session, unless it is held already. May block on the file system.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] if another process holds it.
    pub(super) fn take(&self, user: &str) -> Result<(), Failure> {
        let user = user.to_lowercase();
        if self.is_settled(&user) {
            return Ok(());
        }
        self.state().held = None;
        let name = format!("{}.lock", Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{} {user}", self.key).as_bytes()));
        let mut reasons = Vec::new();
        for folder in &self.locks.folders {
            let path = folder.join(&name);
            match lock(&path, &self.locks.holder) {
                Ok(Ok(file)) => {
                    self.state().held = Some((user, file));
                    return Ok(());
                }
                // Another account of this daemon has the same user. They do not disturb each other, because one daemon decides for
                // both.
                Ok(Err(Some(holder))) if holder.is_same_process(&self.locks.holder) => return Ok(()),
                Ok(Err(holder)) => return Err(held_by(holder.as_ref(), path)),
                Err(error) => reasons.push(format!("{}: {error}", path.display())),
            }
        }
        tracing::warn!("the session is not locked against a second presenced: {}", reasons.join("; "));
        self.state().missing = Some(reasons.join("; "));
        Ok(())
    }

    /// Where the lock is, unless there is no folder for it.
    pub(super) fn place(&self) -> &Path {
        self.locks.folders.first().map_or(Path::new("/"), PathBuf::as_path)
    }

    /// Whether nothing is left to do for `user`: the lock is held, or there is no folder for it.
    pub(super) fn is_settled(&self, user: &str) -> bool {
        let state = self.state();
        state.missing.is_some() || state.held.as_ref().is_some_and(|(held, _)| held.eq_ignore_ascii_case(user))
    }

    /// Why there is no lock, if there is none and that is known.
    pub(super) fn missing(&self) -> Option<String> {
        self.state().missing.clone()
    }

    /// Whether it is held.
    pub(super) fn is_held(&self) -> bool {
        self.state().held.is_some()
    }

    /// Never held while the file system is asked, because the loop looks at it too.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody holds the lock at `path` now. May block on the file system.
pub(super) fn is_free(path: &Path) -> bool {
    let Ok(file) = regular_file::open_or_create(path) else { return true };
    flock(&file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
}

/// Locks the file and writes who holds it; or says who does.
fn lock(path: &Path, holder: &Holder) -> io::Result<Result<File, Option<Holder>>> {
    DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(path))?;
    let mut file = regular_file::open_or_create(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = Vec::new();
            file.take(MAX_HOLDER_BYTES).read_to_end(&mut text)?;
            return Ok(Err(serde_json::from_slice(&text).ok()));
        }
        Err(error) => return Err(error.into()),
    }
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec(holder)?)?;
    Ok(Ok(file))
}

fn held_by(holder: Option<&Holder>, path: PathBuf) -> Failure {
    let who = holder.map_or_else(|| "another presenced".to_owned(), Holder::describe);
    Failure {
        missing: Some(Box::new(Missing::Lock(path))),
        ..Failure::new(FailureKind::Refused, format!("{who} already holds this user's session"))
    }
    .with_hint("stop one of the two, or give this account an app registration of its own: Graph then combines the two")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn account() -> config::Account {
        let text = "[accounts.work]\ntenant = \"contoso.onmicrosoft.com\"\n\
                    client_id = \"22553876-f5ab-4529-bffb-cfe50aa89f87\"\nauth = { method = \"device-code\" }\n";
        let environment = config::Environment::bare("/nowhere");
        let loaded = config::Config::parse(text, Path::new("config.toml"), &environment).unwrap();
        loaded.config.accounts["work"].clone()
    }

    fn locks(environment: &config::Environment, pid: u32) -> SessionLock {
        let holder = Holder { pid, ..Holder::this(Some("/run/presenced.sock".into()), Some("/etc/work.toml".into())) };
        Locks::new(environment, holder).of(&account())
    }

    #[test]
    fn the_second_holder_is_told_about_the_first_until_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let environment = config::Environment::bare(dir.path());
        let (one, two) = (locks(&environment, 11), locks(&environment, 22));
        one.take("ADA").unwrap();
        one.take("ada").unwrap();
        let failure = two.take("ada").unwrap_err();
        assert!(failure.text.starts_with("process 11 on "), "{failure}");
        assert!(failure.text.contains("socket /run/presenced.sock, configuration /etc/work.toml"), "{failure}");
        let Some(Missing::Lock(path)) = failure.missing.as_deref() else { panic!("{failure:?}") };
        assert!(!is_free(path) && !two.is_held());
        two.take("ben").unwrap();
        drop(one);
        assert!(is_free(path));
        two.take("ada").unwrap();
        assert!(two.is_held() && two.missing().is_none());
    }

    #[test]
    fn two_accounts_of_one_daemon_may_have_the_same_user() {
        let dir = tempfile::tempdir().unwrap();
        let environment = config::Environment::bare(dir.path());
        let (one, two) = (locks(&environment, 11), locks(&environment, 11));
        one.take("ada").unwrap();
        two.take("ada").unwrap();
        drop(one);
        two.take("ada").unwrap();
        assert!(two.is_held(), "the next write takes over the lock");
    }

    #[test]
    fn without_a_folder_to_write_to_there_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let state_dir = dir.path().join("file/state");
        let runtime_dir = Some(dir.path().join("run"));
        let bare = config::Environment { state_dir, ..config::Environment::bare(dir.path()) };
        let environment = config::Environment { runtime_dir, ..bare.clone() };
        let lock = locks(&environment, 11);
        lock.take("ada").unwrap();
        assert!(lock.is_held(), "it is in the runtime folder");
        let lock = locks(&bare, 11);
        lock.take("ada").unwrap();
        assert!(!lock.is_held() && lock.missing().unwrap().contains("file/state"));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let environment = config::Environment::bare(dir.path());
        let lock = locks(&environment, 11);
        lock.take("ada").unwrap();
        let folder = dir.path().join("sessions");
        let path = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        drop(lock);
        fs::remove_file(&path).unwrap();
        fs::write(dir.path().join("precious"), "precious").unwrap();
        std::os::unix::fs::symlink(dir.path().join("precious"), &path).unwrap();
        locks(&environment, 22).take("ada").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("precious")).unwrap(), "precious");
    }
}
