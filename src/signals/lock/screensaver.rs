//! Screen savers on the session bus: the second source of the lock.
//!
//! Owning a screen saver's name proves nothing, since browsers and video players own `org.freedesktop.ScreenSaver` only
//! to be asked not to blank. An answer to `GetActive` proves it. As with logind, a signal only means: ask again.

use std::convert::Infallible;

use tokio::sync::watch;
use zbus::message::Type;
use zbus::names::{OwnedUniqueName, WellKnownName};
use zbus::{Connection, MatchRule};

use crate::signals::Context;
use crate::signals::backoff::Backoff;
use crate::signals::bus::{self, Lost, Signals, Which, answer};
use crate::time::Clock;

/// A screen saver that can be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its name, which is also that of its interface.
    pub(super) name: WellKnownName<'static>,
    /// Its objects; the first that answers counts.
    paths: &'static [&'static str],
    /// Whether its desktop also keeps logind's `LockedHint`, so that "active" here means no more than a blank screen.
    pub(super) hints: bool,
}

/// The screen savers that are asked; one that is active comes first, else the order is this.
pub(super) static KINDS: [Kind; 5] = [
    Kind {
        name: WellKnownName::from_static_str_unchecked("org.gnome.ScreenSaver"),
        paths: &["/org/gnome/ScreenSaver"],
        hints: true,
    },
    Kind {
        name: WellKnownName::from_static_str_unchecked("org.freedesktop.ScreenSaver"),
        paths: &["/org/freedesktop/ScreenSaver", "/ScreenSaver"],
        hints: true,
    },
    Kind {
        name: WellKnownName::from_static_str_unchecked("org.cinnamon.ScreenSaver"),
        paths: &["/org/cinnamon/ScreenSaver"],
        hints: false,
    },
    Kind {
        name: WellKnownName::from_static_str_unchecked("org.mate.ScreenSaver"),
        paths: &["/org/mate/ScreenSaver"],
        hints: false,
    },
    Kind {
        name: WellKnownName::from_static_str_unchecked("org.xfce.ScreenSaver"),
        paths: &["/org/xfce/ScreenSaver"],
        hints: false,
    },
];

/// What the screen savers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing yet.
    Unread,
    /// There is none, or no session bus.
    None,
    /// One says whether it is active.
    Says {
        /// Which.
        saver: &'static Kind,
        /// Whether it is.
        active: bool,
    },
}

/// A screen saver that answered, and who that is.
type Proven = (&'static Kind, OwnedUniqueName);

/// Keeps `view` true. Never returns.
pub(super) async fn follow(context: &Context, view: &watch::Sender<View>) {
    bus::keep_following(context, Follower { context, view }).await;
}

struct Follower<'a> {
    context: &'a Context,
    view: &'a watch::Sender<View>,
}

impl bus::Follow for Follower<'_> {
    const BUS: Which = Which::Session;

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, Lost> {
        follow_on(&*self.context.clock, bus, self.view, backoff).await
    }

    async fn lost(&mut self, _: &Lost) {
        self.view.send_replace(View::None);
    }
}

/// Keeps `view` true as long as the connection lasts.
async fn follow_on(
    clock: &dyn Clock,
    bus: &Connection,
    view: &watch::Sender<View>,
    backoff: &mut Backoff,
) -> Result<Infallible, Lost> {
    let mut proven = Vec::new();
    let mut signals = Signals::listen(clock, bus, rules(&proven)?).await?;
    loop {
        let (looked, came) = signals.during(look(clock, bus)).await?;
        let (found, seen) = looked?;
        *backoff = Backoff::new();
        if found != proven {
            proven = found;
            signals = Signals::listen(clock, bus, rules(&proven)?).await?;
            continue;
        }
        if !came {
            view.send_if_modified(|view| std::mem::replace(view, seen) != seen);
            signals.next().await?;
        }
    }
}

/// The signals that may change what is said.
fn rules(proven: &[Proven]) -> zbus::Result<Vec<MatchRule<'_>>> {
    let mut rules = Vec::new();
    for kind in &KINDS {
        rules.push(bus::owner_changed(&kind.name)?);
    }
    for (kind, _) in proven {
        let rule = MatchRule::builder().msg_type(Type::Signal).sender(kind.name.as_str())?;
        rules.push(rule.interface(kind.name.as_str())?.member("ActiveChanged")?.build());
    }
    Ok(rules)
}

/// Asks every screen saver.
async fn look(clock: &dyn Clock, bus: &Connection) -> Result<(Vec<Proven>, View), Lost> {
    let mut proven = Vec::new();
    let mut view = View::None;
    for saver in &KINDS {
        let Some(owner) = bus::owner(clock, bus, &saver.name).await? else {
            continue;
        };
        let Some(active) = is_active(clock, bus, saver, &owner).await? else { continue };
        proven.push((saver, owner));
        if view == View::None || active && !matches!(view, View::Says { active: true, .. }) {
            view = View::Says { saver, active };
        }
    }
    Ok((proven, view))
}

/// Whether a screen saver is active; `None` when it does not say, because it is none.
async fn is_active(
    clock: &dyn Clock,
    bus: &Connection,
    saver: &Kind,
    owner: &OwnedUniqueName,
) -> Result<Option<bool>, Lost> {
    for &path in saver.paths {
        let call = bus.call_method(Some(owner), path, Some(saver.name.as_str()), "GetActive", &());
        match bus::refused(answer(clock, call).await) {
            Ok(Some(reply)) => {
                if let Ok(active) = reply.body().deserialize() {
                    return Ok(Some(active));
                }
            }
            // One that hangs must not keep the others from being asked.
            Ok(None) | Err(Lost::Silent) => {}
            Err(lost) => return Err(lost),
        }
    }
    Ok(None)
}
