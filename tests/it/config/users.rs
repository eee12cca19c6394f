//! `users` and `rate` of an account, and what `presenced check` says about them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use presenced::config::{Owners, UserEntry, Users};
use presenced::pacer::Rate;
use serde_json::{Value, json};

use super::{ACCOUNT, CLIENT, USER, bad, parse, problem};

const OTHER: &str = "0c5e2b4f-6c3e-4f0e-9d3b-1f1f4f1f4f1f";

fn account_of(name: &str, rest: &str) -> String {
    format!(
        "[accounts.{name}]\ntenant = \"contoso.com\"\nclient_id = \"{CLIENT}\"\n\
         auth = {{ method = \"token-command\", command = [\"x\"] }}\n{rest}\n"
    )
}

fn account(rest: &str) -> String {
    account_of("a", rest)
}

fn users(users: &str) -> Option<Users> {
    parse(&account(&format!("users = {users}"))).unwrap().accounts["a"].users.clone()
}

fn entry(id: &str, name: Option<&str>) -> UserEntry {
    UserEntry { id: id.to_owned(), name: name.map(str::to_owned) }
}

#[test]
fn users_are_a_list_a_file_or_whoever_a_signal_names() {
    assert_eq!(
        users(&format!("[\"{}\", \"{OTHER}  Anna Arendt \"]", USER.to_uppercase())),
        Some(Users::Listed(vec![entry(USER, None), entry(OTHER, Some("Anna Arendt"))]))
    );
    assert_eq!(users("{ file = \"~/agents\" }"), Some(Users::File("/home/me/agents".into())));
    assert_eq!(users("{ file = \"agents\" }"), Some(Users::File("/etc/presenced/agents".into())));
    assert_eq!(users("\"signalled\""), Some(Users::Signalled));
    assert_eq!(parse(ACCOUNT).unwrap().accounts["work"].users, None);
}

#[test]
fn users_that_cannot_work_are_refused() {
    for (users, expected) in [
        ("[]", "`users` is an empty list"),
        ("7", "`users` must be a list, a table or `signalled`, but this is a whole number"),
        ("\"/etc/presenced/agents\"", "`/etc/presenced/agents` is not a valid value for `users`"),
        ("{}", "`users` has no `file`"),
        ("{ fiel = \"x\", file = \"x\" }", "`users` has no key `fiel`"),
        ("[7]", "`users` must be a text, but this is a whole number"),
        ("[\"ID\", \"id\"]", "this object id is in the list twice"),
        ("[\"ID a\", \"OTHER a\"]", "this name is in the list twice"),
        ("[\"ID ../../etc/passwd\"]", "the name starts with a dot"),
        (
            "[\"anna\", \"ID\"]",
            "`anna` is not an object id; an object id looks like fa8bf3dc-eca7-46b7-bad1-db199b62afc3",
        ),
    ] {
        let users = users.replace("ID", &USER.to_uppercase()).replace("id", USER).replace("OTHER", OTHER);
        assert_eq!(problem(&account(&format!("users = {users}"))), expected, "{users}");
    }
    let here = parse(&account("users = [\n  \"0c5e2b4f-6c3e-4f0e-9d3b-1f1f4f1f4f1f\",\n  \"x\",\n]")).unwrap_err();
    assert_eq!(here.iter().map(|problem| problem.position.unwrap().line).collect::<Vec<_>>(), [7]);

    let both = account(&format!("user = \"{USER}\"\nusers = [\"{OTHER}\"]"));
    assert_eq!(problem(&both), "[accounts.a] has both `user` and `users`");
    for person in ["users = \"signalled\"\n", "users = { file = \"x\" }\n"] {
        assert_eq!(bad(person), "`users` needs an application's own permission, but here a person signs in");
    }
    let prefer = "users = \"signalled\"\n[[rules]]\nname = \"a\"\nset = \"Away/Away\"\nprefer = ";
    assert_eq!(
        problem(&account(&format!("{prefer}true"))),
        "presenced cannot prefer a presence for the many users of [accounts.a]"
    );
    assert!(parse(&account(&format!("{prefer}false"))).is_ok());
}

