//! A process that listens where a compositor or an X server does, and says nothing: enough to be found. It is a `dbus-daemon` with
//! another name.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// It ends when it is dropped, and leaves its socket behind.
pub(crate) struct DisplayServer {
    process: Child,
    _folder: tempfile::TempDir,
}

impl DisplayServer {
    /// A program of this name, started in the session that `session_id` names, or by a service that knows of none. It listens when
    /// this returns.
    pub(crate) fn start(program: &str, socket: &Path, session_id: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listens = format!("unix:path={}", socket.display());
        let config = format!("<busconfig><type>session</type><listen>{listens}</listen></busconfig>");
        std::fs::write(folder.path().join("conf"), config).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let daemon = std::env::split_paths(&path).map(|folder| folder.join("dbus-daemon")).find(|file| file.exists());
        let daemon = daemon.expect("these tests need `dbus-daemon`: install the Debian package `dbus`");
        std::os::unix::fs::symlink(daemon, folder.path().join(program)).unwrap();
        let mut command = Command::new(folder.path().join(program));
        command.arg(format!("--config-file={}", folder.path().join("conf").display()));
        command.args(["--nofork", "--nopidfile", "--print-address"]).env_remove("XDG_SESSION_ID");
        command.envs(session_id.map(|id| ("XDG_SESSION_ID", id)));
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("unix:path="), "it does not listen: {line}");
        Self { process, _folder: folder }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for DisplayServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
