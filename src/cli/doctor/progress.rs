//! What is still being waited for, on a terminal, when that takes longer than a moment.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

use rustix::termios::tcgetwinsize;

use crate::cli::terminal::text::{columns, cut_end};

/// What is over sooner needs no word.
const MOMENT: Duration = Duration::from_millis(500);

/// How often the line is looked over.
const TICK: Duration = Duration::from_millis(250);

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Progress(RefCell<BTreeSet<&'static str>>);

impl Progress {
    /// Does `work`, which is called `name`.
    pub(super) async fn of<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        self.0.borrow_mut().insert(name);
        let outcome = work.await;
        self.0.borrow_mut().remove(name);
        outcome
    }

    /// Shows what is under way on standard error until `work` is done, where that is a terminal.
    pub(super) async fn show<T>(&self, work: impl Future<Output = T>) -> T {
        if !std::io::stderr().is_terminal() {
            return work.await;
        }
        let mut work = pin!(work);
        let mut drawn = 0;
        let mut wait = MOMENT;
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = pause(wait) => {}
            }
            wait = TICK;
            drawn = draw(&self.line(), drawn);
        };
        draw("", drawn);
        outcome
    }

    fn line(&self) -> String {
        let names: Vec<&str> = self.0.borrow().iter().copied().collect();
        format!("still looking at: {}", names.join(", "))
    }
}

#[expect(clippy::disallowed_methods, reason = "a person waits, in real time")]
async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}

/// Writes over what was drawn with blanks, as every terminal can; returns how many columns are drawn.
fn draw(line: &str, drawn: usize) -> usize {
    let width = tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    let width = if width == 0 { 80 } else { width };
    let line = cut_end(line, width - 1);
    let now = columns(&line);
    let rest = " ".repeat(drawn.saturating_sub(now));
    let end = if line.is_empty() { "\r" } else { "" };
    // Where standard error has gone, nobody waits.
    let _ = write!(std::io::stderr(), "\r{line}{rest}{end}");
    let _ = std::io::stderr().flush();
    now
}