#[test]
fn a_rate_is_what_graph_allows() {
    let rate = |rate: &str| parse(&account(&format!("user = \"{USER}\"\n{rate}"))).map(|c| c.accounts["a"].rate);
    let of = |requests, seconds| Rate::new(requests, Duration::from_secs(seconds)).unwrap();
    assert_eq!(rate("").unwrap(), of(1500, 30));
    assert_eq!(rate("rate = {}").unwrap(), of(1500, 30));
    assert_eq!(rate("rate = { requests = 10_000 }").unwrap(), of(10_000, 30));
    assert_eq!(rate("rate = { requests = 0x10, per = \"PT1M\" }").unwrap(), of(16, 60));
    for (text, expected) in [
        ("requests = 0", "`requests` must be between 1 and 1,000,000"),
        ("requests = -1", "`requests` must be between 1 and 1,000,000"),
        ("requests = 1000001", "`requests` must be between 1 and 1,000,000"),
        ("requests = 99999999999999999999", "`requests` must be between 1 and 1,000,000"),
        ("requests = 1.5", "`requests` must be a whole number, but this is a number"),
        ("requests = \"1500\"", "`requests` must be a whole number, but this is a text"),
        ("per = 30", "`30` needs a unit"),
        ("per = \"0s\"", "`0s` is not between 1 second and 1 hour"),
        ("per = \"-30s\"", "`-30s` is not between 1 second and 1 hour"),
        ("per = \"2h\"", "`2h` is not between 1 second and 1 hour"),
        ("every = \"30s\"", "`rate` has no key `every`"),
    ] {
        let problems = rate(&format!("rate = {{ {text} }}")).expect_err(text);
        assert_eq!(problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), [expected], "{text}");
    }
}

#[test]
fn two_accounts_that_are_known_to_hold_one_session_are_refused() {
    let two = |one: &str, two: &str| format!("{}{}", account_of("a", one), account_of("b", two));
    let list = |ids: &[&str]| format!("users = {ids:?}");
    let user = format!("user = \"{}\"", USER.to_uppercase());
    let same = "[accounts.b] holds the same session as [accounts.a]";
    for (text, expected) in [
        (two(&user, &user.to_lowercase()), same.to_owned()),
        (two(&user, &list(&[OTHER, USER])), format!("{same}: that of {USER}")),
        (two(&list(&[USER, OTHER]), &list(&[OTHER])), format!("{same}: that of {OTHER}")),
        (two("users = \"signalled\"", "users = \"signalled\""), same.to_owned()),
        (two("users = { file = \"x\" }", "users = { file = \"/etc/presenced/x\" }"), same.to_owned()),
    ] {
        assert_eq!(problem(&text), expected, "{text}");
        // Another application has sessions of its own.
        let (first, second) = text.split_once("[accounts.b]").unwrap();
        let other = second.replace(CLIENT, "22553876-f5ab-4529-bffb-cfe50aa89f88");
        assert!(parse(&format!("{first}[accounts.b]{other}")).is_ok());
    }
    assert!(parse(&two(&list(&[USER]), &list(&[OTHER]))).is_ok());
    assert!(parse(&two("users = { file = \"x\" }", "users = \"signalled\"")).is_ok());
}

/// What `presenced check` says with these accounts: its exit code, and both outputs. `DIR` is the folder.
fn check(accounts: &str, files: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let lock = if accounts.contains("[signals.lock]") { "" } else { "[signals.lock]\n" };
    fs::write(&file, format!("{accounts}{lock}")).unwrap();
    let output = Command::cargo_bin("presenced")
        .unwrap()
        .args([Path::new("check"), Path::new("--config"), &file])
        .args(arguments)
        .env_clear()
        .env("HOME", "/home/me")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&dir.path().display().to_string(), "DIR");
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// This many lines of a users file.
fn lines(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(text, "00000000-0000-4000-8000-{number:012x}").unwrap();
    }
    text
}

