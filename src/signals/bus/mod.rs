//! D-Bus as the signals use it: a connection that may be lost, the present owner of a name, and signals that mean "look
//! again".
//!
//! Peers are spoken to by their unique name. That starts no service, and an answer can only come from the peer that was
//! asked, not from its successor. They are listened to by their well-known name: the bus forgets a rule on a unique name
//! together with its peer, and zbus would keep what it has for such a rule for ever.

pub(crate) mod probe;

use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
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
const ANSWER: Duration = Duration::from_secs(5);

/// Why a bus is of no use now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// There is no connection, or no longer.
    #[error("{0}")]
    Bus(#[from] zbus::Error),
    /// The bus or a peer does not answer.
    #[error("no answer within 5 s")]
    Silent,
}

impl From<zbus::fdo::Error> for Lost {
    fn from(error: zbus::fdo::Error) -> Self {
        Self::Bus(error.into())
    }
}

/// Which bus.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    System,
    Session,
}

impl Buses {
    /// Where a bus is.
    pub(super) fn address(&self, which: Which) -> zbus::Result<Address> {
        match (which, &self.system, &self.session) {
            (Which::System, Some(address), _) | (Which::Session, _, Some(address)) => address.parse(),
            (Which::System, None, _) => Address::system(),
            (Which::Session, _, None) => Address::session(),
        }
    }
}

/// The socket of a bus that has one with a path.
fn socket(address: &Address) -> Option<PathBuf> {
    let Transport::Unix(unix) = address.transport() else { return None };
    let UnixSocket::File(path) = unix.path() else { return None };
    Some(path.clone())
}

/// Waits until there is something at `socket`; false: it was there already, or its coming cannot be seen.
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

/// What goes on on one bus for as long as the connection to it lasts.
pub(super) trait Follow {
    /// The bus that this is about.
    const BUS: Which;

    /// Follows on a new connection until that is lost. Sets `backoff` back once what it follows has answered.
    async fn follow(&mut self, bus: &Connection, backoff: &mut Backoff) -> Result<Infallible, Lost>;

    /// The bus is of no use for now: whatever was known by it is unknown.
    async fn lost(&mut self, lost: &Lost);
}

/// Follows for ever: after each loss on a new connection, with doubling waits in between. A bus whose socket is missing is no
/// matter of time: its coming is waited for.
pub(super) async fn keep_following<F: Follow>(context: &Context, mut follower: F) -> Infallible {
    let clock = &*context.clock;
    let mut backoff = Backoff::new();
    loop {
        let address = context.buses.address(F::BUS);
        let socket = address.as_ref().ok().and_then(socket);
        let connected = async { Builder::address(address?)?.build().await };
        let lost = match answer(clock, connected).await {
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

/// What a call gives, unless it takes too long.
pub(super) async fn answer<T, E>(clock: &dyn Clock, call: impl Future<Output = Result<T, E>>) -> Result<T, Lost>
where
    Lost: From<E>,
{
    Ok(within(clock, ANSWER, call).await.ok_or(Lost::Silent)??)
}

/// An answer, or `None` when the peer answered with an error: it does not have what was asked for.
pub(super) fn refused<T>(answer: Result<T, Lost>) -> Result<Option<T>, Lost> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Lost::Bus(zbus::Error::MethodError(..) | zbus::Error::FDO(_) | zbus::Error::Variant(_))) => Ok(None),
        Err(lost) => Err(lost),
    }
}

/// Who owns `name` now, if anybody. Starts nothing.
pub(super) async fn owner(
    clock: &dyn Clock,
    bus: &Connection,
    name: &WellKnownName<'_>,
) -> Result<Option<OwnedUniqueName>, Lost> {
    let proxy = DBusProxy::new(bus).await?;
    refused(answer(clock, proxy.get_name_owner(BusName::from(name.as_ref()))).await)
}

/// The signal by which the bus says that `name` has another owner.
pub(super) fn owner_changed(name: &WellKnownName<'_>) -> zbus::Result<MatchRule<'static>> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")?
        .interface("org.freedesktop.DBus")?
        .member("NameOwnerChanged")?
        .add_arg(name.to_string())?;
    Ok(rule.build())
}

/// Signals that mean "look again".
#[derive(Default)]
pub(super) struct Signals(SelectAll<MessageStream>);

impl Signals {
    /// Listens to all signals that match `rules`.
    pub(super) async fn listen(clock: &dyn Clock, bus: &Connection, rules: Vec<MatchRule<'_>>) -> Result<Self, Lost> {
        let mut signals = Self::default();
        for rule in rules {
            // Those that already listen are emptied while the next is set up: zbus stops reading when one is full.
            let next = answer(clock, MessageStream::for_match_rule(rule.into_owned(), bus, None));
            let (stream, _) = signals.during(next).await?;
            signals.0.push(stream?);
        }
        Ok(signals)
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Result<Message, Lost> {
        match self.0.next().await {
            Some(message) => Ok(message?),
            None => Err(closed()),
        }
    }

    /// Does `work` while it takes in signals, because zbus stops reading the connection, and so answers, when they
    /// pile up. Says whether any came: then the outcome may be of before them.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<(T, bool), Lost> {
        let mut work = pin!(work);
        let mut came = false;
        loop {
            tokio::select! {
                Some(message) = self.0.next() => {
                    message?;
                    came = true;
                }
                outcome = &mut work => return Ok((outcome, came)),
            }
        }
    }
}

fn closed() -> Lost {
    Lost::Bus(zbus::Error::InputOutput(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()))
}
