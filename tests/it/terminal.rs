//! What people see on a real terminal: drawn in place, with and without colours, and a sign of what takes long. `script` of
//! util-linux makes the terminal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use presenced::status::report::State;
use tempfile::TempDir;

use crate::fake_daemon::{FakeDaemon, report};

/// A program on a terminal of 80 columns and 24 rows.
struct Terminal {
    child: Child,
    shown: Vec<u8>,
}

impl Terminal {
    fn run(args: &str, socket: &Path, variables: &[(&str, &str)]) -> Self {
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
    fn until(&mut self, text: &str) -> String {
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

/// Whether a colour or another style is in it: an escape sequence that ends with `m`.
fn is_styled(text: &str) -> bool {
    text.split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|char: char| char.is_ascii_digit() || char == ';').starts_with('m'))
}

fn start() -> (TempDir, FakeDaemon) {
    let folder = TempDir::new().unwrap();
    let daemon = FakeDaemon::start(folder.path(), report());
    (folder, daemon)
}

#[test]
fn a_watched_status_is_drawn_in_place_also_without_colours() {
    let (_folder, daemon) = start();
    for (variables, styled) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Holding);
        let mut terminal = Terminal::run("status --watch", &daemon.socket, variables);
        terminal.until("presenced 0.1.0, pid");
        daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Retrying);
        let shown = terminal.until("retrying; wants");
        // Up again by as many lines as were drawn.
        assert!(shown.contains("A\rwork") || shown.contains("A\r\u{1b}[1mwork"), "{shown:?}");
        assert_eq!(is_styled(&shown), styled, "{shown:?}");
    }
}

#[test]
fn a_dumb_terminal_gets_no_escapes() {
    let (_folder, daemon) = start();
    let mut terminal = Terminal::run("status --watch", &daemon.socket, &[("TERM", "dumb")]);
    assert!(!terminal.until("presenced 0.1.0, pid").contains('\u{1b}'));
}

#[test]
fn who_waits_sees_that_it_goes_on() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("presenced.sock");
    // It is there, and does not answer.
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut terminal = Terminal::run("status", &socket, &[]);
    terminal.until("\rWaiting for presenced to answer … 1 s\u{1b}[K");
    Terminal::run("doctor", &socket, &[]).until("\rLooking at daemon … 1 s\u{1b}[K");
    // A script that waits is told nothing.
    let mut child = Command::new(env!("CARGO_BIN_EXE_presenced"))
        .args(["status", "--socket"])
        .arg(&socket)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    terminal.until("… 2 s");
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0), "{output:?}");
}
