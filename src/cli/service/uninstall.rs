//! `presenced service uninstall`: stops the service, and takes away what was installed and nothing else.

use super::place::{Folders, Found};
use super::unit::{SERVICE, SOCKET};
use crate::cli::output::print;
use crate::cli::systemctl::{Circumstances, Trouble, order, show};
use crate::cli::{Context, Error, Exit};

/// Runs it.
pub(super) fn uninstall(context: &Context) -> Result<Exit, Error> {
    let folders = Folders::find(context)?;
    let trouble = |trouble: Trouble| trouble.error(&Circumstances::of(&context.environment));
    let mut said = String::new();
    // The socket first: it would start the service again.
    for unit in [SOCKET, SERVICE] {
        let known = show(unit, &["LoadState", "ActiveState", "UnitFileState"]).map_err(trouble)?;
        let ours = matches!(folders.look(unit)?, Found::Ours(_));
        let enabled = known.text("UnitFileState").starts_with("enabled");
        let active = !matches!(known.text("ActiveState"), "inactive" | "failed");
        if active {
            order(&["stop", unit]).map_err(trouble)?;
            said += &format!("stopped {unit}\n");
        }
        if enabled {
            order(&["disable", unit]).map_err(trouble)?;
            said += &format!("disabled {unit}\n");
        }
        if ours {
            folders.remove(unit)?;
            said += &format!("removed {}\n", folders.own.join(unit).display());
        }
        // Fails where there is nothing to forget.
        let _ = order(&["reset-failed", unit]);
    }
    order(&["daemon-reload"]).map_err(trouble)?;
    for unit in [SOCKET, SERVICE] {
        let drop_ins = folders.own.join(format!("{unit}.d"));
        if drop_ins.exists() {
            said += &format!("{} is yours, and stays\n", drop_ins.display());
        }
        if matches!(folders.look(unit)?, Found::Theirs | Found::Masked) {
            said += &format!("{} is not presenced's, and stays\n", folders.own.join(unit).display());
        }
    }
    folders.tidy();
    if said.is_empty() {
        "presenced is not installed as a service\n".clone_into(&mut said);
    } else {
        said += "The configuration and the sign-in stay; `presenced logout` forgets a sign-in.\n";
    }
    print(&said)?;
    Ok(Exit::Ok)
}
