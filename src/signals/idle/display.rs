//! Displays: where a Wayland compositor or an X server of this user may be, and waiting for one to come.
//!
//! A user service is often started before the desktop, so that its environment names no display, or that of a session
//! which has ended. So the usual places are looked at too, behind what the environment names. Leaves to others: what is
//! said over the connection (`wayland`, `x11`).

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

/// How long a display may take to take a connection, or to answer at first.
const ANSWER: Duration = Duration::from_secs(5);

/// As many displays of a kind are looked for beside the one that the environment names.
const NUMBERED: u32 = 10;

/// How often a socket is tried at which nobody answers. One that was just made may not be listened to yet; one that a crash
/// has left behind will never be.
const DEAD_TRIES: u32 = 3;

impl Displays {
    /// Where a compositor's socket may be, the likeliest first.
    #[cfg(feature = "wayland")]
    pub(super) fn wayland_sockets(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.runtime_dir else {
            return self.wayland.iter().map(PathBuf::from).filter(|path| path.is_absolute()).collect();
        };
        let named = self.wayland.iter().map(|name| folder.join(name));
        with_numbered(named, |number| folder.join(format!("wayland-{number}")))
    }

    /// Where an X server's socket may be, the likeliest first.
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
    for path in (0..NUMBERED).map(numbered) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Why a display is of no use.
#[derive(Debug)]
pub(super) enum Denied {
    /// It serves, and has not what is asked for.
    Unfit(String),
    /// It may serve later.
    Later(String),
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// What goes on on one display for as long as the connection to it lasts.
pub(super) trait Follow {
    type Open;

    /// Sees on a new connection whether the display can tell.
    async fn open(&mut self, stream: UnixStream, path: &Path) -> Result<Self::Open, Denied>;

    /// Follows one that can until it is gone; why, for people.
    async fn follow(&mut self, open: Self::Open) -> String;

    /// None that can is there. `denied`: what was wrong with the first of those that are.
    fn absent(&mut self, denied: Option<&Denied>);
}

/// Follows for ever the first display at `sockets` that can tell, and waits while there is none.
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
            // A display that is connected to says itself when it ends.
            drop(watch);
            (backoff, tries) = (Backoff::new(), 0);
            let why = follower.follow(open).await;
            tracing::debug!(why, "display");
            follower.absent(None);
            continue;
        }
        follower.absent(denied.as_ref());
        let again = later || dead && tries < DEAD_TRIES;
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

    /// Why.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Unfit(why) | Self::Later(why) => why,
        }
    }
}

/// Why an attempt failed.
enum Refusal {
    /// Nobody listens at the socket.
    Dead,
    /// The display is of no use; with the connection to one that has not what is asked for, since only by that its end is seen
    /// when a crash leaves its socket behind.
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

/// Connects to what is at `path`, and sees whether it can tell.
async fn attempt<F: Follow>(clock: &dyn Clock, follower: &mut F, path: &Path) -> Result<F::Open, Refusal> {
    let silent = |what| Refusal::Denied(Denied::Later(format!("no {what} within 5 s")), None);
    let connected = within(clock, ANSWER, UnixStream::connect(path)).await;
    let stream = connected.ok_or_else(|| silent("connection"))??.into_std()?;
    let other = UnixStream::from_std(stream.try_clone()?)?;
    let stream = UnixStream::from_std(stream)?;
    match within(clock, ANSWER, follower.open(stream, path)).await {
        Some(Ok(open)) => Ok(open),
        Some(Err(why @ Denied::Unfit(_))) => Err(Refusal::Denied(why, Some(other))),
        Some(Err(why @ Denied::Later(_))) => Err(Refusal::Denied(why, None)),
        None => Err(silent("answer")),
    }
}

/// Waits until one of these connections ends; what comes over them meanwhile says nothing.
async fn one_ends(connections: &mut [UnixStream]) {
    if connections.is_empty() {
        return std::future::pending().await;
    }
    let ends = connections.iter_mut().map(|connection| {
        Box::pin(async move { while connection.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} })
    });
    select_all(ends).await;
}

/// The sockets that are there, and what must be watched to see one come.
fn look(sockets: &[PathBuf]) -> (WatchSet, Vec<PathBuf>) {
    let mut watch_set = WatchSet::default();
    let is_there = |path: &&PathBuf| matches!(watch_set.resolve(path), Resolved::Special) && is_trusted(path);
    let found = sockets.iter().filter(is_there).cloned().collect();
    (watch_set, found)
}

/// Whether a socket is this user's or the system's. Everybody may make one where X servers have theirs, and nobody else is to
/// say whether this user is there, or to get a cookie.
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
    fn a_socket_of_another_user_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("X0");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let sockets = [path.clone(), folder.path().join("X1")];
        assert_eq!(look(&sockets).1, std::slice::from_ref(&path));
        // Only root can give one away.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            assert!(look(&sockets).1.is_empty());
        }
    }

    #[test]
    fn a_display_on_another_machine_or_none_at_all_is_passed_over() {
        for x11 in ["localhost:10.0", "host/unix:0", "", ":", ":x", "/private/launchd", ":-1"] {
            let displays = Displays { x11: Some(x11.to_owned()), x11_dir: Some("/x".into()), ..Displays::default() };
            assert_eq!(displays.x11_sockets()[0], Path::new("/x/X0"), "{x11}");
        }
        assert!(Displays::default().x11_sockets().is_empty());
        assert!(Displays::default().wayland_sockets().is_empty());
    }
}
