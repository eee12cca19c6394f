//! An account with many users, and what changes for one of them or for everybody: times that end, hours that begin, the machine's
//! own signals. Nothing due means no wake-ups.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use presenced::policy::{CallState, Claim};
use presenced::presence::Presence;
use presenced::status::users::UserChange;
use presenced_emulator::Call;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::fleet::{USERS, all_hold, carried_out, client, configuration, house, lines, presences, seen};
use crate::stage::house::{CALL, House, guarded};

async fn furnished() -> House {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house));
    house
}

fn all_but(left_out: u32) -> impl Iterator<Item = u32> {
    (1..=USERS).filter(move |number| *number != left_out)
}

#[tokio::test]
async fn what_is_set_for_one_user_ends_by_itself() {
    let house = furnished().await;
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, USERS).await;
    let mut connection = client(&house).await;
    let minute = Some(Duration::from_mins(2));
    connection.change_user("agent7", &UserChange::SetCall(CallState::InCall, minute)).await.unwrap();
    seen(&house, [7], "Busy/InACall").await;
    seen(&house, [7], "Available/Available").await;
    let away = UserChange::SetOverride(Claim::Hold(Presence::Away), minute);
    connection.change_user("agent7", &away).await.unwrap();
    seen(&house, [7], "Away/Away").await;
    seen(&house, [7], "Available/Available").await;
    seen(&house, all_but(7), "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn the_machines_own_signals_change_everybody_who_has_none_of_their_own() {
    let house = furnished().await;
    house.write("config.toml", format!("{}\n{CALL}", configuration(&house)));
    house.write("call-state", "idle");
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let mut connection = client(&house).await;
    connection.change_user("agent7", &UserChange::SetCall(CallState::Idle, None)).await.unwrap();
    house.write("call-state", "in-call");
    seen(&house, all_but(7), "Busy/InACall").await;
    seen(&house, [7], "Available/Available").await;
    // An override of the machine is for everybody who has none of their own.
    let away = UserChange::SetOverride(Claim::Hold(Presence::Away), None);
    connection.change_user("agent7", &away).await.unwrap();
    assert_eq!(house.ask(&["set", "DoNotDisturb/Presenting"]).await.0, 0);
    seen(&house, all_but(7), "DoNotDisturb/Presenting").await;
    seen(&house, [7], "Away/Away").await;
    connection.change_user("agent7", &UserChange::ClearOverride).await.unwrap();
    seen(&house, [7], "DoNotDisturb/Presenting").await;
    assert_eq!(house.ask(&["unset"]).await.0, 0);
    seen(&house, all_but(7), "Busy/InACall").await;
    seen(&house, [7], "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn hours_that_begin_and_end_change_everybody() {
    let house = furnished().await;
    let night = "[[rules]]\nname = \"night\"\nwhen = { within = \"20:00-06:00\" }\nset = \"Away/Away\"\n[[rules]]\nname = \"rest\"";
    let configuration = configuration(&house).replace("[[rules]]\nname = \"rest\"", night);
    house.write("config.toml", configuration);
    // A day takes 144 s.
    let daemon = house.start_fast(3600).await;
    let count = |pair: &'static str| {
        move |report: &presenced::status::report::Report| presences(report).get(pair) == Some(&(USERS as usize))
    };
    daemon.report("day", count("Available/Available")).await;
    daemon.report("night", count("Away/Away")).await;
    daemon.report("day again", count("Available/Available")).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_account_without_users_asks_for_no_token() {
    let house = furnished().await;
    house.write("agents", "# nobody yet\n");
    let daemon = house.start().await;
    daemon.report("nobody", |report| report.accounts["agents"].because == "0 users").await;
    house.write("agents", lines(1..=1));
    daemon.report("somebody", |report| report.accounts["agents"].because == "1 user").await;
    seen(&house, [1], "Available/Available").await;
    assert_eq!(carried_out(&house, Call::Token), 1);
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_fleet_at_rest_wakes_up_for_its_requests_only() {
    let house = furnished().await;
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, USERS).await;
    let (before, sent_before) = (wakeups(&house).await, carried_out(&house, Call::Set));
    // Two keepalives each.
    seen_later(&house, sent_before + 2 * u64::from(USERS)).await;
    let (woken, sent) = (wakeups(&house).await - before, carried_out(&house, Call::Set) - sent_before);
    // One to send it, one for its answer; and some for the file, the zone, and those who ask.
    assert!(woken <= 3 * sent + 30, "{woken} wake-ups for {sent} keepalives");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

async fn seen_later(house: &House, sets: u64) {
    guarded("keepalives", async {
        while carried_out(house, Call::Set) < sets {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn wakeups(house: &House) -> u64 {
    let mut stream = UnixStream::connect(house.path("presenced.sock")).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut metrics = String::new();
    guarded("the metrics", stream.read_to_string(&mut metrics)).await.unwrap();
    let samples = metrics.lines().filter_map(|line| line.strip_prefix("presenced_wakeups_total")?.split_once("} "));
    let count = samples.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
    assert!(count > 0, "{metrics}");
    count
}
