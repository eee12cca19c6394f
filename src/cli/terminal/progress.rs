//! The progress line: for anything that takes longer than half a second, a line on standard error that disappears when the work
//! is done. It needs a terminal: scripts do not get it.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::termios::tcgetwinsize;

use super::text::{columns, cut_end};
use crate::cli::environment::terminal_is_dumb;

/// The delay before it appears. For faster work it would only flicker.
const SHOW_DELAY: Duration = Duration::from_millis(500);

/// How often it is redrawn, with the seconds that have passed.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

/// The line, which disappears when this is dropped.
pub(in crate::cli) struct Progress {
    thread: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Progress {
    /// Shows that `what`, a short clause, is in progress, if standard error is a terminal. It uses another thread, because the
    /// work may block this one.
    pub(in crate::cli) fn new(what: &str) -> Self {
        let what = what.to_owned();
        let is_seen = std::io::stderr().is_terminal() && !terminal_is_dumb();
        // Without a thread, the work is still done.
        Self { thread: is_seen.then(|| show(draw, what).ok()).flatten() }
    }

    /// Changes what is in progress.
    pub(in crate::cli) fn change(&self, what: String) {
        if let Some((changes, _)) = &self.thread {
            // The thread lives until the sender is dropped.
            let _ = changes.send(what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((changes, thread)) = self.thread.take() {
            drop(changes);
            // The thread cannot fail.
            let _ = thread.join();
        }
    }
}

#[expect(clippy::disallowed_types, reason = "the user waits in real time")]
fn show(
    mut draw: impl FnMut(&str, &str) + Send + 'static,
    mut what: String,
) -> io::Result<(Sender<String>, JoinHandle<()>)> {
    let (changes, received) = mpsc::channel();
    let begun = std::time::Instant::now();
    let thread = thread::Builder::new().spawn(move || {
        let mut is_shown = false;
        loop {
            let passed = begun.elapsed();
            let next = if is_shown { Duration::from_secs(passed.as_secs()) + REDRAW_INTERVAL } else { SHOW_DELAY };
            match received.recv_timeout(next.saturating_sub(passed)) {
                Ok(change) => {
                    what = change;
                    if !is_shown {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => is_shown = true,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let seconds = match begun.elapsed().as_secs() {
                0 => String::new(),
                seconds => format!(" {seconds} s"),
            };
            draw(&what, &format!(" …{seconds}"));
        }
        if is_shown {
            draw("", "");
        }
    })?;
    Ok((changes, thread))
}

/// Draws the line over the last one. It is cut to the terminal's width, because a wrapped line could not be cleared.
fn draw(what: &str, end: &str) {
    let width = tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    let width = if width == 0 { 80 } else { width };
    let what = cut_end(what, (width - 1).saturating_sub(columns(end)));
    let mut stderr = std::io::stderr().lock();
    // If standard error is closed, no one can see the line.
    let _ = write!(stderr, "\r{what}{end}\x1b[K").and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_is_shown_and_cleared() {
        let (drawn, seen) = mpsc::channel();
        let shown = show(move |what, end| drop(drawn.send(format!("{what}{end}"))), "Reading".to_owned());
        let (changes, thread) = shown.unwrap();
        assert_eq!(seen.recv().unwrap(), "Reading …");
        assert_eq!(seen.recv().unwrap(), "Reading … 1 s");
        changes.send("Writing".to_owned()).unwrap();
        assert!(seen.iter().any(|line| line.starts_with("Writing … ")));
        drop(changes);
        thread.join().unwrap();
        assert_eq!(seen.try_iter().last().as_deref(), Some(""));
    }

    #[test]
    fn finished_work_shows_nothing_more() {
        let (drawn, seen) = mpsc::channel();
        let shown = show(move |what, end| drop(drawn.send(format!("{what}{end}"))), "Reading".to_owned());
        let (changes, thread) = shown.unwrap();
        drop(changes);
        thread.join().unwrap();
        assert!(seen.iter().all(|line| line != "Reading … 1 s"));
    }
}
