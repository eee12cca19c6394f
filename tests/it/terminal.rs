//! The output on a real terminal: drawn in place, with and without colours, and the progress line. `script` from util-linux
//! provides the terminal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use presenced::status::report::State;
use tempfile::TempDir;

use crate::stage::fake_daemon::{FakeDaemon, report};
use crate::stage::terminal::Terminal;

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
fn a_watched_status_is_drawn_in_place_with_and_without_colours() {
    let (_folder, daemon) = start();
    for (variables, styled) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Holding);
        let mut terminal = Terminal::run("status --watch", &daemon.socket, variables);
        terminal.until("presenced 0.1.0, pid");
        daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Retrying);
        let shown = terminal.until("retrying; wants");
        // The cursor moves up by the number of drawn lines.
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
fn a_long_wait_shows_its_progress() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("presenced.sock");
    // It exists, but does not answer.
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut terminal = Terminal::run("status", &socket, &[]);
    terminal.until("\rWaiting for presenced to answer … 1 s\u{1b}[K");
    Terminal::run("doctor", &socket, &[]).until("\rChecking daemon … 1 s\u{1b}[K");
    // A waiting script gets no output.
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
