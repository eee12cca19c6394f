//! Finds the calendars of other programs on this machine, with one module per program.
//!
//! Other programs' folders may contain anything, and may be on a disk that does not respond. So a separate thread searches, with
//! limits on what it reads, while the first questions are asked. The caller waits for the result only up to a limit.

mod evolution;
mod kde;
mod khal;
mod settings;
mod thunderbird;
mod vdirsyncer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::source::Source;
use crate::config::{self, Environment};
use crate::signals::calendar::extent::{Extent, extent};

/// How long the user waits before a message is shown.
const MESSAGE_DELAY: Duration = Duration::from_millis(500);
/// How long the user waits at most.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the events of one calendar are counted.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);
/// How many entries of a folder are read.
const MAX_ENTRIES: usize = 10_000;
/// How many calendars of one program are listed: a longer list is of no use.
const MAX_CALENDARS: usize = 50;

/// The searches, in the order in which their calendars are listed.
const PROGRAMS: [fn(&Home, &mut ProgramCalendars<'_>); 6] =
    [vdirsyncer::find, khal::find, evolution::find, thunderbird::find, kde::find, usual];

/// A calendar that was found.
#[derive(Clone)]
pub(super) struct Find {
    /// The programs that have it.
    pub(super) programs: Vec<&'static str>,
    pub(super) source: Source,
    /// The path after links are resolved. `None` for an address.
    real: Option<PathBuf>,
    /// The owner's addresses, if a program knows them.
    pub(super) identity: Vec<String>,
    /// How much it contains. `None` if that is unknown.
    pub(super) extent: Option<Extent>,
}

/// The results of the search.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) calendars: Vec<Find>,
    /// How many calendars each program has that presenced cannot read.
    pub(super) unread: BTreeMap<&'static str, usize>,
    /// Whether the time ran out before the end of the search.
    pub(super) is_cut: bool,
}

/// A running search.
pub(super) struct Search {
    steps: Receiver<Step>,
}

enum Step {
    /// All calendars of a program.
    Listed(Vec<Find>, BTreeMap<&'static str, usize>),
    /// How much the calendar at this resolved path contains.
    Counted(PathBuf, Extent),
}

impl Search {
    /// Starts the search.
    pub(super) fn start(environment: &Environment) -> Self {
        let (sender, steps) = mpsc::channel();
        let environment = environment.clone();
        // A thread that hangs on a disk ends with the process. Without a thread, nothing is found.
        let _ = thread::Builder::new().spawn(move || search(&environment, &sender));
        Self { steps }
    }

    /// Waits for the results. Calls `tell` once if that takes long.
    pub(super) fn wait(self, tell: impl FnOnce()) -> Findings {
        let (mut findings, mut tell, mut listed) = (Findings::default(), Some(tell), 0);
        let started = now();
        loop {
            let waited = started.elapsed();
            let until = if tell.is_some() { MESSAGE_DELAY } else { SEARCH_TIMEOUT };
            match self.steps.recv_timeout(until.saturating_sub(waited)) {
                Ok(Step::Listed(calendars, unread)) => {
                    findings.calendars.extend(calendars);
                    findings.unread.extend(unread);
                    listed += 1;
                }
                Ok(Step::Counted(real, extent)) => {
                    let is_it = |find: &&mut Find| find.real.as_ref() == Some(&real);
                    findings.calendars.iter_mut().filter(is_it).for_each(|find| find.extent = Some(extent.clone()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let Some(tell) = tell.take() else { break };
                    tell();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        findings.is_cut = listed < PROGRAMS.len();
        findings.calendars = merged(findings.calendars);
        findings
    }
}

fn search(environment: &Environment, steps: &Sender<Step>) {
    let home = Home::new(environment);
    let mut all = Vec::new();
    for program in PROGRAMS {
        let mut found = ProgramCalendars::new(&home);
        program(&home, &mut found);
        all.extend(found.calendars.iter().cloned());
        // No one waits for the results any more.
        if steps.send(Step::Listed(found.calendars, found.unread)).is_err() {
            return;
        }
    }
    for real in merged(all).into_iter().filter_map(|find| find.real) {
        let started = now();
        let extent = extent(&real, &|| started.elapsed() < COUNT_TIMEOUT);
        if steps.send(Step::Counted(real, extent)).is_err() {
            return;
        }
    }
}

/// The usual folders for calendars.
fn usual(home: &Home, found: &mut ProgramCalendars) {
    for folder in [home.join(".calendars"), home.data.join("calendars")] {
        found.file(ANY_PROGRAM, &folder, None);
    }
}

/// Stands for the program of such a folder.
const ANY_PROGRAM: &str = "a folder for calendars";

/// Each calendar once, with all programs that have it. A calendar inside another one is not listed, and neither is a usual folder
/// that contains a listed calendar.
fn merged(found: Vec<Find>) -> Vec<Find> {
    let mut calendars: Vec<Find> = Vec::new();
    for find in found {
        let is_same = |known: &&mut Find| {
            known.real == find.real && (find.real.is_some() || known.source.means == find.source.means)
        };
        match calendars.iter_mut().find(is_same) {
            Some(known) => {
                known.programs.extend(find.programs);
                let more = find.identity.into_iter().filter(|address| !known.identity.contains(address));
                known.identity.extend(more.collect::<Vec<_>>());
                known.extent = known.extent.take().or(find.extent);
            }
            None => calendars.push(find),
        }
    }
    for find in calendars.iter_mut().filter(|find| find.programs.len() > 1) {
        find.programs.retain(|program| *program != ANY_PROGRAM);
        find.programs.dedup();
    }
    let is_inside = |inner: &Find, outer: &Find| {
        let (Some(inner), Some(outer)) = (&inner.real, &outer.real) else { return false };
        inner != outer && inner.starts_with(outer)
    };
    let is_of_any_program = |find: &Find| find.programs == [ANY_PROGRAM];
    let keep = |find: &Find| {
        !calendars.iter().any(|other| {
            if is_of_any_program(find) {
                is_inside(find, other) || is_inside(other, find)
            } else {
                is_inside(find, other) && !is_of_any_program(other)
            }
        })
    };
    calendars.iter().filter(|find| keep(find)).cloned().collect()
}

/// The calendars of one program.
struct ProgramCalendars<'h> {
    home: &'h Home,
    calendars: Vec<Find>,
    unread: BTreeMap<&'static str, usize>,
}

impl<'h> ProgramCalendars<'h> {
    fn new(home: &'h Home) -> Self {
        Self { home, calendars: Vec::new(), unread: BTreeMap::new() }
    }

    /// Adds the calendar at a path: an .ics file or a folder. A missing path is ignored.
    fn file(&mut self, program: &'static str, path: &Path, identity: impl IntoIterator<Item = String>) {
        let Ok(real) = fs::canonicalize(path) else { return };
        let is_calendar = real.is_dir() || real.is_file() && is_ics(&real);
        if !is_calendar {
            return;
        }
        match Source::at(path, &self.home.environment) {
            Ok(source) => self.add(program, source, Some(real), identity),
            Err(_) => self.cannot_read(program),
        }
    }

    /// Adds a calendar that is published at an address.
    fn address(&mut self, program: &'static str, url: &str, identity: impl IntoIterator<Item = String>) {
        match Source::published(url, &self.home.environment) {
            Ok(source) => self.add(program, source, None, identity),
            Err(_) => self.cannot_read(program),
        }
    }

    /// Counts a calendar that presenced cannot read.
    fn cannot_read(&mut self, program: &'static str) {
        *self.unread.entry(program).or_default() += 1;
    }

    fn add(
        &mut self,
        program: &'static str,
        source: Source,
        real: Option<PathBuf>,
        identity: impl IntoIterator<Item = String>,
    ) {
        if self.calendars.len() < MAX_CALENDARS {
            let identity = identity.into_iter().filter(|address| address.contains('@')).collect();
            self.calendars.push(Find { programs: vec![program], source, real, identity, extent: None });
        }
    }
}

/// The user's folders.
struct Home {
    environment: Environment,
    /// `$XDG_CONFIG_HOME`.
    config: PathBuf,
    /// `$XDG_DATA_HOME`.
    data: PathBuf,
}

impl Home {
    fn new(environment: &Environment) -> Self {
        let folder = |name: &str, usual: &str| {
            let named = environment.var(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
            named.unwrap_or_else(|| environment.home.join(usual))
        };
        Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            data: folder("XDG_DATA_HOME", ".local/share"),
            environment: environment.clone(),
        }
    }

    fn join(&self, path: &str) -> PathBuf {
        self.environment.home.join(path)
    }

    fn var(&self, name: &str) -> Option<String> {
        self.environment.var(name)
    }

    /// Replaces `~` by the home folder.
    fn tilde(&self, path: &str) -> PathBuf {
        path.strip_prefix("~/").map_or_else(|| path.into(), |rest| self.join(rest))
    }

    /// Replaces `~` and variables.
    fn expand(&self, path: &str) -> Option<PathBuf> {
        config::expand(path, &self.environment).ok().map(PathBuf::from)
    }
}

/// The entries of a folder that are not hidden, sorted. Empty if the folder cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let entries = entries.take(MAX_ENTRIES).flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| !is_hidden(path)).collect();
    paths.sort();
    paths
}

fn is_ics(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ics"))
}

/// The calendars of a folder: the folder itself if it has .ics files, otherwise its subfolders.
fn collections(folder: &Path) -> Vec<PathBuf> {
    let entries = entries(folder);
    if entries.iter().any(|path| is_ics(path)) {
        return vec![folder.to_owned()];
    }
    let folders: Vec<_> = entries.into_iter().filter(|path| path.is_dir()).collect();
    if (1..=MAX_CALENDARS).contains(&folders.len()) { folders } else { vec![folder.to_owned()] }
}

/// The paths that match a pattern with `*` and `?`, sorted.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        let Some(pattern) = part.to_str().filter(|part| part.contains(['*', '?'])) else {
            for path in &mut paths {
                path.push(part);
            }
            continue;
        };
        let fits = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|n| fits(pattern, n));
        paths = paths.iter().flat_map(|path| entries(path)).filter(fits).take(MAX_ENTRIES).collect();
    }
    paths
}

/// Whether `name` matches `pattern`: `*` matches any characters, `?` matches one.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The position after the last `*`, and the end of what it matches so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                star = Some((at, seen));
            }
            Some(char) if *char == '?' || *char == name[seen] => {
                at += 1;
                seen += 1;
            }
            Some(_) | None => match &mut star {
                Some((behind, up_to)) => {
                    *up_to += 1;
                    (at, seen) = (*behind, *up_to);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}

#[expect(clippy::disallowed_types, reason = "the user waits in real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
pub(super) mod tests;
