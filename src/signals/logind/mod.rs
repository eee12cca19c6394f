//! logind: follows the user's session, for the lock and the idle signals.
//!
//! All sessions are looked up and read again after every signal that may concern one of them: the state comes from what logind
//! says now, never from the signal. If one of them is on a text console, the user's compositors and X servers are watched too. A
//! logind that restarts forgets the lock, so what it says then is trusted only to a degree ([`Trust`]). Leaves to others: finding
//! the sessions (`session`) and the servers (`servers`), which session counts (`screen`), what the reading means (`lock`, `idle`),
//! and sleep (`sleep`).

mod screen;
mod servers;
mod session;

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use zbus::message::Type;
use zbus::names::{OwnedUniqueName, WellKnownName};
use zbus::zvariant::OwnedObjectPath;
use zbus::{Connection, MatchRule};

use crate::signals::backoff::{Backoff, until};
use crate::signals::bus::{self, BusError, BusKind, Signals};
use crate::signals::{Context, Displays};
use crate::time::{Clock, Instant};
use servers::Servers;
use session::{Kind, SessionObject};

pub use screen::LockedSessions;
pub(super) use session::{IdleHint, Session};

pub(super) const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.login1");
const SYSTEMD: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.systemd1");
pub(super) const PATH: &str = "/org/freedesktop/login1";
pub(super) const MANAGER: &str = "org.freedesktop.login1.Manager";

/// A new logind is read a second time this long after its first reading.
const SECOND_READING_DELAY: Duration = Duration::from_millis(500);

/// What logind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet.
    Unread,
    /// The user's session at the screen, and how far to trust it that the session is not locked.
    Session(Session, Trust),
    /// The user has no session at a screen here.
    NoSession,
    /// logind cannot be asked; why, for people.
    Unavailable(String),
}

/// How far to trust a `LockedHint` that is off. A logind that restarts forgets the hint, and no desktop sets it again before
/// the lock changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// This logind had the session's hint on before: the desktop sets it.
    Proven,
    /// This is the first logind that presenced has seen.
    Full,
    /// It started later, and has said so twice.
    Again,
    /// It started later, and has said so once.
    Doubt,
}

/// What is watched.
#[derive(Debug, Default, PartialEq, Eq)]
struct Subject {
    owner: Option<OwnedUniqueName>,
    user: Option<OwnedObjectPath>,
    /// The sessions that have a screen or may get one.
    sessions: Vec<OwnedObjectPath>,
    /// The units of the sessions' processes, at systemd.
    scopes: Vec<OwnedObjectPath>,
}

/// Keeps `view` up to date. Never returns.
pub(super) async fn follow(context: &Context, displays: &Displays, view: &watch::Sender<View>) -> Infallible {
    let servers = Servers::new(context, displays);
    bus::keep_following(context, Follower { context, servers, view, record: Record::default() }).await
}

struct Follower<'a> {
    context: &'a Context,
    servers: Servers<'a>,
    view: &'a watch::Sender<View>,
    record: Record,
}

impl bus::Follow for Follower<'_> {
    const BUS: BusKind = BusKind::System;

    /// Follows for as long as the connection lasts.
    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, BusError> {
        let clock = &*self.context.clock;
        let mut subject = Subject::default();
        let mut signals = Signals::listen(clock, bus, subject.rules()?).await?;
        loop {
            let look = look(clock, bus, &mut self.servers, &self.context.locked_sessions);
            let Some(looked) = signals.look(clock, look).await? else { continue };
            let (found, seen) = looked?;
            *backoff = Backoff::new();
            if found != subject {
                if found.owner != subject.owner {
                    self.record.new_owner(found.owner.as_ref());
                }
                subject = found;
                signals.change(clock, subject.rules()?).await?;
                // Look once more, to see what changed before these signals were subscribed to.
                continue;
            }
            let seen = match seen {
                Looked::Session(session) => {
                    let trust = self.record.judge(&session, clock.now().instant);
                    View::Session(session, trust)
                }
                Looked::NoSession => View::NoSession,
                Looked::NotRunning => View::Unavailable("logind (org.freedesktop.login1) is not running".to_owned()),
            };
            self.view.send_if_modified(|view| std::mem::replace(view, seen.clone()) != seen);
            tokio::select! {
                changed = signals.changed() => changed?,
                () = self.servers.changed() => {}
                () = until(clock, self.record.look_again_at()) => {}
            }
        }
    }

    async fn lost(&mut self, lost: &BusError) {
        self.record.new_owner(None);
        self.servers.rest();
        self.view.send_replace(View::Unavailable(format!("the system bus cannot be used: {lost}")));
    }
}

