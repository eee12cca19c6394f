//! How problems are shown: whole reports as snapshots, all problems in one run, and no secret in any of them.

use proptest::prelude::*;

use super::{ACCOUNT, environment, parse, parse_in};

fn report(text: &str) -> String {
    parse(text).expect_err("this is wrong").render(80, false)
}

#[test]
fn text_that_is_not_toml() {
    insta::assert_snapshot!(report("[accounts.work\ntenant = \"contoso.com\"\nauth = { method = \n"));
}

#[test]
fn a_value_without_quotes() {
    insta::assert_snapshot!(report(&format!("{ACCOUNT}[session]\nexpiration = 15m\non_exit = \"cler\"\n")));
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(report(&format!("{ACCOUNT}tennant = \"x\"\n\n[session]\ncolour = \"blue\"\n")));
}

#[test]
fn a_pair_that_graph_does_not_accept() {
    insta::assert_snapshot!(report(&format!("{ACCOUNT}[[rules]]\nname = \"meeting\"\nset = \"Busy/InAMeeting\"\n")));
}

#[test]
fn an_expiration_of_4_minutes() {
    insta::assert_snapshot!(report(&format!("{ACCOUNT}[session]\nexpiration = \"4m\"\n")));
}

#[test]
fn an_expiration_of_5_hours() {
    insta::assert_snapshot!(report(&format!(
        "{ACCOUNT}[[rules]]\nname = \"r\"\nset = \"Away/Away\"\nexpiration = \"PT5H\" # long\n"
    )));
}

#[test]
fn plain_http_off_loopback() {
    insta::assert_snapshot!(report(&format!("{ACCOUNT}endpoints = {{ graph = \"http://graph.example/v1.0\" }}\n")));
}

#[test]
fn an_address_without_a_port() {
    insta::assert_snapshot!(report(&format!("{ACCOUNT}[status]\nlisten = \"localhost:9464\"\n")));
}

#[test]
fn a_bare_secret() {
    let text = ACCOUNT.replace("device-code\"", "client-secret\", secret = \"hunter2\"");
    let text = format!("{text}user = \"fa8bf3dc-eca7-46b7-bad1-db199b62afc3\"\n");
    insta::assert_snapshot!(report(&text));
}

#[test]
fn an_account_of_an_application_without_a_user() {
    let text = ACCOUNT.replace("device-code\"", "client-secret\", secret = { env = \"S\" }");
    insta::assert_snapshot!(report(&text));
}

#[test]
fn several_at_once() {
    let text = r#"[accounts.work]
client_id = "my-app"
user = "me@contoso.com"
auth = { method = "client-certificate" }

[session]
expiration = 15
on_exit = "clean"

[signals.calender]
sources = [{ path = "$CALENDAR/work" }]

[[rules]]
name = "meeting"
when = { calendar = ["busy", "oof"], within = "Mon-Fri 08:00-18:00" }
set = "Busy/Busy"
"#;
    let problems = parse(text).unwrap_err();
    let lines: Vec<usize> = problems.iter().map(|problem| problem.position.unwrap().line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 7, 8, 10, 15, 15, 16]);
    insta::assert_snapshot!(problems.render(80, false));
}

#[test]
fn a_log_line_names_the_first_problem_and_counts_the_rest() {
    let problems = parse(&format!("{ACCOUNT}[session]\nexpiration = 15\non_exit = 1\n")).unwrap_err();
    assert_eq!(problems.to_string(), "/etc/presenced/config.toml:6:14: `15` needs a unit (and 1 more)");
    let whole_file = parse("").unwrap_err();
    assert_eq!(whole_file.to_string(), "/etc/presenced/config.toml: the configuration has no account");
}

#[test]
fn columns_count_characters() {
    let problems =
        parse(&format!("{ACCOUNT}[log]\ndir = \"ä\"\n[signals.lock]\n\"ö\".x = 1\nenabled = \"é\"\n")).unwrap_err();
    let columns: Vec<_> = problems.iter().map(|p| p.position.map(|at| (at.line, at.column)).unwrap()).collect();
    assert_eq!(columns, [(8, 1), (9, 11)]);
    let behind = parse("\"äöü\" = { a = 1 }\n").unwrap_err();
    assert_eq!(behind.iter().last().unwrap().position.unwrap().column, 1);
    let inline = parse(&format!(
        "{ACCOUNT}[[rules]]\nname = \"ä\"\nset = \"nothing\"\nwhen = {{ signal = {{ a = \"äöü\" }}, x = 1 }}\n"
    ));
    assert_eq!(inline.unwrap_err().iter().next().unwrap().position.unwrap().column, 34);
}

