//! Checks what presenced needs from the machine: folders it may write to, free space in them, and inotify watches.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::check::{Check, Group};
use super::text::{Part, Text, count, path, text};
use super::{Scene, modes};
use crate::config::{CalendarPlace, Config, Environment};

const GROUP: Group = Group::Machine;

/// A sign-in needs a few kilobytes, a copy of a calendar a few megabytes.
const MIN_FREE_BYTES: u64 = 16 * 1024 * 1024;

/// Watches besides the calendars' folders: call-state files, sockets, the time zone, and the parents of all these.
const WATCHES_BESIDES_CALENDARS: usize = 32;

/// How many inotify instances a daemon has: one for what happens in folders, and one for the rename of those above.
const INOTIFY_INSTANCES: usize = 2;

/// All checks of the machine except that of the watches, which needs the number of calendar folders.
pub(super) fn checks(scene: &Scene<'_>) -> Vec<Check> {
    let environment = &scene.environment;
    let config = scene.config.as_ref().ok();
    let mut checks = vec![runtime_folder(environment), writable("state folder", &environment.state_dir)];
    if config.is_some_and(subscribes) {
        checks.push(writable("cache folder", &environment.cache_dir));
    }
    checks.extend(config.and_then(|config| config.log.dir.as_deref()).map(|dir| writable("log folder", dir)));
    checks
}

fn subscribes(config: &Config) -> bool {
    let calendar = config.signals.calendar.as_ref();
    let mut sources = calendar.into_iter().flat_map(|calendar| &calendar.sources);
    sources.any(|source| matches!(source.place, CalendarPlace::Subscription(_)))
}

fn runtime_folder(environment: &Environment) -> Check {
    let name = "runtime folder";
    let Some(folder) = &environment.runtime_dir else {
        return Check::warning(GROUP, name, "$XDG_RUNTIME_DIR is not set: this is not a login session")
            .with_hint("log in with `machinectl shell $USER@` or ssh, not with `su` or `sudo`");
    };
    let Ok(metadata) = fs::metadata(folder) else {
        return Check::failed(GROUP, name, text![path(folder), " does not exist"])
            .with_hint("log in again; systemd creates it at login");
    };
    if metadata.uid() != rustix::process::getuid().as_raw() {
        return Check::failed(GROUP, name, text![path(folder), " belongs to another user"])
            .with_hint("unset XDG_RUNTIME_DIR and log in properly: `su` and `sudo` keep the other user's value");
    }
    if access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Check::failed(GROUP, name, text!["this user may not write to ", path(folder)]).with_hint(text![
            "run `chmod 700 ",
            path(folder),
            "`"
        ]);
    }
    if metadata.mode() & 0o022 != 0 {
        let found = text!["others may write to ", path(folder), " (mode ", modes(metadata.mode()), ")"];
        return Check::warning(GROUP, name, found).with_hint(text!["run `chmod 700 ", path(folder), "`"]);
    }
    Check::ok(GROUP, name, text![path(folder)])
}

/// Checks a folder that presenced creates when it needs it. The nearest existing folder above it must allow that.
fn writable(name: &'static str, folder: &Path) -> Check {
    let existing = folder.ancestors().find(|folder| folder.exists()).map_or_else(|| PathBuf::from("/"), Path::to_owned);
    if !existing.is_dir() {
        return Check::failed(GROUP, name, text![path(&existing), " is not a folder"])
            .with_hint("move it out of the way");
    }
    if access(&existing, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Check::failed(GROUP, name, text!["this user may not write to ", path(&existing)]).with_hint(text![
            "see `ls -ld ",
            path(&existing),
            "`, and give presenced's user permission to write there"
        ]);
    }
    let Some(free) = statvfs(&existing).ok().map(|space| space.f_bavail.saturating_mul(space.f_frsize)) else {
        return Check::ok(GROUP, name, text![path(folder)]);
    };
    let found = text![path(folder), ", ", size(free), " free"];
    if free < MIN_FREE_BYTES {
        return Check::warning(GROUP, name, found)
            .with_hint("free some space: a sign-in that cannot be stored is lost");
    }
    Check::ok(GROUP, name, found)
}

fn size(bytes: u64) -> Part {
    let mib = bytes / 1024 / 1024;
    Part::Plain(if mib >= 10 * 1024 { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }.into())
}

/// Whether the kernel allows enough watches for `folders` calendar folders. The watches in use are counted in this user's
/// processes, as far as those can be read.
pub(super) fn watches(folders: usize, daemon_runs: bool) -> Check {
    let limit = |name| fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name)).ok()?.trim().parse().ok();
    let (Some(watches), Some(instances)) = (limit("max_user_watches"), limit("max_user_instances")) else {
        return Check::skipped(GROUP, "inotify", "the kernel does not say how many it allows");
    };
    judge_watches(&InotifyCounts { watches, instances }, in_use(Path::new("/proc")), folders, daemon_runs)
}

/// How many watches and instances are allowed, or in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct InotifyCounts {
    watches: usize,
    instances: usize,
}

