//! Writes a file whole or not at all, also when the process is killed or the power fails: into a draft beside it, which is
//! synced and then takes the file's name. Then the folder is synced, so that the new name survives too.
//!
//! Drafts have fixed names, so that whatever a killed process leaves behind is found. A process holds a lock on the draft it
//! writes, and the kernel releases that lock when the process ends in whatever way. So an unlocked draft is a leftover, and
//! each write removes it; a locked one belongs to a live writer, and the next name is used instead. Writers never wait for
//! each other, and the last one to finish wins.
//!
//! Nothing that was already there is ever written into: a draft is always a new file, and what is in its place is only
//! unlinked. A planted symbolic or hard link therefore leads nowhere.
//!
//! Leaves to others: which folder, and what to do when two processes must not both write (`auth/store/lock`).

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

/// The mode of a file that only its owner may read.
pub(crate) const PRIVATE: u32 = 0o600;

/// How many processes can write the same file at the same time.
const MAX_DRAFTS: usize = 16;

/// A new version of a file that does not have its name yet. Dropped, it removes itself.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Locked.
    file: File,
    /// Where it is until it gets its name.
    place: PathBuf,
    /// The file's name.
    path: PathBuf,
    is_placed: bool,
}

impl Draft {
    /// An empty draft of the file at `path`, with this mode. Removes what killed processes left.
    ///
    /// # Errors
    /// It cannot be created: the folder does not exist, for example.
    pub(crate) fn new(path: &Path, mode: u32) -> io::Result<Self> {
        let mut created: Option<Self> = None;
        let mut obstacle = None;
        for draft in drafts(path) {
            if created.is_some() {
                // A leftover that cannot be removed does not block this write.
                let _ = clear(&draft);
                continue;
            }
            match create(&draft, mode) {
                Ok(Some(file)) => created = Some(Self { file, place: draft, path: path.to_owned(), is_placed: false }),
                Ok(None) => {}
                // Without the folder no other name helps.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(error);
                }
                Err(error) => drop(obstacle.get_or_insert(error)),
            }
        }
        let busy = || io::Error::new(ErrorKind::ResourceBusy, "too many programs are writing it");
        created.ok_or_else(|| obstacle.unwrap_or_else(busy))
    }

    /// Opens what is written so far, for reading.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(&self.place)
    }

    /// Puts it in place of the file at its path, if there is one.
    ///
    /// # Errors
    /// Before it has its name, the old file stays; after that, only syncing the folder can fail.
    pub(crate) fn replace(self) -> io::Result<()> {
        self.place(|draft, path| fs::rename(draft, path))
    }

    /// Gives it its name, unless something else has that name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]: something is there, and stays as it is.
    pub(crate) fn create_new(self) -> io::Result<()> {
        self.place(|draft, path| match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
            // The file system does not have this operation.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                fs::hard_link(draft, path).and_then(|()| fs::remove_file(draft))
            }
            renamed => Ok(renamed?),
        })
    }

    fn place(mut self, rename: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
        self.file.sync_all()?;
        rename(&self.place, &self.path)?;
        self.is_placed = true;
        sync_folder(&self.path)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_placed {
            // What remains is removed by the next writer.
            let _ = fs::remove_file(&self.place);
        }
    }
}

/// Replaces the file at `path`.
///
/// # Errors
/// As for [`Draft::new`] and [`Draft::replace`].
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut draft = Draft::new(path, mode)?;
    draft.write_all(bytes)?;
    draft.replace()
}

/// Writes a file at `path`, where there is none.
///
/// # Errors
/// As for [`Draft::new`] and [`Draft::create_new`].
pub(crate) fn create_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut draft = Draft::new(path, mode)?;
    draft.write_all(bytes)?;
    draft.create_new()
}

/// Removes a file for good: also what killed processes left of it. `false`: there was no file.
///
/// # Errors
/// It is still there, or it may come back after a power failure.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    let was_there = match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    // They must not outlive the file: their content is as secret.
    for draft in drafts(path) {
        match clear(&draft) {
            Err(error) if error.kind() != ErrorKind::IsADirectory => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    if was_there {
        sync_folder(path)?;
    }
    Ok(was_there)
}

/// Removes what killed processes left in a folder: each draft, of any file, that no process is writing.
///
/// # Errors
/// The folder cannot be listed, or a draft cannot be removed; the others are still removed. A folder that does not exist counts as empty.
pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
    sweep_names(folder, is_draft, |draft| clear(draft).map(drop))
}

/// Calls `remove` with the path of each file in a folder whose name is like this.
///
/// # Errors
/// As for [`sweep`].
pub(crate) fn sweep_names(
    folder: &Path,
    is_leftover: impl Fn(&str) -> bool,
    mut remove: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut outcome = Ok(());
    for entry in entries {
        let name = entry?.file_name();
        if name.to_str().is_some_and(&is_leftover) {
            outcome = outcome.and(remove(&folder.join(&name)));
        }
    }
    outcome
}

/// Whether a file of this name is a draft of another one.
fn is_draft(name: &str) -> bool {
    let Some((of, number)) = name.strip_prefix('.').and_then(|name| name.rsplit_once(".draft")) else { return false };
    !of.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// The names that drafts of a file have.
pub(crate) fn drafts(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().unwrap_or_default();
    (1..=MAX_DRAFTS).map(move |number| {
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(if number == 1 { ".draft".to_owned() } else { format!(".draft{number}") });
        path.with_file_name(draft)
    })
}

/// A new file at `draft`, locked; `None`: another process is writing there.
fn create(draft: &Path, mode: u32) -> io::Result<Option<File>> {
    loop {
        let new = OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(NO_FOLLOW).open(draft);
        match new {
            // Before it was locked, another writer may have taken it for a leftover.
            Ok(file) => {
                if lock(&file)? && is_at(&file, draft)? {
                    // Whatever the umask is.
                    file.set_permissions(Permissions::from_mode(mode))?;
                    return Ok(Some(file));
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !clear(draft)? {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Removes what is at `draft`; `false`: another process is writing there.
fn clear(draft: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(draft) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
        // Only a file of this user can be a draft; whatever else is here, nobody needs it.
        Ok(found) if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() => return unlink(draft),
        Ok(_) => {}
    }
    match OpenOptions::new().write(true).custom_flags(NO_FOLLOW).open(draft) {
        // Only the process that holds the lock changes the name, so that it is the same file that is removed.
        Ok(file) => Ok(lock(&file)? && (!is_at(&file, draft)? || unlink(draft)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        // A link that was put here just now, or a file without the permission to write.
        Err(_) => unlink(draft),
    }
}

/// Opens no symbolic link, and waits for no reader of a pipe.
const NO_FOLLOW: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

fn unlink(draft: &Path) -> io::Result<bool> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(true),
    }
}

/// Locks a file until it is closed; `false`: another process holds the lock.
fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file still has this name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
