//! Reads the process's environment: the one place that does. It also finds out which variables hold a secret of the configuration,
//! before there is any program that could get them.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use directories::{BaseDirs, ProjectDirs};

use crate::config::{self, Environment};

/// No configuration is longer.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// The variables that a program gets even where it is not known which of them are secret: what it needs to run, to find the
/// user's desktop and services, and to write in the user's language.
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

/// Whether the terminal, if there is one, cannot move its cursor.
pub(super) fn terminal_is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The environment as it is now.
pub(super) fn read() -> Environment {
    let lookup =
        |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
    let base = BaseDirs::new();
    // Without a home the paths below start from the root; that there is none is kept, for `~` in the configuration.
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
    // Not by way of a home, which there may be none of in a container.
    let runtime_dir = lookup("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    // A service of the system has its folder from systemd; one of a person, who has a login session, keeps to the person's.
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

/// The same environment, with the variables that the file `config` names for secrets hidden from programs. A configuration that is
/// wrong counts as well. Where there is one that cannot be read, or only once, as from a pipe, any variable may be a secret: then a
/// program gets only those that it needs. A command that loads the configuration knows better, and says so
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
    if !path.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_CONFIG_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
