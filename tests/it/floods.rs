//! Peers that send without end: a compositor, an X server, a sound server, a screen saver, and servers with informational answers.
//! The daemon's loop goes on, its memory stays level, and SIGTERM ends it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use presenced::status::report::Report;
use presenced::warning::Code;
use tokio::process::Command;

use crate::stage::bus::Bus;
use crate::stage::flood::{self, wayland_event, wayland_global};
use crate::stage::house::{CLIENT_ID, Daemon, House, ONLY_CALLS_DECIDE, guarded};
use crate::stage::reports::{has, warned};
use crate::stage::saver::{Gnome, Saver as _};
use crate::stage::task_limit::TaskLimit;

/// How long the daemon may take to end. It takes less than 3 s, and the test machine's load comes on top.
const END: Duration = Duration::from_secs(5);

/// How long a command may take. It takes milliseconds; the daemon's turn may come after a second of the test machine's load.
const ANSWER: Duration = Duration::from_secs(5);

/// How much more memory a flood may take, in KiB.
const LEVEL: usize = 16 * 1024;

fn resident(daemon: &Daemon) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Commands work and nothing piles up while the flood goes on. Then the daemon ends when it should.
async fn withstands(mut house: House, daemon: Daemon, before: usize) {
    for command in [&["set", "Away/Away"][..], &["status"], &["unset"]] {
        let asked = tokio::time::timeout(ANSWER, house.ask(command)).await;
        let (code, _, error) = asked.unwrap_or_else(|_| panic!("no answer to {command:?}"));
        assert!(code == 0 || command == ["status"], "{command:?}: {error}");
    }
    house.write("call-state", "in-call");
    house.seen("Busy/InACall").await;
    let now = resident(&daemon);
    assert!(now < before + LEVEL, "{before} KiB became {now} KiB");
    let ended = tokio::time::timeout(END, daemon.stop()).await;
    assert!(ended.expect("it ends in time").success());
}

/// A house with these signals and an emulator that answers, the daemon in it, and its memory before the flood begins.
async fn start(signals: &str, change: impl FnOnce(&House, &mut Command)) -> (House, Daemon, usize) {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration() + signals);
    let daemon = house.start_with(&[], |command| change(&house, command)).await;
    house.seen("Available/Available").await;
    let before = resident(&daemon);
    (house, daemon, before)
}

/// The rest of a flood that the daemon cuts short each time: it has begun, and the warning says so.
async fn is_given_up(daemon: &Daemon, code: Code, words: &str) {
    let report = daemon.report("the warning", |report| has(report, code) && warned(report).contains(words)).await;
    assert!(warned(&report).contains(words), "{}", warned(&report));
}

#[tokio::test]
async fn a_compositor_that_announces_without_end_is_given_up() {
    for interface in ["wl_output", "wl_seat"] {
        let (house, daemon, before) = start("[signals.idle]\n", |_, _| {}).await;
        let begin = |_: &[u8]| Vec::new();
        flood::on_socket(&house.path("wayland-0"), begin, move |number| wayland_global(number, interface));
        is_given_up(&daemon, Code::IdleUnavailable, "wayland-0: the compositor sends more than").await;
        withstands(house, daemon, before).await;
    }
}

#[tokio::test]
async fn a_compositor_that_reports_input_without_end_is_given_up() {
    let (house, daemon, before) = start("[signals.idle]\n", |_, _| {}).await;
    // It is complete, and then its seat is idle and active in turn.
    let begin = |_: &[u8]| {
        let done = wayland_event(3, 0, &[0; 4]);
        [wayland_global(1, "ext_idle_notifier_v1"), wayland_global(2, "wl_seat"), done].concat()
    };
    // After the notifier and the seat, the notification is the next object.
    flood::on_socket(&house.path("wayland-0"), begin, |number| wayland_event(6, number % 2, &[]));
    is_given_up(&daemon, Code::IdleUnavailable, "wayland-0: the compositor sends more than").await;
    withstands(house, daemon, before).await;
}

