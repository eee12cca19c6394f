//! `presenced service`: installs, shows and removes presenced as a systemd user service.
//!
//! [`unit`] has the text of the units, [`paths`] finds their folders and the program, and each verb has a file. Leaves to others:
//! how to run systemctl ([`super::systemd`]).

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
    "presenced service install         Run now and at each login"
    "presenced service status          Show the service's state"
    "presenced service uninstall       Stop and remove the service";
    "For the log: journalctl --user -u presenced"
))]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Run presenced as a systemd service, now and at each login
    Install(InstallArgs),
    /// Stop the service, and remove what `install` wrote
    Uninstall(UninstallArgs),
    /// Show the service's state
    Status(StatusArgs),
}

/// The arguments of `service install`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced service install"
    "presenced --config FILE service install      With this configuration"
    "presenced service install --socket-activation";
    "It writes presenced.service into ~/.config/systemd/user for this program, or enables the unit of the package that this \
     program is from. Put your own settings into a drop-in: systemctl --user edit presenced";
    "Exit codes: 0 running; 1 failed or degraded; 2 configuration; 4 sign-in needed."
))]
struct InstallArgs {
    /// Let systemd own the status socket, and start presenced when it is used
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
    "Exit codes: 0 running; 1 degraded; 3 not running; 4 sign-in needed."
))]
struct StatusArgs {}

/// Runs the command.
pub(super) fn run(Args { verb }: Args, context: &Context) -> Result<Exit, Error> {
    match verb {
        Verb::Install(InstallArgs { socket_activation }) => install(socket_activation, context),
        Verb::Uninstall(UninstallArgs {}) => uninstall::uninstall(context),
        Verb::Status(StatusArgs {}) => status::show(context),
    }
}
