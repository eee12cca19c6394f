//! `presenced status`: shows what the daemon does, and why. The output is in [`view`], and for bars in [`bar`].

mod bar;
mod facts;
mod one_user;
mod template;
mod view;
mod waybar;

pub(super) use one_user::{exit_for, has_problem, json_line, show_user};
pub(super) use view::{headline, state_style};

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
use facts::no_account;

/// How often a watched status is redrawn to update its times.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

/// Why writing a report as JSON cannot fail.
const IS_JSON: &str = "the keys of a report are strings";

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced status                  What is claimed, and why"
    "presenced status --watch          The same, updated live"
    "presenced status --json | jq .accounts.work.state"
    "presenced status --account work   Only this account"
    "presenced status --user anna      One of many users"
    "presenced status --format waybar --watch"
    "presenced status --format '{availability} {rule}'";
    "Template fields: {account}, {presence}, {availability}, {activity}, {state}, {health}, {rule}, {because}, {since}, \
     {until}, {seen}, {warning} and {hint}; `{{` prints a brace. While presenced is not running, {presence}, {availability}, {state} \
     and {health} are `off`, and the rest are empty.";
    "With --format and --watch, it waits for a daemon that is not running, and ends when its reader closes the output.";
    "Exit codes: 0 healthy; 1 degraded or failing; 3 not running; 4 sign-in needed. With --format, always 0, because bars \
     hide modules that fail."
))]
pub(super) struct Args {
    /// Print the report as JSON; with --watch, one line per change
    #[arg(long)]
    json: bool,

    /// Keep showing changes until the daemon stops or Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Print one line for a bar: `waybar`, or a template like '{availability} {rule}'
    #[arg(long, value_name = "FORMAT", value_parser = bar::format, conflicts_with = "json")]
    format: Option<Format>,

    /// Show only this account; left out: all
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Show only this user of an account with many, by object id or by name
    #[arg(long, value_name = "USER", conflicts_with_all = ["watch", "format", "account"])]
    user: Option<String>,
}

/// Runs it.
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let Args { json, watch, format, account, user } = args;
    if let Some(user) = user {
        return show_user(&user, json, context);
    }
    if let Some(format) = &format {
        let bar = Bar { format, account: account.as_deref() };
        let socket = context.require_socket()?;
        return block_on(async { if watch { bar.watch(socket).await } else { bar.show(socket).await } })?;
    }
    if watch {
        return stream(context, async |client| show_changes(client, json, account.as_deref()).await);
    }
    let report = request(context, async |mut client| client.status().await)?;
    let report = narrowed(report, account.as_deref())?;
    let text = if json { serde_json::to_string_pretty(&report).expect(IS_JSON) + "\n" } else { draw(&report) };
    print(&text)?;
    Ok(exit(&report))
}

/// Shows each new report until its reader closes the output. When the daemon ends, it returns an error.
async fn show_changes(client: Client, json: bool, account: Option<&str>) -> Result<Exit, Error> {
    let mut reports = client.watch().await?;
    let mut screen = if json { None } else { Screen::new() };
    let mut report = narrowed(reports.next().await?.ok_or(ClientError::Stopping)?, account)?;
    let mut resized = signal(SignalKind::window_change())
        .map_err(|error| Error::new(Exit::Failed, format!("cannot listen for terminal resizes: {error}")))?;
    loop {
        let is_read = match &mut screen {
            Some(screen) => print_drawing(&screen.draw(&draw(&report)))?,
            None if json => print(&(serde_json::to_string(&report).expect(IS_JSON) + "\n"))?,
            None => print(&(draw(&report) + "\n"))?,
        };
        if !is_read {
            return Ok(Exit::Ok);
        }
        let next = match screen {
            Some(_) => tokio::select! {
                next = tokio::time::timeout(REDRAW_INTERVAL, reports.next()) => next.ok(),
                _ = resized.recv() => None,
            },
            None => Some(reports.next().await),
        };
        // Without a new report, the same one is drawn again: its times have changed, or the terminal's size has.
        if let Some(next) = next {
            report = narrowed(next?.ok_or(ClientError::Stopping)?, account)?;
        }
    }
}

/// The report with only this account, or with all.
fn narrowed(mut report: Report, account: Option<&str>) -> Result<Report, Error> {
    let Some(account) = account else { return Ok(report) };
    if !report.accounts.contains_key(account) {
        let (text, hint) = no_account(account, &report);
        return Err(Error::new(Exit::Usage, text).with_hint(hint));
    }
    report.accounts.retain(|name, _| name == account);
    Ok(report)
}

/// The view, for this terminal and the current time.
fn draw(report: &Report) -> String {
    view::render(report, Context::now(), &TimeZone::system(), screen::width())
}

/// The exit code for a report.
pub(super) fn exit(report: &Report) -> Exit {
    if report.accounts.values().any(|account| account.state == State::SignInNeeded) {
        return Exit::SignInNeeded;
    }
    match report.health {
        Health::Ok => Exit::Ok,
        Health::Degraded | Health::Failing => Exit::Failed,
    }
}
