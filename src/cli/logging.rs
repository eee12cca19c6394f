//! Where the daemon's log goes: standard error, the journal, or rolling files.

use std::io::IsTerminal as _;
use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry, fmt};

use super::error::{Error, Exit};
use super::systemd::journal::{self, Journal};
use crate::config::{Environment, Log};

/// How many daily files are kept.
const MAX_LOG_FILES: usize = 14;

/// Starts logging as `log` says.
pub(super) fn start(log: &Log, environment: &Environment) -> Result<(), Error> {
    let level = log.level.as_deref().unwrap_or("info");
    let filter: Targets = level.parse().map_err(|error| {
        Error::new(Exit::Usage, format!("`{level}` is not a log level: {error}")).with_hint(
            "write error, warn, info, debug or trace, or a level for one module: `info,presenced::auth=debug`",
        )
    })?;
    if let Some(dir) = &log.dir {
        let files = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("presenced")
            .filename_suffix("log")
            .max_log_files(MAX_LOG_FILES)
            .build(dir)
            .map_err(|error| {
                Error::new(Exit::Failed, format!("cannot write logs to {}: {error}", dir.display()))
                    .with_hint("use `--log-dir` to choose a folder that you can write to")
            })?;
        // The event loop writes the lines itself: there are few, and a thread would cost more.
        install(fmt::layer().with_ansi(false).with_writer(files), filter);
    } else if let Some(journal) = journal(environment) {
        install(journal, filter);
    } else {
        let colour = std::io::stderr().is_terminal() && environment.var("NO_COLOR").is_none();
        install(fmt::layer().with_ansi(colour).with_writer(std::io::stderr), filter);
    }
    Ok(())
}

/// The journal, if standard error still leads there. `$JOURNAL_STREAM` names the file that it was at the start
/// (`systemd.exec(5)`); if the user has redirected it since, the log goes where the user sent it.
fn journal(environment: &Environment) -> Option<Journal> {
    let stream = environment.var("JOURNAL_STREAM")?;
    let stderr = rustix::fs::fstat(std::io::stderr()).ok()?;
    let is_it = stream == format!("{}:{}", stderr.st_dev, stderr.st_ino);
    is_it.then(|| Journal::at(Path::new(journal::SOCKET)).ok()).flatten()
}

fn install(layer: impl Layer<Registry> + Send + Sync, filter: Targets) {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    // This fails only if there is a logger already, which will do.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}
