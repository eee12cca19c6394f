//! An account with many users, and who they are, how they sign in or where their state is kept changes: users that stay are not
//! touched, and those who leave are cleared.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use presenced::policy::CallState;
use presenced::status::report::Report;
use presenced::status::users::UserChange;
use presenced::warning::Code;
use presenced_emulator::{Call, Fault, Matches, Then};
use rustix::process::Signal;

use crate::fleet::{USERS, all_hold, carried_out, client, configuration, holding, house, id, lines, presences, seen};
use crate::stage::house::{Daemon, House, guarded};
use crate::stage::reports::has;

/// A house with an account of many users, whose secret is in a file.
async fn furnished() -> House {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    write_secret(&house, "secret");
    house.write("config.toml", with_secret_file(&house));
    house
}

fn write_secret(house: &House, name: &str) {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(house.path(name)).unwrap();
    file.write_all(b"emulator-secret").unwrap();
}

fn with_secret_file(house: &House) -> String {
    let secret = format!("secret = {{ file = \"{}\" }}", house.path("secret").display());
    configuration(house).replace("secret = { env = \"BOT_SECRET\" }", &secret)
}

async fn reload(house: &House, configuration: &str) {
    house.write("config.toml", configuration);
    let (code, _, error) = house.ask(&["reload"]).await;
    assert_eq!(code, 0, "{error}");
}

