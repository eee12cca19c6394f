//! A connection to the sound server, `PulseAudio` or `PipeWire` in its place, by `PulseAudio`'s native protocol: who records,
//! and word that this may have changed.
//!
//! On our own socket, so that it costs no thread and wakes nobody while nothing happens. Leaves to others: what a message
//! is (`pulse_message`), what it means that somebody records (`microphone`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pulseaudio::protocol::{
    AuthParams, AuthReply, ChannelMap, ChannelVolume, Command, GetSourceInfo, MAX_VERSION, MIN_VERSION, Prop, Props,
    ProtocolError, PulseError, SampleSpec, SetClientNameReply, SourceOutputInfo, SourceOutputInfoList,
    SubscriptionMask, TagStructRead, TagStructReader,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::pulse_message::{Garbage, Kind, Message, command};
use crate::signals::backoff::within;
use crate::time::Clock;

/// How long the server may take to answer, or to send the rest of a message.
const ANSWER: Duration = Duration::from_secs(5);

/// How much is received at once.
const CHUNK: usize = 4096;

/// A cookie's length in the protocol. Without one, this many zeros.
const COOKIE: usize = 256;

/// Why the server is of no use now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// Nobody listens.
    #[error("no sound server answers ({0})")]
    Absent(io::Error),
    /// It does not let us in.
    #[error("the sound server lets nobody in without its cookie")]
    Denied,
    /// There was a connection.
    #[error("the connection to the sound server is lost ({0})")]
    Broken(#[from] io::Error),
    /// It ended the connection.
    #[error("the sound server has ended the connection")]
    Closed,
    /// It does not answer.
    #[error("the sound server does not answer within 5 s")]
    Silent,
    /// It refuses what every server does.
    #[error("the sound server refuses to say who records ({0})")]
    Refused(PulseError),
    /// It speaks something else.
    #[error("what answers there is no sound server that is understood: {0}")]
    Garbage(#[from] Garbage),
}

/// A connection on which changes are told.
pub(super) struct Pulse<'a> {
    stream: UnixStream,
    clock: &'a dyn Clock,
    received: Vec<u8>,
    version: u16,
    last_number: u32,
    /// Whether something changed that was not asked about since.
    changed: bool,
}

