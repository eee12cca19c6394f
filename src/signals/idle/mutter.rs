//! GNOME's side of the idle signal: the idle monitor of Mutter on the session bus.
//!
//! It fires one watch when there was no input for so long, and another, once, with the next input. As elsewhere on a bus,
//! what fires only means: look again. What inhibits idleness, as a film does, keeps the first of them from firing.
//!
//! Source: `org.gnome.Mutter.IdleMonitor.xml` of Mutter.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use zbus::message::Type;
use zbus::names::{OwnedUniqueName, WellKnownName};
use zbus::{Connection, MatchRule, proxy};

use super::view::View;
use crate::policy::Idle;
use crate::signals::Context;
use crate::signals::backoff::Backoff;
use crate::signals::bus::{self, Lost, Signals, Which, answer, refused};

const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked(INTERFACE);
const INTERFACE: &str = "org.gnome.Mutter.IdleMonitor";
const PATH: &str = "/org/gnome/Mutter/IdleMonitor/Core";

#[proxy(
    interface = "org.gnome.Mutter.IdleMonitor",
    default_path = "/org/gnome/Mutter/IdleMonitor/Core",
    gen_blocking = false
)]
trait IdleMonitor {
    /// In milliseconds, as the next.
    fn add_idle_watch(&self, interval: u64) -> zbus::Result<u32>;
    fn get_idletime(&self) -> zbus::Result<u64>;
    fn add_user_active_watch(&self) -> zbus::Result<u32>;
}

/// Keeps `view` true. Never returns.
pub(super) async fn follow(context: &Context, after: Duration, view: &watch::Sender<View>) -> Infallible {
    bus::keep_following(context, Follower { context, after, view }).await
}

struct Follower<'a> {
    context: &'a Context,
    after: Duration,
    view: &'a watch::Sender<View>,
}

impl bus::Follow for Follower<'_> {
    const BUS: Which = Which::Session;

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, Lost> {
        let clock = &*self.context.clock;
        let mut owner_changes = Signals::listen(clock, bus, vec![bus::owner_changed(&NAME)?]).await?;
        loop {
            let (owner, came) = owner_changes.during(bus::owner(clock, bus, &NAME)).await?;
            if came {
                continue;
            }
            *backoff = Backoff::new();
            let Some(owner) = owner? else {
                View::absent("GNOME's idle monitor is not on the session bus").show(self.view);
                owner_changes.next().await?;
                continue;
            };
            tokio::select! {
                watched = self.watch(bus, &owner) => {
                    watched?;
                    View::absent("GNOME's idle monitor does not answer as it should").show(self.view);
                    owner_changes.next().await?;
                }
                changed = owner_changes.next() => {
                    changed?;
                }
            }
        }
    }

    async fn lost(&mut self, lost: &Lost) {
        View::absent(format!("the session bus cannot be used: {lost}")).show(self.view);
    }
}

impl Follower<'_> {
    /// Follows one idle monitor; returns when it refuses what it is asked.
    async fn watch(&self, bus: &Connection, owner: &OwnedUniqueName) -> Result<(), Lost> {
        let clock = &*self.context.clock;
        let rule = MatchRule::builder().msg_type(Type::Signal).sender(NAME)?.path(PATH)?;
        let rule = rule.interface(INTERFACE)?.member("WatchFired")?.build();
        let mut fired = Signals::listen(clock, bus, vec![rule]).await?;
        let monitor = IdleMonitorProxy::builder(bus).destination(owner)?.build().await?;
        let after = u64::try_from(self.after.as_millis()).unwrap_or(u64::MAX);
        let (added, _) = fired.during(answer(clock, monitor.add_idle_watch(after))).await?;
        if refused(added)?.is_none() {
            return Ok(());
        }
        // Whether the next input will be told.
        let mut told = false;
        loop {
            let (idle_time, came) = fired.during(answer(clock, monitor.get_idletime())).await?;
            let Some(idle_time) = refused(idle_time)? else { return Ok(()) };
            if came {
                continue;
            }
            let idle = idle_time >= after;
            if idle && !told {
                let (added, _) = fired.during(answer(clock, monitor.add_user_active_watch())).await?;
                if refused(added)?.is_none() {
                    return Ok(());
                }
                told = true;
                // Look once more: input from before the watch was there is seen by that.
                continue;
            }
            told = idle;
            let idle = if idle { Idle::Idle } else { Idle::Active };
            View::Says { idle, source: INTERFACE.to_owned() }.show(self.view);
            fired.next().await?;
        }
    }
}
