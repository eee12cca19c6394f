//! The command line: one file a subcommand. The roof of the house: only here are arguments, the environment, the terminal
//! and exit codes known.

mod accounts;
mod browser;
mod context;
mod daemon_client;
mod environment;
mod error;
mod fast_clock;
#[cfg(test)]
mod help_style_tests;
mod logging;
mod moment;
mod runtime;
mod sign_in;
mod systemd;
mod terminal;

mod agenda;
mod check;
mod completions;
mod demo;
mod doctor;
mod emulator;
mod history;
mod init;
mod login;
mod logout;
mod logs;
mod man;
mod reload;
mod run;
mod service;
mod set;
mod signal;
mod status;
mod unset;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, examples};

/// Keeps your Microsoft Teams presence true from what this machine knows: calendar files, the screen lock, calls.
#[derive(Debug, Parser)]
#[command(
    name = "presenced",
    version,
    max_term_width = 80,
    arg_required_else_help = true,
    after_help = examples!(
        "presenced demo                    See it at work; nothing to sign up for"
        "presenced init                    Set it up: answer three questions"
        "presenced run                     Keep the presence"
        "presenced status --watch          What is claimed, and why"
        "presenced set call --for 30m      In a call for half an hour";
        "Exit codes: 0 well; 1 failed or degraded; 2 usage or configuration; 3 not running; 4 sign-in needed."
    )
)]
pub struct Cli {
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "The configuration [default: $PRESENCED_CONFIG, else config.toml in ~/.config/presenced]",
        help_heading = "Global options"
    )]
    config: Option<std::path::PathBuf>,

    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help = "The status socket [default: $XDG_RUNTIME_DIR/presenced/presenced.sock]",
        help_heading = "Global options"
    )]
    socket: Option<std::path::PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set it up: the configuration, the sign-in, the service
    Init(init::Args),
    /// Keep the presence: the daemon
    Run(run::Args),
    /// Show what the daemon does, and why
    Status(status::Args),
    /// Show what was claimed lately, why, and when it was not confirmed
    History(history::Args),
    /// Show the daemon's log
    Logs(logs::Args),
    /// Choose a presence by hand; it beats every rule
    Set(set::Args),
    /// Go back to the rules after `set`
    Unset(unset::Args),
    /// Tell the daemon a signal of your own
    Signal(signal::Args),
    /// Make the daemon read its configuration again
    Reload(reload::Args),
    /// Show what is in the calendar, and what comes of it
    Agenda(agenda::Args),
    /// Check the configuration
    Check(check::Args),
    /// Check everything else as well, and say what mends it
    Doctor(doctor::Args),
    /// Sign in
    Login(login::Args),
    /// Forget a sign-in
    Logout(logout::Args),
    /// Run as a service of your systemd
    Service(service::Args),
    /// Serve a Microsoft Graph of your own on loopback
    Emulator(emulator::Args),
    /// See presenced at work on a sample day; nothing to sign up for
    Demo(demo::Args),
    /// Print a shell's completions
    Completions(completions::Args),
    /// Print the manual page, or write all of them
    Man(man::Args),
}

/// Keeps tokens and secrets out of core dumps, and out of reach of other programs of the same user: a debugger cannot attach,
/// and `/proc/PID/mem` and `environ` belong to root. Programs that this one starts are not like that.
fn keep_memory_private() {
    // Only a sandbox refuses it, and then the program is no worse off than others.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    keep_memory_private();
    let cli = Cli::parse();
    let environment = environment::read();
    let config = cli
        .config
        .or_else(|| environment.var("PRESENCED_CONFIG").map(Into::into))
        .unwrap_or_else(|| environment.config_dir.join("config.toml"));
    let context = Context {
        socket: cli.socket.or_else(|| environment.socket()),
        environment: environment::hiding_secrets_in(&config, environment),
        config,
    };
    let ended = match cli.command {
        Command::Init(args) => init::run(args, &context),
        Command::Run(args) => run::run(args, &context),
        Command::Status(args) => status::run(args, &context),
        Command::History(args) => history::run(args, &context),
        Command::Logs(args) => logs::run(args, &context),
        Command::Set(args) => set::run(args, &context),
        Command::Unset(args) => unset::run(args, &context),
        Command::Signal(args) => signal::run(args, &context),
        Command::Reload(args) => reload::run(args, &context),
        Command::Agenda(args) => agenda::run(args, &context),
        Command::Check(args) => check::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::Login(args) => login::run(args, &context),
        Command::Logout(args) => logout::run(args, &context),
        Command::Service(args) => service::run(args, &context),
        Command::Emulator(args) => emulator::run(args, &context),
        Command::Demo(args) => demo::run(args, &context),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print();
            error.exit.into()
        }
    }
}
