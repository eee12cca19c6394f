//! A part of the terminal that is redrawn in place, without clearing the rest of the screen.

use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
use rustix::termios::tcgetwinsize;

use crate::cli::environment::terminal_is_dumb;

/// The width without a terminal, in columns.
const DEFAULT_WIDTH: usize = 80;

/// The maximum width, in columns: longer lines are hard to read.
const MAX_WIDTH: usize = 100;

/// How wide to draw on standard output, in columns.
pub(in crate::cli) fn width() -> usize {
    size().map_or(DEFAULT_WIDTH, |(columns, _)| columns.min(MAX_WIDTH))
}

/// The terminal's columns and rows; `None` if standard output is not a terminal, or its size is unknown.
fn size() -> Option<(usize, usize)> {
    let stdout = std::io::stdout();
    let size = stdout.is_terminal().then(|| tcgetwinsize(&stdout).ok())??;
    (size.ws_col > 0 && size.ws_row > 1).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// The part that is redrawn.
#[derive(Debug, Default)]
pub(in crate::cli) struct Screen {
    /// The number of lines drawn, and the size of the terminal at that time.
    drawn: Option<(usize, (usize, usize))>,
    /// Whether to use colours.
    coloured: bool,
}

impl Screen {
    /// A screen, if standard output is a terminal that can move the cursor.
    pub(in crate::cli) fn new() -> Option<Self> {
        let coloured = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        size().filter(|_| !terminal_is_dumb()).map(|_| Self { drawn: None, coloured })
    }

    /// Returns the output that replaces the last drawing with `text`. The lines must fit the terminal's width; lines beyond its
    /// height are left out. It also draws in place without colours.
    pub(in crate::cli) fn draw(&mut self, text: &str) -> String {
        let size = size().unwrap_or((DEFAULT_WIDTH, 24));
        if self.coloured {
            self.draw_in(text, size)
        } else {
            self.draw_in(&anstream::adapter::strip_str(text).to_string(), size)
        }
    }

    fn draw_in(&mut self, text: &str, size: (usize, usize)) -> String {
        let back = match self.drawn {
            // A resized terminal has wrapped the lines again, so their positions are unknown.
            Some((_, then)) if then != size => "\x1b[H\x1b[2J".to_owned(),
            None | Some((0, _)) => String::new(),
            Some((lines, _)) => format!("\x1b[{lines}A"),
        };
        // The cursor stays on the line below the text.
        let lines: Vec<&str> = text.lines().take(size.1 - 1).collect();
        self.drawn = Some((lines.len(), size));
        // Each line clears what it does not overwrite, so that nothing flickers; the last clears what is below.
        let mut drawing = back + "\r";
        for line in lines {
            drawing += line;
            drawing += "\x1b[K\n";
        }
        drawing + "\x1b[J"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drawing_replaces_the_last() {
        let mut screen = Screen::default();
        assert_eq!(screen.draw_in("a\nb\n", (80, 24)), "\ra\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(screen.draw_in("c\n", (80, 24)), "\x1b[2A\rc\x1b[K\n\x1b[J");
        assert_eq!(screen.draw_in("d\n", (80, 24)), "\x1b[1A\rd\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_short_terminal_shows_the_first_lines() {
        let mut screen = Screen::default();
        assert_eq!(screen.draw_in("a\nb\nc\nd\n", (80, 3)), "\ra\x1b[K\nb\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_resized_terminal_is_cleared() {
        let mut screen = Screen::default();
        screen.draw_in("a\n", (80, 24));
        assert!(screen.draw_in("a\n", (60, 24)).starts_with("\x1b[H\x1b[2J"));
    }
}
