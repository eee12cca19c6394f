//! The history of the users of an account with many: what the daemon writes, and what `presenced history --user` shows.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use presenced::history::{Event, Held, Whose, read};
use presenced::policy::CallState;
use presenced::status::report::State;
use presenced::status::users::{UserChange, UserRow};
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, Then};
use serde_json::Value;

use crate::fleet::{USERS, all_hold, client, configuration, house, id, lines, seen};
use crate::stage::house::{House, guarded};
use crate::stage::reports::has;

/// Somebody who is not in the directory.
const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";

async fn furnished() -> House {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house));
    house
}

/// The history file of a house's daemon.
fn file(house: &House) -> PathBuf {
    presenced::history::path(&house.path(".local/state/presenced"), &house.path("presenced.sock")).unwrap()
}

fn events(house: &House, whose: Whose<'_>) -> Vec<Event> {
    let records = read(&file(house), whose).map(|read| read.records).unwrap_or_default();
    records.into_iter().map(|record| record.event).collect()
}

/// The presences that Graph held for a user.
fn confirmed(house: &House, user: &str) -> Vec<(String, State, bool)> {
    held(house, user).into_iter().filter(|(_, _, confirmed)| *confirmed).collect()
}

/// The presences that the history has for a user, each with the state and whether Graph held it.
fn held(house: &House, user: &str) -> Vec<(String, State, bool)> {
    let held = |Held { presence, state, confirmed, .. }| (presence.unwrap_or_default(), state, confirmed);
    let events = events(house, Whose::User(user)).into_iter();
    events.filter_map(|event| if let Event::Held(it) = event { Some(held(it)) } else { None }).collect()
}

