//! The sample day's desktop: a private message bus with a fake logind session whose screen can be locked. The bus is the real
//! `dbus-daemon`.

use std::io::{BufRead as _, BufReader, Error, Result};
use std::path::Path;
use std::process::{Child, Stdio};

use zbus::zvariant::{ObjectPath, OwnedFd, OwnedObjectPath};
use zbus::{Connection, connection, fdo, interface};

use crate::config::Environment;
use crate::policy::Lock;
use crate::program;

const LOGIND: &str = "/org/freedesktop/login1";
const SESSION: &str = "/org/freedesktop/login1/session/demo";

/// A desktop. Dropping it ends its bus.
pub(super) struct Desktop {
    connection: Connection,
    bus: Bus,
}

impl Desktop {
    /// Starts a desktop with a locked screen, and its bus in `folder`.
    pub(super) async fn start(folder: &Path, environment: &Environment) -> zbus::Result<Self> {
        let bus = Bus::start(folder, environment)?;
        let connection = connection::Builder::address(bus.address.as_str())?
            .serve_at(LOGIND, Manager)?
            .serve_at(SESSION, Session { lock: Lock::Locked })?
            .name("org.freedesktop.login1")?
            .build()
            .await?;
        Ok(Self { connection, bus })
    }

    /// The address of its bus.
    pub(super) fn address(&self) -> &str {
        &self.bus.address
    }

    /// Locks or unlocks the screen.
    pub(super) async fn set_lock(&self, lock: Lock) -> zbus::Result<()> {
        let session = self.connection.object_server().interface::<_, Session>(SESSION).await?;
        let mut state = session.get_mut().await;
        state.lock = lock;
        state.locked_hint_changed(session.signal_emitter()).await
    }
}

/// A running `dbus-daemon`.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    /// Starts a bus, which is listening when this returns.
    fn start(folder: &Path, environment: &Environment) -> Result<Self> {
        let address = format!("unix:path={}", folder.join("bus").display());
        let config = folder.join("bus.conf");
        std::fs::write(
            &config,
            format!(
                r#"<busconfig>
  <type>system</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>"#
            ),
        )?;
        let mut daemon = program::command("dbus-daemon", environment)
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let printed = daemon.stdout.take();
        let bus = Self { daemon, address };
        // It prints its address once it listens.
        let mut line = String::new();
        printed.map(|printed| BufReader::new(printed).read_line(&mut line)).transpose()?;
        if line.is_empty() { Err(Error::other("dbus-daemon ended at once")) } else { Ok(bus) }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

struct Manager;

#[expect(clippy::unused_self, reason = "a D-Bus method needs its object")]
#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn get_session(&self, id: &str) -> fdo::Result<OwnedObjectPath> {
        let session = ObjectPath::from_static_str_unchecked(SESSION).into();
        if id == "auto" { Ok(session) } else { Err(fdo::Error::Failed(format!("the demo has no session {id}"))) }
    }

    fn get_user(&self, uid: u32) -> fdo::Result<OwnedObjectPath> {
        Err(fdo::Error::Failed(format!("the demo has no user {uid}")))
    }

    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> fdo::Result<OwnedFd> {
        tracing::debug!(what, who, why, mode, "inhibitor");
        // This machine never sleeps, so nothing waits until the other end is closed.
        let (_, inhibitor) = std::io::pipe().map_err(|error| fdo::Error::Failed(error.to_string()))?;
        Ok(std::os::fd::OwnedFd::from(inhibitor).into())
    }

    #[zbus(property)]
    fn preparing_for_sleep(&self) -> bool {
        false
    }
}

struct Session {
    lock: Lock,
}

#[expect(clippy::unused_self, reason = "a D-Bus method needs its object")]
#[interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn class(&self) -> &'static str {
        "user"
    }

    #[zbus(property)]
    fn active(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.lock == Lock::Locked
    }
}
