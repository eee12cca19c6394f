//! The commands that hints put in backquotes. The summary repeats the first of them, and a public report shows them unchanged.

/// The programs that these commands start.
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

/// Whether a text in backquotes is a command.
pub(super) fn is_command(quoted: &str) -> bool {
    quoted.split(' ').next().is_some_and(|program| PROGRAMS.contains(&program))
}
