//! The user's sessions at logind, and what their properties say.
//!
//! presenced runs as a systemd user service, which belongs to no session, so it has to look for them: the caller's own, the one
//! that logind shows for the user, then every session of the user. Leaves to others: which of them counts (`screen`), when to
//! look again (`logind`), and what follows for the lock and for idleness (`lock`, `idle::logind`).

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

/// The type of a session on a text console.
const TTY: &str = "tty";

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
    /// The user's sessions, the most likely first.
    pub(super) sessions: Vec<SessionObject>,
}

/// A session, and the objects that signal its changes.
#[derive(Debug)]
pub(super) struct SessionObject {
    /// Its real object: `/session/auto` never sends a signal.
    pub(super) path: OwnedObjectPath,
    /// The unit of its processes, at systemd.
    pub(super) scope: Option<OwnedObjectPath>,
    pub(super) kind: Kind,
    pub(super) session: Session,
}

/// What logind's properties say about the screen of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its type says that it has one.
    Graphical,
    /// It is on a text console of this machine. A login manager like greetd begins such sessions for a desktop too, and `startx`
    /// starts an X server in one.
    Console,
    /// It has none: a remote shell, or not a person's. Or it has ended except for some of its processes.
    NoScreen,
}

#[proxy(interface = "org.freedesktop.login1.Manager", default_path = "/org/freedesktop/login1", gen_blocking = false)]
trait Manager {
    fn get_session(&self, session_id: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(name = "GetSessionByPID")]
    fn get_session_by_pid(&self, pid: u32) -> zbus::Result<OwnedObjectPath>;
    fn get_user(&self, uid: u32) -> zbus::Result<OwnedObjectPath>;
    fn list_sessions(&self) -> zbus::Result<Vec<ListedSession>>;
}

/// Session id, user id, user name, seat and object path, as `ListSessions` gives them.
type ListedSession = (String, u32, String, String, OwnedObjectPath);

type Properties = HashMap<String, OwnedValue>;

/// Asks the logind that is `owner` for the user's sessions.
pub(super) async fn find(clock: &dyn Clock, bus: &Connection, owner: &OwnedUniqueName) -> Result<Found, BusError> {
    let logind = Logind { clock, bus, owner };
    let uid = rustix::process::getuid().as_raw();
    let manager = ManagerProxy::builder(bus).destination(owner)?.build().await?;
    let user = none_if_refused(with_timeout(clock, manager.get_user(uid)).await)?;
    let own = none_if_refused(with_timeout(clock, manager.get_session("auto")).await)?;
    let display = logind.display_of(user.as_ref()).await?;
    let listed = none_if_refused(with_timeout(clock, manager.list_sessions()).await)?.unwrap_or_default();
    let listed = listed.into_iter().filter(|session| session.1 == uid).map(|(.., path)| path);
    let mut sessions: Vec<SessionObject> = Vec::new();
    for path in own.into_iter().chain(display).chain(listed) {
        if !sessions.iter().any(|known| known.path == path) {
            sessions.extend(logind.at(path).await?);
        }
    }
    Ok(Found { user, sessions })
}

/// Asks the logind that is `owner` which session a process belongs to. `None`: to none, as the process of a user service.
pub(super) async fn of_process(
    clock: &dyn Clock,
    bus: &Connection,
    owner: &OwnedUniqueName,
    pid: i32,
) -> Result<Option<OwnedObjectPath>, BusError> {
    let Ok(pid) = pid.try_into() else { return Ok(None) };
    let manager = ManagerProxy::builder(bus).destination(owner)?.build().await?;
    none_if_refused(with_timeout(clock, manager.get_session_by_pid(pid)).await)
}

impl Kind {
    /// What the properties of a session say. An older logind, or another program in its place, may not have every property: what
    /// is missing has its usual value.
    fn read(properties: &Properties) -> Self {
        let text = |name| text(properties, name);
        let of_a_service = text("Class").is_some_and(|class| !class.starts_with("user"));
        let ended = text("State") == Some("closing");
        let is_remote = flag(properties, "Remote").unwrap_or(false);
        let seat = properties.get("Seat").and_then(|value| value.try_clone().ok()?.try_into().ok());
        let has_seat = seat.is_none_or(|(seat, _): (String, OwnedObjectPath)| !seat.is_empty());
        match text("Type") {
            _ if of_a_service || ended => Self::NoScreen,
            None => Self::Graphical,
            Some(kind) if GRAPHICAL.contains(&kind) => Self::Graphical,
            Some(TTY) if has_seat && !is_remote => Self::Console,
            Some(_) => Self::NoScreen,
        }
    }
}

