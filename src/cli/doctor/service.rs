//! Checks the daemon and its systemd user unit: whether it is installed, enabled and running, and whether its environment matches
//! that of this command.
//!
//! It asks systemd with `systemctl`, and changes nothing.

use jiff::Timestamp;

use super::check::{Check, Group};
use super::text::{Part, Text, count, foreign, one_of, text, version};
use super::{Daemon, Scene, bounded};
use crate::cli::systemd::systemctl::{Properties, SystemdError, show_async, show_environment_async, show_user_async};
use crate::cli::terminal::times::span;
use crate::status::report::{Report, Warning};
use crate::warning::{Area, Severity};

const GROUP: Group = Group::Daemon;
const UNIT: &str = "presenced.service";

/// This many restarts are not a coincidence.
const MANY_RESTARTS: u32 = 3;

/// systemd's words for the states of units, their results, and the states of their files (systemctl(1), systemd.exec(5)).
const STATES: [&str; 30] = [
    "activating",
    "active",
    "auto-restart",
    "bad-setting",
    "core-dump",
    "dead",
    "deactivating",
    "error",
    "exec-condition",
    "exit-code",
    "exited",
    "failed",
    "final-sigterm",
    "inactive",
    "masked",
    "not-found",
    "oom-kill",
    "protocol",
    "reload",
    "reloading",
    "resources",
    "running",
    "signal",
    "start",
    "start-limit-hit",
    "start-pre",
    "stop",
    "stop-sigterm",
    "timeout",
    "watchdog",
];

