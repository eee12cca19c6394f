//! `presenced run`: the daemon.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::fast_clock::{fast_clock, speed};
use super::logging;
use super::runtime::block_on;
use super::systemd::activation;
use crate::config::{self, Config};
use crate::daemon::clock::SystemClock;
use crate::daemon::{Daemon, Options};
use crate::history;
use crate::signals::Buses;
use crate::status::Listen;

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

    /// Run so many times as fast as time, against an emulator that does the same
    #[arg(long, value_name = "N", value_parser = speed)]
    speed: Option<f64>,

    /// When the fast clock began, for a daemon and an emulator that are to agree [default: now]
    #[arg(long, value_name = "TIME", requires = "speed")]
    since: Option<Timestamp>,
}

/// The daemon's clock: the machine's own, unless nobody but emulators is spoken to.
fn clock(
    speed: Option<f64>,
    since: Option<Timestamp>,
    config: &Config,
    context: &Context,
) -> Result<Arc<SystemClock>, Error> {
    let Some(speed) = speed else { return Ok(Arc::new(SystemClock::of(&context.environment))) };
    match config.accounts.iter().find(|(_, account)| !account.endpoints.are_loopback()) {
        None => Ok(fast_clock(speed, since)),
        Some((name, _)) => {
            let text = format!("`--speed` is for an emulator, and account `{name}` is not on one");
            Err(Error::new(Exit::Usage, text).with_hint("see `presenced emulator --help`, or leave `--speed` out"))
        }
    }
}

/// Runs it.
pub(super) fn run(Args { log_dir, speed, since }: Args, context: &Context) -> Result<Exit, Error> {
    // Before there is any other thread.
    let passed = activation::passed_socket()?;
    let config = context.load_config()?;
    let socket = match passed {
        Some(socket) => Listen::Passed(socket),
        None => Listen::At(context.require_socket()?.to_owned()),
    };
    let log = config::Log { dir: log_dir.or_else(|| config.log.dir.clone()), ..config.log.clone() };
    logging::start(&log, &context.environment)?;
    let clock = clock(speed, since, &config, context)?;
    // What a fast clock says of the day belongs to no history.
    let history = context.socket.as_ref().filter(|_| speed.is_none());
    let history = history.map(|socket| history::path(&context.environment.state_dir, socket));
    let history = history.transpose().map_err(|error| {
        Error::new(Exit::Failed, format!("the folder that `--socket` starts from is gone: {error}"))
    })?;
    let options = Options {
        environment: context.environment.clone().hiding_secrets_of(&config),
        config,
        config_file: Some(context.config.clone()),
        clock,
        socket,
        history,
        buses: Buses::default(),
    };
    block_on(async {
        let daemon = Daemon::new(options)?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        daemon.run(std::future::pending()).await
    })??;
    Ok(Exit::Ok)
}
