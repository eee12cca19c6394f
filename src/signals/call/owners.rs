//! The call states of many: a folder has a file for each user or each account, named after them.
//!
//! Only the files that changed are read, however many there are, and one watch on the folder serves all. Whoever has no file is
//! in no call. A file that cannot be used makes only its own owner's call unknown. Only regular files count, not links.
//!
//! Leaves to others: what a file says ([`super::claim`]), and who the users are (`daemon/fleet`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::claim::{Claim, unread_warning};
use super::file::Unread;
use super::late;
use crate::file_watch::resolve::{Resolved, WatchSet, is_scratch};
use crate::file_watch::{Changes, FileWatch};
use crate::fill::Fill as _;
use crate::off_the_loop::off_the_loop_or_late;
use crate::policy::{Call, Reading};
use crate::signals::backoff::{Backoff, until, until_wall};
use crate::signals::{Context, Owners, OwnersReadings, Update, unwatched};
use crate::time::{Clock, Instant, Now};
use crate::warning::{Code, Warning};

/// At most this many files are read.
const MAX_FILES: usize = 200_000;

/// At most this many warnings about files are published.
const MAX_WARNINGS: usize = 3;

/// Follows the call states in `folder`. Never returns.
pub async fn run(owners: Owners, folder: PathBuf, stale_after: Option<Duration>, context: Context) {
    let clock = &*context.clock;
    let mut watch = context.file_watcher.subscribe().with_looks();
    let mut files = Files::new(owners, folder, stale_after);
    let mut backoff = Backoff::new();
    let mut changes = Some(Changes::Everything);
    loop {
        let now = clock.now();
        let names = if let Some(changes) = changes {
            let (place, owners) = (files.folder.clone(), files.owners.clone());
            let at = now.clone();
            let look = move || {
                let looked = files.look(&changes, &mut watch, &at);
                (files, watch, looked)
            };
            let late = async {
                let warnings = late(&place, None).warnings;
                let said =
                    OwnersReadings { owners, replaces: false, changed: BTreeMap::new(), is_known: false, warnings };
                publish(&context, said).await;
            };
            let looked;
            (files, watch, looked) = off_the_loop_or_late(look, late).await;
            looked
        } else {
            files.names()
        };
        publish(&context, files.said(&names, &clock.now())).await;
        let retry = if files.unwatched.is_empty() {
            backoff = Backoff::new();
            None
        } else {
            Some(backoff.next(now.instant))
        };
        changes = files.wait(&mut watch, clock, &now, retry).await;
    }
}

async fn publish(context: &Context, said: OwnersReadings<Call>) {
    if context.updates.send(Update::OwnersCalls(said)).await.is_err() {
        // The daemon is shutting down and will drop this task.
        std::future::pending::<()>().await;
    }
}

/// All files.
struct Files {
    owners: Owners,
    /// As configured, and where that leads.
    folder: PathBuf,
    real: PathBuf,
    /// Whether the folder was there once. If it never was, nobody has reported a call yet.
    was_there: bool,
    stale_after: Option<Duration>,
    known: BTreeMap<String, Claim>,
    published: BTreeMap<String, Reading<Call>>,
    /// Nothing was published yet.
    is_first: bool,
    /// Why the folder cannot be read.
    trouble: Option<Warning>,
    unwatched: Vec<Warning>,
}

impl Files {
    fn new(owners: Owners, folder: PathBuf, stale_after: Option<Duration>) -> Self {
        Self {
            owners,
            folder,
            real: PathBuf::new(),
            was_there: false,
            stale_after,
            known: BTreeMap::new(),
            published: BTreeMap::new(),
            is_first: true,
            trouble: None,
            unwatched: Vec::new(),
        }
    }

    /// Reads the files that changed. Returns their names, also of those that are gone.
    fn look(&mut self, changes: &Changes, watch: &mut FileWatch, now: &Now) -> BTreeSet<String> {
        if let (Changes::Paths(paths), None) = (changes, &self.trouble)
            && let Some(names) = self.names_of(paths)
        {
            for name in &names {
                self.read(name, true, now);
            }
            return names;
        }
        let (real, listed) = watch.scan(|| {
            let (watch_set, real, listed) = list(&self.folder);
            (watch_set, (real, listed))
        });
        let is_away = real.is_none() && self.was_there;
        self.was_there |= real.is_some();
        self.real = real.unwrap_or_default();
        self.unwatched = unwatched(watch);
        let mut names = self.names();
        self.trouble = match &listed {
            Err(unread) => Some(unread_warning(&self.folder, unread)),
            Ok(_) if is_away => Some(away(&self.folder)),
            Ok(_) => None,
        };
        if let (Ok(listed), None) = (listed, &self.trouble) {
            let is_first = self.published.is_empty();
            names.extend(listed);
            for name in &names {
                self.read(name, !is_first, now);
            }
        }
        names
    }