impl Session {
    /// Reads the properties of a session; as above, what is missing has its usual value.
    fn read(properties: &Properties) -> Self {
        let flag = |name| flag(properties, name);
        let text = |name| text(properties, name);
        // In microseconds of wall time; 0 means that the desktop never said.
        let since = properties.get("IdleSinceHint").and_then(|value| u64::try_from(value).ok());
        let since =
            since.filter(|since| *since > 0).and_then(|since| Timestamp::from_microsecond(since.try_into().ok()?).ok());
        let idle = match (flag("IdleHint"), since) {
            (_, None) | (None, _) => IdleHint::Never,
            (Some(false), Some(_)) => IdleHint::Active,
            (Some(true), Some(since)) => IdleHint::Since(since),
        };
        Self {
            id: text("Id").unwrap_or_default().to_owned(),
            desktop: text("Desktop").unwrap_or_default().to_owned(),
            active: flag("Active").unwrap_or(true),
            locked_hint: flag("LockedHint").unwrap_or(false),
            idle,
        }
    }
}

fn flag(properties: &Properties, name: &str) -> Option<bool> {
    properties.get(name).and_then(|value| bool::try_from(value).ok())
}

fn text<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name).and_then(|value| <&str>::try_from(value).ok())
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
    /// The session that is the object `path`; `None` if it does not exist (any more).
    async fn at(&self, path: OwnedObjectPath) -> Result<Option<SessionObject>, BusError> {
        let Some(properties) = self.properties(&path, SESSION).await? else { return Ok(None) };
        let scope = text(&properties, "Scope").and_then(unit);
        let (kind, session) = (Kind::read(&properties), Session::read(&properties));
        Ok(Some(SessionObject { path, scope, kind, session }))
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

    fn owned(properties: &[(&str, Value<'_>)]) -> Properties {
        let owned = |(name, value): &(&str, Value<'_>)| ((*name).to_owned(), value.try_to_owned().unwrap());
        properties.iter().map(owned).collect()
    }

    #[test]
    fn only_a_persons_session_may_have_a_screen() {
        for (session_type, class, kind) in [
            ("wayland", "user", Kind::Graphical),
            ("x11", "user", Kind::Graphical),
            ("x11", "user-early", Kind::Graphical),
            ("tty", "user", Kind::Console),
            ("tty", "background", Kind::NoScreen),
            ("unspecified", "user", Kind::NoScreen),
            ("wayland", "greeter", Kind::NoScreen),
            ("unspecified", "manager", Kind::NoScreen),
            ("wayland", "lock-screen", Kind::NoScreen),
        ] {
            let properties = owned(&[("Type", session_type.into()), ("Class", class.into())]);
            assert_eq!(Kind::read(&properties), kind, "{session_type} {class}");
        }
    }

    #[test]
    fn a_remote_desktop_has_a_screen_and_a_remote_shell_or_a_serial_line_has_none() {
        let remote = |session_type: &str| owned(&[("Type", session_type.into()), ("Remote", true.into())]);
        assert_eq!(Kind::read(&remote("x11")), Kind::Graphical);
        assert_eq!(Kind::read(&remote("tty")), Kind::NoScreen);
        let on = |seat: &str| {
            let seat = Value::from((seat, OwnedObjectPath::try_from("/").unwrap()));
            owned(&[("Type", "tty".into()), ("Seat", seat)])
        };
        assert_eq!((Kind::read(&on("seat0")), Kind::read(&on(""))), (Kind::Console, Kind::NoScreen));
    }

    #[test]
    fn what_an_older_logind_does_not_say_has_its_usual_value() {
        assert_eq!(Kind::read(&owned(&[])), Kind::Graphical);
        assert_eq!(Session::read(&owned(&[])), Session { active: true, ..Session::default() });
        let hint = owned(&[("LockedHint", true.into()), ("Active", false.into()), ("Desktop", "sway".into())]);
        let expected = Session { desktop: "sway".to_owned(), locked_hint: true, ..Session::default() };
        assert_eq!(Session::read(&hint), expected);
    }
}
