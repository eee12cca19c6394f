//! Each peer of a signal restarts again and again in the middle: the state is right again soon after, and nothing is left
//! behind, of files, threads, tasks, watched folders, match rules or memory.
//!
//! `PRESENCED_ROUNDS=1000 cargo test --test it restarts -- --nocapture --test-threads 1` runs longer, and prints how
//! long a restart was felt; programs that are slow to start restart a tenth as often.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics; how long a restart was felt is for people"
)]

use std::sync::Arc;
use std::time::Duration;

use presenced::daemon::clock::SystemClock;
use presenced::policy::{Lock, Reading};
use presenced::signals::{self, Buses, Displays, Update};
use presenced::status::Client;
use presenced::status::client::Watch;
use presenced::status::report::{Health, Report};
use presenced::time::Clock as _;
use zbus::Connection;

use crate::stage::bus::Bus;
use crate::stage::house::{Daemon, House, guarded};
use crate::stage::login1::{Login1, Session};
use crate::stage::mutter::Shell;
use crate::stage::saver::{Saver, Xfce};
use crate::stage::signal_bench::Signal;

/// How often each peer restarts.
fn rounds() -> usize {
    std::env::var_os("PRESENCED_ROUNDS").map_or(50, |rounds| rounds.to_str().unwrap().parse().unwrap())
}

/// How often one does that is back in milliseconds: more often, since a little memory that is left behind each time must be told
/// from what comes and goes.
fn rounds_of_a_quick_one() -> usize {
    rounds().max(500)
}

/// How often a program does that takes a while to start.
fn rounds_of_a_slow_one() -> usize {
    rounds().div_ceil(10)
}

/// A daemon with both buses on a private one, watched all the time.
struct Desk {
    #[cfg_attr(not(feature = "wayland"), expect(dead_code, reason = "a compositor's socket is there"))]
    house: House,
    bus: Bus,
    daemon: Daemon,
    watch: Watch,
}

impl Desk {
    /// With these signals, and this in the daemon's environment.
    async fn new(bus: Bus, signals: &str, environment: &[(&str, &str)]) -> Self {
        let house = House::new().await;
        house.write("config.toml", house.account("work") + signals);
        let daemon = house
            .start_with(&[], |command| {
                command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).env("DBUS_SESSION_BUS_ADDRESS", bus.address());
                command.envs(environment.iter().copied());
            })
            .await;
        let watch = Client::connect(&house.path("presenced.sock")).await.unwrap().watch().await.unwrap();
        Self { house, bus, daemon, watch }
    }

    /// Waits until the report is like this; says how long that took.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Report) -> bool) -> Duration {
        let clock = SystemClock::real();
        let begun = clock.now().instant;
        guarded(what, async { while !is_so(&self.watch.next().await.unwrap().expect("the daemon runs")) {} }).await;
        clock.now().instant.saturating_since(begun)
    }

    /// Waits until a signal has this value from this source, and is healthy; returns how long that took.
    async fn says(&mut self, signal: &str, value: &str, source: &str) -> Duration {
        self.until(&format!("{value} by {source}"), |report| {
            let signal = &report.signals[signal];
            (&*signal.value, &*signal.source, signal.health) == (value, source, Health::Ok)
        })
        .await
    }

    /// Waits until a signal's source is lost.
    #[cfg_attr(
        not(any(feature = "pulse", feature = "wayland", feature = "x11")),
        expect(dead_code, reason = "what is on the buses says another thing at once")
    )]
    async fn loses(&mut self, signal: &str) {
        self.until("a loss", |report| report.signals[signal].health == Health::Degraded).await;
    }

    async fn holdings(&self) -> Holdings {
        let pid = self.daemon.pid();
        let of = |what: &str| format!("/proc/{}/{what}", pid.as_raw_nonzero());
        let count = |what: &str| std::fs::read_dir(of(what)).unwrap().count();
        let watches = std::fs::read_dir(of("fdinfo")).unwrap().map(|entry| {
            // One that has been closed since then watches nothing.
            let info = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            info.lines().filter(|line| line.starts_with("inotify ")).count()
        });
        let status = std::fs::read_to_string(of("status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        Holdings {
            files: count("fd"),
            threads: count("task"),
            watches: watches.sum(),
            rules: self.bus.match_rules(pid).await,
            memory: memory.trim().trim_end_matches(" kB").trim().parse().unwrap(),
        }
    }

    /// Runs `restart` that many times, on a peer that reports another value each time. It waits until that is known, and
    /// says how long it took.
    async fn survives(&mut self, peer: &str, rounds: usize, mut restart: impl AsyncFnMut(&mut Self, bool) -> Duration) {
        let mut took = Vec::new();
        let mut before = None;
        for round in 0..rounds {
            took.push(restart(self, round % 2 == 0).await);
            if round == rounds / 5 {
                before = Some(self.holdings().await);
            }
        }
        // Threads of the last restarts may still be ending. What they hold goes with them; a leak stays.
        let before = before.unwrap();
        let mut after = self.holdings().await;
        let settled = guarded("the threads of old watches end", async {
            while !after.is_no_more_than(&before) {
                tokio::task::yield_now().await;
                after = self.holdings().await;
            }
        });
        settled.await;
        took.sort_unstable();
        let (median, slowest) = (took[rounds / 2], took[rounds - 1]);
        let late = took.iter().filter(|took| **took > Duration::from_secs(1)).count();
        println!(
            "{peer}: {rounds} restarts, right again after {median:.0?}, at most {slowest:.0?}, {late} times later than a \
             second; {before:?} to {after:?}"
        );
    }
}

