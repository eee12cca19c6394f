//! Waits until there is a keyring, or until it is unlocked, by the signals of the bus and of the keyring.
//!
//! gnome-keyring does not announce that signing in to the desktop (PAM) unlocked it. So while something is locked, and only
//! then, presenced also checks once a minute.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::SelectAll;
use zbus::message::Type;
use zbus::names::BusName;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{Connection, MatchRule, MessageStream};

use super::{ANSWER_TIMEOUT, NAME};

const SERVICE: &str = "/org/freedesktop/secrets";

/// How often a locked collection is checked without a signal.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Whether a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Never: a daemon waits.
    Never,
    /// Once, by the keyring itself: a person's command waits.
    Once,
}

/// Waits until one of these collections is unlocked or gone; for an empty list, until there is a keyring. Also ends when the
/// bus is lost: the caller's next step then fails by itself.
pub(crate) async fn wait(collections: &[String], prompt: Prompt) {
    if let Err(error) = follow(collections, prompt).await {
        tracing::debug!(%error, "waiting for the keyring");
    }
}

async fn follow(collections: &[String], prompt: Prompt) -> zbus::Result<()> {
    // Subscribes before it checks, so that it misses nothing in between. A bus that does not answer counts as lost.
    let Ok(listening) = tokio::time::timeout(ANSWER_TIMEOUT, listen()).await else { return Ok(()) };
    let (bus, mut signals) = listening?;
    let mut is_asked = prompt == Prompt::Never;
    loop {
        let ready = tokio::time::timeout(ANSWER_TIMEOUT, is_ready(&bus, collections)).await;
        if ready.is_ok_and(|ready| ready) {
            return Ok(());
        }
        if !std::mem::replace(&mut is_asked, true)
            && let Err(error) = ask(&bus, collections).await
        {
            // Without a screen nobody can be asked, but it may still be unlocked.
            tracing::debug!(%error, "the keyring cannot ask to be unlocked");
        }
        let next = signals.next();
        let next = match collections {
            [] => next.await,
            [_, ..] => match tokio::time::timeout(LOOK_AGAIN, next).await {
                Ok(next) => next,
                Err(_) => continue,
            },
        };
        match next {
            Some(signal) => drop(signal?),
            None => return Ok(()),
        }
    }
}

async fn listen() -> zbus::Result<(Connection, SelectAll<MessageStream>)> {
    let bus = Connection::session().await?;
    let mut signals = SelectAll::new();
    for rule in rules()? {
        signals.push(MessageStream::for_match_rule(rule, &bus, None).await?);
    }
    Ok((bus, signals))
}

/// The signals: a new owner of the name, and all signals of the keyring and its collections.
fn rules() -> zbus::Result<[MatchRule<'static>; 2]> {
    let owner = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")?
        .member("NameOwnerChanged")?
        .add_arg(NAME.to_string())?;
    let keyring = MatchRule::builder().msg_type(Type::Signal).sender(NAME)?.path_namespace(SERVICE)?;
    Ok([owner.build(), keyring.build()])
}

async fn is_ready(bus: &Connection, collections: &[String]) -> bool {
    if collections.is_empty() {
        let bus = zbus::fdo::DBusProxy::new(bus).await;
        return match bus {
            Ok(bus) => bus.name_has_owner(BusName::WellKnown(NAME)).await.unwrap_or(true),
            Err(_) => true,
        };
    }
    for collection in collections {
        // There is no point in waiting for a keyring that cannot be asked: the caller's next step says why.
        if !is_locked(bus, collection).await.unwrap_or(false) {
            return true;
        }
    }
    false
}

async fn is_locked(bus: &Connection, collection: &str) -> zbus::Result<bool> {
    let property = ("org.freedesktop.Secret.Collection", "Locked");
    let interface = Some("org.freedesktop.DBus.Properties");
    let answer = bus.call_method(Some(NAME), collection, interface, "Get", &property).await?;
    Ok(answer.body().deserialize::<OwnedValue>()?.try_into()?)
}

/// Lets the keyring ask the person, and does not wait for the answer: unlocking is announced, whatever causes it.
async fn ask(bus: &Connection, collections: &[String]) -> zbus::Result<()> {
    let paths = collections.iter().map(|path| ObjectPath::try_from(path.as_str())).collect::<Result<Vec<_>, _>>()?;
    let interface = Some("org.freedesktop.Secret.Service");
    let answer = bus.call_method(Some(NAME), SERVICE, interface, "Unlock", &paths).await?;
    let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) = answer.body().deserialize()?;
    if prompt.as_str() != "/" {
        bus.call_method(Some(NAME), &prompt, Some("org.freedesktop.Secret.Prompt"), "Prompt", &"").await?;
    }
    Ok(())
}
