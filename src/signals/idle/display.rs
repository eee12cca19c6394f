//! A display to ask: the first Wayland compositor or X server of this user that can answer, and waiting for one to start.
//!
//! Leaves to others: where their sockets may be (`signals::displays`), and what is said over the connection (`wayland`, `x11`).

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::select_all;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::Instant as Stopwatch;

use crate::signals::Context;
use crate::signals::backoff::{Backoff, until, within};
use crate::signals::displays::existing;
use crate::time::Clock;

/// How long a display may take to accept a connection, or to give its first answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How many messages a display may send in [`PACE_SPAN`]. A desktop announces a hundred things when a client connects, and then
/// tells of each change of input.
const MAX_MESSAGES: u32 = 4096;
const PACE_SPAN: Duration = Duration::from_secs(1);

/// How much is ignored at once of what a display sends that cannot be used.
const MAX_IGNORED_BYTES: usize = 4096;

/// How often a socket that refuses connections is tried. The server of a new socket may not listen yet; a socket that a crash
/// has left behind stays dead.
const MAX_DEAD_TRIES: u32 = 3;

/// Why a display cannot be used.
#[derive(Debug)]
pub(super) enum Denied {
    /// It works, but does not have what is needed.
    Unfit(String),
    /// It may work later.
    Later(String),
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// Why a display that was followed is not followed any more, for people.
#[derive(Debug)]
pub(super) enum Gone {
    /// It ended, or does not have any more what is needed.
    Ended(String),
    /// It sends more than there can be to say.
    Flooded(String),
}

impl From<io::Error> for Gone {
    fn from(error: io::Error) -> Self {
        Self::Ended(error.to_string())
    }
}

impl From<Gone> for Denied {
    fn from(gone: Gone) -> Self {
        let (Gone::Ended(why) | Gone::Flooded(why)) = gone;
        Self::Later(why)
    }
}

/// Counts the messages of a display, which must not keep the event loop busy.
pub(super) struct Pace {
    since: Stopwatch,
    messages: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { since: Stopwatch::now(), messages: 0 }
    }
}

impl Pace {
    /// Notes a message of `whom`.
    ///
    /// # Errors
    /// There were more than [`MAX_MESSAGES`] in the last second.
    pub(super) fn note(&mut self, whom: &str) -> Result<(), Gone> {
        self.messages += 1;
        if self.messages <= MAX_MESSAGES {
            return Ok(());
        }
        let is_flood = self.since.elapsed() < PACE_SPAN;
        *self = Self::default();
        if is_flood {
            Err(Gone::Flooded(format!("{whom} sends more than {MAX_MESSAGES} messages a second")))
        } else {
            Ok(())
        }
    }
}

/// What a source does on one display for as long as the connection lasts.
pub(super) trait Follow {
    type Open;

    /// Finds out on a new connection whether the display can answer.
    async fn open(&mut self, stream: UnixStream, path: &Path) -> Result<Self::Open, Denied>;

    /// Follows one that can until it is gone.
    async fn follow(&mut self, open: Self::Open) -> Gone;

    /// There is no display that can answer. `denied`: what is wrong with the first of those that exist.
    fn absent(&mut self, denied: Option<&Denied>);
}

