//! The keyring: secrets kept by the freedesktop Secret Service (gnome-keyring, `KWallet`, `KeePassXC`) on the session bus.
//!
//! Only [`wait`] asks a person for anything, and only if the caller wants it. Leaves to others: what the secrets are, and what
//! the daemon does while they are not available.

mod probe;
mod service;
mod wait;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::{BusName, WellKnownName};
use zbus::zvariant::{OwnedObjectPath, Value};

use crate::config::Environment;
use crate::failure::{Failure, FailureKind, Missing};

pub use probe::{KeyringState, keyring_state};
use service::{CollectionProxy, Secret};
pub(super) use wait::{Prompt, wait};

/// The name of every Secret Service on the bus.
const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.secrets");

/// How long the keyring may take for anything that needs no person.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The attributes of a secret, as in `secret-tool store`.
pub(super) type Attributes = BTreeMap<String, String>;

/// Why the keyring cannot be used now.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no session bus, or no connection to it.
    NoBus(String),
    /// There is no keyring on the bus, and none can be started.
    Absent,
    /// These collections are locked, by their object paths.
    Locked(Vec<String>),
    /// It answers with an error, or not in time.
    Failed(String),
}

/// A keyring that answers.
pub(super) struct Keyring {
    bus: Connection,
    service: service::ServiceProxy<'static>,
    /// The session in which secrets are transferred.
    session: OwnedObjectPath,
}

/// The result of a search.
struct Matches {
    items: Vec<OwnedObjectPath>,
    /// The paths of the locked collections with a match, one for each match.
    locked: Vec<String>,
    /// The default collection, if it is locked: some services do not show what is in it.
    hidden: Option<String>,
}

impl Keyring {
    /// The keyring of this session. It is started if possible.
    pub(super) async fn open(environment: &Environment) -> Result<Self, Trouble> {
        if !has_bus(environment) {
            return Err(Trouble::NoBus("there is none".to_owned()));
        }
        within(async {
            let no_bus = |error: &dyn ToString| Trouble::NoBus(error.to_string());
            let bus = Connection::session().await.map_err(|error| no_bus(&error))?;
            let names = DBusProxy::new(&bus).await.map_err(|error| no_bus(&error))?;
            let is_there = names.name_has_owner(BusName::WellKnown(NAME)).await.map_err(|error| no_bus(&error))?;
            if !is_there {
                let startable = names.list_activatable_names().await.map_err(|error| no_bus(&error))?;
                if !startable.iter().any(|name| name.as_str() == NAME.as_str()) {
                    return Err(Trouble::Absent);
                }
            }
            let service = service::service(&bus).await?;
            let (_, session) = service.open_session("plain", Value::from("")).await?;
            Ok(Self { bus, service, session })
        })
        .await
    }

    /// Whether there is an unlocked collection for new secrets; false: there is no collection.
    pub(super) async fn has_room(&self) -> Result<bool, Trouble> {
        within(async {
            match self.default_collection().await? {
                Some(collection) if collection.locked().await? => Err(locked(&collection)),
                room => Ok(room.is_some()),
            }
        })
        .await
    }

    /// The secrets with these attributes, whatever other attributes they have.
    ///
    /// # Errors
    /// [`Trouble::Locked`] if one may be in a locked collection.
    pub(super) async fn find(&self, attributes: &Attributes) -> Result<Vec<SecretString>, Trouble> {
        within(async {
            let matches = self.search(attributes).await?;
            let mut locked = matches.locked;
            if matches.items.is_empty() {
                locked.extend(matches.hidden);
            }
            if !locked.is_empty() {
                return Err(Trouble::Locked(locked));
            }
            let mut secrets = Vec::with_capacity(matches.items.len());
            for item in &matches.items {
                let secret = service::item(&self.bus, item).await?.get_secret(&self.session).await?;
                let value = Zeroizing::new(secret.value);
                let text = std::str::from_utf8(&value)
                    .map_err(|_| Trouble::Failed("a secret in it is not UTF-8".to_owned()))?;
                secrets.push(SecretString::from(text));
            }
            Ok(secrets)
        })
        .await
    }

    /// Replaces the secret with these attributes by `secret`, or adds it; all or nothing.
    pub(super) async fn put(&self, label: &str, attributes: &Attributes, secret: &SecretString) -> Result<(), Trouble> {
        within(async {
            let matches = self.search(attributes).await?;
            if !matches.locked.is_empty() {
                return Err(Trouble::Locked(matches.locked));
            }
            let secret = Secret {
                session: self.session.clone(),
                parameters: Vec::new(),
                value: secret.expose_secret().as_bytes().to_vec(),
                content_type: "text/plain; charset=utf8".to_owned(),
            };
            if let Some((item, others)) = matches.items.split_first() {
                service::item(&self.bus, item).await?.set_secret(&secret).await?;
                for other in others {
                    self.delete(other).await?;
                }
                return Ok(());
            }
            match self.default_collection().await? {
                Some(collection) if collection.locked().await? => Err(locked(&collection)),
                Some(collection) => {
                    let properties = HashMap::from([
                        ("org.freedesktop.Secret.Item.Label", Value::from(label)),
                        (
                            "org.freedesktop.Secret.Item.Attributes",
                            Value::from(attributes.iter().collect::<HashMap<_, _>>()),
                        ),
                    ]);
                    let (_, prompt) = collection.create_item(properties, &secret, true).await?;
                    self.settle(&prompt).await
                }
                None => Err(Trouble::Failed("it has no default collection".to_owned())),
            }
        })
        .await
    }