#[test]
fn check_counts_the_users() {
    let accounts = [
        account_of("file", "users = { file = \"agents\" }"),
        account_of("list", &format!("users = [\"{USER}\"]\nrate = {{ requests = 3000, per = \"1m\" }}")),
        account_of("signalled", "users = \"signalled\""),
    ];
    let (code, shown, errors) = check(&accounts.concat(), &[("agents", &lines(3))], &[]);
    assert_eq!((code, &*errors), (0, ""));
    for expected in [
        "presence of 3 users in DIR/agents, rate 1500 per 30s\n",
        "presence of 1 user, rate 3000 per 1m\n",
        "presence of everyone whom a signal for one user names, rate 1500 per 30s\n",
    ] {
        assert!(shown.contains(expected), "{shown}");
    }
    assert!(!shown.contains("note:"), "{shown}");
}

#[test]
fn check_reports_the_bad_lines_of_a_users_file() {
    let accounts = account("users = { file = \"agents\" }");
    let file = format!("{USER} anna\n\nbert\n{OTHER} anna\n{USER}\n");
    let (code, shown, errors) = check(&accounts, &[("agents", &file)], &[]);
    assert_eq!((code, &*shown), (2, ""));
    insta::assert_snapshot!(errors);

    let (code, shown, _) = check(&accounts, &[("agents", &file)], &["--json"]);
    let report: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &report["valid"]), (2, &json!(false)));
    assert_eq!(
        report["problems"][2],
        json!({
            "file": "DIR/agents", "line": 5, "column": null, "help": null,
            "message": "this object id is also in line 1: remove one of the two lines, or correct it",
        })
    );

    let (code, _, errors) = check(&accounts, &[("agents", &"x\n".repeat(5000))], &[]);
    assert_eq!(code, 2);
    assert!(errors.starts_with("error: 1000 problems with the users; the first 20:\n  DIR/agents:1: `x`"), "{errors}");
    assert_eq!(errors.lines().count(), 22);

    let (code, _, errors) = check(&accounts, &[], &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("DIR/agents: the users file cannot be read: No such file"), "{errors}");
    let (code, _, errors) = check(&account("users = { file = \".\" }"), &[], &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("the users file cannot be read: it is a folder, not a regular file"), "{errors}");
}

#[test]
fn check_finds_a_user_in_the_files_of_two_accounts() {
    let accounts = [account_of("a", "users = { file = \"a\" }"), account_of("b", "users = { file = \"b\" }")].concat();
    let (code, _, errors) = check(&accounts, &[("a", &lines(2)), ("b", &lines(1))], &[]);
    assert_eq!(code, 2);
    let id = "00000000-0000-4000-8000-000000000000";
    assert!(errors.contains(&format!("[accounts.b] holds the same session as [accounts.a]: that of {id}")), "{errors}");
}

#[test]
fn check_notes_users_whom_the_rate_is_not_enough_for() {
    let notes = |accounts: &str, files: &[(&str, &str)]| -> Vec<String> {
        let (code, shown, errors) = check(accounts, files, &[]);
        assert_eq!(code, 0, "{errors}");
        shown.lines().filter_map(|line| line.strip_prefix("note: ")).map(str::to_owned).collect()
    };
    let one = account("users = { file = \"a\" }");
    assert_eq!(notes(&one, &[("a", &lines(9600))]), [""; 0]);
    let [note] = &notes(&one, &[("a", &lines(9700))])[..] else { panic!("one note") };
    assert!(
        note.starts_with("[accounts.a]: if all 9700 users are Available, keeping them so takes 81 % of `rate`; "),
        "{note}"
    );
    assert_eq!(notes(&one, &[("a", "")]), ["[accounts.a]: DIR/a has no user, so no presence is held"]);

    // Two accounts of one application share what Graph allows it.
    let two = format!("{one}{}", account_of("b", &format!("users = [\"{USER}\", \"{OTHER}\"]")));
    assert_eq!(notes(&two, &[("a", &lines(9598))]), [""; 0]);
    let [note] = &notes(&two, &[("a", &lines(9650))])[..] else { panic!("one note") };
    assert!(note.starts_with("[accounts.a], [accounts.b]: if all 9652 users"), "{note}");
    let two = two.replace("accounts.b]\ntenant = \"contoso.com\"", "accounts.b]\ntenant = \"contoso.de\"");
    assert_eq!(notes(&two, &[("a", &lines(9599))]), [""; 0]);
    let faster = one.replace("users =", "rate = { requests = 3000 }\nusers =");
    assert_eq!(notes(&faster, &[("a", &lines(19_000))]), [""; 0]);
}

