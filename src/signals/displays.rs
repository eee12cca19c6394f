//! Displays: where the sockets of this user's Wayland compositors and X servers may be, and which of them exist.
//!
//! A user service often starts before the desktop, so its environment names no display, or the display of a session that has
//! ended. Therefore the usual places are tried too, after what the environment names. Leaves to others: what a display can tell
//! (`idle`), and whose session it belongs to (`logind`).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Environment;
use crate::file_watch::resolve::{Resolved, WatchSet};

/// How many displays of a kind are tried besides the one that the environment names.
const MAX_NUMBERED_DISPLAYS: u32 = 10;

/// Where this user's displays may be.
#[derive(Clone, Debug, Default)]
pub struct Displays {
    /// `$XDG_RUNTIME_DIR`, the folder of Wayland sockets.
    pub runtime_dir: Option<PathBuf>,
    /// `$WAYLAND_DISPLAY`: the name of a socket in that folder, or a whole path.
    pub wayland: Option<String>,
    /// The folder that holds the sockets of X servers; `None`: there are none.
    pub x11_dir: Option<PathBuf>,
    /// `$DISPLAY`. A display on another machine says nothing about this one, and is ignored.
    pub x11: Option<String>,
}

impl Displays {
    /// As the environment names them.
    pub fn of(environment: &Environment) -> Self {
        Self {
            runtime_dir: environment.runtime_dir.clone(),
            wayland: environment.var("WAYLAND_DISPLAY"),
            x11_dir: Some(PathBuf::from("/tmp/.X11-unix")),
            x11: environment.var("DISPLAY"),
        }
    }

    /// Where a compositor's socket may be, the most likely first.
    pub(super) fn wayland_sockets(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.runtime_dir else {
            return self.wayland.iter().map(PathBuf::from).filter(|path| path.is_absolute()).collect();
        };
        let named = self.wayland.iter().map(|name| folder.join(name));
        with_numbered(named, |number| folder.join(format!("wayland-{number}")))
    }

    /// Where an X server's socket may be, the most likely first.
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

/// Those of the sockets that exist, and what must be watched to see one appear.
pub(super) fn existing(sockets: &[PathBuf]) -> (WatchSet, Vec<PathBuf>) {
    let mut watch_set = WatchSet::default();
    let exists = |path: &&PathBuf| matches!(watch_set.resolve(path), Resolved::Special) && is_trusted(path);
    let found = sockets.iter().filter(exists).cloned().collect();
    (watch_set, found)
}

/// Whether a socket belongs to this user or to the system. Any user can create one where X servers have theirs, but must not
/// say anything about this user, nor receive a cookie.
fn is_trusted(path: &Path) -> bool {
    let user = rustix::process::getuid().as_raw();
    path.metadata().is_ok_and(|metadata| [0, user].contains(&metadata.uid()))
}

#[cfg(test)]
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
        assert_eq!(existing(&sockets).1, std::slice::from_ref(&path));
        // Only root can change the owner.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            assert!(existing(&sockets).1.is_empty());
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
