//! `presenced demo`: runs the real daemon and an emulated Graph through a sample day, on one fast clock. It needs no account.
//!
//! The day's signals use the real interfaces: a call-state file, a message bus, a calendar file. Leaves to others: the events of
//! the day (`day`), the output (`viewer`, `view`), and the result (`summary`).

mod day;
mod desktop;
mod stage;
mod summary;
mod view;
mod viewer;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::net::TcpListener;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::runtime::block_on;
use crate::calendar::Timeline;
use crate::config::Environment;
use crate::daemon::clock::SystemClock;
use crate::daemon::{Daemon, Options};
use crate::signals::calendar::once::{self, Source, Unread};
use crate::signals::{Buses, FileWatcher};
use crate::status::{Listen, parse_ttl};
use crate::time::Clock;
use presenced_emulator::Emulator;

use day::Day;
use desktop::Desktop;
use stage::Stage;
use summary::Summary;
use viewer::Viewer;

/// The account's name in the demo's configuration.
const ACCOUNT: &str = "work";

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced demo                       A sample day in about a minute"
    "presenced demo --calendar work.ics   Today, with your own calendar"
    "presenced demo --speed 60 --for 2m   Slower, and for only two minutes";
    "Exit codes: 0 success; 1 the presence was wrong at some time; 2 usage, or a calendar that is not whole."
))]
pub(super) struct Args {
    /// Use this .ics file, or folder of them, as the calendar
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,

    /// How many times faster than real time the day passes
    #[arg(long, value_name = "N", default_value = "600", value_parser = speed)]
    speed: f64,

    /// End after this long (30s, 2m) instead of at the end of the day
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    within: Option<Duration>,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "the speed must be a number, such as 60".to_owned())?;
    if (1.0..=5000.0).contains(&speed) { Ok(speed) } else { Err("the speed must be from 1 to 5000".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_ttl(text).map_err(|invalid| format!("{}; {}", invalid.message, invalid.hint))
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every subcommand is called alike")]
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    args.calendar.as_deref().map_or(Ok(()), check_calendar)?;
    let summary = block_on(play(&args, &context.environment))??;
    anstream::print!("\n{summary}");
    Ok(if summary.is_ok() { Exit::Ok } else { Exit::Failed })
}

/// Checks that a named calendar counts: with an unknown calendar there would be little to see.
fn check_calendar(calendar: &Path) -> Result<(), Error> {
    let path = std::path::absolute(calendar).map_err(|error| failed(&error))?;
    let mut scratch = Timeline::new(Vec::new(), TimeZone::UTC, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let outcome = once::read(&[Source::shared(path, false)], &mut scratch);
    let is_empty = outcome.read.is_empty();
    match outcome.needed().or_else(|| outcome.unread.first().filter(|_| is_empty)) {
        None => Ok(()),
        Some(Unread { path, reason, .. }) => {
            let error = Error::new(Exit::Usage, format!("the calendar {} {reason}", path.display()));
            Err(error.with_hint("name a whole .ics file, or leave out `--calendar` to use the sample calendar"))
        }
    }
}

/// Plays the day, or the requested part of it.
async fn play(args: &Args, environment: &Environment) -> Result<Summary, Error> {
    let mut builder = tempfile::Builder::new();
    // Its bus would let in any user who can reach it.
    let folder = builder.prefix("presenced-demo-").permissions(Permissions::from_mode(0o700)).tempdir();
    let folder = folder.map_err(|error| failed(&error))?;
    let zone = TimeZone::system();
    let day = Day::new(Context::now().to_zoned_datetime(zone.clone()).date(), zone.clone());
    let clock = Arc::new(SystemClock::scaled(args.speed, day.start(), zone));

    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(&error))?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let emulator = Emulator::new(presenced_emulator::Options::default(), clock.clone());
    let (desktop, no_desktop) = match Desktop::start(folder.path(), environment).await {
        Ok(desktop) => (Some(desktop), None),
        Err(error) => (None, Some(error)),
    };
    let stage = Stage { folder: folder.path(), calendar: args.calendar.as_deref(), address: address.to_string() };
    let daemon = Daemon::new(Options {
        config: stage.configuration(&day, desktop.is_some(), environment)?,
        config_file: None,
        // The demo leaves nothing in the user's folders.
        environment: Environment {
            state_dir: folder.path().to_owned(),
            cache_dir: folder.path().to_owned(),
            runtime_dir: None,
            ..environment.clone()
        },
        clock: clock.clone(),
        socket: Listen::At(folder.path().join("presenced.sock")),
        history: None,
        kept: None,
        buses: Buses { system: desktop.as_ref().map(|desktop| desktop.address().to_owned()), session: None },
        file_watcher: FileWatcher::new(),
    })?;

    let viewer = Viewer::new(&*clock, &emulator, daemon.reports(), &day, args.speed);
    anstream::println!(
        "A working day at {} times real time.\n\
         Real: the daemon, its calendar file, its call-state file and the screen lock.\n\
         Emulated: Microsoft Graph, at http://{address} (try it with curl).\n",
        args.speed
    );
    if let Some(error) = no_desktop {
        anstream::println!(
            "The screen lock is left out, because no message bus could be started: {error}.\n\
             Install the package `dbus` to include it.\n"
        );
    }

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = daemon.run(async {
        let _ = stopped.await;
    });
    let watching = async {
        let ended = async {
            tokio::select! {
                () = clock.sleep_until_wall(day.end()) => {}
                () = after(args.within) => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        let playing = stage.play(&day, &*clock, desktop.as_ref());
        let summary = viewer.watch(ended, playing).await;
        // The daemon may have ended already, because it also got the signal.
        let _ = stop.send(());
        summary
    };
    let serving = emulator.serve(listener);
    tokio::select! {
        served = serving => match served.map_err(|error| failed(&error))? {},
        (ran, summary) = async { tokio::join!(running, watching) } => {
            ran?;
            summary
        }
    }
}

async fn after(within: Option<Duration>) {
    match within {
        #[expect(clippy::disallowed_methods, reason = "the user watches in real time")]
        Some(within) => tokio::time::sleep(within).await,
        None => std::future::pending().await,
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::new(Exit::Failed, format!("the demo failed: {error}"))
}
