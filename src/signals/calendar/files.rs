//! Finding calendar files: the configured files, and the `*.ics` of the configured folders and all folders below them.
//!
//! Leaves to others: when to look and what to remember (`collection`, `once`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::fault::{Need, Trouble};
use super::whose::Whose;
use crate::calendar::{self, FileReport, SourceId, Timeline};
use crate::file_watch::resolve::{Resolved, WatchSet, is_scratch};
use crate::regular_file::{self, Unfit};

/// How deep below a source folders are searched.
const MAX_DEPTH: usize = 16;

/// A source on this machine: a file, or a folder that is searched for `*.ics`.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its absolute path.
    pub(crate) path: PathBuf,
    /// Whether the calendar is known without it.
    pub(crate) optional: bool,
    /// Everybody's, or a folder in which each owner has an entry.
    pub(crate) whose: Whose,
}

impl Source {
    /// A source that is everybody's.
    pub(crate) fn shared(path: PathBuf, optional: bool) -> Self {
        Self { path, optional, whose: Whose::Everybody }
    }
}

/// Why a file or folder is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The first source that has it.
    pub(super) source: SourceId,
    /// The greatest need of all sources that have it.
    pub(super) need: Need,
    pub(super) whose: Whose,
}

impl Origin {
    /// The origin of the file `name` in a folder of this origin; `None`: it is not a calendar.
    pub(super) fn of_file(&self, name: &OsStr) -> Option<Self> {
        match self.whose {
            Whose::Each(suffix) => self.of_entry(name, suffix),
            Whose::Everybody | Whose::Owner(_) => is_calendar(name).then(|| self.clone()),
        }
    }

    /// The origin of an entry in a folder where each entry is another owner's.
    fn of_entry(&self, name: &OsStr, suffix: &str) -> Option<Self> {
        let owner = name.to_str().filter(|_| !is_scratch(name))?.strip_suffix(suffix)?;
        (!owner.is_empty()).then(|| Self { whose: Whose::Owner(owner.into()), ..self.clone() })
    }
}

/// What there is to read.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The files by their real path; a link keeps its own name. Compared as bytes: paths compare by their parts, which takes
    /// much longer.
    pub(super) files: BTreeMap<OsString, Origin>,
    /// The folders that were searched, by their real path, and why their files are there.
    pub(super) folders: BTreeMap<PathBuf, Origin>,
    /// Why sources, or parts of them, cannot be read.
    pub(super) troubles: Vec<(Origin, Trouble)>,
}

impl Found {
    fn file(&mut self, path: PathBuf, origin: Origin) {
        note(&mut self.files, path.into(), origin);
    }
}

fn note<Path: Ord>(known: &mut BTreeMap<Path, Origin>, path: Path, origin: Origin) {
    let need = origin.need;
    let known = known.entry(path).or_insert(origin);
    known.need = known.need.max(need);
}

/// Whether a file of this name in a searched folder is a calendar.
pub(super) fn is_calendar(name: &OsStr) -> bool {
    !is_scratch(name) && Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ics"))
}

/// Looks at all sources.
pub(super) fn find(sources: &[(SourceId, Source)]) -> (WatchSet, Found) {
    find_while(sources, &|| true)
}

/// Looks at all sources while `has_time`; returns what was found until then.
pub(super) fn find_while(sources: &[(SourceId, Source)], has_time: &dyn Fn() -> bool) -> (WatchSet, Found) {
    let mut watch_set = WatchSet::default();
    let mut found = Found::default();
    for (id, Source { path, optional, whose }) in sources {
        let origin = Origin { source: *id, need: Need::of_source(*optional), whose: whose.clone() };
        let trouble = match watch_set.resolve(path) {
            Resolved::File(real) if *whose == Whose::Everybody => {
                found.file(real, origin);
                continue;
            }
            Resolved::Folder(real) => {
                search(&origin, real, &mut watch_set, &mut found, has_time);
                continue;
            }
            Resolved::File(_) => Trouble::unsuitable(path, "it is not a folder"),
            Resolved::Missing => Trouble::unreadable(path, &io::ErrorKind::NotFound.into()),
            Resolved::Special => Trouble::unsuitable(path, "it is neither a file nor a folder"),
            Resolved::Unreachable(error) => Trouble::unreadable(path, &error),
        };
        found.troubles.push((origin, trouble));
    }
    (watch_set, found)
}

