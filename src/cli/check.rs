//! `presenced check`.

use super::{Context, Error, Exit};

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(_args: Args, _context: &Context) -> Result<Exit, Error> {
    Err(Error::new(Exit::Failed, "not built yet"))
}

/// (until the next merge)
pub(super) fn refused(problems: &crate::config::Problems) -> Error {
    Error::new(Exit::Usage, problems.render(80, true))
}
