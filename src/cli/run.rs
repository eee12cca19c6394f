//! `presenced run`: runs the daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::fast_clock::{fast_clock, speed};
use super::logging;
use super::runtime::serve;
use super::systemd::activation;
use crate::config::{self, Config};
use crate::daemon::clock::SystemClock;
use crate::daemon::{Daemon, Options, kept_path};
use crate::history;
use crate::signals::{Buses, FileWatcher};
use crate::status::Listen;

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced run                         Log to standard error"
    "presenced run --log-dir ~/presenced   Log to a folder, one file per day"
    "systemctl --user start presenced      Run it as a service"
))]
pub(super) struct Args {
    /// Write the log to this folder instead, one file per day
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,

    /// Run N times as fast as real time, against an emulator running at the same speed
    #[arg(long, value_name = "N", value_parser = speed)]
    speed: Option<f64>,

    /// Start time of the fast clock; use the same value for the emulator [default: now]
    #[arg(long, value_name = "TIME", requires = "speed")]
    since: Option<Timestamp>,
}

/// The daemon's clock: the machine's, or a fast one if every account uses an emulator.
fn clock(
    speed: Option<f64>,
    since: Option<Timestamp>,
    config: &Config,
    file_watcher: FileWatcher,
    context: &Context,
) -> Result<Arc<SystemClock>, Error> {
    let Some(speed) = speed else { return Ok(Arc::new(SystemClock::of(&context.environment, file_watcher))) };
    match config.accounts.iter().find(|(_, account)| !account.endpoints.are_loopback()) {
        None => Ok(fast_clock(speed, since)),
        Some((name, _)) => {
            let text = format!("`--speed` works only with an emulator, and account `{name}` does not use one");
            Err(Error::new(Exit::Usage, text).with_hint("see `presenced emulator --help`, or leave `--speed` out"))
        }
    }
}

/// Runs it.
pub(super) fn run(Args { log_dir, speed, since }: Args, context: &Context) -> Result<Exit, Error> {
    // Before any other thread starts.
    let passed = activation::passed_socket()?;
    let config = context.load_config()?;
    let socket = match passed {
        Some(socket) => Listen::Passed(socket),
        None => Listen::At(context.require_socket()?.to_owned()),
    };
    let log = config::Log { dir: log_dir.or_else(|| config.log.dir.clone()), ..config.log.clone() };
    let _last_words = logging::start(&log, &context.environment)?;
    let file_watcher = FileWatcher::new();
    let clock = clock(speed, since, &config, file_watcher.clone(), context)?;
    // Times of a fast clock do not belong in the files of the state folder.
    let state_file = |path: fn(&Path, &Path) -> std::io::Result<PathBuf>| {
        let socket = context.socket.as_ref().filter(|_| speed.is_none());
        let file = socket.map(|socket| path(&context.environment.state_dir, socket));
        file.transpose().map_err(|error| {
            Error::new(Exit::Failed, format!("`--socket` is relative to a folder that no longer exists: {error}"))
        })
    };
    let (history, kept) = (state_file(history::path)?, state_file(kept_path)?);
    let options = Options {
        environment: context.environment.clone().hiding_secrets_of(&config),
        config,
        config_file: Some(context.config.clone()),
        clock,
        socket,
        history,
        kept,
        buses: Buses::default(),
        file_watcher,
    };
    // A signal may be reading from a file system that does not answer. Stopping must not wait for that.
    serve(async {
        let daemon = Daemon::new(options)?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        daemon.run(std::future::pending()).await
    })??;
    Ok(Exit::Ok)
}
