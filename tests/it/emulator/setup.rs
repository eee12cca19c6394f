//! `presenced emulator --setup` and `--print-config` as a person uses them.

use super::binary::{fails, presenced};
use super::*;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/emulator.toml");

#[tokio::test]
async fn presenced_accepts_what_print_config_prints() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("presenced.toml");
    for arguments in [&["--tls", "--host", "graph.test"][..], &["--tls"], &[]] {
        let arguments = [&["--print-config", "test-bot"][..], arguments].concat();
        let run = presenced(&arguments).env("HOME", folder.path()).env("XDG_STATE_HOME", folder.path()).output();
        let output = tokio::time::timeout(GUARD, run).await.expect("it ends").unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let tls = arguments.contains(&"--tls");
        assert_eq!(text.contains("SSL_CERT_FILE=") && text.contains("/ca.pem\n"), tls, "{text}");
        assert_eq!(text.contains("https://graph.test:8766/v1.0"), arguments.contains(&"--host"), "{text}");
        std::fs::write(&config, &text).unwrap();
        let mut check = tokio::process::Command::new(env!("CARGO_BIN_EXE_presenced"));
        let run = check.arg("--config").arg(&config).arg("check").env_clear().env("HOME", folder.path()).output();
        let output = tokio::time::timeout(GUARD, run).await.expect("it ends").unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    let (code, text) = fails(&["--print-config", "test bot"]).await;
    assert!(code == Some(2) && text.contains("`test bot` is not a valid name for an account"), "{text}");
    let (code, text) = fails(&["--print-config", "test", "--listen", "127.0.0.1:0"]).await;
    assert!(code == Some(2) && text.contains("give the port instead of 0"), "{text}");
}

#[tokio::test]
async fn a_setup_with_mistakes_is_shown_and_excludes_a_number_of_users() {
    let folder = tempfile::tempdir().unwrap();
    let setup = folder.path().join("setup.toml");
    std::fs::write(&setup, "[[users]]\nid = \"7\"\nname = \"ada@contoso.com\"\nlicenced = true\n").unwrap();
    let (code, text) = fails(&["--setup", setup.to_str().unwrap()]).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("setup.toml:2:6") && text.contains("`7` is not a UUID"), "{text}");
    assert!(text.contains("setup.toml:4:1") && text.contains("did you mean `licensed`?"), "{text}");
    assert_eq!(fails(&["--setup", EXAMPLE, "--users", "2"]).await.0, Some(2));
    let (code, text) = fails(&["--setup", "/nonexistent"]).await;
    assert!(code == Some(2) && text.contains("the setup /nonexistent cannot be read"), "{text}");
}

#[tokio::test]
async fn without_a_licence_a_session_has_no_effect_and_a_guest_is_unknown() {
    let options = Options::setup(&std::fs::read_to_string(EXAMPLE).unwrap()).unwrap();
    let users: Vec<String> = options.users.iter().map(|user| user.id.clone()).collect();
    let server = presenced_emulator::Server::start(options).await.unwrap();
    let client = http_client().no_proxy().build().unwrap();
    let login = format!("{}/contoso.onmicrosoft.com/oauth2/v2.0/token", server.login_url());
    let answer = Answer::of(client.post(login).form(&client_credentials())).await;
    let token = answer.text("access_token").clone();
    let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall"});
    let mut seen = Vec::new();
    for user in users {
        let presence = format!("{}/users/{user}/presence", server.graph_url());
        let set = client.post(format!("{presence}/setPresence")).bearer_auth(&token).json(&body);
        assert_eq!(Answer::of(set).await.status, 200);
        seen.push(Answer::of(client.get(presence).bearer_auth(&token)).await.text("availability").clone());
    }
    assert_eq!(seen, ["Busy", "Offline", "PresenceUnknown"]);
}
