//! The commands that hints name in backquotes: what to do first is one of them, and a report shows them as they are.

/// Their programs.
const PROGRAMS: [&str; 13] = [
    "chmod",
    "journalctl",
    "loginctl",
    "ls",
    "mkdir",
    "pactl",
    "presenced",
    "resolvectl",
    "sudo",
    "systemctl",
    "systemd-inhibit",
    "timedatectl",
    "update-ca-certificates",
];

/// Whether what stands in backquotes is a command.
pub(super) fn is_command(quoted: &str) -> bool {
    quoted.split(' ').next().is_some_and(|program| PROGRAMS.contains(&program))
}
