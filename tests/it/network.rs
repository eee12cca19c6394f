//! Word that the network is back: from stand-ins for the two services on a real bus, and from the real kernel.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::time::Duration;

use presenced::signals::{Buses, Context, FileWatcher, LockedSessions, Update, network};
use presenced::status::report::State;
use presenced_emulator::{Fault, Matches, Then};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zbus::object_server::InterfaceRef;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, interface};

use crate::stage::bus::Bus;
use crate::stage::desk::Desk;
use crate::stage::house::guarded;
use crate::stage::signal_bench::ManualClock;

/// How far apart reports to the daemon are.
const APART: Duration = Duration::from_secs(5);

/// Lets whoever has something to do go on.
async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// `NetworkManager`, as far as it is listened to.
struct Manager {
    state: u32,
    connection: OwnedObjectPath,
}

#[interface(name = "org.freedesktop.NetworkManager")]
impl Manager {
    #[zbus(property)]
    fn state(&self) -> u32 {
        self.state
    }
    #[zbus(property)]
    fn primary_connection(&self) -> OwnedObjectPath {
        self.connection.clone()
    }
}

const MANAGER: &str = "/org/freedesktop/NetworkManager";

async fn network_manager(bus: &Bus) -> Connection {
    let bus = bus.connect().await;
    let none = ObjectPath::try_from("/").unwrap().into();
    bus.object_server().at(MANAGER, Manager { state: 20, connection: none }).await.unwrap();
    bus.request_name("org.freedesktop.NetworkManager").await.unwrap();
    bus
}

async fn set_state(manager: &Connection, state: u32) {
    let manager: InterfaceRef<Manager> = manager.object_server().interface(MANAGER).await.unwrap();
    manager.get_mut().await.state = state;
    manager.get().await.state_changed(manager.signal_emitter()).await.unwrap();
}

async fn set_connection(manager: &Connection, path: &'static str) {
    let manager: InterfaceRef<Manager> = manager.object_server().interface(MANAGER).await.unwrap();
    manager.get_mut().await.connection = ObjectPath::try_from(path).unwrap().into();
    manager.get().await.primary_connection_changed(manager.signal_emitter()).await.unwrap();
}

/// systemd-networkd, as far as it is listened to.
struct Networkd {
    online: &'static str,
}

#[interface(name = "org.freedesktop.network1.Manager")]
impl Networkd {
    #[zbus(property)]
    fn online_state(&self) -> &str {
        self.online
    }
}

/// A task that follows the network, and what it tells.
struct Follower {
    updates: mpsc::Receiver<Update>,
    running: JoinHandle<()>,
}

impl Follower {
    fn start(clock: &std::sync::Arc<ManualClock>, system: &str) -> Self {
        let (sender, updates) = mpsc::channel(16);
        let context = Context {
            clock: clock.clone(),
            updates: sender,
            buses: Buses { system: Some(system.to_owned()), session: None },
            file_watcher: FileWatcher::new(),
            cache_dir: PathBuf::from("/nonexistent"),
            locked_sessions: LockedSessions::default(),
        };
        Self { updates, running: tokio::spawn(network::run(context)) }
    }

