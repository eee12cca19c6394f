//! Finds the calendars that other programs keep on this machine, one module a program.
//!
//! The folders of others may hold anything, and may lie on a disk that does not answer. So a thread of its own looks, with bounds
//! on what it takes in, while the first questions are asked; who wants the result waits for so long and no longer.

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

/// So long somebody waits without a word.
const TOLD_AFTER: Duration = Duration::from_millis(500);
/// So long somebody waits at all.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// So long the events of one calendar are counted.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);
/// So many entries of a folder are looked at.
const MAX_ENTRIES: usize = 10_000;
/// So many calendars of one program are listed: nobody chooses from more.
const MAX_CALENDARS: usize = 50;

/// Who is asked for calendars, in the order in which they are listed.
const PROGRAMS: [fn(&Home, &mut ProgramCalendars<'_>); 6] =
    [vdirsyncer::find, khal::find, evolution::find, thunderbird::find, kde::find, usual];

/// A calendar that was found.
#[derive(Clone)]
pub(super) struct Find {
    /// The programs that have it.
    pub(super) programs: Vec<&'static str>,
    pub(super) source: Source,
    /// Where it is once links are followed; `None` for an address.
    real: Option<PathBuf>,
    /// Whose it is, where a program says that.
    pub(super) identity: Vec<String>,
    /// How much is in it; `None` where that is not known.
    pub(super) extent: Option<Extent>,
}

/// What came of looking.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) calendars: Vec<Find>,
    /// The programs that have calendars which presenced cannot read, and how many.
    pub(super) unread: BTreeMap<&'static str, usize>,
    /// Whether time was over before all were asked.
    pub(super) is_cut: bool,
}

/// A search that is under way.
pub(super) struct Search {
    steps: Receiver<Step>,
}

enum Step {
    /// All that a program has.
    Listed(Vec<Find>, BTreeMap<&'static str, usize>),
    /// What is in the calendar at this real path.
    Counted(PathBuf, Extent),
}

impl Search {
    /// Begins to look.
    pub(super) fn start(environment: &Environment) -> Self {
        let (sender, steps) = mpsc::channel();
        let environment = environment.clone();
        // One that hangs on a disk ends with the process.
        thread::spawn(move || look(&environment, &sender));
        Self { steps }
    }

    /// What was found. `tell` is called when that takes long enough to wonder.
    pub(super) fn wait(self, tell: impl FnOnce()) -> Findings {
        let (mut findings, mut tell, mut listed) = (Findings::default(), Some(tell), 0);
        let started = now();
        loop {
            let waited = started.elapsed();
            let until = if tell.is_some() { TOLD_AFTER } else { SEARCH_TIMEOUT };
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

fn look(environment: &Environment, steps: &Sender<Step>) {
    let home = Home::new(environment);
    let mut all = Vec::new();
    for program in PROGRAMS {
        let mut found = ProgramCalendars::new(&home);
        program(&home, &mut found);
        all.extend(found.calendars.iter().cloned());
        // Where nobody listens any more there is no use in looking.
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

/// Folders that are for calendars, whoever fills them.
fn usual(home: &Home, found: &mut ProgramCalendars) {
    for folder in [home.join(".calendars"), home.data.join("calendars")] {
        found.file(ANYBODY, &folder, None);
    }
}

/// Nobody's in particular.
const ANYBODY: &str = "a folder for calendars";

/// Each calendar once, with all the programs that have it. One that lies within another is not listed apart, and a folder that
/// is nobody's in particular not beside a part of it.
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
        find.programs.retain(|program| *program != ANYBODY);
        find.programs.dedup();
    }
    let lies_within = |inner: &Find, outer: &Find| {
        let (Some(inner), Some(outer)) = (&inner.real, &outer.real) else { return false };
        inner != outer && inner.starts_with(outer)
    };
    let is_anybodys = |find: &Find| find.programs == [ANYBODY];
    let keep = |find: &Find| {
        !calendars.iter().any(|other| {
            if is_anybodys(find) {
                lies_within(find, other) || lies_within(other, find)
            } else {
                lies_within(find, other) && !is_anybodys(other)
            }
        })
    };
    calendars.iter().filter(|find| keep(find)).cloned().collect()
}

/// What one program has.
struct ProgramCalendars<'h> {
    home: &'h Home,
    calendars: Vec<Find>,
    unread: BTreeMap<&'static str, usize>,
}

impl<'h> ProgramCalendars<'h> {
    fn new(home: &'h Home) -> Self {
        Self { home, calendars: Vec::new(), unread: BTreeMap::new() }
    }

    /// A calendar at a path: a file or a folder of .ics files. One that is not there is none.
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

    /// A calendar that is published at an address.
    fn address(&mut self, program: &'static str, url: &str, identity: impl IntoIterator<Item = String>) {
        match Source::published(url, &self.home.environment) {
            Ok(source) => self.add(program, source, None, identity),
            Err(_) => self.cannot_read(program),
        }
    }

    /// A calendar that presenced cannot read.
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

/// Where the person's files are.
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

    /// A path in which `~` stands for the home folder.
    fn tilde(&self, path: &str) -> PathBuf {
        path.strip_prefix("~/").map_or_else(|| path.into(), |rest| self.join(rest))
    }

    /// A path in which variables count, too.
    fn expand(&self, path: &str) -> Option<PathBuf> {
        config::expand(path, &self.environment).ok().map(PathBuf::from)
    }
}

/// The entries of a folder that are not hidden, in their order; none where it cannot be read.
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

/// The calendars of a folder: itself where it has .ics files, else the folders in it.
fn collections(folder: &Path) -> Vec<PathBuf> {
    let entries = entries(folder);
    if entries.iter().any(|path| is_ics(path)) {
        return vec![folder.to_owned()];
    }
    let folders: Vec<_> = entries.into_iter().filter(|path| path.is_dir()).collect();
    if (1..=MAX_CALENDARS).contains(&folders.len()) { folders } else { vec![folder.to_owned()] }
}

/// The paths that a pattern of `*` and `?` matches, in their order.
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

/// Whether `name` is what `pattern` stands for: `*` for any characters, `?` for one.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Behind the last `*`, and up to where it stands for characters so far.
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

#[expect(clippy::disallowed_types, reason = "how long a person waits is real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
pub(super) mod tests;