/// How many users have a record since the last start.
fn users_with_a_record(house: &House) -> usize {
    let mut users = std::collections::BTreeSet::new();
    for event in events(house, Whose::All) {
        match event {
            Event::Held(Held { user: Some(user), .. }) => drop(users.insert(user)),
            Event::Started { .. } => users.clear(),
            Event::Held(_) | Event::Gone { .. } | Event::Stopped | Event::Lost | Event::Asleep | Event::Awake => {}
        }
    }
    users.len()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    guarded(what, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn set_call(house: &House, number: u32, state: CallState) {
    client(house).await.change_user(&id(number), &UserChange::SetCall(state, None)).await.unwrap();
}

async fn reload(house: &House, configuration: &str) {
    house.write("config.toml", configuration);
    let (code, _, error) = house.ask(&["reload"]).await;
    assert_eq!(code, 0, "{error}");
}

/// The spans of a user in an account, from the JSON.
async fn spans(house: &House, user: &str) -> Vec<Value> {
    let (code, out, err) = house.ask(&["history", "--json", "--user", user]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let history: Value = serde_json::from_str(&out).unwrap();
    assert!(history["accounts"]["agents"]["user"].as_str().is_some_and(|id| id.len() == 36), "{out}");
    history["accounts"]["agents"]["spans"].as_array().unwrap().clone()
}

fn available() -> (String, State, bool) {
    ("Available/Available".to_owned(), State::Holding, true)
}

fn in_call() -> (String, State, bool) {
    ("Busy/InACall".to_owned(), State::Holding, true)
}

#[tokio::test]
async fn each_user_has_a_history_of_their_own() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    until("everybody has a record", || users_with_a_record(&house) == USERS as usize).await;
    set_call(&house, 7, CallState::InCall).await;
    until("the call", || confirmed(&house, &id(7)) == [available(), in_call()]).await;
    // A start has no record before Graph holds something.
    assert_eq!(held(&house, &id(8)), [available()]);
    let text = std::fs::read_to_string(file(&house)).unwrap();
    let longest = text.lines().map(str::len).max().unwrap();
    assert!(longest < 250, "{longest}");

    let shown = |spans: Vec<Value>| {
        let one =
            |span: &Value| format!("{} {}", span["presence"].as_str().unwrap(), span["because"].as_str().unwrap());
        spans.iter().filter(|span| span["kind"] == "held").map(one).collect::<Vec<_>>()
    };
    let expected = ["Available/Available the rule has no conditions", "Busy/InACall call is in-call"];
    for user in ["agent7", &id(7), &id(7).to_uppercase()] {
        assert_eq!(shown(spans(&house, user).await), expected, "{user}");
    }
    let (code, out, err) = house.ask(&["history", "--user", "agent7"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("agent7, agents, ") && out.contains("unconfirmed for "), "{out}");

    // Nobody wants to see all of them.
    for arguments in [&["history"][..], &["history", "--account", "agents"]] {
        let (code, out, err) = house.ask(arguments).await;
        let only = "agents has many users: `presenced history --user USER` shows one of them.\n";
        assert_eq!((code, out.as_str(), err.as_str()), (0, only, ""));
    }
    let (_, out, _) = house.ask(&["history", "--json"]).await;
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&all["accounts"], &all["accounts_with_users"]),
        (&serde_json::json!({}), &serde_json::json!(["agents"]))
    );
    let (code, _, err) = house.ask(&["history", "--user", "nobody"]).await;
    assert_eq!((code, err.lines().next()), (1, Some("error: no account has the user `nobody`")));
    let (code, _, err) = house.ask(&["history", "--user", "agent7", "--account", "others"]).await;
    assert_eq!((code, err.as_str()), (1, "error: the history has no account `others`\nhint: it has `agents`\n"));

    assert_eq!(daemon.stop().await.code(), Some(0));
    assert_eq!(events(&house, Whose::Accounts).last(), Some(&Event::Stopped));
    // Without a daemon, a name is looked up in the users file.
    for user in ["agent7", &id(7)] {
        assert_eq!(shown(spans(&house, user).await), expected, "{user}");
    }
    let (code, _, err) = house.ask(&["history", "--user", "nobody"]).await;
    assert_eq!((code, err.lines().last()), (1, Some("hint: give the object id")), "{err}");
    let (code, _, err) = house.ask(&["history", "--user", NOBODY]).await;
    assert_eq!(code, 1);
    assert!(err.starts_with(&format!("error: the history has nothing about the user `{NOBODY}`")), "{err}");
}

#[tokio::test]
async fn a_change_that_takes_long_is_unconfirmed_and_a_refused_user_stays_so() {
    let house = house().await;
    house.write("agents", lines(1..=USERS) + NOBODY + " nobody\n");
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let refused = ("Available/Available".to_owned(), State::Refused, false);
    until("the refusal", || held(&house, NOBODY) == [refused.clone()]).await;

    house.inject(Fault::new(Call::Set, Then::Respond { status: 503, headers: [].into(), body: None }));
    set_call(&house, 7, CallState::InCall).await;
    until("an unconfirmed record", || held(&house, &id(7)).iter().any(|(_, _, confirmed)| !confirmed)).await;
    house.emulator.clear_faults();
    seen(&house, [7], "Busy/InACall").await;
    until("a confirmed record", || held(&house, &id(7)).last() == Some(&in_call())).await;
    let records = held(&house, &id(7));
    assert_eq!((records[0].clone(), records[1].0.as_str()), (available(), "Busy/InACall"));
    let unconfirmed = spans(&house, "agent7").await.last().unwrap()["unconfirmed"].clone();
    assert_eq!(unconfirmed.as_array().map(Vec::len), Some(1), "{unconfirmed}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn who_leaves_and_what_a_restart_finds_is_recorded() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    // Somebody has to confirm the loss of 20 users, and then they leave at once.
    house.write("agents", lines(21..=USERS));
    daemon.report("the warning", |report| has(report, Code::UsersShrunk)).await;
    reload(&house, &configuration(&house)).await;
    let gone = Event::Gone { account: "agents".to_owned(), user: Some(id(1)) };
    until("the user is gone", || events(&house, Whose::User(&id(1))).contains(&gone)).await;
    assert_eq!(held(&house, &id(1)), [available()]);
    let mut daemon = daemon;
    daemon.signal(rustix::process::Signal::KILL);
    daemon.gone().await;
    let daemon = house.start().await;
    until("everybody else has a record again", || users_with_a_record(&house) == USERS as usize - 20).await;
    // They had what they should have.
    assert_eq!(held(&house, &id(21)), [available(), available()]);
    assert!(events(&house, Whose::Accounts).contains(&Event::Lost));

    // Under another name, it is another account.
    let renamed = configuration(&house).replace("accounts.agents", "accounts.bots");
    reload(&house, &renamed).await;
    let gone = Event::Gone { account: "agents".to_owned(), user: None };
    until("the account is gone", || events(&house, Whose::User(&id(21))).contains(&gone)).await;
    let is_of_bots = |event: &Event| matches!(event, Event::Held(held) if held.account == "bots");
    until("the other name", || events(&house, Whose::User(&id(21))).last().is_some_and(is_of_bots)).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn what_could_not_be_written_is_recorded_again() {
    let house = furnished().await;
    let state = house.path(".local/state/presenced");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("history"), "no folder").unwrap();
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let report = daemon.report("the warning", |report| has(report, Code::HistoryUnwritable)).await;
    assert_eq!(report.warnings.iter().filter(|warning| warning.code == Code::HistoryUnwritable).count(), 1);
    set_call(&house, 7, CallState::InCall).await;
    seen(&house, [7], "Busy/InACall").await;
    std::fs::remove_file(state.join("history")).unwrap();
    set_call(&house, 8, CallState::InCall).await;
    daemon.report("no warning", |report| !has(report, Code::HistoryUnwritable)).await;
    // The next change shows that it can be written, and the one after that that everything is there.
    set_call(&house, 9, CallState::InCall).await;
    until("everybody has a record", || users_with_a_record(&house) == USERS as usize).await;
    until("what happened meanwhile", || held(&house, &id(7)).last() == Some(&in_call())).await;

    let off = configuration(&house) + "[history]\nenabled = false\n";
    reload(&house, &off).await;
    assert_eq!(events(&house, Whose::All).last(), Some(&Event::Stopped));
    set_call(&house, 7, CallState::Idle).await;
    seen(&house, [7], "Available/Available").await;
    reload(&house, &configuration(&house)).await;
    until("everybody has a record again", || users_with_a_record(&house) == USERS as usize).await;
    assert_eq!(held(&house, &id(7)).last(), Some(&available()));
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_reload_puts_other_limits_in_force() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    until("everybody has a record", || users_with_a_record(&house) == USERS as usize).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    // So much that the loop does not wait for it.
    let now = Timestamp::now();
    let mut text = String::new();
    for (minutes, count) in [(120, 300), (2, 25_000)] {
        let at = now - jiff::SignedDuration::from_mins(minutes);
        for number in 0..count {
            let user = id(number % USERS + 1);
            writeln!(
                text,
                r#"{{"at":"{at}","event":"held","account":"agents","user":"{user}","presence":"Away/Away","rule":"r","because":"then {minutes}","state":"holding","confirmed":true}}"#
            )
            .unwrap();
        }
    }
    std::fs::write(file(&house), text).unwrap();
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let count = |text: &str| std::fs::read_to_string(file(&house)).unwrap().matches(text).count();
    assert_eq!((count("then 120"), count("then 2")), (300, 25_000));
    set_call(&house, 8, CallState::InCall).await;
    until("the call", || confirmed(&house, &id(8)).last() == Some(&in_call())).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert_eq!(events(&house, Whose::Accounts).last(), Some(&Event::Stopped));
    let daemon = house.start().await;
    reload(&house, &(configuration(&house) + "[history]\nkeep = \"1h\"\n")).await;
    // One is left for each of them.
    until("old records are gone", || (count("then 120"), count("then 2")) == (USERS as usize, 25_000)).await;
    reload(&house, &(configuration(&house) + "[history]\nmax_size = \"100kB\"\n")).await;
    until("the file is small", || std::fs::metadata(file(&house)).unwrap().len() < 100_000).await;
    set_call(&house, 7, CallState::InCall).await;
    until("another call", || confirmed(&house, &id(7)).last() == Some(&in_call())).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn status_shows_one_user() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let (code, out, err) = house.ask(&["status", "--user", "agent7"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("agent7: Available/Available\n"), "{out}");
    let (code, out, _) = house.ask(&["status", "--json", "--user", &id(7)]).await;
    let row: UserRow = serde_json::from_str(&out).unwrap();
    assert_eq!((code, row.user, row.name.as_deref()), (0, id(7), Some("agent7")));
    let (code, _, err) = house.ask(&["status", "--user", "nobody"]).await;
    assert_eq!((code, err.lines().next()), (1, Some("error: no account has the user `nobody`")));
    assert_eq!(house.ask(&["status", "--user", "agent7", "--watch"]).await.0, 2);
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert_eq!(house.ask(&["status", "--user", "agent7"]).await.0, 3);
}
