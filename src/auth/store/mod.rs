//! Stores who signed in, and their refresh token: in the keyring, or in a file if there is no keyring.
//!
//! A sign-in is in exactly one place. Only `presenced login` chooses the place, so that nothing depends on what was available
//! when a daemon started. With `store = "auto"`:
//!
//! - `login` uses the keyring if it answers and has a default collection, otherwise the file;
//! - readers look at the file first, then in the keyring;
//! - a new sign-in is written first, and then the other place is cleared. Whenever that is interrupted, one whole sign-in is
//!   in force: a new one in the keyring from the moment that the file is gone, a new one in the file as soon as it appears;
//! - `logout` removes both.
//!
//! Several processes may change a sign-in. Each change holds the account's lock, and reads and compares the stored sign-in
//! before it overwrites it. So a renewal replaces only the refresh token that it used, and never undoes a new sign-in or a
//! sign-out. The lock is held only for reading and writing, never while presenced waits for the sign-in service or a person.
//! Readers do not need it: each place changes atomically.

mod file;
mod lock;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use tracing::warn;

use crate::config::{self, Environment, TokenStore};
use crate::failure::{Failure, FailureKind, Missing};

use super::SignedIn;
use super::keyring::{self, Attributes, Keyring, Prompt, Trouble};
use file::TokenFile;
use lock::Lock;

/// One sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SignIn {
    #[serde(serialize_with = "expose")]
    pub(super) refresh_token: SecretString,
    /// Object id.
    pub(super) user: Option<String>,
    /// Directory id.
    pub(super) tenant: Option<String>,
    /// A name to show.
    pub(super) username: Option<String>,
    /// Whether it also asked for the permission to read presences. A renewal that asks for more than the sign-in did would
    /// end the sign-in.
    #[serde(default)]
    pub(super) reads: bool,
}

impl SignIn {
    /// Reads one as it is stored; `None`: it is damaged. The parser's own message is left out, because it may quote the token.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        // serde would skip a value that it does not know, whatever its bytes.
        serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()
    }

    fn is_of(&self, other: &Self) -> bool {
        self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
    }
}

/// Only for storing it: `SecretString` does not serialize by itself.
fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Makes sure that the sign-in of `account` can be stored, before a person goes to the trouble. If this has to wait for the
/// person to unlock the keyring, it calls `tell` once.
pub async fn ensure_storable(
    account: &str,
    config: &config::Account,
    environment: &Environment,
    tell: impl FnOnce(),
) -> Result<(), Failure> {
    let store = Store::new(account, config, environment);
    let mut tell = Some(tell);
    while let Err(failure) = store.place_for_new().await {
        unlock(failure, || tell.take().into_iter().for_each(|tell| tell())).await?;
    }
    Ok(())
}

/// Forgets the sign-in of `account`; false: there was none. The refresh token stays valid at the sign-in service until it
/// expires or an administrator revokes it. `store`: where to look. If this has to wait for the keyring to be unlocked, it
/// calls `tell` once.
pub async fn logout(
    account: &str,
    store: TokenStore,
    environment: &Environment,
    tell: impl FnOnce(),
) -> Result<bool, Failure> {
    let store = Store::of(account, store, environment);
    let mut tell = Some(tell);
    let mut was_there = false;
    loop {
        match store.remove(&mut was_there).await {
            Ok(()) => return Ok(was_there),
            Err(failure) => unlock(failure, || tell.take().into_iter().for_each(|tell| tell())).await?,
        }
    }
}

/// Who signed in to `account`, from the store. This does not say whether the service still accepts the sign-in.
///
/// # Errors
/// [`FailureKind::SignInNeeded`] if nobody did, or the keyring is locked; [`FailureKind::Refused`] if it cannot be read.
pub async fn stored(account: &str, config: &config::Account, environment: &Environment) -> Result<SignedIn, Failure> {
    let SignIn { user, tenant, username, .. } = Store::new(account, config, environment).load().await?;
    Ok(SignedIn { user, tenant, username })
}

/// Removes what killed processes left of the sign-in to any account in the state folder. Blocks on the file system.
///
/// # Errors
/// Something cannot be removed.
pub fn sweep(state_dir: &Path) -> io::Result<()> {
    file::sweep(state_dir)
}

/// The file for the sign-in of `account`. It need not exist.
pub fn sign_in_file(account: &str, environment: &Environment) -> PathBuf {
    TokenFile::new(account, &environment.state_dir).path().to_owned()
}

/// If `failure` is about a locked keyring, lets the keyring ask the person and waits until it is unlocked. Returns any other
/// failure. Calls `tell` before it waits.
pub async fn unlock(failure: Failure, tell: impl FnOnce()) -> Result<(), Failure> {
    match failure.missing.as_deref() {
        Some(Missing::Keyring(collections)) if !collections.is_empty() => {
            tell();
            keyring::wait(collections, Prompt::Once).await;
            Ok(())
        }
        Some(_) | None => Err(failure),
    }
}

