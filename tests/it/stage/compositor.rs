//! A real Wayland compositor without a screen: `KWin`, which tells of idleness by version 1 of `ext-idle-notify-v1`, or Weston or
//! sway 1.7, which do not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use presenced::signals::Displays;

use super::bus::NOWHERE;

/// A folder for a compositor's socket, and the compositor. Dropped, it ends.
pub(crate) struct Compositor {
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Compositor {
    /// None yet.
    pub(crate) fn reserve() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), process: None }
    }

    /// `$XDG_RUNTIME_DIR`, in which its socket is, or will be.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its socket is, or will be.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("wayland-0")
    }

    /// Where presenced looks for it.
    pub(crate) fn displays(&self) -> Displays {
        Displays { runtime_dir: Some(self.folder.path().to_owned()), ..Displays::default() }
    }

    /// Starts `KWin` without a screen.
    pub(crate) fn start_kwin(&mut self) {
        // A copy, because the program has a capability that not every user may use. It must keep this name, which it checks.
        let kwin = self.folder.path().join("bin/kwin_wayland");
        std::fs::create_dir_all(kwin.parent().unwrap()).unwrap();
        std::fs::copy("/usr/bin/kwin_wayland", &kwin)
            .expect("this test needs `kwin_wayland`: install the Debian package `kwin-wayland`");
        self.start(
            Command::new(kwin)
                .args(["--virtual", "--no-lockscreen", "--no-global-shortcuts", "--no-kactivities"])
                .args(["--width", "640", "--height", "480", "--socket", "wayland-0"])
                // So that the test may move its mouse.
                .env("KWIN_WAYLAND_NO_PERMISSION_CHECKS", "1"),
        );
    }

    /// Starts Weston without a screen.
    pub(crate) fn start_weston(&mut self) {
        self.start(Command::new("weston").args(["--no-config", "--backend=headless-backend.so", "--socket=wayland-0"]));
    }

    /// Starts sway without a screen. It names its socket `wayland-1`.
    pub(crate) fn start_sway(&mut self) {
        self.start_sway_with("");
    }

    /// The same with a configuration.
    pub(crate) fn start_sway_with(&mut self, config: &str) {
        let path = self.folder.path().join("sway.conf");
        std::fs::write(&path, format!("xwayland disable\n{config}")).unwrap();
        // It refuses to run as root, so it gets a user namespace in which it is somebody else.
        let mut sway = Command::new(if rustix::process::getuid().is_root() { "unshare" } else { "sway" });
        if rustix::process::getuid().is_root() {
            sway.args(["--user", "--map-user=65534", "sway"]);
        }
        self.start(
            sway.arg("--config")
                .arg(path)
                .env("WLR_BACKENDS", "headless")
                .env("WLR_LIBINPUT_NO_DEVICES", "1")
                .env("WLR_RENDERER", "pixman"),
        );
    }

    fn start(&mut self, compositor: &mut Command) {
        let program = compositor.get_program().to_owned();
        let child = compositor
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("HOME", self.folder.path())
            .env("DBUS_SESSION_BUS_ADDRESS", NOWHERE)
            .env("DBUS_SYSTEM_BUS_ADDRESS", NOWHERE)
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let install =
            |error| panic!("this test needs {}: install the Debian package of that name ({error})", program.display());
        self.process = Some(child.unwrap_or_else(install));
    }

    /// Kills the compositor, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Moves `KWin`'s mouse.
    pub(crate) fn moves_the_mouse(&self) {
        let mut wire = UnixStream::connect(self.socket()).unwrap();
        // wl_display.get_registry
        send(&mut wire, 1, 1, &[2]);
        let (name, version) = loop {
            let (object, opcode, body) = receive(&mut wire);
            let interface = "org_kde_kwin_fake_input";
            if (object, opcode) == (2, 0) && body[8..].starts_with(interface.as_bytes()) {
                break (word(&body, 0), word(&body, body.len() - 4));
            }
        };
        // wl_registry.bind, org_kde_kwin_fake_input.authenticate and .pointer_motion, wl_display.sync
        let bind = [&[name][..], &text("org_kde_kwin_fake_input"), &[version, 3]].concat();
        send(&mut wire, 2, 0, &bind);
        send(&mut wire, 3, 0, &[text("presenced"), text("a test")].concat());
        send(&mut wire, 3, 1, &[10 << 8, 10 << 8]);
        send(&mut wire, 1, 0, &[4]);
        while receive(&mut wire).0 != 4 {}
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a request: to which object, which one, and its arguments in words.
fn send(wire: &mut UnixStream, object: u32, opcode: u32, arguments: &[u32]) {
    let length = u32::try_from(8 + arguments.len() * 4).unwrap();
    let words = [&[object, length << 16 | opcode], arguments].concat();
    wire.write_all(&words.into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<_>>()).unwrap();
}

/// The next event: of which object, which one, and its arguments.
fn receive(wire: &mut UnixStream) -> (u32, u32, Vec<u8>) {
    let mut head = [0; 8];
    wire.read_exact(&mut head).unwrap();
    let (length, opcode) = (word(&head, 4) >> 16, word(&head, 4) & 0xffff);
    let mut body = vec![0; usize::try_from(length).unwrap() - 8];
    wire.read_exact(&mut body).unwrap();
    (word(&head, 0), opcode, body)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A text as an argument: its length with the NUL behind it, then itself, to whole words.
fn text(text: &str) -> Vec<u32> {
    let mut bytes = [text.as_bytes(), b"\0"].concat();
    let length = u32::try_from(bytes.len()).unwrap();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    std::iter::once(length).chain((0..bytes.len() / 4).map(|at| word(&bytes, at * 4))).collect()
}