#[tokio::test]
async fn an_x_server_that_sends_without_end_is_given_up() {
    let server = crate::stage::x_server::XServer::reserve();
    let display = server.display();
    let (house, daemon, before) = start("[signals.idle]\n", |_, command| _ = command.env("DISPLAY", display)).await;
    // The setup of version 11 without a vendor, a format or a screen, and then events where an answer is due.
    let begin = |_: &[u8]| {
        let mut setup = vec![1, 0, 11, 0, 0, 0, 8, 0];
        setup.extend([0; 32]);
        setup
    };
    flood::on_socket(&server.socket(), begin, |_| [&[34][..], &[0; 31]].concat());
    is_given_up(&daemon, Code::IdleUnavailable, "the X server sends more than").await;
    withstands(house, daemon, before).await;
    std::fs::remove_file(server.socket()).unwrap();
}

#[tokio::test]
async fn a_sound_server_that_reports_without_end_delays_nothing() {
    let sound = crate::stage::sound_stub::SoundStub::start();
    let server = format!("unix:{}", sound.socket.display());
    let mut asked = sound.asked();
    let microphone = "[signals.microphone]\n";
    let (house, daemon, before) = start(microphone, |_, command| _ = command.env("PULSE_SERVER", server)).await;
    guarded("a question", asked.wait_for(|asked| *asked > 0)).await.unwrap();
    let _flood = Endless::start(move || sound.tell());
    withstands(house, daemon, before).await;
}

/// Something that is done again and again on a thread, until this is dropped.
struct Endless(Arc<AtomicBool>);

impl Endless {
    fn start(mut work: impl FnMut() + Send + 'static) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                work();
            }
        });
        Self(ended)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does something again and again on a runtime of its own.
fn endless<F: Future<Output = ()>>(begin: impl FnOnce(Arc<AtomicBool>) -> F + Send + 'static) -> Endless {
    let ended = Endless(Arc::default());
    let seen = Arc::clone(&ended.0);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(begin(seen));
    });
    ended
}

/// A house whose daemon has the lock signal on this bus.
async fn with_the_lock(bus: &Bus) -> (House, Daemon, usize) {
    let address = bus.address();
    start("[signals.lock]\n", |_, command| _ = command.env("DBUS_SESSION_BUS_ADDRESS", address)).await
}

fn lock(report: &Report) -> &str {
    &report.signals["lock"].value
}

#[tokio::test]
async fn a_screen_saver_that_flaps_delays_nothing() {
    let bus = Arc::new(Bus::start());
    let (address, there) = (bus.address(), Arc::clone(&bus));
    let saver = Gnome::start(&bus, false).await;
    let signals = format!("[signals.lock]\n{ONLY_CALLS_DECIDE}");
    let (house, daemon, before) =
        start(&signals, |_, command| _ = command.env("DBUS_SESSION_BUS_ADDRESS", address)).await;
    drop(saver);
    let _flood = endless(async move |ended| {
        let saver = Gnome::start(&there, false).await;
        let mut active = false;
        while !ended.load(Ordering::Relaxed) {
            active = !active;
            Gnome::set(&saver, active).await;
            // It also answers.
            tokio::task::yield_now().await;
        }
    });
    // What it says is seen now and then, although it never stops.
    for value in ["locked", "unlocked"] {
        daemon.report(value, |report| lock(report) == value).await;
    }
    withstands(house, daemon, before).await;
}

#[tokio::test]
async fn a_program_that_comes_and_goes_hides_no_lock() {
    let bus = Arc::new(Bus::start());
    let saver = Gnome::start(&bus, false).await;
    let (house, daemon, before) = with_the_lock(&bus).await;
    daemon.report("the saver", |report| lock(report) == "unlocked").await;
    let other = bus.connect().await;
    let address = bus.address();
    let flood = endless(async move |ended| {
        let other = zbus::connection::Builder::address(address.as_str()).unwrap().build().await.unwrap();
        // So that questions are answered: it is not a screen saver.
        other.object_server();
        while !ended.load(Ordering::Relaxed) {
            other.request_name("org.xfce.ScreenSaver").await.unwrap();
            other.release_name("org.xfce.ScreenSaver").await.unwrap();
        }
    });
    // It has begun.
    let names = zbus::fdo::DBusProxy::new(&other).await.unwrap();
    while !names.name_has_owner("org.xfce.ScreenSaver".try_into().unwrap()).await.unwrap() {}
    for (active, value) in [(true, "locked"), (false, "unlocked")] {
        Gnome::set(&saver, active).await;
        let seen = tokio::time::timeout(ANSWER, daemon.report(value, |report| lock(report) == value)).await;
        assert!(seen.is_ok(), "{value} within 5 s");
    }
    withstands(house, daemon, before).await;
    drop(flood);
}

