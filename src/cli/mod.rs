//! The command line: one file a subcommand. The roof of the house: only here are arguments, the environment, the terminal
//! and exit codes known.

mod environment;
mod error;
mod logging;
mod runtime;
mod screen;
mod times;

mod check;
mod completions;
mod demo;
mod emulator;
mod login;
mod logout;
mod man;
mod reload;
mod run;
mod set;
mod signal;
mod status;
mod unset;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Environment;
pub use error::{Error, Exit};

/// Keeps your Microsoft Teams presence true from what your Linux machine knows: calendar files, the screen lock, calls.
#[derive(Debug, Parser)]
#[command(name = "presenced", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// The configuration file [default: $`PRESENCED_CONFIG`, else ~/.config/presenced/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<std::path::PathBuf>,

    /// The status socket [default: $`XDG_RUNTIME_DIR/presenced/presenced.sock`]
    #[arg(long, global = true, value_name = "SOCKET")]
    socket: Option<std::path::PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep the presence: the daemon
    Run(run::Args),
    /// Show what the daemon does, and why
    Status(status::Args),
    /// Choose a presence by hand; it beats every rule
    Set(set::Args),
    /// Go back to the rules after `set`
    Unset(unset::Args),
    /// Tell the daemon a signal of your own
    Signal(signal::Args),
    /// Make the daemon read its configuration again
    Reload(reload::Args),
    /// Check the configuration
    Check(check::Args),
    /// Sign in
    Login(login::Args),
    /// Forget a sign-in
    Logout(logout::Args),
    /// Serve a Microsoft Graph of your own on loopback
    Emulator(emulator::Args),
    /// See presenced at work on a sample day; nothing to sign up for
    Demo(demo::Args),
    /// Print a shell's completions
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

/// What every subcommand gets besides its own arguments.
#[derive(Debug)]
struct Context {
    environment: Environment,
    /// `--config`, already resolved against `$PRESENCED_CONFIG` and the default.
    config: std::path::PathBuf,
    /// `--socket`, already resolved against the default; `None` outside of a login session.
    socket: Option<std::path::PathBuf>,
}

impl Context {
    /// The status socket, for a command that cannot do without.
    fn require_socket(&self) -> Result<&std::path::Path, Error> {
        self.socket.as_deref().ok_or_else(|| {
            Error::new(Exit::Failed, "there is no $XDG_RUNTIME_DIR for the status socket")
                .with_hint("say where it is with `--socket`, or start presenced from a login session")
        })
    }
}

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = environment::read();
    let context = Context {
        config: cli
            .config
            .or_else(|| environment.var("PRESENCED_CONFIG").map(Into::into))
            .unwrap_or_else(|| environment.config_dir.join("config.toml")),
        socket: cli.socket.or_else(|| environment.socket()),
        environment,
    };
    let ended = match cli.command {
        Command::Run(args) => run::run(args, &context),
        Command::Status(args) => status::run(args, &context),
        Command::Set(args) => set::run(args, &context),
        Command::Unset(args) => unset::run(args, &context),
        Command::Signal(args) => signal::run(args, &context),
        Command::Reload(args) => reload::run(args, &context),
        Command::Check(args) => check::run(args, &context),
        Command::Login(args) => login::run(args, &context),
        Command::Logout(args) => logout::run(args, &context),
        Command::Emulator(args) => emulator::run(args, &context),
        Command::Demo(args) => demo::run(args, &context),
        Command::Completions(args) => completions::run(args, &context),
        Command::Man(args) => man::run(args, &context),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print();
            error.exit.into()
        }
    }
}
