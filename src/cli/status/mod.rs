//! `presenced status`: what the daemon does, and why. What it looks like is in [`view`], and for bars in [`bar`].

mod bar;
mod template;
mod view;
mod waybar;

pub(super) use view::headline;

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};

use super::context::{Context, examples};
use super::daemon_client::{request, stream};
use super::error::{Error, Exit};
use super::runtime::block_on;
use super::terminal::output::{print, print_drawing};
use super::terminal::screen::{self, Screen};
use crate::status::report::{Health, Report, State};
use crate::status::{Client, ClientError};

use bar::{Bar, Format};

/// How often the times in a watched status move on.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);

/// Why a report can always be written.
const IS_JSON: &str = "the keys of a report are strings";

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced status                  What is claimed, and why"
    "presenced status --watch          The same, kept up to date"
    "presenced status --json | jq .accounts.work.state"
    "presenced status --format waybar --watch"
    "presenced status --format '{availability} {rule}'";
    "Fields of a template: {account}, {presence}, {availability}, {activity}, {state}, {health}, {rule}, {because}, {since}, \
     {until}, {seen}, {warning} and {hint}; `{{` is a brace. While presenced is away {presence}, {availability}, {state} and \
     {health} say `off`, and the rest is empty.";
    "With --format and --watch it waits for a daemon that is away, and goes on until its reader has gone.";
    "Exit codes: 0 all is well; 1 degraded or failing; 3 not running; 4 sign-in needed. With --format always 0: a bar hides \
     what fails."
))]
pub(super) struct Args {
    /// Print the report as JSON; with --watch a line each time it changes
    #[arg(long)]
    json: bool,

    /// Go on showing it as it changes, until the daemon stops or Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Print a line for a bar: `waybar` for its JSON, or a template such as '{availability} {rule}'
    #[arg(long, value_name = "FORMAT", value_parser = bar::format, conflicts_with = "json")]
    format: Option<Format>,

    /// Of this account only; left out: of all
    #[arg(long, value_name = "NAME", requires = "format")]
    account: Option<String>,
}

/// Runs it.
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let Args { json, watch, format, account } = args;
    if let Some(format) = &format {
        let bar = Bar { format, account: account.as_deref() };
        let socket = context.require_socket()?;
        return block_on(async { if watch { bar.watch(socket).await } else { bar.show(socket).await } })?;
    }
    if watch {
        return stream(context, async |client| show_changes(client, json).await);
    }
    let report = request(context, async |mut client| client.status().await)?;
    let text = if json { serde_json::to_string_pretty(&report).expect(IS_JSON) + "\n" } else { draw(&report) };
    print(&text)?;
    Ok(exit(&report))
}

/// Shows each report that comes, until its reader has gone; ends with an error when the daemon does.
async fn show_changes(client: Client, json: bool) -> Result<Exit, Error> {
    let mut reports = client.watch().await?;
    let mut screen = if json { None } else { Screen::new() };
    let mut report = reports.next().await?.ok_or(ClientError::Stopping)?;
    let mut resized = signal(SignalKind::window_change())
        .map_err(|error| Error::new(Exit::Failed, format!("a resized terminal cannot be heard of: {error}")))?;
    loop {
        let is_read = match &mut screen {
            Some(screen) => print_drawing(&screen.draw(&draw(&report)))?,
            None if json => print(&(serde_json::to_string(&report).expect(IS_JSON) + "\n"))?,
            None => print(&(draw(&report) + "\n"))?,
        };
        if !is_read {
            return Ok(Exit::Ok);
        }
        let news = match screen {
            Some(_) => tokio::select! {
                news = tokio::time::timeout(REDRAWN_EVERY, reports.next()) => news.ok(),
                _ = resized.recv() => None,
            },
            None => Some(reports.next().await),
        };
        // Without news the same report is drawn again: its times have moved on, or the terminal has another size.
        if let Some(news) = news {
            report = news?.ok_or(ClientError::Stopping)?;
        }
    }
}

/// The view, here and now.
fn draw(report: &Report) -> String {
    view::render(report, Context::now(), &TimeZone::system(), screen::width())
}

/// What a script learns from the report.
pub(super) fn exit(report: &Report) -> Exit {
    if report.accounts.values().any(|account| account.state == State::SignInNeeded) {
        return Exit::SignInNeeded;
    }
    match report.health {
        Health::Ok => Exit::Ok,
        Health::Degraded | Health::Failing => Exit::Failed,
    }
}
