//! A real screen saver, locked and unlocked for real: MATE's, on a virtual screen and a private bus.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;
use std::process::Stdio;

use presenced::policy::{Lock, Reading};
use presenced::signals::{Buses, Displays, Observation, Update, lock};
use tokio::process::{Child, Command};

use crate::stage::bus::Bus;
use crate::stage::house::guarded;
use crate::stage::signal_bench::{ManualClock, Signal};
use crate::stage::x_server::XServer;

/// A virtual screen, a bus, and a home for the screen saver.
struct Screen {
    bus: Bus,
    home: tempfile::TempDir,
    server: XServer,
}

impl Screen {
    fn new() -> Self {
        let mut server = XServer::reserve();
        server.start(&[]);
        server.is_ready();
        Self { bus: Bus::start(), home: tempfile::tempdir().unwrap(), server }
    }

    fn command(&self, program: &str) -> Command {
        let home: &Path = self.home.path();
        let mut command = Command::new(program);
        command
            .env("DISPLAY", self.server.display())
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("GSETTINGS_BACKEND", "memory")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn start_saver(&self) -> Child {
        let saver = self.command("mate-screensaver").arg("--no-daemon").spawn();
        saver.expect("this test needs `mate-screensaver`: install the Debian package of that name")
    }

    async fn tell_saver(&self, what: &str) {
        let status = guarded(what, self.command("mate-screensaver-command").arg(what).status()).await.unwrap();
        assert!(status.success(), "{what}: {status}");
    }
}

fn says(lock: Lock) -> impl Fn(&Observation<Lock>) -> bool {
    move |observation| observation.reading == Reading::Known(lock) && observation.source == "org.mate.ScreenSaver"
}

#[tokio::test]
async fn a_real_screen_saver_is_followed() {
    let screen = Screen::new();
    let nowhere = "unix:path=/nonexistent/bus".to_owned();
    let buses = Buses { system: Some(nowhere), session: Some(screen.bus.address()) };
    let unwrap = |update| if let Update::Lock(observation) = update { Some(observation) } else { None };
    let mut signal = Signal::start(&ManualClock::at("2026-11-23T12:00:00Z"), buses, unwrap, |context| {
        lock::run(Displays::default(), context)
    });
    assert_eq!(signal.next().await.reading, Reading::Unknown, "it does not run yet");

    let mut saver = screen.start_saver();
    signal.until(says(Lock::Unlocked)).await;
    screen.tell_saver("--lock").await;
    signal.until(says(Lock::Locked)).await;
    screen.tell_saver("--deactivate").await;
    signal.until(says(Lock::Unlocked)).await;

    // It dies while the screen is locked.
    screen.tell_saver("--lock").await;
    signal.until(says(Lock::Locked)).await;
    saver.kill().await.unwrap();
    signal.until(|observation| observation.reading == Reading::Unknown).await;
    let _saver = screen.start_saver();
    signal.until(says(Lock::Unlocked)).await;
}
