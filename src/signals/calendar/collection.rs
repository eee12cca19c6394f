//! The calendar files as they were last read: which source each belongs to, what was wrong with it, and the timelines that they
//! form together.
//!
//! A file counts only when it is whole. Until it is, and while it cannot be read, its last good reading counts. Everything here
//! may block on the file system. Leaves to others: when to look (the parent module), and what a fault means (`fault`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::fault::{self, Loss, Need, Since, Trouble, Why};
use super::files::{self, Found, Origin, Source, Stamp};
use super::timelines::Timelines;
use super::whose::Whose;
use crate::calendar::{FileReport, Schedule, SourceId};
use crate::config::{self, CalendarPlace};
use crate::file_watch::{Changes, FileWatch, Unreported};
use crate::policy::Reading;
use crate::signals::backoff::{Backoff, until};
use crate::signals::{Observation, unwatched};
use crate::time::{Clock, Instant, Now};
use crate::warning::Warning;

/// How far the window reaches into the past, for an event that has already begun and for a clock that is set back.
const WINDOW_BEHIND: Duration = Duration::from_hours(24);

/// How far the window reaches into the future.
const WINDOW_AHEAD: Duration = Duration::from_hours(3 * 24);

/// How long the window stays before it is moved.
const WINDOW_STAYS: Duration = Duration::from_hours(24);

/// At most this many warnings of one kind are published.
const MAX_WARNINGS_PER_KIND: usize = 20;

/// The same for the calendars of many owners, because one cause can affect all of them.
const MAX_WARNINGS_OF_OWNERS: usize = 3;

/// All calendar files.
#[derive(Debug)]
pub(super) struct Collection {
    /// The files and folders.
    paths: Vec<(SourceId, Source)>,
    subscriptions: Vec<Subscribed>,
    watch: FileWatch,
    timelines: Timelines,
    /// When the window was last set.
    window_set_at: Timestamp,
    zone: TimeZone,
    files: HashMap<PathBuf, File>,
    /// The files of which parts were skipped, or zones are not known. Kept apart, because nearly all of many thousands are fine.
    partial: BTreeMap<PathBuf, FileReport>,
    /// The files that do not count as they are now.
    lost_files: BTreeMap<PathBuf, Loss>,
    folders: BTreeMap<PathBuf, Origin>,
    /// The sources and folders that cannot be read.
    lost_places: BTreeMap<PathBuf, Loss>,
    /// When everything was last brought up to date.
    updated_at: Instant,
    /// Whether there is something that was not published yet.
    touched: bool,
    /// The owners whose calendars were unknown when they were last looked at.
    unknown: BTreeSet<Whose>,
}

/// A subscription: only presenced writes its file, so it needs no watching.
#[derive(Debug)]
struct Subscribed {
    origin: Origin,
    copy: PathBuf,
    /// Its host.
    name: String,
    warning: Option<Warning>,
}

#[derive(Debug)]
struct File {
    origin: Origin,
    /// `None`: it must be read again in any case.
    stamp: Option<Stamp>,
    /// Whether it was whole once, so that its last good reading is in the timeline.
    was_whole: bool,
}

impl Collection {
    /// Has read nothing yet. `copy_of` says where the copy of a subscription is kept.
    pub(super) fn new(
        config: config::Calendar,
        copy_of: impl Fn(&config::Subscription) -> PathBuf,
        watch: FileWatch,
        now: &Now,
    ) -> Self {
        let (mut paths, mut subscriptions) = (Vec::new(), Vec::new());
        for (source, configured) in (0..).map(SourceId).zip(config.sources) {
            let optional = configured.optional;
            match configured.place {
                CalendarPlace::Path(path) => paths.push((source, Source::shared(path, optional))),
                CalendarPlace::Subscription(subscription) => subscriptions.push(Subscribed {
                    origin: Origin { source, need: Need::of_source(optional), whose: Whose::Everybody },
                    copy: copy_of(&subscription),
                    name: subscription.url.to_string(),
                    warning: None,
                }),
                // Read by `owners`.
                CalendarPlace::Owners(_) => {}
            }
        }
        Self { subscriptions, ..Self::of_files(paths, config.identity, watch, now) }
    }

