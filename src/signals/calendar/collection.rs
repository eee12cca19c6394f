//! The calendar files as they were last read: which source each belongs to, what was wrong with it, and the timeline that they
//! form together.
//!
//! Everything here may block on the file system. Leaves to others: when to look (the parent module).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::files::{self, Found, Stamp, Trouble};
use crate::calendar::{FileReport, Schedule, SourceId, Timeline};
use crate::config::{self, CalendarSource};
use crate::file_watch::{Changes, FileWatch};
use crate::policy::Reading;
use crate::signals::{Observation, unwatched};
use crate::time::{Clock, Now};
use crate::warning::{Code, Warning};

/// How far the window reaches into the past, for an event that has already begun and for a clock that is set back.
const WINDOW_BEHIND: Duration = Duration::from_hours(24);

/// How far the window reaches into the future.
const WINDOW_AHEAD: Duration = Duration::from_hours(3 * 24);

/// How long the window stays before it is moved.
const WINDOW_STAYS: Duration = Duration::from_hours(24);

/// At most this many warnings of one kind are published.
const MAX_WARNINGS_PER_KIND: usize = 20;

/// All calendar files.
#[derive(Debug)]
pub(super) struct Collection {
    /// The files and folders.
    paths: Vec<(SourceId, PathBuf)>,
    subscriptions: Vec<Subscribed>,
    watch: FileWatch,
    timeline: Timeline,
    /// When the window was last set.
    window_set_at: Timestamp,
    zone: TimeZone,
    files: BTreeMap<PathBuf, File>,
    /// What is wrong with which files. Kept apart, because nearly all of many thousands are fine.
    faults: BTreeMap<PathBuf, Fault>,
    folders: BTreeMap<PathBuf, SourceId>,
    troubles: Vec<Trouble>,
    /// Whether there is something that was not published yet.
    touched: bool,
}

/// A subscription: only presenced writes its file, so it needs no watching.
#[derive(Debug)]
struct Subscribed {
    source: SourceId,
    copy: PathBuf,
    /// Its host.
    name: String,
    warning: Option<Warning>,
}

#[derive(Debug)]
struct File {
    source: SourceId,
    stamp: Option<Stamp>,
}

/// What is wrong with a file.
#[derive(Debug)]
enum Fault {
    /// Parts of it were skipped, or its zones are not known.
    Partial(FileReport),
    Unread(Trouble),
}

impl Collection {
    /// Has read nothing yet. `copy_of` says where the copy of a subscription is kept.
    pub(super) fn new(
        config: config::Calendar,
        copy_of: impl Fn(&config::Subscription) -> PathBuf,
        watch: FileWatch,
        now: &Now,
    ) -> Self {
        let (from, to) = window(now.wall);
        let (mut paths, mut subscriptions) = (Vec::new(), Vec::new());
        for (source, configured) in (0..).map(SourceId).zip(config.sources) {
            match configured {
                CalendarSource::Path(path) => paths.push((source, path)),
                CalendarSource::Subscription(subscription) => subscriptions.push(Subscribed {
                    source,
                    copy: copy_of(&subscription),
                    name: subscription.url.to_string(),
                    warning: None,
                }),
            }
        }
        Self {
            paths,
            subscriptions,
            watch,
            timeline: Timeline::new(config.identity, now.zone.clone(), from, to),
            window_set_at: now.wall,
            zone: now.zone.clone(),
            files: BTreeMap::new(),
            faults: BTreeMap::new(),
            folders: BTreeMap::new(),
            troubles: Vec::new(),
            touched: true,
        }
    }

    /// Brings everything up to date with `changes` and the time. Stops between two files when its result is not `wanted` any more.
    pub(super) fn update(&mut self, changes: &Changes, now: &Now, wanted: impl Fn() -> bool) {
        if now.zone != self.zone {
            self.touched = true;
            self.zone = now.zone.clone();
            self.timeline.set_zone(now.zone.clone());
        }
        if !self.is_current(now) {
            self.touched = true;
            self.window_set_at = now.wall;
            let (from, to) = window(now.wall);
            self.timeline.set_window(from, to);
        }
        let known = match changes {
            Changes::Everything => false,
            Changes::Paths(paths) => paths.iter().take_while(|_| wanted()).all(|path| self.update_path(path)),
        };
        if !known {
            self.look(wanted);
        }
    }

