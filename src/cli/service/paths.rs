//! Finds this program, and the folders that the user's systemd reads units from.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::unit::{self, SERVICE};
use crate::cli::context::Context;
use crate::cli::error::{Error, Exit};
use crate::cli::systemd::systemctl;
use crate::whole_file;

/// Where systemd looks for a program without a path (`systemd-path search-binaries-default`).
const SYSTEM_PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// This program, as a unit should name it.
///
/// # Errors
/// The program is in a folder where it may disappear.
pub(super) fn program(path: Option<&str>) -> Result<PathBuf, Error> {
    let own = std::env::current_exe().and_then(fs::canonicalize).map_err(|error| {
        Error::new(Exit::Failed, format!("this program no longer exists: {error}"))
            .with_hint("it was replaced while it was running: run the command again")
    })?;
    let program = name_of(&own, path.unwrap_or_default());
    match build_folder(&program) {
        None => Ok(program),
        Some(folder) => {
            let text =
                format!("{} is in the build folder {}, where it may disappear", program.display(), folder.display());
            let hint =
                format!("run `sudo install {} /usr/local/bin/`, then `presenced service install`", program.display());
            Err(Error::new(Exit::Usage, text).with_hint(hint))
        }
    }
}

/// The path to start `own` by: the link on the shell's path if there is one, because it also leads to the next version.
fn name_of(own: &Path, path: &str) -> PathBuf {
    let file = own.file_name().unwrap_or_default();
    let found = std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(file));
    found.into_iter().find(|found| is_same(found, own)).unwrap_or_else(|| own.to_owned())
}

/// The build folder that a file is in. Build folders contain `CACHEDIR.TAG`, so that backups skip them.
fn build_folder(file: &Path) -> Option<&Path> {
    file.ancestors().skip(1).find(|folder| folder.join("CACHEDIR.TAG").is_file())
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// The folders of the user's units.
#[derive(Debug)]
pub(super) struct UnitFolders {
    /// The user's own: `$XDG_CONFIG_HOME/systemd/user`.
    pub(super) own: PathBuf,
    /// All others that systemd reads, in order of precedence.
    others: Vec<PathBuf>,
}

/// What is at a unit's path in the user's own folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnitFile {
    /// Nothing.
    Nothing,
    /// A unit that presenced wrote, with this text.
    Ours(String),
    /// A link to `/dev/null`, which prevents systemd from starting the unit.
    Masked,
    /// A file or link that presenced did not write.
    Theirs,
}

impl UnitFolders {
    /// Finds the folders that the user's systemd reads.
    ///
    /// # Errors
    /// systemd cannot be asked, or it does not read the folder that this program considers the user's own.
    pub(super) fn find(context: &Context) -> Result<Self, Error> {
        let manager = systemctl::show_manager(&["UnitPath"], &context.environment)
            .map_err(|error| error.error(&context.environment))?;
        let config_home = context.environment.config_dir.parent().unwrap_or(Path::new("/"));
        let own = config_home.join("systemd/user");
        let all = manager.paths("UnitPath");
        if !all.contains(&own) {
            let text =
                format!("this user's systemd does not read {}: it has a different $XDG_CONFIG_HOME", own.display());
            let config = context.config.display();
            return Err(Error::new(Exit::Usage, text).with_hint(format!(
                "unset the variable: env -u XDG_CONFIG_HOME presenced --config {config} service …"
            )));
        }
        let others = all.into_iter().filter(|folder| *folder != own).collect();
        Ok(Self { own, others })
    }

    /// The packaged service unit, if it starts this program.
    pub(super) fn packaged(&self, program: &Path) -> Option<PathBuf> {
        let units = self.others.iter().map(|folder| folder.join(SERVICE));
        let first = units.into_iter().find_map(|path| Some((fs::read_to_string(&path).ok()?, path)));
        first
            .filter(|(text, _)| unit::program(text).is_some_and(|started| starts(started, program)))
            .map(|(_, path)| path)
    }

