//! A real terminal, which `script` of util-linux makes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program on a terminal of 80 columns and 24 rows.
pub(crate) struct Terminal {
    child: Child,
    shown: Vec<u8>,
}

impl Terminal {
    /// Runs presenced with `args` on `socket`.
    pub(crate) fn run(args: &str, socket: &Path, variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_presenced");
        let line = format!("stty cols 80 rows 24; exec {program} {args} --socket {}", socket.display());
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC")
            .env("HOME", "/nonexistent")
            .env("TERM", "xterm");
        command.env("SHELL", "/bin/sh").envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().expect("`script` is of the package bsdutils (util-linux)");
        Self { child, shown: Vec::new() }
    }

    /// Waits until this was shown, and gives all that was shown so far.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut some = [0; 4096];
        loop {
            let shown = String::from_utf8_lossy(&self.shown).into_owned();
            if shown.contains(text) {
                return shown;
            }
            let read = self.child.stdout.as_mut().unwrap().read(&mut some).unwrap();
            assert!(read > 0, "it ended without {text:?}: {shown:?}");
            self.shown.extend_from_slice(&some[..read]);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The terminal goes with it, which ends what runs there.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