    /// Whether everything that depends on the time is still as it was at the last update.
    pub(super) fn is_current(&self, now: &Now) -> bool {
        now.zone == self.zone
            && (earlier(self.window_set_at, WINDOW_BEHIND / 2)..self.window_moves()).contains(&now.wall)
    }

    /// What is wrong with the `number`th subscription, from 0.
    pub(super) fn set_subscription_warning(&mut self, number: usize, warning: Option<Warning>) {
        let known = &mut self.subscriptions[number].warning;
        self.touched |= *known != warning;
        *known = warning;
    }

    /// When the window must be moved.
    pub(super) fn window_moves(&self) -> Timestamp {
        later(self.window_set_at, WINDOW_STAYS)
    }

    /// Waits for changes.
    pub(super) async fn changed(&mut self, clock: &dyn Clock) -> Changes {
        self.watch.changed(clock).await
    }

    /// Whether something failed that may pass without a change in a watched folder.
    pub(super) fn needs_retry(&self) -> bool {
        let unread = self.faults.values().filter_map(|fault| match fault {
            Fault::Unread(trouble) => Some(trouble),
            Fault::Partial(_) => None,
        });
        !self.watch.failures().is_empty() || self.troubles.iter().chain(unread).any(|trouble| trouble.passing)
    }

    /// Handles a change of what is at `path`. False: it may be more than one file, so everything must be looked at.
    fn update_path(&mut self, path: &Path) -> bool {
        if let Some(subscription) = self.subscriptions.iter().find(|subscription| subscription.copy == path) {
            self.read(path, subscription.source);
            return true;
        }
        let folder = path.parent().and_then(|folder| self.folders.get(folder)).copied();
        let known = self.files.get(path).map(|file| file.source);
        let calendar = path.file_name().is_some_and(files::is_calendar);
        match (path.symlink_metadata(), known, folder) {
            (Ok(metadata), Some(source), _) if metadata.is_file() => self.read(path, source),
            (Ok(metadata), None, Some(source)) if metadata.is_file() => {
                if calendar {
                    self.read(path, source);
                }
            }
            (Err(error), _, Some(_)) if error.kind() == io::ErrorKind::NotFound && !self.is_folder(path) => {
                self.forget(path);
            }
            (Ok(_) | Err(_), _, _) => return false,
        }
        true
    }

    /// Whether `path` was a folder, or contained one, when it was last looked at.
    fn is_folder(&self, path: &Path) -> bool {
        self.folders.range(path.to_owned()..).next().is_some_and(|(folder, _)| folder.starts_with(path))
    }

    /// Looks for all files, reads those that are new or changed, and forgets those that are gone.
    fn look(&mut self, wanted: impl Fn() -> bool) {
        let Found { mut files, folders, troubles } = self.watch.scan(|| files::find(&self.paths));
        (self.folders, self.troubles, self.touched) = (folders, troubles, true);
        for subscription in &self.subscriptions {
            files.entry(subscription.copy.clone()).or_insert(subscription.source);
        }
        let gone: Vec<PathBuf> = self.files.keys().filter(|path| !files.contains_key(*path)).cloned().collect();
        for path in gone {
            self.forget(&path);
        }
        for (path, source) in files.into_iter().take_while(|_| wanted()) {
            let unchanged = self.files.get(&path).is_some_and(|file| {
                file.source == source && file.stamp.is_some() && file.stamp == Stamp::read(&path).ok()
            });
            if !unchanged {
                self.read(&path, source);
            }
        }
    }

    fn forget(&mut self, path: &Path) {
        if self.files.remove(path).is_some() {
            self.touched = true;
            self.faults.remove(path);
            self.timeline.remove(path);
        }
    }

