//! `presenced service install`: checks that the service can work, writes the units unless a package did, enables and starts them,
//! and shows the result.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::paths::{self, UnitFile, UnitFolders};
use super::status;
use super::unit::{self, SERVICE, SOCKET, Start, Unwritable};
use crate::auth;
use crate::cli::context::Context;
use crate::cli::daemon_client::request;
use crate::cli::error::{Error, Exit};
use crate::cli::runtime::block_on;
use crate::cli::systemd::systemctl::{SystemdError, order, show};
use crate::cli::terminal::output::print;
use crate::config::Environment;
use crate::failure::{Failure, FailureKind, Missing};
use crate::program;
use crate::status::ClientError;
use crate::status::report::State;

/// How long to wait for the first presence once the service is running.
const FIRST_PRESENCE_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the user's systemd run this program with the same paths, now and at each login. What is already correct stays.
pub(in crate::cli) fn install(socket_activation: bool, context: &Context) -> Result<Exit, Error> {
    let folders = UnitFolders::find(context)?;
    let program = paths::program(context.environment.var("PATH").as_deref())?;
    can_work(context)?;
    let environment = &context.environment;
    let asked = |error: SystemdError| error.error(environment);
    let order = |arguments: &[&str]| order(arguments, environment);
    let is_active = |unit| show(unit, &["ActiveState"], environment).map(|unit| unit.text("ActiveState") == "active");
    let (runs, listens) = (is_active(SERVICE).map_err(asked)?, is_active(SOCKET).map_err(asked)?);
    if !runs && !listens {
        refuse_other_daemon(context)?;
    }

    let changed = put_units(&folders, &program, socket_activation, context)?;
    // `reenable`, because the links of an enabled unit may point to its old location.
    let mut enable = vec!["reenable", SERVICE];
    enable.extend(socket_activation.then_some(SOCKET));
    order(&["daemon-reload"]).and_then(|()| order(&enable)).map_err(asked)?;
    let socket_changed = changed.iter().any(|path| path.ends_with(SOCKET));
    if socket_activation && !listens || listens && socket_changed {
        // systemd refuses to listen on a socket that the service already uses.
        order(&["stop", SOCKET, SERVICE]).and_then(|()| order(&["start", SOCKET])).map_err(asked)?;
    }
    let keeps_running =
        runs && changed.is_empty() && running_version(context).as_deref() == Some(env!("CARGO_PKG_VERSION"));
    order(&[if keeps_running { "start" } else { "restart" }, SERVICE])
        .map_err(|error| not_started(&error, &program, environment))?;
    first_presence(context);
    let exit = status::show(context)?;
    print("\nIt starts when you log in. To run it without a login: `loginctl enable-linger`\n")?;
    Ok(exit)
}

/// Checks that the service has what it needs: a valid configuration and the sign-ins.
fn can_work(context: &Context) -> Result<(), Error> {
    let config = context.load_config()?;
    for (name, account) in config.accounts.iter().filter(|(_, account)| account.auth.is_interactive()) {
        if let Err(failure) = block_on(auth::stored(name, account, &context.environment))?
            && failure.kind == FailureKind::SignInNeeded
            && !is_locked(&failure)
        {
            return Err(failure.into());
        }
    }
    Ok(())
}

/// Whether the keyring is only locked. The service waits until it is unlocked.
fn is_locked(failure: &Failure) -> bool {
    matches!(failure.missing.as_deref(), Some(Missing::Keyring(collections)) if !collections.is_empty())
}

/// Refuses if a daemon was started by hand: it would keep the service from using the socket.
fn refuse_other_daemon(context: &Context) -> Result<(), Error> {
    let Ok(report) = request(context, async |mut daemon| daemon.status().await) else { return Ok(()) };
    let text = format!("presenced is already running (pid {}), but not as this service", report.pid);
    Err(Error::new(Exit::Failed, text).with_hint(format!("stop it first: kill {}", report.pid)))
}

fn running_version(context: &Context) -> Option<String> {
    request(context, async |mut daemon| daemon.status().await).ok().map(|report| report.version)
}

