//! `presenced doctor`: looks at everything that presenced's work depends on, and says of each thing how it is and what mends it.
//!
//! It changes nothing, and asks nobody but the machine and the services of the configuration. Checks that do not need each other
//! run side by side, each for 10 seconds at most. Where a daemon runs, it is asked for what it knows better.
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
//! `verdict` is `ok`, `warning`, `failed` or `skipped`, and above the checks the worst of theirs. `group` and `check` are closed
//! sets that grow; `subject` is the account or the calendar, and null where there is one thing of the kind. `daemon.version` and
//! `pid` are null while none runs. `hint` is null where nothing is to be mended. Texts may change from version to version, and
//! hold names, paths and addresses: what goes to others is `--report`.
//!
//! Leaves to others: each family of checks, how they are shown (`view`, `json`), and what of them others may see (`report`).

mod calendars;
mod check;
mod clock;
mod commands;
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
mod view;

use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::runtime::block_on_and_go;
use super::terminal::output::print;
use super::terminal::screen;
use crate::config::{self, Config, Environment, Problems};
use crate::daemon::clock::SystemClock;
use crate::status::report::Report;
use crate::status::{Client, ClientError};
use crate::time::{Clock, Now};

use check::{Check, Verdict};
use text::Part;
use under_way::UnderWay;
use view::Marks;

/// How long anything is waited for.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced doctor                       What is wrong, and what mends it"
    "presenced doctor --report > report.md  To paste where others can read it"
    "presenced doctor --json | jq .verdict  The same for a program";
    "It changes nothing: no token is renewed, nothing is written. Without a running daemon, or with a wrong configuration, it looks \
     at what can be looked at.";
    "--report leaves names, addresses, ids, paths and hosts out, and puts [path 1] or [account 1] in their place. Read it all the \
     same before you paste it.";
    "Exit codes: 0 nothing failed, though there may be warnings; 1 a check failed; 4 somebody must sign in."
))]
pub(super) struct Args {
    /// Print it as JSON
    #[arg(long, conflicts_with = "report")]
    json: bool,

    /// Print a report in Markdown that is fit for the public
    #[arg(long)]
    report: bool,
}

/// What the checks look at.
struct Scene<'a> {
    context: &'a Context,
    config: Result<Config, Problems>,
    /// With the secrets of the configuration kept from programs that are started.
    environment: Environment,
    daemon: Daemon,
    clock: Arc<dyn Clock>,
    now: Now,
}

/// How it stands with the daemon.
enum Daemon {
    /// It runs, and says this.
    Runs(Box<Report>),
    /// It does not.
    Down,
    /// It cannot be told, since there is no place for its socket.
    NoPlace,
    /// It does not answer as it should.
    Ill { text: String, hint: String },
}

impl Scene<'_> {
    /// What the daemon says, if it runs.
    fn report(&self) -> Option<&Report> {
        match &self.daemon {
            Daemon::Runs(report) => Some(report),
            Daemon::Down | Daemon::NoPlace | Daemon::Ill { .. } => None,
        }
    }

    /// Whether an environment variable is set.
    fn is_set(&self, name: &str) -> bool {
        self.environment.var(name).is_some()
    }
}

/// Runs it.
pub(super) fn run(Args { json, report }: Args, context: &Context) -> Result<Exit, Error> {
    let config = config::load(&context.config, &context.environment);
    let environment = match &config {
        Ok(config) => context.environment.clone().hiding_secrets_of(config),
        Err(_) => context.environment.clone(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::of(&environment));
    let now = clock.now();
    let (scene, checks) = block_on_and_go(async {
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

/// Asks the daemon how it is.
async fn ask(context: &Context) -> Daemon {
    let Some(socket) = &context.socket else { return Daemon::NoPlace };
    let asked = bounded(async { Client::connect(socket).await?.status().await }).await;
    match asked.unwrap_or(Err(ClientError::TimedOut { limit: CHECK_TIMEOUT })) {
        Ok(report) => Daemon::Runs(Box::new(report)),
        Err(ClientError::NotRunning { .. } | ClientError::Stopping) => Daemon::Down,
        Err(error) => Daemon::Ill { hint: error.hint().to_owned(), text: error.to_string() },
    }
}

/// All checks, in the order in which they are shown.
async fn examine(scene: &Scene<'_>, under_way: &UnderWay) -> Vec<Check> {
    // Boxed, because each has room for all that it may ever wait for.
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

/// What a script learns.
fn exit(checks: &[Check]) -> Exit {
    if checks.iter().any(|check| check.needs_sign_in) {
        Exit::SignInNeeded
    } else if check::worst(checks) == Verdict::Failed {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

/// What `work` gives; `None` when that takes too long.
async fn bounded<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(CHECK_TIMEOUT, work).await.ok()
}

/// The permissions of a file: `600`.
fn modes(mode: u32) -> Part {
    Part::Plain(format!("{:03o}", mode & 0o777).into())
}
