//! D-Bus as the signals use it: a connection that may be lost, the current owner of a name, and signals that mean "look
//! again".
//!
//! Calls go to a peer's unique name. That starts no service, and only the peer that was asked can answer, not its successor.
//! Match rules use a peer's well-known name: the bus forgets a rule on a unique name together with its peer, and zbus would
//! keep its own state for such a rule forever. [`keep_following`] is the one loop that connects, follows, and reconnects.
//! Leaves to others: what the peers say (each signal), and one-off questions (`probe`).

pub(crate) mod probe;

use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use tokio::time::Instant as Stopwatch;
use zbus::address::Address;
use zbus::address::transport::{Transport, UnixSocket};
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::{BusName, OwnedUniqueName, WellKnownName};
use zbus::{Connection, MatchRule, Message, MessageStream};

use crate::file_watch::FileWatcher;
use crate::file_watch::resolve::Resolved;
use crate::signals::backoff::{Backoff, within};
use crate::signals::{Buses, Context};
use crate::time::Clock;

/// How long a peer, or the bus itself, may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a bus cannot be used now.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    /// There is no connection, or it is lost.
    #[error("{0}")]
    Zbus(#[from] zbus::Error),
    /// The bus or a peer does not answer.
    #[error("no answer within 5 s")]
    NoAnswer,
}

impl From<zbus::fdo::Error> for BusError {
    fn from(error: zbus::fdo::Error) -> Self {
        Self::Zbus(error.into())
    }
}

/// One of the two buses.
#[derive(Clone, Copy, Debug)]
pub(super) enum BusKind {
    System,
    Session,
}

impl Buses {
    /// The address of a bus.
    pub(super) fn address(&self, which: BusKind) -> zbus::Result<Address> {
        match (which, &self.system, &self.session) {
            (BusKind::System, Some(address), _) | (BusKind::Session, _, Some(address)) => address.parse(),
            (BusKind::System, None, _) => Address::system(),
            (BusKind::Session, _, None) => Address::session(),
        }
    }
}

/// The path of a bus's socket, if it has one.
fn socket(address: &Address) -> Option<PathBuf> {
    let Transport::Unix(unix) = address.transport() else { return None };
    let UnixSocket::File(path) = unix.path() else { return None };
    Some(path.clone())
}

/// Waits until `socket` exists; false: it existed already, or it cannot be watched.
async fn appeared(file_watcher: &FileWatcher, clock: &dyn Clock, socket: &Path) -> bool {
    let mut watch = file_watcher.subscribe();
    if !matches!(watch.resolve(socket), Resolved::Missing) {
        return false;
    }
    while watch.failures().is_empty() {
        watch.changed(clock).await;
        if !matches!(watch.resolve(socket), Resolved::Missing) {
            return true;
        }
    }
    false
}

/// What a signal does on one bus for as long as the connection lasts.
pub(super) trait Follow {
    /// Which bus.
    const BUS: BusKind;

    /// Follows on a new connection until that is lost. Resets `backoff` once the peer has answered.
    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, BusError>;

    /// The bus cannot be used for now, so everything that was known through it is unknown.
    async fn lost(&mut self, lost: &BusError);
}

/// Follows forever: after each loss on a new connection, with doubling waits in between. If the socket of the bus does not
/// exist, waits until it appears instead.
pub(super) async fn keep_following<F: Follow>(context: &Context, mut follower: F) -> Infallible {
    let clock = &*context.clock;
    let mut backoff = Backoff::new();
    loop {
        let address = context.buses.address(F::BUS);
        let socket = address.as_ref().ok().and_then(socket);
        let connected = async { Builder::address(address?)?.build().await };
        let lost = match with_timeout(clock, connected).await {
            Ok(bus) => {
                let Err(lost) = follower.follow(&bus, &mut backoff).await;
                lost
            }
            Err(lost) => lost,
        };
        tracing::debug!(%lost, "bus");
        follower.lost(&lost).await;
        if let Some(socket) = socket
            && appeared(&context.file_watcher, clock, &socket).await
        {
            backoff = Backoff::new();
        } else {
            backoff.wait(clock).await;
        }
    }
}

/// The result of a call, unless it takes too long.
pub(super) async fn with_timeout<T, E>(
    clock: &dyn Clock,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, BusError>
where
    BusError: From<E>,
{
    Ok(within(clock, ANSWER_TIMEOUT, call).await.ok_or(BusError::NoAnswer)??)
}

/// The result of a call, or `None` if the peer answered with an error: it does not have what was asked for.
pub(super) fn none_if_refused<T>(result: Result<T, BusError>) -> Result<Option<T>, BusError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(BusError::Zbus(zbus::Error::MethodError(..) | zbus::Error::FDO(_) | zbus::Error::Variant(_))) => Ok(None),
        Err(lost) => Err(lost),
    }
}

/// The current owner of `name`, if it has one. Starts no service.
pub(super) async fn owner(
    clock: &dyn Clock,
    bus: &Connection,
    name: &WellKnownName<'_>,
) -> Result<Option<OwnedUniqueName>, BusError> {
    let proxy = DBusProxy::new(bus).await?;
    none_if_refused(with_timeout(clock, proxy.get_name_owner(BusName::from(name.as_ref()))).await)
}

