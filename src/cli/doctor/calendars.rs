//! Checks each calendar source: whether it exists and is whole, what it contains, and whether a subscription is still published.
//! Suggests `identity` if a calendar says who its owner is.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::check::{Check, Group, Verdict};
use super::text::{Kind, Part, Text, count, foreign, path, private, text};
use super::unreported::noted;
use super::{Scene, bounded};
use crate::calendar::Timeline;
use crate::cli::terminal::times::span;
use crate::config::{CalendarPlace, CalendarSource, OwnersPath, Subscription};
use crate::signals::calendar::once::{self, Need, Outcome, Source, Unread};

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
    let checked = futures_util::future::join_all(checks).await;
    let folders = checked.iter().map(|checked| checked.folders).sum();
    let owners: BTreeSet<String> = checked.iter().flat_map(|checked| checked.owners.iter().cloned()).collect();
    let suggestion = calendar.identity.is_empty().then(|| suggest_identity(&owners)).flatten();
    (checked.into_iter().map(|checked| checked.check).chain(suggestion).collect(), folders)
}

/// What came of checking one source.
struct Checked {
    check: Check,
    /// How many folders were searched.
    folders: usize,
    /// The addresses that its calendars are named after.
    owners: Vec<String>,
}

impl Checked {
    fn new(check: Check, folders: usize, outcome: Option<&Outcome>) -> Self {
        let read = outcome.into_iter().flat_map(|outcome| &outcome.read);
        Self { check, folders, owners: read.filter_map(|(_, report)| report.owner.clone()).collect() }
    }
}

async fn check_source(source: &CalendarSource, identity: &[String], scene: &Scene<'_>) -> Checked {
    let subject = match &source.place {
        CalendarPlace::Path(folder) | CalendarPlace::Owners(OwnersPath { path: folder, .. }) => path(folder),
        CalendarPlace::Subscription(subscription) => private(Kind::Host, subscription.url.to_string()),
    };
    let places = once::places(source, &scene.environment.cache_dir);
    let late = || Checked::new(Check::failed(GROUP, NAME, "it could not be read within 10 s").with_hint(SLOW), 0, None);
    let check = async {
        match &source.place {
            CalendarPlace::Path(folder) | CalendarPlace::Owners(OwnersPath { path: folder, .. }) => {
                let Some(outcome) = read(places.clone(), identity, scene).await else { return late() };
                let check = noted(of_files(folder, &outcome), outcome.unreported.as_ref());
                Checked::new(check, outcome.folders, Some(&outcome))
            }
            CalendarPlace::Subscription(subscription) => {
                let copied_at = once::confirmed_at(subscription, &scene.environment.cache_dir);
                let published = once::is_published(subscription);
                let copy =
                    async { if copied_at.is_some() { read(places.clone(), identity, scene).await } else { None } };
                let (published, copy) = tokio::join!(published, copy);
                let now = scene.now.wall;
                let check = of_subscription(subscription, published, copied_at.zip(copy.as_ref()), now);
                Checked::new(check, 1, copy.as_ref())
            }
        }
    };
    let mut checked = bounded(check).await.unwrap_or_else(late);
    checked.check = checked.check.of(subject);
    if source.optional {
        checked.check.verdict = checked.check.verdict.min(Verdict::Warning);
    }
    checked
}

/// A primary Google calendar says whose it is. Without `identity`, what that person declined makes them busy.
fn suggest_identity(owners: &BTreeSet<String>) -> Option<Check> {
    if owners.is_empty() {
        return None;
    }
    let quoted = |owner: &String| private(Kind::Mail, toml::Value::from(owner.as_str()).to_string());
    let found = "presenced does not know which invitations are yours, so those you declined make you busy";
    let hint = text!["add this line below [signals.calendar]: `identity = ["]
        .join(Text::list(owners.iter().map(quoted)))
        .then("]`");
    Some(Check::warning(GROUP, "identity", found).with_hint(hint))
}

const SLOW: &str = "if it is on another machine, check that the machine responds";

/// Reads a source on a thread that may block. `None` if the thread fails.
async fn read(places: Vec<Source>, identity: &[String], scene: &Scene<'_>) -> Option<Outcome> {
    let (identity, now, zone) = (identity.to_owned(), scene.now.wall, scene.now.zone.clone());
    let read = move || {
        let day = jiff::SignedDuration::from_hours(24);
        let window = (now.saturating_sub(day), now.saturating_add(day));
        let (from, to) = (window.0.unwrap_or(now), window.1.unwrap_or(now));
        once::read(&places, &mut Timeline::new(identity, zone, from, to))
    };
    tokio::task::spawn_blocking(read).await.ok()
}

fn contents(outcome: &Outcome) -> Text {
    let events: usize = outcome.read.iter().map(|(_, report)| report.events).sum();
    Text::list([count(outcome.read.len(), "file", "files"), count(events, "event", "events")])
}

fn of_files(place: &Path, outcome: &Outcome) -> Check {
    if let Some(first) = outcome.needed().or_else(|| outcome.unread.first()) {
        return of_unread(first, outcome);
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

/// Something does not count. `first` is what matters most.
fn of_unread(first: &Unread, outcome: &Outcome) -> Check {
    let details = [first].into_iter().chain(outcome.unread.iter().filter(|unread| *unread != first));
    let details = details
        .take(MAX_SKIPPED_LISTED)
        .map(|unread| text!["the calendar ", path(&unread.path), " ", foreign(&unread.reason)]);
    let is_cut = first.line.is_some();
    let check = match first.need {
        Need::Named if is_cut => Check::failed(GROUP, NAME, "it is not whole, so the calendar is unknown"),
        Need::Named => Check::failed(GROUP, NAME, "it cannot be read, so the calendar is unknown"),
        Need::Found | Need::Optional => {
            let left_out = text![count(outcome.unread.len(), "part is left out", "parts are left out")];
            Check::warning(GROUP, NAME, contents(outcome).then("; ").join(left_out))
        }
    };
    check.with_details(details).with_hint(if is_cut {
        "if no program is writing it, save it or download it again"
    } else {
        "correct the path in [signals.calendar], or give presenced's user permission to read it"
    })
}

/// The skipped parts of the files that count.
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
    copy: Option<(Timestamp, &Outcome)>,
    now: Timestamp,
) -> Check {
    let age = |at: Timestamp| Part::Plain(span(now.duration_since(at)).into());
    match (published, copy) {
        (Ok(()), None) => Check::ok(GROUP, NAME, "it is published; there is no local copy yet"),
        (Ok(()), Some((_, outcome))) if !outcome.unread.is_empty() => of_files(Path::new(""), outcome),
        (Ok(()), Some((at, outcome))) => {
            let text = text!["it is published; copied ", age(at), " ago, "].join(contents(outcome));
            let old = now.duration_since(at).unsigned_abs() > subscription.refresh * 3;
            if old {
                let hint = "presenced fetches it while it is running: `systemctl --user start presenced`";
                return Check::warning(GROUP, NAME, text).with_hint(hint);
            }
            Check { found: text, ..of_files(Path::new(""), outcome) }
        }
        (Err(failure), copy) => {
            let hint = failure.hint.clone().map_or_else(
                || Text::from("check that this machine can reach that host; presenced keeps trying"),
                |hint| foreign(hint).into(),
            );
            let check = match copy.filter(|(_, outcome)| outcome.unread.is_empty()) {
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
