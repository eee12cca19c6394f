//! `presenced service`: presenced as a service of the person's own systemd: put there, looked at, taken away.
//!
//! [`unit`] has the text of the units, [`paths`] where they and the program are; each verb has a file. How systemd is spoken to
//! is in [`super::systemd`].

mod install;
mod paths;
mod status;
mod uninstall;
mod unit;

use super::context::{Context, examples};
use super::error::{Error, Exit};

pub(super) use install::install;
pub(super) use unit::SERVICE;

/// The arguments of `service`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "presenced service install         Run from now on, and at each login"
    "presenced service status          Whether it does"
    "presenced service uninstall       Not any more";
    "For the log: journalctl --user -u presenced"
))]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Have your systemd run presenced now and at each login
    Install(InstallArgs),
    /// Stop it, and take away what `install` put there
    Uninstall(UninstallArgs),
    /// Show what systemd knows of it, and what it holds
    Status(StatusArgs),
}

/// The arguments of `service install`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced service install"
    "presenced --config FILE service install      With this configuration"
    "presenced service install --socket-activation";
    "It writes presenced.service into ~/.config/systemd/user for this very program, or enables the one of the package that \
     this program is from. Settings of your own belong into a drop-in: systemctl --user edit presenced";
    "Exit codes: 0 it runs; 1 it does not, or is degraded; 2 configuration; 4 sign-in needed."
))]
struct InstallArgs {
    /// Have systemd hold the status socket, so that asking there starts it
    #[arg(long)]
    socket_activation: bool,
}

/// The arguments of `service uninstall`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced service uninstall       The configuration and the sign-in stay"
))]
struct UninstallArgs {}

/// The arguments of `service status`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced service status";
    "Exit codes: 0 it runs; 1 degraded; 3 not running; 4 sign-in needed."
))]
struct StatusArgs {}

/// Runs it.
pub(super) fn run(Args { verb }: Args, context: &Context) -> Result<Exit, Error> {
    match verb {
        Verb::Install(InstallArgs { socket_activation }) => install(socket_activation, context),
        Verb::Uninstall(UninstallArgs {}) => uninstall::uninstall(context),
        Verb::Status(StatusArgs {}) => status::show(context),
    }
}
