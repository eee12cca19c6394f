//! `presenced agenda`: shows calendar events and the resulting presence. It reads files and needs no daemon.
//!
//! With `--calendar` it needs no configuration; if there is one, its identity, rules and signals apply. An invalid configuration
//! is an error, unless it is at the default path and calendars are named: then the default rules apply, and a warning says so.
//! Leaves to others: reading the files (`signals/calendar/once`), the window (`moment`), the presence (`forecast`), and the
//! output (`view`, `chart`, `json`).

mod chart;
mod forecast;
mod json;
mod owner;
mod view;

use std::path::{self, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::context::{Context, examples};
use super::error::{Error, Exit};
use super::moment::{self, Moment};
use super::terminal::output::{print, warn};
use super::terminal::progress::Progress;
use super::terminal::screen;
use crate::calendar::{FileReport, Occurrence, Timeline};
use crate::config::{self, Signals};
use crate::policy::{Reading, Rule, default_rules};
use crate::signals::calendar::once::{self, Need, Source, Unread};

use owner::Owner;

use forecast::{Claimed, at_the_desk, forecast};

/// The arguments of `agenda`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced agenda                               Today, as configured"
    "presenced agenda --calendar work.ics           Today, from this calendar file"
    "presenced agenda --from 2026-11-24 --to 2026-12-01"
    "presenced agenda --from 09:00 --to 12:00 --timezone Europe/Berlin"
    "presenced agenda --json | jq '.presence[]'     The presences as JSON";
    "The presence is what the rules decide while you are at the desk and not in a call: the lock, calls, input and sleep are off, \
     or inactive if the configuration enables them. Without a configuration, the default rules apply.";
    "Times: a date (its start), 09:00 (today), 2026-11-24T09:00, or an instant with its offset \
     (2026-11-24T09:00:00+01:00).";
    "A calendar that is not whole (cut off, empty, a web page) is listed first, and nothing of it is shown.";
    "Exit codes: 0 success, even with skipped parts; 1 a calendar cannot be read, or is not whole; 2 usage or configuration."
))]
pub(super) struct Args {
    /// Read this .ics file, or all *.ics files in and below this folder, instead of the configured calendars; may be repeated
    #[arg(long = "calendar", value_name = "PATH")]
    calendars: Vec<PathBuf>,

    /// Start of the agenda [default: the start of today]
    #[arg(long, value_name = "TIME", value_parser = moment::moment)]
    from: Option<Moment>,

    /// End of the agenda, not included [default: the midnight after --from]
    #[arg(long, value_name = "TIME", value_parser = moment::moment)]
    to: Option<Moment>,

    /// Use this time zone (IANA name) instead of the system's
    #[arg(long, value_name = "ZONE", value_parser = moment::timezone)]
    timezone: Option<TimeZone>,

    /// The agenda of this user of an account with many: an object id, or the name in the users file
    #[arg(long, value_name = "USER", conflicts_with = "calendars")]
    user: Option<String>,

    /// The agenda of this account, if the rules or the calendars depend on the account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Print the agenda as JSON
    #[arg(long)]
    json: bool,
}

/// The contents of the agenda.
#[derive(Debug)]
struct Agenda {
    zone: TimeZone,
    /// `[from, to)`.
    window: (Timestamp, Timestamp),
    /// The occurrences that overlap the window, sorted by their start.
    occurrences: Vec<Occurrence>,
    /// What the rules claim, over the whole window.
    presence: Vec<Claimed>,
    /// The files and folders that could not be read, or are not whole.
    unread: Vec<Skipped>,
    /// Whether one of those is needed, so that the daemon would treat the calendar as unknown.
    is_unknown: bool,
    /// The skipped parts of the others.
    skipped: Vec<Skipped>,
}

/// A part of a calendar that was skipped, and why.
#[derive(Debug)]
struct Skipped {
    file: PathBuf,
    /// From 1; `None` for the whole file.
    line: Option<u32>,
    reason: String,
}