fn judge_watches(limits: &InotifyCounts, used: InotifyCounts, folders: usize, daemon_runs: bool) -> Check {
    let name = "inotify";
    let needed = folders + WATCHES_BESIDES_CALENDARS;
    // A running daemon's own watches are among those in use, and cannot be told apart. So only the limit counts then.
    let taken = if daemon_runs { InotifyCounts::default() } else { used };
    let found = text![
        used.watches,
        " of ",
        count(limits.watches, "watch", "watches"),
        " in use; the calendars have ",
        count(folders, "folder", "folders"),
    ];
    let hint = |key: &str, value: usize| {
        let line = format!(
            "run `sudo sysctl fs.inotify.{key}={value}`, and put that setting into /etc/sysctl.d/50-presenced.conf"
        );
        Text::from(Part::Plain(line.into()))
    };
    if taken.watches + needed > limits.watches {
        let enough = (taken.watches + needed).next_multiple_of(65_536);
        let found = found.then(", and each needs a watch");
        return Check::warning(GROUP, name, found).with_hint(hint("max_user_watches", enough));
    }
    if taken.instances + INOTIFY_INSTANCES > limits.instances {
        let found = text![
            used.instances,
            " of ",
            count(limits.instances, "instance", "instances"),
            " in use, and presenced needs ",
            INOTIFY_INSTANCES
        ];
        return Check::warning(GROUP, name, found).with_hint(hint("max_user_instances", limits.instances * 2));
    }
    Check::ok(GROUP, name, found)
}

/// What this user's processes use, according to the kernel.
fn in_use(proc: &Path) -> InotifyCounts {
    let mut used = InotifyCounts::default();
    let own = rustix::process::getuid().as_raw();
    let Ok(processes) = fs::read_dir(proc) else { return used };
    for process in processes.flatten() {
        let is_process =
            process.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process || !process.metadata().is_ok_and(|metadata| metadata.uid() == own) {
            continue;
        }
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let is_inotify = fs::read_link(descriptor.path()).is_ok_and(|link| link.ends_with("anon_inode:inotify"));
            if is_inotify {
                used.instances += 1;
                let info = fs::read_to_string(process.path().join("fdinfo").join(descriptor.file_name()));
                used.watches += info.unwrap_or_default().lines().filter(|line| line.starts_with("inotify wd:")).count();
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn too_few_watches_are_reported_before_they_run_out() {
        let limits = InotifyCounts { watches: 8192, instances: 128 };
        let judge = |used, folders, runs| judge_watches(&limits, used, folders, runs);
        assert_eq!(judge(InotifyCounts { watches: 100, instances: 5 }, 20, false).verdict, Verdict::Ok);
        let few = judge(InotifyCounts { watches: 100, instances: 5 }, 20_000, false);
        assert_eq!(few.verdict, Verdict::Warning);
        assert!(few.hint.unwrap().to_string().contains("fs.inotify.max_user_watches=65536"));
        assert_eq!(judge(InotifyCounts { watches: 8180, instances: 5 }, 20, false).verdict, Verdict::Warning);
        assert_eq!(
            judge(InotifyCounts { watches: 8180, instances: 5 }, 20, true).verdict,
            Verdict::Ok,
            "its own are in use"
        );
        let full = judge(InotifyCounts { watches: 0, instances: 127 }, 0, false);
        assert!(full.hint.unwrap().to_string().contains("max_user_instances=256"));
    }

    #[test]
    fn watches_and_instances_in_use_are_counted() {
        let proc = tempfile::tempdir().unwrap();
        let process = proc.path().join("4242");
        fs::create_dir_all(process.join("fd")).unwrap();
        fs::create_dir_all(process.join("fdinfo")).unwrap();
        fs::create_dir_all(proc.path().join("self")).unwrap();
        symlink("anon_inode:inotify", process.join("fd/7")).unwrap();
        symlink("/dev/null", process.join("fd/8")).unwrap();
        fs::write(process.join("fdinfo/7"), "pos:\t0\ninotify wd:2 ino:1\ninotify wd:1 ino:2\n").unwrap();
        assert_eq!(in_use(proc.path()), InotifyCounts { watches: 2, instances: 1 });
    }

    #[test]
    fn a_missing_folder_is_judged_by_the_nearest_existing_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(writable("state folder", &folder.path().join("a/b")).verdict, Verdict::Ok);
        fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(writable("state folder", &folder.path().join("file/b")).verdict, Verdict::Failed);
    }

    #[test]
    fn a_runtime_folder_must_belong_to_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let environment =
            |runtime_dir: Option<PathBuf>| Environment { runtime_dir, ..Environment::bare(PathBuf::new()) };
        let judge = |folder: Option<PathBuf>| runtime_folder(&environment(folder)).verdict;
        assert_eq!(judge(Some(folder.path().to_owned())), Verdict::Ok);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(judge(Some(folder.path().to_owned())), Verdict::Warning);
        assert_eq!(judge(Some(folder.path().join("none"))), Verdict::Failed);
        assert_eq!(judge(None), Verdict::Warning);
    }
}
