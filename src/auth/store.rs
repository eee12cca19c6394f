//! Keeps who signed in and their refresh token: one file an account in `{state_dir}/tokens`, for its owner's eyes only.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use tracing::warn;

use crate::config::Environment;
use crate::session::{Failure, FailureKind};

use super::SignedIn;

/// One sign-in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SignIn {
    #[serde(serialize_with = "expose")]
    pub(super) refresh_token: SecretString,
    /// Object id.
    pub(super) user: Option<String>,
    /// Directory id.
    pub(super) tenant: Option<String>,
    /// A name to show.
    pub(super) username: Option<String>,
    /// Whether it was asked for the permission to read presences as well. To ask for more at a renewal than at the sign-in
    /// would end the sign-in.
    #[serde(default)]
    pub(super) reads: bool,
}

/// Only for the file: `SecretString` does not serialize by itself.
fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Forgets the sign-in of `account`; false when there was none. The refresh token stays valid at the sign-in service until
/// it expires or an administrator revokes it.
pub fn logout(account: &str, environment: &Environment) -> io::Result<bool> {
    Store::new(account, environment).remove()
}

/// Who signed in to `account`, as it is stored; says nothing about whether the service still takes it.
///
/// # Errors
/// [`FailureKind::SignInNeeded`] when nobody did; [`FailureKind::Refused`] when it cannot be read.
pub fn stored(account: &str, environment: &Environment) -> Result<SignedIn, Failure> {
    let SignIn { user, tenant, username, .. } = Store::new(account, environment).load()?;
    Ok(SignedIn { user, tenant, username })
}

/// The file of one account.
pub(super) struct Store<'a> {
    account: &'a str,
    dir: PathBuf,
    path: PathBuf,
}

impl<'a> Store<'a> {
    pub(super) fn new(account: &'a str, environment: &Environment) -> Self {
        let dir = environment.state_dir.join("tokens");
        let path = dir.join(format!("{}.json", file_stem(account)));
        Self { account, dir, path }
    }

    /// The sign-in.
    ///
    /// # Errors
    /// [`FailureKind::SignInNeeded`] when there is none, or the file is damaged; [`FailureKind::Refused`] when it cannot be
    /// read.
    pub(super) fn load(&self) -> Result<SignIn, Failure> {
        let sign_in_needed = |text: String| {
            Failure::new(FailureKind::SignInNeeded, text).with_hint(format!("run `presenced login {}`", self.account))
        };
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(sign_in_needed(format!("nobody is signed in to account `{}`", self.account)));
            }
            Err(error) => return Err(self.unusable("read", &error)),
        };
        // The parser's own words are left out: they may quote the token.
        serde_json::from_slice(&bytes)
            .map_err(|_| sign_in_needed(format!("the sign-in stored in {} is damaged", self.path.display())))
    }

    /// Stores a new sign-in over whatever there was.
    pub(super) fn save(&self, sign_in: &SignIn) -> Result<(), Failure> {
        self.write(sign_in).map_err(|error| self.unusable("written", &error))
    }

    /// Stores `renewed` in place of `used`, unless somebody signed in or out since `used` was read. A file that cannot be
    /// written is no failure: the service lets the used refresh token be used again.
    pub(super) fn rotate(&self, used: &SignIn, renewed: &SignIn) {
        let still_there =
            self.load().is_ok_and(|stored| stored.refresh_token.expose_secret() == used.refresh_token.expose_secret());
        if still_there && let Err(failure) = self.save(renewed) {
            warn!(account = self.account, "the new refresh token is not stored: {failure}");
        }
    }

    fn remove(&self) -> io::Result<bool> {
        match fs::remove_file(&self.path) {
            Ok(()) => File::open(&self.dir)?.sync_all().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All or nothing, also when the power fails: a half-written refresh token would cost a sign-in.
    fn write(&self, sign_in: &SignIn) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(0o700))?;
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

fn write_draft(draft: &PathBuf, sign_in: &SignIn) -> io::Result<()> {
    // One that a crash left behind may have other permissions.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(&serde_json::to_vec(sign_in)?)?;
    file.sync_all()
}

/// The account's name as a file name: what could lead out of the folder, or confuse a shell, is percent-encoded.
fn file_stem(account: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    account.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;

    fn sign_in(refresh_token: &str) -> SignIn {
        SignIn { refresh_token: refresh_token.into(), user: None, tenant: None, username: None, reads: false }
    }

    fn environment(folder: &TempDir) -> Environment {
        let path = folder.path().to_owned();
        Environment {
            home: path.clone(),
            runtime_dir: None,
            config_dir: path.clone(),
            state_dir: path.clone(),
            cache_dir: path,
            lookup: Arc::new(|_| None),
            secret_vars: Vec::new(),
        }
    }

    #[test]
    fn a_renewal_does_not_undo_what_a_person_did_meanwhile() {
        let folder = TempDir::new().unwrap();
        let environment = environment(&folder);
        let store = Store::new("work", &environment);
        store.save(&sign_in("r1")).unwrap();
        let used = store.load().unwrap();

        store.save(&sign_in("of somebody else")).unwrap();
        store.rotate(&used, &sign_in("r2"));
        assert_eq!(store.load().unwrap().refresh_token.expose_secret(), "of somebody else");

        assert!(logout("work", &environment).unwrap());
        store.rotate(&used, &sign_in("r2"));
        assert_eq!(store.load().unwrap_err().kind, FailureKind::SignInNeeded);
    }

    #[test]
    fn permissions_are_narrowed_and_drafts_replaced() {
        let folder = TempDir::new().unwrap();
        let environment = environment(&folder);
        let store = Store::new("work", &environment);
        let draft = store.path.with_extension(format!("{}.draft", std::process::id()));
        fs::create_dir(&store.dir).unwrap();
        fs::set_permissions(&store.dir, Permissions::from_mode(0o755)).unwrap();
        fs::write(&draft, "left by a crash").unwrap();
        store.save(&sign_in("r1")).unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.dir), mode(&store.path), draft.exists()), (0o700, 0o600, false));
    }

    #[test]
    fn an_account_is_one_file_whatever_its_name() {
        for (account, stem) in [
            ("work", "work"),
            ("../../etc", "%2E%2E%2F%2E%2E%2Fetc"),
            ("a b", "a%20b"),
            ("ü", "%C3%BC"),
            ("a%20b", "a%2520b"),
        ] {
            assert_eq!(file_stem(account), stem);
        }
    }

    #[test]
    fn nothing_shows_the_refresh_token() {
        assert!(!format!("{:?}", sign_in("r3fresh")).contains("r3fresh"));
    }
}
