//! Reads a secret from where the configuration says it is; again for each use, so that a changed one counts at once.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::config::{Environment, SecretSource};
use crate::session::{Failure, FailureKind};

use super::command;

/// More than any secret has.
const LIMIT: u64 = 64 * 1024;

/// Who may read a secret's file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// Nobody but its owner.
    Owner,
    /// Whoever systemd lets into the folder.
    Systemd,
}

/// The secret; without a line end behind it.
pub(super) async fn read(source: &SecretSource, environment: &Environment) -> Result<SecretString, Failure> {
    match source {
        SecretSource::File(path) => file(path, Readers::Owner),
        SecretSource::Credential(name) => credential(name, environment),
        SecretSource::Env(name) => environment.var(name).map(SecretString::from).ok_or_else(|| {
            refused(format!("the environment variable `{name}` with the client secret is not set"))
                .with_hint("set it where presenced is started, or use `secret = { file = … }`")
        }),
        SecretSource::Command(command) => command::output(command, "the client secret's command", environment).await,
    }
}

fn credential(name: &str, environment: &Environment) -> Result<SecretString, Failure> {
    let Some(folder) = environment.var("CREDENTIALS_DIRECTORY") else {
        return Err(refused(format!("there is no credential `{name}`: $CREDENTIALS_DIRECTORY is not set"))
            .with_hint(format!("run presenced as a systemd service with `LoadCredential={name}:…`")));
    };
    file(&Path::new(&folder).join(name), Readers::Systemd)
}

fn file(path: &Path, readers: Readers) -> Result<SecretString, Failure> {
    let shown = path.display();
    let unreadable = |error| refused(format!("the client secret in {shown} cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file: the path may lead elsewhere a moment later.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if readers == Readers::Owner && mode & 0o077 != 0 {
        return Err(refused(format!("the client secret in {shown} can be read by others (mode {:03o})", mode & 0o777))
            .with_hint(format!("run `chmod 600 {shown}`")));
    }
    // As long as it may be, so that it never moves and leaves a copy behind; and wiped, since it is copied once.
    let mut secret = Zeroizing::new(String::with_capacity(usize::try_from(LIMIT).unwrap_or_default()));
    file.take(LIMIT).read_to_string(&mut secret).map_err(unreadable)?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(refused(format!("the client secret in {shown} is empty")));
    }
    Ok(secret.into())
}

fn refused(text: String) -> Failure {
    Failure::new(FailureKind::Refused, text)
}