    /// What is at a unit's path in the user's own folder.
    pub(super) fn look(&self, unit: &str) -> Result<UnitFile, Error> {
        let path = self.own.join(unit);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(UnitFile::Nothing),
            Ok(found) if !found.is_file() => {
                let is_mask = fs::read_link(&path).is_ok_and(|leads| leads == Path::new("/dev/null"));
                return Ok(if is_mask { UnitFile::Masked } else { UnitFile::Theirs });
            }
            Ok(_) | Err(_) => {}
        }
        let text = fs::read(&path).map_err(|error| failed("read", &path, &error))?;
        Ok(match String::from_utf8(text) {
            Ok(text) if unit::is_ours(&text) => UnitFile::Ours(text),
            Ok(_) | Err(_) => UnitFile::Theirs,
        })
    }

    /// Writes a unit into the user's own folder, and replaces the old one atomically.
    pub(super) fn write(&self, unit: &str, text: &str) -> Result<(), Error> {
        let path = self.own.join(unit);
        let folder = fs::create_dir_all(&self.own);
        let written = folder.and_then(|()| whole_file::replace(&path, text.as_bytes(), 0o644));
        written.map_err(|error| failed("write", &path, &error))
    }

    /// Removes a unit from the user's own folder.
    pub(super) fn remove(&self, unit: &str) -> Result<(), Error> {
        let path = self.own.join(unit);
        fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))
    }

    /// Removes the unit folders if they are empty.
    pub(super) fn tidy(&self) {
        for folder in self.own.ancestors().take(2) {
            // Fails if the folder is not empty. Then it stays.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Whether a unit with this program name starts this program.
fn starts(named: &str, program: &Path) -> bool {
    if named.starts_with('/') {
        return is_same(Path::new(named), program);
    }
    let found = SYSTEM_PATH.map(|folder| Path::new(folder).join(named)).into_iter().find(|path| path.is_file());
    found.is_some_and(|found| is_same(&found, program))
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Exit::Failed, format!("cannot {action} {}: {error}", path.display()))
        .with_hint("check the owner and the permissions of the file and its folder")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_link_that_outlives_the_version_is_preferred() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (opt, bin) = (root.join("opt/presenced-0.1"), root.join("bin"));
        fs::create_dir_all(&opt).unwrap();
        fs::create_dir_all(&bin).unwrap();
        let own = opt.join("presenced");
        fs::write(&own, "").unwrap();
        let path = format!(".:{}", bin.display());
        assert_eq!(name_of(&own, &path), own, "nothing of that name is on the path");
        fs::write(bin.join("presenced"), "another").unwrap();
        assert_eq!(name_of(&own, &path), own, "another program has that name");
        fs::remove_file(bin.join("presenced")).unwrap();
        symlink(&own, bin.join("presenced")).unwrap();
        assert_eq!(name_of(&own, &path), bin.join("presenced"));
    }

    #[test]
    fn a_program_in_a_build_folder_is_recognized() {
        let folder = TempDir::new().unwrap();
        let target = folder.path().join("target");
        fs::create_dir_all(target.join("release")).unwrap();
        let program = target.join("release/presenced");
        assert_eq!(build_folder(&program), None);
        fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(build_folder(&program), Some(&*target));
    }

    #[test]
    fn only_units_that_presenced_wrote_are_ours() {
        let folder = TempDir::new().unwrap();
        let folders = UnitFolders { own: folder.path().join("systemd/user"), others: Vec::new() };
        assert_eq!(folders.look(SERVICE).unwrap(), UnitFile::Nothing);
        let start = unit::Start { program: Path::new("/p"), config: None, socket: None };
        let text = unit::service(&start).unwrap();
        folders.write(SERVICE, &text).unwrap();
        assert_eq!(folders.look(SERVICE).unwrap(), UnitFile::Ours(text));
        folders.write(SERVICE, "[Service]\nExecStart=presenced run\n").unwrap();
        assert_eq!(folders.look(SERVICE).unwrap(), UnitFile::Theirs);
        folders.remove(SERVICE).unwrap();
        symlink("/dev/null", folders.own.join(SERVICE)).unwrap();
        assert_eq!(folders.look(SERVICE).unwrap(), UnitFile::Masked);
        folders.tidy();
        assert!(folders.own.exists(), "it is not empty");
        folders.remove(SERVICE).unwrap();
        folders.tidy();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_packaged_unit_is_used_if_it_starts_this_program() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let program = root.join("presenced");
        fs::write(&program, "").unwrap();
        let unit = root.join(SERVICE);
        let folders = UnitFolders { own: root.join("own"), others: vec![root.join("missing"), root.clone()] };
        assert_eq!(folders.packaged(&program), None);
        fs::write(&unit, format!("[Service]\nExecStart={} run\n", program.display())).unwrap();
        assert_eq!(folders.packaged(&program), Some(unit.clone()));
        fs::write(&unit, "[Service]\nExecStart=/bin/sh run\n").unwrap();
        assert_eq!(folders.packaged(&program), None);
    }
}
