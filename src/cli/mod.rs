//! The command line, with one module per subcommand. Only this layer knows about arguments, the environment, the terminal
//! and exit codes.

mod accounts;
mod browser;
mod context;
mod daemon_client;
mod environment;
mod error;
mod fast_clock;
#[cfg(test)]
mod help_style_tests;
mod log_line;
mod logging;
mod moment;
mod notes;
mod runtime;
mod sign_in;
mod systemd;
mod terminal;

mod agenda;
mod check;
mod completions;
#[cfg(feature = "emulator")]
mod demo;
mod doctor;
#[cfg(feature = "emulator")]
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
mod users;
mod whom;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, examples};

/// The first command to try is the demo, where there is one.
#[cfg(feature = "emulator")]
const EXAMPLES: &str = examples!(
    "presenced demo                    Watch it work; no account needed"
    "presenced init                    Set it up by answering three questions"
    "presenced run                     Run the daemon"
    "presenced status --watch          What is claimed, and why"
    "presenced set call --for 30m      Show as in a call for half an hour";
    "Exit codes: 0 success; 1 failed or degraded; 2 usage or configuration; 3 not running; 4 sign-in needed."
);
#[cfg(not(feature = "emulator"))]
const EXAMPLES: &str = examples!(
    "presenced check                   Check the configuration"
    "presenced run                     Run the daemon"
    "presenced status --watch          What is claimed, and why"
    "presenced set call --for 30m      Show as in a call for half an hour";
    "Exit codes: 0 success; 1 failed or degraded; 2 usage or configuration; 3 not running; 4 sign-in needed."
);

/// Keeps your Microsoft Teams presence accurate, based on your calendar files, screen lock and calls.
#[derive(Debug, Parser)]
#[command(
    name = "presenced",
    version,
    max_term_width = 80,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
pub struct Cli {
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "Configuration file [default: $PRESENCED_CONFIG, else ~/.config/presenced/config.toml]",
        help_heading = "Global options"
    )]
    config: Option<std::path::PathBuf>,

    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help = "Status socket [default: $XDG_RUNTIME_DIR/presenced/presenced.sock]",
        help_heading = "Global options"
    )]
    socket: Option<std::path::PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up the configuration, the sign-in and the service
    Init(init::Args),
    /// Run the daemon, which keeps your presence accurate
    Run(run::Args),
    /// Show what the daemon does, and why
    Status(status::Args),
    /// Show what was claimed, why, and when it was unconfirmed
    History(history::Args),
    /// Show the daemon's log
    Logs(logs::Args),
    /// Set a presence by hand; it overrides every rule
    Set(set::Args),
    /// Clear the presence set by hand, and follow the rules again
    Unset(unset::Args),
    /// Set a custom signal
    Signal(signal::Args),
    /// Show the users of accounts with many
    Users(users::Args),
    /// Make the daemon reload its configuration
    Reload(reload::Args),
    /// Show calendar events and the resulting presence
    Agenda(agenda::Args),
    /// Check the configuration
    Check(check::Args),
    /// Check the whole setup, and show how to fix problems
    Doctor(doctor::Args),
    /// Sign in
    Login(login::Args),
    /// Sign out of an account on this machine
    Logout(logout::Args),
    /// Run presenced as a systemd user service
    Service(service::Args),
    #[cfg(feature = "emulator")]
    /// Run a local Microsoft Graph emulator
    Emulator(emulator::Args),
    #[cfg(feature = "emulator")]
    /// Watch presenced work on a sample day; no account needed
    Demo(demo::Args),
    /// Print shell completions
    Completions(completions::Args),
    /// Print the manual page, or write all pages to a folder
    Man(man::Args),
}

/// Keeps tokens and secrets out of core dumps and away from other programs of the same user: a debugger cannot attach, and
/// `/proc/PID/mem` and `environ` belong to root. Programs that presenced starts do not inherit this.
fn keep_memory_private() {
    // Only a sandbox refuses this. The program then has the usual protection.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Runs the program and returns its exit code.
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
    let outcome = match cli.command {
        Command::Init(args) => init::run(args, &context),
        Command::Run(args) => run::run(args, &context),
        Command::Status(args) => status::run(args, &context),
        Command::History(args) => history::run(args, &context),
        Command::Logs(args) => logs::run(args, &context),
        Command::Set(args) => set::run(args, &context),
        Command::Unset(args) => unset::run(args, &context),
        Command::Signal(args) => signal::run(args, &context),
        Command::Users(args) => users::run(args, &context),
        Command::Reload(args) => reload::run(args, &context),
        Command::Agenda(args) => agenda::run(args, &context),
        Command::Check(args) => check::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::Login(args) => login::run(args, &context),
        Command::Logout(args) => logout::run(args, &context),
        Command::Service(args) => service::run(args, &context),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::run(args, &context),
        #[cfg(feature = "emulator")]
        Command::Demo(args) => demo::run(args, &context),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print();
            error.exit.into()
        }
    }
}
