//! Talks to the user's service manager with `systemctl --user`, and to logind with `loginctl`: reads properties of units, gives
//! orders, and explains why systemd cannot be reached.
//!
//! The `…_async` functions are for callers that must not block (`doctor`). The others wait until systemd is done.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::cli::error::{Error, Exit};
use crate::config::Environment;
use crate::fill::Fill as _;
use crate::program;

/// Why a request to systemd failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum SystemdError {
    /// The program does not exist, for example because systemd is not installed.
    NotInstalled,
    /// The program cannot be run, for this reason.
    NotRun(String),
    /// The user's service manager does not answer, with the error of `systemctl`.
    Unreachable(String),
    /// systemd refused the order, with its error.
    Refused(String),
}

/// The properties of a unit or of the manager, as `systemctl show` prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Reads the output of `systemctl show`, one property per line.
    pub(in crate::cli) fn read(shown: &str) -> Self {
        let pairs = shown.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).fill())
    }

    /// The text of a property, empty if it is missing.
    pub(in crate::cli) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The text of a property, `None` if it is missing.
    pub(in crate::cli) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A property that is a time. `None` if it is not set.
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

/// Properties of a user unit. A unit that does not exist has the `LoadState` `not-found`.
pub(in crate::cli) fn show(
    unit: &str,
    properties: &[&str],
    environment: &Environment,
) -> Result<Properties, SystemdError> {
    shown(systemctl(&["show", &selection(properties), "--", unit], environment).output())
}

/// The same without blocking.
pub(in crate::cli) async fn show_async(
    unit: &str,
    properties: &[&str],
    environment: &Environment,
) -> Result<Properties, SystemdError> {
    shown(output(systemctl(&["show", &selection(properties), "--", unit], environment)).await)
}

/// Properties of the service manager itself.
pub(in crate::cli) fn show_manager(properties: &[&str], environment: &Environment) -> Result<Properties, SystemdError> {
    shown(systemctl(&["show", &selection(properties)], environment).output())
}

/// The environment that the service manager gives to services.
pub(in crate::cli) async fn show_environment_async(environment: &Environment) -> Result<Properties, SystemdError> {
    shown(output(systemctl(&["show-environment"], environment)).await)
}

/// Properties of a user from logind.
pub(in crate::cli) async fn show_user_async(
    user: &str,
    properties: &[&str],
    environment: &Environment,
) -> Result<Properties, SystemdError> {
    let arguments = ["show-user", user, &selection(properties)];
    shown(output(systemd_program("loginctl", &arguments, environment)).await)
}

/// Gives an order, and waits until it is done.
pub(in crate::cli) fn order(arguments: &[&str], environment: &Environment) -> Result<(), SystemdError> {
    answer(systemctl(arguments, environment).output()).map(drop)
}

fn selection(properties: &[&str]) -> String {
    format!("--property={}", properties.join(","))
}

fn systemctl(arguments: &[&str], environment: &Environment) -> Command {
    systemd_program("systemctl", &[&["--user"], arguments].concat(), environment)
}