#[test]
fn colour_is_only_there_when_it_is_asked_for() {
    let problems = parse("").unwrap_err();
    assert!(!problems.render(80, false).contains('\u{1b}'));
    let problems = parse("x = 1\n").unwrap_err();
    assert!(!problems.render(80, false).contains('\u{1b}'));
    assert!(problems.render(80, true).contains('\u{1b}'));
}

#[test]
fn a_file_of_another_kind_gives_a_bounded_report() {
    let text = "= nonsense\n".repeat(3000);
    let report = report(&text);
    let headline = "more than 100 problems in /etc/presenced/config.toml; the first 20:";
    assert!(report.starts_with(headline), "{}", &report[..200]);
    assert!(report.lines().count() < 300);
}

#[test]
fn no_report_shows_a_secret() {
    for secret in [
        "secret = \"hunter2\"",
        "secret = hunter2",
        "secret = \"hunter2",
        "secret = { value = \"hunter2\" }",
        "secret = { env = \"hunter2~\" }",
        "secret = { file = \"a\", password = \"hunter2\" }",
        "secret = [\"hunter2\"]",
        "client_secret = \"hunter2\"",
        "secret = { credential = \"hunter2~\", env = \"hunter2~\" }",
    ] {
        for text in [
            format!("[accounts.a]\nauth = {{ method = \"client-secret\", {secret} }}\n"),
            format!("[accounts.a.auth]\nmethod = \"client-secret\"\n{secret}\n"),
            format!("[accounts.a]\n{secret}\nauth = {{ method = \"client-secret\" }}\n"),
            format!("{secret}\n"),
        ] {
            let problems = parse(&text).unwrap_err();
            let everything = format!("{}\n{problems}\n{problems:?}", problems.render(200, true));
            assert!(!everything.contains("hunter2"), "{text}\n{everything}");
        }
    }
}

/// Good files, which the tests spoil.
const GOOD: [&str; 3] = [
    include_str!("../../../config/presenced.toml"),
    include_str!("../../../config/desktop.toml"),
    include_str!("../../../config/sidecar.toml"),
];

fn never_panics(text: &str) {
    if let Err(problems) = parse_in(text, &environment()) {
        assert!(problems.iter().next().is_some());
        for problem in &problems {
            let lines = text.split('\n').count();
            assert!(problem.position.is_none_or(|at| (1..=lines).contains(&at.line) && at.column >= 1));
        }
        problems.render(80, false);
        problems.render(0, true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_reported(text in "\\PC{0,200}") {
        never_panics(&text);
    }

    #[test]
    fn any_toml_like_text_is_read_or_reported(
        text in "(\\[{1,2}(accounts|signals|rules|session|log)(\\.[a-z]{1,4})?\\]{1,2}|(tenant|auth|secret|when|set|path|sources|é) = |[\"'{},=\n\r\t\u{feff}#\\[\\]\\\\]|\"[a-z/$~{]{0,6}\"|[0-9]{1,3}|\"\"\"){0,40}",
    ) {
        never_panics(&text);
    }

    #[test]
    fn a_spoilt_file_is_read_or_reported(
        which in 0..GOOD.len(), at in any::<prop::sample::Index>(), cut in 0..40_usize, put in "(\\PC|[\"'{}\\[\\]=,\n\0]){0,5}",
    ) {
        let uncommented = GOOD[which].replace("\n#", "\n");
        for good in [GOOD[which], &uncommented] {
            let start = good.floor_char_boundary(at.index(good.len()));
            let end = good.floor_char_boundary((start + cut).min(good.len()));
            never_panics(&format!("{}{put}{}", &good[..start], &good[end.max(start)..]));
        }
    }
}

#[test]
fn two_accounts_of_one_session() {
    let user = "user = \"fa8bf3dc-eca7-46b7-bad1-db199b62afc3\"\n";
    let work = format!("{ACCOUNT}{user}");
    let twin = work.replace("[accounts.work]", "[accounts.twin]").replace("fa8bf3dc", "FA8BF3DC");
    insta::assert_snapshot!(report(&format!("{work}\n{twin}")));
    let somebody_else = twin.replace("FA8BF3DC", "00000000");
    assert!(parse(&format!("{work}\n{somebody_else}")).is_ok());
}