/// The calendars to read, and the rules that apply.
struct Setup {
    /// The account whose rules apply.
    account: Option<String>,
    sources: Vec<Source>,
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
    let setup = setup(&args.calendars, args.account.as_deref(), args.user.as_deref(), context)?;
    let progress = Progress::new("Reading the calendars");
    let mut timeline = Timeline::new(setup.identity, zone.clone(), window.0, window.1);
    let outcome = once::read(&setup.sources, &mut timeline);
    let is_unknown = outcome.needed().is_some();
    let calendar = if is_unknown { Reading::Unknown } else { Reading::Known(Arc::new(timeline.schedule())) };
    let snapshot = at_the_desk(setup.account.as_deref(), &setup.signals, calendar);
    let agenda = Agenda {
        presence: forecast(&setup.rules, &snapshot, window, &zone),
        zone,
        window,
        occurrences: timeline.occurrences(window.0, window.1).collect(),
        unread: outcome.unread.iter().map(unread).collect(),
        is_unknown,
        skipped: outcome.read.iter().flat_map(|(file, report)| skipped_of(file, report)).collect(),
    };
    drop(progress);
    print(&if args.json { json::render(&agenda) } else { view::render(&agenda, now, screen::width()) })?;
    let is_missed = |unread: &&Unread| unread.need != Need::Optional;
    match outcome.needed().or_else(|| outcome.unread.iter().find(is_missed)) {
        Some(missed) => Err(failure(missed, named, context)),
        None => Ok(Exit::Ok),
    }
}

/// The error for a calendar that could not be read, or is not whole. `named`: on the command line.
fn failure(missed: &Unread, named: bool, context: &Context) -> Error {
    let calendar = missed.path.display();
    if missed.line.is_some() {
        return Error::new(Exit::Failed, format!("the calendar {calendar} {}", missed.reason))
            .with_hint("if no program is writing it, save it or download it again");
    }
    Error::new(Exit::Failed, format!("the calendar {calendar} cannot be read at all")).with_hint(if named {
        "name a readable .ics file, or a folder of .ics files".to_owned()
    } else {
        format!("fix it, or correct its path in [signals.calendar] of {}", context.config.display())
    })
}

/// The named calendars, or else the configured ones, and the configuration's identity, rules and signals, if it applies.
fn setup(calendars: &[PathBuf], account: Option<&str>, user: Option<&str>, context: &Context) -> Result<Setup, Error> {
    let is_default = context.config == context.environment.config_dir.join("config.toml");
    let missing = !context.config.exists();
    if calendars.is_empty() && missing && is_default {
        let text = format!("there is no calendar to read, and no configuration at {}", context.config.display());
        return Err(Error::new(Exit::Usage, text).with_hint("name one: `presenced agenda --calendar work.ics`"));
    }
    let needed = |path| Ok(Source::shared(path::absolute(path)?, false));
    let sources: std::io::Result<Vec<Source>> = calendars.iter().map(needed).collect();
    let sources = sources.map_err(|error| {
        Error::new(Exit::Failed, format!("`--calendar` is relative to a folder that no longer exists: {error}"))
    })?;
    let without = |sources| Setup {
        account: None,
        sources,
        identity: Vec::new(),
        rules: default_rules(),
        signals: Signals::default(),
    };
    if missing && is_default {
        return Ok(without(sources));
    }
    let config = match config::load(&context.config, &context.environment) {
        Ok(config) => config,
        Err(problems) if calendars.is_empty() || !is_default => return Err(problems.into()),
        Err(_) => {
            warn(&format!(
                "the configuration {} is invalid, so the default rules apply; run `presenced check` for details",
                context.config.display()
            ));
            return Ok(without(sources));
        }
    };
    let owner = Owner::of(account, user, &config)?;
    let calendar = config.signals.calendar.clone();
    if calendars.is_empty() && calendar.is_none() {
        let text = format!("the configuration {} enables no calendar", context.config.display());
        let hint = "add [signals.calendar], or name one: `presenced agenda --calendar work.ics`";
        return Err(Error::new(Exit::Usage, text).with_hint(hint));
    }
    let calendar = calendar.unwrap_or_default();
    let cache_dir = &context.environment.cache_dir;
    let sources = if calendars.is_empty() {
        let places: Result<Vec<_>, _> = calendar.sources.iter().map(|source| owner.places(source, cache_dir)).collect();
        places?.concat()
    } else {
        sources
    };
    Ok(Setup {
        account: owner.account,
        sources,
        identity: calendar.identity,
        rules: config.rules,
        signals: config.signals,
    })
}

fn unread(Unread { path, line, reason, .. }: &Unread) -> Skipped {
    Skipped { file: path.clone(), line: *line, reason: format!("the calendar {reason}") }
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
        .map(move |zone| whole(format!("the time zone `{zone}` is unknown, so the system's is used")));
    parts.chain(more).chain(zones)
}
