//! A Wayland compositor as a source of the idle signal: `ext-idle-notify-v1`.
//!
//! Version 2 of the protocol reports input alone; in version 1, a film that inhibits idleness also keeps the user active. The
//! time counts from the connection, because a compositor does not say what happened before.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::watch;
use wayland_client::backend::WaylandError;
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_seat::WlSeat;
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, delegate_noop};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notification_v1::{self, ExtIdleNotificationV1};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notifier_v1::{
    ExtIdleNotifierV1, REQ_GET_INPUT_IDLE_NOTIFICATION_SINCE,
};

use super::display::{self, Denied};
use super::view::View;
use crate::fd;
use crate::policy::Idle;
use crate::signals::{Context, Displays};

const NOTIFIER: &str = "ext_idle_notifier_v1";
/// The newest version that this client supports.
const MAX_VERSION: u32 = 2;

/// Keeps `view` up to date. Never returns.
pub(super) async fn follow(
    context: &Context,
    displays: &Displays,
    after: Duration,
    view: &watch::Sender<View>,
) -> Infallible {
    // The protocol counts milliseconds in 32 bits: 49 days, more than the configuration allows.
    let after = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    display::keep_following(context, &displays.wayland_sockets(), Follower { after, view }).await
}

struct Follower<'a> {
    after: u32,
    view: &'a watch::Sender<View>,
}

impl display::Follow for Follower<'_> {
    type Open = Wire;

    async fn open(&mut self, stream: UnixStream, path: &Path) -> Result<Wire, Denied> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut wire = Wire::new(stream, self.after, format!("ext-idle-notify-v1 of {name}"))?;
        while !wire.seats.is_complete {
            wire.receive().await?;
        }
        if wire.seats.notifier.is_none() {
            return Err(Denied::Unfit("the compositor does not have ext-idle-notify-v1".to_owned()));
        }
        Ok(wire)
    }

    async fn follow(&mut self, mut wire: Wire) -> String {
        loop {
            View::Says { idle: wire.seats.idle(), source: wire.source.clone() }.show(self.view);
            if let Err(error) = wire.receive().await {
                return error.to_string();
            }
            if wire.seats.notifier.is_none() {
                return "the compositor has withdrawn ext-idle-notify-v1".to_owned();
            }
        }
    }

    fn absent(&mut self, denied: Option<&Denied>) {
        let reason = denied.map_or("no Wayland compositor is running", Denied::why).to_owned();
        View::Absent { reason, wayland: denied.is_some() }.show(self.view);
    }
}

/// A connection to a compositor, and what it said.
struct Wire {
    connection: Connection,
    queue: EventQueue<Seats>,
    readable: AsyncFd<OwnedFd>,
    seats: Seats,
    source: String,
}

impl Wire {
    fn new(stream: UnixStream, after: u32, source: String) -> io::Result<Self> {
        let stream = stream.into_std()?;
        let readable = fd::readable(stream.try_clone()?.into())?;
        let connection = Connection::from_socket(stream).map_err(io::Error::other)?;
        let queue = connection.new_event_queue();
        let handle = queue.handle();
        let display = connection.display();
        display.get_registry(&handle, ());
        // The answer to this comes after everything that the registry announces at first.
        display.sync(&handle, ());
        let seats = Seats { after, notifier: None, by_number: BTreeMap::new(), is_complete: false };
        Ok(Self { connection, queue, readable, seats, source })
    }

    /// Handles the next events from the compositor.
    async fn receive(&mut self) -> io::Result<()> {
        loop {
            let handled = self.queue.dispatch_pending(&mut self.seats).map_err(io::Error::other)?;
            match self.connection.flush() {
                // Little is sent here. A compositor that does not read it does not answer either.
                Ok(()) => {}
                Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(io::Error::other(error)),
            }
            if handled > 0 {
                return Ok(());
            }
            let mut ready = self.readable.readable().await?;
            let Some(guard) = self.queue.prepare_read() else { continue };
            match guard.read() {
                Ok(_) => {}
                Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

/// The compositor's seats: the user is active when there is input at any of them.
struct Seats {
    after: u32,
    /// The number under which the compositor may withdraw it, and the object.
    notifier: Option<(u32, ExtIdleNotifierV1)>,
    by_number: BTreeMap<u32, Seat>,
    /// Whether the compositor has announced everything that it has.
    is_complete: bool,
}

struct Seat {
    proxy: WlSeat,
    notification: Option<ExtIdleNotificationV1>,
    idle: bool,
}

impl Seats {
    fn idle(&self) -> Idle {
        let idle = !self.by_number.is_empty() && self.by_number.values().all(|seat| seat.idle);
        if idle { Idle::Idle } else { Idle::Active }
    }

    /// Asks for notifications of each seat for which that was not done yet.
    fn subscribe(&mut self, handle: &QueueHandle<Self>) {
        let Some((_, notifier)) = &self.notifier else { return };
        for (number, seat) in &mut self.by_number {
            seat.notification.get_or_insert_with(|| {
                if wayland_client::Proxy::version(notifier) >= REQ_GET_INPUT_IDLE_NOTIFICATION_SINCE {
                    notifier.get_input_idle_notification(self.after, &seat.proxy, handle, *number)
                } else {
                    notifier.get_idle_notification(self.after, &seat.proxy, handle, *number)
                }
            });
        }
    }
}

impl Dispatch<WlRegistry, ()> for Seats {
    fn event(
        state: &mut Self,
        registry: &WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global { name, interface, version } = event {
            if interface == NOTIFIER {
                state.notifier = Some((name, registry.bind(name, version.min(MAX_VERSION), handle, ())));
            } else if interface == "wl_seat" {
                let proxy = registry.bind(name, 1, handle, ());
                state.by_number.insert(name, Seat { proxy, notification: None, idle: false });
            }
        } else if let wl_registry::Event::GlobalRemove { name } = event {
            state.notifier.take_if(|(number, _)| *number == name);
            if let Some(notification) = state.by_number.remove(&name).and_then(|seat| seat.notification) {
                notification.destroy();
            }
        }
        state.subscribe(handle);
    }
}

impl Dispatch<ExtIdleNotificationV1, u32> for Seats {
    fn event(
        state: &mut Self,
        _: &ExtIdleNotificationV1,
        event: ext_idle_notification_v1::Event,
        number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let idle = matches!(event, ext_idle_notification_v1::Event::Idled);
        if let Some(seat) = state.by_number.get_mut(number) {
            seat.idle = idle;
        }
    }
}

impl Dispatch<WlCallback, ()> for Seats {
    fn event(state: &mut Self, _: &WlCallback, _: wl_callback::Event, (): &(), _: &Connection, _: &QueueHandle<Self>) {
        state.is_complete = true;
    }
}

delegate_noop!(Seats: ignore WlSeat);
delegate_noop!(Seats: ExtIdleNotifierV1);
