//! Path resolution: what a path leads to right now, and which folders must be watched to see that change.
//!
//! A file is watched through its folder, because a careful program replaces a file by renaming another over it. A missing path
//! is watched through its nearest existing ancestor, and a symbolic link through the folder that holds it. Of the folders that
//! the path leads through, only their own rename matters: it makes the path lead elsewhere, and no folder below reports it.
//! Leaves to others: the watching (the parent module), and reading what is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::file_system::Unreported;

/// The number of symbolic links that the kernel follows in one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// What a path leads to. The paths inside are real: no component of them is a symbolic link.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// Nothing is there.
    Missing,
    /// A regular file.
    File(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// A FIFO, a socket or a device, which must not be opened just to look.
    Special,
    /// The system does not say what is there.
    Unreachable(io::Error),
}

/// Which changes matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchSet {
    /// By the real path of the folder in which they happen.
    entries: BTreeMap<PathBuf, Entries>,
    /// The real folders that paths lead through.
    passed: BTreeSet<PathBuf>,
}

/// How much of a folder is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// What happens inside it, and that it is moved away or deleted.
    Inside,
    /// Only that it is moved away. That wakes nobody while files in it are written.
    Itself,
}

/// Which entries of a folder matter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entries {
    /// Only those with these names.
    Named(BTreeSet<OsString>),
    /// All of them.
    All,
}

impl WatchSet {
    /// Every change in `folder`, a real path, matters.
    pub(crate) fn add_folder(&mut self, folder: &Path) {
        self.entries.insert(folder.to_owned(), Entries::All);
    }

    /// A change of what is at the real path `path` matters, but not what happens inside it.
    pub(crate) fn add_path(&mut self, path: &Path) {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            self.add_name(folder, name);
        }
    }

    /// A change of the entry `name` of `folder` matters.
    fn add_name(&mut self, folder: &Path, name: &OsStr) {
        let entries = self.entries.entry(folder.to_owned()).or_insert_with(|| Entries::Named(BTreeSet::new()));
        match entries {
            Entries::Named(names) => drop(names.insert(name.to_owned())),
            Entries::All => {}
        }
    }

    /// Resolves an absolute path, and adds every name on the way whose change could make it lead elsewhere.
    pub(crate) fn resolve(&mut self, path: &Path) -> Resolved {
        let mut real = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = names(path);
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                real.pop();
                continue;
            }
            let here = real.join(&name);
            let kind = match here.symlink_metadata() {
                Ok(metadata) => metadata.file_type(),
                Err(error) => {
                    self.add_name(&real, &name);
                    let missing = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
                    return if missing { Resolved::Missing } else { Resolved::Unreachable(error) };
                }
            };
            if kind.is_dir() {
                self.passed.insert(here.clone());
                real = here;
                continue;
            }
            self.add_name(&real, &name);
            if kind.is_symlink() {
                links += 1;
                let target = match here.read_link() {
                    Ok(target) if links <= MAX_LINKS => target,
                    Ok(_) => return Resolved::Unreachable(io::Error::other("too many symbolic links")),
                    Err(error) => return Resolved::Unreachable(error),
                };
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            } else if !rest.is_empty() {
                return Resolved::Missing;
            } else if kind.is_file() {
                return Resolved::File(here);
            } else {
                return Resolved::Special;
            }
        }
        Resolved::Folder(real)
    }

    /// All folders to watch, each once.
    pub(super) fn to_watch(&self) -> impl Iterator<Item = (Extent, PathBuf)> {
        let passed = self.passed.iter().filter(|folder| !self.entries.contains_key(*folder));
        let inside = self.entries.keys().map(|folder| (Extent::Inside, folder.clone()));
        inside.chain(passed.map(|folder| (Extent::Itself, folder.clone())))
    }

    /// Why events do not report every change in these folders, if so. Blocks on the file system.
    pub(crate) fn unreported(&self) -> Option<Unreported> {
        let named = |(folder, entries): (&PathBuf, &Entries)| match entries {
            Entries::Named(names) => names.iter().map(|name| folder.join(name)).collect(),
            Entries::All => Vec::new(),
        };
        Unreported::among(self.entries.keys()).or_else(|| Unreported::mounted(self.entries.iter().flat_map(named)))
    }

    /// Whether a change of what is at `path` matters.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        let entry = path.parent().and_then(|folder| self.entries.get(folder)).is_some_and(|entries| match entries {
            Entries::All => true,
            Entries::Named(names) => path.file_name().is_some_and(|name| names.contains(name)),
        });
        entry || self.entries.contains_key(path)
    }

    /// Whether a folder that matters is `path` or lies below it.
    pub(super) fn has_folder_within(&self, path: &Path) -> bool {
        let entries = self.entries.range(path.to_owned()..).next().map(|(folder, _)| folder);
        let passed = self.passed.range(path.to_owned()..).next();
        [entries, passed].into_iter().flatten().any(|folder| folder.starts_with(path))
    }
}

