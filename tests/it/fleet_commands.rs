//! The commands for the users of an account with many: the real program against the real daemon and the emulator.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use presenced::status::report::State;
use presenced::status::users::UserRow;
use presenced_emulator::{Options, User};

use crate::stage::house::{Daemon, House, guarded};

const USERS: u32 = 12;

/// A user who is not in the directory.
const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";

fn id(number: u32) -> String {
    User::numbered(number).id
}

/// A house whose directory has the users.
async fn house() -> House {
    House::with(Options { users: (1..=USERS).map(User::numbered).collect(), ..Options::default() }).await
}

/// Starts a daemon whose account `agents` has these users, by the lines of its file.
async fn start_with(house: &House, lines: impl IntoIterator<Item = String>) -> Daemon {
    house.write("agents", lines.into_iter().collect::<Vec<_>>().join("\n"));
    let account = house.account("agents");
    let user = account.lines().find(|line| line.starts_with("user ")).unwrap().to_owned();
    let users = format!("users = {{ file = \"{}\" }}", house.path("agents").display());
    let rules = r#"
[[rules]]
name = "call"
when = { call = "in-call" }
set  = "Busy/InACall"
[[rules]]
name = "door"
when = { signal = { door = "closed" } }
set  = "DoNotDisturb/Presenting"
[[rules]]
name = "rest"
set  = "Available/Available"
"#;
    house.write("config.toml", account.replace(&user, &users) + rules);
    house.start().await
}

/// Starts a daemon with the users `agent1` and so on, and those that nobody knows. Waits until the others hold something.
async fn start(house: &House, unknown: &[&str]) -> Daemon {
    let known = (1..=USERS).map(|number| format!("{} agent{number}", id(number)));
    let daemon = start_with(house, known.chain(unknown.iter().map(|line| (*line).to_owned()))).await;
    let count = USERS as usize;
    daemon
        .report("all hold", |report| {
            let users = report.accounts.get("agents").and_then(|account| account.users.as_ref());
            users.is_some_and(|users| {
                users.states.get("holding") == Some(&count) && users.with_problems == unknown.len()
            })
        })
        .await;
    daemon
}

