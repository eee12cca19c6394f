//! The sleep signal: logind announces that the machine is about to sleep, and that it has woken up.
//!
//! A delay inhibitor is held all the time, because one that is requested after the announcement comes too late. When logind
//! announces a sleep, the inhibitor goes to the daemon as a [`SleepHold`]; dropping that lets the machine sleep.
//!
//! logind may never announce that the machine has woken up
//! (<https://github.com/systemd/systemd/issues/30666>). Therefore, while the machine counts as asleep, logind's property
//! `PreparingForSleep` is read again: when the clocks show that the machine was suspended, when there are [`SignsOfLife`], and
//! every 10 s. Leaves to others: when exactly to ask (`sleep_watch`), what is done before the sleep, and when that is finished
//! (`daemon/sleep`).
//!
//! Source: <https://systemd.io/INHIBITOR_LOCKS/>.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use zbus::message::Type;
use zbus::proxy::CacheProperties;
use zbus::zvariant::OwnedFd;
use zbus::{Connection, MatchRule, proxy};

use super::backoff::{Backoff, until};
use super::bus::{self, BusError, BusKind, Signals, none_if_refused, with_timeout};
use super::logind::{MANAGER, NAME, PATH};
use super::{Context, Observation, Publisher, Update};
use crate::policy::{Reading, Sleep};
use crate::sleep_watch::SleepWatch;
use crate::time::Clock;
use crate::warning::{Code, Warning};

/// The longest time for which sleep is delayed.
const MAX_DELAY: Duration = Duration::from_secs(3);

/// How much of the delay that logind grants can be used; the messages to and from logind take the rest.
const USABLE_SHARE: f64 = 0.8;

#[proxy(interface = "org.freedesktop.login1.Manager", default_path = "/org/freedesktop/login1", gen_blocking = false)]
trait Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn preparing_for_sleep(&self) -> zbus::Result<bool>;

    #[zbus(property(emits_changed_signal = "false"), name = "InhibitDelayMaxUSec")]
    fn inhibit_delay_max(&self) -> zbus::Result<u64>;
}

/// Delays the machine's sleep until it is dropped.
#[derive(Debug)]
pub struct SleepHold {
    /// How long to hold it at most; soon after that logind no longer waits.
    pub within: Duration,
    _inhibitor: OwnedFd,
}

impl SleepHold {
    /// Asks logind for one. The inner error is the reason why it refuses.
    async fn take(clock: &dyn Clock, manager: &ManagerProxy<'_>) -> Result<Result<Self, String>, BusError> {
        let why = "Show in Microsoft Teams that the user is away";
        let inhibitor = match with_timeout(clock, manager.inhibit("sleep", "presenced", why, "delay")).await {
            Ok(inhibitor) => inhibitor,
            Err(BusError::Zbus(error @ (zbus::Error::MethodError(..) | zbus::Error::FDO(_)))) => {
                return Ok(Err(error.to_string()));
            }
            Err(lost) => return Err(lost),
        };
        let granted = none_if_refused(with_timeout(clock, manager.inhibit_delay_max()).await)?;
        let within =
            granted.map_or(MAX_DELAY, |micros| Duration::from_micros(micros).mul_f64(USABLE_SHARE).min(MAX_DELAY));
        Ok(Ok(Self { within, _inhibitor: inhibitor }))
    }
}

/// Where the daemon reports that the screen was unlocked, or that there was input, while the machine counts as asleep.
#[derive(Clone, Debug, Default)]
pub struct SignsOfLife(Arc<Notify>);

impl SignsOfLife {
    /// There was one.
    pub fn report(&self) {
        self.0.notify_one();
    }
}

/// Follows sleep. Never returns.
pub async fn run(signs: SignsOfLife, context: Context) {
    let publisher = Publisher::new(context.updates.clone(), Update::Sleep);
    bus::keep_following(&context, OnSystemBus { context: &context, signs, publisher }).await;
}

struct OnSystemBus<'a> {
    context: &'a Context,
    signs: SignsOfLife,
    publisher: Publisher<Sleep>,
}

impl bus::Follow for OnSystemBus<'_> {
    const BUS: BusKind = BusKind::System;

    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<std::convert::Infallible, BusError> {
        follow_on(&*self.context.clock, bus, &self.signs, &mut self.publisher, backoff).await
    }

    async fn lost(&mut self, lost: &BusError) {
        self.publisher.publish(unknown(&format!("the system bus cannot be used: {lost}"))).await;
    }
}

