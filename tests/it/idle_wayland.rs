//! The idle signal by `ext-idle-notify-v1`: against `KWin`, which has its version 1, against a stand-in for a compositor
//! with version 2, which no compositor of Debian 12 has, and against Weston and sway 1.7, which have neither.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use presenced::daemon::clock::SystemClock;
use presenced::policy::Idle;
use presenced::signals::{Displays, Observation};

use crate::stage::bus::NOWHERE;
use crate::stage::compositor::Compositor;
use crate::stage::compositor_stub::CompositorStub;
use crate::stage::idle::{ACTIVE, IDLE, assert_unknown, follow};
use crate::stage::signal_bench::{ManualClock, Signal, soon};

const AFTER: Duration = Duration::from_millis(300);

fn on(displays: Displays) -> Signal<Idle> {
    follow(&Arc::new(SystemClock::real()), (NOWHERE, NOWHERE), displays, AFTER)
}

fn has_words(words: &'static str) -> impl Fn(&Observation<Idle>) -> bool {
    move |observation| observation.warnings.iter().any(|warning| warning.text.contains(words))
}

#[tokio::test]
async fn kwin_is_followed_and_found_again_after_a_crash() {
    let mut compositor = Compositor::reserve();
    let mut signal = on(compositor.displays());
    assert_unknown(&signal.next().await, &["no Wayland compositor is running", "no X server is running"]);
    for _ in 0..2 {
        compositor.start_kwin();
        let active = signal.until(|observation| observation.reading == ACTIVE).await;
        assert_eq!(active.source, "ext-idle-notify-v1 of wayland-0");
        assert_eq!(signal.next().await.reading, IDLE);
        for _ in 0..2 {
            compositor.moves_the_mouse();
            assert_eq!(signal.next().await.reading, ACTIVE);
            assert_eq!(signal.next().await.reading, IDLE);
        }
        compositor.kill();
        assert_unknown(&signal.next().await, &["no Wayland compositor is running"]);
    }
}

#[tokio::test]
async fn a_compositor_that_cannot_tell_is_named() {
    for start in [Compositor::start_weston, Compositor::start_sway] {
        let mut compositor = Compositor::reserve();
        let mut signal = on(compositor.displays());
        start(&mut compositor);
        let observation = signal.until(has_words("X server of a Wayland session sees only part")).await;
        assert_unknown(&observation, &["the compositor does not have ext-idle-notify-v1"]);
    }
}

#[cfg(feature = "x11")]
#[tokio::test]
async fn an_x_server_is_not_asked_while_a_compositor_runs() {
    let mut compositor = Compositor::reserve();
    compositor.start_weston();
    let mut server = crate::stage::x_server::XServer::reserve();
    server.start(&[]);
    let mut signal = on(Displays {
        x11_dir: Some(crate::stage::x_server::XServer::folder()),
        x11: Some(server.display()),
        ..compositor.displays()
    });
    let observation = signal.until(has_words("X server of a Wayland session sees only part")).await;
    assert_unknown(&observation, &["does not have ext-idle-notify-v1"]);
    compositor.kill();
    let idle = signal.until(|observation| observation.reading == IDLE).await;
    assert!(idle.source.starts_with("idle counter of X display"), "{idle:?}");
    compositor.start_kwin();
    signal.until(|observation| observation.source.starts_with("ext-idle-notify-v1")).await;
}

/// A stand-in, and the signal that follows it.
fn on_a_stub(version: u32) -> (tempfile::TempDir, CompositorStub, Signal<Idle>) {
    let folder = tempfile::tempdir().unwrap();
    let stub = CompositorStub::start(&folder.path().join("wayland-0"), version);
    let signal = on(displays(&folder));
    (folder, stub, signal)
}

fn displays(folder: &tempfile::TempDir) -> Displays {
    Displays { runtime_dir: Some(folder.path().to_owned()), ..Displays::default() }
}

#[tokio::test]
async fn of_version_2_input_alone_counts() {
    for (version, input_only) in [(1, false), (2, true)] {
        let (_folder, mut stub, mut signal) = on_a_stub(version);
        assert_eq!(stub.serve_until(signal.next()).await.reading, ACTIVE);
        soon("a notification", stub.is_asked_for(1)).await;
        for (idle, reading) in [(true, IDLE), (false, ACTIVE)] {
            stub.tell(0, idle);
            assert_eq!(stub.serve_until(signal.next()).await.reading, reading);
        }
        assert_eq!(stub.asked(), [(input_only, 300)]);
    }
}

#[tokio::test]
async fn somebody_at_any_seat_is_there() {
    let (_folder, mut stub, mut signal) = on_a_stub(2);
    stub.add_seat();
    assert_eq!(stub.serve_until(signal.next()).await.reading, ACTIVE);
    soon("notifications", stub.is_asked_for(2)).await;
    stub.tell(0, true);
    stub.tell(1, true);
    assert_eq!(stub.serve_until(signal.next()).await.reading, IDLE);
    stub.tell(1, false);
    assert_eq!(stub.serve_until(signal.next()).await.reading, ACTIVE);
}

#[tokio::test]
async fn a_compositor_may_take_its_notifier_back() {
    let (_folder, mut stub, mut signal) = on_a_stub(2);
    assert_eq!(stub.serve_until(signal.next()).await.reading, ACTIVE);
    stub.take_the_notifier_back();
    let gone = stub.serve_until(signal.until(has_words("sees only part of the input"))).await;
    assert_unknown(&gone, &["does not have ext-idle-notify-v1"]);
}

#[tokio::test]
async fn a_compositor_that_hangs_holds_nothing_up_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut stub = CompositorStub::start(&folder.path().join("wayland-0"), 2);
    let clock: Arc<ManualClock> = ManualClock::at("2026-11-23T12:00:00Z");
    let mut signal = follow(&clock, (NOWHERE, NOWHERE), displays(&folder), AFTER);
    let stuck = soon("a connection", async {
        loop {
            match stub.accept() {
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
    let found = stub.serve_until(signal.until(|observation| observation.reading == ACTIVE)).await;
    assert_eq!(found.source, "ext-idle-notify-v1 of wayland-0");
    drop(stuck);
}
