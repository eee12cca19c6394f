//! `presenced agenda`: what is in the calendar, and which presence comes of it. Works on files alone.
//!
//! With `--calendar` a configuration is not needed; where there is one, its identity, rules and signals count. One that is wrong
//! is an error, unless it is only the default one and calendars are named: then the default rules hold, and a warning says so.
//! Leaves to others: reading the files (`signals/calendar/once`), the window (`window`), the presence (`forecast`), and how it
//! is shown (`view`, `chart`, `json`).

mod chart;
mod forecast;
mod json;
mod view;

use std::path::{self, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::moment::{self, Moment};
use super::terminal::output::{print, warn};
use super::terminal::progress::Progress;
use super::terminal::screen;
use crate::calendar::{FileReport, Occurrence, Timeline};
use crate::config::{self, CalendarSource, Signals};
use crate::policy::{Rule, default_rules};
use crate::signals::calendar::once;

use forecast::{Claimed, at_the_desk, forecast};

/// The arguments of `agenda`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced agenda                               Today, by the configuration"
    "presenced agenda --calendar work.ics           Today, by a calendar of yours"
    "presenced agenda --from 2026-11-24 --to 2026-12-01"
    "presenced agenda --from 09:00 --to 12:00 --timezone Europe/Berlin"
    "presenced agenda --json | jq '.presence[]'     The same for a program";
    "The presence is what the rules give while you are at the desk and in no call: the lock, calls, input and sleep are off, or at \
     rest where the configuration has them on. Without a configuration the default rules hold.";
    "Times: a date (its first moment), 09:00 (today), 2026-11-24T09:00, or an instant with its offset \
     (2026-11-24T09:00:00+01:00).";
    "Exit codes: 0 well, also with skipped parts; 1 a calendar cannot be read at all; 2 usage or configuration."
))]
pub(super) struct Args {
    /// Read this .ics file, or the *.ics in this folder and below it, instead of the configured calendars; may be repeated
    #[arg(long = "calendar", value_name = "PATH")]
    calendars: Vec<PathBuf>,

    /// From when on [default: today's midnight]
    #[arg(long, value_name = "TIME", value_parser = moment::moment)]
    from: Option<Moment>,

    /// Until when, itself not included [default: the midnight after --from]
    #[arg(long, value_name = "TIME", value_parser = moment::moment)]
    to: Option<Moment>,