/// What the daemon has of all that may be left behind.
#[derive(Debug)]
struct Holdings {
    files: usize,
    threads: usize,
    /// Folders watched by inotify.
    watches: usize,
    /// Match rules on the bus.
    rules: usize,
    /// Anonymous memory in KiB.
    memory: u64,
}

impl Holdings {
    /// Connections to Graph and threads for name look-ups and inotify come and go; what is left behind adds up.
    fn is_no_more_than(&self, before: &Self) -> bool {
        let few = |now: usize, before: usize| now <= before + 4;
        few(self.files, before.files)
            && few(self.threads, before.threads)
            && few(self.watches, before.watches)
            && few(self.rules, before.rules)
            && self.memory < before.memory + 1024
    }
}

fn session(locked: bool) -> Session {
    Session { locked, ..Session::DESKTOP }
}

const fn lock(locked: bool) -> &'static str {
    if locked { "locked" } else { "unlocked" }
}

const fn idle(idle: bool) -> &'static str {
    if idle { "idle" } else { "active" }
}

const LOCK: &str = "[signals.lock]\n";
const IDLE: &str = "[signals.idle]\n";

#[tokio::test]
async fn of_logind() {
    let bus = Bus::start();
    let mut login1 = Some(Login1::with(&bus, session(false)).await);
    let mut desk = Desk::new(bus, LOCK, &[]).await;
    desk.says("lock", "unlocked", "logind").await;
    desk.survives("logind", rounds(), async |desk, locked| {
        drop(login1.take());
        login1 = Some(Login1::with(&desk.bus, session(locked)).await);
        desk.says("lock", lock(locked), "logind").await
    })
    .await;
}

#[tokio::test]
async fn of_a_screen_saver() {
    const XFCE: &str = "org.xfce.ScreenSaver";
    let bus = Bus::start();
    let mut saver: Option<Connection> = Some(Xfce::start(&bus, false).await);
    let mut desk = Desk::new(bus, LOCK, &[]).await;
    desk.says("lock", "unlocked", XFCE).await;
    desk.survives("a screen saver", rounds_of_a_quick_one(), async |desk, locked| {
        saver.take().unwrap().graceful_shutdown().await;
        saver = Some(Xfce::start(&desk.bus, locked).await);
        desk.says("lock", lock(locked), XFCE).await
    })
    .await;
}

#[tokio::test]
async fn of_the_buses() {
    let bus = Bus::start();
    let mut login1 = Some(Login1::with(&bus, session(false)).await);
    let mut desk = Desk::new(bus, LOCK, &[]).await;
    desk.says("lock", "unlocked", "logind").await;
    desk.survives("the buses", rounds(), async |desk, locked| {
        desk.bus.kill();
        drop(login1.take());
        desk.bus.resume();
        login1 = Some(Login1::with(&desk.bus, session(locked)).await);
        desk.says("lock", lock(locked), "logind").await
    })
    .await;
}