/// Runs a command that succeeds without a word on standard error.
async fn ask(house: &House, arguments: &[&str]) -> String {
    let (code, out, err) = house.ask(arguments).await;
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// The rows that a command prints as JSON.
async fn rows(house: &House, arguments: &[&str]) -> Vec<UserRow> {
    let out = ask(house, &[&["users", "--json"], arguments].concat()).await;
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until others see this user like this.
async fn seen(house: &House, number: u32, pair: &str) {
    let is_seen = || house.emulator.visible(&id(number)).is_some_and(|seen| seen.to_string() == pair);
    guarded(&format!("user {number}: {pair}"), async {
        while !is_seen() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_user_of_many_is_set_and_unset() {
    let house = house().await;
    let daemon = start(&house, &[]).await;
    assert_eq!(ask(&house, &["signal", "call", "in-call", "--user", "agent3"]).await, "");
    seen(&house, 3, "Busy/InACall").await;
    assert_eq!(ask(&house, &["signal", "door", "closed", "--ttl", "2h", "--user", &id(4)]).await, "");
    seen(&house, 4, "DoNotDisturb/Presenting").await;
    let said = ask(&house, &["set", "away", "--for", "30m", "--user", "agent5"]).await;
    assert_eq!(said, "claiming Away/Away for agent5 for 30 min, or until `presenced unset --user agent5`\n");
    seen(&house, 5, "Away/Away").await;
    for number in [1, 2, 6, 12] {
        seen(&house, number, "Available/Available").await;
    }

    let one = ask(&house, &["users", "agent3"]).await;
    assert!(one.starts_with("agent3: Busy/InACall\n  because     call is in-call (rule `call`)\n"), "{one}");
    assert!(one.contains("  set         call is in-call\n"), "{one}");
    assert!(one.contains(&format!("  object id   {}\n", id(3))), "{one}");
    let busy = rows(&house, &["--presence", "busy"]).await;
    assert_eq!(busy.iter().map(|row| row.name.as_deref()).collect::<Vec<_>>(), [Some("agent3")]);
    assert_eq!(rows(&house, &[&id(4)]).await[0].signals["signal.door"], "closed");

    ask(&house, &["signal", "call", "--unset", "--user", "agent3"]).await;
    ask(&house, &["signal", "door", "--unset", "--user", "agent4"]).await;
    assert_eq!(ask(&house, &["unset", "--user", "agent5"]).await, "the rules decide again for agent5\n");
    for number in [3, 4, 5] {
        seen(&house, number, "Available/Available").await;
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn users_are_listed_with_problems_first() {
    let house = house().await;
    let daemon = start(&house, &[&format!("{NOBODY} nobody")]).await;
    let (code, table, _) = house.ask(&["users"]).await;
    assert_eq!(code, 1, "{table}");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[1].starts_with("! nobody   Available  refused  "), "{table}");
    assert!(lines[2].starts_with("    ") && lines.contains(&"13 users, 1 with a problem"), "{table}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{table}");
    let (code, one, _) = house.ask(&["users", NOBODY]).await;
    assert_eq!(code, 1, "{one}");
    assert!(one.starts_with("nobody: refused by Microsoft Graph; wants Available/Available\n"), "{one}");
    assert_eq!(house.ask(&["users", "--state", "refused", "--account", "agents"]).await.0, 1);
    assert_eq!(rows(&house, &["--state", "holding"]).await.len(), USERS as usize);
    assert_eq!(ask(&house, &["users", "--presence", "nothing"]).await, "no users\n");

    let (code, status, _) = house.ask(&["status", "--account", "agents"]).await;
    assert_eq!(code, 1, "{status}");
    assert!(status.starts_with("agents: 13 users, 1 with a problem\n"), "{status}");
    assert!(status.contains("  states      12 holding, 1 refused\n"), "{status}");
    // All of them were sent just now. How many there are depends on how many reads it took.
    let sent = status.lines().find_map(|line| line.strip_prefix("  requests    ")?.split_once(" sent"));
    let (sent, _) = sent.unwrap_or_else(|| panic!("{status}"));
    assert!(sent.parse::<u32>().is_ok_and(|sent| sent >= USERS + 2), "{status}");
    let load = format!("  load        keepalives need 0.1 % of the rate; {sent} of 1500 used in 30 s\n");
    assert!(status.contains(&load), "{status}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let house = house().await;
    let daemon = start(&house, &[]).await;
    for (arguments, code, words) in [
        (&["users", "nobody"][..], 1, "error: no account has the user `nobody`\nhint: "),
        (&["set", "away", "--user", "nobody"], 1, "error: no account has the user `nobody`\nhint: "),
        (&["unset", "--user", "nobody"], 1, "error: no account has the user `nobody`\nhint: "),
        (&["signal", "call", "idle", "--user", "nobody"], 1, "error: no account has the user `nobody`\nhint: "),
        (&["signal", "call", "busy", "--user", "agent1"], 2, "error: `busy` is not a call state\nhint: use idle, "),
        (&["users", "--account", "others"], 1, "error: no account `others` has `users`\nhint: "),
        (&["status", "--account", "others"], 2, "error: there is no account `others`\nhint: the configuration has "),
        (&["users", "--state", "refusd"], 2, "error: invalid value 'refusd' for '--state <STATE>'"),
        (&["users", "agent1", "--state", "refused"], 2, "error: the argument '[USER]' cannot be used with"),
    ] {
        let (ended, out, err) = house.ask(arguments).await;
        assert_eq!((ended, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.starts_with(words), "{arguments:?}: {err}");
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert_eq!(house.ask(&["users"]).await.0, 3);
}

#[tokio::test]
async fn without_an_account_with_users_there_is_nothing_to_list() {
    let house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    daemon.report("an account", |report| report.accounts["work"].state != State::Starting).await;
    let (code, out, err) = house.ask(&["users"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: no account has `users`\nhint: add `users` to an account"), "{err}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn more_users_than_one_answer_has_are_all_listed() {
    let all = u32::try_from(presenced::status::users::MAX_LIMIT).unwrap() + 5;
    let house = House::with(Options { users: (1..=all).map(User::numbered).collect(), ..Options::default() }).await;
    let daemon = start_with(&house, (1..=all).map(id)).await;
    daemon
        .report("all are known", |report| {
            let users = report.accounts.get("agents").and_then(|account| account.users.as_ref());
            users.is_some_and(|users| users.count == all as usize)
        })
        .await;
    let listed: Vec<_> = rows(&house, &[]).await.into_iter().map(|row| row.user).collect();
    assert_eq!(listed.len(), all as usize);
    assert!(listed.is_sorted_by(|one, next| one < next), "each of them once, in the order of their ids");
    let table = ask(&house, &["users"]).await;
    assert!(table.ends_with(&format!("\n\n{all} users\n")), "{}", table.lines().last().unwrap());
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn everybody_is_cleared_once_the_daemon_has_stopped() {
    let house = house().await;
    let daemon = start(&house, &[NOBODY]).await;
    let (code, out, err) = house.ask(&["users", "--clear"]).await;
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("already holds this user's session") && err.contains("hint: stop one of the two"), "{err}");
    assert_eq!(daemon.stop().await.code(), Some(0));
    let seen = |number| house.emulator.visible(&id(number)).unwrap().to_string();
    assert_eq!(seen(1), "Available/Available", "the daemon's end clears nobody");

    let cleared = ask(&house, &["users", "--clear", "--account", "agents"]).await;
    assert_eq!(cleared, "agents: 13 users cleared with 13 requests, 0 of which failed\n");
    for number in 1..=USERS {
        assert_eq!(seen(number), "Offline/Offline");
    }
    let (code, _, err) = house.ask(&["users", "--clear", "--account", "bots"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("no account `bots` has `users`"), "{err}");
}
