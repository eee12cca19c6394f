//! The idle signal by `ext-idle-notify-v1`: against `KWin`, which has its version 1, against a stand-in for a compositor
//! with version 2, which no compositor of Debian 12 has, and against Weston, which has neither.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use presenced::daemon::clock::SystemClock;
use presenced::policy::Idle;
use presenced::signals::{Displays, Observation};
use wayland_protocols::ext::idle_notify::v1::server::ext_idle_notification_v1::{self, ExtIdleNotificationV1};
use wayland_protocols::ext::idle_notify::v1::server::ext_idle_notifier_v1::{self, ExtIdleNotifierV1};
use wayland_server::protocol::wl_seat::{self, WlSeat};
use wayland_server::{
    Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, ListeningSocket, New, backend::GlobalId,
};

use crate::idle::{ACTIVE, IDLE, NOWHERE, assert_unknown, follow};
use crate::signal_bench::{ManualClock, Signal, soon};

const AFTER: Duration = Duration::from_millis(300);

/// A folder for a compositor's socket, and the compositor.
struct Desk {
    folder: tempfile::TempDir,
    compositor: Option<Child>,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), compositor: None }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("wayland-0")
    }

    fn displays(&self) -> Displays {
        Displays { runtime_dir: Some(self.folder.path().to_owned()), ..Displays::default() }
    }

    fn follow(&self) -> Signal<Idle> {
        follow(&Arc::new(SystemClock::real()), (NOWHERE, NOWHERE), self.displays(), AFTER)
    }

    /// Starts `KWin` without a screen.
    fn start_kwin(&mut self) {
        // A copy, since the program has a capability that not everybody may use; and of this name, which it looks at.
        let kwin = self.folder.path().join("bin/kwin_wayland");
        std::fs::create_dir_all(kwin.parent().unwrap()).unwrap();
        std::fs::copy("/usr/bin/kwin_wayland", &kwin)
            .expect("this test needs `kwin_wayland`: install the Debian package `kwin-wayland`");
        self.start(
            Command::new(kwin)
                .args(["--virtual", "--no-lockscreen", "--no-global-shortcuts", "--no-kactivities"])
                .args(["--width", "640", "--height", "480", "--socket", "wayland-0"])
                // So that the test may move its mouse.
                .env("KWIN_WAYLAND_NO_PERMISSION_CHECKS", "1"),
        );
    }

    /// Starts Weston without a screen.
    fn start_weston(&mut self) {
        self.start(Command::new("weston").args(["--no-config", "--backend=headless-backend.so", "--socket=wayland-0"]));
    }

    fn start(&mut self, compositor: &mut Command) {
        let program = compositor.get_program().to_owned();
        let child = compositor
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("HOME", self.folder.path())
            .env("DBUS_SESSION_BUS_ADDRESS", NOWHERE)
            .env("DBUS_SYSTEM_BUS_ADDRESS", NOWHERE)
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let install =
            |error| panic!("this test needs {}: install the Debian package of that name ({error})", program.display());
        self.compositor = Some(child.unwrap_or_else(install));
    }

    /// Kills the compositor, as a crash does.
    fn kill(&mut self) {
        if let Some(mut compositor) = self.compositor.take() {
            compositor.kill().unwrap();
            compositor.wait().unwrap();
        }
    }

    /// Moves `KWin`'s mouse.
    fn moves_the_mouse(&self) {
        let mut wire = UnixStream::connect(self.socket()).unwrap();
        // wl_display.get_registry
        send(&mut wire, 1, 1, &[2]);
        let (name, version) = loop {
            let (object, opcode, body) = receive(&mut wire);
            let interface = "org_kde_kwin_fake_input";
            if (object, opcode) == (2, 0) && body[8..].starts_with(interface.as_bytes()) {
                break (word(&body, 0), word(&body, body.len() - 4));
            }
        };
        // wl_registry.bind, org_kde_kwin_fake_input.authenticate and .pointer_motion, wl_display.sync
        let bind = [&[name][..], &text("org_kde_kwin_fake_input"), &[version, 3]].concat();
        send(&mut wire, 2, 0, &bind);
        send(&mut wire, 3, 0, &[text("presenced"), text("a test")].concat());
        send(&mut wire, 3, 1, &[10 << 8, 10 << 8]);
        send(&mut wire, 1, 0, &[4]);
        while receive(&mut wire).0 != 4 {}
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a request: to which object, which one, and its arguments in words.
fn send(wire: &mut UnixStream, object: u32, opcode: u32, arguments: &[u32]) {
    let length = u32::try_from(8 + arguments.len() * 4).unwrap();
    let words = [&[object, length << 16 | opcode], arguments].concat();
    wire.write_all(&words.into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<_>>()).unwrap();
}

/// The next event: of which object, which one, and its arguments.
fn receive(wire: &mut UnixStream) -> (u32, u32, Vec<u8>) {
    let mut head = [0; 8];
    wire.read_exact(&mut head).unwrap();
    let (length, opcode) = (word(&head, 4) >> 16, word(&head, 4) & 0xffff);
    let mut body = vec![0; usize::try_from(length).unwrap() - 8];
    wire.read_exact(&mut body).unwrap();
    (word(&head, 0), opcode, body)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A text as an argument: its length with the NUL behind it, then itself, to whole words.
fn text(text: &str) -> Vec<u32> {
    let mut bytes = [text.as_bytes(), b"\0"].concat();
    let length = u32::try_from(bytes.len()).unwrap();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    std::iter::once(length).chain((0..bytes.len() / 4).map(|at| word(&bytes, at * 4))).collect()
}

fn has_words(words: &'static str) -> impl Fn(&Observation<Idle>) -> bool {
    move |observation| observation.warnings.iter().any(|warning| warning.text.contains(words))
}

#[tokio::test]
async fn kwin_is_followed_and_found_again_after_a_crash() {
    let mut desk = Desk::new();
    let mut signal = desk.follow();
    assert_unknown(&signal.next().await, &["no Wayland compositor runs", "no X server runs"]);
    for _ in 0..2 {
        desk.start_kwin();
        let active = signal.until(|observation| observation.reading == ACTIVE).await;
        assert_eq!(active.source, "ext-idle-notify-v1 of wayland-0");
        assert_eq!(signal.next().await.reading, IDLE);
        for _ in 0..2 {
            desk.moves_the_mouse();
            assert_eq!(signal.next().await.reading, ACTIVE);
            assert_eq!(signal.next().await.reading, IDLE);
        }
        desk.kill();
        assert_unknown(&signal.next().await, &["no Wayland compositor runs"]);
    }
}

#[tokio::test]
async fn a_compositor_that_cannot_tell_is_named() {
    let mut desk = Desk::new();
    let mut signal = desk.follow();
    desk.start_weston();
    let observation = signal.until(has_words("X server of a Wayland session sees only part")).await;
    assert_unknown(&observation, &["/wayland-0: the compositor does not have ext-idle-notify-v1"]);
}

#[cfg(feature = "x11")]
#[tokio::test]
async fn an_x_server_is_not_asked_while_a_compositor_runs() {
    let mut desk = Desk::new();
    desk.start_weston();
    let mut server = crate::x_server::XServer::reserve();
    server.start(&[]);
    let displays =
        Displays { x11_dir: Some(crate::x_server::XServer::folder()), x11: Some(server.display()), ..desk.displays() };
    let mut signal = follow(&Arc::new(SystemClock::real()), (NOWHERE, NOWHERE), displays, AFTER);
    let observation = signal.until(has_words("X server of a Wayland session sees only part")).await;
    assert_unknown(&observation, &["does not have ext-idle-notify-v1"]);
    desk.kill();
    let idle = signal.until(|observation| observation.reading == IDLE).await;
    assert!(idle.source.starts_with("idle counter of X display"), "{idle:?}");
    desk.start_kwin();
    signal.until(|observation| observation.source.starts_with("ext-idle-notify-v1")).await;
}

/// A compositor as far as it tells of idleness.
struct Compositor {
    display: Display<Seats>,
    listener: ListeningSocket,
    seats: Seats,
    notifier: GlobalId,
}

#[derive(Default)]
struct Seats {
    /// Whether inhibitors are to be ignored, and the time in milliseconds, of each that was asked for.
    asked: Vec<(bool, u32)>,
    notifications: Vec<ExtIdleNotificationV1>,
}

impl Compositor {
    fn start(desk: &Desk, version: u32) -> Self {
        let display: Display<Seats> = Display::new().unwrap();
        display.handle().create_global::<Seats, WlSeat, ()>(7, ());
        let notifier = display.handle().create_global::<Seats, ExtIdleNotifierV1, ()>(version, ());
        let listener = ListeningSocket::bind_absolute(desk.socket()).unwrap();
        Self { display, listener, seats: Seats::default(), notifier }
    }

    /// Serves until `done` ends.
    async fn serve_until<T>(&mut self, done: impl Future<Output = T>) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            self.turn();
            tokio::select! {
                biased;
                done = &mut done => return done,
                () = tokio::task::yield_now() => {}
            }
        }
    }

    /// Serves until so many notifications were asked for.
    async fn is_asked_for(&mut self, count: usize) {
        soon("notifications that are asked for", async {
            while self.seats.asked.len() < count {
                self.turn();
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn turn(&mut self) {
        if let Some(stream) = self.listener.accept().unwrap() {
            self.display.handle().insert_client(stream, Arc::new(())).unwrap();
        }
        self.display.dispatch_clients(&mut self.seats).unwrap();
        self.display.flush_clients().unwrap();
    }
}

impl GlobalDispatch<WlSeat, ()> for Seats {
    fn bind(_: &mut Self, _: &DisplayHandle, _: &Client, seat: New<WlSeat>, (): &(), init: &mut DataInit<'_, Self>) {
        init.init(seat, ());
    }
}

impl GlobalDispatch<ExtIdleNotifierV1, ()> for Seats {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        notifier: New<ExtIdleNotifierV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(notifier, ());
    }
}

impl Dispatch<WlSeat, ()> for Seats {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlSeat,
        _: wl_seat::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl Dispatch<ExtIdleNotifierV1, ()> for Seats {
    fn request(
        seats: &mut Self,
        _: &Client,
        _: &ExtIdleNotifierV1,
        request: ext_idle_notifier_v1::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        use ext_idle_notifier_v1::Request::{GetIdleNotification, GetInputIdleNotification};
        let (input_only, timeout, id) = if let GetIdleNotification { id, timeout, .. } = request {
            (false, timeout, id)
        } else if let GetInputIdleNotification { id, timeout, .. } = request {
            (true, timeout, id)
        } else {
            panic!("nothing else is asked for: {request:?}")
        };
        seats.asked.push((input_only, timeout));
        seats.notifications.push(init.init(id, ()));
    }
}

impl Dispatch<ExtIdleNotificationV1, ()> for Seats {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ExtIdleNotificationV1,
        _: ext_idle_notification_v1::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

#[tokio::test]
async fn of_version_2_input_alone_counts() {
    let desk = Desk::new();
    for (version, input_only) in [(1, false), (2, true)] {
        let mut compositor = Compositor::start(&desk, version);
        let mut signal = desk.follow();
        assert_eq!(compositor.serve_until(signal.next()).await.reading, ACTIVE);
        compositor.is_asked_for(1).await;
        compositor.seats.notifications[0].idled();
        assert_eq!(compositor.serve_until(signal.next()).await.reading, IDLE);
        compositor.seats.notifications[0].resumed();
        assert_eq!(compositor.serve_until(signal.next()).await.reading, ACTIVE);
        assert_eq!(compositor.seats.asked, [(input_only, 300)]);
        signal.stop().await;
    }
}

#[tokio::test]
async fn somebody_at_any_seat_is_there() {
    let desk = Desk::new();
    let mut compositor = Compositor::start(&desk, 2);
    compositor.display.handle().create_global::<Seats, WlSeat, ()>(7, ());
    let mut signal = desk.follow();
    assert_eq!(compositor.serve_until(signal.next()).await.reading, ACTIVE);
    compositor.is_asked_for(2).await;
    compositor.seats.notifications[0].idled();
    compositor.seats.notifications[1].idled();
    assert_eq!(compositor.serve_until(signal.next()).await.reading, IDLE);
    compositor.seats.notifications[1].resumed();
    assert_eq!(compositor.serve_until(signal.next()).await.reading, ACTIVE);
}

#[tokio::test]
async fn a_compositor_may_take_its_notifier_back() {
    let desk = Desk::new();
    let mut compositor = Compositor::start(&desk, 2);
    let mut signal = desk.follow();
    assert_eq!(compositor.serve_until(signal.next()).await.reading, ACTIVE);
    compositor.display.handle().remove_global::<Seats>(compositor.notifier.clone());
    let gone = compositor.serve_until(signal.until(has_words("sees only part of the input"))).await;
    assert_unknown(&gone, &["does not have ext-idle-notify-v1"]);
}

#[tokio::test]
async fn a_compositor_that_hangs_holds_nothing_up_and_is_tried_again() {
    let desk = Desk::new();
    let mut compositor = Compositor::start(&desk, 2);
    let clock: Arc<ManualClock> = ManualClock::at("2026-11-23T12:00:00Z");
    let mut signal = follow(&clock, (NOWHERE, NOWHERE), desk.displays(), AFTER);
    let stuck = soon("a connection", async {
        loop {
            match compositor.listener.accept().unwrap() {
                Some(stream) => return stream,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    // It asks, and so waits for an answer.
    stuck.set_nonblocking(true).unwrap();
    let stuck = tokio::net::UnixStream::from_std(stuck).unwrap();
    soon("a request", stuck.readable()).await.unwrap();
    clock.pass(Duration::from_secs(5)).await;
    let gone = signal.until(has_words("sees only part of the input")).await;
    assert_unknown(&gone, &["wayland-0: no answer within 5 s"]);
    clock.pass(Duration::from_millis(100)).await;
    let found = compositor.serve_until(signal.until(|observation| observation.reading == ACTIVE)).await;
    assert_eq!(found.source, "ext-idle-notify-v1 of wayland-0");
    drop(stuck);
}
