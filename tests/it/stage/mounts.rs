//! A mount namespace for a test, and the file systems in it. What is mounted there is gone with the test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::stage::house::guarded;

/// A hang guard for a whole test.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs the test `name` in mounts of its own, where temporary folders are on a tmpfs: an ordinary file system, whatever the
/// machine has.
pub(crate) async fn in_mounts_of_its_own(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let inner = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("TMPDIR", folder.path())
        .kill_on_drop(true)
        .output();
    // Longer than any wait of that test, which says what it waited for and takes its programs down.
    let inner = tokio::time::timeout(PATIENCE, inner).await.expect("the test within ends");
    let inner = inner.expect("this test needs `unshare` (Debian package util-linux)");
    let text = String::from_utf8_lossy(&inner.stdout) + String::from_utf8_lossy(&inner.stderr);
    assert!(
        inner.status.success(),
        "this test needs user and mount namespaces (root has them, others with sysctl \
         kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0):\n{text}"
    );
    assert!(text.contains("1 passed"), "{text}");
}

/// The first step of such a test.
pub(crate) async fn on_a_tmpfs() {
    let folder = std::env::temp_dir();
    assert_ne!(folder, Path::new("/tmp"), "these are somebody's temporary files");
    mount(&["-t", "tmpfs", "tmpfs"], &folder).await;
}

/// Mounts something at `place`.
pub(crate) async fn mount(arguments: &[&str], place: &Path) {
    let status = Command::new("mount").args(arguments).arg(place).status().await.unwrap();
    assert!(status.success(), "mount {arguments:?} {}", place.display());
}

/// Unmounts it, even if it is in use.
pub(crate) async fn unmount(place: &Path) {
    let status = Command::new("umount").arg("--lazy").arg(place).status().await.unwrap();
    assert!(status.success(), "umount {}", place.display());
}

/// An overlay: folders that are shown as one. Changes of a layer are not events of the merged folder.
pub(crate) struct Overlay {
    pub(crate) upper: PathBuf,
    pub(crate) merged: PathBuf,
}

impl Overlay {
    /// One in `folder` whose upper layer has these files.
    pub(crate) async fn with(folder: &Path, files: &[(&str, &str)]) -> Self {
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| {
            fs::create_dir(folder.join(name)).unwrap();
            folder.join(name)
        });
        for (name, content) in files {
            fs::write(upper.join(name), content).unwrap();
        }
        let layers = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        mount(&["-t", "overlay", "overlay", "-o", &layers], &merged).await;
        Self { upper, merged }
    }
}

/// A FUSE file system that shows the folder `source` at `mounted`, and has another machine's faults: changes of `source` are
/// not events of `mounted`, and when it is stopped, whoever looks there waits.
pub(crate) struct Fuse {
    pub(crate) source: PathBuf,
    pub(crate) mounted: PathBuf,
    server: Child,
}

impl Fuse {
    /// One in `folder`.
    pub(crate) async fn in_folder(folder: &Path) -> Self {
        let [source, mounted] = ["source", "mounted"].map(|name| {
            fs::create_dir(folder.join(name)).unwrap();
            folder.join(name)
        });
        // Without caches in the kernel, so that each look reaches the server.
        let server = Command::new("bindfs")
            .args(["--no-allow-other", "-f", "-o", "attr_timeout=0,entry_timeout=0"])
            .args([&source, &mounted])
            .kill_on_drop(true)
            .spawn()
            .expect("this test needs `bindfs` (Debian package bindfs)");
        let is_mounted = async {
            while !rustix::fs::statfs(&mounted).is_ok_and(|found| found.f_type == FUSE) {
                tokio::task::yield_now().await;
            }
        };
        guarded("a FUSE file system", is_mounted).await;
        Self { source, mounted, server }
    }

    /// It does not answer any more.
    pub(crate) fn stall(&self) {
        self.signal(Signal::STOP);
    }

    /// It answers again.
    pub(crate) fn answer(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.server.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

/// `FUSE_SUPER_MAGIC` (linux/magic.h).
const FUSE: rustix::fs::FsWord = 0x6573_5546;
