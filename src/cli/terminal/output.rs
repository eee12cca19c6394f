//! Standard output, which may close before the program ends: `presenced status | head -1` closes the pipe, and that is not an
//! error; a full disk is. Also prints warnings, on standard error.

use std::io::{ErrorKind, Write};

use crate::cli::error::{Error, Exit};
use crate::sanitize::printable_lines;

/// Prints text, without its styles if the output does not support them. Returns `false` if the reader has closed the output:
/// then there is no point in printing more.
pub(in crate::cli) fn print(text: &str) -> Result<bool, Error> {
    write(anstream::stdout().lock(), text)
}

/// Prints what a [`super::screen::Screen`] draws. It keeps the cursor movements even if styles are off.
pub(in crate::cli) fn print_drawing(drawing: &str) -> Result<bool, Error> {
    write(std::io::stdout().lock(), drawing)
}

/// Prints a warning on standard error.
pub(in crate::cli) fn warn(text: &str) {
    let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
    // If standard error is closed, no one can read the warning.
    let _ = writeln!(anstream::stderr(), "{yellow}warning:{yellow:#} {}", printable_lines(text));
}

fn write(mut stdout: impl Write, text: &str) -> Result<bool, Error> {
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::new(Exit::Failed, format!("cannot write to standard output: {error}"))),
    }
}