/// Tasks are not seen from outside of their process, so that the signals are in this one; what starts tasks is the library
/// behind both buses.
#[tokio::test]
async fn of_the_buses_leave_no_task_behind() {
    let mut bus = Bus::start();
    let mut login1 = Some(Login1::with(&bus, session(false)).await);
    let buses = Buses { system: Some(bus.address()), session: Some(bus.address()) };
    let unwrap = |update| if let Update::Lock(observation) = update { Some(observation) } else { None };
    let clock = Arc::new(SystemClock::real());
    let mut signal = Signal::start(&clock, buses, unwrap, |context| signals::lock::run(Displays::default(), context));
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut at_first = None;
    for round in 0..rounds_of_a_slow_one() * 2 {
        bus.kill();
        drop(login1.take());
        bus.resume();
        login1 = Some(Login1::with(&bus, session(round % 2 == 0)).await);
        let lock = if round % 2 == 0 { Lock::Locked } else { Lock::Unlocked };
        signal.until(|observation| observation.reading == Reading::Known(lock)).await;
        let at_first = *at_first.get_or_insert_with(|| metrics.num_alive_tasks());
        guarded("tasks to end", async {
            while metrics.num_alive_tasks() > at_first {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn of_the_shell_of_gnome() {
    const MUTTER: &str = "org.gnome.Mutter.IdleMonitor";
    let bus = Bus::start();
    let mut shell = Some(Shell::start(&bus, Duration::ZERO).await);
    let mut desk = Desk::new(bus, IDLE, &[]).await;
    desk.says("idle", "active", MUTTER).await;
    desk.survives("GNOME's shell", rounds_of_a_quick_one(), async |desk, is_idle| {
        shell.take().unwrap().ends().await;
        let idle_time = if is_idle { Duration::from_hours(1) } else { Duration::ZERO };
        shell = Some(Shell::start(&desk.bus, idle_time).await);
        desk.says("idle", idle(is_idle), MUTTER).await
    })
    .await;
}

#[cfg(feature = "wayland")]
#[tokio::test]
async fn of_a_compositor() {
    use crate::stage::compositor_stub::CompositorStub;

    let mut desk = Desk::new(Bus::start(), IDLE, &[]).await;
    desk.loses("idle").await;
    // Where the daemon has its $XDG_RUNTIME_DIR.
    let socket = desk.house.path("wayland-0");
    let mut stub = None;
    desk.survives("a compositor", rounds_of_a_quick_one(), async |desk, is_idle| {
        drop(stub.take());
        let stub = stub.insert(CompositorStub::start(&socket, 2));
        let clock = SystemClock::real();
        let begun = clock.now().instant;
        guarded("a notification", stub.is_asked_for(1)).await;
        if is_idle {
            stub.tell(0, true);
        }
        stub.serve_until(desk.says("idle", idle(is_idle), "ext-idle-notify-v1 of wayland-0")).await;
        clock.now().instant.saturating_since(begun)
    })
    .await;
}

#[cfg(feature = "wayland")]
#[tokio::test]
async fn of_kwin() {
    let mut compositor = crate::stage::compositor::Compositor::reserve();
    let folder = compositor.folder().to_str().unwrap().to_owned();
    let mut desk = Desk::new(Bus::start(), IDLE, &[("XDG_RUNTIME_DIR", &folder)]).await;
    desk.survives("KWin, with its start", rounds_of_a_slow_one(), async |desk, _| {
        compositor.kill();
        desk.loses("idle").await;
        compositor.start_kwin();
        desk.says("idle", "active", "ext-idle-notify-v1 of wayland-0").await
    })
    .await;
}

#[cfg(feature = "x11")]
#[tokio::test]
async fn of_an_x_server() {
    let mut server = crate::stage::x_server::XServer::reserve();
    let display = server.display();
    let source = format!("idle counter of X display {display}");
    let mut desk = Desk::new(Bus::start(), IDLE, &[("DISPLAY", &display)]).await;
    desk.survives("an X server", rounds(), async |desk, ends| {
        server.end(if ends { rustix::process::Signal::TERM } else { rustix::process::Signal::KILL });
        desk.loses("idle").await;
        server.start(&[]);
        server.is_ready();
        desk.says("idle", "active", &source).await
    })
    .await;
}

#[cfg(feature = "pulse")]
const MICROPHONE: &str = "[signals.microphone]\nsettle = \"0s\"\n";

#[cfg(feature = "pulse")]
const fn call(is_call: bool) -> &'static str {
    if is_call { "in-call" } else { "idle" }
}

#[cfg(feature = "pulse")]
#[tokio::test]
async fn of_a_sound_server() {
    let mut stub = crate::stage::sound_stub::SoundStub::start();
    let source = stub.socket.display().to_string();
    let mut desk = Desk::new(Bus::start(), MICROPHONE, &[("PULSE_SERVER", &source)]).await;
    desk.says("microphone", "idle", &source).await;
    desk.survives("a sound server", rounds_of_a_quick_one(), async |desk, records| {
        stub.kill();
        stub.set(if records { &["Meeting"] } else { &[] });
        stub.resume();
        desk.says("microphone", call(records), &source).await
    })
    .await;
}

/// A real sound server, at which somebody records in every other of its lives.
#[cfg(feature = "pulse")]
async fn of_a_real_sound_server(kind: crate::stage::sound::Kind) {
    let mut server = crate::stage::sound::SoundServer::start(kind);
    let source = server.socket().display().to_string();
    let mut desk = Desk::new(Bus::start(), MICROPHONE, &[("PULSE_SERVER", &source)]).await;
    desk.says("microphone", "idle", &source).await;
    let mut recorder = None;
    desk.survives(&format!("{kind:?}"), rounds_of_a_slow_one(), async |desk, records| {
        server.kill();
        recorder.take();
        desk.loses("microphone").await;
        server.resume();
        recorder = records.then(|| server.record("Meeting", crate::stage::sound::MICROPHONE));
        desk.says("microphone", call(records), &source).await
    })
    .await;
}

#[cfg(feature = "pulse")]
#[tokio::test]
async fn of_pulseaudio() {
    of_a_real_sound_server(crate::stage::sound::Kind::PulseAudio).await;
}

#[cfg(feature = "pulse")]
#[tokio::test]
async fn of_pipewire() {
    of_a_real_sound_server(crate::stage::sound::Kind::PipeWire).await;
}
