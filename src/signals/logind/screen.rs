//! Which of the user's sessions counts as the session at the screen.
//!
//! A session whose type is graphical has a screen. A session on a text console (type `tty`) has one as soon as a compositor or an
//! X server runs in it, or once its `LockedHint` was on: greetd with niri or Plasma, `startx`, and compositors on seatd never
//! change the type. Whose the server is, its process says: logind knows the session of a process unless a user service started
//! it, and then `$XDG_SESSION_ID` in its environment names the session. If neither does, which happens if the process may not be
//! looked at, a compositor belongs to the user's only session on this machine, and an X server to none: many X servers draw on no
//! screen. A text console without a server and a remote shell never count.
//!
//! Of several sessions with a screen, an active and unlocked one counts: the user sits there. Leaves to others: finding the
//! sessions (`session`) and the servers (`servers`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zbus::zvariant::OwnedObjectPath;

use super::servers::{Protocol, Server};
use super::session::{IdleHint, Kind, Session, SessionObject};

/// The sessions on text consoles whose `LockedHint` was ever on while they had no server, by id.
#[derive(Clone, Debug, Default)]
pub struct LockedSessions(Arc<Mutex<BTreeSet<String>>>);

impl LockedSessions {
    /// Forgets the sessions that have ended.
    fn retain(&self, sessions: &[SessionObject]) {
        self.ids().retain(|id| sessions.iter().any(|found| found.session.id == *id));
    }

    /// Whether this session without a server was ever locked. If it has a server, that says more: without it, only the text
    /// console is left.
    fn note(&self, session: &Session, has_server: bool) -> bool {
        let mut ids = self.ids();
        if has_server {
            return ids.remove(&session.id);
        }
        if session.locked_hint {
            ids.insert(session.id.clone());
        }
        ids.contains(&session.id)
    }

