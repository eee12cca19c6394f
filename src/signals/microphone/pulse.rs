//! A connection to the sound server, `PulseAudio` or `PipeWire` in its place, in `PulseAudio`'s native protocol: which programs
//! record, and notice that this may have changed.
//!
//! It uses its own socket, so it needs no thread and causes no wake-up while nothing happens. Leaves to others: what a message
//! is (`pulse_message`), and what it means that a program records (the parent module).

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
use crate::regular_file;
use crate::signals::backoff::within;
use crate::time::Clock;

/// How long the server may take to answer, or to send the rest of a message.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How much is received at once.
const RECEIVE_BYTES: usize = 4096;

/// The size of a cookie in the protocol. Without a cookie, this many zeros are sent.
const COOKIE_BYTES: usize = 256;

/// Why the server cannot be used now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerError {
    /// No server listens.
    #[error("no sound server answers ({0})")]
    Absent(io::Error),
    /// It refuses the connection.
    #[error("the sound server refuses connections without its cookie")]
    Denied,
    /// The connection broke.
    #[error("the connection to the sound server is lost ({0})")]
    Broken(#[from] io::Error),
    /// It closed the connection.
    #[error("the sound server closed the connection")]
    Closed,
    /// It does not answer.
    #[error("the sound server does not answer within 5 s")]
    NoAnswer,
    /// It refuses something that every server supports.
    #[error("the sound server refuses to list recordings ({0})")]
    Refused(PulseError),
    /// It speaks something else.
    #[error("the answer does not come from a supported sound server: {0}")]
    Garbage(#[from] Garbage),
}

/// A connection on which the server reports changes.
pub(super) struct Pulse<'a> {
    stream: UnixStream,
    clock: &'a dyn Clock,
    received: Vec<u8>,
    version: u16,
    last_number: u32,
    /// Whether something has changed since the last question.
    changed: bool,
}

impl<'a> Pulse<'a> {
    /// Connects to the server at `socket`, with the cookie in the first of the files `cookies` that exists.
    pub(super) async fn connect(socket: &Path, cookies: &[PathBuf], clock: &'a dyn Clock) -> Result<Self, ServerError> {
        let stream = UnixStream::connect(socket).await.map_err(ServerError::Absent)?;
        // So the server sees whose process this is, even if it was too busy to ask in time.
        rustix::net::sockopt::set_socket_passcred(&stream, true).map_err(io::Error::from)?;
        let mut pulse =
            Self { stream, clock, received: Vec::new(), version: MAX_VERSION, last_number: 0, changed: false };
        let cookie = cookies.iter().find_map(|path| cookie(path)).unwrap_or_else(|| vec![0; COOKIE_BYTES]);
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

    /// All streams that record, or are about to.
    pub(super) async fn recorders(&mut self) -> Result<Vec<SourceOutputInfo>, ServerError> {
        self.changed = false;
        self.ask::<SourceOutputInfoList>(Command::GetSourceOutputInfoList).await
    }

    /// Whether this source records what the machine plays; `None`: it does not exist.
    pub(super) async fn is_monitor(&mut self, source: u32) -> Result<Option<bool>, ServerError> {
        match self.ask(Command::GetSourceInfo(GetSourceInfo { index: Some(source), name: None })).await {
            Ok(Source { monitor_of }) => Ok(Some(monitor_of.is_some())),
            Err(ServerError::Refused(_)) => Ok(None),
            Err(lost) => Err(lost),
        }
    }

    /// Waits until a stream may have begun or stopped to record since [`Self::recorders`] was called. Nothing is lost when the
    /// future is dropped.
    pub(super) async fn changed(&mut self) -> Result<(), ServerError> {
        while !self.changed {
            self.message().await?;
        }
        Ok(())
    }

    /// Sends a command and waits for its answer.
    async fn ask<T: TagStructRead>(&mut self, what: Command) -> Result<T, ServerError> {
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
                        return Err(ServerError::Denied);
                    }
                    Kind::Refusal(to, why) if to == number => {
                        return Err(ServerError::Refused(why.unwrap_or(PulseError::Unknown)));
                    }
                    Kind::Answer(_) | Kind::Refusal(..) => {
                        return Err(Garbage::Malformed("an unexpected answer".to_owned()).into());
                    }
                    Kind::Event | Kind::Other => {}
                }
            }
        };
        within(clock, ANSWER_TIMEOUT, answer).await.ok_or(ServerError::NoAnswer)?
    }

    /// The next message.
    async fn message(&mut self) -> Result<(Message, Kind), ServerError> {
        loop {
            if let Some(message) = Message::take(&mut self.received)? {
                let kind = message.kind()?;
                self.changed |= kind == Kind::Event;
                return Ok((message, kind));
            }
            let is_begun = !self.received.is_empty();
            self.received.reserve(RECEIVE_BYTES);
            let receive = self.stream.read_buf(&mut self.received);
            let count = if is_begun {
                within(self.clock, ANSWER_TIMEOUT, receive).await.ok_or(ServerError::NoAnswer)?
            } else {
                receive.await
            }?;
            if count == 0 {
                return Err(ServerError::Closed);
            }
        }
    }
}

/// An empty answer: the command has succeeded.
struct Done;

impl TagStructRead for Done {
    fn read(_: &mut TagStructReader<'_>, _: u16) -> Result<Self, ProtocolError> {
        Ok(Self)
    }
}

/// The beginning of what the server says about a source. The rest grows with each version and is not needed.
struct Source {
    /// The sink whose sound it records.
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

/// The cookie in a file, if there is one.
fn cookie(path: &Path) -> Option<Vec<u8>> {
    let mut cookie = Vec::with_capacity(COOKIE_BYTES);
    regular_file::open(path).ok()?.take(COOKIE_BYTES as u64).read_to_end(&mut cookie).ok()?;
    cookie.resize(COOKIE_BYTES, 0);
    Some(cookie)
}
