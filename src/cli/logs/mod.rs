//! `presenced logs`: shows the daemon's log, either from the journal of its unit or from the rolling files in `[log] dir`.
//!
//! Leaves to others: writing it (`logging`), and reading the files (`files`).

mod files;

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::moment::{Since, since};
use super::runtime::block_on;
use super::terminal::output::warn;
use crate::config::{self, Environment};
use crate::program;

/// How many lines are shown by default.
const DEFAULT_LINES: usize = 100;

/// The arguments of `logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced logs                       The last 100 lines"
    "presenced logs -f                    The same, then follow the log"
    "presenced logs --since 09:00         Everything since 9 o'clock today"
    "presenced logs --unit presenced@bot --system";
    "The log is in files if [log] names a folder, otherwise in the journal. A daemon that was started by hand writes it to its \
     standard error."
))]
pub(super) struct Args {
    /// Follow the log until Ctrl-C
    #[arg(long, short)]
    follow: bool,

    /// Show only the last N lines [default: 100, with --since all]
    #[arg(long, short = 'n', value_name = "N")]
    lines: Option<usize>,

    /// Since when: how long ago, a time of today, a date, or a time of a date
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,

    /// The folder of the log files, if `presenced run` has --log-dir
    #[arg(long, value_name = "DIR", conflicts_with_all = ["unit", "system"])]
    log_dir: Option<PathBuf>,

    /// The unit whose journal is shown
    #[arg(long, value_name = "NAME", default_value = "presenced")]
    unit: String,

    /// Show a system unit, not a user unit
    #[arg(long)]
    system: bool,
}

/// Which lines to show, from files or from the journal.
struct Selection {
    follow: bool,
    /// Only the last lines. `None` means all.
    lines: Option<usize>,
    since: Option<Timestamp>,
}

/// Runs the command.
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let since = args.since.map(|since| since.instant(Context::now(), &TimeZone::system()));
    let lines = args.lines.or(since.is_none().then_some(DEFAULT_LINES));
    let wanted = Selection { follow: args.follow, lines, since };
    let for_a_unit = args.system || args.unit != "presenced";
    match args.log_dir.or_else(|| configured(context).filter(|_| !for_a_unit)) {
        Some(dir) => block_on(files::show(&dir, &wanted))?,
        None => journal(&wanted, &args.unit, args.system, &context.environment),
    }
}

/// The folder that the configuration names, if the configuration is valid.
fn configured(context: &Context) -> Option<PathBuf> {
    if !context.config.exists() {
        return None;
    }
    let config = config::load(&context.config, &context.environment);
    if config.is_err() {
        let file = context.config.display();
        warn(&format!(
            "the configuration {file} is invalid, so this shows the journal; `presenced check` says what is wrong"
        ));
    }
    config.ok()?.log.dir
}

/// Replaces this process with `journalctl`.
fn journal(wanted: &Selection, unit: &str, system: bool, environment: &Environment) -> Result<Exit, Error> {
    let journalctl = || {
        let mut command = program::command("journalctl", environment);
        if !system {
            command.arg("--user");
        }
        command.arg(format!("--unit={unit}"));
        command
    };
    let neither = |text: String| {
        Error::new(Exit::Failed, text).with_hint(
            "a daemon that was started by hand logs to its standard error; to write files, set `dir` in [log] or use \
             `presenced run --log-dir`",
        )
    };
    let missing = |error: std::io::Error| {
        neither(if error.kind() == ErrorKind::NotFound {
            "there is no log to show: journalctl is not installed, and [log] names no folder".to_owned()
        } else {
            format!("journalctl cannot be run: {error}")
        })
    };
    if !wanted.follow {
        let last =
            journalctl().args(["--lines=1", "--quiet", "--output=cat", "--no-pager"]).stdin(Stdio::null()).output();
        let last = last.map_err(missing)?;
        if last.stdout.is_empty() {
            let whose = if system { "the system unit" } else { "your unit" };
            let why = String::from_utf8_lossy(&last.stderr);
            let why = why.trim().lines().next().map(|why| format!(" ({why})")).unwrap_or_default();
            return Err(neither(format!(
                "there is no log to show: the journal has no lines from {whose} {unit}{why}, and [log] names no folder"
            )));
        }
    }
    let mut command = journalctl();
    if let Some(lines) = wanted.lines {
        command.arg(format!("--lines={lines}"));
    }
    if let Some(since) = wanted.since {
        command.arg(format!("--since=@{}", since.as_second()));
    }
    if wanted.follow {
        command.arg("--follow");
    }
    Err(missing(command.exec()))
}
