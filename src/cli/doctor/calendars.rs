//! Checks each calendar source: whether it exists and can be read, what it contains, and whether a subscription is still
//! published.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::check::{Check, Group};
use super::text::{Kind, Part, Text, count, foreign, path, private, text};
use super::{Scene, bounded};
use crate::calendar::Timeline;
use crate::cli::terminal::times::span;
use crate::config::{CalendarSource, Subscription};
use crate::signals::calendar::once::{self, Outcome};

const GROUP: Group = Group::Calendars;
const NAME: &str = "calendar";

/// How many skipped parts are listed. `presenced agenda --json` lists all of them.
const MAX_SKIPPED_LISTED: usize = 3;

/// All checks, in the order of the sources, and how many calendar folders were found in time.
pub(super) async fn checks(scene: &Scene<'_>) -> (Vec<Check>, usize) {
    let Ok(config) = &scene.config else {
        return (vec![Check::skipped(GROUP, NAME, "the configuration cannot be read")], 0);
    };
    let Some(calendar) = config.signals.calendar.as_ref().filter(|calendar| !calendar.sources.is_empty()) else {
        return (vec![Check::skipped(GROUP, NAME, "no calendar is configured")], 0);
    };
    let checks = calendar.sources.iter().map(|source| check_source(source, &calendar.identity, scene));
    let checks = futures_util::future::join_all(checks).await;
    let folders = checks.iter().map(|(_, folders)| folders).sum();
    (checks.into_iter().map(|(check, _)| check).collect(), folders)
}

async fn check_source(source: &CalendarSource, identity: &[String], scene: &Scene<'_>) -> (Check, usize) {
    let subject = match source {
        CalendarSource::Path(folder) => path(folder),
        CalendarSource::Subscription(subscription) => private(Kind::Host, subscription.url.to_string()),
    };
    let place = once::path(source, &scene.environment.cache_dir);
    let late = || (Check::failed(GROUP, NAME, "it could not be read within 10 s").with_hint(SLOW), 0);
    let check = async {
        match source {
            CalendarSource::Path(_) => {
                let Some(outcome) = read(place.clone(), identity, scene).await else { return late() };
                (of_files(&place, &outcome), outcome.folders)
            }
            CalendarSource::Subscription(subscription) => {
                let copied_at = once::confirmed_at(subscription, &scene.environment.cache_dir);
                let published = once::is_published(subscription);
                let copy =
                    async { if copied_at.is_some() { read(place.clone(), identity, scene).await } else { None } };
                let (published, copy) = tokio::join!(published, copy);
                (of_subscription(subscription, published, copied_at.zip(copy), scene.now.wall), 1)
            }
        }
    };
    let (check, folders) = bounded(check).await.unwrap_or_else(late);
    (check.of(subject), folders)
}

const SLOW: &str = "if it is on another machine, check that the machine responds";

/// Reads a source on a thread that may block. `None` if the thread fails.
async fn read(place: PathBuf, identity: &[String], scene: &Scene<'_>) -> Option<Outcome> {
    let (identity, now, zone) = (identity.to_owned(), scene.now.wall, scene.now.zone.clone());
    let read = move || {
        let day = jiff::SignedDuration::from_hours(24);
        let window = (now.saturating_sub(day), now.saturating_add(day));
        let (from, to) = (window.0.unwrap_or(now), window.1.unwrap_or(now));
        once::read(&[place], &mut Timeline::new(identity, zone, from, to))
    };
    tokio::task::spawn_blocking(read).await.ok()
}

fn contents(outcome: &Outcome) -> Text {
    let events: usize = outcome.read.iter().map(|(_, report)| report.events).sum();
    Text::list([count(outcome.read.len(), "file", "files"), count(events, "event", "events")])
}

fn of_files(place: &Path, outcome: &Outcome) -> Check {
    if let [first, more @ ..] = outcome.unread.as_slice() {
        let details = [first].into_iter().chain(more).take(MAX_SKIPPED_LISTED);
        let details = details.map(|unread| text!["the calendar ", path(&unread.path), " ", foreign(&unread.reason)]);
        let found = if outcome.read.is_empty() {
            text!["it cannot be read, so the calendar is unknown"]
        } else {
            text![count(outcome.unread.len(), "part", "parts"), " cannot be read, so the calendar is unknown"]
        };
        let hint = "correct the path in [signals.calendar], or give presenced's user permission to read it";
        return Check::failed(GROUP, NAME, found).with_details(details).with_hint(hint);
    }
    let found = contents(outcome);
    let skipped = skipped(outcome);
    if outcome.read.is_empty() {
        let hint = text!["put *.ics files into ", path(place), ", or correct the path in [signals.calendar]"];
        return Check::warning(GROUP, NAME, "it contains no *.ics files").with_hint(hint);
    }
    if skipped.is_empty() {
        return Check::ok(GROUP, NAME, found);
    }
    let parts = skipped.len();
    let shown = skipped.into_iter().take(MAX_SKIPPED_LISTED);
    Check::warning(GROUP, NAME, found.then("; ").then(count(parts, "part is skipped", "parts are skipped")))
        .with_details(shown)
        .with_hint("the rest is used; `presenced agenda` shows all skipped parts; try exporting the file again")
}

/// The skipped parts of the files that could be read.
fn skipped(outcome: &Outcome) -> Vec<Text> {
    let mut all = Vec::new();
    for (file, report) in &outcome.read {
        for part in &report.skipped {
            all.push(text![path(&part.file), ", line ", part.line, ": ", foreign(&part.reason)]);
        }
        all.extend((report.skipped_more > 0).then(|| text![path(file), ": ", report.skipped_more, " more parts"]));
        for zone in &report.unknown_zones {
            let name = private(Kind::Name, zone.clone());
            all.push(text![path(file), ": the time zone `", name, "` is unknown; the system's time zone is used"]);
        }
    }
    all
}

fn of_subscription(
    subscription: &Subscription,
    published: Result<(), crate::failure::Failure>,
    copy: Option<(Timestamp, Outcome)>,
    now: Timestamp,
) -> Check {
    let age = |at: Timestamp| Part::Plain(span(now.duration_since(at)).into());
    match (published, copy) {
        (Ok(()), None) => Check::ok(GROUP, NAME, "it is published; there is no local copy yet"),
        (Ok(()), Some((at, outcome))) => {
            let text = text!["it is published; copied ", age(at), " ago, "].join(contents(&outcome));
            let old = now.duration_since(at).unsigned_abs() > subscription.refresh * 3;
            if old {
                let hint = "presenced fetches it while it is running: `systemctl --user start presenced`";
                return Check::warning(GROUP, NAME, text).with_hint(hint);
            }
            Check { found: text, ..of_files(Path::new(""), &outcome) }
        }
        (Err(failure), copy) => {
            let hint = failure.hint.clone().map_or_else(
                || Text::from("check that this machine can reach that host; presenced keeps trying"),
                |hint| foreign(hint).into(),
            );
            let check = match copy {
                None => Check::failed(GROUP, NAME, "it cannot be fetched, and there is no local copy"),
                Some((at, _)) => {
                    let found = text!["it cannot be fetched; the copy from ", age(at), " ago is used"];
                    Check::warning(GROUP, NAME, found)
                }
            };
            check.with_details([foreign(failure.to_string()).into()]).with_hint(hint)
        }
    }
}
