//! A sign that something is under way, for whatever takes longer than half a second: a line on standard error that is gone when it
//! is done. Only people get it: without a terminal there is none.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cli::environment::terminal_is_dumb;

/// After how long it shows. What is faster would only flicker.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it shows that it goes on.
const TICK: Duration = Duration::from_secs(1);

/// The line, as long as this lives.
pub(in crate::cli) struct Progress {
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Says `what` goes on, in one short clause, where standard error is a terminal. It is in a thread of its own, since what goes
    /// on may keep this one.
    pub(in crate::cli) fn new(what: &str) -> Self {
        let what = what.to_owned();
        let is_seen = std::io::stderr().is_terminal() && !terminal_is_dumb();
        Self { thread: is_seen.then(|| show(draw, what)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            // It has nothing to fail at.
            let _ = thread.join();
        }
    }
}

fn show(mut draw: impl FnMut(&str) + Send + 'static, what: String) -> (Sender<()>, JoinHandle<()>) {
    let (end, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut passed = PATIENCE;
        if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        loop {
            let seconds = match passed.as_secs() {
                0 => String::new(),
                seconds => format!(" {seconds} s"),
            };
            draw(&format!("\r{what} …{seconds}\x1b[K"));
            if ended.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
                return draw("\r\x1b[K");
            }
            passed += TICK;
        }
    });
    (end, thread)
}

fn draw(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // Where standard error has gone, nobody waits for a sign.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn it_shows_what_takes_long_and_clears_it() {
        let (drawn, seen) = mpsc::channel();
        let (end, thread) = show(move |text| drop(drawn.send(text.to_owned())), "Reading".to_owned());
        assert_eq!(seen.recv().unwrap(), "\rReading …\x1b[K");
        assert_eq!(seen.recv().unwrap(), "\rReading … 1 s\x1b[K");
        drop(end);
        thread.join().unwrap();
        assert_eq!(seen.try_iter().last().as_deref(), Some("\r\x1b[K"));
    }

    #[test]
    fn what_is_quick_shows_nothing() {
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let (end, thread) = show(
            {
                let drawn = Arc::clone(&drawn);
                move |text| drawn.lock().unwrap().push(text.to_owned())
            },
            "Reading".to_owned(),
        );
        drop(end);
        thread.join().unwrap();
        assert!(drawn.lock().unwrap().iter().all(|text| text != "\rReading … 1 s\x1b[K"));
    }
}
