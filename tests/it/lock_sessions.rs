//! Which session is the one at the screen: a desktop on a text console, and several sessions of one user. Against a stand-in logind,
//! and processes that listen as compositors and X servers do.

use std::path::Path;
use std::time::Duration;

use presenced::signals::Displays;
use presenced::status::report::State;
use presenced::warning::Code;

use crate::stage::bus::{Bus, NOWHERE};
use crate::stage::desk::Desk;
use crate::stage::display_server::DisplayServer;
use crate::stage::idle;
use crate::stage::lock::{LOCKED, UNLOCKED, assert_unknown, follow_lock, follow_lock_on, says};
use crate::stage::login1::{Login1, Session};
use crate::stage::signal_bench::{ManualClock, Signal};

const NOON: &str = "2026-11-23T12:00:00Z";

/// A socket that was just made is left to settle, as a file is.
const SETTLES: Duration = Duration::from_millis(100);

fn displays(folder: &Path) -> Displays {
    Displays { runtime_dir: Some(folder.to_owned()), x11_dir: Some(folder.to_owned()), ..Displays::default() }
}

/// What the lock signal says first with these sessions and a server.
async fn with_server(sessions: &[(&str, Session)], socket: &str, named: Option<&str>, known: Option<&str>) -> String {
    let (bus, folder) = (Bus::start(), tempfile::tempdir().expect("a folder"));
    let login1 = Login1::start(&bus).await;
    for (id, session) in sessions {
        login1.add(id, session.clone()).await;
    }
    let server = DisplayServer::start("a-server", &folder.path().join(socket), named);
    if let Some(known) = known {
        login1.set_process(server.pid(), known);
    }
    let mut signal = follow_lock_on(displays(folder.path()), &ManualClock::at(NOON), &bus.address(), NOWHERE);
    signal.next().await.reading.to_string()
}

#[tokio::test]
async fn a_text_console_counts_while_a_compositor_runs_on_it() {
    let (bus, folder, clock) = (Bus::start(), tempfile::tempdir().expect("a folder"), ManualClock::at(NOON));
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session::console()).await;
    let mut signal = follow_lock_on(displays(folder.path()), &clock, &bus.address(), NOWHERE);
    assert_unknown(&signal.next().await, "no session of this user");
    let socket = folder.path().join("wayland-1");
    let compositor = DisplayServer::start("niri", &socket, Some("c1"));
    clock.pass(SETTLES).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    is_followed(&login1, &mut signal, "c1").await;

    // A crash leaves the socket behind, which is tried three times.
    drop(compositor);
    assert_unknown(&signal.next().await, "no session of this user");
    for tenths in [1, 2, 4] {
        clock.pass(Duration::from_millis(100 * tenths)).await;
    }
    std::fs::remove_file(&socket).expect("its socket");
    let _next = DisplayServer::start("niri", &socket, Some("c1"));
    clock.pass(SETTLES).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