/// Puts the units where systemd finds them. Returns those that were written or removed.
fn put_units(
    folders: &UnitFolders,
    program: &Path,
    socket_activation: bool,
    context: &Context,
) -> Result<Vec<PathBuf>, Error> {
    let config = unusual(&context.config, Some(&context.environment.config_dir.join("config.toml")));
    let socket = context.socket.as_ref().and_then(|socket| unusual(socket, context.environment.socket().as_deref()));
    let start = Start { program, config: config.as_deref(), socket: socket.as_deref() };
    let found = [(SERVICE, folders.look(SERVICE)?), (SOCKET, folders.look(SOCKET)?)];
    for (unit, found) in &found {
        may_replace(&folders.own.join(unit), found)?;
    }
    let packaged = folders.packaged(program).filter(|_| config.is_none() && socket.is_none());
    let mut changed = Vec::new();
    for (unit, found) in found {
        let path = folders.own.join(unit);
        let is_there = matches!(found, UnitFile::Ours(_));
        let wanted = packaged.is_none() && (unit == SERVICE || socket_activation || is_there);
        if wanted {
            let text = if unit == SERVICE { unit::service(&start) } else { unit::socket(&start) };
            let text = text.map_err(|Unwritable(path)| {
                Error::new(Exit::Usage, format!("a unit cannot contain the path {path}"))
                    .with_hint("move it to a path without control characters")
            })?;
            if found != UnitFile::Ours(text.clone()) {
                folders.write(unit, &text)?;
                print(&format!("wrote {}\n", path.display()))?;
                changed.push(path);
            }
        } else if is_there {
            folders.remove(unit)?;
            print(&format!("removed {}: the package has this unit\n", path.display()))?;
            changed.push(path);
        }
    }
    Ok(changed)
}

/// The absolute path, unless it is the default that the service uses anyway.
fn unusual(path: &Path, usual: Option<&Path>) -> Option<PathBuf> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    (Some(&*whole) != usual).then_some(whole)
}

/// Refuses to replace a unit that presenced did not write.
fn may_replace(path: &Path, found: &UnitFile) -> Result<(), Error> {
    let (text, hint) = match found {
        UnitFile::Nothing | UnitFile::Ours(_) => return Ok(()),
        UnitFile::Masked => {
            ("is masked", "run `systemctl --user unmask presenced.service presenced.socket`".to_owned())
        }
        UnitFile::Theirs => (
            "was not written by `presenced service install`",
            format!(
                "keep it: `systemctl --user enable --now presenced`; or move it away: `mv {path} {path}.old`, and install \
                 again",
                path = path.display()
            ),
        ),
    };
    Err(Error::new(Exit::Failed, format!("{} {text}", path.display())).with_hint(hint))
}

/// Why the service did not start. Its last log lines say more than systemd, if the journal can be read.
fn not_started(error: &SystemdError, program: &Path, environment: &Environment) -> Error {
    let unit = show(SERVICE, &["InvocationID", "Result", "ExecMainStatus"], environment).unwrap_or_default();
    let journal = program::command("journalctl", environment)
        .args(["--user", "--output=cat", "--no-pager", "--quiet", "--lines=50"])
        .arg(format!("_SYSTEMD_INVOCATION_ID={}", unit.text("InvocationID")))
        .stdin(Stdio::null())
        .output();
    let logged = journal.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if let Some(last) = last_error(&logged) {
        return Error::new(Exit::Failed, format!("the service does not start: {last}"));
    }
    let why = match unit.text("Result") {
        "" | "success" => return error.error(environment),
        "exit-code" => format!("it ended with exit code {}", unit.text("ExecMainStatus")),
        other => format!("it failed ({other})"),
    };
    Error::new(Exit::Failed, format!("the service does not start: {why}"))
        .with_hint(format!("see why with `{} run`, in a terminal", program.display()))
}

/// The last error in a log and everything after it, which includes its hint.
fn last_error(log: &str) -> Option<&str> {
    let start = if log.starts_with("error: ") { Some(0) } else { None };
    let start = log.rfind("\nerror: ").map(|found| found + 1).or(start)?;
    Some(log[start..].strip_prefix("error: ")?.trim_end())
}

/// Waits until the first decision was carried out or has failed, so that there is something to show.
fn first_presence(context: &Context) {
    let settled = request(context, async |daemon| {
        let mut reports = daemon.watch().await?;
        let settled = async {
            while let Some(report) = reports.next().await? {
                if report.accounts.values().all(|account| account.state != State::Starting) {
                    break;
                }
            }
            Ok::<_, ClientError>(())
        };
        tokio::time::timeout(FIRST_PRESENCE_TIMEOUT, settled).await.unwrap_or(Ok(()))
    });
    // The status that is shown next reports any failure.
    drop(settled);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_log_is_used() {
        assert_eq!(last_error("INFO started\nerror: a\nhint: b\n\nerror: c\nhint: d\n"), Some("c\nhint: d"));
        assert_eq!(last_error("error: no\n"), Some("no"));
        assert_eq!(last_error("an error: no\n"), None);
        assert_eq!(last_error(""), None);
    }

    #[test]
    fn only_an_unusual_path_is_written_down() {
        let usual = Some(Path::new("/home/me/.config/presenced/config.toml"));
        assert_eq!(unusual(Path::new("/home/me/.config/presenced/config.toml"), usual), None);
        assert_eq!(unusual(Path::new("/etc/p.toml"), usual), Some("/etc/p.toml".into()));
        assert!(unusual(Path::new("p.toml"), usual).unwrap().is_absolute());
    }
}
