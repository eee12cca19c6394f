//! GNOME as a source of the idle signal: the idle monitor of Mutter on the session bus.
//!
//! It fires one watch after a given time without input, and another, once, at the next input. As elsewhere on a bus, an event
//! only means: look again. Whatever inhibits idleness, such as a film, keeps the first watch from firing.
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
use crate::signals::bus::{self, BusError, BusKind, Signals, none_if_refused, with_timeout};

const NAME: WellKnownName<'static> = WellKnownName::from_static_str_unchecked(INTERFACE);
const INTERFACE: &str = "org.gnome.Mutter.IdleMonitor";
const PATH: &str = "/org/gnome/Mutter/IdleMonitor/Core";

#[proxy(
    interface = "org.gnome.Mutter.IdleMonitor",
    default_path = "/org/gnome/Mutter/IdleMonitor/Core",
    gen_blocking = false
)]
trait IdleMonitor {
    /// In milliseconds, as is the next.
    fn add_idle_watch(&self, interval: u64) -> zbus::Result<u32>;
    fn get_idletime(&self) -> zbus::Result<u64>;
    fn add_user_active_watch(&self) -> zbus::Result<u32>;
}

/// Keeps `view` up to date. Never returns.
pub(super) async fn follow(context: &Context, after: Duration, view: &watch::Sender<View>) -> Infallible {
    bus::keep_following(context, Follower { context, after, view }).await
}

struct Follower<'a> {
    context: &'a Context,
    after: Duration,
    view: &'a watch::Sender<View>,
}

impl bus::Follow for Follower<'_> {
    const BUS: BusKind = BusKind::Session;

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, BusError> {
        let clock = &*self.context.clock;
        let mut owner_changes = Signals::listen(clock, bus, vec![bus::owner_changed(&NAME)?]).await?;
        loop {
            let Some(owner) = owner_changes.look(clock, bus::owner(clock, bus, &NAME)).await? else { continue };
            *backoff = Backoff::new();
            let Some(owner) = owner? else {
                View::absent("GNOME's idle monitor is not on the session bus").show(self.view);
                owner_changes.changed().await?;
                continue;
            };
            tokio::select! {
                watched = self.watch(bus, &owner) => {
                    watched?;
                    View::absent("GNOME's idle monitor does not answer as expected").show(self.view);
                    owner_changes.changed().await?;
                }
                changed = owner_changes.changed() => changed?,
            }
        }
    }

    async fn lost(&mut self, lost: &BusError) {
        View::absent(format!("the session bus cannot be used: {lost}")).show(self.view);
    }
}

impl Follower<'_> {
    /// Follows one idle monitor; returns when it refuses a call.
    async fn watch(&self, bus: &Connection, owner: &OwnedUniqueName) -> Result<(), BusError> {
        let clock = &*self.context.clock;
        let rule = MatchRule::builder().msg_type(Type::Signal).sender(NAME)?.path(PATH)?;
        let rule = rule.interface(INTERFACE)?.member("WatchFired")?.build();
        let mut fired = Signals::listen(clock, bus, vec![rule]).await?;
        let monitor = IdleMonitorProxy::builder(bus).destination(owner)?.build().await?;
        let after = u64::try_from(self.after.as_millis()).unwrap_or(u64::MAX);
        let (added, _) = fired.while_draining(with_timeout(clock, monitor.add_idle_watch(after))).await?;
        if none_if_refused(added)?.is_none() {
            return Ok(());
        }
        // Whether the next input will be reported.
        let mut is_armed = false;
        loop {
            let Some(idle_time) = fired.look(clock, with_timeout(clock, monitor.get_idletime())).await? else {
                continue;
            };
            let Some(idle_time) = none_if_refused(idle_time)? else { return Ok(()) };
            let idle = idle_time >= after;
            if idle && !is_armed {
                let (added, _) = fired.while_draining(with_timeout(clock, monitor.add_user_active_watch())).await?;
                if none_if_refused(added)?.is_none() {
                    return Ok(());
                }
                is_armed = true;
                // Look once more, to see input that came before the watch was added.
                continue;
            }
            is_armed = idle;
            let idle = if idle { Idle::Idle } else { Idle::Active };
            View::Says { idle, source: INTERFACE.to_owned() }.show(self.view);
            fired.changed().await?;
        }
    }
}
