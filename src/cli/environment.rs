//! Reads the process's environment: the one place that does.

use std::path::PathBuf;
use std::sync::Arc;

use directories::{BaseDirs, ProjectDirs};

use crate::config::Environment;

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
