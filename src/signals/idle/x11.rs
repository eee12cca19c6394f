//! An X server's side of the idle signal: the counter `IDLETIME` of its SYNC extension, with one alarm for each way across
//! the configured time.
//!
//! Spoken by hand over x11rb's own protocol code, since x11rb itself waits for answers in ways that would hold the whole
//! daemon up. Xwayland counts only the input of its own windows, and is none that can tell.
//!
//! Source: the X Synchronization Extension, version 3.1; the X protocol, version 11.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;
use x11rb_protocol::connect::Connect;
use x11rb_protocol::errors::{ConnectError, ParseError};
use x11rb_protocol::protocol::sync::{
    ALARM_NOTIFY_EVENT, AlarmNotifyEvent, CreateAlarmAux, CreateAlarmRequest, InitializeRequest, Int64,
    ListSystemCountersRequest, QueryCounterRequest, TESTTYPE, VALUETYPE, X11_EXTENSION_NAME,
};
use x11rb_protocol::protocol::xproto::{QueryExtensionReply, QueryExtensionRequest};
use x11rb_protocol::x11_utils::{ReplyRequest, Request, TryParse};
use x11rb_protocol::xauth::Family;

use super::display::{self, Denied};
use super::view::View;
use crate::policy::Idle;
use crate::signals::{Context, Displays};

/// The first byte of an error and of a reply; all others are events, with this bit for those that another client made.
const ERROR: u8 = 0;
const REPLY: u8 = 1;
const FROM_A_CLIENT: u8 = 0x80;

/// As long as every packet is at least, in bytes; and as long as a reply may be, which is far more than the counters take.
const PACKET: usize = 32;
const LONGEST: usize = 64 * 1024;

/// Keeps `view` true. Never returns.
pub(super) async fn follow(
    context: &Context,
    displays: &Displays,
    after: Duration,
    beside_wayland: bool,
    view: &watch::Sender<View>,
) -> Infallible {
    if beside_wayland {
        View::absent("the X server of a Wayland session sees only part of the input").show(view);
        return std::future::pending().await;
    }
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    display::keep_following(context, &displays.x11_sockets(), Follower { after, view }).await
}

struct Follower<'a> {
    /// In milliseconds, as the counter has it.
    after: i64,
    view: &'a watch::Sender<View>,
}

/// A server whose alarms are set.
struct Counted {
    wire: Wire,
    /// The type of the events in which an alarm goes off.
    alarm_event: u8,
    idle_time: i64,
    source: String,
}

impl display::Follow for Follower<'_> {
    type Open = Counted;

    async fn open(&mut self, stream: UnixStream, path: &Path) -> Result<Counted, Denied> {
        let number =
            path.file_name().and_then(|name| name.to_str()?.strip_prefix('X')?.parse().ok()).unwrap_or_default();
        let mut wire = Wire::connect(stream, number).await?;
        if wire.extension("XWAYLAND").await?.present {
            return Err(Denied::Unfit("Xwayland sees only part of the input".to_owned()));
        }
        let sync = wire.extension(X11_EXTENSION_NAME).await?;
        let unfit = || Denied::Unfit("the X server does not count idle time (SYNC IDLETIME)".to_owned());
        if !sync.present {
            return Err(unfit());
        }
        let opcode = sync.major_opcode;
        wire.ask(InitializeRequest { desired_major_version: 3, desired_minor_version: 1 }, opcode).await?;
        let counters = wire.ask(ListSystemCountersRequest, opcode).await?.counters;
        let counter = counters.iter().find(|counter| counter.name == b"IDLETIME").ok_or_else(unfit)?.counter;
        // They go off where the counter comes from below to the first value, and from above to the second, which are next to
        // each other.
        let alarms = [(TESTTYPE::POSITIVE_TRANSITION, self.after), (TESTTYPE::NEGATIVE_TRANSITION, self.after - 1)];
        for (number, (test_type, value)) in (1..).zip(alarms) {
            let alarm = CreateAlarmAux {
                counter: Some(counter),
                value_type: Some(VALUETYPE::ABSOLUTE),
                value: Some(int64(value)),
                test_type: Some(test_type),
                // So that it stays set after it went off.
                delta: Some(int64(0)),
                events: Some(1),
            };
            let id = wire.first_id + number;
            wire.send(CreateAlarmRequest { id, value_list: Cow::Owned(alarm) }, opcode).await?;
        }
        // Behind the alarms, so that what happens after it is heard of. An alarm that is refused is heard of before it.
        let now = wire.ask(QueryCounterRequest { counter }, opcode).await?.counter_value;
        Ok(Counted {
            wire,
            alarm_event: sync.first_event + ALARM_NOTIFY_EVENT,
            idle_time: i64_of(now),
            source: format!("idle counter of X display :{number}"),
        })
    }

    async fn follow(&mut self, mut counted: Counted) -> String {
        loop {
            let idle = if counted.idle_time >= self.after { Idle::Idle } else { Idle::Active };
            View::Says { idle, source: counted.source.clone() }.show(self.view);
            let packet = match counted.wire.next().await {
                Ok(packet) => packet,
                Err(error) => return error.to_string(),
            };
            if packet[0] & !FROM_A_CLIENT == counted.alarm_event {
                match AlarmNotifyEvent::try_parse(&packet) {
                    Ok((event, _)) => counted.idle_time = i64_of(event.counter_value),
                    Err(error) => return error.to_string(),
                }
            }
        }
    }

    fn absent(&mut self, denied: Option<&Denied>) {
        View::absent(denied.map_or("no X server runs", Denied::why)).show(self.view);
    }
}

