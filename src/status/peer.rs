//! The peer: whose the program at the other end of a connection is, and its name, so that people can see which script set a signal.

use std::fs;

/// The user id of root.
pub(super) const ROOT: u32 = 0;

/// The name of presenced's own commands, which somebody else runs.
const OWN: &str = "presenced";

/// Whether this process may talk to a process of the user `uid`: its own user, and root, who could read everything anyway. To root
/// itself anyone may answer, because nobody else can look after a service whose user exists only while it runs.
pub(super) fn may_answer(uid: u32) -> bool {
    let own = rustix::process::geteuid();
    own.is_root() || uid == own.as_raw() || uid == ROOT
}

/// The program with the process id `pid`, or the one that started it if that is `presenced signal`. `None`: it has ended, or
/// belongs to another process namespace. A program chooses its own name, so the name proves nothing.
pub(super) fn name(pid: i32) -> Option<String> {
    let name = comm(pid)?;
    if name != OWN {
        return Some(name);
    }
    parent(pid).and_then(comm).or(Some(name))
}

/// A process's name (`proc_pid_comm(5)`), at most 15 bytes.
pub(super) fn comm(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name);
    let name: String = name.trim_end_matches('\n').chars().filter(|character| !character.is_control()).collect();
    (!name.is_empty()).then_some(name)
}

/// The parent process (`proc_pid_status(5)`).
fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no secret to keep from it")]
    fn a_program_is_named_and_one_that_has_ended_is_not() {
        let mut child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id().cast_signed();
        // Until it has run `exec`, it has the name of this process.
        while comm(pid).as_deref() != Some("sleep") {
            std::thread::yield_now();
        }
        assert_eq!(name(pid).as_deref(), Some("sleep"));
        assert_eq!(parent(pid), Some(std::process::id().cast_signed()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(name(pid), None);
    }
}
