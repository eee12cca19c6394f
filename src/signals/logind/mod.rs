//! logind: follows the user's session, for the lock and the idle signals.
//!
//! The session is looked up and read again after every signal that may concern it: the state comes from what logind says now,
//! never from the signal. A logind that restarts forgets the lock, so what it says then is trusted only to a degree ([`Trust`]).
//! Leaves to others: which session is the user's (`session`), what the reading means (`lock`, `idle`), and sleep (`sleep`).

mod session;

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use zbus::message::Type;
use zbus::names::{OwnedUniqueName, WellKnownName};
use zbus::zvariant::OwnedObjectPath;
use zbus::{Connection, MatchRule};

use crate::signals::Context;
use crate::signals::backoff::{Backoff, until};
use crate::signals::bus::{self, BusError, BusKind, Signals};
use crate::time::{Clock, Instant};
use session::SessionObject;

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
    /// The user's session, and how far to trust it that the session is not locked.
    Session(Session, Trust),
    /// The user has no session here.
    NoSession,
    /// logind cannot be asked; why, for people.
    Unavailable(String),
}

/// How far to trust a `LockedHint` that is off. A logind that restarts forgets the hint, and no desktop sets it again before
/// the lock changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// This logind had the hint on before: the desktop sets it.
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
    session: Option<OwnedObjectPath>,
    /// The unit of the session's processes, at systemd.
    scope: Option<OwnedObjectPath>,
}

/// Keeps `view` up to date. Never returns.
pub(super) async fn follow(context: &Context, view: &watch::Sender<View>) -> Infallible {
    bus::keep_following(context, Follower { context, view, record: Record::default() }).await
}

struct Follower<'a> {
    context: &'a Context,
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
            let (looked, arrived) = signals.while_draining(look(clock, bus)).await?;
            let (found, seen) = looked?;
            *backoff = Backoff::new();
            if found != subject {
                if found.owner != subject.owner {
                    self.record.new_owner(found.owner.as_ref());
                }
                subject = found;
                signals = Signals::listen(clock, bus, subject.rules()?).await?;
                // Look once more, to see what changed before these signals were subscribed to.
                continue;
            }
            if arrived {
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
                signal = signals.next() => drop(signal?),
                () = until(clock, self.record.look_again_at()) => {}
            }
        }
    }

    async fn lost(&mut self, lost: &BusError) {
        self.record.new_owner(None);
        self.view.send_replace(View::Unavailable(format!("the system bus cannot be used: {lost}")));
    }
}

/// The result of a look.
enum Looked {
    Session(Session),
    NoSession,
    NotRunning,
}

/// Finds the user's session and reads it.
async fn look(clock: &dyn Clock, bus: &Connection) -> Result<(Subject, Looked), BusError> {
    let Some(owner) = bus::owner(clock, bus, &NAME).await? else {
        return Ok((Subject::default(), Looked::NotRunning));
    };
    let found = session::find(clock, bus, &owner).await?;
    let mut subject = Subject { owner: Some(owner), user: found.user, ..Subject::default() };
    let Some(SessionObject { path, scope, session }) = found.session else { return Ok((subject, Looked::NoSession)) };
    (subject.session, subject.scope) = (Some(path), scope);
    Ok((subject, Looked::Session(session)))
}

impl Subject {
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
        for (sender, object) in [(NAME, &self.user), (NAME, &self.session), (SYSTEMD, &self.scope)] {
            let Some(object) = object else { continue };
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(sender)?.path(object)?;
            rules.push(rule.interface("org.freedesktop.DBus.Properties")?.member("PropertiesChanged")?.build());
        }
        Ok(rules)
    }
}

/// What is remembered about the current logind, to know how far to trust it.
#[derive(Debug, Default)]
enum Record {
    /// There was none yet.
    #[default]
    NoneYet,
    /// It is the first.
    First,
    /// There was another before it; when this one was first read.
    Successor(Option<Instant>),
    /// There was another before it, and this one was read twice.
    Again,
    /// It had the hint on.
    Proven,
}

impl Record {
    /// Now another one runs, or none.
    fn new_owner(&mut self, owner: Option<&OwnedUniqueName>) {
        *self = match (&self, owner) {
            (Self::NoneYet, None) => Self::NoneYet,
            (Self::NoneYet, Some(_)) => Self::First,
            (Self::First | Self::Successor(_) | Self::Again | Self::Proven, _) => Self::Successor(None),
        };
    }

    /// How far to trust it that the session is not locked.
    fn judge(&mut self, session: &Session, now: Instant) -> Trust {
        if session.locked_hint {
            *self = Self::Proven;
        }
        match self {
            Self::Proven => Trust::Proven,
            Self::NoneYet | Self::First => Trust::Full,
            Self::Again => Trust::Again,
            Self::Successor(read_at) => {
                if now < *read_at.get_or_insert(now) + SECOND_READING_DELAY {
                    return Trust::Doubt;
                }
                *self = Self::Again;
                Trust::Again
            }
        }
    }

    /// When to look again even without a signal.
    fn look_again_at(&self) -> Option<Instant> {
        match self {
            Self::Successor(Some(read_at)) => Some(*read_at + SECOND_READING_DELAY),
            Self::NoneYet | Self::First | Self::Successor(None) | Self::Again | Self::Proven => None,
        }
    }
}
