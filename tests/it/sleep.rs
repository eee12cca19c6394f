//! Going to sleep and waking up, with the real program, a stand-in for logind on a real bus, and an emulated Graph.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::net::UnixStream;
use std::time::Duration;

use presenced::status::report::{Report, State};
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, Matches, Then};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::stage::bus::Bus;
use crate::stage::desk::Desk;
use crate::stage::house::{CLIENT_ID, Daemon, House, USER, guarded};
use crate::stage::login1::{Login1, Session};
use crate::stage::mutter::Shell;

/// A daemon at an unlocked desktop that holds Available, and the inhibitor it took.
async fn at_a_desk(house: &mut House, more: &str) -> (Bus, Login1, Daemon, UnixStream) {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let daemon = start(house, &bus, more).await;
    let inhibitor = guarded("an inhibitor", login1.inhibitor()).await;
    (bus, login1, daemon, inhibitor)
}

/// A daemon that watches the lock on this bus, and holds Available.
async fn start(house: &mut House, bus: &Bus, more: &str) -> Daemon {
    house.write("config.toml", house.configuration() + "[signals.lock]\n" + more);
    let daemon = house
        .start_with(&[], |command| {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        })
        .await;
    house.seen("Available/Available").await;
    daemon
}

/// Waits until the daemon lets an inhibitor go.
async fn released(inhibitor: UnixStream) {
    inhibitor.set_nonblocking(true).unwrap();
    let mut inhibitor = tokio::net::UnixStream::from_std(inhibitor).unwrap();
    let read = guarded("the inhibitor's release", inhibitor.read(&mut [0])).await;
    assert_eq!(read.unwrap(), 0);
}

/// What others saw, from the first time that this was seen.
fn seen_since(house: &House, pair: &str) -> Vec<String> {
    let spans = house.emulator.timeline(USER).unwrap().spans;
    spans.into_iter().map(|span| span.visible.to_string()).skip_while(|seen| seen != pair).collect()
}