fn in_call() -> UserChange {
    UserChange::SetCall(CallState::InCall, None)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    guarded(what, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn set_call(house: &House, numbers: impl IntoIterator<Item = u32>) {
    let mut client = client(house).await;
    for number in numbers {
        client.change_user(&id(number), &in_call()).await.unwrap();
    }
}

/// Waits for more requests than there are users.
async fn everybody_had_a_keepalive(house: &House) {
    let before = carried_out(house, Call::Set);
    until("keepalives", || carried_out(house, Call::Set) > before + u64::from(USERS)).await;
}

fn count(report: &Report, pair: &str) -> usize {
    presences(report).get(pair).copied().unwrap_or_default()
}

async fn restarted(house: &House, mut daemon: Daemon) -> Daemon {
    daemon.signal(Signal::KILL);
    daemon.gone().await;
    house.start().await
}

#[tokio::test]
async fn another_secret_or_rate_touches_nobody() {
    let house = furnished().await;
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, USERS).await;
    set_call(&house, [7]).await;
    seen(&house, [7], "Busy/InACall").await;
    write_secret(&house, "secret2");
    let other_secret = with_secret_file(&house).replace("/secret\"", "/secret2\"");
    reload(&house, &other_secret).await;
    reload(&house, &other_secret.replace("auth  ", "rate = { requests = 600, per = \"30s\" }\nauth  ")).await;
    set_call(&house, [8]).await;
    everybody_had_a_keepalive(&house).await;
    seen(&house, [7, 8], "Busy/InACall").await;
    let report = all_hold(&daemon, USERS).await;
    assert_eq!((count(&report, "Busy/InACall"), carried_out(&house, Call::Clear)), (2, 0));
    seen(&house, (1..=USERS).filter(|number| !(7..=8).contains(number)), "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn another_name_for_the_account_touches_nobody() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    set_call(&house, [7]).await;
    seen(&house, [7], "Busy/InACall").await;
    // A tenant in upper case is the same one.
    let renamed = with_secret_file(&house).replace("accounts.agents", "accounts.bots").replace("contoso.", "CONTOSO.");
    reload(&house, &renamed).await;
    daemon
        .report("all hold", |report| {
            let users = report.accounts.get("bots").and_then(|account| account.users.as_ref());
            users.and_then(|users| users.states.get("holding")) == Some(&(USERS as usize))
        })
        .await;
    assert_eq!(carried_out(&house, Call::Clear), 0);
    seen(&house, [7], "Busy/InACall").await;
    // What is set survives under the new name. This is answered when it is on the disk.
    set_call(&house, [8]).await;
    let daemon = restarted(&house, daemon).await;
    daemon
        .report("both calls", |report| {
            let users = report.accounts.get("bots").and_then(|account| account.users.as_ref());
            users.and_then(|users| users.presences.get("Busy/InACall")) == Some(&2)
        })
        .await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_account_that_comes_back_while_it_is_cleared_holds_everybody() {
    let house = furnished().await;
    let usual = with_secret_file(&house);
    let daemon = house.start_fast(20).await;
    all_hold(&daemon, USERS).await;
    // So that clearing takes long enough.
    let slow = |account: &str| account.replace("auth  ", "rate = { requests = 30, per = \"30s\" }\nauth  ");
    reload(&house, &slow(&usual)).await;
    // It has the same application, so its rate is that of the clearing.
    reload(&house, &slow(&house.account("work"))).await;
    until("somebody is cleared", || carried_out(&house, Call::Clear) > 0).await;
    reload(&house, &usual).await;
    all_hold(&daemon, USERS).await;
    everybody_had_a_keepalive(&house).await;
    let clears = carried_out(&house, Call::Clear);
    assert!(clears < u64::from(USERS), "{clears}");
    seen(&house, 1..=USERS, "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_account_that_is_gone_is_cleared_and_the_one_beside_it_is_not() {
    let house = furnished().await;
    // This account is for the first of the users, with the same application.
    let single = house.account("work");
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let rules = with_secret_file(&house);
    let rules = &rules[rules.find("[[rules]]").unwrap()..];
    reload(&house, &format!("{single}{rules}")).await;
    seen(&house, 2..=USERS, "Offline/Offline").await;
    assert_eq!(carried_out(&house, Call::Clear), u64::from(USERS) - 1);
    until("the single user", || house.visible() == "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_invalid_configuration_changes_nothing() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    for bad in ["", "users = 5", &with_secret_file(&house).replace("{ file = ", "{ fil = ")] {
        house.write("config.toml", bad);
        assert_ne!(house.ask(&["reload"]).await.0, 0);
        let report = daemon.report("the warning", |report| has(report, Code::ConfigurationInvalid)).await;
        assert_eq!((holding(&report), carried_out(&house, Call::Clear)), (USERS as usize, 0));
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_users_file_that_is_something_else_changes_nothing_until_it_is_back() {
    let house = furnished().await;
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, USERS).await;
    let path = house.path("agents");
    for number in 0..3 {
        std::fs::remove_file(&path).unwrap();
        match number {
            0 => std::fs::create_dir(&path).unwrap(),
            1 => rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap(),
            _ => {}
        }
        let report = daemon.report("the warning", |report| has(report, Code::UsersUnreadable)).await;
        assert_eq!(holding(&report), USERS as usize, "{number}");
        match number {
            0 => std::fs::remove_dir(&path).unwrap(),
            1 => std::fs::remove_file(&path).unwrap(),
            _ => {}
        }
        house.write("agents", lines(1..=USERS));
        daemon.report("no warning", |report| !has(report, Code::UsersUnreadable)).await;
    }
    house.write("agents", [lines(1..=USERS).as_bytes(), &[0; 10_000]].concat());
    daemon.report("a bad line", |report| has(report, Code::UsersInvalid)).await;
    all_hold(&daemon, USERS).await;
    assert_eq!(carried_out(&house, Call::Clear), 0);
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn names_that_are_swapped_or_come_back_name_the_right_user() {
    let house = furnished().await;
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, USERS).await;
    let text = lines(1..=USERS);
    let swapped = text.replace("agent1\n", "x\n").replace("agent2\n", "agent1\n").replace("x\n", "agent2\n");
    // Somebody else has the name for a moment, while its user is missing.
    let rest = lines(3..=USERS).replace("agent3\n", "agent1\n");
    let taken = format!("{} agent2\n{rest}", id(2));
    for (text, agent1, agent2) in [(&swapped, 2, 1), (&text, 1, 2), (&taken, 3, 2), (&text, 1, 2)] {
        house.write("agents", text);
        let mut connection = client(&house).await;
        guarded("the names", async {
            loop {
                let is = |row: Result<presenced::status::users::UserRow, _>, number| {
                    row.is_ok_and(|row| row.user == id(number))
                };
                if is(connection.user("agent1").await, agent1) && is(connection.user("agent2").await, agent2) {
                    break;
                }
            }
        })
        .await;
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_user_who_comes_back_in_time_keeps_what_is_set_and_later_begins_anew() {
    let house = furnished().await;
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, USERS).await;
    set_call(&house, [1]).await;
    seen(&house, [1], "Busy/InACall").await;
    house.write("agents", lines(2..=USERS));
    seen(&house, [1], "Offline/Offline").await;
    daemon.report("one less", |report| holding(report) == USERS as usize - 1).await;
    house.write("agents", lines(1..=USERS));
    seen(&house, [1], "Available/Available").await;
    // Nor does it come back with a restart.
    let mut daemon = daemon;
    daemon.signal(Signal::KILL);
    daemon.gone().await;
    let daemon = house.start_fast(60).await;
    let report = all_hold(&daemon, USERS).await;
    assert_eq!(count(&report, "Busy/InACall"), 0);
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_user_who_leaves_while_its_request_is_on_its_way_is_cleared() {
    let house = furnished().await;
    let daemon = house.start_fast(60).await;
    all_hold(&daemon, USERS).await;
    let late = Fault { times: Some(1), delay: Some("1s".parse().unwrap()), ..Fault::new(Call::Set, Then::Answer) };
    house.inject(late);
    set_call(&house, [1]).await;
    house.write("agents", lines(2..=USERS));
    daemon.report("one less", |report| holding(report) == USERS as usize - 1).await;
    seen(&house, [1], "Offline/Offline").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_state_that_cannot_be_written_is_written_when_it_can() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    set_call(&house, [1]).await;
    let journal = journal_of(&house);
    let before = std::fs::read(&journal).unwrap();
    std::fs::remove_file(&journal).unwrap();
    std::fs::create_dir(&journal).unwrap();
    set_call(&house, [2]).await;
    client(&house).await.change_user(&id(1), &UserChange::ClearCall).await.unwrap();
    seen(&house, [2], "Busy/InACall").await;
    seen(&house, [1], "Available/Available").await;
    std::fs::remove_dir(&journal).unwrap();
    // As on a disk that was full: half a line is there.
    std::fs::write(&journal, [before.as_slice(), b"{\"user\":\"000"].concat()).unwrap();
    set_call(&house, [3]).await;
    let daemon = restarted(&house, daemon).await;
    let report = all_hold(&daemon, USERS).await;
    assert_eq!(count(&report, "Busy/InACall"), 2, "{}", String::from_utf8_lossy(&before));
    seen(&house, 2..=3, "Busy/InACall").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

fn journal_of(house: &House) -> std::path::PathBuf {
    let find = |folder: &std::path::Path| -> Vec<std::path::PathBuf> {
        let mut open = vec![folder.to_owned()];
        let mut found = Vec::new();
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(next).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                } else if entry.path().to_string_lossy().ends_with(".users.jsonl") {
                    found.push(entry.path());
                }
            }
        }
        found
    };
    find(&house.path("")).remove(0)
}

#[tokio::test]
async fn a_damaged_journal_loses_only_its_damage() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    set_call(&house, 1..=3).await;
    daemon.stop().await;
    let journal = journal_of(&house);
    let text = std::fs::read(&journal).unwrap();
    std::fs::write(
        &journal,
        [b"\xff\xfe\0\n{}\n[1]\n{\"slot\": \"never\"}\n", text.as_slice(), b"{\"user\": 5}\n\0"].concat(),
    )
    .unwrap();
    let daemon = house.start().await;
    let report = all_hold(&daemon, USERS).await;
    assert_eq!(count(&report, "Busy/InACall"), 3);
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_empty_file_at_the_start_forgets_nothing() {
    let house = furnished().await;
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    set_call(&house, 1..=3).await;
    daemon.stop().await;
    house.write("agents", "");
    let daemon = house.start().await;
    daemon.report("nobody", |report| report.accounts["agents"].because == "0 users").await;
    client(&house).await.users(&presenced::status::users::Query { limit: 1, ..Default::default() }).await.unwrap();
    house.write("agents", lines(1..=USERS));
    let report = all_hold(&daemon, USERS).await;
    assert_eq!(count(&report, "Busy/InACall"), 3);
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_stop_in_the_middle_of_the_start_or_of_clearing_ends_the_program() {
    let house = furnished().await;
    house.inject(Fault::new(Matches::Graph, Then::Hang));
    let daemon = house.start().await;
    daemon.report("it is at work", |report| report.accounts["agents"].because == "50 users").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    house.emulator.clear_faults();
    let daemon = house.start().await;
    all_hold(&daemon, USERS).await;
    let slow = with_secret_file(&house).replace("auth  ", "rate = { requests = 60, per = \"30s\" }\nauth  ");
    reload(&house, &slow).await;
    reload(&house, &house.account("work")).await;
    until("somebody is cleared", || carried_out(&house, Call::Clear) > 0).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_signal_that_is_forgotten_makes_nobody_a_user() {
    let house = furnished().await;
    let listed = format!("{{ file = \"{}\" }}", house.path("agents").display());
    house.write("config.toml", with_secret_file(&house).replace(&listed, "\"signalled\""));
    let daemon = house.start().await;
    let mut connection = client(&house).await;
    connection.change_user(&id(5), &UserChange::ClearCall).await.unwrap_err();
    connection.user(&id(5)).await.unwrap_err();
    assert_eq!(carried_out(&house, Call::Token), 0);
    assert_eq!(daemon.stop().await.code(), Some(0));
}
