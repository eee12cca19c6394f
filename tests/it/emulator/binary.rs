//! `presenced emulator` as a person starts it.

use std::process::Stdio;

use presenced_emulator::User;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::*;
use crate::stage::http_client::http_client;

pub(super) fn presenced(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presenced"));
    command
        .arg("emulator")
        .args(arguments)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Starts one on a free port; its address and the rest of what it prints.
async fn start(arguments: &[&str]) -> (Child, String, Lines<BufReader<ChildStdout>>) {
    let mut child = presenced(&[&["--listen", "127.0.0.1:0"], arguments].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = next(&mut lines).await;
    let address = first.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap();
    let address = address.trim_end_matches('.').to_owned();
    (child, address, lines)
}

pub(super) async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    tokio::time::timeout(GUARD, lines.next_line())
        .await
        .expect("a line comes")
        .unwrap()
        .expect("before the output ends")
}

pub(super) async fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tokio::time::timeout(GUARD, presenced(arguments).output()).await.expect("it ends").unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn it_prints_what_to_paste_and_one_line_for_each_request() {
    let (mut child, address, mut lines) = start(&["--speed", "60"]).await;
    let mut introduction = String::new();
    loop {
        let line = next(&mut lines).await;
        if line.starts_with("How to inject faults") {
            break;
        }
        introduction.push_str(&line);
        introduction.push('\n');
    }
    let toml = &introduction[introduction.find("[accounts.").unwrap()..introduction.find("What others").unwrap()];
    let config: toml::Table = toml.parse().unwrap();
    let account = &config["accounts"]["emulator"];
    assert_eq!(account["user"].as_str(), Some(USER));
    assert_eq!(account["endpoints"]["login"].as_str(), Some(format!("http://{address}").as_str()));
    assert_eq!(next(&mut lines).await, "");

    let client = http_client().no_proxy().build().unwrap();
    let login = format!("http://{address}/contoso.onmicrosoft.com/oauth2/v2.0/token");
    let answer = Answer::of(client.post(login).form(&client_credentials())).await;
    let line = next(&mut lines).await;
    assert!(line.contains("token") && line.contains("200"), "{line}");
    let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall"});
    let request = client.post(format!("http://{address}{}", action("setPresence")));
    Answer::of(request.bearer_auth(answer.text("access_token")).json(&body)).await;
    let line = next(&mut lines).await;
    assert!(line.contains("set") && line.ends_with("others see Busy/InACall"), "{line}");

    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = tokio::time::timeout(GUARD, child.wait()).await.expect("Ctrl-C ends it").unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_directory_of_many_users_gives_a_users_file() {
    let (_child, address, mut lines) = start(&["--users", "1000"]).await;
    let mut names_file = false;
    let url = loop {
        let line = next(&mut lines).await;
        // The account that it prints uses the file that the command makes.
        names_file |= line == "users     = { file = \"agents\" }";
        if let Some(command) = line.strip_prefix("The users file") {
            let url = command.trim().strip_prefix("curl ").unwrap().strip_suffix(" -o agents");
            break url.unwrap().to_owned();
        }
    };
    assert!(names_file);
    let client = http_client().no_proxy().build().unwrap();
    let answer = Answer::of(client.get(&url)).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/plain; charset=utf-8"));
    let users: Vec<&str> = answer.body.lines().collect();
    assert_eq!((users.len(), users[0]), (1_000, format!("{USER} me").as_str()));
    let last = User::numbered(1_000);
    assert_eq!(users[999], format!("{} user1000", last.id));
    let state = Answer::of(client.get(format!("http://{address}/_emulator/users/{}/timeline", last.id))).await;
    assert_eq!(state.status, 200);
}

#[tokio::test]
async fn a_directory_has_between_one_and_a_hundred_thousand_users() {
    for wrong in ["0", "100001", "-1", "many"] {
        assert_eq!(fails(&["--users", wrong]).await.0, Some(2), "{wrong}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_reported() {
    let (_child, address, _lines) = start(&[]).await;
    let (code, text) = fails(&["--listen", &address]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("another program is already listening on {address}")), "{text}");
    assert!(text.contains("hint:"), "{text}");
}

#[tokio::test]
async fn public_addresses_and_invalid_speeds_are_misuse() {
    for address in ["0.0.0.0:8765", "192.0.2.1:8765", "[::]:8765"] {
        let (code, text) = fails(&["--listen", address]).await;
        assert_eq!(code, Some(2));
        assert!(text.contains("is not a loopback address") && text.contains("--host NAME"), "{text}");
    }
    for arguments in [["--listen", "localhost"], ["--speed", "0"], ["--speed", "NaN"], ["--speed", "fast"]] {
        assert_eq!(fails(&arguments).await.0, Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_plan_is_followed_and_one_that_is_wrong_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, "[[fault]]\ncall = \"token\"\ntimes = 1\nthen = { respond = { status = 503 } }\n").unwrap();
    let (_child, address, _lines) = start(&["--plan", plan.to_str().unwrap()]).await;
    let client = http_client().no_proxy().build().unwrap();
    let login = format!("http://{address}/contoso.onmicrosoft.com/oauth2/v2.0/token");
    let ask = async || Answer::of(client.post(&login).form(&client_credentials())).await.status;
    assert_eq!((ask().await.as_u16(), ask().await.as_u16()), (503, 200));

    std::fs::write(&plan, "[[fault]]\nthen = \"explode\"\n").unwrap();
    let (code, text) = fails(&["--plan", plan.to_str().unwrap()]).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("plan.toml:2:8") && text.contains("unknown variant `explode`"), "{text}");
    std::fs::write(&plan, "#".repeat(1024 * 1024 + 1)).unwrap();
    let (code, text) = fails(&["--plan", plan.to_str().unwrap()]).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("it is larger than 1 MB"), "{text}");
    assert_eq!(fails(&["--since", "2026-11-24T08:00:00Z"]).await.0, Some(2), "since when is there no fast clock");
    let (code, text) = fails(&["--plan", "/nonexistent"]).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("the plan /nonexistent cannot be read"), "{text}");
}