#[tokio::test]
async fn the_last_write_comes_before_sleep_and_waking_up_claims_again() {
    let mut house = House::new().await;
    let (_bus, login1, daemon, inhibitor) = at_a_desk(&mut house, "").await;
    login1.prepare_for_sleep(true).await;
    released(inhibitor).await;
    assert_eq!(house.visible(), "Away/Away");

    login1.prepare_for_sleep(false).await;
    house.seen("Available/Available").await;
    let next = guarded("the next inhibitor", login1.inhibitor()).await;
    login1.prepare_for_sleep(true).await;
    released(next).await;
    assert_eq!(house.visible(), "Away/Away");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changes() {
    let mut house = House::new().await;
    let (_bus, login1, daemon, inhibitor) = at_a_desk(&mut house, "").await;
    login1.set_locked("c1", true).await;
    house.seen("Away/Away").await;
    daemon.report("Away is held", |report| report.accounts["work"].state == State::Holding).await;
    let before = house.emulator.requests().len();
    login1.prepare_for_sleep(true).await;
    released(inhibitor).await;
    assert_eq!(house.emulator.requests().len(), before);
}

#[tokio::test]
async fn nothing_is_claimed_from_before_the_sleep() {
    let mut house = House::new().await;
    let (_bus, login1, daemon, inhibitor) = at_a_desk(&mut house, "").await;
    login1.prepare_for_sleep(true).await;
    released(inhibitor).await;
    // Locked by the sleep itself, and nobody was awake to hear of it.
    login1.set_locked_silently("c1", true).await;
    login1.prepare_for_sleep(false).await;
    daemon.report("the lock is read anew", |report| report.accounts["work"].rule.as_deref() == Some("locked")).await;
    assert_eq!(seen_since(&house, "Away/Away"), ["Away/Away"]);
}

#[tokio::test]
async fn a_graph_that_hangs_delays_sleep_only_for_its_timeout() {
    let mut house = House::new().await;
    let (_bus, login1, daemon, inhibitor) = at_a_desk(&mut house, "").await;
    house.inject(Fault::new(Matches::Only(Call::Set), Then::Hang));
    let begun = tokio::time::Instant::now();
    login1.prepare_for_sleep(true).await;
    released(inhibitor).await;
    // The bound is the daemon's own, 3 s; anything near the request's time-out of 10 s would be wrong.
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
    assert_eq!(house.visible(), "Available/Available");

    house.emulator.clear_faults();
    login1.set_locked_silently("c1", true).await;
    login1.prepare_for_sleep(false).await;
    house.seen("Away/Away").await;
    daemon.report("it holds", |report| report.accounts["work"].state == State::Holding).await;
}

#[tokio::test]
async fn a_request_that_hangs_already_leaves_time_for_the_last_write() {
    let mut house = House::new().await;
    let (_bus, login1, daemon, inhibitor) = at_a_desk(&mut house, "").await;
    house.inject(Fault { times: Some(1), ..Fault::new(Matches::Only(Call::Set), Then::Hang) });
    login1.set_locked("c1", true).await;
    daemon.report("a request in flight", |report| report.accounts["work"].requests.sent == 2).await;
    login1.prepare_for_sleep(true).await;
    released(inhibitor).await;
    assert_eq!(house.visible(), "Away/Away");
}

#[tokio::test]
async fn many_changes_just_before_sleep_do_not_hold_up_the_last_write() {
    let mut house = House::new().await;
    let (_bus, login1, daemon, inhibitor) = at_a_desk(&mut house, "").await;
    // Another change within the same half minute would be gathered for 5 s.
    for _ in 0..2 {
        house.write("call-state", "in-call");
        house.seen("Busy/InACall").await;
        house.write("call-state", "idle");
        house.seen("Available/Available").await;
    }
    daemon.report("Available is held", |report| report.accounts["work"].state == State::Holding).await;
    login1.prepare_for_sleep(true).await;
    released(inhibitor).await;
    assert_eq!(house.visible(), "Away/Away");
}

#[tokio::test]
async fn without_an_inhibitor_the_last_write_is_tried_all_the_same() {
    let mut house = House::new().await;
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    login1.deny_inhibitors();
    let daemon = start(&mut house, &bus, "").await;
    let is_said = |report: &Report| report.warnings.iter().any(|warning| warning.code == Code::SleepUnavailable);
    daemon.report("a warning", is_said).await;
    login1.prepare_for_sleep(true).await;
    house.seen("Away/Away").await;
    login1.prepare_for_sleep(false).await;
    house.seen("Available/Available").await;
}

#[tokio::test]
async fn a_daemon_that_dies_holds_no_sleep_up() {
    let mut house = House::new().await;
    let (_bus, _login1, daemon, inhibitor) = at_a_desk(&mut house, "").await;
    daemon.signal(rustix::process::Signal::KILL);
    released(inhibitor).await;
}

#[tokio::test]
async fn a_network_that_is_gone_already_does_not_hold_sleep_up() {
    let mut house = House::new().await;
    let (_bus, login1, _daemon, inhibitor) = at_a_desk(&mut house, "").await;
    house.inject(Fault::new(Matches::Any, Then::Reset));
    login1.prepare_for_sleep(true).await;
    released(inhibitor).await;

    house.emulator.clear_faults();
    login1.prepare_for_sleep(false).await;
    house.seen("Available/Available").await;
}

#[tokio::test]
async fn an_account_that_hangs_keeps_no_other_from_its_last_write() {
    // Takes connections, and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut house = House::new().await;
    let (login, graph) = (house.address.clone(), deaf.local_addr().unwrap());
    let deaf_account = format!(
        r#"[accounts.deaf]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ env = "BOT_SECRET" }} }}
endpoints = {{ graph = "http://{graph}/v1.0", login = "http://{login}" }}
"#
    );
    let (_bus, login1, daemon, inhibitor) = at_a_desk(&mut house, &deaf_account).await;
    login1.prepare_for_sleep(true).await;
    house.seen("Away/Away").await;
    released(inhibitor).await;
    let report = daemon.report("both stand", |report| report.accounts.len() == 2).await;
    assert_eq!(report.accounts["work"].state, State::Holding);
    assert_ne!(report.accounts["deaf"].state, State::Holding);
}

#[tokio::test]
async fn waking_up_cuts_a_backoff_short_also_where_the_screen_is_locked() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut desk = Desk::start(&bus.address(), "[signals.lock]\n", None).await;
    desk.sets("Available/Available").await;
    let inhibitor = guarded("an inhibitor", login1.inhibitor()).await;
    desk.emulator.inject(Fault::new(Matches::Only(Call::Set), Then::Reset)).unwrap();
    login1.set_locked("c1", true).await;
    desk.stands(State::Retrying).await;
    login1.prepare_for_sleep(true).await;
    let time_passes = async {
        loop {
            desk.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = released(inhibitor) => {}
        () = time_passes => {}
    }

    desk.stands(State::Retrying).await;
    desk.emulator.clear_faults();
    login1.prepare_for_sleep(false).await;
    // The clock does not move, so that no backoff ends by itself.
    desk.sets("Away/Away").await;
}

#[tokio::test]
async fn a_failure_from_before_sleep_warns_only_if_it_lasts() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut desk = Desk::start(&bus.address(), "[signals.lock]\n", None).await;
    desk.sets("Available/Available").await;
    let inhibitor = guarded("an inhibitor", login1.inhibitor()).await;
    desk.emulator.inject(Fault::new(Matches::Only(Call::Set), Then::Reset)).unwrap();
    login1.set_locked("c1", true).await;
    desk.stands(State::Retrying).await;
    login1.prepare_for_sleep(true).await;
    let time_passes = async {
        loop {
            desk.clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = released(inhibitor) => {}
        () = time_passes => {}
    }

    let failed = |report: &Report| report.accounts["work"].requests.failed;
    let before = failed(&*desk.report("anything", |_| true).await);
    desk.clock.advance(Duration::from_hours(8));
    let asleep = desk.report("a try on a timer that the resume fires", |report| failed(report) > before).await;
    assert_eq!(asleep.warnings, []);
    login1.prepare_for_sleep(false).await;
    let tried = |report: &Report| report.signals["sleep"].value == "awake" && failed(report) > failed(&asleep);
    let awake = desk.report("a try after waking up", tried).await;
    assert_eq!(awake.warnings, []);
    desk.clock.advance(Duration::from_secs(30));
    let warned = |report: &Report| report.warnings.iter().any(|warning| warning.code == Code::ServiceUnavailable);
    desk.report("it lasts", warned).await;
}

/// A daemon in this process whose machine sleeps, after it held this.
async fn asleep(bus: &Bus, login1: &Login1, more: &str) -> Desk {
    let mut desk = Desk::start(&bus.address(), &format!("[signals.lock]\n{more}"), None).await;
    desk.sets("Available/Available").await;
    let inhibitor = guarded("an inhibitor", login1.inhibitor()).await;
    login1.prepare_for_sleep(true).await;
    desk.sets("Away/Away").await;
    desk.stands(State::Holding).await;
    released(inhibitor).await;
    desk
}

#[tokio::test]
async fn a_wake_up_that_nobody_announces_claims_again_after_10_s() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let mut desk = asleep(&bus, &login1, "").await;
    login1.wakes_up_silently();
    desk.clock.advance(Duration::from_secs(10));
    desk.sets("Available/Available").await;
    let next = guarded("the next inhibitor", login1.inhibitor()).await;
    login1.prepare_for_sleep(true).await;
    desk.sets("Away/Away").await;
    desk.stands(State::Holding).await;
    released(next).await;
}

