//! Screen savers on the session bus as a source of the lock signal.
//!
//! Owning a screen saver's name proves nothing: some programs own `org.freedesktop.ScreenSaver` only to receive requests not to
//! blank the screen. An answer to `GetActive` proves it. As with logind, a signal only means: ask again.

use std::convert::Infallible;

use tokio::sync::watch;
use zbus::message::Type;
use zbus::names::{OwnedUniqueName, WellKnownName};
use zbus::{Connection, MatchRule};

use crate::signals::Context;
use crate::signals::backoff::Backoff;
use crate::signals::bus::{self, BusError, BusKind, Signals, with_timeout};
use crate::time::Clock;

/// A kind of screen saver that can be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its name, which is also that of its interface.
    pub(super) name: WellKnownName<'static>,
    /// Its object paths; the first that answers counts.
    paths: &'static [&'static str],
    /// Whether its desktop also keeps logind's `LockedHint`, so that "active" here only means a blank screen.
    pub(super) hints: bool,
}

/// The screen savers that are asked. An active one comes first, otherwise this order counts.
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
    /// There is no screen saver, or no session bus.
    None,
    /// One says whether it is active.
    Says {
        /// Which one.
        saver: &'static Kind,
        /// Whether it is active.
        active: bool,
    },
}

/// A screen saver that answered, and its owner.
type Proven = (&'static Kind, OwnedUniqueName);

/// Keeps `view` up to date. Never returns.
pub(super) async fn follow(context: &Context, view: &watch::Sender<View>) {
    bus::keep_following(context, Follower { context, view }).await;
}

struct Follower<'a> {
    context: &'a Context,
    view: &'a watch::Sender<View>,
}

impl bus::Follow for Follower<'_> {
    const BUS: BusKind = BusKind::Session;

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, BusError> {
        follow_on(&*self.context.clock, bus, self.view, backoff).await
    }

    async fn lost(&mut self, _: &BusError) {
        self.view.send_replace(View::None);
    }
}

/// Keeps `view` up to date for as long as the connection lasts.
async fn follow_on(
    clock: &dyn Clock,
    bus: &Connection,
    view: &watch::Sender<View>,
    backoff: &mut Backoff,
) -> Result<Infallible, BusError> {
    let mut proven = Vec::new();
    let mut signals = Signals::listen(clock, bus, rules(&proven)?).await?;
    loop {
        let Some(looked) = signals.look(clock, look(clock, bus)).await? else { continue };
        let (found, seen) = looked?;
        *backoff = Backoff::new();
        let is_changed = found != proven;
        if is_changed {
            proven = found;
            signals.change(clock, rules(&proven)?).await?;
        }
        if !is_changed || signals.is_flooded() {
            view.send_if_modified(|view| std::mem::replace(view, seen) != seen);
        }
        if !is_changed {
            signals.changed().await?;
        }
    }
}

/// The signals that may mean a change.
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
async fn look(clock: &dyn Clock, bus: &Connection) -> Result<(Vec<Proven>, View), BusError> {
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

/// Whether a screen saver is active; `None` if it does not say, because it is not really a screen saver.
async fn is_active(
    clock: &dyn Clock,
    bus: &Connection,
    saver: &Kind,
    owner: &OwnedUniqueName,
) -> Result<Option<bool>, BusError> {
    for &path in saver.paths {
        let call = bus.call_method(Some(owner), path, Some(saver.name.as_str()), "GetActive", &());
        match bus::none_if_refused(with_timeout(clock, call).await) {
            Ok(Some(reply)) => {
                if let Ok(active) = reply.body().deserialize() {
                    return Ok(Some(active));
                }
            }
            // One that hangs must not prevent the others from being asked.
            Ok(None) | Err(BusError::NoAnswer) => {}
            Err(lost) => return Err(lost),
        }
    }
    Ok(None)
}
