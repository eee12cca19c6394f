//! Standard output, which may end before the program does: `presenced status | head -1` closes the pipe, and that is no
//! error; a full disk is one. Also warnings, on standard error.

use std::io::{ErrorKind, Write};

use crate::cli::error::{Error, Exit};

/// Prints text as it is, without its styles where they do not belong. `false`: the reader has gone, and there is no use
/// in printing more.
pub(in crate::cli) fn print(text: &str) -> Result<bool, Error> {
    write(anstream::stdout().lock(), text)
}

/// Prints what a [`super::screen::Screen`] draws: the movements of the cursor stay where styles do not belong.
pub(in crate::cli) fn print_drawing(drawing: &str) -> Result<bool, Error> {
    write(std::io::stdout().lock(), drawing)
}

/// Prints a warning on standard error.
pub(in crate::cli) fn warn(text: &str) {
    let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
    // Where standard error has gone, nobody is to be warned.
    let _ = writeln!(anstream::stderr(), "{yellow}warning:{yellow:#} {text}");
}

fn write(mut stdout: impl Write, text: &str) -> Result<bool, Error> {
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::new(Exit::Failed, format!("cannot write to standard output: {error}"))),
    }
}