#[test]
fn a_path_of_calls_may_end_in_the_user() {
    let call = |path: &str, users: &str| {
        parse(&(account(users) + &format!("[signals.call]\npath = \"{path}\"\n")))
            .map(|config| config.signals.call.unwrap())
    };
    let many = format!("users = [\"{USER}\"]");
    let folder = |call: &presenced::config::Call| {
        call.owners.as_ref().and_then(|owners| owners.folders.get(&Owners::Users).cloned())
    };
    assert_eq!(folder(&call("/run/calls/{user}", &many).unwrap()), Some("/run/calls".into()));
    assert_eq!(folder(&call("/run/calls", &many).unwrap()), None);
    for (path, users, complaint) in [
        ("/run/{user}/calls", many.as_str(), "`{user}` must be the last part of the path"),
        ("/run/calls/{user}.json", &many, "`{user}` must be the last part of the path"),
        ("/run/{user}/{user}", &many, "`{user}` must be the last part of the path"),
        ("/run/{account}/calls", &many, "`{account}` must be the last part of the path"),
        ("/run/calls/{user}", &format!("user = \"{USER}\""), "there is none"),
    ] {
        let refused = call(path, users).unwrap_err().to_string();
        assert!(refused.contains(complaint), "{path}: {refused}");
    }
}

#[test]
fn check_knows_that_users_have_calls_without_a_call_signal() {
    let rule = |name: &str, call: &str| {
        format!("[[rules]]\nname = \"{name}\"\nwhen = {{ call = \"{call}\" }}\nset = \"Busy/InACall\"\n")
    };
    let rules = [rule("call", "in-call"), rule("none", "off"), rule("again", "in-call")].concat();
    let notes = |user: &str| -> Vec<String> {
        let nothing_watched = "[signals.lock]\nenabled = false\n";
        let (code, shown, errors) = check(&format!("{}{nothing_watched}{rules}", account(user)), &[], &[]);
        assert_eq!(code, 0, "{errors}");
        shown.lines().filter_map(|line| line.strip_prefix("note: ")).map(str::to_owned).collect()
    };
    let many = notes(&format!("users = [\"{USER}\"]"));
    let [again] = &many[..] else { panic!("{many:?}") };
    assert!(again.starts_with("[[rules]] `again`: it is never reached"), "{again}");
    let one = notes(&format!("user = \"{USER}\""));
    let [nothing, call, again] = &one[..] else { panic!("{one:?}") };
    assert!(nothing.starts_with("[signals]: nothing is watched"), "{nothing}");
    assert!(call.contains("`call`: it is never reached") && again.contains("`again`: it is never"), "{one:?}");
}

#[test]
fn the_example_for_many_users_is_valid() {
    let document = include_str!("../../../docs/fleet.md");
    let (_, example) = document.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    // No systemd has set up a credential here.
    let config = parse(&example.replace("{ credential = \"agents\" }", "{ file = \"/dev/null\" }")).unwrap();
    assert_eq!(config.accounts["agents"].users, Some(Users::File("/etc/presenced/agents".into())));
    assert_eq!(config.rules.len(), 3);
}
