//! A limit of processes and threads, as a container or a unit has it. A test that runs as root uses a control group, because no
//! other limit applies to root; any other user gets a user namespace, where only the daemon counts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::Command;

/// The most that a test may allow.
const MOST: u32 = 100;

/// The limit of one program. Dropped, a control group goes when its program is gone.
pub(crate) enum TaskLimit {
    Group(PathBuf),
    Namespace,
}

impl TaskLimit {
    /// Changes a command so that its program has at most `tasks` threads and child processes together, itself included.
    pub(crate) fn of(command: &mut Command, tasks: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let limit = if rustix::process::geteuid().is_root() {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let group = controller().join(format!("presenced-test-{}-{number}", std::process::id()));
            fs::create_dir(&group).unwrap();
            fs::write(group.join("pids.max"), tasks.to_string()).unwrap();
            Self::Group(group)
        } else {
            Self::Namespace
        };
        let mut limited = match &limit {
            Self::Group(group) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", r#"echo $$ >"$0" && exec "$@""#]).arg(group.join("cgroup.procs"));
                shell
            }
            Self::Namespace => {
                let mut shell = Command::new("unshare");
                shell.args(["--user", "--map-current-user", "prlimit"]).arg(format!("--nproc={tasks}:{MOST}"));
                shell
            }
        };
        let inner = command.as_std();
        limited.arg(inner.get_program()).args(inner.get_args()).env_clear();
        limited.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited.stdin(Stdio::null()).kill_on_drop(true);
        *command = limited;
        limit
    }

    /// From now on the program may have at most `tasks`. Those that it has already stay.
    pub(crate) fn set(&self, pid: Pid, tasks: u32) {
        match self {
            Self::Group(group) => fs::write(group.join("pids.max"), tasks.to_string()).unwrap(),
            Self::Namespace => {
                let limit = Rlimit { current: Some(tasks.into()), maximum: Some(MOST.into()) };
                prlimit(Some(pid), Resource::Nproc, limit).unwrap();
            }
        }
    }
}

impl Drop for TaskLimit {
    fn drop(&mut self) {
        if let Self::Group(group) = self {
            // A program that is still ending keeps it. The next restart of the machine removes it.
            let _ = fs::remove_dir(group);
        }
    }
}

/// Where control groups have a limit of processes.
fn controller() -> PathBuf {
    let (first, second) = ("/sys/fs/cgroup/pids", "/sys/fs/cgroup");
    let has_pids = |controllers: String| controllers.split_whitespace().any(|controller| controller == "pids");
    let of_second = fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").is_ok_and(has_pids);
    if of_second { second.into() } else { first.into() }
}
