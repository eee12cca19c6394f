//! The checks as Markdown for a public issue, without anything private.
//!
//! Leaves to others: what is private in a text (`redact`), and in the configuration (`redacted_config`).

use std::fmt::Write as _;

use super::Scene;
use super::check::{Check, Group};
use super::redact::Redactor;
use super::redacted_config;
use super::view::Marks;
use crate::config::{Environment, MAX_FILE_BYTES};
use crate::regular_file;

/// Common desktops. Any other name may be private.
const DESKTOPS: [&str; 22] = [
    "Budgie",
    "Cinnamon",
    "COSMIC",
    "Deepin",
    "Enlightenment",
    "GNOME",
    "Hyprland",
    "KDE",
    "LXDE",
    "LXQt",
    "MATE",
    "Pantheon",
    "Unity",
    "X-Cinnamon",
    "XFCE",
    "i3",
    "labwc",
    "niri",
    "river",
    "sway",
    "ubuntu",
    "wlroots",
];

/// Prints the report.
pub(super) fn render(scene: &Scene<'_>, checks: &[Check]) -> String {
    let mut redactor = Redactor::of(scene, checks);
    let mut report = String::from("### presenced doctor\n\n");
    for (name, fact) in facts(scene) {
        let _ = writeln!(report, "- {name}: {fact}");
    }
    for group in Group::ALL {
        let members: Vec<&Check> = checks.iter().filter(|check| check.group == group).collect();
        if !members.is_empty() {
            let _ = writeln!(report, "\n**{}**\n", group.title());
        }
        for check in members {
            let subject = check.subject.as_ref().map(|subject| format!(" of {}", redactor.part(subject)));
            let (mark, found) = (Marks::Unicode.mark(check.verdict), redactor.text(&check.found));
            let _ = writeln!(report, "- {mark} {}{}: {found}", check.name, subject.unwrap_or_default());
            for detail in &check.details {
                let _ = writeln!(report, "  - {}", redactor.text(detail));
            }
        }
    }
    report + &configuration(scene, &mut redactor)
}

/// The redacted configuration.
fn configuration(scene: &Scene<'_>, redactor: &mut Redactor) -> String {
    let Ok(bytes) = regular_file::read(&scene.context.config, MAX_FILE_BYTES) else { return String::new() };
    match redacted_config::of(&String::from_utf8_lossy(&bytes), redactor) {
        Some(config) => format!("\n**Configuration**, with placeholders\n\n```toml\n{}\n```\n", config.trim()),
        None => "\n**Configuration**: left out, because it is not TOML.\n".to_owned(),
    }
}

/// Which presenced this is, and on which machine.
fn facts(scene: &Scene<'_>) -> [(&'static str, String); 6] {
    let environment = &scene.environment;
    let daemon = scene.report().map_or_else(
        || "not running".to_owned(),
        |report| {
            if report.version == env!("CARGO_PKG_VERSION") {
                "running, the same version".to_owned()
            } else {
                format!("running, version {}", version(&report.version))
            }
        },
    );
    let kernel = rustix::system::uname();
    let machine = kernel.machine().to_string_lossy().into_owned();
    [
        ("presenced", format!("{}, built with {}", env!("CARGO_PKG_VERSION"), features())),
        ("daemon", daemon),
        ("kernel", format!("Linux {}, {machine}", version(&kernel.release().to_string_lossy()))),
        ("distribution", distribution(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())),
        ("desktop", desktop(environment)),
        ("session", session(environment)),
    ]
}

fn features() -> String {
    let built =
        [("pulse", cfg!(feature = "pulse")), ("wayland", cfg!(feature = "wayland")), ("x11", cfg!(feature = "x11"))];
    let names: Vec<_> = built.into_iter().filter(|(_, is_in)| *is_in).map(|(name, _)| name).collect();
    if names.is_empty() { "no features".to_owned() } else { names.join(", ") }
}

/// The numbers at the start. What follows may be private, such as the name of the person who built it.
fn version(text: &str) -> String {
    let numbers: String = text.chars().take_while(|char| char.is_ascii_digit() || *char == '.').collect();
    numbers.trim_end_matches('.').to_owned()
}

/// The distribution's id and version from os-release(5).
fn distribution(os_release: &str) -> String {
    let value = |name: &str| {
        let value = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        let value = value.trim_matches(['"', '\'']);
        let is_plain = value.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_'));
        (is_plain && value.len() < 24).then(|| value.to_owned())
    };
    let named: Vec<_> = ["ID", "VERSION_ID"].into_iter().filter_map(value).collect();
    if named.is_empty() { "unknown".to_owned() } else { named.join(" ") }
}

fn desktop(environment: &Environment) -> String {
    let Some(desktop) = environment.var("XDG_CURRENT_DESKTOP") else { return "not named".to_owned() };
    let known = |name: &str| DESKTOPS.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or("another");
    desktop.split(':').map(known).collect::<Vec<_>>().join(", ")
}

fn session(environment: &Environment) -> String {
    let kind = environment.var("XDG_SESSION_TYPE");
    let known = ["wayland", "x11", "tty", "mir"].into_iter().find(|known| kind.as_deref() == Some(known));
    known.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_facts_about_the_machine_are_reported() {
        assert_eq!(version("6.12.5-arch1-of-bob"), "6.12.5");
        assert_eq!(distribution("NAME=\"Bob's\"\nID=debian\nVERSION_ID=\"13\"\n"), "debian 13");
        assert_eq!(distribution("ID=\"bob's own\"\n"), "unknown");
    }
}