/// The signal by which the bus says that the owner of `name` has changed.
pub(super) fn owner_changed(name: &WellKnownName<'_>) -> zbus::Result<MatchRule<'static>> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")?
        .interface("org.freedesktop.DBus")?
        .member("NameOwnerChanged")?
        .add_arg(name.to_string())?;
    Ok(rule.build())
}

/// This many signals in [`FLOOD_SPAN`], or looks in a row during which a signal arrived, are a flood: a program that never stops to
/// send, or to take and give up a name, must not hide what all others say, nor keep answers waiting behind its signals.
const MAX_SIGNALS: u32 = 1000;
const MAX_DISTURBED_LOOKS: u32 = 5;
const FLOOD_SPAN: Duration = Duration::from_secs(1);

/// How long nothing is listened to in a flood, before a look.
const FLOOD_PAUSE: Duration = Duration::from_millis(500);

/// Signals that mean "look again".
pub(super) struct Signals {
    bus: Connection,
    rules: Vec<MatchRule<'static>>,
    streams: SelectAll<MessageStream>,
    /// How many looks in a row were disturbed.
    disturbed: u32,
    /// How many signals arrived since then.
    arrived: u32,
    since: Stopwatch,
    is_flood: bool,
    /// Whether something may have changed while nothing was listened to.
    is_unseen: bool,
}

impl Signals {
    /// Listens to all signals that match `rules`.
    pub(super) async fn listen(
        clock: &dyn Clock,
        bus: &Connection,
        rules: Vec<MatchRule<'_>>,
    ) -> Result<Self, BusError> {
        let mut signals = Self {
            bus: bus.clone(),
            rules: rules.into_iter().map(MatchRule::into_owned).collect(),
            streams: SelectAll::new(),
            disturbed: 0,
            arrived: 0,
            since: Stopwatch::now(),
            is_flood: false,
            is_unseen: false,
        };
        signals.begin(clock).await?;
        Ok(signals)
    }

    async fn begin(&mut self, clock: &dyn Clock) -> Result<(), BusError> {
        for rule in self.rules.clone() {
            // The streams that exist already are drained while the next is set up: zbus stops reading when one is full.
            let bus = self.bus.clone();
            let next = with_timeout(clock, MessageStream::for_match_rule(rule, &bus, None));
            let (stream, _) = self.while_draining(next).await?;
            self.streams.push(stream?);
        }
        Ok(())
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Result<Message, BusError> {
        match self.streams.next().await {
            Some(message) => {
                self.note();
                Ok(message?)
            }
            None => Err(closed()),
        }
    }

    /// Waits until it is time to look again.
    pub(super) async fn changed(&mut self) -> Result<(), BusError> {
        if std::mem::take(&mut self.is_unseen) { Ok(()) } else { self.next().await.map(drop) }
    }

    /// Looks: does `work` and drains signals meanwhile. `None`: a signal arrived, so the result may be stale, and it is time to look
    /// again. In a flood nothing is listened to meanwhile, and the result counts.
    pub(super) async fn look<T>(
        &mut self,
        clock: &dyn Clock,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, BusError> {
        if self.is_flood || self.disturbed >= MAX_DISTURBED_LOOKS {
            self.streams.clear();
            pause().await;
            let seen = work.await;
            (self.is_flood, self.is_unseen, self.disturbed) = (false, true, 0);
            (self.arrived, self.since) = (0, Stopwatch::now());
            self.begin(clock).await?;
            return Ok(Some(seen));
        }
        let (seen, arrived) = self.while_draining(work).await?;
        self.disturbed = if arrived { self.disturbed + 1 } else { 0 };
        Ok((!arrived).then_some(seen))
    }

    /// Listens to other signals from now on, because of what a look found. That disturbs too: what changed before must be looked for.
    pub(super) async fn change(&mut self, clock: &dyn Clock, rules: Vec<MatchRule<'_>>) -> Result<(), BusError> {
        self.disturbed += 1;
        self.rules = rules.into_iter().map(MatchRule::into_owned).collect();
        self.streams.clear();
        self.begin(clock).await
    }

    /// Whether the last look was in a flood.
    pub(super) const fn is_flooded(&self) -> bool {
        self.is_unseen
    }

    /// Does `work` and drains signals meanwhile, because zbus stops reading the connection, and with it answers, when they
    /// pile up. Returns whether a signal arrived. If so, the result may be stale.
    pub(super) async fn while_draining<T>(&mut self, work: impl Future<Output = T>) -> Result<(T, bool), BusError> {
        let mut work = pin!(work);
        let mut arrived = false;
        loop {
            tokio::select! {
                Some(message) = self.streams.next() => {
                    message?;
                    arrived = true;
                    self.note();
                    if self.is_flood {
                        // The answers come after all that was sent before.
                        self.streams.clear();
                    }
                }
                outcome = &mut work => return Ok((outcome, arrived)),
            }
        }
    }

    /// Notes that a signal arrived.
    fn note(&mut self) {
        self.arrived += 1;
        if self.arrived > MAX_SIGNALS {
            self.is_flood = self.since.elapsed() < FLOOD_SPAN;
            (self.arrived, self.since) = (0, Stopwatch::now());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program does not send less when the daemon's clock runs fast")]
async fn pause() {
    tokio::time::sleep(FLOOD_PAUSE).await;
}

fn closed() -> BusError {
    BusError::Zbus(zbus::Error::InputOutput(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()))
}
