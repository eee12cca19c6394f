//! `presenced completions`: prints a completion script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::context::examples;
use super::error::{Error, Exit};
use super::terminal::output::print;

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "source <(presenced completions bash)"
    "presenced completions fish > ~/.config/fish/completions/presenced.fish"
    "presenced completions zsh > ~/.zfunc/_presenced"
))]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Runs it.
pub(super) fn run(Args { shell }: Args) -> Result<Exit, Error> {
    // Write to memory first, because clap panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "presenced", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
