//! Which of logind's sessions is the user's, and what its properties say.
//!
//! presenced runs as a systemd user service, which belongs to no session, so it has to look for one: the caller's own, the one
//! that logind shows for the user, then every session of the user. Leaves to others: when to look again (`logind`), and what
//! follows for the lock and for idleness (`lock`, `idle::logind`).

use std::collections::HashMap;

use jiff::Timestamp;
use zbus::fdo::PropertiesProxy;
use zbus::names::{InterfaceName, OwnedUniqueName};
use zbus::zvariant::{OwnedObjectPath, OwnedValue};
use zbus::{Connection, proxy};

use crate::signals::bus::{BusError, none_if_refused, with_timeout};
use crate::time::Clock;

const SESSION: InterfaceName<'static> = InterfaceName::from_static_str_unchecked("org.freedesktop.login1.Session");
const USER: InterfaceName<'static> = InterfaceName::from_static_str_unchecked("org.freedesktop.login1.User");

/// Session types with a screen that can be locked.
const GRAPHICAL: [&str; 3] = ["wayland", "x11", "mir"];

/// The user's session at a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::signals) struct Session {
    /// As in `$XDG_SESSION_ID`.
    pub(in crate::signals) id: String,
    /// As in `$XDG_SESSION_DESKTOP`; often empty.
    pub(in crate::signals) desktop: String,
    /// Whether it is the one on its seat's screen.
    pub(in crate::signals) active: bool,
    /// `LockedHint`: what its desktop last said about the lock, if it ever does.
    pub(in crate::signals) locked_hint: bool,
    /// `IdleHint` and `IdleSinceHint`.
    pub(in crate::signals) idle: IdleHint,
}

/// Whether the user is idle, according to the desktop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::signals) enum IdleHint {
    /// It never said.
    #[default]
    Never,
    /// The user is active.
    Active,
    /// The user is idle, and the desktop has said so since then.
    Since(Timestamp),
}

/// The result of a search.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The object of the user; changes of it may lead to another session.
    pub(super) user: Option<OwnedObjectPath>,
    /// The session.
    pub(super) session: Option<SessionObject>,
}

/// A session, and the objects that signal its changes.
#[derive(Debug)]
pub(super) struct SessionObject {
    /// Its real object: `/session/auto` never sends a signal.
    pub(super) path: OwnedObjectPath,
    /// The unit of its processes, at systemd.
    pub(super) scope: Option<OwnedObjectPath>,
    pub(super) session: Session,
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

/// Asks the logind that is `owner` for the user's session.
pub(super) async fn find(clock: &dyn Clock, bus: &Connection, owner: &OwnedUniqueName) -> Result<Found, BusError> {
    let logind = Logind { clock, bus, owner };
    let uid = rustix::process::getuid().as_raw();
    let manager = ManagerProxy::builder(bus).destination(owner)?.build().await?;
    let user = none_if_refused(with_timeout(clock, manager.get_user(uid)).await)?;
    let mut session = logind.at(none_if_refused(with_timeout(clock, manager.get_session("auto")).await)?).await?;
    if session.is_none() {
        session = logind.at(logind.display_of(user.as_ref()).await?).await?;
    }
    if session.is_none() {
        let listed = none_if_refused(with_timeout(clock, manager.list_sessions()).await)?.unwrap_or_default();
        for (_, _, _, _, path) in listed.into_iter().filter(|session| session.1 == uid) {
            let Some(other) = logind.at(Some(path)).await? else { continue };
            // Of several, the one in use counts.
            if session.as_ref().is_none_or(|found| other.session.rank() > found.session.rank()) {
                session = Some(other);
            }
        }
    }
    Ok(Found { user, session })
}

impl Session {
    /// Orders sessions by how likely the user sits there.
    const fn rank(&self) -> (bool, bool) {
        (self.active, !self.locked_hint)
    }

