//! logind's side of the screen lock and of idleness: which session is the user's, and what logind says of it.
//!
//! presenced runs as a systemd user service, which belongs to no session, so the session is looked for. It is looked
//! for again, and read again, after every signal that may concern it: the state comes from what logind says now, never
//! from what a signal said. Leaves to others: what the lock is when logind cannot tell (`lock`).

use std::collections::HashMap;
use std::convert::Infallible;

use jiff::Timestamp;
use tokio::sync::watch;
use zbus::fdo::PropertiesProxy;
use zbus::message::Type;
use zbus::names::{InterfaceName, OwnedUniqueName, WellKnownName};
use zbus::zvariant::{OwnedObjectPath, OwnedValue};
use zbus::{Connection, MatchRule, proxy};

use super::Context;
use super::backoff::Backoff;
use super::bus::{self, Lost, Signals, answer, refused};
use crate::policy::Lock;
use crate::time::Clock;

pub(super) const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.login1");
pub(super) const PATH: &str = "/org/freedesktop/login1";
pub(super) const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: InterfaceName<'static> = InterfaceName::from_static_str_unchecked("org.freedesktop.login1.Session");
const USER: InterfaceName<'static> = InterfaceName::from_static_str_unchecked("org.freedesktop.login1.User");

/// Session types with a screen that can be locked.
const GRAPHICAL: [&str; 3] = ["wayland", "x11", "mir"];

/// What logind says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) lock: Lock,
    pub(super) idle: IdleHint,
}

/// Whether nobody is there, as the desktop says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdleHint {
    /// It never said.
    Never,
    /// Somebody is.
    Active,
    /// Nobody, and since when it says so.
    Since(Timestamp),
}

/// What logind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet.
    Unread,
    /// The state of the user's session.
    Session(Session),
    /// The user has no session here.
    NoSession,
    /// logind cannot be asked; why, for people.
    Unavailable(String),
}

#[proxy(interface = "org.freedesktop.login1.Manager", default_path = "/org/freedesktop/login1", gen_blocking = false)]
trait Manager {
    fn get_session(&self, session_id: &str) -> zbus::Result<OwnedObjectPath>;
    fn get_user(&self, uid: u32) -> zbus::Result<OwnedObjectPath>;
    fn list_sessions(&self) -> zbus::Result<Vec<ListedSession>>;
}

/// Session id, user id, user name, seat and object path, as `ListSessions` gives them.
type ListedSession = (String, u32, String, String, OwnedObjectPath);

type Properties = HashMap<String, OwnedValue>;

/// What is watched.
#[derive(Debug, Default, PartialEq, Eq)]
struct Subject {
    owner: Option<OwnedUniqueName>,
    user: Option<OwnedObjectPath>,
    session: Option<OwnedObjectPath>,
}

/// Keeps `view` true. Never returns.
pub(super) async fn follow(context: &Context, view: &watch::Sender<View>) -> Infallible {
    bus::keep_following(&*context.clock, Follower { context, view }).await
}

struct Follower<'a> {
    context: &'a Context,
    view: &'a watch::Sender<View>,
}

impl bus::Follow for Follower<'_> {
    async fn connect(&self, clock: &dyn Clock) -> Result<Connection, Lost> {
        self.context.buses.connect_system(clock).await
    }

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, Lost> {
        follow_on(&*self.context.clock, bus, self.view, backoff).await
    }

    async fn lost(&mut self, lost: &Lost) {
        self.view.send_replace(View::Unavailable(format!("the system bus cannot be used: {lost}")));
    }
}

/// Keeps `view` true as long as the connection lasts.
async fn follow_on(
    clock: &dyn Clock,
    bus: &Connection,
    view: &watch::Sender<View>,
    backoff: &mut Backoff,
) -> Result<Infallible, Lost> {
    let mut subject = Subject::default();
    let mut signals = Signals::listen(clock, bus, subject.rules()?).await?;
    loop {
        let (looked, came) = signals.during(look(clock, bus)).await?;
        let (found, seen) = looked?;
        *backoff = Backoff::new();
        if found != subject {
            subject = found;
            signals = Signals::listen(clock, bus, subject.rules()?).await?;
            // Look once more: what changed before the signals were listened to is seen by that.
            continue;
        }
        if !came {
            view.send_if_modified(|view| std::mem::replace(view, seen.clone()) != seen);
            signals.next().await?;
        }
    }
}

