//! `presenced service uninstall`: stops the service, and removes only what `install` wrote.

use super::paths::{UnitFile, UnitFolders};
use super::unit::{SERVICE, SOCKET};
use crate::cli::context::Context;
use crate::cli::error::{Error, Exit};
use crate::cli::systemd::systemctl::{SystemdError, order, show};
use crate::cli::terminal::output::print;

/// Runs the command.
pub(super) fn uninstall(context: &Context) -> Result<Exit, Error> {
    let folders = UnitFolders::find(context)?;
    let environment = &context.environment;
    let failed = |error: SystemdError| error.error(environment);
    let mut said = Vec::new();
    // The socket first, because it would start the service again.
    for unit in [SOCKET, SERVICE] {
        let found = folders.look(unit)?;
        if found == UnitFile::Theirs {
            said.push(format!("{} was not written by presenced, and stays", folders.own.join(unit).display()));
            continue;
        }
        let known = show(unit, &["ActiveState", "UnitFileState"], environment).map_err(failed)?;
        let enabled = known.text("UnitFileState").starts_with("enabled");
        let active = !matches!(known.text("ActiveState"), "inactive" | "failed");
        if active {
            order(&["stop", unit], environment).map_err(failed)?;
            said.push(format!("stopped {unit}"));
        }
        if enabled {
            order(&["disable", unit], environment).map_err(failed)?;
            said.push(format!("disabled {unit}"));
        }
        if matches!(found, UnitFile::Ours(_)) {
            folders.remove(unit)?;
            said.push(format!("removed {}", folders.own.join(unit).display()));
        }
        // Fails if there is nothing to reset.
        let _ = order(&["reset-failed", unit], environment);
    }
    order(&["daemon-reload"], environment).map_err(failed)?;
    for unit in [SOCKET, SERVICE] {
        let drop_ins = folders.own.join(format!("{unit}.d"));
        if drop_ins.exists() {
            said.push(format!("{} is yours, and stays", drop_ins.display()));
        }
    }
    folders.tidy();
    said.push(if said.is_empty() {
        "presenced is not installed as a service".to_owned()
    } else {
        "The configuration and the sign-in stay; `presenced logout` removes a sign-in.".to_owned()
    });
    print(&(said.join("\n") + "\n"))?;
    Ok(Exit::Ok)
}