/// Follows forever the first display at `sockets` that can answer, and waits while there is none.
pub(super) async fn keep_following(context: &Context, sockets: &[PathBuf], mut follower: impl Follow) -> Infallible {
    let clock = &*context.clock;
    let mut backoff = Backoff::new();
    let mut tries = 0;
    loop {
        let mut watch = context.file_watcher.subscribe();
        let found = watch.scan(|| existing(sockets));
        let mut denied: Option<Denied> = None;
        let mut unfit = Vec::new();
        let (mut dead, mut later) = (false, !watch.failures().is_empty());
        let mut open = None;
        for path in &found {
            let why = match attempt(clock, &mut follower, path).await {
                Ok(opened) => {
                    open = Some((opened, path));
                    break;
                }
                Err(Refusal::Dead) => {
                    dead = true;
                    continue;
                }
                Err(Refusal::Denied(why, connection)) => {
                    unfit.extend(connection);
                    why
                }
            };
            later |= matches!(why, Denied::Later(_));
            denied.get_or_insert(why.at(path));
        }
        if let Some((open, path)) = open {
            // The connection shows when this display ends.
            drop(watch);
            tries = 0;
            let since = Stopwatch::now();
            let gone = follower.follow(open).await;
            tracing::debug!(?gone, "display");
            match gone {
                Gone::Ended(_) => {
                    backoff = Backoff::new();
                    follower.absent(None);
                    // One that comes and goes must not keep the event loop busy either.
                    if since.elapsed() < PACE_SPAN {
                        Backoff::new().wait(clock).await;
                    }
                }
                Gone::Flooded(_) => {
                    follower.absent(Some(&Denied::from(gone).at(path)));
                    backoff.wait(clock).await;
                }
            }
            continue;
        }
        follower.absent(denied.as_ref());
        let again = later || dead && tries < MAX_DEAD_TRIES;
        let retry = again.then(|| backoff.next(clock.now().instant));
        tokio::select! {
            _ = watch.changed(clock) => (backoff, tries) = (Backoff::new(), 0),
            () = one_ends(clock, &mut unfit) => (backoff, tries) = (Backoff::new(), 0),
            () = until(clock, retry) => tries += 1,
        }
    }
}

impl Denied {
    /// The same, and where.
    fn at(self, path: &Path) -> Self {
        match self {
            Self::Unfit(why) => Self::Unfit(format!("{}: {why}", path.display())),
            Self::Later(why) => Self::Later(format!("{}: {why}", path.display())),
        }
    }

    /// The reason.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Unfit(why) | Self::Later(why) => why,
        }
    }
}

/// Why an attempt failed.
enum Refusal {
    /// The socket refuses connections.
    Dead,
    /// The display cannot be used. If it does not have what is needed, the connection is kept: only that shows when the
    /// display ends, should a crash leave its socket behind.
    Denied(Denied, Option<UnixStream>),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            Self::Dead
        } else {
            Self::Denied(Denied::Later(error.to_string()), None)
        }
    }
}

/// Connects to what is at `path`, and finds out whether it can answer.
async fn attempt<F: Follow>(clock: &dyn Clock, follower: &mut F, path: &Path) -> Result<F::Open, Refusal> {
    let timed_out = |what| Refusal::Denied(Denied::Later(format!("no {what} within 5 s")), None);
    let connected = within(clock, ANSWER_TIMEOUT, UnixStream::connect(path)).await;
    let stream = connected.ok_or_else(|| timed_out("connection"))??.into_std()?;
    let other = UnixStream::from_std(stream.try_clone()?)?;
    let stream = UnixStream::from_std(stream)?;
    match within(clock, ANSWER_TIMEOUT, follower.open(stream, path)).await {
        Some(Ok(open)) => Ok(open),
        Some(Err(why @ Denied::Unfit(_))) => Err(Refusal::Denied(why, Some(other))),
        Some(Err(why @ Denied::Later(_))) => Err(Refusal::Denied(why, None)),
        None => Err(timed_out("answer")),
    }
}

/// Waits until one of these connections ends; whatever arrives on them meanwhile is ignored, but not read faster than it could
/// make sense.
async fn one_ends(clock: &dyn Clock, connections: &mut [UnixStream]) {
    if connections.is_empty() {
        return std::future::pending().await;
    }
    let ends = connections.iter_mut().map(|connection| {
        Box::pin(async move {
            let mut room = vec![0; MAX_IGNORED_BYTES];
            while let Ok(read @ 1..) = connection.read(&mut room).await {
                if read == room.len() {
                    clock.sleep_until(clock.now().instant + PACE_SPAN).await;
                }
            }
        })
    });
    select_all(ends).await;
}