/// Publishes for as long as the connection lasts.
async fn follow_on(
    clock: &dyn Clock,
    bus: &Connection,
    signs: &SignsOfLife,
    publisher: &mut Publisher<Sleep>,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, BusError> {
    let mut owner_changes = Signals::listen(clock, bus, vec![bus::owner_changed(&NAME)?]).await?;
    loop {
        let Some(owner) = owner_changes.look(clock, bus::owner(clock, bus, &NAME)).await? else { continue };
        let Some(owner) = owner? else {
            publisher.publish(unknown("logind (org.freedesktop.login1) is not running")).await;
            owner_changes.changed().await?;
            continue;
        };
        let rule = MatchRule::builder().msg_type(Type::Signal).sender(NAME)?.path(PATH)?;
        let rule = rule.interface(MANAGER)?.member("PrepareForSleep")?.build();
        let mut announcements = Signals::listen(clock, bus, vec![rule]).await?;
        let manager = ManagerProxy::builder(bus).destination(&owner)?;
        // A cache would add a match rule for this owner's unique name.
        let manager = manager.cache_properties(CacheProperties::No).build().await?;
        let follower = Follower { clock, manager, signs, publisher };
        tokio::select! {
            lost = follower.follow(&mut announcements, backoff) => return lost,
            changed = owner_changes.changed() => changed?,
        }
    }
}

/// Follows one logind.
struct Follower<'a> {
    clock: &'a dyn Clock,
    manager: ManagerProxy<'a>,
    signs: &'a SignsOfLife,
    publisher: &'a mut Publisher<Sleep>,
}

impl Follower<'_> {
    async fn follow(
        mut self,
        announcements: &mut Signals,
        backoff: &mut Backoff,
    ) -> Result<std::convert::Infallible, BusError> {
        let mut watch = SleepWatch::default();
        loop {
            // The next answer already reflects what is announced meanwhile.
            let (taken, _) = announcements.while_draining(SleepHold::take(self.clock, &self.manager)).await?;
            let (mut hold, denied) = match taken? {
                Ok(hold) => (Some(hold), None),
                Err(reason) => (None, Some(reason)),
            };
            let answer = self.ask().await?;
            match answer {
                Some(preparing) => self.publish(preparing, denied.as_deref(), &mut hold).await,
                None => self.publisher.publish(unknown("logind does not say whether it is preparing for sleep")).await,
            }
            watch.handle_word(answer == Some(true), self.clock.now().instant);
            *backoff = Backoff::new();
            while let Some(preparing) = self.next_word(announcements, &mut watch).await? {
                watch.handle_word(preparing, self.clock.now().instant);
                self.publish(preparing, denied.as_deref(), &mut hold).await;
                if !preparing {
                    // The next sleep needs a new inhibitor.
                    break;
                }
            }
        }
    }

    /// What logind says next: what it announces, or what it answers when it is time to ask.
    async fn next_word(&self, announcements: &mut Signals, watch: &mut SleepWatch) -> Result<Option<bool>, BusError> {
        loop {
            let question = watch.next_question();
            tokio::select! {
                announcement = announcements.next() => {
                    if let Ok(preparing) = announcement?.body().deserialize() {
                        return Ok(Some(preparing));
                    }
                }
                () = until(self.clock, question) => return self.ask().await,
                // The wall clock advances during a suspend and the monotonic clock does not, so for the kernel, a resume sets the
                // wall clock (`timerfd_resume` in fs/timerfd.c).
                () = self.clock.sleep_until_wall(Timestamp::MAX), if question.is_some() => {
                    watch.handle_sign_of_life(self.clock.now().instant);
                }
                () = self.signs.0.notified() => watch.handle_sign_of_life(self.clock.now().instant),
            }
        }
    }

    /// Asks logind whether it is preparing for sleep, which is true until the machine has woken up. `None`: it does not say.
    async fn ask(&self) -> Result<Option<bool>, BusError> {
        none_if_refused(with_timeout(self.clock, self.manager.preparing_for_sleep()).await)
    }

    async fn publish(&mut self, preparing: bool, denied: Option<&str>, hold: &mut Option<SleepHold>) {
        self.publisher.publish(known(preparing, denied)).await;
        if let Some(hold) = hold.take_if(|_| preparing) {
            // If the receiver is gone, the hold is dropped with the message that was not sent.
            _ = self.publisher.updates.send(Update::SleepHold(hold)).await;
        }
    }
}

fn known(preparing: bool, denied: Option<&str>) -> Observation<Sleep> {
    let sleep = if preparing { Sleep::Suspending } else { Sleep::Awake };
    let warning = denied.map(|reason| Warning {
        code: Code::SleepUnavailable,
        text: format!("Sleep cannot be delayed for the last update to Graph: logind says {reason}."),
        hint:
            "See `systemd-inhibit --list` and the polkit rule `org.freedesktop.login1.inhibit-delay-sleep`; presenced \
               tries the update anyway."
                .to_owned(),
    });
    let warnings = warning.into_iter().collect();
    Observation { reading: Reading::Known(sleep), source: "logind".to_owned(), warnings, watched: None }
}

fn unknown(reason: &str) -> Observation<Sleep> {
    let warning = Warning {
        code: Code::SleepUnavailable,
        text: format!("Sleep cannot be noticed in advance: {reason}."),
        hint:
            "Check `systemctl status dbus systemd-logind`; without logind, presenced only notices a sleep afterwards."
                .to_owned(),
    };
    Observation { reading: Reading::Unknown, source: "logind".to_owned(), warnings: vec![warning], watched: None }
}
