//! Measures how long it takes from a change of each signal to the request on the wire: 1,000 changes of each, with the daemon in a
//! separate process, real files, a real bus, stand-ins for logind and a compositor, and the emulator on loopback. Prints medians
//! and 99th percentiles; asserts nothing. `benches/budgets.sh` calls it: `signals BINARY`.
//!
//! The daemon's clock runs 3,000 times as fast as real time; otherwise the daemon would combine changes that come this close
//! together. The printed times are real time. For the microphone the factor is 300, with 250 changes: a sound server has five
//! seconds to answer, which would otherwise pass in 2 ms.

#![expect(clippy::unwrap_used, reason = "a benchmark panics if it cannot continue")]
#![expect(clippy::disallowed_methods, reason = "it starts programs, and has no secrets to hide from them")]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/stage/bus.rs"]
mod bus;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/stage/compositor_stub.rs"]
mod compositor_stub;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/stage/login1.rs"]
mod login1;
#[cfg(feature = "pulse")]
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/stage/sound_stub.rs"]
mod sound_stub;

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use presenced::daemon::clock::SystemClock;
use presenced::policy::Claim;
use presenced::presence::Presence;
use presenced::status::{Client, SignalName, SignalValue};
use presenced::time::Clock as _;
use presenced_emulator::{Call, Emulator, Options, RequestRecord};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::broadcast;

use bus::Bus;
use compositor_stub::CompositorStub;
use login1::{Login1, Session};

const SPEED: f64 = 3000.0;
const CHANGES: usize = 1000;

/// In the daemon's time. Far enough apart that the daemon does not combine changes: it allows five in 30 s.
const APART: Duration = Duration::from_secs(36);

const RULES: &str = r#"
[signals.lock]
[signals.calendar]
sources = [{ path = "work.ics" }]
[signals.call]
path = "call-state"
[signals.idle]
[[rules]]
name = "focus"
when = { signal = { focus = "on" } }
set  = "DoNotDisturb/Presenting"
[[rules]]
name = "away"
when = { sleep = "suspending" }
set  = "Away/Away"
[[rules]]
name = "locked"
when = { lock = "locked" }
set  = "Away/Away"
[[rules]]
name = "call"
when = { call = "in-call" }
set  = "Busy/InACall"
[[rules]]
name = "meeting"
when = { calendar = "busy" }
set  = "Busy/InAConferenceCall"
[[rules]]
name = "idle"
when = { idle = "idle" }
set  = "Away/Away"
[[rules]]
name = "at the desk"
when = { lock = "unlocked" }
set  = "Available/Available"
"#;

/// A daemon, and everything that it watches.
struct Bench {
    folder: tempfile::TempDir,
    speed: f64,
    clock: SystemClock,
    records: broadcast::Receiver<RequestRecord>,
    login1: Login1,
    compositor: CompositorStub,
    #[cfg(feature = "pulse")]
    sound: sound_stub::SoundStub,
    _bus: Bus,
    _daemon: Child,
}

/// A signal that can be changed.
#[derive(Clone, Copy)]
enum Signal {
    CallFile,
    CalendarFile,
    Lock,
    Idle,
    Named,
    Override,
    Sleep,
    #[cfg(feature = "pulse")]
    Microphone,
}

