//! logind's side of the screen lock: which session is the user's, and whether it is locked.
//!
//! presenced runs as a systemd user service, which belongs to no session, so the session is looked for. It is looked
//! for again, and read again, after every signal that may concern it: the state comes from what logind says now, never
//! from what a signal said. Leaves to others: what the lock is when logind cannot tell (`lock`).

use std::collections::HashMap;
use std::convert::Infallible;

use tokio::sync::watch;
use zbus::fdo::PropertiesProxy;
use zbus::message::Type;
use zbus::names::{BusName, InterfaceName, OwnedUniqueName, WellKnownName};
use zbus::zvariant::{OwnedObjectPath, OwnedValue};
use zbus::{Connection, MatchRule, proxy};

use super::Context;
use super::backoff::Backoff;
use super::bus::{self, Lost, Signals, answer, refused};
use crate::policy::Lock;
use crate::time::Clock;

pub(super) const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.login1");
const SYSTEMD: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.systemd1");
pub(super) const PATH: &str = "/org/freedesktop/login1";
pub(super) const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: InterfaceName<'static> = InterfaceName::from_static_str_unchecked("org.freedesktop.login1.Session");
const USER: InterfaceName<'static> = InterfaceName::from_static_str_unchecked("org.freedesktop.login1.User");

/// Session types with a screen that can be locked.
const GRAPHICAL: [&str; 3] = ["wayland", "x11", "mir"];

/// What logind says of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet.
    Unread,
    /// The state of the user's session.
    Session(Lock),
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
    /// The unit of the session's processes, at systemd.
    scope: Option<OwnedObjectPath>,
}

/// A session at whose screen the user sits.
struct Seat {
    lock: Lock,
    scope: Option<OwnedObjectPath>,
}

/// Keeps `view` true. Never returns.
pub(super) async fn follow(context: &Context, view: &watch::Sender<View>) {
    bus::keep_following(&*context.clock, Follower { context, view }).await;
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
        let logind = BusName::from(owner.as_ref());
        // That a session ends while processes of it go on, logind tells nobody; its scope is abandoned then.
        let systemd = BusName::from(SYSTEMD);
        for (sender, object) in [(&logind, &self.user), (&logind, &self.session), (&systemd, &self.scope)] {
            let Some(object) = object else { continue };
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(sender)?.path(object)?;
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
    let mut seat = logind.seat_at(found.as_ref()).await?;
    if seat.is_none() {
        found = logind.display_of(user.as_ref()).await?;
        seat = logind.seat_at(found.as_ref()).await?;
    }
    if seat.is_none() {
        let listed = refused(answer(clock, manager.list_sessions()).await)?.unwrap_or_default();
        for (_, _, _, _, session) in listed.into_iter().filter(|session| session.1 == uid) {
            let other = logind.seat_at(Some(&session)).await?;
            // Of several the one that is in use counts.
            if other.as_ref().map(|other| other.lock) > seat.as_ref().map(|seat| seat.lock) {
                (found, seat) = (Some(session), other);
            }
        }
    }
    let view = seat.as_ref().map_or(View::NoSession, |seat| View::Session(seat.lock));
    let session = found.filter(|_| seat.is_some());
    let scope = seat.and_then(|seat| seat.scope);
    Ok((Subject { owner: Some(owner), user, session, scope }, view))
}

/// The object by which systemd shows a unit: of its name only letters and digits stand for themselves.
fn unit(name: &str) -> Option<OwnedObjectPath> {
    let write =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("_{byte:02x}") };
    let name: String = name.bytes().map(write).collect();
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{name}")).ok()
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

    /// A session; `None` when it is not one at whose screen the user sits, or has ended but for some of its processes.
    /// An older logind, or another program in its place, may not have every property: what is missing is taken as usual.
    async fn seat_at(&self, session: Option<&OwnedObjectPath>) -> Result<Option<Seat>, Lost> {
        let Some(properties) = self.properties(session, SESSION).await? else { return Ok(None) };
        let flag = |name| properties.get(name).and_then(|value| bool::try_from(value).ok());
        let text = |name| properties.get(name).and_then(|value| <&str>::try_from(value).ok());
        let elsewhere = flag("Remote") == Some(true) && !text("Type").is_some_and(|kind| GRAPHICAL.contains(&kind));
        let ended = text("State") == Some("closing");
        if elsewhere || ended || text("Class").is_some_and(|class| !class.starts_with("user")) {
            return Ok(None);
        }
        let locked = flag("LockedHint") == Some(true) || flag("Active") == Some(false);
        let lock = if locked { Lock::Locked } else { Lock::Unlocked };
        Ok(Some(Seat { lock, scope: text("Scope").and_then(unit) }))
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
