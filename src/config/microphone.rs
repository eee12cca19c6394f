//! Calls recognized by who records: the schema of `[signals.microphone]`, and where the sound server is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Environment;

/// The microphone signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Microphone {
    /// The socket of `PulseAudio`, or of `PipeWire` in its place.
    pub socket: PathBuf,
    /// Where the server's cookie may be. The first that exists is used, and there need not be one.
    pub cookies: Vec<PathBuf>,
    /// The only applications that count, by any of their names, ignoring case; empty: all of them.
    pub allow: Vec<String>,
    /// Applications that never count, by any of their names, ignoring case.
    pub deny: Vec<String>,
    /// How long a recording must last before it counts as a call, and be over before it no longer does. At most a minute.
    pub settle: Duration,
}

impl Microphone {
    /// The default `settle`: longer than a test of the microphone or a change of devices.
    pub const SETTLE: Duration = Duration::from_secs(2);
    /// The longest `settle`.
    pub const SETTLE_MAX: Duration = Duration::from_mins(1);

    /// Where the sound server's socket is, found as `PulseAudio`'s own clients do, but only on this machine.
    ///
    /// # Errors
    /// The environment does not name a socket.
    pub fn socket(environment: &Environment) -> Result<PathBuf, NoServer> {
        let default = || environment.runtime_dir.as_ref().map(|dir| dir.join("pulse/native")).ok_or(NoServer::Nowhere);
        environment.var("PULSE_SERVER").map_or_else(default, |servers| local(&servers).ok_or(NoServer::Elsewhere))
    }

    /// Where the server's cookie may be, in the order of `PulseAudio`'s own clients.
    pub fn cookies(environment: &Environment) -> Vec<PathBuf> {
        let named = environment.var("PULSE_COOKIE").map(PathBuf::from);
        let config = environment.config_dir.parent().map(|config| config.join("pulse/cookie"));
        [named, config, Some(environment.home.join(".pulse-cookie"))].into_iter().flatten().collect()
    }
}

/// Why the sound server's socket is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoServer {
    /// `$PULSE_SERVER` names only servers on other machines.
    Elsewhere,
    /// Neither it nor `$XDG_RUNTIME_DIR` is set.
    Nowhere,
}

/// The first socket among the servers that `$PULSE_SERVER` lists: `unix:/path` or `/path`, perhaps after the name of the
/// machine that it is for, `{…}`.
fn local(servers: &str) -> Option<PathBuf> {
    servers.split_whitespace().find_map(|server| {
        let address = server.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or(server, |(_, rest)| rest);
        let path = Path::new(address.strip_prefix("unix:").unwrap_or(address));
        path.is_absolute().then(|| path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_servers_the_first_socket_counts() {
        let path = |servers| local(servers).map(|path| path.display().to_string());
        assert_eq!(path("unix:/run/user/1000/pulse/native").as_deref(), Some("/run/user/1000/pulse/native"));
        assert_eq!(path("/run/pulse/native").as_deref(), Some("/run/pulse/native"));
        assert_eq!(path("tcp:sound:4713 {0123abcd}unix:/a  unix:/b").as_deref(), Some("/a"));
        for elsewhere in ["", "tcp:sound:4713", "sound", "unix:relative", "{0123abcd}", "{unix:/a"] {
            assert_eq!(path(elsewhere), None, "{elsewhere}");
        }
    }
}