const SIGNALS: [(Signal, &str, &str); 7] = [
    (Signal::CallFile, "call-state file", "Busy/InACall"),
    (Signal::CalendarFile, "calendar file", "Busy/InAConferenceCall"),
    (Signal::Lock, "screen lock over D-Bus", "Away/Away"),
    (Signal::Idle, "idle over Wayland", "Away/Away"),
    (Signal::Named, "named signal by socket", "DoNotDisturb/Presenting"),
    (Signal::Override, "override by socket", "Away/Away"),
    (Signal::Sleep, "sleep over D-Bus", "Away/Away"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let binary = std::env::args().nth(1).expect("the program to measure");
    let mut bench = Bench::start(Path::new(&binary), SPEED, RULES).await;
    let mut out = std::io::stdout();
    writeln!(out, "{:32}{:>12}{:>12}{:>12}", "signal to request, 1,000 changes", "median", "99 %", "budget").unwrap();
    for (signal, name, on) in SIGNALS {
        bench.measure(signal, name, on, CHANGES).await;
    }
    #[cfg(feature = "pulse")]
    {
        let rules = format!("[signals.microphone]\nsettle = \"0s\"\n{RULES}");
        let mut bench = Bench::start(Path::new(&binary), SPEED / 10.0, &rules).await;
        bench.measure(Signal::Microphone, "microphone, 250 changes", "Busy/InACall", CHANGES / 4).await;
    }
}

impl Bench {
    async fn start(binary: &Path, speed: f64, rules: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the fast clock starts now")]
        let since = Timestamp::now();
        let clock = SystemClock::fast_since(speed, since);
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let emulator = Emulator::new(Options::default(), Arc::new(clock.clone()));
        let records = emulator.subscribe();
        tokio::spawn(async move { emulator.serve(listener).await });
        let bus = Bus::start();
        let login1 = Login1::with(&bus, Session::DESKTOP).await;
        let mut compositor = CompositorStub::start(&folder.path().join("wayland-0"), 2);
        let account = format!(
            r#"[accounts.bench]
tenant    = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
user      = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
auth      = {{ method = "client-secret", secret = {{ env = "BENCH_SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
"#
        );
        std::fs::write(folder.path().join("config.toml"), account + rules).unwrap();
        std::fs::write(folder.path().join("work.ics"), calendar(false)).unwrap();
        let path = |name: &str| folder.path().join(name);
        #[cfg(feature = "pulse")]
        let sound = sound_stub::SoundStub::start();
        let mut daemon = Command::new(binary);
        #[cfg(feature = "pulse")]
        daemon.env("PULSE_SERVER", format!("unix:{}", sound.socket.display()));
        let daemon = daemon
            .arg("--config")
            .arg(path("config.toml"))
            .arg("--socket")
            .arg(path("presenced.sock"))
            .args(["run", "--speed", &speed.to_string(), "--since", &since.to_string()])
            .env("BENCH_SECRET", "emulator-secret")
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env_remove("WAYLAND_DISPLAY")
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        compositor.is_asked_for(1).await;
        let mut bench = Self {
            folder,
            speed,
            clock,
            records,
            login1,
            compositor,
            #[cfg(feature = "pulse")]
            sound,
            _bus: bus,
            _daemon: daemon,
        };
        bench.seen("Available/Available").await;
        bench
    }

    /// Prints how long changes of a signal take.
    async fn measure(&mut self, signal: Signal, name: &str, on: &str, changes: usize) {
        let mut latencies = Vec::new();
        while latencies.len() < changes {
            latencies.push(self.change(signal, true, on).await);
            let back = self.change(signal, false, "Available/Available").await;
            // After sleep the daemon reads everything again, which is not the change of one signal.
            if !matches!(signal, Signal::Sleep) {
                latencies.push(back);
            }
        }
        latencies.sort_unstable();
        let at = |percent: usize| latencies[latencies.len() * percent / 100].as_secs_f64() * 1000.0;
        let mut out = std::io::stdout();
        writeln!(out, "  {name:30}{:>9.2} ms{:>9.2} ms{:>9} ms", at(50), at(99), 5).unwrap();
    }

    /// Changes a signal. Returns the real time until the request arrived.
    async fn change(&mut self, signal: Signal, on: bool, pair: &str) -> Duration {
        let now = self.clock.now().instant;
        self.clock.sleep_until(now + APART).await;
        let write = |name: &str, content: String| {
            let next = self.folder.path().join(".next");
            std::fs::write(&next, content).unwrap();
            std::fs::rename(next, self.folder.path().join(name)).unwrap();
        };
        let changed = self.clock.now().wall;
        match signal {
            Signal::CallFile => write("call-state", if on { "in-call" } else { "idle" }.to_owned()),
            Signal::CalendarFile => write("work.ics", calendar(on)),
            Signal::Idle => self.compositor.tell(0, on),
            Signal::Lock => self.login1.set_locked("c1", on).await,
            Signal::Sleep => self.login1.prepare_for_sleep(on).await,
            Signal::Named => {
                let focus: SignalName = "focus".parse().unwrap();
                let mut client = self.client().await;
                let value: SignalValue = if on { "on" } else { "off" }.parse().unwrap();
                client.set_signal(&focus, &value, None).await.unwrap();
            }
            Signal::Override if on => {
                self.client().await.set_override(Claim::Hold(Presence::Away), None).await.unwrap();
            }
            #[cfg(feature = "pulse")]
            Signal::Microphone => self.sound.record(if on { &["caller"] } else { &[] }),
            Signal::Override => self.client().await.clear_override().await.unwrap(),
        }
        let arrived = self.seen(pair).await;
        Duration::try_from(arrived.duration_since(changed)).unwrap_or_default().div_f64(self.speed)
    }

    async fn client(&self) -> Client {
        Client::connect(&self.folder.path().join("presenced.sock")).await.unwrap()
    }

    /// Waits for the request that makes others see this pair. Returns when it arrived.
    async fn seen(&mut self, pair: &str) -> Timestamp {
        loop {
            let record = self.records.recv().await.unwrap();
            if record.call == Call::Set && record.visible.is_some_and(|visible| visible.to_string() == pair) {
                return record.at;
            }
        }
    }
}

/// A calendar with a meeting that lasts all day, or one that is shown as free.
fn calendar(busy: bool) -> String {
    let status = if busy { "BUSY" } else { "FREE" };
    format!(
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20200101T000000Z\r\nDURATION:P1D\r\nRRULE:FREQ=DAILY\r\n\
         X-MICROSOFT-CDO-BUSYSTATUS:{status}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}