/// The result of a look.
enum Looked {
    Session(Session),
    NoSession,
    NotRunning,
}

/// Finds the user's session at the screen and reads it.
async fn look(
    clock: &dyn Clock,
    bus: &Connection,
    servers: &mut Servers<'_>,
    locked_sessions: &LockedSessions,
) -> Result<(Subject, Looked), BusError> {
    let Some(owner) = bus::owner(clock, bus, &NAME).await? else {
        return Ok((Subject::default(), Looked::NotRunning));
    };
    let session::Found { user, sessions } = session::find(clock, bus, &owner).await?;
    let mut running = Vec::new();
    if sessions.iter().any(|found| found.kind == Kind::Console) {
        for server in servers.look().await {
            running.push((server, session::of_process(clock, bus, &owner, server.pid).await?));
        }
    } else {
        servers.rest();
    }
    let chosen = screen::choose(&sessions, &running, locked_sessions);
    let looked = chosen.map_or(Looked::NoSession, Looked::Session);
    Ok((Subject::new(owner, user, &sessions), looked))
}

impl Subject {
    fn new(owner: OwnedUniqueName, user: Option<OwnedObjectPath>, sessions: &[SessionObject]) -> Self {
        let watched = || sessions.iter().filter(|found| found.kind != Kind::NoScreen);
        let scopes = watched().filter_map(|found| found.scope.clone()).collect();
        Self { owner: Some(owner), user, sessions: watched().map(|found| found.path.clone()).collect(), scopes }
    }

    /// The signals that may mean a change of it.
    fn rules(&self) -> zbus::Result<Vec<MatchRule<'_>>> {
        let mut rules = vec![bus::owner_changed(&NAME)?];
        if self.owner.is_none() {
            return Ok(rules);
        }
        for member in ["SessionNew", "SessionRemoved"] {
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(NAME)?;
            rules.push(rule.path(PATH)?.interface(MANAGER)?.member(member)?.build());
        }
        // logind does not signal that a session ends while some of its processes still run; its scope is abandoned then.
        let at_logind = self.user.iter().chain(&self.sessions).map(|object| (NAME, object));
        for (sender, object) in at_logind.chain(self.scopes.iter().map(|object| (SYSTEMD, object))) {
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(sender)?.path(object)?;
            rules.push(rule.interface("org.freedesktop.DBus.Properties")?.member("PropertiesChanged")?.build());
        }
        Ok(rules)
    }
}

/// What is remembered about the current logind, to know how far to trust it.
#[derive(Debug, Default)]
struct Record {
    age: Age,
    /// The session whose hint it last had on.
    proven: Option<String>,
}

/// Whether there was another logind before this one.
#[derive(Debug, Default)]
enum Age {
    /// There was none yet.
    #[default]
    NoneYet,
    /// It is the first.
    First,
    /// There was another before it; when this one was first read.
    Successor(Option<Instant>),
    /// There was another before it, and this one was read twice.
    Again,
}

impl Record {
    /// Now another one runs, or none.
    fn new_owner(&mut self, owner: Option<&OwnedUniqueName>) {
        self.proven = None;
        self.age = match (&self.age, owner) {
            (Age::NoneYet, None) => Age::NoneYet,
            (Age::NoneYet, Some(_)) => Age::First,
            (Age::First | Age::Successor(_) | Age::Again, _) => Age::Successor(None),
        };
    }

    /// How far to trust it that the session is not locked.
    fn judge(&mut self, session: &Session, now: Instant) -> Trust {
        if session.locked_hint {
            self.proven = Some(session.id.clone());
        }
        if let Age::Successor(read_at) = &mut self.age
            && now >= *read_at.get_or_insert(now) + SECOND_READING_DELAY
        {
            self.age = Age::Again;
        }
        match self.age {
            _ if self.proven.as_ref() == Some(&session.id) => Trust::Proven,
            Age::NoneYet | Age::First => Trust::Full,
            Age::Successor(_) => Trust::Doubt,
            Age::Again => Trust::Again,
        }
    }

    /// When to look again even without a signal.
    fn look_again_at(&self) -> Option<Instant> {
        match self.age {
            Age::Successor(Some(read_at)) => Some(read_at + SECOND_READING_DELAY),
            Age::NoneYet | Age::First | Age::Successor(None) | Age::Again => None,
        }
    }
}