impl<'a> Pulse<'a> {
    /// Connects to the server at `socket`, with the cookie that is in the first of `cookies` that is there.
    pub(super) async fn connect(socket: &Path, cookies: &[PathBuf], clock: &'a dyn Clock) -> Result<Self, Lost> {
        let stream = UnixStream::connect(socket).await.map_err(Lost::Absent)?;
        // The server sees whose process this is also where it was too busy to ask for that in time.
        rustix::net::sockopt::set_socket_passcred(&stream, true).map_err(io::Error::from)?;
        let mut pulse =
            Self { stream, clock, received: Vec::new(), version: MAX_VERSION, last_number: 0, changed: false };
        let cookie = cookies.iter().find_map(|path| cookie(path)).unwrap_or_else(|| vec![0; COOKIE]);
        let auth = AuthParams { version: MAX_VERSION, supports_shm: false, supports_memfd: false, cookie };
        let answer: AuthReply = pulse.ask(Command::Auth(auth)).await?;
        pulse.version = answer.version.min(MAX_VERSION);
        if pulse.version < MIN_VERSION {
            return Err(Garbage::Malformed(format!("version {} of the protocol", pulse.version)).into());
        }
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"presenced");
        let _: SetClientNameReply = pulse.ask(Command::SetClientName(props)).await?;
        let _: Done = pulse.ask(Command::Subscribe(SubscriptionMask::SOURCE_OUTPUT)).await?;
        Ok(pulse)
    }

    /// Everybody who records, or is about to.
    pub(super) async fn recorders(&mut self) -> Result<Vec<SourceOutputInfo>, Lost> {
        self.changed = false;
        self.ask::<SourceOutputInfoList>(Command::GetSourceOutputInfoList).await
    }

    /// Whether what plays is recorded from this source; `None`: it is not there.
    pub(super) async fn is_monitor(&mut self, source: u32) -> Result<Option<bool>, Lost> {
        match self.ask(Command::GetSourceInfo(GetSourceInfo { index: Some(source), name: None })).await {
            Ok(Source { monitor_of }) => Ok(Some(monitor_of.is_some())),
            Err(Lost::Refused(_)) => Ok(None),
            Err(lost) => Err(lost),
        }
    }

    /// Waits until somebody may have begun or ceased to record since [`Self::recorders`] was asked. Nothing is lost when
    /// the future is dropped.
    pub(super) async fn changed(&mut self) -> Result<(), Lost> {
        while !self.changed {
            self.message().await?;
        }
        Ok(())
    }

    /// Sends a command and waits for its answer.
    async fn ask<T: TagStructRead>(&mut self, what: Command) -> Result<T, Lost> {
        self.last_number = self.last_number.wrapping_add(1);
        let number = self.last_number;
        let bytes = command(number, &what, self.version)?;
        let clock = self.clock;
        let answer = async {
            self.stream.write_all(&bytes).await?;
            loop {
                let (message, kind) = self.message().await?;
                match kind {
                    Kind::Answer(to) if to == number => return Ok(message.answer(self.version)?),
                    Kind::Refusal(to, Some(PulseError::AccessDenied | PulseError::AuthKey)) if to == number => {
                        return Err(Lost::Denied);
                    }
                    Kind::Refusal(to, why) if to == number => {
                        return Err(Lost::Refused(why.unwrap_or(PulseError::Unknown)));
                    }
                    Kind::Answer(_) | Kind::Refusal(..) => {
                        return Err(Garbage::Malformed("an answer that nobody asked for".to_owned()).into());
                    }
                    Kind::Event | Kind::Other => {}
                }
            }
        };
        within(clock, ANSWER, answer).await.ok_or(Lost::Silent)?
    }

    /// The next message.
    async fn message(&mut self) -> Result<(Message, Kind), Lost> {
        loop {
            if let Some(message) = Message::take(&mut self.received)? {
                let kind = message.kind()?;
                self.changed |= kind == Kind::Event;
                return Ok((message, kind));
            }
            let is_begun = !self.received.is_empty();
            self.received.reserve(CHUNK);
            let receive = self.stream.read_buf(&mut self.received);
            let count =
                if is_begun { within(self.clock, ANSWER, receive).await.ok_or(Lost::Silent)? } else { receive.await }?;
            if count == 0 {
                return Err(Lost::Closed);
            }
        }
    }
}

/// An answer that says nothing but that it is done.
struct Done;

impl TagStructRead for Done {
    fn read(_: &mut TagStructReader<'_>, _: u16) -> Result<Self, ProtocolError> {
        Ok(Self)
    }
}

/// The beginning of what the server says of a source, which is all that is needed of it: the rest grows with each version.
struct Source {
    /// The sink whose sound it gives again.
    monitor_of: Option<u32>,
}

impl TagStructRead for Source {
    fn read(values: &mut TagStructReader<'_>, _: u16) -> Result<Self, ProtocolError> {
        let (_index, _name, _description) = (values.read_u32()?, values.read_string()?, values.read_string()?);
        let (_sample_spec, _channels) = (values.read::<SampleSpec>()?, values.read::<ChannelMap>()?);
        let (_module, _volume, _muted) = (values.read_index()?, values.read::<ChannelVolume>()?, values.read_bool()?);
        Ok(Self { monitor_of: values.read_index()? })
    }
}

/// The cookie in a file, if there is one. Waits for nobody who would write it.
fn cookie(path: &Path) -> Option<Vec<u8>> {
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut cookie = Vec::with_capacity(COOKIE);
    File::open(path).ok()?.take(COOKIE as u64).read_to_end(&mut cookie).ok()?;
    cookie.resize(COOKIE, 0);
    Some(cookie)
}