    /// Removes the unlocked secrets with these attributes, and returns whether there were any.
    ///
    /// # Errors
    /// [`Trouble::Locked`] if one is locked, or, unless `is_elsewhere`, may be locked.
    pub(super) async fn remove(&self, attributes: &Attributes, is_elsewhere: bool) -> Result<bool, Trouble> {
        within(async {
            let matches = self.search(attributes).await?;
            for item in &matches.items {
                self.delete(item).await?;
            }
            let hidden = matches.hidden.filter(|_| matches.items.is_empty() && !is_elsewhere);
            let locked: Vec<_> = matches.locked.into_iter().chain(hidden).collect();
            if locked.is_empty() { Ok(!matches.items.is_empty()) } else { Err(Trouble::Locked(locked)) }
        })
        .await
    }

    async fn search(&self, attributes: &Attributes) -> Result<Matches, Trouble> {
        let default = self.default_collection().await?.map(|collection| path_of(&collection));
        let mut matches = Matches { items: Vec::new(), locked: Vec::new(), hidden: None };
        for path in self.service.collections().await? {
            let collection = service::collection(&self.bus, &path).await?;
            let items = collection.search_items(attributes).await?;
            let path = path.to_string();
            if !collection.locked().await? {
                matches.items.extend(items);
            } else if !items.is_empty() {
                matches.locked.extend(items.iter().map(|_| path.clone()));
            } else if default.as_ref() == Some(&path) {
                matches.hidden = Some(path);
            }
        }
        Ok(matches)
    }

    async fn default_collection(&self) -> zbus::Result<Option<CollectionProxy<'static>>> {
        let path = self.service.read_alias("default").await?;
        if path.as_str() == service::NONE {
            return Ok(None);
        }
        service::collection(&self.bus, &path).await.map(Some)
    }

    async fn delete(&self, item: &OwnedObjectPath) -> Result<(), Trouble> {
        let prompt = service::item(&self.bus, item).await?.delete().await?;
        self.settle(&prompt).await
    }

    async fn settle(&self, prompt: &OwnedObjectPath) -> Result<(), Trouble> {
        let agreed = service::settle(&self.bus, prompt).await?;
        if agreed { Ok(()) } else { Err(Trouble::Failed("its question was dismissed".to_owned())) }
    }
}

fn path_of(collection: &CollectionProxy<'_>) -> String {
    collection.inner().path().to_string()
}

fn locked(collection: &CollectionProxy<'_>) -> Trouble {
    Trouble::Locked(vec![path_of(collection)])
}

impl From<zbus::Error> for Trouble {
    fn from(error: zbus::Error) -> Self {
        let name = if let zbus::Error::MethodError(name, ..) = &error { name.as_str() } else { "" };
        Self::Failed(match name {
            "org.freedesktop.Secret.Error.IsLocked" => "it was locked just now".to_owned(),
            "org.freedesktop.Secret.Error.NoSession" => "it was restarted just now".to_owned(),
            "org.freedesktop.Secret.Error.NoSuchObject" => "the secret was removed just now".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl Trouble {
    /// The failure if `what` (`the client secret`) cannot be read.
    pub(super) fn failure(self, what: &str) -> Failure {
        let missing =
            |collections, failure| Failure { missing: Some(Box::new(Missing::Keyring(collections))), ..failure };
        match self {
            Self::NoBus(error) => {
                let text = format!("{what} is kept in the keyring, but the session bus cannot be reached: {error}");
                Failure::new(FailureKind::Passing, text).with_hint("start presenced in a session that has a D-Bus")
            }
            Self::Absent => {
                let text = format!("{what} is kept in the keyring, but there is none on the session bus");
                let hint =
                    "start one that provides org.freedesktop.secrets, such as gnome-keyring, KWallet or KeePassXC";
                missing(Vec::new(), Failure::new(FailureKind::Refused, text).with_hint(hint))
            }
            Self::Locked(collections) => {
                let text = format!("{what} is kept in the keyring, which is locked");
                let hint = "unlock the keyring; presenced then continues by itself";
                missing(collections, Failure::new(FailureKind::SignInNeeded, text).with_hint(hint))
            }
            Self::Failed(error) => {
                Failure::new(FailureKind::Passing, format!("{what} cannot be read from the keyring: {error}"))
            }
        }
    }
}

/// Whether presenced was started where a session bus can be expected. It never looks for anybody else's.
fn has_bus(environment: &Environment) -> bool {
    environment.var("DBUS_SESSION_BUS_ADDRESS").is_some()
        || environment.runtime_dir.as_ref().is_some_and(|dir| dir.join("bus").exists())
}

async fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let silent = || Trouble::Failed(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()));
    tokio::time::timeout(ANSWER_TIMEOUT, work).await.unwrap_or_else(|_| Err(silent()))
}
