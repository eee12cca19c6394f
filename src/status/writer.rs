//! Who asks: the name of the program at the other end of a connection, for people to see which script set a signal.

use std::fs;

/// The name of this program's own command line, behind which somebody else stands.
const OWN: &str = "presenced";

/// The program with the process id `pid`, or the one that started it if that is `presenced signal`. `None`: it has ended,
/// or is of another process namespace. The name is what the program chose for itself, and proves nothing.
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

/// The process that started it (`proc_pid_status(5)`).
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
        // Until it is executed it has our own name.
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
