//! An X server as a source of the idle signal: the counter `IDLETIME` of its SYNC extension, with one alarm for each direction
//! in which it crosses the configured time.
//!
//! This uses only x11rb's protocol code, because x11rb itself waits for answers in ways that would block the whole daemon.
//! Xwayland counts only the input of its own windows, so it cannot answer.
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

use super::display::{self, Denied, Gone, Pace};
use super::view::View;
use crate::policy::Idle;
use crate::signals::{Context, Displays};

/// The first byte of an error and of a reply. All others are events; this bit marks those that another client sent.
const ERROR: u8 = 0;
const REPLY: u8 = 1;
const SENT_BY_CLIENT: u8 = 0x80;

/// The least size of a packet, and the largest reply that is accepted: far more than the list of counters takes.
const MIN_PACKET_BYTES: usize = 32;
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// Keeps `view` up to date. Never returns.
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
    /// In milliseconds, like the counter.
    after: i64,
    view: &'a watch::Sender<View>,
}

/// A server whose alarms are set.
struct Armed {
    wire: Wire,
    /// The type of the events in which an alarm goes off.
    alarm_event: u8,
    idle_time: i64,
    source: String,
}

impl display::Follow for Follower<'_> {
    type Open = Armed;

    async fn open(&mut self, stream: UnixStream, path: &Path) -> Result<Armed, Denied> {
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
        // The first goes off when the counter rises to its value, the second when it falls to its value, which is next to the
        // first.
        let alarms = [(TESTTYPE::POSITIVE_TRANSITION, self.after), (TESTTYPE::NEGATIVE_TRANSITION, self.after - 1)];
        for (number, (test_type, value)) in (1..).zip(alarms) {
            let alarm = CreateAlarmAux {
                counter: Some(counter),
                value_type: Some(VALUETYPE::ABSOLUTE),
                value: Some(int64(value)),
                test_type: Some(test_type),
                // So that the alarm stays set after it went off.
                delta: Some(int64(0)),
                events: Some(1),
            };
            let id = wire.first_id + number;
            wire.send(CreateAlarmRequest { id, value_list: Cow::Owned(alarm) }, opcode).await?;
        }
        // After the alarms, so that no later change is missed. The error for a refused alarm would come before this answer.
        let now = wire.ask(QueryCounterRequest { counter }, opcode).await?.counter_value;
        Ok(Armed {
            wire,
            alarm_event: sync.first_event + ALARM_NOTIFY_EVENT,
            idle_time: i64_of(now),
            source: format!("idle counter of X display :{number}"),
        })
    }

    async fn follow(&mut self, mut armed: Armed) -> Gone {
        loop {
            let idle = if armed.idle_time >= self.after { Idle::Idle } else { Idle::Active };
            View::Says { idle, source: armed.source.clone() }.show(self.view);
            let packet = match armed.wire.next().await {
                Ok(packet) => packet,
                Err(gone) => return gone,
            };
            if packet[0] & !SENT_BY_CLIENT == armed.alarm_event {
                match AlarmNotifyEvent::try_parse(&packet) {
                    Ok((event, _)) => armed.idle_time = i64_of(event.counter_value),
                    Err(error) => return Gone::Ended(error.to_string()),
                }
            }
        }
    }

    fn absent(&mut self, denied: Option<&Denied>) {
        View::absent(denied.map_or("no X server is running", Denied::why)).show(self.view);
    }
}

/// A connection to an X server.
struct Wire {
    stream: UnixStream,
    /// The first of the ids that this client may use.
    first_id: u32,
    pace: Pace,
}

impl Wire {
    async fn connect(mut stream: UnixStream, display: u16) -> Result<Self, Denied> {
        let host = rustix::system::uname();
        let (mut connect, request) = match Connect::new(Family::LOCAL, host.nodename().to_bytes(), display) {
            // There is no cookie file; a server may accept its user without one.
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
        Ok(Self { stream, first_id: setup.resource_id_base, pace: Pace::default() })
    }

    async fn extension(&mut self, name: &'static str) -> Result<QueryExtensionReply, Denied> {
        self.ask(QueryExtensionRequest { name: name.as_bytes().into() }, 0).await
    }

    async fn send(&mut self, request: impl Request, opcode: u8) -> io::Result<()> {
        let (request, _) = request.serialize(opcode);
        self.stream.write_all(&request).await
    }

    /// Sends a request and returns its answer, which already reflects earlier events.
    async fn ask<R: ReplyRequest>(&mut self, request: R, opcode: u8) -> Result<R::Reply, Denied> {
        self.send(request, opcode).await?;
        loop {
            let packet = self.next().await?;
            match packet[0] {
                ERROR => return Err(Denied::Unfit(format!("the X server answered with error {}", packet[1]))),
                REPLY => {
                    let reply = R::Reply::try_parse(&packet);
                    return reply.map(|(reply, _)| reply).map_err(|error: ParseError| Denied::Unfit(error.to_string()));
                }
                _ => {}
            }
        }
    }

    /// The next complete packet.
    async fn next(&mut self) -> Result<Vec<u8>, Gone> {
        self.pace.note("the X server")?;
        let mut packet = vec![0; MIN_PACKET_BYTES];
        self.stream.read_exact(&mut packet).await?;
        if packet[0] == REPLY {
            let words = u32::from_ne_bytes([packet[4], packet[5], packet[6], packet[7]]);
            let more = usize::try_from(words).unwrap_or(usize::MAX).saturating_mul(4);
            if more > MAX_REPLY_BYTES {
                return Err(Gone::Ended("the X server's answer is too long".to_owned()));
            }
            packet.resize(MIN_PACKET_BYTES + more, 0);
            self.stream.read_exact(&mut packet[MIN_PACKET_BYTES..]).await?;
        }
        Ok(packet)
    }
}

/// Why a server refuses this client. It may accept it later, when the user has signed in and there is a cookie.
fn denied(error: ConnectError) -> Denied {
    let why = if let ConnectError::SetupFailed(failed) = error {
        String::from_utf8_lossy(&failed.reason).trim().to_owned()
    } else {
        error.to_string()
    };
    Denied::Later(format!("the X server refuses the connection: {why}"))
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
    fn a_counter_survives_its_two_halves() {
        for value in [0, -1, 1, 600_000, 86_400_000, i64::from(u32::MAX), i64::from(u32::MAX) + 1, i64::MAX, i64::MIN] {
            assert_eq!(i64_of(int64(value)), value);
        }
    }
}