#[tokio::test]
async fn an_unlock_or_input_asks_at_once_whether_the_machine_still_sleeps() {
    let bus = Bus::start();
    let login1 = Login1::with(&bus, Session::DESKTOP).await;
    let shell = Shell::start(&bus, Duration::ZERO).await;
    let mut desk = asleep(&bus, &login1, "[signals.idle]\n").await;
    // The clock does not move, so that no wait ends by itself.
    login1.set_locked("c1", true).await;
    desk.report("locked", |report| report.signals["lock"].value == "locked").await;
    login1.wakes_up_silently();
    login1.set_locked("c1", false).await;
    desk.sets("Available/Available").await;

    shell.sits_idle(Duration::from_mins(10)).await;
    desk.sets("Away/Away").await;
    login1.prepare_for_sleep(true).await;
    desk.report("asleep", |report| report.accounts["work"].rule.as_deref() == Some("asleep")).await;
    login1.wakes_up_silently();
    shell.has_input().await;
    desk.sets("Available/Available").await;

    // What a locker says through the socket is a sign, too.
    desk.locker_says("locked").await;
    desk.sets("Away/Away").await;
    login1.prepare_for_sleep(true).await;
    desk.report("asleep", |report| report.accounts["work"].rule.as_deref() == Some("asleep")).await;
    login1.wakes_up_silently();
    desk.locker_says("unlocked").await;
    desk.sets("Available/Available").await;
}