/// Where the sign-in of one account is kept.
pub(super) struct Store {
    account: String,
    kind: TokenStore,
    environment: Environment,
    file: TokenFile,
    /// Whether there was ever a keyring, or at least its bus: then its absence now proves nothing.
    met_bus: AtomicBool,
    unsaved: Mutex<Option<Unsaved>>,
}

/// A renewal that could not be stored. It is kept until it is stored, or until the stored sign-in is no longer the one that it
/// renewed.
#[derive(Clone)]
struct Unsaved {
    /// What is stored.
    used: SignIn,
    renewed: SignIn,
    /// Why.
    failure: Failure,
}

/// The place of a sign-in.
enum Place {
    File,
    Keyring(Keyring),
}

impl Store {
    pub(super) fn new(account: &str, config: &config::Account, environment: &Environment) -> Self {
        Self::of(account, config.tokens, environment)
    }

    fn of(account: &str, kind: TokenStore, environment: &Environment) -> Self {
        Self {
            account: account.to_owned(),
            kind,
            environment: environment.clone(),
            file: TokenFile::new(account, &environment.state_dir),
            met_bus: AtomicBool::new(false),
            unsaved: Mutex::default(),
        }
    }

    /// The account whose sign-in this is.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// The newest sign-in.
    ///
    /// # Errors
    /// [`FailureKind::SignInNeeded`] if there is none, it is damaged, or the keyring is locked; [`FailureKind::Refused`] if
    /// the file cannot be read or there is no keyring; [`FailureKind::Passing`] if the keyring does not answer as it should.
    pub(super) async fn load(&self) -> Result<SignIn, Failure> {
        let (stored, _) = self.find().await?.ok_or_else(|| self.nobody())?;
        let unsaved = self.unsaved().clone();
        match unsaved {
            Some(Unsaved { used, renewed, .. }) if used.is_of(&stored) => {
                self.keep(used, renewed.clone()).await;
                Ok(renewed)
            }
            // Somebody signed in again.
            Some(_) => {
                *self.unsaved() = None;
                Ok(stored)
            }
            None => Ok(stored),
        }
    }

    /// Why the newest sign-in is not stored; `None`: it is.
    pub(super) fn not_stored(&self) -> Option<Failure> {
        self.unsaved().as_ref().map(|unsaved| unsaved.failure.clone())
    }

    /// Never held across an await.
    fn unsaved(&self) -> MutexGuard<'_, Option<Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a new sign-in in place of any other. If the keyring is locked, waits and lets it ask to be unlocked.
    pub(super) async fn save(&self, sign_in: &SignIn) -> Result<(), Failure> {
        while let Err(failure) = self.write_new(sign_in).await {
            unlock(failure, || ()).await?;
        }
        Ok(())
    }

    /// Stores `renewed` in place of `used`, unless somebody signed in or out since `used` was read. It is not a failure if it
    /// cannot be written: the service accepts the used refresh token again, and the new one is kept here until it is stored.
    pub(super) async fn rotate(&self, used: &SignIn, renewed: SignIn) {
        let stored =
            self.unsaved().as_ref().filter(|unsaved| unsaved.renewed.is_of(used)).map(|unsaved| unsaved.used.clone());
        self.keep(stored.unwrap_or_else(|| used.clone()), renewed).await;
    }

    /// Stores `renewed` in place of `used`, or remembers both.
    async fn keep(&self, used: SignIn, renewed: SignIn) {
        let outcome = self.replace(&used, &renewed).await;
        *self.unsaved() = outcome.err().map(|failure| Unsaved { used, renewed, failure });
    }

