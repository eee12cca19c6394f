//! `presenced doctor`: checks everything that presenced depends on, and says what is wrong and how to fix it.
//!
//! It changes nothing, and asks only the machine and the configured services. Independent checks run at the same time, each for
//! at most 10 seconds. If a daemon is running, it is asked for what it knows better.
//!
//! With `--json` it prints one object:
//!
//! ```json
//! {"version": 1, "presenced": "0.1.0", "verdict": "failed",
//!  "daemon": {"running": true, "version": "0.1.0", "pid": 4242},
//!  "checks": [{"group": "sign-in", "check": "permission", "subject": "work", "verdict": "failed",
//!              "found": "the token does not permit setting a presence", "details": [], "hint": "…"}]}
//! ```
//!
//! `verdict` is `ok`, `warning`, `failed` or `skipped`. The outer one is the worst of all checks. `group` and `check` are closed
//! sets that later versions may extend. `subject` is the account or the calendar, or null if the check is not about one of
//! several. `daemon.version` and `pid` are null if no daemon is running. `hint` is null if there is nothing to fix. Texts may
//! change in any version, and contain names, paths and addresses: use `--report` for what others will read.
//!
//! Leaves to others: each group of checks, how they are shown (`view`, `json`), and what others may see (`report`).

mod calendars;
mod check;
mod clock;
mod commands;
mod config_words;
mod configuration;
mod desktop;
mod json;
mod machine;
mod network;
mod redact;
mod redacted_config;
mod report;
mod service;
mod sign_in;
mod suspect;
mod text;
mod under_way;
mod unreported;
mod view;

use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::runtime::block_on;
use super::terminal::output::print;
use super::terminal::screen;
use crate::config::{self, Config, Environment, Problems};
use crate::daemon::clock::SystemClock;
use crate::signals::FileWatcher;
use crate::status::report::Report;
use crate::status::{Client, ClientError};
use crate::time::{Clock, Now};

use check::{Check, Verdict};
use text::Part;
use under_way::UnderWay;
use view::Marks;

/// How long each check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced doctor                       What is wrong, and how to fix it"
    "presenced doctor --report > report.md  A report for a public issue"
    "presenced doctor --json | jq .verdict  The verdict, for a script";
    "It changes nothing: it renews no token and writes no file. If the daemon is not running or the configuration is invalid, it \
     checks what it can.";
    "--report replaces names, addresses, ids, paths and hosts by placeholders like [path 1] or [account 1]. Still, read the report \
     before you paste it.";
    "Exit codes: 0 nothing failed, but there may be warnings; 1 a check failed; 4 you must sign in."
))]
pub(super) struct Args {
    /// Print it as JSON
    #[arg(long, conflicts_with = "report")]
    json: bool,

    /// Print a redacted Markdown report for a public issue
    #[arg(long)]
    report: bool,
}

/// What the checks look at.
struct Scene<'a> {
    context: &'a Context,
    config: Result<Config, Problems>,
    /// It hides the configured secrets from the programs that are started.
    environment: Environment,
    daemon: Daemon,
    clock: Arc<dyn Clock>,
    now: Now,
}

/// What is known of the daemon.
enum Daemon {
    /// It is running, and reported this.
    Runs(Box<Report>),
    /// It is not running.
    Down,
    /// This is unknown, because there is no location for its socket.
    NoSocketPath,
    /// It does not answer correctly.
    Failing { text: String, hint: String },
}

impl Scene<'_> {
    /// The daemon's report, if it is running.
    fn report(&self) -> Option<&Report> {
        match &self.daemon {
            Daemon::Runs(report) => Some(report),
            Daemon::Down | Daemon::NoSocketPath | Daemon::Failing { .. } => None,
        }
    }
}

/// Runs the command.
pub(super) fn run(Args { json, report }: Args, context: &Context) -> Result<Exit, Error> {
    let config = config::load(&context.config, &context.environment);
    let environment = match &config {
        Ok(config) => context.environment.clone().hiding_secrets_of(config),
        Err(_) => context.environment.clone(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::of(&environment, FileWatcher::new()));
    let now = clock.now();
    let (scene, checks) = block_on(async {
        let under_way = UnderWay::new();
        let daemon = under_way.of("daemon", ask(context)).await;
        let scene = Scene { context, config, environment, daemon, clock, now };
        let checks = examine(&scene, &under_way).await;
        (scene, checks)
    })?;
    let text = if json {
        json::render(&scene, &checks)
    } else if report {
        report::render(&scene, &checks)
    } else {
        view::render(&checks, screen::width(), Marks::of(&scene.environment))
    };
    print(&text)?;
    Ok(exit(&checks))
}

/// Asks the daemon for its report.
async fn ask(context: &Context) -> Daemon {
    let Some(socket) = &context.socket else { return Daemon::NoSocketPath };
    let asked = bounded(async { Client::connect(socket).await?.status().await }).await;
    match asked.unwrap_or(Err(ClientError::TimedOut { limit: CHECK_TIMEOUT })) {
        Ok(report) => Daemon::Runs(Box::new(report)),
        Err(ClientError::NotRunning { .. } | ClientError::Stopping) => Daemon::Down,
        Err(error) => Daemon::Failing { hint: error.hint().to_owned(), text: error.to_string() },
    }
}

/// All checks, in the order in which they are shown.
async fn examine(scene: &Scene<'_>, under_way: &UnderWay) -> Vec<Check> {
    // Boxed, because each future is large.
    let ((calendars, folders), desktop, sign_in, (network, ahead), synchronized, service) = tokio::join!(
        under_way.of("calendars", Box::pin(calendars::checks(scene))),
        under_way.of("desktop", Box::pin(desktop::checks(scene))),
        under_way.of("sign-in", Box::pin(sign_in::checks(scene))),
        under_way.of("network", Box::pin(network::checks(scene))),
        under_way.of("clock", Box::pin(clock::synchronized())),
        under_way.of("service", Box::pin(service::checks(scene))),
    );
    let mut checks = configuration::checks(scene);
    checks.extend(service.into_iter().chain(calendars).chain(desktop).chain(sign_in).chain(network));
    checks.extend([clock::difference(ahead), synchronized]);
    checks.extend(clock::zone(scene));
    checks.extend(machine::checks(scene));
    checks.push(machine::watches(folders, scene.report().is_some()));
    checks.sort_by_key(|check| check.group);
    checks
}

/// The exit code, for scripts.
fn exit(checks: &[Check]) -> Exit {
    if checks.iter().any(|check| check.needs_sign_in) {
        Exit::SignInNeeded
    } else if check::worst(checks) == Verdict::Failed {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

/// The result of `work`. `None` if it takes too long.
async fn bounded<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(CHECK_TIMEOUT, work).await.ok()
}

/// The permissions of a file: `600`.
fn modes(mode: u32) -> Part {
    Part::Plain(format!("{:03o}", mode & 0o777).into())
}
