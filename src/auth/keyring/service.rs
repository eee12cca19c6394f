//! The D-Bus interfaces of the freedesktop Secret Service (API specification 0.2), as far as presenced needs them.
//!
//! Secrets are transferred in a session with the algorithm `plain`: the session bus belongs to this user, and anyone who can
//! listen there can also ask the keyring itself. Every service must offer it (chapter 7 of the specification).

use std::collections::{BTreeMap, HashMap};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use zbus::message::Type as MessageType;
use zbus::proxy::CacheProperties;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Type, Value};
use zbus::{Connection, MatchRule, MessageStream, proxy};

use super::NAME;

/// The path that means none.
pub(super) const NONE: &str = "/";

#[proxy(
    interface = "org.freedesktop.Secret.Service",
    default_service = "org.freedesktop.secrets",
    default_path = "/org/freedesktop/secrets",
    gen_blocking = false
)]
pub(super) trait Service {
    fn open_session(&self, algorithm: &str, input: Value<'_>) -> zbus::Result<(OwnedValue, OwnedObjectPath)>;
    fn read_alias(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(property)]
    fn collections(&self) -> zbus::Result<Vec<OwnedObjectPath>>;
}

#[proxy(
    interface = "org.freedesktop.Secret.Collection",
    default_service = "org.freedesktop.secrets",
    gen_blocking = false
)]
pub(super) trait Collection {
    fn search_items(&self, attributes: &BTreeMap<String, String>) -> zbus::Result<Vec<OwnedObjectPath>>;
    fn create_item(
        &self,
        properties: HashMap<&str, Value<'_>>,
        secret: &Secret,
        replace: bool,
    ) -> zbus::Result<(OwnedObjectPath, OwnedObjectPath)>;
    #[zbus(property)]
    fn locked(&self) -> zbus::Result<bool>;
}

#[proxy(interface = "org.freedesktop.Secret.Item", default_service = "org.freedesktop.secrets", gen_blocking = false)]
pub(super) trait Item {
    fn get_secret(&self, session: &OwnedObjectPath) -> zbus::Result<Secret>;
    fn set_secret(&self, secret: &Secret) -> zbus::Result<()>;
    fn delete(&self) -> zbus::Result<OwnedObjectPath>;
}

/// A secret in transfer.
#[derive(Deserialize, Serialize, Type)]
pub(super) struct Secret {
    pub(super) session: OwnedObjectPath,
    /// The parameters of the session's algorithm; `plain` has none.
    pub(super) parameters: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) content_type: String,
}

/// The service itself. Nothing is cached, so that nothing outlives this service.
pub(super) async fn service(bus: &Connection) -> zbus::Result<ServiceProxy<'static>> {
    ServiceProxy::builder(bus).cache_properties(CacheProperties::No).build().await
}

/// The collection at `path`.
pub(super) async fn collection(bus: &Connection, path: &OwnedObjectPath) -> zbus::Result<CollectionProxy<'static>> {
    CollectionProxy::builder(bus).path(path.clone())?.cache_properties(CacheProperties::No).build().await
}

/// The item at `path`.
pub(super) async fn item(bus: &Connection, path: &OwnedObjectPath) -> zbus::Result<ItemProxy<'static>> {
    ItemProxy::builder(bus).path(path.clone())?.cache_properties(CacheProperties::No).build().await
}

/// Lets the service ask the person first, if it needs to; false: the person declined.
pub(super) async fn settle(bus: &Connection, prompt: &OwnedObjectPath) -> zbus::Result<bool> {
    if prompt.as_str() == NONE {
        return Ok(true);
    }
    let interface = "org.freedesktop.Secret.Prompt";
    let completed = MatchRule::builder()
        .msg_type(MessageType::Signal)
        .sender(NAME)?
        .path(prompt.clone())?
        .interface(interface)?
        .member("Completed")?
        .build();
    // Subscribes before it asks, so that it misses no answer.
    let mut completed = MessageStream::for_match_rule(completed, bus, None).await?;
    bus.call_method(Some(NAME), prompt, Some(interface), "Prompt", &"").await?;
    let Some(answer) = completed.next().await else { return Ok(false) };
    let (dismissed, _): (bool, OwnedValue) = answer?.body().deserialize()?;
    Ok(!dismissed)
}