/// A server whose answers never come to a status.
fn informational(number: u32) -> Vec<u8> {
    let line = if number.is_multiple_of(2) { "HTTP/1.1 100 Continue" } else { "HTTP/1.1 103 Early Hints\r\nLink: </>" };
    format!("{line}\r\n\r\n").into_bytes()
}

/// A second account, whose sign-in service or Graph never stops to announce an answer.
fn flooded_account(house: &House, kind: &str, flood: &str) -> String {
    let other = house.account("other").replace(CLIENT_ID, "33553876-f5ab-4529-bffb-cfe50aa89f87");
    let token = r#"{ method = "token-command", command = ["echo", "a-token"] }"#;
    let secret = r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#;
    let other = if kind == "graph" { other.replace(secret, token) } else { other };
    other.replace(&format!("{kind} = \"http://{}", house.address), &format!("{kind} = \"http://{flood}"))
}

/// Such a server may only be spoken to on a thread of its own.
#[tokio::test]
async fn a_server_is_not_asked_while_there_is_no_thread_for_its_answer() {
    let (address, _sent) = flood::on_loopback(|_| Vec::new(), informational);
    let mut limit = None;
    let (house, daemon, before) = start("", |_, command| limit = Some(TaskLimit::of(command, 100))).await;
    let limit = limit.unwrap();
    limit.set(daemon.pid(), 1);
    house.write("config.toml", house.configuration() + &flooded_account(&house, "login", &address));
    daemon.signal(rustix::process::Signal::HUP);
    let failed = |report: &Report| report.accounts.get("other").is_some_and(|other| other.last_error.is_some());
    let report = daemon.report("that it is not asked", failed).await;
    let error = &report.accounts["other"].last_error.as_ref().unwrap().text;
    assert!(error.contains("the system refuses a thread for the connection to 127.0.0.1"), "{error}");
    let asked = tokio::time::timeout(ANSWER, house.ask(&["status"])).await;
    assert_eq!(asked.expect("an answer").0, 0);
    limit.set(daemon.pid(), 100);
    withstands(house, daemon, before).await;
}

#[tokio::test]
async fn a_server_that_never_stops_to_announce_an_answer_delays_nothing() {
    for kind in ["graph", "login"] {
        let (address, sent) = flood::on_loopback(|_| Vec::new(), informational);
        let mut house = House::new().await;
        house.write("config.toml", house.configuration());
        let daemon = house.start().await;
        house.seen("Available/Available").await;
        let before = resident(&daemon);
        house.write("config.toml", house.configuration() + &flooded_account(&house, kind, &address));
        daemon.signal(rustix::process::Signal::HUP);
        guarded("the flood", sent.more(1024 * 1024)).await;
        let failed = |report: &Report| report.accounts.get("other").is_some_and(|other| other.last_error.is_some());
        let report = daemon.report("that it is given up", failed).await;
        let error = &report.accounts["other"].last_error.as_ref().unwrap().text;
        assert!(error.contains("127.0.0.1 within 10s"), "{error}");
        guarded("the flood again", sent.more(1024 * 1024)).await;
        withstands(house, daemon, before).await;
    }
}

#[tokio::test]
async fn a_subscription_that_never_stops_to_announce_an_answer_delays_nothing() {
    let (address, sent) = flood::on_loopback(|_| Vec::new(), informational);
    let calendar =
        format!("[signals.calendar]\nsources = [{{ url = \"http://{address}/a.ics\" }}]\n{ONLY_CALLS_DECIDE}");
    let (house, daemon, before) = start(&calendar, |_, _| {}).await;
    guarded("the flood", sent.more(1024 * 1024)).await;
    house.write("call-state", "idle");
    withstands(house, daemon, before).await;
}