/// The unit's properties that are checked.
const PROPERTIES: [&str; 7] =
    ["LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "Result", "NeedDaemonReload"];

/// The environment variables that presenced and its libraries read. Others do not matter.
const VARIABLES: [&str; 23] = [
    "ALL_PROXY",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PRESENCED_CONFIG",
    "PULSE_COOKIE",
    "PULSE_SERVER",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
    "TZDIR",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// All checks of the daemon and its unit.
pub(super) async fn checks(scene: &Scene<'_>) -> Vec<Check> {
    let environment = &scene.environment;
    let user = rustix::process::getuid().as_raw().to_string();
    let (unit, services_environment, user) = tokio::join!(
        bounded_answer(show_async(UNIT, &PROPERTIES, environment)),
        bounded_answer(show_environment_async(environment)),
        bounded_answer(show_user_async(&user, &["Linger"], environment)),
    );
    let mut checks = vec![running(scene)];
    checks.extend(scene.report().and_then(others));
    checks.push(judge_unit(&unit, scene.report().is_some()));
    let is_managed = matches!(&unit, Ok(unit) if is_loaded(unit));
    checks.push(judge_environment(services_environment, is_managed, scene));
    checks.push(judge_linger(user, scene));
    checks
}

/// Whether a daemon is running, and whether its version is this one.
fn running(scene: &Scene<'_>) -> Check {
    let name = "daemon";
    match &scene.daemon {
        Daemon::Runs(report) => runs(report, scene.now.wall),
        Daemon::NoSocketPath => {
            Check::warning(GROUP, name, "no location is available for its socket, because $XDG_RUNTIME_DIR is not set")
                .with_hint("run this in a login session, or give the socket's path with `--socket`")
        }
        Daemon::Down => Check::warning(GROUP, name, "it is not running; this command ran the checks below itself")
            .with_hint("start it with `systemctl --user start presenced` or `presenced run`"),
        Daemon::Failing { text, hint } => Check::failed(GROUP, name, foreign(text)).with_hint(foreign(hint)),
    }
}

fn runs(report: &Report, now: Timestamp) -> Check {
    let up = Part::Plain(span(now.duration_since(report.started_at)).into());
    let found = text!["running, pid ", report.pid, ", up ", up];
    let own = env!("CARGO_PKG_VERSION");
    if report.version == own {
        return Check::ok(GROUP, "daemon", found);
    }
    let found = found.then(", version ").then(version(&report.version)).then("; this command has version ");
    Check::warning(GROUP, "daemon", found.then(own)).with_hint("run `systemctl --user restart presenced`")
}

/// The daemon's warnings that no other check covers.
fn others(report: &Report) -> Option<Check> {
    let warnings: Vec<&Warning> =
        report.warnings.iter().filter(|warning| warning.code.area() == Area::Daemon).collect();
    let first = warnings.first()?;
    let found = text!["the daemon has ", count(warnings.len(), "other warning", "other warnings")];
    let check = if warnings.iter().any(|warning| warning.severity == Severity::Error) {
        Check::failed(GROUP, "warnings", found)
    } else {
        Check::warning(GROUP, "warnings", found)
    };
    let details = warnings.iter().map(|warning| Text::from(foreign(&warning.text)));
    Some(check.with_details(details).with_hint(foreign(&first.hint)))
}

/// systemd's answer, or why there is none.
type Answer = Result<Properties, Text>;

async fn bounded_answer(asked: impl Future<Output = Result<Properties, SystemdError>>) -> Answer {
    let answer = bounded(asked).await.ok_or("systemd did not answer within 10 s")?;
    answer.map_err(|error| match error {
        SystemdError::NotInstalled => "systemd is not installed".into(),
        SystemdError::NotRun(reason) | SystemdError::Unreachable(reason) | SystemdError::Refused(reason) => {
            text!["systemd does not answer this user: ", foreign(&reason)]
        }
    })
}

fn is_loaded(unit: &Properties) -> bool {
    unit.text("LoadState") == "loaded"
}

/// A unit's state. Words other than systemd's own are private.
fn state_of(word: &str) -> Part {
    one_of(&STATES, word)
}

fn judge_unit(unit: &Answer, daemon_runs: bool) -> Check {
    let name = "unit";
    let unit = match unit {
        Ok(unit) => unit,
        Err(why) => return Check::skipped(GROUP, name, why.clone()),
    };
    if !is_loaded(unit) {
        let found = if unit.text("LoadState") == "not-found" {
            text!["presenced.service is not installed for this user"]
        } else {
            text!["presenced.service cannot be loaded (", state_of(unit.text("LoadState")), ")"]
        };
        return Check::warning(GROUP, name, found).with_hint("run `presenced service install`");
    }
    let restarts: u32 = unit.text("NRestarts").parse().unwrap_or(0);
    let state = text![state_of(unit.text("ActiveState")), " (", state_of(unit.text("SubState")), ")"];
    let log = "`journalctl --user -u presenced -e` says why";
    match unit.text("ActiveState") {
        "failed" => {
            Check::failed(GROUP, name, text!["it has failed (", state_of(unit.text("Result")), ")"]).with_hint(log)
        }
        "active" | "reloading" | "activating" | "deactivating" if restarts >= MANY_RESTARTS => {
            let found = state.then(", restarted ").then(count(restarts as usize, "time", "times"));
            Check::warning(GROUP, name, found).with_hint(log)
        }
        "active" | "reloading" | "activating" | "deactivating" => match unit.text("UnitFileState") {
            "disabled" => Check::warning(GROUP, name, state.then(", but not enabled"))
                .with_hint("run `systemctl --user enable presenced`"),
            _ if unit.text("NeedDaemonReload") == "yes" => {
                Check::warning(GROUP, name, state.then(", but its file has changed since systemd read it"))
                    .with_hint("run `systemctl --user daemon-reload`, then `systemctl --user restart presenced`")
            }
            _ => Check::ok(GROUP, name, state.then(", enabled")),
        },
        _ if daemon_runs => Check::ok(GROUP, name, state.then("; the running daemon was started in another way")),
        _ => Check::warning(GROUP, name, state).with_hint("run `systemctl --user enable --now presenced`"),
    }
}

/// Which variables are set here but not for services, or set to another value. Values are not shown, because some are passwords.
fn judge_environment(theirs: Answer, is_managed: bool, scene: &Scene<'_>) -> Check {
    let name = "environment";
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(why) => return Check::skipped(GROUP, name, why),
    };
    let (mut missing, mut other) = (Vec::new(), Vec::new());
    for variable in VARIABLES {
        let Some(own) = scene.environment.var(variable) else { continue };
        match theirs.get(variable) {
            None => missing.push(variable),
            Some(value) if unquoted(value) == own => {}
            Some(_) => other.push(variable),
        }
    }
    if missing.is_empty() && other.is_empty() {
        return Check::ok(GROUP, name, "services have the same variables as this command");
    }
    let list = |names: &[&'static str]| Text::list(names.iter().copied().map(Part::from));
    let found = match (missing.as_slice(), other.as_slice()) {
        (missing, []) => text!["services lack "].join(list(missing)),
        ([], other) => text!["services have other values for "].join(list(other)),
        (missing, other) => {
            text!["services lack "].join(list(missing)).then(", and have other values for ").join(list(other))
        }
    };
    if !is_managed {
        return Check::ok(GROUP, name, found.then(", which matters once presenced runs as a service"));
    }
    let names = [missing, other].concat().join(" ");
    let hint = format!("run `systemctl --user import-environment {names}`, then `systemctl --user restart presenced`");
    Check::warning(GROUP, name, found).with_hint(Part::Plain(hint.into()))
}

/// A value without quotes. systemctl writes `$'…'` around a value that a shell would not read as one word.
fn unquoted(value: &str) -> String {
    match value.strip_prefix("$'").and_then(|value| value.strip_suffix('\'')) {
        Some(inner) => inner.replace("\\'", "'").replace("\\\\", "\\"),
        None => value.to_owned(),
    }
}

/// Whether the user's services run without a login, as a bot's must.
fn judge_linger(user: Answer, scene: &Scene<'_>) -> Check {
    let name = "linger";
    let accounts = scene.config.as_ref().map(|config| config.accounts.values().collect::<Vec<_>>()).unwrap_or_default();
    let is_bot = !accounts.is_empty() && accounts.iter().all(|account| !account.auth.is_interactive());
    match user.map(|user| user.text("Linger") == "yes") {
        Err(why) => Check::skipped(GROUP, name, why),
        Ok(true) => Check::ok(GROUP, name, "this user's services also run without a login"),
        Ok(false) if is_bot => Check::warning(
            GROUP,
            name,
            "this user's services stop at logout, but the accounts here are not of a person",
        )
        .with_hint("run `loginctl enable-linger`"),
        Ok(false) => Check::ok(GROUP, name, "this user's services run while the user is logged in"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    fn unit(text: &str) -> Properties {
        Properties::read(&text.replace(' ', "\n"))
    }

    #[test]
    fn a_unit_is_judged_by_its_properties() {
        let loaded = "LoadState=loaded UnitFileState=enabled NRestarts=0 NeedDaemonReload=no";
        for (said, runs, verdict, expected) in [
            (format!("{loaded} ActiveState=active SubState=running"), true, Verdict::Ok, "active (running), enabled"),
            (
                format!("{loaded} ActiveState=active SubState=running").replace("enabled", "disabled"),
                true,
                Verdict::Warning,
                "active (running), but not enabled",
            ),
            (
                format!("{loaded} ActiveState=active SubState=running").replace("NRestarts=0", "NRestarts=7"),
                true,
                Verdict::Warning,
                "active (running), restarted 7 times",
            ),
            (
                format!("{loaded} ActiveState=failed Result=exit-code"),
                false,
                Verdict::Failed,
                "it has failed (exit-code)",
            ),
            (format!("{loaded} ActiveState=inactive SubState=dead"), false, Verdict::Warning, "inactive (dead)"),
            (
                format!("{loaded} ActiveState=inactive SubState=dead"),
                true,
                Verdict::Ok,
                "inactive (dead); the running daemon was started in another way",
            ),
            (
                "LoadState=not-found".to_owned(),
                false,
                Verdict::Warning,
                "presenced.service is not installed for this user",
            ),
            (String::new(), false, Verdict::Warning, "presenced.service cannot be loaded ()"),
        ] {
            let check = judge_unit(&Ok(unit(&said)), runs);
            assert_eq!((check.verdict, check.found.to_string().as_str()), (verdict, expected), "{said}");
        }
        assert_eq!(judge_unit(&Err("systemd is not installed".into()), true).verdict, Verdict::Skipped);
    }

    #[test]
    fn values_are_compared_without_quotes() {
        assert_eq!(unquoted("wayland-0"), "wayland-0");
        assert_eq!(unquoted(r"$'a b\'c\\d'"), r"a b'c\d");
    }
}