    /// Take this time zone (IANA name) for the system's, in all respects
    #[arg(long, value_name = "ZONE", value_parser = moment::timezone)]
    timezone: Option<TimeZone>,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What is shown.
#[derive(Debug)]
struct Agenda {
    zone: TimeZone,
    /// `[from, to)`.
    window: (Timestamp, Timestamp),
    /// Those that overlap the window, by their start.
    occurrences: Vec<Occurrence>,
    /// What the rules claim, all over the window.
    presence: Vec<Claimed>,
    skipped: Vec<Skipped>,
    /// Whether a file or folder could not be read, so that the daemon would take the calendar as unknown.
    unread: bool,
}

/// What was left out of what is shown.
#[derive(Debug)]
struct Skipped {
    file: PathBuf,
    /// From 1; `None`: the file as a whole.
    line: Option<u32>,
    reason: String,
}

/// Where to look, and by which rules.
struct Setup {
    sources: Vec<PathBuf>,
    identity: Vec<String>,
    rules: Vec<Rule>,
    signals: Signals,
}

/// Runs it.
pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Error> {
    let zone = args.timezone.unwrap_or_else(TimeZone::system);
    let now = Context::now();
    let window = moment::window(args.from, args.to, now, &zone);
    if window.0 >= window.1 {
        let local = |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let text = format!("the agenda would end ({}) before it begins ({})", local(window.1), local(window.0));
        return Err(Error::new(Exit::Usage, text).with_hint("give a `--to` that is later than `--from`"));
    }
    let named = !args.calendars.is_empty();
    let setup = setup(&args.calendars, context)?;
    let progress = Progress::new("Reading the calendars");
    let mut timeline = Timeline::new(setup.identity, zone.clone(), window.0, window.1);
    let outcome = once::read(&setup.sources, &mut timeline);
    let snapshot = at_the_desk(&setup.signals, timeline.schedule());
    let agenda = Agenda {
        presence: forecast(&setup.rules, &snapshot, window, &zone),
        zone,
        window,
        occurrences: timeline.occurrences(window.0, window.1).collect(),
        unread: !outcome.unread.is_empty(),
        skipped: skipped(&outcome),
    };
    drop(progress);
    print(&if args.json { json::render(&agenda) } else { view::render(&agenda, now, screen::width()) })?;
    let Some(lost) = outcome.lost.first() else { return Ok(Exit::Ok) };
    let error = Error::new(Exit::Failed, format!("nothing could be read of the calendar {}", lost.display()));
    Err(error.with_hint(if named {
        "name a .ics file that can be read, or a folder of them".to_owned()
    } else {
        format!("mend it, or correct its path in [signals.calendar] of {}", context.config.display())
    }))
}

/// The calendars that are named, else the configured ones; identity, rules and signals from the configuration, if it counts.
fn setup(calendars: &[PathBuf], context: &Context) -> Result<Setup, Error> {
    let is_default = context.config == context.environment.config_dir.join("config.toml");
    let missing = !context.config.exists();
    if calendars.is_empty() && missing && is_default {
        let text = format!("there is no calendar to look at: no configuration at {}", context.config.display());
        return Err(Error::new(Exit::Usage, text).with_hint("name one: `presenced agenda --calendar work.ics`"));
    }
    let sources = calendars.iter().map(path::absolute).collect::<Result<Vec<_>, _>>().map_err(|error| {
        Error::new(Exit::Failed, format!("the folder that `--calendar` starts from is gone: {error}"))
    })?;
    let without =
        |sources| Setup { sources, identity: Vec::new(), rules: default_rules(), signals: Signals::default() };
    if missing && is_default {
        return Ok(without(sources));
    }
    let config = match config::load(&context.config, &context.environment) {
        Ok(config) => config,
        Err(problems) if calendars.is_empty() || !is_default => return Err(problems.into()),
        Err(_) => {
            warn(&format!(
                "the configuration {} is wrong, so the default rules hold; `presenced check` says what is wrong",
                context.config.display()
            ));
            return Ok(without(sources));
        }
    };
    let calendar = config.signals.calendar.clone();
    if calendars.is_empty() && calendar.is_none() {
        let text = format!("the configuration {} has no calendar that is on", context.config.display());
        let hint = "add [signals.calendar], or name one: `presenced agenda --calendar work.ics`";
        return Err(Error::new(Exit::Usage, text).with_hint(hint));
    }
    let calendar = calendar.unwrap_or_default();
    let cache_dir = &context.environment.cache_dir;
    let configured =
        |sources: &[CalendarSource]| sources.iter().map(|source| once::path(source, cache_dir)).collect::<Vec<_>>();
    Ok(Setup {
        sources: if calendars.is_empty() { configured(&calendar.sources) } else { sources },
        identity: calendar.identity,
        rules: config.rules,
        signals: config.signals,
    })
}

/// All that was left out, in the order in which it was read; what could not be read at all comes first.
fn skipped(outcome: &once::Outcome) -> Vec<Skipped> {
    let unread = outcome.unread.iter().map(|unread| Skipped {
        file: unread.path.clone(),
        line: None,
        reason: format!("the calendar {}", unread.reason),
    });
    let parts = outcome.read.iter().flat_map(|(file, report)| skipped_of(file, report));
    unread.chain(parts).collect()
}

fn skipped_of<'a>(file: &'a path::Path, report: &'a FileReport) -> impl Iterator<Item = Skipped> + 'a {
    let whole = |reason| Skipped { file: file.to_owned(), line: None, reason };
    let parts = report.skipped.iter().map(|part| Skipped {
        file: part.file.clone(),
        line: Some(part.line),
        reason: part.reason.clone(),
    });
    let more = (report.skipped_more > 0).then(|| whole(format!("{} more parts are skipped", report.skipped_more)));
    let zones = report
        .unknown_zones
        .iter()
        .map(move |zone| whole(format!("the time zone `{zone}` is not known; the system's stands in")));
    parts.chain(more).chain(zones)
}