    /// The names of the files at `paths`; `None`: something else has changed.
    fn names_of<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Option<BTreeSet<String>> {
        let name = |path: &PathBuf| {
            let name = (path.parent() == Some(&self.real)).then(|| path.file_name())??;
            Some(if is_scratch(name) { None } else { Some(name.to_str()?.to_owned()) })
        };
        paths.into_iter().map(name).collect::<Option<Vec<_>>>().map(|names| names.into_iter().flatten().fill())
    }

    fn names(&self) -> BTreeSet<String> {
        self.known.keys().cloned().collect()
    }

    fn read(&mut self, name: &str, was_missing: bool, now: &Now) {
        let path = self.folder.join(name);
        if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
            self.known.remove(name);
            return;
        }
        if self.known.len() >= MAX_FILES && !self.known.contains_key(name) {
            return;
        }
        let claim = self.known.entry(name.to_owned()).or_insert_with(|| Claim::new(was_missing));
        if !claim.read(&path, self.stale_after, now) {
            self.known.remove(name);
        }
    }

    /// What is to be published about the files of these names.
    fn said(&mut self, names: &BTreeSet<String>, now: &Now) -> OwnersReadings<Call> {
        let mut changed = BTreeMap::new();
        for name in names {
            let reading = match self.known.get(name).map(|claim| claim.at(now)) {
                None => Reading::Off,
                Some(Err(_)) => Reading::Unknown,
                Some(Ok((state, app))) => Reading::Known(Call { state, app: app.map(str::to_owned) }),
            };
            if self.published.get(name).unwrap_or(&Reading::Off) == &reading {
                continue;
            }
            if reading == Reading::Off {
                self.published.remove(name);
            } else {
                self.published.insert(name.clone(), reading.clone());
            }
            changed.insert(name.clone(), reading);
        }
        let broken = self.published.iter().filter(|(_, reading)| **reading == Reading::Unknown);
        let broken = broken.filter_map(|(name, _)| self.known.get(name)?.at(now).err().cloned());
        let warnings =
            self.trouble.iter().cloned().chain(broken.take(MAX_WARNINGS)).chain(self.unwatched.iter().cloned());
        OwnersReadings {
            owners: self.owners.clone(),
            replaces: std::mem::take(&mut self.is_first),
            changed,
            is_known: self.trouble.is_none(),
            warnings: warnings.collect(),
        }
    }

    /// Waits until something may have changed. `None`: not a file, but what one of them says has ended.
    async fn wait(
        &mut self,
        watch: &mut FileWatch,
        clock: &dyn Clock,
        now: &Now,
        retry: Option<Instant>,
    ) -> Option<Changes> {
        let hold = self.known.values().filter_map(|claim| claim.hold_ends(now)).min();
        let expires = self.known.values().filter_map(|claim| claim.expires(now)).min();
        let ended = tokio::select! {
            changes = watch.changed(clock) => return Some(changes),
            () = until(clock, retry) => return Some(Changes::Everything),
            () = until(clock, hold) => return None,
            () = until_wall(clock, expires) => return None,
            name = super::one_ended(&self.known) => name,
        };
        if let Some(claim) = self.known.get_mut(&ended) {
            claim.process_ended();
        }
        None
    }
}

fn away(folder: &Path) -> Warning {
    let folder = folder.display();
    Warning {
        code: Code::CallStateUnreadable,
        text: format!("The folder {folder} with everybody's call states is gone."),
        hint: "Create it again; until the sessions expire, presenced uses what was in it.".to_owned(),
    }
}

/// What must be watched, where the folder is, and the names of its files.
fn list(folder: &Path) -> (WatchSet, Option<PathBuf>, Result<BTreeSet<String>, Unread>) {
    let mut watch_set = WatchSet::default();
    let real = match watch_set.resolve(folder) {
        Resolved::Folder(real) => real,
        Resolved::Missing => return (watch_set, None, Ok(BTreeSet::new())),
        Resolved::File(_) | Resolved::Special => return (watch_set, None, Err(Unread::Special)),
        Resolved::Unreachable(error) => return (watch_set, None, Err(Unread::Io(error))),
    };
    let names = match fs::read_dir(&real) {
        Ok(entries) => {
            watch_set.add_folder(&real);
            let names = entries.flatten().map(|entry| entry.file_name()).filter(|name| !is_scratch(name));
            Ok(names.filter_map(|name| name.into_string().ok()).collect())
        }
        // It has vanished since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (watch_set, None, Ok(BTreeSet::new())),
        Err(error) => {
            watch_set.add_path(&real);
            Err(Unread::Io(error))
        }
    };
    (watch_set, Some(real), names)
}
