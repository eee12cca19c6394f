//! Displays: where a Wayland compositor or an X server of this user may be, and waiting for one to start.
//!
//! A user service often starts before the desktop, so its environment names no display, or the display of a session that has
//! ended. Therefore the usual places are tried too, after what the environment names. Leaves to others: what is said over the
//! connection (`wayland`, `x11`).

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::select_all;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use crate::file_watch::resolve::{Resolved, WatchSet};
use crate::signals::backoff::{Backoff, until, within};
use crate::signals::{Context, Displays};
use crate::time::Clock;

/// How long a display may take to accept a connection, or to give its first answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How many displays of a kind are tried besides the one that the environment names.
const MAX_NUMBERED_DISPLAYS: u32 = 10;

/// How often a socket that refuses connections is tried. The server of a new socket may not listen yet; a socket that a crash
/// has left behind stays dead.
const MAX_DEAD_TRIES: u32 = 3;

impl Displays {
    /// Where a compositor's socket may be, the most likely first.
    #[cfg(feature = "wayland")]
    pub(super) fn wayland_sockets(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.runtime_dir else {
            return self.wayland.iter().map(PathBuf::from).filter(|path| path.is_absolute()).collect();
        };
        let named = self.wayland.iter().map(|name| folder.join(name));
        with_numbered(named, |number| folder.join(format!("wayland-{number}")))
    }

    /// Where an X server's socket may be, the most likely first.
    #[cfg(feature = "x11")]
    pub(super) fn x11_sockets(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.x11_dir else { return Vec::new() };
        let local =
            self.x11.iter().filter_map(|display| display.strip_prefix("unix").unwrap_or(display).strip_prefix(':'));
        let named = local.filter_map(|display| display.split('.').next()?.parse::<u32>().ok());
        with_numbered(named.map(|number| folder.join(format!("X{number}"))), |number| folder.join(format!("X{number}")))
    }
}

fn with_numbered(named: impl Iterator<Item = PathBuf>, numbered: impl Fn(u32) -> PathBuf) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = named.collect();
    for path in (0..MAX_NUMBERED_DISPLAYS).map(numbered) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

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

/// What a source does on one display for as long as the connection lasts.
pub(super) trait Follow {
    type Open;

    /// Finds out on a new connection whether the display can answer.
    async fn open(&mut self, stream: UnixStream, path: &Path) -> Result<Self::Open, Denied>;

    /// Follows one that can until it is gone. Returns the reason, for people.
    async fn follow(&mut self, open: Self::Open) -> String;

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
        let found = watch.scan(|| look(sockets));
        let mut denied: Option<Denied> = None;
        let mut unfit = Vec::new();
        let (mut dead, mut later) = (false, !watch.failures().is_empty());
        let mut open = None;
        for path in &found {
            let why = match attempt(clock, &mut follower, path).await {
                Ok(opened) => {
                    open = Some(opened);
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
        if let Some(open) = open {
            // The connection shows when this display ends.
            drop(watch);
            (backoff, tries) = (Backoff::new(), 0);
            let why = follower.follow(open).await;
            tracing::debug!(why, "display");
            follower.absent(None);
            continue;
        }
        follower.absent(denied.as_ref());
        let again = later || dead && tries < MAX_DEAD_TRIES;
        let retry = again.then(|| backoff.next(clock.now().instant));
        tokio::select! {
            _ = watch.changed(clock) => (backoff, tries) = (Backoff::new(), 0),
            () = one_ends(&mut unfit) => (backoff, tries) = (Backoff::new(), 0),
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

/// Waits until one of these connections ends; whatever arrives on them meanwhile is ignored.
async fn one_ends(connections: &mut [UnixStream]) {
    if connections.is_empty() {
        return std::future::pending().await;
    }
    let ends = connections.iter_mut().map(|connection| {
        Box::pin(async move { while connection.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} })
    });
    select_all(ends).await;
}

/// The sockets that exist, and what must be watched to see one appear.
fn look(sockets: &[PathBuf]) -> (WatchSet, Vec<PathBuf>) {
    let mut watch_set = WatchSet::default();
    let exists = |path: &&PathBuf| matches!(watch_set.resolve(path), Resolved::Special) && is_trusted(path);
    let found = sockets.iter().filter(exists).cloned().collect();
    (watch_set, found)
}

/// Whether a socket belongs to this user or to the system. Any user can create one where X servers have theirs, but must not
/// say whether this user is idle, nor receive a cookie.
fn is_trusted(path: &Path) -> bool {
    let user = rustix::process::getuid().as_raw();
    path.metadata().is_ok_and(|metadata| [0, user].contains(&metadata.uid()))
}

#[cfg(all(test, feature = "wayland", feature = "x11"))]
mod tests {
    use super::*;

    fn paths<const N: usize>(paths: [&str; N]) -> Vec<PathBuf> {
        paths.into_iter().map(PathBuf::from).collect()
    }

    #[test]
    fn what_the_environment_names_comes_first() {
        let displays = Displays {
            runtime_dir: Some("/run/user/1000".into()),
            wayland: Some("wayland-1".to_owned()),
            x11_dir: Some("/tmp/.X11-unix".into()),
            x11: Some(":12.0".to_owned()),
        };
        let wayland = displays.wayland_sockets();
        assert_eq!(
            wayland[..3],
            paths(["/run/user/1000/wayland-1", "/run/user/1000/wayland-0", "/run/user/1000/wayland-2"])
        );
        assert_eq!(wayland.len(), 10);
        assert_eq!(displays.x11_sockets()[..2], paths(["/tmp/.X11-unix/X12", "/tmp/.X11-unix/X0"]));

        let whole = Displays { wayland: Some("/srv/wayland".to_owned()), ..displays.clone() };
        assert_eq!(whole.wayland_sockets()[0], Path::new("/srv/wayland"));
        let nowhere = Displays { runtime_dir: None, ..whole };
        assert_eq!(nowhere.wayland_sockets(), paths(["/srv/wayland"]));
        for x11 in ["unix:3", ":3"] {
            let displays = Displays { x11: Some(x11.to_owned()), ..displays.clone() };
            assert_eq!(displays.x11_sockets()[0], Path::new("/tmp/.X11-unix/X3"));
        }
    }

    #[test]
    fn a_socket_of_another_user_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("X0");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let sockets = [path.clone(), folder.path().join("X1")];
        assert_eq!(look(&sockets).1, std::slice::from_ref(&path));
        // Only root can change the owner.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            assert!(look(&sockets).1.is_empty());
        }
    }

    #[test]
    fn a_display_on_another_machine_or_an_invalid_one_is_ignored() {
        for x11 in ["localhost:10.0", "host/unix:0", "", ":", ":x", "/private/launchd", ":-1"] {
            let displays = Displays { x11: Some(x11.to_owned()), x11_dir: Some("/x".into()), ..Displays::default() };
            assert_eq!(displays.x11_sockets()[0], Path::new("/x/X0"), "{x11}");
        }
        assert!(Displays::default().x11_sockets().is_empty());
        assert!(Displays::default().wayland_sockets().is_empty());
    }
}
