//! The environment that the program was started with, read once by `cli/`: the library never reads the process's environment.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Config;

/// Looks up an environment variable. A variable that is empty or not UTF-8 counts as unset.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Folders and environment variables.
#[derive(Clone)]
pub struct Environment {
    /// The user's home folder; empty if there is none.
    pub home: PathBuf,
    /// `$XDG_RUNTIME_DIR`, where the socket and the call-state file live; `None` outside of a login session.
    pub runtime_dir: Option<PathBuf>,
    /// The folder of `config.toml`: `$XDG_CONFIG_HOME/presenced`.
    pub config_dir: PathBuf,
    /// Where tokens, logs, the history and what was set through the socket are kept: `$XDG_STATE_HOME/presenced`; for a system service `$STATE_DIRECTORY`.
    pub state_dir: PathBuf,
    /// Where copies are kept that can be fetched again: `$XDG_CACHE_HOME/presenced`.
    pub cache_dir: PathBuf,
    /// The environment variables.
    pub lookup: Lookup,
    /// The names of those that hold a secret of the configuration: programs that presenced starts do not get them.
    pub secret_vars: Vec<String>,
}

impl Environment {
    /// A home folder that holds everything, no login session, and no variables: what tests start from.
    pub fn bare(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        Self {
            runtime_dir: None,
            config_dir: home.clone(),
            state_dir: home.clone(),
            cache_dir: home.clone(),
            home,
            lookup: Arc::new(|_| None),
            secret_vars: Vec::new(),
        }
    }

    /// The value of the environment variable `name`.
    pub fn var(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// The same, but it knows from `config` which variables hold secrets.
    #[must_use]
    pub fn hiding_secrets_of(self, config: &Config) -> Self {
        let secret_vars = config.accounts.values().filter_map(|account| account.auth.secret()?.var());
        Self { secret_vars: secret_vars.map(ToOwned::to_owned).collect(), ..self }
    }

    /// The status socket: `$XDG_RUNTIME_DIR/presenced/presenced.sock`.
    pub fn socket(&self) -> Option<PathBuf> {
        self.runtime_dir.as_ref().map(|dir| dir.join("presenced/presenced.sock"))
    }
}

impl fmt::Debug for Environment {
    /// Omits the variables: some hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("home", &self.home)
            .field("runtime_dir", &self.runtime_dir)
            .field("config_dir", &self.config_dir)
            .field("state_dir", &self.state_dir)
            .field("cache_dir", &self.cache_dir)
            .finish_non_exhaustive()
    }
}

/// The file in this folder of the state folder that belongs to the daemon at `socket`. Each socket has its own file, because each
/// has its own daemon.
///
/// # Errors
/// The path is relative, and the current folder no longer exists.
pub fn state_file(state_dir: &Path, folder: &str, socket: &Path, extension: &str) -> io::Result<PathBuf> {
    let mut name = Vec::new();
    // Like `systemd-escape`, but what does not have to be escaped stays readable.
    for &byte in std::path::absolute(socket)?.as_os_str().as_bytes() {
        match byte {
            b'/' => name.push(b'-'),
            b'-' | b'%' => name.extend(format!("%{byte:02X}").into_bytes()),
            other => name.push(other),
        }
    }
    let mut name = OsString::from_vec(name);
    name.push(".");
    name.push(extension);
    Ok(state_dir.join(folder).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_has_its_own_file() {
        let name = |socket: &str| state_file(Path::new("/s"), "history", Path::new(socket), "jsonl").unwrap();
        assert_eq!(
            name("/run/user/1000/presenced/presenced.sock"),
            Path::new("/s/history/-run-user-1000-presenced-presenced.sock.jsonl")
        );
        assert_ne!(name("/run/a-b"), name("/run/a/b"));
        assert_ne!(name("/run/a%2Db"), name("/run/a-b"));
    }
}