/// A connection to an X server.
struct Wire {
    stream: UnixStream,
    /// The first of the numbers that this client may give to what it makes.
    first_id: u32,
}

impl Wire {
    async fn connect(mut stream: UnixStream, display: u16) -> Result<Self, Denied> {
        let host = rustix::system::uname();
        let (mut connect, request) = match Connect::new(Family::LOCAL, host.nodename().to_bytes(), display) {
            // There is no file of cookies, and a server may let its user in without.
            Err(ConnectError::IoError(_)) => Connect::with_authorization(Vec::new(), Vec::new()),
            cookie => cookie.map_err(denied)?,
        };
        stream.write_all(&request).await?;
        loop {
            let read = stream.read(connect.buffer()).await?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if connect.advance(read) {
                break;
            }
        }
        let setup = connect.into_setup().map_err(denied)?;
        Ok(Self { stream, first_id: setup.resource_id_base })
    }

    async fn extension(&mut self, name: &'static str) -> Result<QueryExtensionReply, Denied> {
        self.ask(QueryExtensionRequest { name: name.as_bytes().into() }, 0).await
    }

    async fn send(&mut self, request: impl Request, opcode: u8) -> io::Result<()> {
        let (request, _) = request.serialize(opcode);
        self.stream.write_all(&request).await
    }

    /// The answer to a request. Events before it are of before the answer, and so in it.
    async fn ask<R: ReplyRequest>(&mut self, request: R, opcode: u8) -> Result<R::Reply, Denied> {
        self.send(request, opcode).await?;
        loop {
            let packet = self.next().await?;
            match packet[0] {
                ERROR => return Err(Denied::Unfit(format!("the X server refuses with error {}", packet[1]))),
                REPLY => {
                    let reply = R::Reply::try_parse(&packet);
                    return reply.map(|(reply, _)| reply).map_err(|error: ParseError| Denied::Unfit(error.to_string()));
                }
                _ => {}
            }
        }
    }

    /// The next packet, whole.
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut packet = vec![0; PACKET];
        self.stream.read_exact(&mut packet).await?;
        if packet[0] == REPLY {
            let words = u32::from_ne_bytes([packet[4], packet[5], packet[6], packet[7]]);
            let more = usize::try_from(words).unwrap_or(usize::MAX).saturating_mul(4);
            if more > LONGEST {
                return Err(io::Error::other("the X server's answer is too long"));
            }
            packet.resize(PACKET + more, 0);
            self.stream.read_exact(&mut packet[PACKET..]).await?;
        }
        Ok(packet)
    }
}

/// Why a server does not let this client in. It may later, when the user has signed in and left a cookie.
fn denied(error: ConnectError) -> Denied {
    let why = if let ConnectError::SetupFailed(failed) = error {
        String::from_utf8_lossy(&failed.reason).trim().to_owned()
    } else {
        error.to_string()
    };
    Denied::Later(format!("the X server does not let presenced in: {why}"))
}

fn int64(value: i64) -> Int64 {
    let bytes = value.to_be_bytes();
    let (hi, lo) = bytes.split_at(4);
    Int64 { hi: i32::from_be_bytes([hi[0], hi[1], hi[2], hi[3]]), lo: u32::from_be_bytes([lo[0], lo[1], lo[2], lo[3]]) }
}

fn i64_of(value: Int64) -> i64 {
    (i64::from(value.hi) << 32) | i64::from(value.lo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_counter_fit_together() {
        for value in [0, -1, 1, 600_000, 86_400_000, i64::from(u32::MAX), i64::from(u32::MAX) + 1, i64::MAX, i64::MIN] {
            assert_eq!(i64_of(int64(value)), value);
        }
    }
}
