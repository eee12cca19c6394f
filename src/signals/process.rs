//! The end of another process, reported by a pidfd: without polling, and without confusing it with a later process that has the
//! same id.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

use crate::fd;

/// How much later than the file a process may seem to have started and still be the one that the file names: the kernel's
/// boot time is rounded to a second, and a file's time to a tick.
const START_SLACK_SECS: i64 = 2;

/// A process that was running when it was found.
#[derive(Debug)]
pub(super) struct Process(AsyncFd<OwnedFd>);

impl Process {
    /// The process that has the id `pid` now; `None` if there is none. What is read about the id from now on is about this
    /// process for as long as it has not ended.
    pub(super) fn open(pid: i32) -> io::Result<Option<Self>> {
        let Some(id) = Pid::from_raw(pid) else { return Ok(None) };
        match pidfd_open(id, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => Ok(Some(Self(fd::readable(pidfd)?))),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The process `pid` that a file names, which was last written at `written` (seconds since 1970). `None`: it has ended.
    /// A process that started after the file was written is a different one with the same id.
    pub(super) fn find(pid: i32, written: i64) -> io::Result<Option<Self>> {
        let process = Self::open(pid)?;
        let is_another = started(pid).is_some_and(|started| started > written + START_SLACK_SECS);
        Ok(process.filter(|_| !is_another))
    }

    /// Waits until it has ended, or until that can no longer be seen.
    pub(super) async fn ended(&self) {
        let _ = self.0.readable().await;
    }
}

/// When a process started, in seconds since 1970 by the current wall clock (`proc_pid_stat(5)`, field 22); `None` where
/// `/proc` does not say. Setting the wall clock moves this time but not a file's time, so the two are only compared when a
/// file is read, right after it was written.
fn started(pid: i32) -> Option<i64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may itself contain spaces and parentheses.
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let fields = std::str::from_utf8(&stat[after_name..]).ok()?;
    let ticks: i64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let per_second = i64::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks.checked_div(per_second)?)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "there is no secret to keep from it")]
    async fn the_end_of_a_process_is_reported() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = Process::find(pid, i64::MAX - START_SLACK_SECS).unwrap().expect("the child waits for its input");
        drop(child.stdin.take());
        process.ended().await;
        child.wait().unwrap();
        assert!(Process::find(pid, i64::MAX - START_SLACK_SECS).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_process_that_started_after_the_file_is_a_different_one() {
        let start = started(own()).unwrap();
        assert!(Process::find(own(), start).unwrap().is_some());
        assert!(Process::find(own(), start - START_SLACK_SECS - 1).unwrap().is_none());
    }
}
