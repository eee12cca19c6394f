//! Reads the process's environment, as the only place that does. It also finds the variables that hold secrets of the
//! configuration, before presenced starts any program that could get them.

use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use directories::{BaseDirs, ProjectDirs};

use crate::config::{self, Environment};
use crate::regular_file;

/// The variables that programs get even when the secret ones are unknown: what a program needs to run, to find the user's
/// desktop and services, and to use the user's language.
const NEEDED_BY_PROGRAMS: [&str; 45] = [
    "BROWSER",
    "COLORTERM",
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "DESKTOP_SESSION",
    "DISPLAY",
    "GNOME_DESKTOP_SESSION_ID",
    "HOME",
    "KDE_FULL_SESSION",
    "KDE_SESSION_VERSION",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_NUMERIC",
    "LC_TIME",
    "LESS",
    "LOGNAME",
    "NO_COLOR",
    "PAGER",
    "PATH",
    "SHELL",
    "SYSTEMD_COLORS",
    "SYSTEMD_LESS",
    "SYSTEMD_PAGER",
    "SYSTEMD_PAGERSECURE",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_CURRENT_DESKTOP",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_SESSION_DESKTOP",
    "XDG_SESSION_ID",
    "XDG_SESSION_TYPE",
    "XDG_STATE_HOME",
];

/// Whether the terminal, if there is one, cannot move the cursor.
pub(super) fn terminal_is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The current environment.
pub(super) fn read() -> Environment {
    let lookup =
        |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
    let base = BaseDirs::new();
    // Without a home, the paths below start at the root. `home` stays empty, so `~` in the configuration is an error.
    let home = base.as_ref().map(|base| base.home_dir().to_owned()).unwrap_or_default();
    let start = PathBuf::from("/").join(&home);
    let project = ProjectDirs::from("", "", "presenced");
    let (config_dir, state_dir, cache_dir) = match &project {
        Some(dirs) => (
            dirs.config_dir().to_owned(),
            dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_owned(),
            dirs.cache_dir().to_owned(),
        ),
        None => (start.join(".config/presenced"), start.join(".local/state/presenced"), start.join(".cache/presenced")),
    };
    // Not from `BaseDirs`, which needs a home: a container may have none.
    let runtime_dir = lookup("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    // A system service gets its folder from systemd. A user service, which has a login session, uses the user's folder.
    let service_dir = lookup("STATE_DIRECTORY").filter(|_| runtime_dir.is_none());
    let service_dir = service_dir.as_ref().and_then(|dirs| dirs.split(':').next()).map(PathBuf::from);
    let state_dir = service_dir.unwrap_or(state_dir);
    Environment {
        home,
        runtime_dir,
        config_dir,
        state_dir,
        cache_dir,
        lookup: Arc::new(lookup),
        secret_vars: Vec::new(),
    }
}

/// The same environment, but it hides the variables that the file `config` names for secrets from programs, even if the
/// configuration is invalid. If the file cannot be read, or can be read only once (a pipe), any variable may be a secret: then
/// programs get only the variables that they need. A command that loads the configuration knows the exact variables
/// ([`Environment::hiding_secrets_of`]).
pub(super) fn hiding_secrets_in(config: &Path, environment: Environment) -> Environment {
    let secret_vars = match read_config(config) {
        Ok(text) => config::secret_vars(&text),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Vec::new(),
        Err(_) => {
            let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
            names.filter(|name| !NEEDED_BY_PROGRAMS.contains(&name.as_str())).collect()
        }
    };
    Environment { secret_vars, ..environment }
}

fn read_config(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    regular_file::open(path)?.take(config::MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
