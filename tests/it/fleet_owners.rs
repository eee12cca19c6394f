//! What users and accounts have alone: calendars and calls in files and folders of their own, rules for some accounts, and the
//! agenda of one user.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;

use presenced::status::report::Report;
use presenced::warning::Code;

use crate::fleet::{USERS, client, configuration, house, id, lines, presences, seen};
use crate::stage::house::{House, ONLY_CALLS_DECIDE};
use crate::stage::reports::has;

const CALENDARS_DECIDE: &str = r#"
[[rules]]
name = "meeting"
when = { calendar = "busy" }
set  = "Busy/InAConferenceCall"
[[rules]]
name = "free"
when = { calendar = "free" }
set  = "Available/Available"
[[rules]]
name = "unknown"
set  = "Away/Away"
"#;

/// A calendar with a meeting that lasts for years.
fn meeting(uid: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:20200101T000000Z\r\nDTEND:20991231T000000Z\r\n\
         END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

fn others(taken: &[u32]) -> impl Iterator<Item = u32> {
    (1..=USERS).filter(move |number| !taken.contains(number))
}

/// A house whose users have calendars in `calendars`, with these sources.
async fn with_calendars(sources: &str) -> House {
    let house = house().await;
    fs::create_dir(house.path("calendars")).unwrap();
    house.write("agents", lines(1..=USERS));
    let account = configuration(&house);
    let account = account.split_once("[[rules]]").unwrap().0;
    let sources = sources.replace("CALENDARS", &house.path("calendars").display().to_string());
    house.write("config.toml", format!("{account}[signals.calendar]\nsources = [{sources}]\n{CALENDARS_DECIDE}"));
    house
}

#[tokio::test]
async fn each_user_has_a_calendar() {
    let house = with_calendars(r#"{ path = "CALENDARS/{user}" }"#).await;
    house.write("calendars/agent2", meeting("a"));
    fs::create_dir(house.path("calendars/agent3")).unwrap();
    house.write("calendars/agent3/work.ics", meeting("a"));
    house.write(&format!("calendars/{}", id(4)), meeting("a"));
    let daemon = house.start().await;
    let report = daemon.report("the signal", |report| report.signals["calendar"].value == "each user").await;
    assert!(report.signals["calendar"].source.ends_with("calendars/{user}"));
    seen(&house, [2, 3, 4], "Busy/InAConferenceCall").await;
    seen(&house, others(&[2, 3, 4]), "Available/Available").await;
    // One file changes one user.
    house.write("calendars/agent5", meeting("b"));
    seen(&house, [5], "Busy/InAConferenceCall").await;
    fs::remove_file(house.path("calendars/agent2")).unwrap();
    seen(&house, [2], "Available/Available").await;
    // What is not whole makes only its own user's calendar unknown. What was whole once still counts.
    house.write("calendars/agent6", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n");
    seen(&house, [6], "Away/Away").await;
    house.write("calendars/agent5", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n");
    let report = daemon.report("both", |report| {
        report.warnings.iter().filter(|warning| warning.code == Code::CalendarIncomplete).count() == 2
    });
    let busy = presences(&report.await)["Busy/InAConferenceCall"];
    assert_eq!(busy, 3, "agents 3, 4 and 5");
    seen(&house, others(&[3, 4, 5, 6]), "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_calendar_for_everybody_comes_on_top() {
    let house = with_calendars(r#"{ path = "CALENDARS/{user}.ics" }, { path = "CALENDARS/../all.ics" }"#).await;
    house.write("calendars/agent2.ics", meeting("a"));
    house.write("calendars/agent3", meeting("a"));
    house.write("all.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    let daemon = house.start().await;
    seen(&house, [2], "Busy/InAConferenceCall").await;
    seen(&house, others(&[2]), "Available/Available").await;
    house.write("all.ics", meeting("b"));
    seen(&house, 1..=USERS, "Busy/InAConferenceCall").await;
    house.write("all.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    seen(&house, others(&[2]), "Available/Available").await;
    seen(&house, [2], "Busy/InAConferenceCall").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn nobody_changes_while_a_shared_source_is_away() {
    let house = with_calendars(r#"{ path = "CALENDARS/{user}" }"#).await;
    house.write("calendars/agent2", meeting("a"));
    fs::create_dir(house.path("calls")).unwrap();
    house.write("calls/agent3", "in-call");
    let config = fs::read_to_string(house.path("config.toml")).unwrap();
    let call = format!("[signals.call]\npath = \"{}/{{user}}\"\n", house.path("calls").display());
    let rule = "[[rules]]\nname = \"call\"\nwhen = { call = \"in-call\" }\nset = \"Busy/InACall\"\n[[rules]]\nname = \"meeting\"";
    let config = config.replacen("[[rules]]\nname = \"meeting\"", rule, 1) + &call + "[session]\nexpiration = \"5m\"\n";
    house.write("config.toml", config);
    // Five minutes take five seconds.
    let daemon = house.start_fast(60).await;
    seen(&house, [2], "Busy/InAConferenceCall").await;
    seen(&house, [3], "Busy/InACall").await;
    seen(&house, others(&[2, 3]), "Available/Available").await;
    for folder in ["calendars", "calls"] {
        fs::rename(house.path(folder), house.path(&format!("{folder}-away"))).unwrap();
    }
    let report = daemon
        .report("one warning for each", |report| {
            has(report, Code::CalendarUnreadable) && has(report, Code::CallStateUnreadable)
        })
        .await;
    assert_eq!(report.warnings.len(), 2, "{:#?}", report.warnings);
    let expected = [("Available/Available", USERS as usize - 2), ("Busy/InACall", 1), ("Busy/InAConferenceCall", 1)];
    let expected = expected.map(|(pair, count)| (pair.to_owned(), count)).into();
    assert_eq!(presences(&report), expected, "what was known before counts");
    let is_over = |report: &Report| presences(report).get("Away/Away") == Some(&(USERS as usize));
    daemon.report("nobody knows any more what they do", is_over).await;
    let row = client(&house).await.user("agent7").await.unwrap();
    let held_for = row.since.unwrap().duration_since(report.warnings[0].since);
    assert!(held_for >= jiff::SignedDuration::from_secs(299), "{held_for:#}; times are rounded to a second");
    for folder in ["calendars", "calls"] {
        fs::rename(house.path(&format!("{folder}-away")), house.path(folder)).unwrap();
    }
    daemon.report("as before", |report| presences(report) == expected).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

/// Accounts with one user each, who follow `signals` and `rules`.
async fn singles(names: &[(&str, u32)], rest: &str) -> House {
    let house = house().await;
    let account = |(name, user): &(&str, u32)| {
        let with_user = house.account(name);
        let (before, after) = with_user.split_once("user      = ").unwrap();
        let after = after.split_once('\n').unwrap().1;
        format!("{before}user = \"{}\"\n{after}", id(*user))
    };
    let accounts: String = names.iter().map(account).collect();
    house.write("config.toml", accounts + &rest.replace("HOUSE", &house.path("").display().to_string()));
    house
}

#[tokio::test]
async fn each_account_has_calls_of_its_own() {
    let rest = format!("[signals.call]\npath = \"HOUSE/calls/{{account}}\"\n{ONLY_CALLS_DECIDE}");
    let house = singles(&[("anna", 1), ("ben", 2)], &rest).await;
    fs::create_dir(house.path("calls")).unwrap();
    let daemon = house.start().await;
    seen(&house, [1, 2], "Available/Available").await;
    house.write("calls/anna", "in-call");
    seen(&house, [1], "Busy/InACall").await;
    house.write("calls/ben", "in-call");
    house.write("calls/anna", "idle");
    seen(&house, [2], "Busy/InACall").await;
    seen(&house, [1], "Available/Available").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn calls_in_a_folder_that_is_away_end_for_accounts_too() {
    let rest = "[signals.call]\npath = \"HOUSE/calls/{account}\"\n[session]\nexpiration = \"5m\"\n\
                [[rules]]\nname = \"idle\"\nwhen = { call = \"idle\" }\nset = \"nothing\"\n\
                [[rules]]\nname = \"unknown\"\nset = \"Away/Away\"\n";
    let house = singles(&[("anna", 1)], rest).await;
    fs::create_dir(house.path("calls")).unwrap();
    let daemon = house.start_fast(60).await;
    daemon.report("a decision", |report| report.accounts["anna"].rule.as_deref() == Some("idle")).await;
    fs::rename(house.path("calls"), house.path("calls-away")).unwrap();
    // Nothing is held, so nothing else wakes it up.
    seen(&house, [1], "Away/Away").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_rule_can_be_for_some_accounts() {
    let rules = "[[rules]]\nname = \"bots\"\nwhen = { account = [\"ben\", \"cleo\"] }\nset = \"Busy/InACall\"\n\
                 [[rules]]\nname = \"others\"\nset = \"Available/Available\"\n";
    let house = singles(&[("anna", 1), ("ben", 2)], &rules.replace(", \"cleo\"", "")).await;
    let daemon = house.start().await;
    seen(&house, [1], "Available/Available").await;
    seen(&house, [2], "Busy/InACall").await;
    let report = daemon.report("both", |report| report.accounts.values().all(|account| account.rule.is_some())).await;
    assert_eq!(report.accounts["ben"].because, "account is ben");
    assert_eq!(daemon.stop().await.code(), Some(0));
    let wrong = fs::read_to_string(house.path("config.toml")).unwrap().replace("[\"ben\"]", "[\"bem\"]");
    house.write("config.toml", wrong);
    let (code, _, error) = house.ask(&["check"]).await;
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("there is no account `bem`") && error.contains("did you mean `ben`?"), "{error}");
}

#[tokio::test]
async fn the_users_of_each_account_have_a_folder() {
    let house = house().await;
    house.write("agents", lines([1]));
    house.write("bots", lines([2]).replace("agent2", "agent1"));
    let (account, rules) =
        configuration(&house).split_once("[[rules]]").map(|(one, two)| (one.to_owned(), two.to_owned())).unwrap();
    let second = account.replace("accounts.agents", "accounts.bots").replace("/agents\"", "/bots\"");
    let call = format!("[signals.call]\npath = \"{}/{{account}}/{{user}}\"\n", house.path("calls").display());
    house.write("config.toml", format!("{account}{second}{call}[[rules]]{rules}"));
    for folder in ["calls", "calls/agents", "calls/bots"] {
        fs::create_dir(house.path(folder)).unwrap();
    }
    house.write("calls/bots/agent1", "in-call");
    let daemon = house.start().await;
    // The name is the same, but it is another user.
    seen(&house, [2], "Busy/InACall").await;
    seen(&house, [1], "Available/Available").await;
    house.write("calls/agents/agent1", "in-call");
    seen(&house, [1], "Busy/InACall").await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn the_agenda_of_one_user() {
    let house = with_calendars(r#"{ path = "CALENDARS/{user}.ics" }"#).await;
    house.write("calendars/agent2.ics", meeting("a"));
    let rule = |output: &str| serde_json::from_str::<serde_json::Value>(output).unwrap()["presence"][0]["rule"].clone();
    for (user, expected) in [("agent2", "meeting"), (id(2).as_str(), "meeting"), ("agent3", "free")] {
        let (code, output, error) = house.ask(&["agenda", "--json", "--user", user]).await;
        assert_eq!((code, rule(&output)), (0, expected.into()), "{user}: {error}");
    }
    let (code, _, error) = house.ask(&["agenda", "--user", "zoe"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("no account with `users` has a user `zoe`"), "{error}");
    let (code, _, error) = house.ask(&["agenda"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("each user has a calendar of their own") && error.contains("agenda --user"), "{error}");
}

#[tokio::test]
async fn check_says_who_follows_the_same_signals() {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    house.write("config.toml", configuration(&house) + "[signals.call]\npath = \"/run/calls\"\n");
    let (code, output, _) = house.ask(&["check"]).await;
    assert_eq!(code, 0);
    assert!(output.contains("/run/calls (the same for all 50 users)"), "{output}");
    let (_, output, _) = house.ask(&["check", "--json"]).await;
    assert!(output.contains("all 50 users of [accounts.agents] follow the same one"), "{output}");
    house.write("config.toml", configuration(&house) + "[signals.call]\npath = \"/run/calls/{user}\"\n");
    let (_, output, _) = house.ask(&["check"]).await;
    assert!(output.contains("/run/calls/{user} (one for each user)") && !output.contains("the same"), "{output}");
}

#[tokio::test]
async fn something_can_be_set_for_one_account_alone() {
    let house = singles(&[("anna", 1), ("ben", 2)], ONLY_CALLS_DECIDE).await;
    let daemon = house.start().await;
    seen(&house, [1, 2], "Available/Available").await;
    let (code, output, _) = house.ask(&["set", "away", "--account", "ben", "--for", "2h"]).await;
    let said = "claiming Away/Away for the account ben for 2 h, or until `presenced unset --account ben`\n";
    assert_eq!((code, output.as_str()), (0, said));
    seen(&house, [2], "Away/Away").await;
    assert_eq!(house.ask(&["signal", "call", "in-call", "--account", "anna"]).await.0, 0);
    seen(&house, [1], "Busy/InACall").await;
    seen(&house, [2], "Away/Away").await;
    // It survives a kill.
    daemon.signal(rustix::process::Signal::KILL);
    daemon.ended().await;
    let daemon = house.start().await;
    let held = daemon.report("both", |report| report.accounts.values().all(|account| account.desired.is_some())).await;
    let because = |name: &str| held.accounts[name].because.clone();
    assert_eq!((because("anna"), because("ben")), ("call is in-call".to_owned(), "set by hand".to_owned()));
    assert_eq!(house.ask(&["unset", "--account", "ben"]).await.0, 0);
    seen(&house, [2], "Available/Available").await;
    assert_eq!(house.ask(&["signal", "call", "--unset", "--account", "anna"]).await.0, 0);
    seen(&house, [1], "Available/Available").await;
    let (code, _, error) = house.ask(&["unset", "--account", "bem"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("there is no account `bem`"), "{error}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn what_is_set_for_an_account_is_for_all_its_users_who_have_nothing_of_their_own() {
    let house = house().await;
    house.write("agents", lines(1..=USERS));
    // A file of calls makes no difference.
    fs::create_dir(house.path("calls")).unwrap();
    house.write("calls/agent9", "in-call");
    let call = format!("[signals.call]\npath = \"{}/{{user}}\"\n", house.path("calls").display());
    house.write("config.toml", configuration(&house) + &call);
    let daemon = house.start().await;
    seen(&house, others(&[9]), "Available/Available").await;
    seen(&house, [9], "Busy/InACall").await;
    assert_eq!(house.ask(&["signal", "call", "idle", "--account", "agents"]).await.0, 0);
    seen(&house, [9], "Available/Available").await;
    assert_eq!(house.ask(&["set", "call", "--user", "agent7", "--account", "agents"]).await.0, 0);
    assert_eq!(house.ask(&["set", "away", "--account", "agents"]).await.0, 0);
    seen(&house, others(&[7]), "Away/Away").await;
    seen(&house, [7], "Busy/InACall").await;
    assert_eq!(house.ask(&["unset", "--account", "agents"]).await.0, 0);
    seen(&house, others(&[7]), "Available/Available").await;
    assert_eq!(house.ask(&["signal", "call", "--unset", "--account", "agents"]).await.0, 0);
    seen(&house, [9], "Busy/InACall").await;
    let (code, _, error) = house.ask(&["set", "call", "--user", "zoe", "--account", "agents"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("no account has the user `zoe`"), "{error}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}