    /// Has read nothing yet of these files and folders.
    pub(super) fn of_files(paths: Vec<(SourceId, Source)>, identity: Vec<String>, watch: FileWatch, now: &Now) -> Self {
        Self {
            paths,
            subscriptions: Vec::new(),
            watch,
            timelines: Timelines::new(identity, now.zone.clone(), window(now.wall)),
            window_set_at: now.wall,
            zone: now.zone.clone(),
            files: HashMap::new(),
            partial: BTreeMap::new(),
            lost_files: BTreeMap::new(),
            folders: BTreeMap::new(),
            lost_places: BTreeMap::new(),
            updated_at: now.instant,
            touched: true,
            unknown: BTreeSet::new(),
        }
    }

    /// Brings everything up to date with `changes` and the time. Stops between two files when its result is not `wanted` any more.
    pub(super) fn update(&mut self, changes: &Changes, now: &Now, wanted: impl Fn() -> bool) {
        let is_due = self.dues().any(|due| due <= now.instant);
        self.touched |= is_due;
        self.updated_at = now.instant;
        let is_other_zone = now.zone != self.zone;
        if is_other_zone {
            self.touched = true;
            self.zone = now.zone.clone();
            self.timelines.set_zone(&now.zone);
            // A UTC time beside whole days means a date in the system's zone, so each file may say something else now.
            self.files.values_mut().for_each(|file| file.stamp = None);
        }
        if !self.is_current(now) {
            self.touched = true;
            self.window_set_at = now.wall;
            self.timelines.set_window(window(now.wall));
        }
        let known = match changes {
            Changes::Everything => false,
            Changes::Paths(paths) => paths.iter().take_while(|_| wanted()).all(|path| self.update_path(path, now)),
        };
        if !known || is_due || is_other_zone {
            self.look(now, wanted);
        }
    }

    /// The moments after the last update at which something changes by itself.
    fn dues(&self) -> impl Iterator<Item = Instant> {
        let losses = self.lost_files.values().chain(self.lost_places.values());
        losses.filter_map(Loss::due).filter(|due| *due > self.updated_at)
    }

    /// Whether everything that depends on the time is still as it was at the last update.
    fn is_current(&self, now: &Now) -> bool {
        now.zone == self.zone
            && (earlier(self.window_set_at, WINDOW_BEHIND / 2)..later(self.window_set_at, WINDOW_STAYS))
                .contains(&now.wall)
    }

    /// What is wrong with the `number`th subscription, from 0.
    pub(super) fn set_subscription_warning(&mut self, number: usize, warning: Option<Warning>) {
        let known = &mut self.subscriptions[number].warning;
        self.touched |= *known != warning;
        *known = warning;
    }

    /// Where the files are, or some of them, for people. A file system that does not report every change comes first: it may be on
    /// another machine, which may not answer.
    pub(super) fn place(&self) -> &Path {
        let unreported = self.watch.unreported().map(Unreported::place);
        let configured = || self.paths.first().map(|(_, source)| source.path.as_path());
        let copy = || self.subscriptions.first().map(|subscription| subscription.copy.as_path());
        unreported.or_else(configured).or_else(copy).unwrap_or(Path::new("/"))
    }