    async fn hears(&mut self) {
        let update = guarded("word of the network", self.updates.recv()).await;
        assert!(matches!(update, Some(Update::NetworkBack)), "{update:?}");
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A desk whose first request has just failed, with a clock that stands still: nothing is tried again unless somebody says
/// so.
async fn cut_off(bus: &Bus) -> Desk {
    let mut desk = Desk::start(&bus.address(), "", Some(Fault::new(Matches::Any, Then::Reset))).await;
    desk.stands(State::Retrying).await;
    desk.emulator.clear_faults();
    desk
}

/// Says it until the daemon, which listens in its own time, has tried again.
async fn tried_again(desk: &mut Desk, say: impl AsyncFn()) {
    let say = async {
        loop {
            say().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = desk.sets("Available/Available") => {}
        never = say => never,
    }
    desk.stands(State::Holding).await;
}

#[tokio::test]
async fn network_manager_cuts_a_backoff_short_and_no_retry_after() {
    let bus = Bus::start();
    let manager = network_manager(&bus).await;
    let mut desk = cut_off(&bus).await;
    let comes_back = async || {
        set_state(&manager, 40).await;
        set_state(&manager, 70).await;
    };
    tried_again(&mut desk, comes_back).await;
    // Once the bus answers, it has passed on what was said before.
    zbus::fdo::DBusProxy::new(&manager).await.unwrap().get_id().await.unwrap();
    turns().await;
    // Repeated changes are reported again.
    desk.clock.pass(APART).await;
    turns().await;

    let headers = [("retry-after".to_owned(), "100".to_owned())].into();
    desk.emulator.inject(Fault::new(Matches::Any, Then::Respond { status: 429, headers, body: None })).unwrap();
    // To the keepalive, four minutes after the set.
    desk.clock.pass(Duration::from_secs(235)).await;
    desk.stands(State::Throttled).await;
    desk.emulator.clear_faults();
    comes_back().await;
    // The daemon got a report, so it gets no other for a while.
    desk.clock.pass(APART).await;
    turns().await;
    // The daemon still waits exactly as long as the server said; meanwhile it only starts to warn.
    desk.clock.pass(Duration::from_secs(25)).await;
    desk.clock.pass(Duration::from_secs(70)).await;
    desk.sets("Available/Available").await;
}

#[tokio::test]
async fn networkd_cuts_a_backoff_short_and_may_come_later() {
    let bus = Bus::start();
    let mut desk = cut_off(&bus).await;
    let networkd = bus.connect().await;
    let path = "/org/freedesktop/network1";
    networkd.object_server().at(path, Networkd { online: "offline" }).await.unwrap();
    networkd.request_name("org.freedesktop.network1").await.unwrap();
    let manager: InterfaceRef<Networkd> = networkd.object_server().interface(path).await.unwrap();
    manager.get_mut().await.online = "online";
    tried_again(&mut desk, async || {
        manager.get().await.online_state_changed(manager.signal_emitter()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_flapping_network_is_reported_every_five_seconds_and_a_lost_one_never() {
    let bus = Bus::start();
    let manager = network_manager(&bus).await;
    let clock = ManualClock::at("2026-11-24T09:00:00Z");
    let mut follower = Follower::start(&clock, &bus.address());
    // Until it listens, nothing is heard.
    while follower.updates.is_empty() {
        set_connection(&manager, "/org/freedesktop/NetworkManager/ActiveConnection/1").await;
        tokio::task::yield_now().await;
    }
    follower.hears().await;
    for _ in 0..10 {
        set_state(&manager, 70).await;
        set_state(&manager, 20).await;
    }
    clock.pass(APART).await;
    follower.hears().await;
    set_state(&manager, 20).await;
    set_connection(&manager, "/").await;
    clock.pass(APART).await;
    set_state(&manager, 70).await;
    follower.hears().await;
    assert!(follower.updates.is_empty());
}

#[tokio::test]
async fn the_kernel_reports_a_default_route() {
    // A separate network, in which the test can add and remove routes.
    let inner = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "network::in_a_network_of_its_own", "--ignored", "--nocapture"])
        .output();
    let inner = guarded("the test within", inner).await.expect("this test needs `unshare` (Debian package util-linux)");
    let text = String::from_utf8_lossy(&inner.stdout) + String::from_utf8_lossy(&inner.stderr);
    assert!(
        inner.status.success(),
        "this test needs user and network namespaces (root has them, others with sysctl kernel.unprivileged_userns_clone=1 and \
         kernel.apparmor_restrict_unprivileged_userns=0) and `ip` (Debian package iproute2):\n{text}"
    );
    assert!(text.contains("1 passed"), "{text}");
}

/// Does it, and lets the follower take in what the kernel tells of it: that is there before the command's end is, so all it
/// takes is turns.
async fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().await.expect("this test needs `ip`");
    assert!(status.success(), "ip {arguments}");
    turns().await;
}

#[tokio::test]
#[ignore = "runs in a network of its own: `the_kernel_reports_a_default_route` starts it there"]
async fn in_a_network_of_its_own() {
    let clock = ManualClock::at("2026-11-24T09:00:00Z");
    let mut follower = Follower::start(&clock, "unix:path=/nonexistent");
    let up = Command::new("ip").args(["-o", "link", "show", "up"]).output().await.expect("this test needs `ip`");
    assert!(up.stdout.is_empty(), "this is somebody's network");
    // The one device that every kernel has will do.
    ip("link set lo up").await;
    ip("addr add 192.0.2.2/24 dev lo").await;
    ip("route add 198.51.100.0/24 dev lo").await;
    assert!(follower.updates.is_empty(), "a network without a way out");
    ip("route add default dev lo").await;
    follower.hears().await;

    clock.pass(APART).await;
    // What only takes away, and what renews the route that there is, as each router advertisement does.
    ip("route del default").await;
    ip("-6 route add default dev lo").await;
    follower.hears().await;
    clock.pass(APART).await;
    ip("-6 route replace default dev lo expires 1800").await;
    assert!(follower.updates.is_empty());
    // A VPN's.
    ip("route add 0.0.0.0/1 dev lo").await;
    follower.hears().await;
    clock.pass(APART).await;
    assert!(follower.updates.is_empty());
}