/// Searches a folder and those below it. Each real folder is searched once, so that loops of links end.
fn search(root: &Origin, folder: PathBuf, watch_set: &mut WatchSet, found: &mut Found, has_time: &dyn Fn() -> bool) {
    let within = Origin { need: root.need.within(), ..root.clone() };
    let mut waiting = vec![(folder, 0, within)];
    let mut seen = BTreeSet::new();
    while let Some((folder, depth, origin)) = waiting.pop() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        if depth > MAX_DEPTH {
            let reason = format!("it lies more than {MAX_DEPTH} folders below its source");
            found.troubles.push((origin, Trouble::unsuitable(&folder, &reason)));
            continue;
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                // Without the right to list it, it cannot be watched either; a change of that right is seen in its parent folder.
                watch_set.add_path(&folder);
                let vanished = depth > 0 && error.kind() == io::ErrorKind::NotFound;
                let origin = if depth > 0 { origin } else { root.clone() };
                found.troubles.extend((!vanished).then(|| (origin, Trouble::unreadable(&folder, &error))));
                continue;
            }
        };
        watch_set.add_folder(&folder);
        for entry in entries.flatten() {
            if !has_time() {
                return;
            }
            let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
            if is_scratch(&name) {
                continue;
            }
            let path = folder.join(&name);
            let of_file = || origin.of_file(&name);
            let of_folder = || match origin.whose {
                Whose::Each(suffix) => origin.of_entry(&name, suffix),
                Whose::Everybody | Whose::Owner(_) => Some(origin.clone()),
            };
            if kind.is_dir() {
                waiting.extend(of_folder().map(|origin| (path, depth + 1, origin)));
            } else if kind.is_file() {
                if let Some(origin) = of_file() {
                    found.file(path, origin);
                }
            } else if kind.is_symlink() {
                match watch_set.resolve(&path) {
                    // Two owners may have a link to the same folder, but its files can be of one only.
                    Resolved::Folder(_) if origin.whose != Whose::Everybody => {
                        let reason = "a link to a folder is not followed where each has a calendar";
                        found.troubles.extend(of_folder().map(|origin| (origin, Trouble::unsuitable(&path, reason))));
                    }
                    Resolved::Folder(real) => waiting.push((real, depth + 1, origin.clone())),
                    Resolved::File(_) | Resolved::Unreachable(_) => {
                        if let Some(origin) = of_file() {
                            found.file(path, origin);
                        }
                    }
                    Resolved::Missing | Resolved::Special => {}
                }
            }
        }
        note(&mut found.folders, folder, origin);
    }
}

/// What distinguishes one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    /// In bytes.
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a regular file; for anything else an error of kind `InvalidInput`.
    fn of(metadata: &fs::Metadata) -> io::Result<Self> {
        regular_file::check(metadata)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// The stamp of the file at `path` now.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Self::of(&fs::metadata(path)?)
    }
}

/// Reads the file at `path` into the timeline. On an error the timeline stays as it was.
pub(super) fn read(timeline: &mut Timeline, source: SourceId, path: &Path) -> io::Result<(FileReport, Stamp)> {
    let (bytes, stamp) = open(path)?;
    let report = timeline.update(source, path, bytes)?;
    Ok((report, stamp))
}