    /// Reads the properties of a session; `None` if it has no screen, does not belong to a user, or has ended except for some of
    /// its processes. An older logind, or another program in its place, may not have every property: what is missing has
    /// its usual value.
    fn read(properties: &Properties) -> Option<Self> {
        let flag = |name| properties.get(name).and_then(|value| bool::try_from(value).ok());
        let text = |name| properties.get(name).and_then(|value| <&str>::try_from(value).ok());
        let without_screen = text("Type").is_some_and(|kind| !GRAPHICAL.contains(&kind));
        let of_a_service = text("Class").is_some_and(|class| !class.starts_with("user"));
        let ended = text("State") == Some("closing");
        if without_screen || of_a_service || ended {
            return None;
        }
        // In microseconds of wall time; 0 means that the desktop never said.
        let since = properties.get("IdleSinceHint").and_then(|value| u64::try_from(value).ok());
        let since =
            since.filter(|since| *since > 0).and_then(|since| Timestamp::from_microsecond(since.try_into().ok()?).ok());
        let idle = match (flag("IdleHint"), since) {
            (_, None) | (None, _) => IdleHint::Never,
            (Some(false), Some(_)) => IdleHint::Active,
            (Some(true), Some(since)) => IdleHint::Since(since),
        };
        Some(Self {
            id: text("Id").unwrap_or_default().to_owned(),
            desktop: text("Desktop").unwrap_or_default().to_owned(),
            active: flag("Active").unwrap_or(true),
            locked_hint: flag("LockedHint").unwrap_or(false),
            idle,
        })
    }
}

/// The object of a unit at systemd. In its path, only the letters and digits of the name stand for themselves.
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
    /// The session that is the object `path`.
    async fn at(&self, path: Option<OwnedObjectPath>) -> Result<Option<SessionObject>, BusError> {
        let Some(path) = path else { return Ok(None) };
        let Some(properties) = self.properties(&path, SESSION).await? else { return Ok(None) };
        let scope = properties.get("Scope").and_then(|value| unit(<&str>::try_from(value).ok()?));
        Ok(Session::read(&properties).map(|session| SessionObject { path, scope, session }))
    }

    /// The session that logind shows for the user.
    async fn display_of(&self, user: Option<&OwnedObjectPath>) -> Result<Option<OwnedObjectPath>, BusError> {
        let Some(user) = user else { return Ok(None) };
        let properties = self.properties(user, USER).await?;
        let display = properties.as_ref().and_then(|properties| properties.get("Display"));
        let display: Option<(String, OwnedObjectPath)> =
            display.and_then(|value| value.try_clone().ok()?.try_into().ok());
        Ok(display.filter(|(id, _)| !id.is_empty()).map(|(_, path)| path))
    }

    /// All properties of an object; `None` if it does not exist (any more).
    async fn properties(
        &self,
        object: &OwnedObjectPath,
        interface: InterfaceName<'_>,
    ) -> Result<Option<Properties>, BusError> {
        let proxy = PropertiesProxy::builder(self.bus).destination(self.owner)?.path(object)?.build().await?;
        none_if_refused(with_timeout(self.clock, proxy.get_all(interface)).await)
    }
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::Value;

    use super::*;

    fn read(properties: &[(&str, Value<'_>)]) -> Option<Session> {
        let owned = |(name, value): &(&str, Value<'_>)| ((*name).to_owned(), value.try_to_owned().unwrap());
        Session::read(&properties.iter().map(owned).collect())
    }

    #[test]
    fn only_a_users_session_with_a_screen_counts() {
        for (kind, class, counts) in [
            ("wayland", "user", true),
            ("x11", "user", true),
            ("x11", "user-early", true),
            ("tty", "user", false),
            ("unspecified", "user", false),
            ("wayland", "greeter", false),
            ("unspecified", "manager", false),
            ("wayland", "lock-screen", false),
        ] {
            let found = read(&[("Type", kind.into()), ("Class", class.into())]);
            assert_eq!(found.is_some(), counts, "{kind} {class}");
        }
        // A remote desktop has a screen too; a remote shell does not.
        assert!(read(&[("Type", "x11".into()), ("Remote", true.into())]).is_some());
        assert!(read(&[("Type", "tty".into()), ("Remote", true.into())]).is_none());
    }

    #[test]
    fn what_an_older_logind_does_not_say_has_its_usual_value() {
        assert_eq!(read(&[]), Some(Session { active: true, ..Session::default() }));
        let hint = read(&[("LockedHint", true.into()), ("Active", false.into()), ("Desktop", "sway".into())]);
        let expected = Session { desktop: "sway".to_owned(), locked_hint: true, ..Session::default() };
        assert_eq!(hint, Some(expected));
    }
}