    async fn replace(&self, used: &SignIn, renewed: &SignIn) -> Result<(), Failure> {
        let lock = self.file.lock().await?;
        match self.find().await? {
            Some((stored, place)) if stored.is_of(used) => self.write(renewed, &place, &lock).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn write_new(&self, sign_in: &SignIn) -> Result<(), Failure> {
        let lock = self.file.lock().await?;
        let place = self.place_for_new().await?;
        self.write(sign_in, &place, &lock).await?;
        match place {
            Place::File => self.clean_keyring().await,
            Place::Keyring(_) => drop(self.file.remove(&lock).await?),
        }
        // A renewal of the previous sign-in has nothing left to store.
        *self.unsaved() = None;
        Ok(())
    }

    /// A sign-in in the file comes first, so an older one in the keyring does no harm. If it is locked, it stays until `logout`:
    /// whoever chose the file may have nobody to unlock a keyring.
    async fn clean_keyring(&self) {
        let removed = match Keyring::open(&self.environment).await {
            Ok(keyring) => keyring.remove(&self.attributes(), true).await.map(drop),
            Err(Trouble::NoBus(_) | Trouble::Absent) => Ok(()),
            Err(trouble) => Err(trouble),
        };
        if let Err(trouble) = removed {
            warn!(account = self.account, "an older sign-in may be left in the keyring: {trouble:?}");
        }
    }

    async fn place_for_new(&self) -> Result<Place, Failure> {
        let chosen = async || {
            let keyring = Keyring::open(&self.environment).await?;
            Ok::<_, Trouble>(keyring.has_room().await?.then_some(Place::Keyring(keyring)))
        };
        match self.kind {
            TokenStore::File => Ok(Place::File),
            TokenStore::Keyring => match chosen().await {
                Ok(Some(place)) => Ok(place),
                Ok(None) => {
                    Err(Failure::new(FailureKind::Refused, "the keyring has no default collection for a sign-in")
                        .with_hint("create one, for example with `seahorse`; or set `store = \"file\"` in [tokens]"))
                }
                Err(trouble) => Err(self.failure(trouble)),
            },
            TokenStore::Auto => match chosen().await {
                Ok(place) => Ok(place.unwrap_or(Place::File)),
                Err(trouble @ Trouble::Locked(_)) => Err(self.failure(trouble)),
                Err(Trouble::NoBus(_) | Trouble::Absent | Trouble::Failed(_)) => Ok(Place::File),
            },
        }
    }

    async fn write(&self, sign_in: &SignIn, place: &Place, lock: &Arc<Lock>) -> Result<(), Failure> {
        let json = SecretString::from(serde_json::to_string(sign_in).expect("the keys are strings"));
        match place {
            Place::File => self.file.write(json, lock).await,
            Place::Keyring(keyring) => {
                let label = format!("presenced: sign-in to account {}", self.account);
                let put = keyring.put(&label, &self.attributes(), &json).await;
                put.map_err(|trouble| self.failure(trouble))
            }
        }
    }

    async fn remove(&self, was_there: &mut bool) -> Result<(), Failure> {
        let lock = self.file.lock().await?;
        if self.kind != TokenStore::Keyring {
            *was_there |= self.file.remove(&lock).await?;
        }
        if self.kind == TokenStore::File {
            return Ok(());
        }
        let removed = match Keyring::open(&self.environment).await {
            Ok(keyring) => keyring.remove(&self.attributes(), *was_there).await,
            Err(trouble) => Err(trouble),
        };
        match removed {
            Ok(removed) => *was_there |= removed,
            Err(Trouble::NoBus(_) | Trouble::Absent) => {}
            Err(trouble) => return Err(self.failure(trouble)),
        }
        Ok(())
    }

    /// The sign-in in force, and its place.
    async fn find(&self) -> Result<Option<(SignIn, Place)>, Failure> {
        match self.kind {
            TokenStore::File => self.find_in_file().await,
            TokenStore::Keyring => self.find_in_keyring().await.map_err(|trouble| self.failure(trouble))?.transpose(),
            TokenStore::Auto => {
                if let Some(found) = self.find_in_file().await? {
                    return Ok(Some(found));
                }
                match self.find_in_keyring().await {
                    Ok(Some(found)) => found.map(Some),
                    // It may have moved to the file in the meantime.
                    Ok(None) => self.find_in_file().await,
                    Err(Trouble::NoBus(_)) if !self.met_bus.load(Ordering::Relaxed) => Ok(None),
                    // A keyring that comes later may have it.
                    Err(Trouble::Absent) => {
                        Err(Failure { missing: Some(Box::new(Missing::Keyring(Vec::new()))), ..self.nobody() })
                    }
                    Err(trouble) => Err(self.failure(trouble)),
                }
            }
        }
    }

    async fn find_in_file(&self) -> Result<Option<(SignIn, Place)>, Failure> {
        let Some(bytes) = self.file.read().await? else { return Ok(None) };
        let damaged =
            || self.sign_in_needed(format!("the sign-in stored in {} is damaged", self.file.path().display()));
        Ok(Some((SignIn::parse(&bytes).ok_or_else(damaged)?, Place::File)))
    }

    async fn find_in_keyring(&self) -> Result<Option<Result<(SignIn, Place), Failure>>, Trouble> {
        let keyring = Keyring::open(&self.environment).await;
        if !matches!(keyring, Err(Trouble::NoBus(_))) {
            self.met_bus.store(true, Ordering::Relaxed);
        }
        let keyring = keyring?;
        let found = keyring.find(&self.attributes()).await?;
        let damaged = || self.sign_in_needed("the sign-in stored in the keyring is damaged".to_owned());
        Ok(found.first().map(|json| {
            let parsed = SignIn::parse(json.expose_secret().as_bytes());
            Ok((parsed.ok_or_else(damaged)?, Place::Keyring(keyring)))
        }))
    }

    fn attributes(&self) -> Attributes {
        [("application", "presenced"), ("account", &*self.account)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    fn failure(&self, trouble: Trouble) -> Failure {
        let failure = trouble.failure(&format!("the sign-in to account `{}`", self.account));
        match &failure.hint {
            Some(hint) if self.kind == TokenStore::Keyring && failure.kind != FailureKind::SignInNeeded => {
                let hint =
                    format!("{hint}; or set `store = \"file\"` in [tokens] and run `presenced login {}`", self.account);
                failure.with_hint(hint)
            }
            Some(_) | None => failure,
        }
    }

    fn nobody(&self) -> Failure {
        self.sign_in_needed(format!("nobody is signed in to account `{}`", self.account))
    }

    fn sign_in_needed(&self, text: String) -> Failure {
        Failure::new(FailureKind::SignInNeeded, text).with_hint(format!("run `presenced login {}`", self.account))
    }
}
