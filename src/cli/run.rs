//! `presenced run`: the daemon.

use std::path::PathBuf;
use std::sync::Arc;

use super::runtime::block_on;
use super::{Context, Error, Exit, check, examples, logging};
use crate::config::{self, Config};
use crate::daemon::clock::SystemClock;
use crate::daemon::{Daemon, Options, StartError};
use crate::signals::Buses;

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced run                         Keep the presence, log to standard error"
    "presenced run --log-dir ~/presenced   Log to a folder, a new file each day"
    "systemctl --user start presenced      The same as a service"
))]
pub(super) struct Args {
    /// Write the log to a new file each day in this folder instead
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let config = load(context)?;
    let log = config::Log { dir: args.log_dir.or_else(|| config.log.dir.clone()), ..config.log.clone() };
    logging::start(&log, &context.environment)?;
    let options = Options {
        config,
        config_file: Some(context.config.clone()),
        environment: context.environment.clone(),
        clock: Arc::new(SystemClock::of(&context.environment)),
        socket: context.require_socket()?.to_owned(),
        buses: Buses::default(),
    };
    block_on(async {
        let daemon = Daemon::new(options)?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        daemon.run(std::future::pending()).await
    })?
    .map_err(|error| start_error(&error))?;
    Ok(Exit::Ok)
}

/// Loads the configuration, or says all that is wrong with it.
pub(super) fn load(context: &Context) -> Result<Config, Error> {
    config::load(&context.config, &context.environment).map_err(|problems| check::refused(&problems))
}

/// Why the daemon could not start, and what mends it.
pub(super) fn start_error(error: &StartError) -> Error {
    let hint = match error {
        StartError::Socket(error) => Some(error.hint().to_owned()),
        StartError::Account { failure, .. } => failure.hint.clone(),
        StartError::System { .. } => None,
    };
    Error { exit: Exit::Failed, text: error.to_string(), hint }
}