    /// Waits until something may have changed: a file, or what depends on the time. Files that change before `collects_until` are
    /// one change.
    pub(super) async fn next_changes(
        &mut self,
        backoff: &mut Backoff,
        collects_until: Option<Instant>,
        clock: &dyn Clock,
    ) -> Changes {
        let now = clock.now();
        if !self.is_current(&now) {
            return nothing();
        }
        let retry = if self.needs_retry() {
            Some(backoff.next(now.instant))
        } else {
            *backoff = Backoff::new();
            None
        };
        let (window_moves, due) = (later(self.window_set_at, WINDOW_STAYS), self.dues().min());
        let collected = async {
            if let Some(end) = collects_until {
                clock.sleep_until(end).await;
            }
            self.watch.changed(clock).await
        };
        tokio::select! {
            changes = collected => changes,
            () = clock.sleep_until_wall(window_moves) => nothing(),
            () = until(clock, due) => nothing(),
            () = until(clock, retry) => Changes::Everything,
        }
    }

    /// Whether something failed that may pass without a change in a watched folder.
    fn needs_retry(&self) -> bool {
        let mut losses = self.lost_files.values().chain(self.lost_places.values());
        !self.watch.failures().is_empty() || losses.any(Loss::is_passing)
    }

    /// Handles a change of what is at `path`. False: it may be more than one file, so everything must be looked at.
    fn update_path(&mut self, path: &Path, now: &Now) -> bool {
        if let Some(subscription) = self.subscriptions.iter().find(|subscription| subscription.copy == path) {
            let origin = subscription.origin.clone();
            self.read(path, origin, now);
            return true;
        }
        let folder = path.parent().and_then(|folder| self.folders.get(folder));
        let found = folder.map(|origin| path.file_name().and_then(|name| origin.of_file(name)));
        let known = self.files.get(path).map(|file| file.origin.clone());
        let is_named = known.as_ref().is_some_and(|origin| origin.need == Need::Named);
        match (path.symlink_metadata(), known, found) {
            // One that was gone may be a source that was missing.
            (Ok(metadata), Some(origin), _) if metadata.is_file() && !self.is_gone(path) => {
                self.read(path, origin, now);
            }
            (Ok(metadata), None, Some(origin)) if metadata.is_file() => {
                if let Some(origin) = origin {
                    self.read(path, origin, now);
                }
            }
            (Err(error), _, Some(_))
                if error.kind() == io::ErrorKind::NotFound && !is_named && !self.is_folder(path) =>
            {
                self.vanish(path, now);
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
    fn look(&mut self, now: &Now, wanted: impl Fn() -> bool) {
        let Found { mut files, folders, troubles } = self.watch.scan(|| files::find(&self.paths));
        (self.folders, self.touched) = (folders, true);
        self.note_places(troubles, now);
        for subscription in &self.subscriptions {
            files.entry(subscription.copy.clone().into()).or_insert_with(|| subscription.origin.clone());
        }
        let gone =
            self.files.keys().filter(|path| !files.contains_key(path.as_os_str()) && !self.is_behind_trouble(path));
        for path in gone.cloned().collect::<Vec<_>>() {
            self.vanish(&path, now);
        }
        for (path, origin) in files.into_iter().take_while(|_| wanted()) {
            let path = PathBuf::from(path);
            let unchanged = self.files.get(&path).is_some_and(|file| {
                file.origin == origin && file.stamp.is_some() && file.stamp == Stamp::read(&path).ok()
            });
            if !unchanged {
                self.read(&path, origin, now);
            }
        }
    }

    /// Takes over which sources and folders cannot be read.
    fn note_places(&mut self, troubles: Vec<(Origin, Trouble)>, now: &Now) {
        let before = std::mem::take(&mut self.lost_places);
        for (Origin { need, whose, .. }, trouble) in troubles {
            let since = before.get(&trouble.path).map_or_else(|| Since::from(now), |loss| loss.since);
            let known = self.lost_places.get(&trouble.path).map_or(need, |loss| loss.need.max(need));
            let loss = |trouble| Loss { whose, need: known, why: Why::Unread(trouble), since, kept: false };
            self.lost_places.insert(trouble.path.clone(), loss(trouble));
        }
    }

    /// Whether a file may still be there, in a folder that cannot be read or is away.
    fn is_behind_trouble(&self, path: &Path) -> bool {
        // Owners do not all lose their calendars at once because their folder is away for a moment.
        let is_there = |loss: &Loss| match &loss.why {
            Why::Unread(trouble) => {
                !trouble.missing || (matches!(loss.whose, Whose::Each(_)) && loss.need != Need::Optional)
            }
            Why::NotWhole(_) | Why::Gone => false,
        };
        path.ancestors().any(|place| self.lost_places.get(place).is_some_and(is_there))
    }

    fn is_gone(&self, path: &Path) -> bool {
        self.lost_files.get(path).is_some_and(|loss| matches!(loss.why, Why::Gone))
    }

    /// Notes that a file is not there. Its last good reading counts for a moment longer.
    fn vanish(&mut self, path: &Path, now: &Now) {
        let gone = self.lost_files.get(path).filter(|loss| matches!(loss.why, Why::Gone));
        let due = gone.and_then(Loss::due);
        let Some(file) = self.files.get_mut(path) else { return };
        match due {
            None if file.was_whole => {
                file.stamp = None;
                let Origin { need, whose, .. } = file.origin.clone();
                let loss = Loss { whose, need, why: Why::Gone, since: now.into(), kept: true };
                self.lost_files.insert(path.to_owned(), loss);
            }
            Some(due) if now.instant < due => return,
            None | Some(_) => {
                let whose = file.origin.whose.clone();
                self.files.remove(path);
                self.lost_files.remove(path);
                self.partial.remove(path);
                self.timelines.remove(path, &whose);
            }
        }
        self.touched = true;
    }

    /// Reads a file. It is normal for it to have vanished meanwhile.
    fn read(&mut self, path: &Path, origin: Origin, now: &Now) {
        let (stamp, why) = match self.timelines.read(path, &origin) {
            Ok((FileReport { unusable: Some(unusable), .. }, stamp)) => {
                (Some(stamp), Some(Why::NotWhole(unusable.reason)))
            }
            Ok((report, stamp)) => {
                let fine = report.skipped.is_empty() && report.skipped_more == 0 && report.unknown_zones.is_empty();
                if fine {
                    self.partial.remove(path);
                } else {
                    self.partial.insert(path.to_owned(), report);
                }
                (Some(stamp), None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.vanish(path, now),
            Err(error) => (None, Some(Why::Unread(Trouble::unreadable(path, &error)))),
        };
        self.touched = true;
        let was_whole = why.is_none() || self.files.get(path).is_some_and(|file| file.was_whole);
        let before = self.lost_files.remove(path);
        if let Some(why) = why {
            let since = before.map_or_else(|| Since::from(now), |loss| loss.since);
            let Origin { need, whose, .. } = origin.clone();
            self.lost_files.insert(path.to_owned(), Loss { whose, need, why, since, kept: was_whole });
        }
        self.files.insert(path.to_owned(), File { origin, stamp, was_whole });
    }

    /// The schedule, unless a fault makes it unknown, and everything that is wrong. `None`: nothing has changed since the last
    /// call, for instance because the changed file is not a calendar.
    pub(super) fn observe(&mut self, now: &Now) -> Option<Observation<Arc<Schedule>>> {
        std::mem::take(&mut self.touched).then(|| self.observation(now))
    }

    fn observation(&mut self, now: &Now) -> Observation<Arc<Schedule>> {
        self.timelines.take_changed();
        let lacks_copy = |subscription: &Subscribed| !self.files.contains_key(&subscription.copy);
        let lacks_needed =
            |subscription: &Subscribed| lacks_copy(subscription) && subscription.origin.need != Need::Optional;
        let reading = if self.subscriptions.iter().any(lacks_needed) {
            Reading::Unknown
        } else {
            self.reading(&Whose::Everybody, now).map(Arc::new)
        };
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let sources = self.paths.len() + self.subscriptions.len();
        let source = format!("{}, {}", count(sources, "source"), count(self.timelines.events(), "event"));
        // Only presenced writes the copies of subscriptions.
        let watched = (!self.paths.is_empty()).then(|| self.watch.watched());
        Observation { reading, source, warnings: self.warnings(MAX_WARNINGS_PER_KIND, now), watched }
    }

    /// What one calendar says, unless a fault makes it unknown.
    fn reading(&self, whose: &Whose, now: &Now) -> Reading<Schedule> {
        let mut losses = self.losses().map(|(_, loss)| loss).filter(|loss| loss.whose == *whose);
        if losses.any(|loss| loss.effect().is_unknown(now.instant)) {
            return Reading::Unknown;
        }
        Reading::Known(self.timelines.schedule(whose))
    }

    fn losses(&self) -> impl Iterator<Item = (&PathBuf, &Loss)> {
        self.lost_places.iter().chain(&self.lost_files)
    }

    /// Everything that is wrong, at most this many of each kind.
    fn warnings(&self, most: usize, now: &Now) -> Vec<Warning> {
        let (has_copy, without): (Vec<_>, Vec<_>) =
            self.subscriptions.iter().partition(|subscription| self.files.contains_key(&subscription.copy));
        let host = |path: &Path| {
            self.subscriptions.iter().find(|subscription| subscription.copy == *path).map(|copy| copy.name.as_str())
        };
        let lost = self.losses().filter_map(|(path, loss)| loss.warning(path, host(path), now));
        let missing = without
            .iter()
            .map(|Subscribed { warning, name, .. }| warning.clone().unwrap_or_else(|| fault::not_fetched(name)));
        let mut warnings: Vec<Warning> = Vec::new();
        let mut warn = |kind: &mut dyn Iterator<Item = Warning>| warnings.extend(kind.take(most));
        warn(&mut lost.chain(missing));
        warn(&mut has_copy.iter().filter_map(|subscription| subscription.warning.clone()));
        warn(&mut self.partial.values().filter_map(fault::skipped));
        warn(&mut fault::unknown_zones(self.partial.iter()).into_iter());
        warn(&mut unwatched(&self.watch).into_iter());
        warnings
    }

    /// What the owners' calendars say that may have changed since the last call, and everything that is wrong.
    pub(super) fn observe_owners(&mut self, now: &Now) -> OwnersObservation {
        let mut whose = self.timelines.take_changed();
        whose.extend(self.losses().map(|(_, loss)| loss.whose.clone()));
        // Those who have no fault any more.
        whose.extend(std::mem::take(&mut self.unknown));
        let mut readings = Vec::new();
        for whose in whose {
            let reading = self.reading(&whose, now);
            if reading == Reading::Unknown {
                self.unknown.insert(whose.clone());
            }
            let is_gone = reading != Reading::Unknown && !self.timelines.has(&whose);
            readings.push((whose, if is_gone { Reading::Off } else { reading }));
        }
        let is_known = |(whose, reading): &(Whose, _)| matches!(whose, Whose::Owner(_)) || *reading != Reading::Unknown;
        let is_known = readings.iter().all(is_known);
        let of_owner = |(whose, reading)| if let Whose::Owner(owner) = whose { Some((owner, reading)) } else { None };
        let readings = readings.into_iter().filter_map(of_owner).collect();
        OwnersObservation { readings, is_known, warnings: self.warnings(MAX_WARNINGS_OF_OWNERS, now) }
    }
}

/// What the owners' calendars say.
#[derive(Debug)]
pub(super) struct OwnersObservation {
    /// By the owner's name; `Off`: there is no file.
    pub(super) readings: Vec<(Arc<str>, Reading<Schedule>)>,
    /// Whether the folders could be read.
    pub(super) is_known: bool,
    pub(super) warnings: Vec<Warning>,
}

pub(super) const fn nothing() -> Changes {
    Changes::Paths(BTreeSet::new())
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
