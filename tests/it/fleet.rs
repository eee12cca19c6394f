//! An account with many users: the real daemon and the emulator.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use presenced::emulator::{Call, Options, User};
use presenced::policy::CallState;
use presenced::status::Client;
use presenced::status::report::{Report, State};
use presenced::status::users::{Query, UserChange};
use presenced::warning::Code;

use crate::stage::house::{CLIENT_ID, Daemon, House, guarded};
use crate::stage::reports::has;

const USERS: u32 = 50;

/// Only calls decide.
const RULES: &str = r#"
[[rules]]
name = "call"
when = { call = "in-call" }
set  = "Busy/InACall"
[[rules]]
name = "rest"
set  = "Available/Available"
"#;

fn id(number: u32) -> String {
    User::numbered(number).id
}

/// The lines of a users file for these users.
fn lines(numbers: impl IntoIterator<Item = u32>) -> String {
    let lines = numbers.into_iter().map(|number| format!("{} agent{number}", id(number)));
    lines.chain([String::new()]).collect::<Vec<_>>().join("\n")
}

async fn house() -> House {
    House::with(Options { users: (1..=USERS).map(User::numbered).collect(), ..Options::default() }).await
}

/// The configuration of an account whose users are in the file `agents`.
fn configuration(house: &House) -> String {
    let address = &house.address;
    format!(
        r#"
[accounts.agents]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
users     = {{ file = "{}" }}
auth      = {{ method = "client-secret", secret = {{ env = "BOT_SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
{RULES}"#,
        house.path("agents").display()
    )
}

/// How many users have each presence in the report.
fn presences(report: &Report) -> BTreeMap<String, usize> {
    report.accounts["agents"].users.as_ref().map(|users| users.presences.clone()).unwrap_or_default()
}

fn holding(report: &Report) -> usize {
    let users = report.accounts.get("agents").and_then(|account| account.users.as_ref());
    users.and_then(|users| users.states.get("holding")).copied().unwrap_or_default()
}

async fn all_hold(daemon: &Daemon, count: u32) -> Report {
    daemon.report("all hold", |report| holding(report) == count as usize).await
}

/// Waits until others see these users like this.
async fn seen(house: &House, numbers: impl IntoIterator<Item = u32>, pair: &str) {
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
fn carried_out(house: &House, call: Call) -> u64 {
    let counts = house.emulator.state().requests.remove(&call).unwrap_or_default();
    counts.answered.into_iter().filter(|(status, _)| *status < 400).map(|(_, count)| count).sum()
}

async fn client(house: &House) -> Client {
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
    assert_eq!(before, u64::from(USERS));
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    assert_eq!(carried_out(&house, Call::Set), before);
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
