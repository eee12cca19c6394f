//! A sign-in in a file: `{state_dir}/tokens/{account}.json`, for its owner's eyes only, whole or not there.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, FailureKind};

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

    /// What it holds; `None` when there is none.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable("read", &error)),
        }
    }

    /// All or nothing, also when the power fails: a half-written refresh token would cost a sign-in.
    pub(super) fn write(&self, sign_in: &[u8]) -> Result<(), Failure> {
        self.replace(sign_in).map_err(|error| self.unusable("written", &error))
    }

    /// Takes it away; false when there was none.
    pub(super) fn remove(&self) -> Result<bool, Failure> {
        let removed = match fs::remove_file(&self.path) {
            Ok(()) => File::open(&self.dir).and_then(|dir| dir.sync_all()).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        removed.map_err(|error| self.unusable("removed", &error))
    }

    /// The file that is locked around each change of the sign-in, wherever that is kept.
    pub(super) fn open_lock(&self) -> Result<File, Failure> {
        let open = || {
            self.make_folder()?;
            let lock = self.path.with_extension("lock");
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock)
        };
        open().map_err(|error| self.unusable("written", &error))
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(0o700))
    }

    fn replace(&self, sign_in: &[u8]) -> io::Result<()> {
        self.make_folder()?;
        let draft = self.path.with_extension(format!("{}.draft", std::process::id()));
        let written = write_draft(&draft, sign_in).and_then(|()| fs::rename(&draft, &self.path));
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&draft);
        }
        written?;
        File::open(&self.dir)?.sync_all()
    }

    fn unusable(&self, done: &str, error: &io::Error) -> Failure {
        Failure::new(FailureKind::Refused, format!("{} cannot be {done}: {error}", self.path.display()))
            .with_hint("check the owner and the permissions of the file and its folder")
    }
}

fn write_draft(draft: &Path, sign_in: &[u8]) -> io::Result<()> {
    // One that a crash left behind may have other permissions.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(sign_in)?;
    file.sync_all()
}

/// The account's name as a file name: what could lead out of the folder, or confuse a shell, is percent-encoded.
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
    fn permissions_are_narrowed_and_drafts_replaced() {
        let folder = TempDir::new().unwrap();
        let file = TokenFile::new("work", folder.path());
        let draft = file.path.with_extension(format!("{}.draft", std::process::id()));
        fs::create_dir(&file.dir).unwrap();
        fs::set_permissions(&file.dir, Permissions::from_mode(0o755)).unwrap();
        fs::write(&draft, "left by a crash").unwrap();
        file.write(b"{}").unwrap();
        drop(file.open_lock().unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.dir), mode(&file.path), draft.exists()), (0o700, 0o600, false));
        assert_eq!(mode(&file.path.with_extension("lock")), 0o600);
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
