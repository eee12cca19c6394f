//! Where the daemon's log goes: standard error, the journal, or daily files (`files`). Leaves to others: what is left out because
//! it repeats (`repeats`), and how fields become text (`log_line`).

mod files;
mod repeats;

use std::io::IsTerminal as _;
use std::path::Path;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry, fmt};

use super::error::{Error, Exit};
use super::log_line::clean_fields;
use super::systemd::journal::{self, Journal};
use crate::config::{Environment, Log};
use files::DailyFiles;
use repeats::LastWords;

/// Starts logging as `log` says. What it returns must live as long as the program logs.
pub(super) fn start(log: &Log, environment: &Environment) -> Result<LastWords, Error> {
    let level = log.level.as_deref().unwrap_or("info");
    let filter: Targets = level.parse().map_err(|error| {
        Error::new(Exit::Usage, format!("`{level}` is not a log level: {error}")).with_hint(
            "write error, warn, info, debug or trace, or a level for one module: `info,presenced::auth=debug`",
        )
    })?;
    if let Some(dir) = &log.dir {
        let files = DailyFiles::open(dir)?;
        // The event loop writes the lines itself: there are few, and a thread would cost more.
        let words = install(fmt::layer().fmt_fields(clean_fields()).with_ansi(false).with_writer(files), filter);
        if files::is_open_to_others(dir) {
            let dir = dir.display();
            tracing::warn!(
                "others may write to {dir}, and so replace log files: `[log]` should name a folder of its own"
            );
        }
        return Ok(words);
    }
    if let Some(journal) = journal(environment) {
        return Ok(install(journal, filter));
    }
    let colour = std::io::stderr().is_terminal() && environment.var("NO_COLOR").is_none();
    Ok(install(fmt::layer().fmt_fields(clean_fields()).with_ansi(colour).with_writer(std::io::stderr), filter))
}

/// The journal, if standard error still leads there. `$JOURNAL_STREAM` names the file that it was at the start
/// (`systemd.exec(5)`); if the user has redirected it since, the log goes where the user sent it.
fn journal(environment: &Environment) -> Option<Journal> {
    let stream = environment.var("JOURNAL_STREAM")?;
    let stderr = rustix::fs::fstat(std::io::stderr()).ok()?;
    let is_it = stream == format!("{}:{}", stderr.st_dev, stderr.st_ino);
    is_it.then(|| Journal::at(Path::new(journal::SOCKET)).ok()).flatten()
}

fn install(layer: impl Layer<Registry> + Send + Sync, filter: Targets) -> LastWords {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let (layer, last_words) = repeats::limited(layer);
    // This fails only if there is a logger already, which will do.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    last_words
}
