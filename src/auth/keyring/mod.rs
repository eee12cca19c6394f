//! The keyring: secrets kept by the freedesktop Secret Service (gnome-keyring, `KWallet`, `KeePassXC`) on the session bus.
//!
//! Nothing here asks a person for anything but [`wait`], and that only when it is told to. Leaves to others: what the secrets
//! are, and what becomes of the daemon while they are not to be had.

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

/// The name that a Secret Service has on the bus, whichever it is.
const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.secrets");

/// How long the keyring may take for what needs no person.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// By what a secret is found, as `secret-tool store` takes it.
pub(super) type Attributes = BTreeMap<String, String>;

/// Why the keyring is of no use now.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no session bus, or no connection to it.
    NoBus(String),
    /// Nobody on the bus is a keyring, and none can be started.
    Absent,
    /// These of its collections are locked, by their object paths.
    Locked(Vec<String>),
    /// It answers with an error, or not in time.
    Failed(String),
}

/// A keyring that answers.
pub(super) struct Keyring {
    bus: Connection,
    service: service::ServiceProxy<'static>,
    /// In which secrets are handed over.
    session: OwnedObjectPath,
}

/// What a search finds.
struct Matches {
    items: Vec<OwnedObjectPath>,
    /// The paths of the locked collections with a match; one for each.
    locked: Vec<String>,
    /// The default collection, where that is locked: what is locked some services show to nobody.
    hidden: Option<String>,
}

impl Keyring {
    /// The keyring of this session; one that can be started is.
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

    /// Whether there is a collection for new secrets, and unlocked; false: there is none.
    pub(super) async fn has_room(&self) -> Result<bool, Trouble> {
        within(async {
            match self.default_collection().await? {
                Some(collection) if collection.locked().await? => Err(locked(&collection)),
                room => Ok(room.is_some()),
            }
        })
        .await
    }

    /// The secrets with these attributes, whatever others they have.
    ///
    /// # Errors
    /// [`Trouble::Locked`] as long as one may be in what is locked.
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

    /// Puts `secret` in place of the one with these attributes, or beside the others; all or nothing.
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

    /// Takes away what has these attributes and is not locked, and says whether there was any.
    ///
    /// # Errors
    /// [`Trouble::Locked`] when there is some that is locked, or, unless `is_elsewhere`, may be.
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
            "org.freedesktop.Secret.Error.NoSession" => "it was started anew just now".to_owned(),
            "org.freedesktop.Secret.Error.NoSuchObject" => "what was looked for was taken away just now".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl Trouble {
    /// What it means that `what` (`the client secret`) cannot be got at.
    pub(super) fn failure(self, what: &str) -> Failure {
        let missing =
            |collections, failure| Failure { missing: Some(Box::new(Missing::Keyring(collections))), ..failure };
        match self {
            Self::NoBus(error) => {
                let text = format!("{what} is kept in the keyring, and the session bus cannot be reached: {error}");
                Failure::new(FailureKind::Passing, text).with_hint("start presenced from a session that has a D-Bus")
            }
            Self::Absent => {
                let text = format!("{what} is kept in the keyring, and there is none on the session bus");
                let hint =
                    "start one that speaks for org.freedesktop.secrets, such as gnome-keyring, KWallet or KeePassXC";
                missing(Vec::new(), Failure::new(FailureKind::Refused, text).with_hint(hint))
            }
            Self::Locked(collections) => {
                let text = format!("{what} is kept in the keyring, and that is locked");
                let hint = "unlock the keyring, and presenced goes on by itself";
                missing(collections, Failure::new(FailureKind::SignInNeeded, text).with_hint(hint))
            }
            Self::Failed(error) => {
                Failure::new(FailureKind::Passing, format!("{what} cannot be had from the keyring: {error}"))
            }
        }
    }
}

/// Whether this was started where a session bus is to be expected. Nobody else's is looked for.
fn has_bus(environment: &Environment) -> bool {
    environment.var("DBUS_SESSION_BUS_ADDRESS").is_some()
        || environment.runtime_dir.as_ref().is_some_and(|dir| dir.join("bus").exists())
}

async fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let silent = || Trouble::Failed(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()));
    tokio::time::timeout(ANSWER_TIMEOUT, work).await.unwrap_or_else(|_| Err(silent()))
}
