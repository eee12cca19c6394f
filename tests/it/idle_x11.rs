//! The idle signal by the counter of a real X server.

use std::sync::Arc;
use std::time::Duration;

use presenced::daemon::clock::SystemClock;
use presenced::policy::Idle;
use presenced::signals::Displays;
use rustix::process::Signal as Kill;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stage::bus::NOWHERE;
use crate::stage::idle::{ACTIVE, IDLE, assert_unknown, follow};
use crate::stage::signal_bench::{Signal, soon};
use crate::stage::x_server::XServer;

const AFTER: Duration = Duration::from_millis(300);

fn on(server: &XServer) -> Signal<Idle> {
    let displays = Displays { x11_dir: Some(XServer::folder()), x11: Some(server.display()), ..Displays::default() };
    follow(&Arc::new(SystemClock::real()), (NOWHERE, NOWHERE), displays, AFTER)
}

#[tokio::test]
async fn the_idle_counter_is_followed() {
    let mut server = XServer::reserve();
    server.start(&[]);
    let mut signal = on(&server);
    let idle = signal.until(|observation| observation.reading == IDLE).await;
    assert_eq!(idle.source, format!("idle counter of X display {}", server.display()));
    for _ in 0..3 {
        server.moves_the_mouse();
        assert_eq!(signal.next().await.reading, ACTIVE);
        assert_eq!(signal.next().await.reading, IDLE);
    }
}

#[tokio::test]
async fn an_x_server_that_ends_or_crashes_is_found_again() {
    let mut server = XServer::reserve();
    let mut signal = on(&server);
    for kill in [Kill::TERM, Kill::KILL] {
        server.start(&[]);
        signal.until(|observation| observation.reading == IDLE).await;
        server.end(kill);
        let gone = signal.next().await;
        assert_unknown(&gone, &["no X server is running"]);
    }
    server.start(&[]);
    signal.until(|observation| observation.reading == IDLE).await;
    server.moves_the_mouse();
    assert_eq!(signal.next().await.reading, ACTIVE);
}

#[tokio::test]
async fn other_programs_are_not_taken_for_an_x_server() {
    let mut server = XServer::reserve();
    let listener = tokio::net::UnixListener::bind(server.socket()).expect("a free number");
    let mut signal = on(&server);
    for (answer, words) in
        [(&b"\0\x04\x0b\0\0\0\x01\0Busy"[..], "refuses the connection: Busy"), (b"what?", "unexpected end of file")]
    {
        let (mut stream, _) = soon("a connection", listener.accept()).await.expect("a connection");
        // What it asks when there is no cookie.
        stream.read_exact(&mut [0; 12]).await.expect("a request");
        stream.write_all(answer).await.expect("it reads");
        drop(stream);
        signal.until(|observation| observation.warnings.iter().any(|warning| warning.text.contains(words))).await;
    }
    drop(listener);
    server.start(&[]);
    signal.until(|observation| observation.reading == IDLE).await;
}