impl Subject {
    /// The signals that may change what is said of it.
    fn rules(&self) -> zbus::Result<Vec<MatchRule<'_>>> {
        let mut rules = vec![bus::owner_changed(&NAME)?];
        let Some(owner) = &self.owner else { return Ok(rules) };
        for member in ["SessionNew", "SessionRemoved"] {
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(owner)?;
            rules.push(rule.path(PATH)?.interface(MANAGER)?.member(member)?.build());
        }
        for object in [&self.user, &self.session].into_iter().flatten() {
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(owner)?.path(object)?;
            rules.push(rule.interface("org.freedesktop.DBus.Properties")?.member("PropertiesChanged")?.build());
        }
        Ok(rules)
    }
}

/// Finds the user's session and reads it.
async fn look(clock: &dyn Clock, bus: &Connection) -> Result<(Subject, View), Lost> {
    let Some(owner) = bus::owner(clock, bus, &NAME).await? else {
        let reason = "logind (org.freedesktop.login1) is not running".to_owned();
        return Ok((Subject::default(), View::Unavailable(reason)));
    };
    let logind = Logind { clock, bus, owner: &owner };
    let uid = rustix::process::getuid().as_raw();
    let manager = ManagerProxy::builder(bus).destination(&owner)?.build().await?;
    let user = refused(answer(clock, manager.get_user(uid)).await)?;
    let mut found = refused(answer(clock, manager.get_session("auto")).await)?;
    let mut seen = logind.session_at(found.as_ref()).await?;
    if seen.is_none() {
        found = logind.display_of(user.as_ref()).await?;
        seen = logind.session_at(found.as_ref()).await?;
    }
    if seen.is_none() {
        let listed = refused(answer(clock, manager.list_sessions()).await)?.unwrap_or_default();
        for (_, _, _, _, session) in listed.into_iter().filter(|session| session.1 == uid) {
            let other = logind.session_at(Some(&session)).await?;
            // Of several the one that is in use counts.
            if other.map(|other| other.lock) > seen.map(|seen| seen.lock) {
                (found, seen) = (Some(session), other);
            }
        }
    }
    let view = seen.map_or(View::NoSession, View::Session);
    let session = found.filter(|_| seen.is_some());
    Ok((Subject { owner: Some(owner), user, session }, view))
}

/// One running logind.
struct Logind<'a> {
    clock: &'a dyn Clock,
    bus: &'a Connection,
    owner: &'a OwnedUniqueName,
}

impl Logind<'_> {
    /// The session that logind shows for the user.
    async fn display_of(&self, user: Option<&OwnedObjectPath>) -> Result<Option<OwnedObjectPath>, Lost> {
        let properties = self.properties(user, USER).await?;
        let display = properties.as_ref().and_then(|properties| properties.get("Display"));
        let display: Option<(String, OwnedObjectPath)> =
            display.and_then(|value| value.try_clone().ok()?.try_into().ok());
        Ok(display.filter(|(id, _)| !id.is_empty()).map(|(_, path)| path))
    }

    /// What is said of a session; `None` when it is not one at whose screen the user sits. An older logind, or another
    /// program in its place, may not have every property: what is missing is taken as usual.
    async fn session_at(&self, session: Option<&OwnedObjectPath>) -> Result<Option<Session>, Lost> {
        let Some(properties) = self.properties(session, SESSION).await? else { return Ok(None) };
        let flag = |name| properties.get(name).and_then(|value| bool::try_from(value).ok());
        let text = |name| properties.get(name).and_then(|value| <&str>::try_from(value).ok());
        let elsewhere = flag("Remote") == Some(true) && !text("Type").is_some_and(|kind| GRAPHICAL.contains(&kind));
        if elsewhere || text("Class").is_some_and(|class| !class.starts_with("user")) {
            return Ok(None);
        }
        let locked = flag("LockedHint") == Some(true) || flag("Active") == Some(false);
        let lock = if locked { Lock::Locked } else { Lock::Unlocked };
        // In microseconds of wall time; 0 is the desktop that never said.
        let since = properties.get("IdleSinceHint").and_then(|value| u64::try_from(value).ok());
        let since =
            since.filter(|since| *since > 0).and_then(|since| Timestamp::from_microsecond(since.try_into().ok()?).ok());
        let idle = match (flag("IdleHint"), since) {
            (_, None) | (None, _) => IdleHint::Never,
            (Some(false), Some(_)) => IdleHint::Active,
            (Some(true), Some(since)) => IdleHint::Since(since),
        };
        Ok(Some(Session { lock, idle }))
    }

    /// All properties of an object; `None` when there is no such object (any more).
    async fn properties(
        &self,
        object: Option<&OwnedObjectPath>,
        interface: InterfaceName<'_>,
    ) -> Result<Option<Properties>, Lost> {
        let Some(object) = object else { return Ok(None) };
        let proxy = PropertiesProxy::builder(self.bus).destination(self.owner)?.path(object)?.build().await?;
        refused(answer(self.clock, proxy.get_all(interface)).await)
    }
}