    fn ids(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session that counts, if there is one. `servers`: those that run, with the session that logind knows for each.
pub(super) fn choose(
    sessions: &[SessionObject],
    servers: &[(&Server, Option<OwnedObjectPath>)],
    locked_sessions: &LockedSessions,
) -> Option<Session> {
    locked_sessions.retain(sessions);
    let mut chosen: Option<Session> = None;
    for found in sessions {
        let session = match found.kind {
            Kind::Graphical => found.session.clone(),
            Kind::Console => {
                let server = servers.iter().find(|(server, known)| is_in(found, server, known.as_ref(), sessions));
                let was_locked = locked_sessions.note(&found.session, server.is_some());
                if server.is_none() && !was_locked {
                    continue;
                }
                at_console(&found.session, server.map(|(server, _)| *server))
            }
            Kind::NoScreen => continue,
        };
        // Where two are equal, the first counts.
        if chosen.as_ref().is_none_or(|chosen| rank(&session) > rank(chosen)) {
            chosen = Some(session);
        }
    }
    chosen
}

/// Orders sessions by how likely the user sits there.
const fn rank(session: &Session) -> (bool, bool) {
    (session.active, !session.locked_hint)
}

/// Whether a server belongs to the session `found` on a text console. `known`: the session of its process.
fn is_in(found: &SessionObject, server: &Server, known: Option<&OwnedObjectPath>, sessions: &[SessionObject]) -> bool {
    let by_variable = || sessions.iter().find(|found| Some(&found.session.id) == server.session_id.as_ref());
    if let Some(path) = known.or_else(|| by_variable().map(|named| &named.path)) {
        return *path == found.path;
    }
    let mut at_a_screen = sessions.iter().filter(|found| found.kind != Kind::NoScreen);
    let is_only_one = at_a_screen.all(|other| other.path == found.path);
    server.protocol == Protocol::Wayland && is_only_one
}

/// A session on a text console that has a screen. For idleness, logind does not ask a desktop there: it looks at when the console
/// was last used, and that is not where the user types. If the session has no desktop's name, its compositor has one.
fn at_console(session: &Session, server: Option<&Server>) -> Session {
    let mut session = Session { idle: IdleHint::Never, ..session.clone() };
    if let Some(server) = server.filter(|_| session.desktop.is_empty()) {
        session.desktop.clone_from(&server.program);
    }
    session
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(id: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(format!("/session/{id}")).unwrap()
    }

    fn session(id: &str, kind: Kind, active: bool, locked_hint: bool) -> SessionObject {
        let session = Session { id: id.to_owned(), active, locked_hint, ..Session::default() };
        SessionObject { path: path(id), scope: None, kind, session }
    }

    fn console(id: &str) -> SessionObject {
        session(id, Kind::Console, true, false)
    }

    fn server(protocol: Protocol, session_id: Option<&str>) -> Server {
        Server { protocol, pid: 1, session_id: session_id.map(str::to_owned), program: "niri".to_owned() }
    }

    fn chosen(sessions: &[SessionObject], servers: &[(&Server, Option<OwnedObjectPath>)]) -> Option<String> {
        choose(sessions, servers, &LockedSessions::default()).map(|session| session.id)
    }

    #[test]
    fn of_two_sessions_with_a_screen_the_active_and_unlocked_one_counts() {
        let graphical = |id, active, locked| session(id, Kind::Graphical, active, locked);
        for (first, second, counts) in [
            ((true, false), (true, false), "1"),
            ((true, true), (true, false), "2"),
            ((false, false), (true, false), "2"),
            ((false, true), (true, false), "2"),
            ((true, false), (false, false), "1"),
            ((false, false), (true, true), "2"),
            ((false, true), (false, true), "1"),
        ] {
            let sessions = [graphical("1", first.0, first.1), graphical("2", second.0, second.1)];
            assert_eq!(chosen(&sessions, &[]).as_deref(), Some(counts), "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_text_console_counts_only_with_a_server_of_its_own() {
        use Protocol::{Wayland, X11};

        let consoles = [console("1"), console("2")];
        assert_eq!(chosen(&consoles, &[]), None);
        for protocol in [Wayland, X11] {
            // logind's word comes before the variable, which may be from an earlier session.
            let known = server(protocol, Some("1"));
            assert_eq!(chosen(&consoles, &[(&known, Some(path("2")))]).as_deref(), Some("2"));
            let named = server(protocol, Some("2"));
            assert_eq!(chosen(&consoles, &[(&named, None)]).as_deref(), Some("2"));
            // Of a session that is not this user's, or that has no screen.
            assert_eq!(chosen(&consoles, &[(&named, Some(path("9")))]), None);
            let with_ssh = [console("1"), session("2", Kind::NoScreen, true, false)];
            assert_eq!(chosen(&with_ssh, &[(&named, None)]), None);
        }
    }

    #[test]
    fn a_compositor_that_tells_no_session_belongs_to_the_only_one() {
        let compositor = server(Protocol::Wayland, None);
        let of_an_ended_one = server(Protocol::Wayland, Some("0"));
        let x_server = server(Protocol::X11, None);
        let ssh = || session("8", Kind::NoScreen, true, false);
        for server in [&compositor, &of_an_ended_one] {
            assert_eq!(chosen(&[ssh(), console("1")], &[(server, None)]).as_deref(), Some("1"));
            assert_eq!(chosen(&[console("1"), console("2")], &[(server, None)]), None);
            let desktop = session("3", Kind::Graphical, false, true);
            assert_eq!(chosen(&[console("1"), desktop], &[(server, None)]).as_deref(), Some("3"));
        }
        assert_eq!(chosen(&[console("1")], &[(&x_server, None)]), None);
    }

    #[test]
    fn a_text_console_counts_once_it_was_locked_until_it_ends() {
        let memory = LockedSessions::default();
        let now = |sessions: &[SessionObject]| choose(sessions, &[], &memory).map(|session| session.id);
        assert_eq!(now(&[console("1"), console("2")]), None);
        let locked = session("2", Kind::Console, true, true);
        assert_eq!(now(&[console("1"), locked]).as_deref(), Some("2"));
        assert_eq!(now(&[console("1"), console("2")]).as_deref(), Some("2"));
        // A later session may get the same id.
        assert_eq!(now(&[console("1")]), None);
        assert_eq!(now(&[console("1"), console("2")]), None);
    }

    #[test]
    fn a_text_console_whose_server_ends_is_only_that_again() {
        let memory = LockedSessions::default();
        let compositor = server(Protocol::Wayland, Some("1"));
        let now = |locked, servers: &[(&Server, Option<OwnedObjectPath>)]| {
            choose(&[session("1", Kind::Console, true, locked)], servers, &memory).is_some()
        };
        // It was locked before its server was found.
        assert!(now(true, &[]) && now(false, &[]));
        assert!(now(true, &[(&compositor, None)]) && now(false, &[(&compositor, None)]));
        assert!(!now(false, &[]));
        // A server that ends while the session is locked leaves it locked.
        assert!(now(true, &[(&compositor, None)]) && now(true, &[]));
    }

    #[test]
    fn a_text_console_says_nothing_about_input_and_has_its_compositors_name() {
        let mut found = console("1");
        found.session.idle = IdleHint::Active;
        let compositor = server(Protocol::Wayland, Some("1"));
        let choose = |found| choose(&[found], &[(&compositor, None)], &LockedSessions::default());
        let expected = Session { id: "1".to_owned(), active: true, desktop: "niri".to_owned(), ..Session::default() };
        assert_eq!(choose(found).as_ref(), Some(&expected));
        let mut found = console("1");
        found.session.desktop = "KDE".to_owned();
        assert_eq!(choose(found).map(|session| session.desktop).as_deref(), Some("KDE"));
    }
}
