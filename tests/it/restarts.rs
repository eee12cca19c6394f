//! Each peer of the lock restarts again and again in the middle: the state is right again soon after, and nothing is left behind.
//!
//! `PRESENCED_ROUNDS=1000 cargo test --test it restarts -- --nocapture` goes on for longer, and prints how long a restart was
//! felt.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics; how long a restart was felt is for people"
)]

use std::time::Duration;

use presenced::daemon::clock::SystemClock;
use presenced::status::Client;
use presenced::status::client::Watch;
use presenced::time::Clock as _;
use zbus::Connection;

use crate::bus::Bus;
use crate::house::{Daemon, House, guarded};
use crate::login1::{Login1, Session};
use crate::saver::{Saver, Xfce};

fn rounds() -> usize {
    std::env::var_os("PRESENCED_ROUNDS").map_or(50, |rounds| rounds.to_str().unwrap().parse().unwrap())
}

/// A daemon with both buses on a private one, watched all the time.
struct Desk {
    _house: House,
    bus: Bus,
    daemon: Daemon,
    watch: Watch,
}

impl Desk {
    async fn new(bus: Bus) -> Self {
        let house = House::new().await;
        house.write("config.toml", house.account("work") + "[signals.lock]\n");
        let daemon = house
            .start_with(&[], |command| {
                command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).env("DBUS_SESSION_BUS_ADDRESS", bus.address());
            })
            .await;
        let watch = Client::connect(&house.path("presenced.sock")).await.unwrap().watch().await.unwrap();
        Self { _house: house, bus, daemon, watch }
    }

    /// Waits until the lock is known as this, from this source; says how long that took.
    async fn lock(&mut self, value: &str, source: &str) -> Duration {
        let clock = SystemClock::real();
        let begun = clock.now().instant;
        guarded(&format!("{value} by {source}"), async {
            loop {
                let report = self.watch.next().await.unwrap().expect("the daemon runs");
                let lock = &report.signals["lock"];
                if (&*lock.value, &*lock.source) == (value, source) {
                    return;
                }
            }
        })
        .await;
        clock.now().instant.saturating_since(begun)
    }

    /// Open files and threads, and the resident memory in KiB.
    fn holdings(&self) -> ((usize, usize), u64) {
        let of = |what: &str| format!("/proc/{}/{what}", self.daemon.pid().as_raw_nonzero());
        let count = |what: &str| std::fs::read_dir(of(what)).unwrap().count();
        let status = std::fs::read_to_string(of("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        ((count("fd"), count("task")), resident.trim().trim_end_matches(" kB").trim().parse().unwrap())
    }

    /// Has `restart` happen `rounds` times, to a peer that says another thing each time, under the name of `source`.
    async fn survives(&mut self, peer: &str, source: &str, mut restart: impl AsyncFnMut(&mut Bus, bool)) {
        let mut took = Vec::new();
        let mut before = None;
        for round in 0..rounds() {
            let locked = round % 2 == 0;
            restart(&mut self.bus, locked).await;
            took.push(self.lock(if locked { "locked" } else { "unlocked" }, source).await);
            if round == 9 {
                before = Some(self.holdings());
            }
        }
        let (held, resident) = self.holdings();
        let (held_before, resident_before) = before.unwrap();
        println!(
            "{peer}: {} restarts, right again after at most {:?}; resident {resident_before} to {resident} KiB",
            rounds(),
            took.iter().max().unwrap()
        );
        // Connections to Graph and threads for name look-ups and inotify come and go; what is left behind adds up.
        let few = |now: usize, before: usize| now <= before + 4;
        assert!(
            few(held.0, held_before.0) && few(held.1, held_before.1),
            "open files and threads: {held_before:?}, {held:?}"
        );
        assert!(resident < resident_before + 2048, "{resident_before} KiB grew to {resident} KiB");
    }
}

fn session(locked: bool) -> Session {
    Session { locked, ..Session::DESKTOP }
}

#[tokio::test]
async fn of_logind() {
    let bus = Bus::start();
    let mut login1 = Some(Login1::with(&bus, session(false)).await);
    let mut desk = Desk::new(bus).await;
    desk.lock("unlocked", "logind").await;
    desk.survives("logind", "logind", async |bus, locked| {
        drop(login1.take());
        login1 = Some(Login1::with(bus, session(locked)).await);
    })
    .await;
}

#[tokio::test]
async fn of_a_screen_saver() {
    let bus = Bus::start();
    let mut saver: Option<Connection> = Some(Xfce::start(&bus, false).await);
    let mut desk = Desk::new(bus).await;
    desk.lock("unlocked", "org.xfce.ScreenSaver").await;
    desk.survives("a screen saver", "org.xfce.ScreenSaver", async |bus, locked| {
        saver.take().unwrap().graceful_shutdown().await;
        saver = Some(Xfce::start(bus, locked).await);
    })
    .await;
}

#[tokio::test]
async fn of_the_buses() {
    let bus = Bus::start();
    let mut login1 = Some(Login1::with(&bus, session(false)).await);
    let mut desk = Desk::new(bus).await;
    desk.lock("unlocked", "logind").await;
    desk.survives("the buses", "logind", async |bus, locked| {
        bus.kill();
        drop(login1.take());
        bus.resume();
        login1 = Some(Login1::with(bus, session(locked)).await);
    })
    .await;
}
