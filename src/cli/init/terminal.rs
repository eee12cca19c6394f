//! Questions to the user at the terminal. They are shown on standard error, answered with a line on standard input, and asked again
//! until the answer is valid.
//!
//! Ctrl-C simply ends the program, because nothing is half done during a question. The end of the input is an error if an answer is
//! needed, and a no to an offer.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::tcgetwinsize;

use crate::cli::error::{Error, Exit};
use crate::cli::terminal::text::{printable, wrap};

/// The longest answer. A terminal accepts no longer line anyway.
const MAX_ANSWER_BYTES: u64 = 4096;

/// The indentation of everything below the title of a question.
const INDENT: &str = "   ";

/// What is wrong with an answer, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidAnswer {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl InvalidAnswer {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    /// The error to end the program with.
    pub(super) fn error(self) -> Error {
        let error = Error::new(Exit::Usage, self.message);
        if let Some(hint) = self.hint { error.with_hint(hint) } else { error }
    }

    /// The same for the value of a flag.
    pub(super) fn of_flag(self, flag: &str) -> Error {
        Self { message: format!("`{flag}`: {}", self.message), ..self }.error()
    }
}

/// A user who can be asked.
#[derive(Debug)]
pub(super) struct Terminal {
    /// In columns.
    width: usize,
}

impl Terminal {
    /// `None` if no user can be asked: standard input and standard error must both be terminals.
    pub(super) fn new() -> Option<Self> {
        let stderr = io::stderr();
        if !io::stdin().is_terminal() || !stderr.is_terminal() {
            return None;
        }
        let columns = tcgetwinsize(&stderr).map_or(0, |size| usize::from(size.ws_col));
        Some(Self { width: if columns == 0 { 80 } else { columns.clamp(20, 80) } })
    }

    /// The width of a line below a question's title.
    pub(super) fn width(&self) -> usize {
        self.width - INDENT.len()
    }

    /// Prints a text, wrapped to the terminal.
    pub(super) fn say(&self, text: &str) {
        show(&(wrap(text, self.width).join("\n") + "\n"));
    }

    /// Prints the title of a question and its explanation.
    pub(super) fn title(&self, title: &str, explanation: &str) {
        let bold = anstyle::Style::new().bold();
        show(&format!("\n{bold}{title}{bold:#}\n"));
        self.explain(explanation);
    }

    /// Prints a text below a question's title.
    pub(super) fn explain(&self, text: &str) {
        for line in wrap(text, self.width()) {
            show(&format!("{INDENT}{line}\n"));
        }
    }

    /// Asks until `accept` accepts the answer.
    pub(super) fn ask<T>(
        &self,
        prompt: &str,
        mut accept: impl FnMut(&str) -> Result<T, InvalidAnswer>,
    ) -> Result<T, Error> {
        loop {
            show(&format!("{INDENT}{prompt}: "));
            let wrong = match answer() {
                Answer::Line(line) => match accept(line.trim()) {
                    Ok(value) => return Ok(value),
                    Err(wrong) => wrong,
                },
                Answer::TooLong => InvalidAnswer::new("that is too long", "write a shorter answer"),
                Answer::End => {
                    show("\n");
                    let hint = "run `presenced init` again; to answer with flags, see `presenced init --help`";
                    return Err(Error::new(
                        Exit::Failed,
                        "the input ended before the last answer; nothing was written",
                    )
                    .with_hint(hint));
                }
            };
            let red = anstyle::AnsiColor::Red.on_default().bold();
            let said = wrap(&format!("no: {}", wrong.message), self.width()).join(&format!("\n{INDENT}"));
            show(&format!("{INDENT}{red}no:{red:#}{}\n", said.trim_start_matches("no:")));
            if let Some(hint) = wrong.hint {
                self.explain(&format!("hint: {hint}"));
            }
        }
    }

    /// Offers something. An empty answer means yes.
    pub(super) fn offer(&self, offer: &str) -> bool {
        loop {
            show(&format!("\n{} ", wrap(&format!("{offer} [Y/n]"), self.width).join("\n")));
            let line = match answer() {
                Answer::Line(line) => line,
                Answer::TooLong => "?".to_owned(),
                Answer::End => {
                    show("\n");
                    return false;
                }
            };
            match line.trim().to_ascii_lowercase().as_str() {
                "" | "y" | "yes" => return true,
                "n" | "no" => return false,
                _ => show("Please answer `y` or `n`.\n"),
            }
        }
    }
}

/// Shows a text on standard error. If that fails, no user is there to see it.
fn show(text: &str) {
    let mut stderr = anstream::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

enum Answer {
    Line(String),
    TooLong,
    End,
}

/// The next line of standard input.
fn answer() -> Answer {
    let mut line = Vec::new();
    let mut stdin = io::stdin().lock();
    match stdin.by_ref().take(MAX_ANSWER_BYTES).read_until(b'\n', &mut line) {
        Ok(1..) if line.ends_with(b"\n") => Answer::Line(printable(String::from_utf8_lossy(&line).trim_end())),
        Ok(read) if read as u64 == MAX_ANSWER_BYTES => {
            // The rest of the line is not the next answer.
            let _ = stdin.skip_until(b'\n');
            Answer::TooLong
        }
        Ok(_) | Err(_) => Answer::End,
    }
}
