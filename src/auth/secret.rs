//! Reads a secret from where the configuration says it is; again for each use, so that a changed one counts at once.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Environment, SecretSource};
use crate::session::{Failure, FailureKind};

use super::command;
use super::keyring::{Attributes, Keyring};

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
        SecretSource::Command(command) => command::output(command, "the client secret's command").await,
        SecretSource::Keyring(attributes) => keyring(attributes, environment).await,
    }
}

async fn keyring(attributes: &Attributes, environment: &Environment) -> Result<SecretString, Failure> {
    let found = async { Keyring::open(environment).await?.find(attributes).await };
    let mut secrets = found.await.map_err(|trouble| trouble.failure("the client secret"))?.into_iter();
    let asked: Vec<_> = attributes.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let asked = asked.join(" ");
    match (secrets.next(), secrets.len()) {
        (Some(secret), 0) => {
            let secret = secret.expose_secret().trim_end_matches(['\r', '\n']);
            if secret.is_empty() {
                return Err(refused(format!("the client secret in the keyring, by `{asked}`, is empty")));
            }
            Ok(secret.into())
        }
        (Some(_), more) => {
            let text = format!("the keyring has {} secrets with `{asked}`, and one is expected", more + 1);
            Err(refused(text)
                .with_hint(format!("see `secret-tool search --all {asked}`, and name more of its attributes")))
        }
        (None, _) => Err(refused(format!("the keyring has no secret with `{asked}`"))
            .with_hint(format!("run `secret-tool store --label=presenced {asked}`"))),
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
    let mut secret = String::new();
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