/// One of systemd's programs, without questions to the user.
fn systemd_program(program: &str, arguments: &[&str], environment: &Environment) -> Command {
    let mut command = program::command(program, environment);
    command.args(["--no-pager", "--no-ask-password"]).args(arguments);
    // UTC times and English words, so that the output can be parsed.
    command.env("TZ", "UTC").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs the command without blocking. The process is killed if the caller stops waiting.
async fn output(command: Command) -> io::Result<Output> {
    tokio::process::Command::from(command).kill_on_drop(true).output().await
}

/// The properties that a program shows. systemd shows some for every name, so a failure means that it does not answer.
fn shown(output: io::Result<Output>) -> Result<Properties, SystemdError> {
    match answer(output) {
        Ok(shown) => Ok(Properties::read(&shown)),
        Err(SystemdError::Refused(said)) => Err(SystemdError::Unreachable(said)),
        Err(error) => Err(error),
    }
}

/// The output of a program, or why it failed.
fn answer(output: io::Result<Output>) -> Result<String, SystemdError> {
    let output = output.map_err(|error| {
        let is_there = error.kind() != ErrorKind::NotFound;
        if is_there { SystemdError::NotRun(error.to_string()) } else { SystemdError::NotInstalled }
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    Err(SystemdError::Refused(said.to_owned()))
}

/// What may explain why the user's service manager cannot be reached.
#[derive(Clone, Debug)]
struct Circumstances {
    /// Whether systemd runs the machine at all.
    booted: bool,
    /// Whether `$XDG_RUNTIME_DIR` is set.
    runtime_dir: bool,
    /// The user who became root with sudo, if any.
    sudo_user: Option<String>,
    /// The user's name from `$USER`.
    user: String,
}

impl Circumstances {
    /// The circumstances of this process.
    fn of(environment: &Environment) -> Self {
        let root = rustix::process::geteuid().is_root();
        Self {
            booted: sd_notify::booted().unwrap_or(false),
            runtime_dir: environment.runtime_dir.is_some(),
            sudo_user: environment.var("SUDO_USER").filter(|user| root && user != "root"),
            user: environment.var("USER").unwrap_or_else(|| "USER".to_owned()),
        }
    }
}

impl SystemdError {
    /// The error to end a command with.
    pub(in crate::cli) fn error(&self, environment: &Environment) -> Error {
        self.error_in(&Circumstances::of(environment))
    }

    fn error_in(&self, circumstances: &Circumstances) -> Error {
        let Circumstances { booted, runtime_dir, sudo_user, user } = circumstances;
        let elsewhere = "start `presenced run` in another way, for example from the container's entry point";
        let (text, hint) = match self {
            Self::Refused(said) => {
                let text = format!("systemd refused: {said}");
                return Error::new(Exit::Failed, text)
                    .with_hint("see `journalctl --user -u presenced` and `systemctl --user status presenced`");
            }
            Self::NotInstalled => {
                ("systemd is not available: there is no program `systemctl`".to_owned(), elsewhere.to_owned())
            }
            Self::NotRun(why) => {
                (format!("systemd is not available: `systemctl` cannot be run: {why}"), elsewhere.to_owned())
            }
            Self::Unreachable(_) if !booted => ("systemd does not run this machine".to_owned(), elsewhere.to_owned()),
            Self::Unreachable(said) => {
                let hint = match (sudo_user, runtime_dir) {
                    (Some(person), _) => format!("run this as {person} without sudo: the service belongs to that user"),
                    (None, false) => format!(
                        "log in as {user} with `machinectl shell {user}@` or ssh instead of su or sudo; for a \
                         user who never logs in, first run `sudo loginctl enable-linger {user}`"
                    ),
                    (None, true) => format!(
                        "log out and in again, or run `sudo loginctl enable-linger {user}` to start it without a login"
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

    fn hint(trouble: &SystemdError, circumstances: &Circumstances) -> String {
        trouble.error_in(circumstances).hint.unwrap()
    }

    #[test]
    fn each_reason_for_a_missing_service_manager_has_its_own_fix() {
        let person = Circumstances { booted: true, runtime_dir: true, sudo_user: None, user: "me".to_owned() };
        let unreachable = SystemdError::Unreachable("Failed to connect to bus: No such file or directory".to_owned());
        assert!(hint(&unreachable, &person).contains("enable-linger me"));
        let su = Circumstances { runtime_dir: false, ..person.clone() };
        assert!(hint(&unreachable, &su).contains("machinectl shell me@"));
        let sudo = Circumstances { sudo_user: Some("anna".to_owned()), ..su.clone() };
        assert!(hint(&unreachable, &sudo).starts_with("run this as anna without sudo"));
        let container = Circumstances { booted: false, ..sudo };
        assert!(hint(&unreachable, &container).contains("presenced run"));
        assert!(hint(&SystemdError::NotInstalled, &person).contains("presenced run"));
        assert!(hint(&SystemdError::Refused("no".to_owned()), &person).contains("journalctl"));
    }

    #[test]
    fn times_and_paths_are_read() {
        let shown = Properties::read("Since=Tue 2026-11-24 16:20:07 UTC\nNever=\nOther=n/a\nPath=/a=b /c\n");
        assert_eq!(shown.time("Since"), Some("2026-11-24T16:20:07Z".parse().unwrap()));
        assert_eq!((shown.time("Never"), shown.time("Other"), shown.time("Missing")), (None, None, None));
        assert_eq!(shown.paths("Path"), [PathBuf::from("/a=b"), PathBuf::from("/c")]);
    }
}
