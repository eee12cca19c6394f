//! Places: what a configured path leads to right now, and which folders must be watched to see that change.
//!
//! A file is watched through its folder, because a program that writes well replaces the file by renaming another over
//! it. A missing path is watched through its nearest existing ancestor, a symbolic link through the folder that holds it.
//! Leaves to others: the watching (`watch`), and reading what is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows in one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// What a path leads to. The paths inside are real: no component of them is a symbolic link.
#[derive(Debug)]
pub(crate) enum Place {
    /// Nothing is there.
    Missing,
    /// A regular file.
    File(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// Something that must not be opened to look: a FIFO, a socket, a device.
    Special,
    /// It cannot be told.
    Unreachable(io::Error),
}

/// Which changes matter, by the real path of the folder in which they happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interests(BTreeMap<PathBuf, Interest>);

/// What matters in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Interest {
    /// Only entries of these names.
    Names(BTreeSet<OsString>),
    /// Every entry.
    All,
}

impl Interests {
    /// Every change in `folder` matters, which is a real path.
    pub(crate) fn all(&mut self, folder: &Path) {
        self.0.insert(folder.to_owned(), Interest::All);
    }

    /// A change of what is at the real path `path` matters, but not what happens inside of it.
    pub(crate) fn entry(&mut self, path: &Path) {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            self.name(folder, name);
        }
    }

    /// A change of the entry `name` of `folder` matters.
    fn name(&mut self, folder: &Path, name: &OsStr) {
        let interest = self.0.entry(folder.to_owned()).or_insert_with(|| Interest::Names(BTreeSet::new()));
        match interest {
            Interest::Names(names) => drop(names.insert(name.to_owned())),
            Interest::All => {}
        }
    }

    /// Follows an absolute path to what it leads to, and notes every name on the way whose change could lead elsewhere.
    pub(crate) fn follow(&mut self, path: &Path) -> Place {
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
                    self.name(&real, &name);
                    let missing = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
                    return if missing { Place::Missing } else { Place::Unreachable(error) };
                }
            };
            if kind.is_dir() {
                real = here;
                continue;
            }
            self.name(&real, &name);
            if kind.is_symlink() {
                links += 1;
                let target = match here.read_link() {
                    Ok(target) if links <= MAX_LINKS => target,
                    Ok(_) => return Place::Unreachable(io::Error::other("too many symbolic links")),
                    Err(error) => return Place::Unreachable(error),
                };
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            } else if !rest.is_empty() {
                return Place::Missing;
            } else if kind.is_file() {
                return Place::File(here);
            } else {
                return Place::Special;
            }
        }
        Place::Folder(real)
    }

    /// The folders to watch.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// Whether a change of what is at `path` matters.
    pub(crate) fn concern(&self, path: &Path) -> bool {
        let entry = path.parent().and_then(|folder| self.0.get(folder)).is_some_and(|interest| match interest {
            Interest::All => true,
            Interest::Names(names) => path.file_name().is_some_and(|name| names.contains(name)),
        });
        entry || self.0.contains_key(path)
    }

    /// Whether a folder that matters lies at or below `path`.
    pub(crate) fn below(&self, path: &Path) -> bool {
        self.0.range(path.to_owned()..).next().is_some_and(|(folder, _)| folder.starts_with(path))
    }
}

/// The names of a path, without the root and `.`.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir))
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

/// Whether a name is that of a hidden file or of one that a program is still writing: `.x`, `x~`, `x.tmp`, `x.swp`.
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
        let mut interests = Interests::default();
        assert!(matches!(interests.follow(&root.join("state")), Place::File(real) if real == root.join("state")));
        assert!(interests.concern(&root.join("state")));
        assert!(!interests.concern(&root.join("other")));
    }

    #[test]
    fn a_missing_path_is_watched_through_its_nearest_ancestor() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut interests = Interests::default();
        assert!(matches!(interests.follow(&root.join("a/b/c")), Place::Missing));
        assert_eq!(interests.folders().collect::<Vec<_>>(), [&root]);
        assert!(interests.concern(&root.join("a")));
    }

    #[test]
    fn links_are_followed_and_watched_where_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real/deep/..", root.join("link")).unwrap();
        let mut interests = Interests::default();
        assert!(matches!(interests.follow(&root.join("link")), Place::Folder(real) if real == root.join("real")));
        assert!(interests.concern(&root.join("link")));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(matches!(Interests::default().follow(&root.join("a")), Place::Unreachable(_)));
    }

    #[test]
    fn a_file_is_no_folder_and_a_socket_is_special() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("file"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        assert!(matches!(Interests::default().follow(&root.join("file/below")), Place::Missing));
        assert!(matches!(Interests::default().follow(&root.join("socket")), Place::Special));
    }

    #[test]
    fn scratch_names_are_told_from_real_ones() {
        for name in [".hidden", "state~", "state.tmp", "a.ics.SWP"] {
            assert!(is_scratch(OsStr::new(name)), "{name}");
        }
        for name in ["state", "a.ics", "tmp", "x.tmpl"] {
            assert!(!is_scratch(OsStr::new(name)), "{name}");
        }
    }
}