    /// Reads a file. It is normal for it to have vanished meanwhile.
    fn read(&mut self, path: &Path, source: SourceId) {
        let (stamp, fault) = match files::read(&mut self.timeline, source, path) {
            Ok((report, stamp)) => {
                let fine = report.skipped.is_empty() && report.skipped_more == 0 && report.unknown_zones.is_empty();
                (Some(stamp), (!fine).then_some(Fault::Partial(report)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.forget(path),
            Err(error) => {
                self.timeline.remove(path);
                (None, Some(Fault::Unread(Trouble::unreadable(path, &error))))
            }
        };
        self.touched = true;
        self.files.insert(path.to_owned(), File { source, stamp });
        match fault {
            Some(fault) => drop(self.faults.insert(path.to_owned(), fault)),
            None => drop(self.faults.remove(path)),
        }
    }

    /// The schedule, unless something could not be read, and everything that is wrong. `None`: nothing has changed since the
    /// last call, for instance because the changed file is not a calendar.
    pub(super) fn observe(&mut self) -> Option<Observation<Arc<Schedule>>> {
        std::mem::take(&mut self.touched).then(|| self.observation())
    }

    fn observation(&self) -> Observation<Arc<Schedule>> {
        let mut warnings: Vec<Warning> = self.troubles.iter().map(|trouble| trouble.warning.clone()).collect();
        let missing = self.subscriptions.iter().filter(|subscription| !self.files.contains_key(&subscription.copy));
        warnings.extend(missing.map(Subscribed::missing));
        let mut skipped = Vec::new();
        let mut zones: BTreeSet<(&str, &Path)> = BTreeSet::new();
        for (path, fault) in &self.faults {
            match fault {
                Fault::Unread(trouble) => warnings.push(trouble.warning.clone()),
                Fault::Partial(report) => {
                    skipped.extend(skipped_warning(report));
                    for zone in &report.unknown_zones {
                        if zones.range((zone.as_str(), Path::new(""))..).next().is_none_or(|next| next.0 != zone) {
                            zones.insert((zone, path));
                        }
                    }
                }
            }
        }
        let reading =
            if warnings.is_empty() { Reading::Known(Arc::new(self.timeline.schedule())) } else { Reading::Unknown };
        let stale = self.subscriptions.iter().filter(|subscription| self.files.contains_key(&subscription.copy));
        let stale: Vec<Warning> = stale.filter_map(|subscription| subscription.warning.clone()).collect();
        let zones: Vec<Warning> = zones.into_iter().map(|(zone, path)| zone_warning(zone, path)).collect();
        let mut warnings: Vec<Warning> = [warnings, stale, skipped, zones]
            .into_iter()
            .flat_map(|kind| kind.into_iter().take(MAX_WARNINGS_PER_KIND))
            .collect();
        warnings.extend(unwatched(&self.watch).into_iter().take(MAX_WARNINGS_PER_KIND));
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let sources = self.paths.len() + self.subscriptions.len();
        let source = format!("{}, {}", count(sources, "source"), count(self.timeline.events(), "event"));
        Observation { reading, source, warnings }
    }
}

impl Subscribed {
    /// The warning for a subscription without a copy.
    fn missing(&self) -> Warning {
        self.warning.clone().unwrap_or_else(|| Warning {
            code: Code::CalendarUnreadable,
            text: format!("The calendar subscription at {} has not been fetched yet.", self.name),
            hint: "Wait a moment: presenced is fetching it.".to_owned(),
        })
    }
}

/// The window at `now`.
fn window(now: Timestamp) -> (Timestamp, Timestamp) {
    (earlier(now, WINDOW_BEHIND), later(now, WINDOW_AHEAD))
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// One warning for everything that was skipped in a file.
fn skipped_warning(report: &FileReport) -> Option<Warning> {
    let first = report.skipped.first()?;
    let more = report.skipped.len() - 1 + report.skipped_more;
    let others = if more == 0 { String::new() } else { format!(" (and {more} more in this file)") };
    Some(Warning {
        code: Code::CalendarSkipped,
        text: format!("Skipped at {}:{}: {}{others}.", first.file.display(), first.line, first.reason),
        hint: "`presenced agenda --json` lists everything that is skipped; the rest of the file counts.".to_owned(),
    })
}

fn zone_warning(zone: &str, path: &Path) -> Warning {
    Warning {
        code: Code::CalendarZoneUnknown,
        text: format!("The time zone `{zone}` in {} is not known; the system's zone is used instead.", path.display()),
        hint: "Export the calendar with IANA zone names (Europe/Berlin) or with its VTIMEZONE.".to_owned(),
    }
}
