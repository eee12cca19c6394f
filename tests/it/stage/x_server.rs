//! A real X server without a screen: Xvfb, and input by xdotool.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

/// Where X servers have their sockets.
const FOLDER: &str = "/tmp/.X11-unix";

/// An X server, or only its number; dropped, it ends.
pub(crate) struct XServer {
    number: u32,
    server: Option<Child>,
}

impl XServer {
    /// A number that no other test uses.
    pub(crate) fn reserve() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = 1000 + std::process::id() % 3000 * 16 + NEXT.fetch_add(1, Ordering::Relaxed);
        std::fs::create_dir_all(FOLDER).unwrap();
        Self { number, server: None }
    }

    /// Starts it.
    pub(crate) fn start(&mut self, arguments: &[&str]) {
        let server = Command::new("Xvfb")
            .arg(self.display())
            // It writes a line when it is ready.
            .args(["-displayfd", "1", "-screen", "0", "64x64x24", "-nolisten", "tcp", "-noreset"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs `Xvfb`: install the Debian package `xvfb`");
        self.server = Some(server);
    }

    /// Waits until it serves.
    pub(crate) fn is_ready(&mut self) {
        let stdout = self.server.as_mut().unwrap().stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), self.number.to_string());
    }

    /// `$DISPLAY`.
    pub(crate) fn display(&self) -> String {
        format!(":{}", self.number)
    }

    /// A file of cookies with the one for it (Xau's format: numbers and lengths in two bytes, the most significant first).
    pub(crate) fn cookie(&self) -> Vec<u8> {
        const ANY_ADDRESS: u16 = 0xffff;
        let number = self.number.to_string();
        let mut file = ANY_ADDRESS.to_be_bytes().to_vec();
        for part in [b"", number.as_bytes(), b"MIT-MAGIC-COOKIE-1", b"0123456789abcdef"] {
            file.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
            file.extend(part);
        }
        file
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        Self::folder().join(format!("X{}", self.number))
    }

    /// The folder of its socket.
    pub(crate) fn folder() -> PathBuf {
        Path::new(FOLDER).to_owned()
    }

    /// Somebody moves the mouse.
    pub(crate) fn moves_the_mouse(&self) {
        let moved = Command::new("xdotool")
            .env("DISPLAY", self.display())
            .args(["mousemove_relative", "1", "1"])
            .status()
            .expect("this test needs `xdotool`: install the Debian package `xdotool`");
        assert!(moved.success());
    }

    /// Ends it, as a log-out does, or kills it, as a crash does.
    pub(crate) fn end(&mut self, signal: Signal) {
        if let Some(mut server) = self.server.take() {
            kill_process(Pid::from_child(&server), signal).unwrap();
            server.wait().unwrap();
        }
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}