/// The lock and the place on the seat of an unlocked session are followed.
async fn is_followed(login1: &Login1, signal: &mut Signal<presenced::policy::Lock>, id: &str) {
    login1.set_locked(id, true).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_locked(id, false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    login1.set_active(id, false).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_active(id, true).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn a_text_console_counts_while_an_x_server_runs_on_it() {
    let (bus, folder, clock) = (Bus::start(), tempfile::tempdir().expect("a folder"), ManualClock::at(NOON));
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session::console()).await;
    let mut signal = follow_lock_on(displays(folder.path()), &clock, &bus.address(), NOWHERE);
    assert_unknown(&signal.next().await, "no session of this user");
    let server = DisplayServer::start("Xorg", &folder.path().join("X0"), None);
    login1.set_process(server.pid(), "c1");
    clock.pass(SETTLES).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    is_followed(&login1, &mut signal, "c1").await;
    drop(server);
    assert_unknown(&signal.next().await, "no session of this user");
}

#[tokio::test]
async fn a_server_counts_for_its_own_session_alone() {
    let console = || ("c1", Session::console());
    let other = || ("c2", Session::console());
    let ssh = || ("s1", Session::ssh());
    let closing = || ("c0", Session { state: "closing", ..Session::console() });
    for (sessions, socket, named, known, expected) in [
        // logind knows the session of a process, or its environment names it.
        (vec![console(), other()], "wayland-0", None, Some("c1"), "unlocked"),
        (vec![console(), other()], "wayland-0", Some("c2"), None, "unlocked"),
        (vec![console(), other()], "X0", Some("c2"), None, "unlocked"),
        // Neither does: a compositor of a service, on the only console.
        (vec![console(), ssh()], "wayland-0", None, None, "unlocked"),
        (vec![console(), other()], "wayland-0", None, None, "unknown"),
        (vec![console()], "X0", None, None, "unknown"),
        // It was started over ssh, or is left over from a session that has ended.
        (vec![ssh()], "wayland-0", Some("s1"), None, "unknown"),
        (vec![ssh()], "wayland-0", None, None, "unknown"),
        (vec![ssh(), console()], "wayland-0", Some("s1"), None, "unknown"),
        (vec![ssh(), console()], "X0", None, Some("s1"), "unknown"),
        (vec![closing(), console()], "wayland-0", None, Some("c0"), "unknown"),
    ] {
        let ids: Vec<_> = sessions.iter().map(|(id, _)| *id).collect();
        let found = with_server(&sessions, socket, named, known).await;
        assert_eq!(found, expected, "{socket} of {named:?}, at logind {known:?}, with {ids:?}");
    }
}

#[tokio::test]
async fn a_switch_from_the_desktop_to_a_text_console_counts_as_locked() {
    let (bus, folder) = (Bus::start(), tempfile::tempdir().expect("a folder"));
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session { active: false, ..Session::console() }).await;
    login1.add("c2", Session::console()).await;
    let _compositor = DisplayServer::start("niri", &folder.path().join("wayland-0"), Some("c2"));
    let mut signal = follow_lock_on(displays(folder.path()), &ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    login1.set_active("c1", true).await;
    login1.set_active("c2", false).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_active("c2", true).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn a_text_console_counts_once_it_was_locked() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session::console()).await;
    login1.add("s1", Session::ssh()).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_unknown(&signal.next().await, "no session of this user");
    login1.set_locked("s1", true).await;
    login1.set_locked("c1", true).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_locked("c1", false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    is_followed(&login1, &mut signal, "c1").await;
    login1.remove("c1").await;
    assert_unknown(&signal.next().await, "no session of this user");
}

#[tokio::test]
async fn that_it_was_locked_is_remembered_through_a_suspend() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session::console()).await;
    let mut desk = Desk::start(&bus.address(), "[signals.lock]\n", None).await;
    login1.set_locked("c1", true).await;
    desk.sets("Away/Away").await;
    login1.set_locked("c1", false).await;
    desk.sets("Available/Available").await;
    // All signals start again after it.
    login1.prepare_for_sleep(true).await;
    desk.sets("Away/Away").await;
    desk.stands(State::Holding).await;
    login1.prepare_for_sleep(false).await;
    desk.sets("Available/Available").await;
}

#[tokio::test]
async fn a_session_whose_type_changes_is_noticed() {
    let bus = Bus::start();
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session::console()).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_unknown(&signal.next().await, "no session of this user");
    login1.set_kind("c1", "wayland").await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
}

#[tokio::test]
async fn of_two_desktops_the_unlocked_and_active_one_counts() {
    let bus = Bus::start();
    // The caller's own session is not preferred.
    let login1 = Login1::with(&bus, Session { locked: true, ..Session::DESKTOP }).await;
    login1.add("c2", Session::DESKTOP).await;
    let mut signal = follow_lock(&ManualClock::at(NOON), &bus.address(), NOWHERE);
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    login1.set_locked("c2", true).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_locked("c1", false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    login1.set_active("c1", false).await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
    login1.set_locked("c2", false).await;
    assert_eq!(signal.next().await, says(UNLOCKED, "logind"));
    login1.remove("c2").await;
    assert_eq!(signal.next().await, says(LOCKED, "logind"));
}

#[tokio::test]
async fn a_compositor_that_does_not_report_the_lock_is_named() {
    let (bus, folder) = (Bus::start(), tempfile::tempdir().expect("a folder"));
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session::console()).await;
    let _sway = DisplayServer::start("sway", &folder.path().join("wayland-1"), Some("c1"));
    let mut signal = follow_lock_on(displays(folder.path()), &ManualClock::at(NOON), &bus.address(), NOWHERE);
    let observation = signal.next().await;
    assert_eq!((&observation.reading, observation.warnings[0].code), (&UNLOCKED, Code::LockUnproved));
    assert!(observation.warnings[0].text.contains("sway"), "{observation:?}");
}

#[tokio::test]
async fn a_text_console_says_nothing_about_input() {
    let bus = Bus::start();
    // logind itself says when the console was last used.
    let login1 = Login1::start(&bus).await;
    login1.add("c1", Session { locked: true, idle: (true, 1), ..Session::console() }).await;
    let clock = ManualClock::at(NOON);
    let after = Duration::from_mins(10);
    let mut signal = idle::follow(&clock, (&bus.address(), NOWHERE), Displays::default(), after);
    idle::assert_unknown(&signal.next().await, &["this desktop never told logind"]);
}
