//! Reads a secret from the place in the configuration. It is read for each use, so that a change counts at once.

use std::path::Path;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Environment, SecretSource, shown_to_others};
use crate::failure::{Failure, FailureKind};
use crate::off_the_loop::off_the_loop_in_time;
use crate::regular_file::{self, Unfit};

use super::command;
use super::keyring::{Attributes, Keyring};

/// Longer than any secret.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Only its owner.
    Owner,
    /// Anyone with permission: systemd decides for a credential, and the program that renews an assertion for that.
    Anyone,
}

/// A secret that is text, without a line end after it. `what` names it in failures: `the client secret`.
pub(super) async fn read(
    source: &SecretSource,
    readers: Readers,
    what: &str,
    environment: &Environment,
) -> Result<SecretString, Failure> {
    let bytes = bytes(source, readers, what, environment).await?;
    let place = source.file().map(|path| format!(" in {}", path.display())).unwrap_or_default();
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| refused(format!("{what}{place} cannot be read: it is not UTF-8 text")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(refused(format!("{what}{place} is empty")));
    }
    Ok(text.into())
}

/// A secret of any kind, unchanged. `readers` says who may read it if it is a file.
pub(super) async fn bytes(
    source: &SecretSource,
    readers: Readers,
    what: &str,
    environment: &Environment,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match source {
        SecretSource::File(path) => file(path, readers, what).await,
        SecretSource::Credential(name) => credential(name, what, environment).await,
        SecretSource::Env(name) => environment.var(name).map(|value| value.into_bytes().into()).ok_or_else(|| {
            refused(format!("the environment variable `{name}` with {what} is not set"))
                .with_hint("set it where presenced is started, or use `{ file = … }`")
        }),
        SecretSource::Command(command) => {
            let printed = command::output(command, &format!("{what}'s command"), environment).await?;
            Ok(printed.expose_secret().as_bytes().to_vec().into())
        }
        SecretSource::Keyring(attributes) => keyring(attributes, what, environment).await,
    }
}

async fn keyring(
    attributes: &Attributes,
    what: &str,
    environment: &Environment,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let found = async { Keyring::open(environment).await?.find(attributes).await };
    let mut secrets = found.await.map_err(|trouble| trouble.failure(what))?.into_iter();
    let asked: Vec<_> = attributes.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let asked = asked.join(" ");
    match (secrets.next(), secrets.len()) {
        (Some(secret), 0) if secret.expose_secret().trim_end_matches(['\r', '\n']).is_empty() => {
            Err(refused(format!("{what} in the keyring, by `{asked}`, is empty")))
        }
        (Some(secret), 0) => Ok(secret.expose_secret().as_bytes().to_vec().into()),
        (Some(_), more) => {
            let text = format!("the keyring has {} secrets with `{asked}`, but one is expected", more + 1);
            Err(refused(text)
                .with_hint(format!("see `secret-tool search --all {asked}`, and add more of its attributes")))
        }
        (None, _) => Err(refused(format!("the keyring has no secret with `{asked}`"))
            .with_hint(format!("run `secret-tool store --label=presenced {asked}`"))),
    }
}

async fn credential(name: &str, what: &str, environment: &Environment) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let Some(folder) = environment.var("CREDENTIALS_DIRECTORY") else {
        return Err(refused(format!("the credential `{name}` does not exist: $CREDENTIALS_DIRECTORY is not set"))
            .with_hint(format!("run presenced as a systemd service with `LoadCredential={name}:…`")));
    };
    file(&Path::new(&folder).join(name), Readers::Anyone, what).await
}

/// The content of a file of at most 64 KiB.
pub(super) async fn file(path: &Path, readers: Readers, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (owned, what_owned) = (path.to_owned(), what.to_owned());
    let read = off_the_loop_in_time(path, move || read_file(&owned, readers, &what_owned)).await;
    read.unwrap_or_else(|| {
        let text = format!("{what} in {} cannot be read: its file system does not answer", path.display());
        Err(Failure::new(FailureKind::Passing, text))
    })
}

/// The same. May block on the file system.
pub(super) fn read_file(path: &Path, readers: Readers, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let shown = path.display();
    let unreadable = |unfit: Unfit| refused(format!("{what} in {shown} cannot be read: {unfit}"));
    let file = regular_file::open(path).map_err(unreadable)?;
    // Checked on the open file: the path may lead elsewhere a moment later.
    let metadata = file.metadata().map_err(|error| unreadable(error.into()))?;
    if readers == Readers::Owner
        && let Some(mode) = shown_to_others(&metadata)
    {
        return Err(refused(format!("{what} in {shown} can be read by others (mode {mode:03o})"))
            .with_hint(format!("run `chmod 600 {shown}`")));
    }
    // As much room as it can need, so that the bytes never move and leave a copy.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 1));
    regular_file::read_into(&file, MAX_SECRET_BYTES as u64, &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn refused(text: String) -> Failure {
    Failure::new(FailureKind::Refused, text)
}
