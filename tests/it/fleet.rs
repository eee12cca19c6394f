//! An account with many users: the real daemon and the emulator.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::time::Duration;

use presenced::policy::{CallState, Claim};
use presenced::presence::Presence;
use presenced::status::Client;
use presenced::status::report::{Report, State};
use presenced::status::users::{Accepted, Query, UserChange};
use presenced::warning::Code;
use presenced_emulator::{Call, Options, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::stage::house::{CLIENT_ID, Daemon, House, ONLY_CALLS_DECIDE, guarded};
use crate::stage::reports::has;

pub(crate) const USERS: u32 = 50;

pub(crate) fn id(number: u32) -> String {
    User::numbered(number).id
}

/// The lines of a users file for these users.
pub(crate) fn lines(numbers: impl IntoIterator<Item = u32>) -> String {
    let lines = numbers.into_iter().map(|number| format!("{} agent{number}", id(number)));
    lines.chain([String::new()]).collect::<Vec<_>>().join("\n")
}

pub(crate) async fn house() -> House {
    House::with(Options { users: (1..=USERS).map(User::numbered).collect(), ..Options::default() }).await
}

/// The configuration of an account whose users are in the file `agents`.
pub(crate) fn configuration(house: &House) -> String {
    let address = &house.address;
    format!(
        r#"
[accounts.agents]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
users     = {{ file = "{}" }}
auth      = {{ method = "client-secret", secret = {{ env = "BOT_SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
{ONLY_CALLS_DECIDE}"#,
        house.path("agents").display()
    )
}

/// How many users have each presence in the report.
pub(crate) fn presences(report: &Report) -> BTreeMap<String, usize> {
    report.accounts["agents"].users.as_ref().map(|users| users.presences.clone()).unwrap_or_default()
}

pub(crate) fn holding(report: &Report) -> usize {
    let users = report.accounts.get("agents").and_then(|account| account.users.as_ref());
    users.and_then(|users| users.states.get("holding")).copied().unwrap_or_default()
}

pub(crate) async fn all_hold(daemon: &Daemon, count: u32) -> Report {
    daemon.report("all hold", |report| holding(report) == count as usize).await
}

/// Waits until others see these users like this.
pub(crate) async fn seen(house: &House, numbers: impl IntoIterator<Item = u32>, pair: &str) {
    for number in numbers {
        let is_seen = || house.emulator.visible(&id(number)).is_some_and(|seen| seen.to_string() == pair);
        guarded(&format!("user {number}: {pair}"), async {
            while !is_seen() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// How many calls of this kind were carried out, each part of a batch for itself.
pub(crate) fn carried_out(house: &House, call: Call) -> u64 {
    let counts = house.emulator.state().requests.remove(&call).unwrap_or_default();
    counts.answered.into_iter().filter(|(status, _)| *status < 400).map(|(_, count)| count).sum()
}

/// The body of the answer to a POST.
pub(crate) async fn posted(house: &House, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(house.path("presenced.sock")).await.unwrap();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    guarded("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

pub(crate) async fn client(house: &House) -> Client {
    Client::connect(&house.path("presenced.sock")).await.unwrap()
}

#[tokio::test]
async fn each_user_has_a_presence_of_their_own_with_one_token() {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    let report = all_hold(&daemon, USERS).await;
    assert_eq!(presences(&report), BTreeMap::from([("Available/Available".to_owned(), USERS as usize)]));
    seen(&house, 1..=USERS, "Available/Available").await;

    let mut client = client(&house).await;
    client.change_user("agent7", &UserChange::SetCall(CallState::InCall, None)).await.unwrap();
    seen(&house, [7], "Busy/InACall").await;
    seen(&house, (1..=USERS).filter(|number| *number != 7), "Available/Available").await;
    let row = client.user(&id(7)).await.unwrap();
    assert_eq!((row.name.as_deref(), row.because.as_str()), (Some("agent7"), "call is in-call"));
    client.change_user(&id(7), &UserChange::ClearCall).await.unwrap();
    seen(&house, [7], "Available/Available").await;

    assert_eq!(carried_out(&house, Call::Token), 1);
    let all = client.users(&Query { limit: 10, ..Query::default() }).await.unwrap();
    assert_eq!((all.users.len(), all.next.as_ref()), (10, Some(&all.users[9].user)));
    assert_eq!(daemon.stop().await.code(), Some(0));
    // The sessions stay, so that a restart makes nobody blink.
    seen(&house, 1..=USERS, "Available/Available").await;
}

#[tokio::test]
async fn a_restart_sets_only_those_whose_presence_differs() {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    seen(&house, 1..=USERS, "Available/Available").await;
    daemon.signal(rustix::process::Signal::KILL);
    daemon.ended().await;
    let before = carried_out(&house, Call::Set);
    assert!(before >= u64::from(USERS), "{before}");
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    // Some had their keepalive meanwhile: a fifth of them in 48 s.
    let after = carried_out(&house, Call::Set);
    assert!(after - before < u64::from(USERS) / 2, "{before} became {after}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn what_is_set_for_a_user_survives_a_kill() {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let mut connection = client(&house).await;
    for number in 1..=20 {
        connection.change_user(&id(number), &UserChange::SetCall(CallState::InCall, None)).await.unwrap();
    }
    connection.change_user(&id(20), &UserChange::ClearCall).await.unwrap();
    let away = UserChange::SetOverride(Claim::Hold(Presence::Away), Some(Duration::from_hours(1)));
    connection.change_user(&id(30), &away).await.unwrap();
    seen(&house, 1..=19, "Busy/InACall").await;
    seen(&house, [30], "Away/Away").await;
    let before = carried_out(&house, Call::Set);

    daemon.signal(rustix::process::Signal::KILL);
    daemon.ended().await;
    let daemon = house.start().await;
    let report = all_hold(&daemon, USERS).await;
    let expected = [("Available/Available", 30), ("Away/Away", 1), ("Busy/InACall", 19)];
    assert_eq!(presences(&report), expected.into_iter().map(|(pair, count)| (pair.to_owned(), count)).collect());
    let after = carried_out(&house, Call::Set);
    assert!(after - before < u64::from(USERS) / 2, "{before} became {after}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn lines_that_cannot_be_used_are_named_and_the_others_are_in_force() {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    let line = |user: &str, signal: &str, value: &str| {
        format!("{{\"user\": \"{user}\", \"signal\": \"{signal}\", \"value\": \"{value}\"}}")
    };
    let body = [
        line("agent1", "call", "in-call"),
        "{".to_owned(),
        line("nobody", "call", "in-call"),
        line(&id(2).to_uppercase(), "call", "in-call"),
        line("agent3", "call", "busy"),
        line("agent3", "a/b", "x"),
        String::new(),
        r#"{"user": "agent4", "signal": "door"}"#.to_owned(),
    ]
    .join("\n");
    let answer = posted(&house, "/v1/users/signals", &body).await;
    let accepted: Accepted = serde_json::from_str(&answer).unwrap();
    let codes: Vec<_> = accepted.errors.iter().map(|error| (error.line, error.code.as_str())).collect();
    let expected =
        [(2, "bad-json"), (3, "unknown-user"), (5, "bad-signal-value"), (6, "bad-signal-name"), (8, "refused")];
    assert_eq!((accepted.accepted, codes), (2, expected.to_vec()));
    seen(&house, 1..=2, "Busy/InACall").await;
    seen(&house, 3..=USERS, "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn whoever_a_signal_names_is_a_user_also_after_a_restart() {
    let house = house().await;
    let listed = format!("{{ file = \"{}\" }}", house.path("agents").display());
    house.write("config.toml", configuration(&house).replace(&listed, "\"signalled\""));
    let daemon = house.start().await;
    let mut connection = client(&house).await;
    connection.change_user(&id(5), &UserChange::SetCall(CallState::InCall, None)).await.unwrap();
    seen(&house, [5], "Busy/InACall").await;
    let unknown = connection.change_user("agent5", &UserChange::ClearCall).await.unwrap_err();
    assert!(unknown.to_string().contains("no account has the user `agent5`"), "{unknown}");
    daemon.signal(rustix::process::Signal::KILL);
    daemon.ended().await;
    let daemon = house.start().await;
    let report = all_hold(&daemon, 1).await;
    assert_eq!(presences(&report), BTreeMap::from([("Busy/InACall".to_owned(), 1)]));
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn each_user_has_a_call_state_file() {
    let house = house().await;
    let calls = house.path("calls");
    std::fs::create_dir(&calls).unwrap();
    let say = |user: &str, state: &str| {
        std::fs::write(calls.join(".next"), state).unwrap();
        std::fs::rename(calls.join(".next"), calls.join(user)).unwrap();
    };
    say("agent2", "in-call");
    say("nobody", "in-call");
    house.write("agents", lines(1..=USERS));
    let signal = format!("[signals.call]\npath = \"{}/{{user}}\"\n", calls.display());
    house.write("config.toml", configuration(&house) + &signal);
    let daemon = house.start().await;
    seen(&house, [2], "Busy/InACall").await;
    seen(&house, (1..=USERS).filter(|number| *number != 2), "Available/Available").await;
    say(&id(3), "in-call");
    seen(&house, [3], "Busy/InACall").await;
    std::fs::remove_file(calls.join("agent2")).unwrap();
    seen(&house, [2], "Available/Available").await;
    // What cannot be read makes only its own user's call unknown, and then the last rule counts.
    say("agent4", "in-call");
    seen(&house, [4], "Busy/InACall").await;
    say("agent4", "on the phone");
    let report = daemon.report("the warning", |report| has(report, Code::CallStateInvalid)).await;
    assert_eq!(presences(&report)["Busy/InACall"], 1, "the last valid state counted for five seconds");
    seen(&house, [4], "Available/Available").await;
    // What is set through the socket comes first.
    client(&house).await.change_user("agent3", &UserChange::SetCall(CallState::Idle, None)).await.unwrap();
    seen(&house, [3], "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_users_file_adds_and_removes_and_touches_nobody_else() {
    let house = house().await;
    house.write("agents", lines(1..=40));
    house.write("config.toml", configuration(&house));
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, 40).await;
    house.write("agents", lines(4..=45));
    all_hold(&daemon, 42).await;
    seen(&house, 1..=3, "Offline/Offline").await;
    seen(&house, 4..=45, "Available/Available").await;
    assert_eq!(carried_out(&house, Call::Clear), 3);
    assert_eq!(daemon.stop().await.code(), Some(0));
}

/// The kubelet writes each version into a folder of its own, and then replaces a link to it.
#[tokio::test]
async fn a_users_file_of_a_config_map_is_followed() {
    let house = house().await;
    let folder = house.path("users");
    let publish = |version: &str, users: u32| {
        std::fs::create_dir_all(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("agents"), lines(1..=users)).unwrap();
        std::os::unix::fs::symlink(version, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    publish("..1", 20);
    std::os::unix::fs::symlink("..data/agents", folder.join("agents")).unwrap();
    house.write("config.toml", configuration(&house).replace("/agents\"", "/users/agents\""));
    let daemon = house.start().await;
    all_hold(&daemon, 20).await;
    publish("..2", 22);
    std::fs::remove_dir_all(folder.join("..1")).unwrap();
    all_hold(&daemon, 22).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_users_file_that_lost_too_many_waits_for_a_reload() {
    let house = house().await;
    house.write("agents", lines(1..=40));
    house.write("config.toml", configuration(&house));
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, 40).await;
    for text in [String::new(), lines(1..=31)] {
        house.write("agents", text);
        let report = daemon.report("the warning", |report| has(report, Code::UsersShrunk)).await;
        assert_eq!(holding(&report), 40);
    }
    assert_eq!(carried_out(&house, Call::Clear), 0);
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("31 users", |report| holding(report) == 31 && !has(report, Code::UsersShrunk)).await;
    seen(&house, 32..=40, "Offline/Offline").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn what_was_confirmed_does_not_count_as_lost_again() {
    let house = house().await;
    house.write("agents", lines(1..=40));
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    all_hold(&daemon, 40).await;
    house.write("agents", lines(1..=25));
    daemon.report("the warning", |report| has(report, Code::UsersShrunk)).await;
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    house.write("agents", lines(1..=26));
    let report = all_hold(&daemon, 26).await;
    assert!(!has(&report, Code::UsersShrunk));
    seen(&house, 27..=40, "Offline/Offline").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn bad_lines_and_refused_users_hold_up_nobody() {
    let house = house().await;
    let text = format!("{}../../etc/passwd\n{} two words\nada@contoso.com\n\0\n", lines(1..=20), id(21));
    // These are not in the directory.
    let unknown = "00000000-0000-4000-8000-00000000dead\n00000000-0000-4000-8000-00000000beef\n";
    house.write("agents", text + unknown);
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    let report = daemon
        .report("the warnings", |report| {
            has(report, Code::UsersInvalid) && has(report, Code::UsersRefused) && holding(report) == 21
        })
        .await;
    let users = report.accounts["agents"].users.as_ref().unwrap();
    assert_eq!((users.with_problems, users.problems.len(), report.accounts["agents"].state), (2, 2, State::Holding));
    let texts: Vec<_> = report.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("2 users (one is 00000000-0000-4000-8000-")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("line 21: ")), "{texts:?}");
    seen(&house, 1..=21, "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}
