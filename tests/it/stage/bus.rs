//! A private message bus on a socket in a temporary folder: the real `dbus-daemon`, for one test alone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::{Connection, Proxy};

/// An address where no bus is.
pub(crate) const NOWHERE: &str = "unix:path=/nonexistent/bus";

const BUS: &str = "org.freedesktop.DBus";

/// A bus that ends with the test.
pub(crate) struct Bus {
    folder: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Bus {
    /// Starts a bus that listens when this returns.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"<busconfig>
              <type>session</type>
              <listen>{}</listen>
              <auth>EXTERNAL</auth>
              <policy context="default">
                <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/>
              </policy>
            </busconfig>"#,
            address(&folder)
        );
        std::fs::write(folder.path().join("bus.conf"), config).unwrap();
        let mut bus = Self { folder, daemon: None };
        bus.resume();
        bus
    }

    /// Starts it again at the same address.
    pub(crate) fn resume(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        let log = self.folder.path().join("log");
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", self.folder.path().join("bus.conf").display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .expect("these tests need `dbus-daemon`: install the Debian package `dbus`");
        // It prints its address once it listens.
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.daemon = Some(daemon);
        assert!(line.contains("unix:path="), "dbus-daemon did not start: {}", read_to_string(log).unwrap());
    }

    /// Kills it, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// Kills it and takes its socket away, as before it was ever started.
    pub(crate) fn vanish(&mut self) {
        self.kill();
        std::fs::remove_file(self.socket()).unwrap();
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        address(&self.folder)
    }

    /// How many match rules a process has on it.
    pub(crate) async fn match_rules(&self, pid: Pid) -> usize {
        let connection = self.connect().await;
        let stats = Proxy::new(&connection, BUS, "/org/freedesktop/DBus", "org.freedesktop.DBus.Debug.Stats");
        let rules: HashMap<String, Vec<String>> = stats.await.unwrap().call("GetAllMatchRules", &()).await.unwrap();
        let bus = DBusProxy::new(&connection).await.unwrap();
        let mut count = 0;
        for (name, rules) in rules {
            let name = BusName::try_from(name).unwrap();
            // A connection that has closed since then has none.
            let owner = bus.get_connection_unix_process_id(name).await.ok();
            if owner.and_then(|owner| owner.try_into().ok()) == Some(pid.as_raw_nonzero().get()) {
                count += rules.len();
            }
        }
        count
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    /// A connection to it that owns nothing.
    pub(crate) async fn connect(&self) -> Connection {
        Builder::address(self.address().as_str()).unwrap().build().await.unwrap()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

fn address(folder: &tempfile::TempDir) -> String {
    format!("unix:path={}", folder.path().join("bus").display())
}
