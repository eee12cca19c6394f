//! A Wayland compositor as a source of the idle signal: `ext-idle-notify-v1`.
//!
//! Version 2 of the protocol reports input alone; in version 1, a film that inhibits idleness also keeps the user active. The
//! time counts from the connection, because a compositor does not say what happened before.
//!
//! Leaves to others: the bytes of the messages (`wayland_wire`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::display::{self, Denied, Gone, Pace};
use super::view::View;
use super::wayland_wire::{self as wire, DISPLAY, Event, FIRST_SYNC, NEXT_OBJECT, REGISTRY};
use crate::policy::Idle;
use crate::sanitize::printable;
use crate::signals::{Context, Displays};

const NOTIFIER: &str = "ext_idle_notifier_v1";
const SEAT: &str = "wl_seat";
/// The newest version that this client supports, and the first that reports input alone.
const MAX_VERSION: u32 = 2;
const INPUT_ALONE_SINCE: u32 = 2;

/// How much is received at once.
const RECEIVE_BYTES: usize = 4096;

/// More seats than any compositor has.
const MAX_SEATS: usize = 64;

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
    type Open = Compositor;

    async fn open(&mut self, stream: UnixStream, path: &Path) -> Result<Compositor, Denied> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let source = format!("ext-idle-notify-v1 of {name}");
        let mut compositor =
            Compositor { stream, received: Vec::new(), pace: Pace::default(), seats: Seats::new(self.after), source };
        compositor.stream.write_all(&wire::hello()).await?;
        while !compositor.seats.is_complete {
            compositor.receive().await?;
        }
        if compositor.seats.notifier.is_none() {
            return Err(Denied::Unfit("the compositor does not have ext-idle-notify-v1".to_owned()));
        }
        Ok(compositor)
    }

    async fn follow(&mut self, mut compositor: Compositor) -> Gone {
        loop {
            let seats = &compositor.seats;
            View::Says { idle: seats.idle(), source: compositor.source.clone() }.show(self.view);
            if let Err(gone) = compositor.receive().await {
                return gone;
            }
            if compositor.seats.notifier.is_none() {
                return Gone::Ended("the compositor has withdrawn ext-idle-notify-v1".to_owned());
            }
        }
    }

    fn absent(&mut self, denied: Option<&Denied>) {
        let reason = denied.map_or("no Wayland compositor is running", Denied::why).to_owned();
        View::Absent { reason, wayland: denied.is_some() }.show(self.view);
    }
}

/// A connection to a compositor, and what it said.
struct Compositor {
    stream: UnixStream,
    received: Vec<u8>,
    pace: Pace,
    seats: Seats,
    source: String,
}

impl Compositor {
    /// Handles the next event from the compositor, and asks what follows from it.
    async fn receive(&mut self) -> Result<(), Gone> {
        loop {
            if let Some(event) = Event::take(&mut self.received)? {
                self.pace.note("the compositor")?;
                let mut requests = Vec::new();
                self.seats.handle(&event, &mut requests)?;
                // Little is sent here. A compositor that does not read it does not answer either.
                return Ok(self.stream.write_all(&requests).await?);
            }
            self.received.reserve(RECEIVE_BYTES);
            let mut part = (&mut self.stream).take(RECEIVE_BYTES as u64);
            if part.read_buf(&mut self.received).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// The compositor's seats: the user is active when there is input at any of them.
struct Seats {
    after: u32,
    notifier: Option<Notifier>,
    /// By the number under which the compositor may withdraw them.
    by_number: BTreeMap<u32, Seat>,
    /// The next object that is created.
    next: u32,
    /// Whether the compositor has announced everything that it has.
    is_complete: bool,
}

struct Notifier {
    /// The number under which the compositor may withdraw it.
    number: u32,
    object: u32,
    version: u32,
}

struct Seat {
    object: u32,
    notification: Option<u32>,
    idle: bool,
}

impl Seats {
    const fn new(after: u32) -> Self {
        Self { after, notifier: None, by_number: BTreeMap::new(), next: NEXT_OBJECT, is_complete: false }
    }

    fn idle(&self) -> Idle {
        let idle = !self.by_number.is_empty() && self.by_number.values().all(|seat| seat.idle);
        if idle { Idle::Idle } else { Idle::Active }
    }

    /// Takes over what an event says, and adds the requests that follow from it. Events of objects that are gone may still arrive.
    fn handle(&mut self, event: &Event, requests: &mut Vec<u8>) -> Result<(), Gone> {
        let mut arguments = event.arguments();
        match (event.object, event.opcode) {
            // wl_display.error
            (DISPLAY, 0) => {
                let (_object, _code, text) = (arguments.number(), arguments.number(), arguments.text());
                let text = String::from_utf8_lossy(text.unwrap_or_default());
                return Err(Gone::Ended(format!("the compositor reports an error: {}", printable(&text))));
            }
            // wl_callback.done
            (FIRST_SYNC, 0) => self.is_complete = true,
            // wl_registry.global
            (REGISTRY, 0) => {
                let (number, interface, version) = (arguments.number(), arguments.text(), arguments.number());
                let (Some(number), Some(interface), Some(version)) = (number, interface, version) else {
                    return Err(Gone::Ended("the compositor does not speak Wayland".to_owned()));
                };
                self.announced(number, interface, version, requests)?;
            }
            // wl_registry.global_remove
            (REGISTRY, 1) => {
                let number = arguments.number();
                self.notifier.take_if(|notifier| Some(notifier.number) == number);
                let seat = number.and_then(|number| self.by_number.remove(&number));
                requests.extend(seat.and_then(|seat| seat.notification).map(wire::destroy).unwrap_or_default());
            }
            // ext_idle_notification_v1.idled and .resumed
            (object, opcode @ (0 | 1)) => {
                let seat = self.by_number.values_mut().find(|seat| seat.notification == Some(object));
                if let Some(seat) = seat {
                    seat.idle = opcode == 0;
                }
            }
            _ => {}
        }
        self.subscribe(requests);
        Ok(())
    }

    fn announced(&mut self, number: u32, interface: &[u8], version: u32, requests: &mut Vec<u8>) -> Result<(), Gone> {
        if interface == NOTIFIER.as_bytes() {
            let (object, version) = (self.new_object(), version.min(MAX_VERSION));
            requests.extend(wire::bind(number, NOTIFIER, version, object));
            self.notifier = Some(Notifier { number, object, version });
        } else if interface == SEAT.as_bytes() {
            if self.by_number.len() == MAX_SEATS {
                return Err(Gone::Flooded(format!("the compositor sends more than {MAX_SEATS} seats")));
            }
            let object = self.new_object();
            requests.extend(wire::bind(number, SEAT, 1, object));
            self.by_number.insert(number, Seat { object, notification: None, idle: false });
        }
        Ok(())
    }

    /// Asks for notifications of each seat for which that was not done yet.
    fn subscribe(&mut self, requests: &mut Vec<u8>) {
        let Some(Notifier { object: notifier, version, .. }) = self.notifier else { return };
        for seat in self.by_number.values_mut().filter(|seat| seat.notification.is_none()) {
            let object = self.next;
            self.next += 1;
            requests.extend(wire::notify(notifier, version >= INPUT_ALONE_SINCE, object, self.after, seat.object));
            seat.notification = Some(object);
        }
    }

    fn new_object(&mut self) -> u32 {
        let object = self.next;
        self.next += 1;
        object
    }
}
