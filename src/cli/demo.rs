//! `presenced demo`.

use super::{Context, Error, Exit};

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(_args: Args, _context: &Context) -> Result<Exit, Error> {
    Err(Error::new(Exit::Failed, "not built yet"))
}