/// The names of a path, without the root and `.`.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir))
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

/// Whether this is the name of a hidden file, or of one that a program is still writing: `.x`, `x~`, `x.tmp`, `x.swp`.
pub(crate) fn is_scratch(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let ends = |end: &[u8]| name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end);
    name.starts_with(b".") || ends(b"~") || ends(b".tmp") || ends(b".swp")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_watched_through_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("state"), "idle").unwrap();
        let mut watch_set = WatchSet::default();
        assert!(matches!(watch_set.resolve(&root.join("state")), Resolved::File(real) if real == root.join("state")));
        assert!(watch_set.contains(&root.join("state")));
        assert!(!watch_set.contains(&root.join("other")));
    }

    #[test]
    fn a_missing_path_is_watched_through_its_nearest_ancestor() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut watch_set = WatchSet::default();
        assert!(matches!(watch_set.resolve(&root.join("a/b/c")), Resolved::Missing));
        assert_eq!(watch_set.entries.keys().collect::<Vec<_>>(), [&root]);
        assert!(watch_set.contains(&root.join("a")));
    }

    #[test]
    fn links_are_followed_and_watched_in_their_own_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real/deep/..", root.join("link")).unwrap();
        let mut watch_set = WatchSet::default();
        assert!(matches!(watch_set.resolve(&root.join("link")), Resolved::Folder(real) if real == root.join("real")));
        assert!(watch_set.contains(&root.join("link")));
        assert!(watch_set.has_folder_within(&root.join("real/deep")), "without it, the link leads nowhere");
    }

    #[test]
    fn the_folders_above_are_watched_for_their_own_rename() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/state"), "idle").unwrap();
        let mut watch_set = WatchSet::default();
        watch_set.resolve(&root.join("a/b/state"));
        let of = |extent| watch_set.to_watch().filter(move |(of, _)| *of == extent).map(|(_, folder)| folder);
        assert_eq!(of(Extent::Inside).collect::<Vec<_>>(), [root.join("a/b")]);
        let above: BTreeSet<_> = root.join("a").ancestors().map(Path::to_owned).collect();
        let above: Vec<_> = above.into_iter().filter(|folder| folder != Path::new("/")).collect();
        assert_eq!(of(Extent::Itself).collect::<Vec<_>>(), above);
    }

    #[test]
    fn a_loop_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(matches!(WatchSet::default().resolve(&root.join("a")), Resolved::Unreachable(_)));
    }

    #[test]
    fn a_file_is_not_a_folder_and_a_socket_is_special() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("file"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        assert!(matches!(WatchSet::default().resolve(&root.join("file/below")), Resolved::Missing));
        assert!(matches!(WatchSet::default().resolve(&root.join("socket")), Resolved::Special));
    }

    #[test]
    fn scratch_names_are_recognized() {
        for name in [".hidden", "state~", "state.tmp", "a.ics.SWP"] {
            assert!(is_scratch(OsStr::new(name)), "{name}");
        }
        for name in ["state", "a.ics", "tmp", "x.tmpl"] {
            assert!(!is_scratch(OsStr::new(name)), "{name}");
        }
    }
}
