//! Several accounts of one application: they share its token and its pace.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use presenced::status::report::State;
use presenced_emulator::Call;

use crate::fleet::{USERS, carried_out, configuration, house, id, lines, seen};
use crate::stage::house::{CLIENT_ID, House, guarded};

/// An account for each of these users, with this rate.
fn accounts(house: &House, count: u32, rate: &str) -> String {
    let mut text = String::new();
    let address = &house.address;
    for number in 1..=count {
        let user = id(number);
        write!(
            text,
            r#"
[accounts.user{number}]
tenant    = "contoso.onmicrosoft.com"
client_id = "{CLIENT_ID}"
user      = "{user}"
rate      = {rate}
auth      = {{ method = "client-secret", secret = {{ env = "BOT_SECRET" }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}
"#
        )
        .unwrap();
    }
    text
}

const ALWAYS: &str = "[[rules]]\nname = \"always\"\nset = \"Available/Available\"\n";

/// How long it took from `start` until the last of these users was set.
fn until_all_set(house: &House, start: Timestamp) -> SignedDuration {
    let records = house.emulator.requests();
    let sets = records.iter().filter(|record| record.call == Call::Set && record.status == Some(200));
    sets.map(|record| record.at).max().unwrap().duration_since(start)
}

#[tokio::test]
async fn accounts_of_one_application_share_its_token_and_its_pace() {
    let house = house().await;
    // Nine in ten seconds, so the thirtieth goes after 32 seconds at the earliest. On this clock, that is 1.6 seconds.
    house.write("config.toml", accounts(&house, 30, "{ requests = 10, per = \"10s\" }") + ALWAYS);
    let start = Timestamp::now();
    let daemon = house.start_fast(20).await;
    seen(&house, 1..=30, "Available/Available").await;
    assert_eq!(carried_out(&house, Call::Token), 1);
    let took = until_all_set(&house, start);
    assert!(took >= SignedDuration::from_millis(1600), "{took:?}");
    let report = daemon
        .report("all hold", |report| report.accounts.values().all(|account| account.state == State::Holding))
        .await;
    assert_eq!(report.accounts.len(), 30);
    // A reload asks for a new token, once for all.
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    guarded("a new token", async {
        while carried_out(&house, Call::Token) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert_eq!(carried_out(&house, Call::Token), 2);
    assert_eq!(carried_out(&house, Call::Clear), 30, "the end does not wait for the pace");
}

#[tokio::test]
async fn two_accounts_with_many_users_share_one_pace() {
    let house = house().await;
    let half = USERS / 2;
    house.write("agents", lines(1..=half));
    house.write("bots", lines(half + 1..=USERS));
    let configuration = configuration(&house);
    let (account, rules) = configuration.split_once("[[rules]]").unwrap();
    let account = account.replace("users     =", "rate = { requests = 30, per = \"10s\" }\nusers     =");
    let second = account.replace("accounts.agents", "accounts.bots").replace("/agents\"", "/bots\"");
    house.write("config.toml", format!("{account}{second}[[rules]]{rules}"));
    let start = Timestamp::now();
    let daemon = house.start_fast(20).await;
    seen(&house, 1..=USERS, "Available/Available").await;
    // Two reads and fifty writes, at 27 in 10 s, of which two may go at once: 18.5 s for all of them together.
    let took = until_all_set(&house, start);
    assert!(took >= SignedDuration::from_millis(920), "{took:?}");
    assert_eq!(carried_out(&house, Call::Token), 1);
    assert_eq!(daemon.stop().await.code(), Some(0));
}