/// Opens a regular file. One that is larger than [`calendar::MAX_FILE_BYTES`] is an error of kind `FileTooLarge`.
pub(super) fn open(path: &Path) -> io::Result<(fs::File, Stamp)> {
    let file = regular_file::open(path)?;
    let stamp = Stamp::of(&file.metadata()?)?;
    if stamp.size > calendar::MAX_FILE_BYTES {
        return Err(Unfit::TooLarge(calendar::MAX_FILE_BYTES).into());
    }
    Ok((file, stamp))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn find(sources: &[PathBuf]) -> (WatchSet, Found) {
        let needed = |path: &PathBuf| Source::shared(path.clone(), false);
        super::find(&(0..).map(SourceId).zip(sources.iter().map(needed)).collect::<Vec<_>>())
    }

    fn root(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().canonicalize().unwrap()
    }

    #[test]
    fn folders_are_searched_for_ics_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        fs::create_dir_all(root.join("work/team")).unwrap();
        fs::create_dir_all(root.join("work/.git")).unwrap();
        for name in ["a.ics", "B.ICS", "notes.txt", ".hidden.ics", "x.ics~", "x.ics.tmp", "team/c.ics", ".git/d.ics"] {
            fs::write(root.join("work").join(name), "").unwrap();
        }
        let (_, found) = find(&[root.join("work")]);
        let names: Vec<_> =
            found.files.keys().map(|path| Path::new(path).strip_prefix(root.join("work")).unwrap()).collect();
        assert_eq!(names, [Path::new("B.ICS"), Path::new("a.ics"), Path::new("team/c.ics")]);
        assert!(found.troubles.is_empty());
    }

    #[test]
    fn loops_of_links_end_and_links_to_files_count() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        fs::create_dir_all(root.join("work/inner")).unwrap();
        fs::write(root.join("elsewhere.ics"), "").unwrap();
        symlink(root.join("work"), root.join("work/inner/again")).unwrap();
        symlink("../elsewhere.ics", root.join("work/linked.ics")).unwrap();
        let (watch_set, found) = find(&[root.join("work")]);
        assert_eq!(found.files.into_keys().collect::<Vec<_>>(), [root.join("work/linked.ics").into_os_string()]);
        assert_eq!(found.folders.len(), 2);
        assert!(watch_set.contains(&root.join("elsewhere.ics")));
    }

    #[test]
    fn a_file_belongs_to_the_first_source_that_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        fs::create_dir(root.join("inner")).unwrap();
        fs::write(root.join("inner/a.ics"), "").unwrap();
        let (_, found) = find(&[root.join("inner/a.ics"), root.clone(), root.join("inner")]);
        let origin = Origin { source: SourceId(0), need: Need::Named, whose: Whose::Everybody };
        assert_eq!(found.files.into_iter().collect::<Vec<_>>(), [(root.join("inner/a.ics").into(), origin)]);
    }

    #[test]
    fn a_file_is_needed_as_much_as_by_the_source_that_needs_it_most() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        fs::write(root.join("a.ics"), "").unwrap();
        let need = |sources: &[(&str, bool)]| {
            let source = |(name, optional): &(&str, bool)| Source::shared(root.join(name), *optional);
            let sources: Vec<_> = (0..).map(SourceId).zip(sources.iter().map(source)).collect();
            super::find(&sources).1.files[root.join("a.ics").as_os_str()].need
        };
        assert_eq!(need(&[("", false)]), Need::Found);
        assert_eq!(need(&[("", true)]), Need::Optional);
        assert_eq!(need(&[("", false), ("a.ics", true)]), Need::Found);
        assert_eq!(need(&[("a.ics", true), ("", false)]), Need::Found);
        assert_eq!(need(&[("", true), ("a.ics", false)]), Need::Named);
    }

    #[test]
    fn each_entry_of_a_folder_of_owners_is_another_owners() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        fs::create_dir_all(root.join("each/ada/team")).unwrap();
        for name in ["each/ada/a.ics", "each/ada/team/b.ics", "each/ada/notes.txt", "each/ben", "each/.hidden", "c.ics"]
        {
            fs::write(root.join(name), "").unwrap();
        }
        symlink("../c.ics", root.join("each/cleo.ics")).unwrap();
        symlink(root.join("each/ada"), root.join("each/dora")).unwrap();
        let find = |suffix| {
            let source = Source { path: root.join("each"), optional: false, whose: Whose::Each(suffix) };
            super::find(&[(SourceId(0), source)]).1
        };
        let owners = |found: &Found| {
            let name = |path: &OsString| Path::new(path).strip_prefix(root.join("each")).unwrap().display().to_string();
            let owner = |origin: &Origin| match &origin.whose {
                Whose::Owner(owner) => owner.to_string(),
                other @ (Whose::Everybody | Whose::Each(_)) => format!("{other:?}"),
            };
            found.files.iter().map(|(path, origin)| (name(path), owner(origin))).collect::<Vec<_>>()
        };
        let pairs =
            |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let found = find("");
        let expected = [("ada/a.ics", "ada"), ("ada/team/b.ics", "ada"), ("ben", "ben"), ("cleo.ics", "cleo.ics")];
        assert_eq!(owners(&found), pairs(&expected));
        assert!(found.files.values().all(|origin| origin.need == Need::Found));
        let [(Origin { whose, .. }, trouble)] = found.troubles.as_slice() else { panic!("{:?}", found.troubles) };
        assert_eq!((whose, trouble.path.clone()), (&Whose::Owner("dora".into()), root.join("each/dora")));
        assert_eq!(owners(&find(".ics")), pairs(&[("cleo.ics", "cleo")]));
    }

    #[test]
    fn what_cannot_be_read_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir);
        let socket = root.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let deep: PathBuf = (0..=MAX_DEPTH + 1).map(|_| "d").collect();
        fs::create_dir_all(root.join("deep").join(deep)).unwrap();
        let (_, found) = find(&[root.join("none.ics"), socket, root.join("deep")]);
        let reasons: Vec<_> =
            found.troubles.iter().map(|(origin, trouble)| (origin.need, trouble.reason.as_str())).collect();
        assert_eq!(
            reasons,
            [
                (Need::Named, "does not exist"),
                (Need::Named, "is not read: it is neither a file nor a folder"),
                (Need::Found, "is not read: it lies more than 16 folders below its source"),
            ]
        );
    }
}
