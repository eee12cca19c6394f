//! The sleep signal: logind announces that the machine goes to sleep, and that it is back.
//!
//! Leaves to others: holding sleep up for the last write.

use zbus::message::Type;
use zbus::{Connection, MatchRule, proxy};

use super::backoff::Backoff;
use super::bus::{self, Lost, Signals, answer, refused};
use super::logind::{MANAGER, NAME, PATH};
use super::{Context, Observation, Publisher, Update};
use crate::policy::{Reading, Sleep};
use crate::time::Clock;
use crate::warning::{Code, Warning};

#[proxy(interface = "org.freedesktop.login1.Manager", default_path = "/org/freedesktop/login1", gen_blocking = false)]
trait Manager {
    #[zbus(property(emits_changed_signal = "false"))]
    fn preparing_for_sleep(&self) -> zbus::Result<bool>;
}

/// Follows sleep. Never returns.
pub async fn run(context: Context) {
    let clock = &*context.clock;
    let mut publisher = Publisher::new(context.updates, Update::Sleep);
    let mut backoff = Backoff::new();
    loop {
        let lost = match context.buses.connect_system(clock).await {
            Ok(bus) => {
                let Err(lost) = follow_on(clock, &bus, &mut publisher, &mut backoff).await;
                lost
            }
            Err(lost) => lost,
        };
        tracing::debug!(%lost, "system bus");
        publisher.publish(unknown(&format!("the system bus cannot be used: {lost}"))).await;
        backoff.wait(clock).await;
    }
}

/// Publishes as long as the connection lasts.
async fn follow_on(
    clock: &dyn Clock,
    bus: &Connection,
    publisher: &mut Publisher<Sleep>,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, Lost> {
    let mut owner_changes = Signals::listen(clock, bus, vec![bus::owner_changed(&NAME)?]).await?;
    loop {
        let (owner, came) = owner_changes.during(bus::owner(clock, bus, &NAME)).await?;
        if came {
            continue;
        }
        let Some(owner) = owner? else {
            publisher.publish(unknown("logind (org.freedesktop.login1) is not running")).await;
            owner_changes.next().await?;
            continue;
        };
        let rule = MatchRule::builder().msg_type(Type::Signal).sender(&owner)?.path(PATH)?;
        let rule = rule.interface(MANAGER)?.member("PrepareForSleep")?.build();
        let mut announcements = Signals::listen(clock, bus, vec![rule]).await?;
        let manager = ManagerProxy::builder(bus).destination(&owner)?.build().await?;
        match refused(answer(clock, manager.preparing_for_sleep()).await)? {
            Some(preparing) => publisher.publish(known(preparing)).await,
            None => publisher.publish(unknown("logind does not say whether it prepares for sleep")).await,
        }
        *backoff = Backoff::new();
        loop {
            tokio::select! {
                biased;
                announced = announcements.next() => {
                    if let Ok(preparing) = announced?.body().deserialize() {
                        publisher.publish(known(preparing)).await;
                    }
                }
                changed = owner_changes.next() => {
                    changed?;
                    break;
                }
            }
        }
    }
}

fn known(preparing: bool) -> Observation<Sleep> {
    let sleep = if preparing { Sleep::Suspending } else { Sleep::Awake };
    Observation { reading: Reading::Known(sleep), source: "logind".to_owned(), warnings: Vec::new() }
}

fn unknown(reason: &str) -> Observation<Sleep> {
    let warning = Warning {
        code: Code::SleepUnavailable,
        text: format!("Going to sleep cannot be seen: {reason}."),
        hint: "Check `systemctl status dbus systemd-logind`; without logind presenced notices sleep only afterwards."
            .to_owned(),
    };
    Observation { reading: Reading::Unknown, source: "logind".to_owned(), warnings: vec![warning] }
}
