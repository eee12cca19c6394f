//! logind's side of the screen lock and of idleness: follows the user's session.
//!
//! The session is looked for again, and read again, after every signal that may concern it: the state comes from what
//! logind says now, never from what a signal said. Leaves to others: which session that is (`session`), and what
//! the lock is when logind cannot tell (`lock`).

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
use crate::signals::bus::{self, Lost, Signals, Which};
use crate::time::{Clock, Instant};
use session::At;

pub(super) use session::{IdleHint, Session};

pub(super) const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.login1");
const SYSTEMD: WellKnownName<'static> = WellKnownName::from_static_str_unchecked("org.freedesktop.systemd1");
pub(super) const PATH: &str = "/org/freedesktop/login1";
pub(super) const MANAGER: &str = "org.freedesktop.login1.Manager";

/// How long after its first reading a new logind is read a second time.
const SECOND_READING: Duration = Duration::from_millis(500);

/// What logind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet.
    Unread,
    /// The user's session, and how far to believe that it is not locked.
    Session(Session, Trust),
    /// The user has no session here.
    NoSession,
    /// logind cannot be asked; why, for people.
    Unavailable(String),
}

/// How far to believe a `LockedHint` that is off. A logind that restarts forgets the hint, and no desktop says it again
/// before the lock changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// This logind had the hint on before: the desktop sets it.
    Proven,
    /// This logind runs since we look.
    Full,
    /// It started since, and said so twice.
    Again,
    /// It started since, and said so once.
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

/// Keeps `view` true. Never returns.
pub(super) async fn follow(context: &Context, view: &watch::Sender<View>) -> Infallible {
    bus::keep_following(context, Follower { context, view, belief: Belief::default() }).await
}

struct Follower<'a> {
    context: &'a Context,
    view: &'a watch::Sender<View>,
    belief: Belief,
}

impl bus::Follow for Follower<'_> {
    const BUS: Which = Which::System;

    /// Follows for as long as the connection lasts.
    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, Lost> {
        let clock = &*self.context.clock;
        let mut subject = Subject::default();
        let mut signals = Signals::listen(clock, bus, subject.rules()?).await?;
        loop {
            let (looked, came) = signals.during(look(clock, bus)).await?;
            let (found, seen) = looked?;
            *backoff = Backoff::new();
            if found != subject {
                if found.owner != subject.owner {
                    self.belief.new_owner(found.owner.as_ref());
                }
                subject = found;
                signals = Signals::listen(clock, bus, subject.rules()?).await?;
                // Look once more: what changed before the signals were listened to is seen by that.
                continue;
            }
            if came {
                continue;
            }
            let seen = match seen {
                Looked::Session(session) => {
                    let trust = self.belief.judge(&session, clock.now().instant);
                    View::Session(session, trust)
                }
                Looked::NoSession => View::NoSession,
                Looked::NotRunning => View::Unavailable("logind (org.freedesktop.login1) is not running".to_owned()),
            };
            self.view.send_if_modified(|view| std::mem::replace(view, seen.clone()) != seen);
            tokio::select! {
                signal = signals.next() => drop(signal?),
                () = until(clock, self.belief.look_again_at()) => {}
            }
        }
    }

    async fn lost(&mut self, lost: &Lost) {
        self.belief.new_owner(None);
        self.view.send_replace(View::Unavailable(format!("the system bus cannot be used: {lost}")));
    }
}

/// What a look found.
enum Looked {
    Session(Session),
    NoSession,
    NotRunning,
}

/// Finds the user's session and reads it.
async fn look(clock: &dyn Clock, bus: &Connection) -> Result<(Subject, Looked), Lost> {
    let Some(owner) = bus::owner(clock, bus, &NAME).await? else {
        return Ok((Subject::default(), Looked::NotRunning));
    };
    let found = session::find(clock, bus, &owner).await?;
    let mut subject = Subject { owner: Some(owner), user: found.user, ..Subject::default() };
    let Some(At { path, scope, session }) = found.session else { return Ok((subject, Looked::NoSession)) };
    (subject.session, subject.scope) = (Some(path), scope);
    Ok((subject, Looked::Session(session)))
}

impl Subject {
    /// The signals that may change what is said of it.
    fn rules(&self) -> zbus::Result<Vec<MatchRule<'_>>> {
        let mut rules = vec![bus::owner_changed(&NAME)?];
        if self.owner.is_none() {
            return Ok(rules);
        }
        for member in ["SessionNew", "SessionRemoved"] {
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(NAME)?;
            rules.push(rule.path(PATH)?.interface(MANAGER)?.member(member)?.build());
        }
        // That a session ends while processes of it go on, logind tells nobody; its scope is abandoned then.
        for (sender, object) in [(NAME, &self.user), (NAME, &self.session), (SYSTEMD, &self.scope)] {
            let Some(object) = object else { continue };
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(sender)?.path(object)?;
            rules.push(rule.interface("org.freedesktop.DBus.Properties")?.member("PropertiesChanged")?.build());
        }
        Ok(rules)
    }
}

/// What is remembered of the logind at hand, to know how far to believe it.
#[derive(Debug, Default)]
enum Belief {
    /// None was there yet.
    #[default]
    Nobody,
    /// It is the first.
    First,
    /// There was another before it; since when this one is read.
    Successor(Option<Instant>),
    /// There was, and this one was read twice.
    Again,
    /// It had the hint on.
    Proven,
}

impl Belief {
    /// Another one runs now, or none.
    fn new_owner(&mut self, owner: Option<&OwnedUniqueName>) {
        *self = match (&self, owner) {
            (Self::Nobody, None) => Self::Nobody,
            (Self::Nobody, Some(_)) => Self::First,
            (Self::First | Self::Successor(_) | Self::Again | Self::Proven, _) => Self::Successor(None),
        };
    }

    /// How far to believe it that the session is not locked.
    fn judge(&mut self, session: &Session, now: Instant) -> Trust {
        if session.locked_hint {
            *self = Self::Proven;
        }
        match self {
            Self::Proven => Trust::Proven,
            Self::Nobody | Self::First => Trust::Full,
            Self::Again => Trust::Again,
            Self::Successor(read_at) => {
                if now < *read_at.get_or_insert(now) + SECOND_READING {
                    return Trust::Doubt;
                }
                *self = Self::Again;
                Trust::Again
            }
        }
    }

    /// When to look again though nothing was signalled.
    fn look_again_at(&self) -> Option<Instant> {
        match self {
            Self::Successor(Some(read_at)) => Some(*read_at + SECOND_READING),
            Self::Nobody | Self::First | Self::Successor(None) | Self::Again | Self::Proven => None,
        }
    }
}
