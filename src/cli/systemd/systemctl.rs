//! The user's service manager, spoken to through `systemctl --user`: what commands need to know of units and have done with
//! them, and, where nobody can be spoken to, what is the matter.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::cli::error::{Error, Exit};
use crate::config::Environment;

/// What is said where systemd is not even installed.
const NO_SYSTEMCTL: &str = "there is no program `systemctl`";

/// Why the service manager did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Trouble {
    /// There is no program `systemctl`, or it cannot be run.
    Missing(String),
    /// The user's service manager does not answer; what `systemctl` says of that.
    Unreachable(String),
    /// It was asked and did not do it; what it says of that.
    Refused(String),
}

/// A unit, or the manager itself, as `systemctl show` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Those in the output of `systemctl show`, one a line.
    pub(in crate::cli) fn read(shown: &str) -> Self {
        let pairs = shown.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A property as it is written; empty where there is none.
    pub(in crate::cli) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A property that is a time; `None` where it is not set.
    pub(in crate::cli) fn time(&self, name: &str) -> Option<Timestamp> {
        let written = self.text(name);
        let time = strtime::parse("%a %Y-%m-%d %H:%M:%S UTC", written).and_then(|time| time.to_datetime());
        time.and_then(|time| TimeZone::UTC.to_timestamp(time)).ok()
    }

    /// The paths that a property lists.
    pub(in crate::cli) fn paths(&self, name: &str) -> Vec<PathBuf> {
        self.text(name).split_whitespace().map(PathBuf::from).collect()
    }
}

/// Properties of a unit of the user's. A unit that does not exist has the `LoadState` `not-found`.
pub(in crate::cli) fn show(unit: &str, properties: &[&str]) -> Result<Properties, Trouble> {
    show_any(&["--", unit], properties)
}

/// Properties of the service manager itself.
pub(in crate::cli) fn show_manager(properties: &[&str]) -> Result<Properties, Trouble> {
    show_any(&[], properties)
}

fn show_any(of: &[&str], properties: &[&str]) -> Result<Properties, Trouble> {
    let asked = format!("--property={}", properties.join(","));
    // A manager that answers has something to show of every name, so that a failure is nobody to answer.
    let shown = systemctl(&[&["show", &asked], of].concat()).map_err(|trouble| match trouble {
        Trouble::Refused(said) => Trouble::Unreachable(said),
        Trouble::Missing(_) | Trouble::Unreachable(_) => trouble,
    })?;
    Ok(Properties::read(&shown))
}

/// Has something done, and waits until it is.
pub(in crate::cli) fn order(arguments: &[&str]) -> Result<(), Trouble> {
    systemctl(arguments).map(drop)
}

fn systemctl(arguments: &[&str]) -> Result<String, Trouble> {
    let output = Command::new("systemctl")
        .args(["--user", "--no-pager", "--no-ask-password"])
        .args(arguments)
        // Times without a zone to guess at, and words of one language.
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            let is_there = error.kind() != ErrorKind::NotFound;
            let said = if is_there { format!("`systemctl` cannot be run: {error}") } else { NO_SYSTEMCTL.to_owned() };
            Trouble::Missing(said)
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it does not say why");
    Err(Trouble::Refused(said.to_owned()))
}

/// What there is to know of a process whose user's service manager cannot be reached.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Circumstances {
    /// Whether systemd runs the machine at all.
    pub(in crate::cli) booted: bool,
    /// Whether `$XDG_RUNTIME_DIR` is set.
    pub(in crate::cli) runtime_dir: bool,
    /// Who became root with sudo; `None`: nobody did.
    pub(in crate::cli) sudo_user: Option<String>,
    /// The user's name, as the shell has it.
    pub(in crate::cli) user: String,
}

impl Circumstances {
    /// Those of this process.
    pub(in crate::cli) fn of(environment: &Environment) -> Self {
        let root = rustix::process::geteuid().is_root();
        Self {
            booted: sd_notify::booted().unwrap_or(false),
            runtime_dir: environment.runtime_dir.is_some(),
            sudo_user: environment.var("SUDO_USER").filter(|user| root && user != "root"),
            user: environment.var("USER").unwrap_or_else(|| "USER".to_owned()),
        }
    }
}

impl Trouble {
    /// It as the end of a command.
    pub(in crate::cli) fn error(&self, circumstances: &Circumstances) -> Error {
        let Circumstances { booted, runtime_dir, sudo_user, user } = circumstances;
        let elsewhere = "have what starts programs here, such as the container's entry point, start `presenced run`";
        let (text, hint) = match self {
            Self::Refused(said) => {
                let text = format!("systemd did not do it: {said}");
                return Error::new(Exit::Failed, text).with_hint(
                    "`journalctl --user -u presenced` may say more, `systemctl --user status presenced` too",
                );
            }
            Self::Missing(said) => (format!("systemd cannot be asked: {said}"), elsewhere.to_owned()),
            Self::Unreachable(_) if !booted => ("systemd does not run this machine".to_owned(), elsewhere.to_owned()),
            Self::Unreachable(said) => {
                let hint = match (sudo_user, runtime_dir) {
                    (Some(person), _) => format!("run this as {person}, without sudo: the service is that user's own"),
                    (None, false) => format!(
                        "log in as {user} instead of using su or sudo, such as with `machinectl shell {user}@` or ssh; for a \
                         user who never logs in, first run `sudo loginctl enable-linger {user}`"
                    ),
                    (None, true) => format!(
                        "log out and in again, or run `sudo loginctl enable-linger {user}`, which starts it without a login"
                    ),
                };
                (format!("this user's systemd does not answer: {said}"), hint)
            }
        };
        Error::new(Exit::Failed, text).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(trouble: &Trouble, circumstances: &Circumstances) -> String {
        trouble.error(circumstances).hint.unwrap()
    }

    #[test]
    fn each_way_to_have_no_service_manager_has_its_own_mend() {
        let person = Circumstances { booted: true, runtime_dir: true, sudo_user: None, user: "me".to_owned() };
        let nobody = Trouble::Unreachable("Failed to connect to bus: No such file or directory".to_owned());
        assert!(hint(&nobody, &person).contains("enable-linger me"));
        let su = Circumstances { runtime_dir: false, ..person.clone() };
        assert!(hint(&nobody, &su).contains("machinectl shell me@"));
        let sudo = Circumstances { sudo_user: Some("anna".to_owned()), ..su.clone() };
        assert!(hint(&nobody, &sudo).starts_with("run this as anna, without sudo"));
        let container = Circumstances { booted: false, ..sudo };
        assert!(hint(&nobody, &container).contains("presenced run"));
        assert!(hint(&Trouble::Missing("no".to_owned()), &person).contains("presenced run"));
        assert!(hint(&Trouble::Refused("no".to_owned()), &person).contains("journalctl"));
    }

    #[test]
    fn times_are_read_as_they_are_shown() {
        let shown = Properties::read("Since=Tue 2026-11-24 16:20:07 UTC\nNever=\nOther=n/a\nPath=/a=b /c\n");
        assert_eq!(shown.time("Since"), Some("2026-11-24T16:20:07Z".parse().unwrap()));
        assert_eq!((shown.time("Never"), shown.time("Other"), shown.time("Missing")), (None, None, None));
        assert_eq!(shown.paths("Path"), [PathBuf::from("/a=b"), PathBuf::from("/c")]);
    }
}
