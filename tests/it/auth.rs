//! Sign-in against a server that answers as Entra ID does: each way to a token, each error, and what is kept on disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::TimeZone;
use presenced::auth::{self, Authenticator};
use presenced::config::{Account, Auth, Cloud, Endpoints, Environment, SecretSource, TokenStore};
use presenced::session::{Applied, Failure, FailureKind};
use presenced::time::{Instant, Now};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::canned::{Answer, Server, answer};

fn environment(folder: &TempDir) -> Environment {
    let path = folder.path().to_owned();
    let credentials = path.display().to_string();
    Environment {
        home: path.clone(),
        runtime_dir: None,
        config_dir: path.clone(),
        state_dir: path.join("state"),
        cache_dir: path.join("cache"),
        lookup: Arc::new(move |name| match name {
            "SECRET" => Some("s3cret".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some(credentials.clone()),
            _ => None,
        }),
    }
}

fn account(server: &Server, auth: Auth) -> Account {
    Account {
        tenant: "contoso.onmicrosoft.com".to_owned(),
        client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
        user: None,
        cloud: Cloud::Global,
        auth,
        tokens: TokenStore::Auto,
        endpoints: Endpoints { graph: "https://graph.microsoft.com/v1.0".parse().unwrap(), login: server.url.clone() },
    }
}

fn client_secret(server: &Server) -> Account {
    account(server, Auth::ClientSecret { secret: SecretSource::Env("SECRET".to_owned()) })
}

/// The time `minutes` after the start of the test.
fn after(minutes: u64) -> Now {
    let wall: jiff::Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    let passed = Duration::from_mins(minutes);
    Now { instant: Instant::from_origin(passed), wall: wall.checked_add(passed).unwrap(), zone: TimeZone::UTC }
}

fn json(status: u16, body: &serde_json::Value) -> Answer {
    answer(status, "Content-Type: application/json\r\n", &body.to_string())
}

/// A token that lives for 75 minutes.
fn granted(token: &str) -> Answer {
    json(200, &serde_json::json!({"token_type": "Bearer", "expires_in": 4500, "access_token": token}))
}

fn id_token(oid: &str) -> String {
    let claims = serde_json::json!({"oid": oid, "tid": "tenant-id", "preferred_username": "me@contoso.com"});
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A token with a refresh token and the user `oid`.
fn delegated(token: &str, refresh_token: &str, oid: &str) -> Answer {
    json(
        200,
        &serde_json::json!({"token_type": "Bearer", "expires_in": 4500, "access_token": token,
                            "refresh_token": refresh_token, "id_token": id_token(oid)}),
    )
}

fn refused(error: &str, number: u32) -> Answer {
    json(
        400,
        &serde_json::json!({"error": error, "error_codes": [number], "trace_id": "7c4f",
                            "error_description": "AADSTS: me@contoso.com said the magic word"}),
    )
}

async fn bearer(authenticator: &Authenticator, now: &Now) -> Result<String, Failure> {
    authenticator.token(now, false).await.map(|token| token.bearer.expose_secret().to_owned())
}

#[tokio::test]
async fn an_application_gets_its_token_by_client_secret() {
    let (server, folder) = (Server::start([granted("t1")]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    let token = authenticator.token(&after(0), false).await.unwrap();
    assert_eq!((token.bearer.expose_secret(), token.user), ("t1", None));
    assert_eq!(token.expires_at, after(75).instant);
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /contoso.onmicrosoft.com/oauth2/v2.0/token HTTP/1.1");
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "22553876-f5ab-4529-bffb-cfe50aa89f87"),
        ("client_secret", "s3cret"),
        ("scope", "https://graph.microsoft.com/.default"),
        ("claims", CP1),
    ];
    assert_eq!(request.form(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// What is declared with each token request.
const CP1: &str = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;

#[tokio::test]
async fn the_next_token_is_asked_for_with_the_claims_of_a_challenge() {
    let challenge = r#"{"access_token": {"nbf": {"essential": true, "value": "7"}}}"#;
    let both = r#"{"access_token":{"nbf":{"essential":true,"value":"7"},"xms_cc":{"values":["cp1"]}}}"#;
    let folder = TempDir::new().unwrap();
    sign_in(&folder, "r1");
    for (name, auth) in
        [("work", Auth::DeviceCode), ("bot", Auth::ClientSecret { secret: SecretSource::Env("SECRET".to_owned()) })]
    {
        let server = Server::start([granted("t1"), answer(503, "", ""), granted("t2"), granted("t3")]).await;
        let authenticator = Authenticator::new(name, &account(&server, auth), &environment(&folder));
        let first = authenticator.token(&after(0), false).await.unwrap();
        assert!(authenticator.challenge(&first, challenge).await, "another token may do");
        // The one that was challenged is no good any more, however long it lives.
        assert_eq!(bearer(&authenticator, &after(1)).await.unwrap_err().kind, FailureKind::Passing);
        let second = authenticator.token(&after(2), false).await.unwrap();
        assert_eq!(second.bearer.expose_secret(), "t2");
        assert!(authenticator.challenge(&first, challenge).await, "by a request that was on its way");
        assert_eq!(bearer(&authenticator, &after(3)).await.as_deref(), Ok("t2"));
        assert!(!authenticator.challenge(&second, challenge).await, "none would do");
        assert!(!authenticator.challenge(&second, r#"{"access_token": null}"#).await, "nor for other claims");
        assert_eq!(bearer(&authenticator, &after(75)).await.as_deref(), Ok("t3"));
        let asked: Vec<_> = server.requests().iter().map(|request| request.field("claims").unwrap()).collect();
        assert_eq!(asked, [CP1, both, both, CP1], "{name}");
    }
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_nearly_over() {
    let (server, folder) =
        (Server::start([granted("t1"), granted("t2"), granted("t3")]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    // A tenth of 75 minutes is 7.5.
    for (minute, expected) in [(0, "t1"), (67, "t1"), (68, "t2"), (68 + 67, "t2"), (68 + 68, "t3")] {
        assert_eq!(bearer(&authenticator, &after(minute)).await.as_deref(), Ok(expected), "minute {minute}");
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn while_a_token_holds_a_passing_failure_to_renew_it_does_not_matter() {
    let answers = [granted("t1"), answer(503, "Retry-After: 240\r\n", ""), granted("t2")];
    let (server, folder) = (Server::start(answers).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    for (minute, expected, asked) in [(0, "t1", 1), (68, "t1", 2), (71, "t1", 2), (72, "t2", 3)] {
        assert_eq!(bearer(&authenticator, &after(minute)).await.as_deref(), Ok(expected), "minute {minute}");
        assert_eq!(server.requests().len(), asked, "minute {minute}");
    }
}

#[tokio::test]
async fn once_a_token_is_over_the_failure_to_renew_it_is_told() {
    let answers = [granted("t1"), answer(500, "", ""), refused("invalid_client", 7_000_222)];
    let (server, folder) = (Server::start(answers).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t1"));
    assert_eq!(bearer(&authenticator, &after(75)).await.unwrap_err().kind, FailureKind::Passing);
    assert_eq!(bearer(&authenticator, &after(76)).await.unwrap_err().kind, FailureKind::Refused);
}

#[tokio::test]
async fn ten_callers_cause_one_renewal() {
    let (server, folder) =
        (Server::start([granted("t1"), granted("t2"), granted("t3")]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    for (fresh, expected) in [(false, "t1"), (true, "t2")] {
        let calls = (0..10).map(|_| async { authenticator.token(&after(0), fresh).await });
        for token in futures_util::future::join_all(calls).await {
            assert_eq!(token.unwrap().bearer.expose_secret(), expected);
        }
    }
    assert_eq!(server.requests().len(), 2);
}

/// A row: the answer, the kind, words of the text, words of the hint (none: no hint).
type Row = (Answer, FailureKind, &'static str, &'static str);

#[tokio::test]
async fn every_error_of_the_sign_in_service_has_one_meaning() {
    use FailureKind::{Passing, Refused, Throttled};
    let rows: Vec<Row> = vec![
        (refused("invalid_client", 7_000_215), Refused, "the client secret is wrong", "Value, not its Secret ID"),
        (refused("invalid_client", 7_000_222), Refused, "has expired", "create a new one"),
        (refused("invalid_client", 1), Refused, "not accepted", "client_id"),
        (refused("unauthorized_client", 700_016), Refused, "no application with this client id", "client_id"),
        (refused("invalid_request", 90_002), Refused, "no such tenant", "`tenant`"),
        (refused("unauthorized_client", 1), Refused, "may not sign in this way", "app registration"),
        (refused("invalid_grant", 53_003), Refused, "Conditional Access", "administrator"),
        // Nobody can sign in to an account that an application signs in to.
        (refused("invalid_grant", 65_001), Refused, "consented", "administrator"),
        (refused("invalid_grant", 1), Refused, "over", "administrator"),
        (refused("never_heard_of", 1), Refused, "400 never_heard_of, trace 7c4f", "client_id"),
        (refused("temporarily_unavailable", 90_033), Passing, "busy", ""),
        (answer(500, "", "<html>"), Passing, "500", ""),
        (answer(503, "", ""), Passing, "503", ""),
        (answer(408, "", ""), Passing, "408", ""),
        (answer(429, "", "{}"), Throttled, "429", ""),
        (answer(404, "", "<html>"), Refused, "404", "endpoints.login"),
        (answer(400, "", r#"{"error": {"code": "x"}}"#), Refused, "400", "endpoints.login"),
        (answer(302, "Location: /portal\r\n", ""), Passing, "302", "this network"),
        (answer(200, "", "<html>Welcome to the hotel"), Passing, "not the expected JSON", "this network"),
        (answer(200, "", "{}"), Passing, "not the expected JSON", "this network"),
        (answer(200, "", &format!("{{\"access_token\": \"{}", "x".repeat(1 << 20))), Passing, "JSON", "this network"),
        (Answer::Close, Passing, "broke off", ""),
        (Answer::Reset, Passing, "broke off", ""),
    ];
    for (with, kind, text, hint) in rows {
        let (server, folder) = (Server::start([with]).await, TempDir::new().unwrap());
        let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
        let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
        assert_eq!((failure.kind, failure.applied), (kind, Applied::No), "{failure}");
        assert!(failure.text.contains(text), "{failure} / {text}");
        assert!(!format!("{failure:?}").contains("contoso"), "{failure:?}");
        match failure.hint {
            Some(said) => {
                assert!(!hint.is_empty() && said.contains(hint), "{}: {said}", failure.text);
            }
            None => assert_eq!(hint, "", "{}", failure.text),
        }
    }
}

#[tokio::test]
async fn throttling_says_how_long_to_wait() {
    let (server, folder) = (Server::start([answer(429, "Retry-After: 2.5\r\n", "")]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
    assert_eq!(failure.retry_after, Some(Duration::from_millis(2500)));
}

/// The client secret as sent, when it is read from `source`.
async fn secret_sent(folder: &TempDir, source: SecretSource) -> Result<String, Failure> {
    let server = Server::start([granted("t")]).await;
    let account = account(&server, Auth::ClientSecret { secret: source });
    Authenticator::new("bot", &account, &environment(folder)).token(&after(0), false).await?;
    Ok(server.requests()[0].field("client_secret").unwrap())
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_secret_comes_from_where_the_configuration_says() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret");
    write(&path, " a~b +&= \r\n", 0o600);
    for (source, expected) in [
        (SecretSource::File(path.clone()), " a~b +&= "),
        (SecretSource::Credential("secret".to_owned()), " a~b +&= "),
        (SecretSource::Env("SECRET".to_owned()), "s3cret"),
        (SecretSource::Command(vec!["/bin/echo".to_owned(), "printed".to_owned()]), "printed"),
    ] {
        assert_eq!(secret_sent(&folder, source).await.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn a_secret_that_is_missing_or_shown_to_others_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("open"), "s3cret", 0o640);
    write(&path("empty"), "\n", 0o600);
    std::fs::write(path("binary"), [0xff, 0xfe]).unwrap();
    std::fs::set_permissions(path("binary"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for (source, wrong) in [
        (SecretSource::File(path("open")), "can be read by others (mode 640)"),
        (SecretSource::File(path("empty")), "is empty"),
        (SecretSource::File(path("binary")), "cannot be read"),
        (SecretSource::File(path("missing")), "cannot be read"),
        (SecretSource::Credential("missing".to_owned()), "cannot be read"),
        (SecretSource::Env("UNSET".to_owned()), "`UNSET`"),
        (SecretSource::Command(vec!["/bin/true".to_owned()]), "prints nothing"),
    ] {
        let failure = secret_sent(&folder, source).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
        assert!(failure.text.contains(wrong), "{failure}");
        assert!(!format!("{failure:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_command_may_print_the_token() {
    let (server, folder) = (Server::start([]).await, TempDir::new().unwrap());
    let script = r#"echo '{"accessToken": "t", "expires_on": 1763974800, "expires_in": 600}'"#;
    let command = ["/bin/sh", "-c", script].map(ToOwned::to_owned).to_vec();
    let account = account(&server, Auth::TokenCommand { command });
    let authenticator = Authenticator::new("bot", &account, &environment(&folder));
    let token = authenticator.token(&after(0), false).await.unwrap();
    assert_eq!(token.bearer.expose_secret(), "t");

    let account = Account { auth: Auth::TokenCommand { command: vec!["/bin/false".to_owned()] }, ..account };
    let failure = bearer(&Authenticator::new("bot", &account, &environment(&folder)), &after(0)).await.unwrap_err();
    assert_eq!((failure.kind, failure.text.contains("/bin/false")), (FailureKind::Passing, true));
}

fn device_authorization() -> Answer {
    json(
        200,
        &serde_json::json!({"device_code": "d3vice", "user_code": "ABCD-1234", "interval": 1, "expires_in": 900,
                            "verification_uri": "https://microsoft.com/devicelogin", "message": "…"}),
    )
}

/// Signs somebody in: the file as `auth::login` leaves it.
fn sign_in(folder: &TempDir, refresh_token: &str) {
    let tokens = folder.path().join("state/tokens");
    std::fs::create_dir_all(&tokens).unwrap();
    let stored = serde_json::json!({"refresh_token": refresh_token, "user": "oid-1", "tenant": "tenant-id",
                                    "username": "me@contoso.com"});
    std::fs::write(tokens.join("work.json"), stored.to_string()).unwrap();
}

#[tokio::test]
async fn a_person_signs_in_with_a_code() {
    let (server, folder) =
        (Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await, TempDir::new().unwrap());
    let shown = Mutex::new(Vec::new());
    let show = |prompt: &auth::DevicePrompt| shown.lock().unwrap().push(prompt.clone());
    let signed_in =
        auth::login("work", &account(&server, Auth::DeviceCode), &environment(&folder), false, show).await.unwrap();
    assert_eq!(signed_in.user.as_deref(), Some("oid-1"));
    assert_eq!(signed_in.tenant.as_deref(), Some("tenant-id"));
    assert_eq!(signed_in.username.as_deref(), Some("me@contoso.com"));
    let prompt = auth::DevicePrompt {
        user_code: "ABCD-1234".to_owned(),
        verification_uri: "https://microsoft.com/devicelogin".to_owned(),
        expires_in: Duration::from_mins(15),
    };
    assert_eq!(*shown.lock().unwrap(), [prompt]);
    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /contoso.onmicrosoft.com/oauth2/v2.0/devicecode HTTP/1.1");
    let scope = "https://graph.microsoft.com/Presence.ReadWrite offline_access openid profile";
    assert_eq!(requests[0].field("scope").as_deref(), Some(scope));
    assert_eq!(requests[1].line, "POST /contoso.onmicrosoft.com/oauth2/v2.0/token HTTP/1.1");
    let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(requests[1].field("grant_type").as_deref(), Some(grant_type));
    assert_eq!(requests[1].field("device_code").as_deref(), Some("d3vice"));

    let renewing = Server::start([delegated("t2", "r2", "oid-1")]).await;
    let authenticator = Authenticator::new("work", &account(&renewing, Auth::DeviceCode), &environment(&folder));
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t2"));
    assert_eq!(renewing.requests()[0].field("refresh_token").as_deref(), Some("r1"));
    assert_eq!(renewing.requests()[0].field("scope").as_deref(), Some(scope));
    assert_eq!(renewing.requests()[0].field("claims").as_deref(), Some(CP1));
    only_its_owner_sees_the_sign_in(&folder);
}

#[tokio::test]
async fn a_sign_in_that_may_read_is_renewed_as_one_and_an_older_one_as_it_was() {
    let (server, folder) =
        (Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await, TempDir::new().unwrap());
    let config = account(&server, Auth::DeviceCode);
    auth::login("work", &config, &environment(&folder), true, |_| {}).await.unwrap();
    let scope = "https://graph.microsoft.com/Presence.ReadWrite https://graph.microsoft.com/Presence.Read \
                 offline_access openid profile";
    assert_eq!(server.requests()[0].field("scope").as_deref(), Some(scope));
    let renewing = Server::start([delegated("t2", "r2", "oid-1"), delegated("t3", "r3", "oid-1")]).await;
    let authenticator = Authenticator::new("work", &account(&renewing, Auth::DeviceCode), &environment(&folder));
    for _ in 0..2 {
        authenticator.token(&after(0), true).await.unwrap();
        assert_eq!(renewing.requests().last().unwrap().field("scope").as_deref(), Some(scope));
    }
    // To ask for more than was consented to would end the sign-in.
    sign_in(&folder, "of an older presenced");
    authenticator.token(&after(0), true).await.unwrap();
    let scope = renewing.requests().last().unwrap().field("scope");
    assert_eq!(scope.as_deref(), Some("https://graph.microsoft.com/Presence.ReadWrite offline_access openid profile"));
}

fn only_its_owner_sees_the_sign_in(folder: &TempDir) {
    let tokens = folder.path().join("state/tokens");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&tokens), mode(&tokens.join("work.json"))), (0o700, 0o600));
    let mut files: Vec<_> = std::fs::read_dir(&tokens).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["work.json", "work.lock"]);
}

#[tokio::test]
async fn each_renewal_uses_the_newest_refresh_token() {
    let folder = TempDir::new().unwrap();
    sign_in(&folder, "r1");
    let answers = [delegated("t1", "r2", "oid-1"), granted("t2"), delegated("t3", "r3", "oid-1")];
    let server = Server::start(answers).await;
    let authenticator = Authenticator::new("work", &account(&server, Auth::DeviceCode), &environment(&folder));
    for (minute, expected) in [(0, "t1"), (75, "t2"), (150, "t3")] {
        let token = authenticator.token(&after(minute), false).await.unwrap();
        // The second answer says nothing about the user.
        assert_eq!((token.bearer.expose_secret(), token.user.as_deref()), (expected, Some("oid-1")));
    }
    let used: Vec<_> = server.requests().iter().map(|request| request.field("refresh_token").unwrap()).collect();
    assert_eq!(used, ["r1", "r2", "r2"]);
    only_its_owner_sees_the_sign_in(&folder);
    let stored = std::fs::read(folder.path().join("state/tokens/work.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!((&stored["refresh_token"], &stored["username"]), (&"r3".into(), &"me@contoso.com".into()));
}

#[tokio::test]
async fn who_must_sign_in_is_told_how() {
    let folder = TempDir::new().unwrap();
    let server = Server::start([refused("invalid_grant", 1), refused("interaction_required", 50_076)]).await;
    let authenticator = Authenticator::new("work", &account(&server, Auth::DeviceCode), &environment(&folder));
    let must_sign_in = async |text: &str| {
        let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::SignInNeeded, "{failure}");
        assert_eq!(failure.hint.as_deref(), Some("run `presenced login work`"));
        assert!(failure.text.contains(text), "{failure}");
        assert!(!format!("{failure:?}").contains("r3fresh"));
    };
    must_sign_in("nobody is signed in to account `work`").await;
    sign_in(&folder, "r3fresh");
    must_sign_in("the sign-in is over").await;
    must_sign_in("AADSTS50076").await;
    for damage in ["", "{\"refresh_token\": \"r3fresh", "[]", "{}"] {
        std::fs::write(folder.path().join("state/tokens/work.json"), damage).unwrap();
        must_sign_in("is damaged").await;
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_sign_in_counts_at_once() {
    let folder = TempDir::new().unwrap();
    let server = Server::start([delegated("t1", "r2", "oid-1")]).await;
    let authenticator = Authenticator::new("work", &account(&server, Auth::DeviceCode), &environment(&folder));
    assert_eq!(bearer(&authenticator, &after(0)).await.unwrap_err().kind, FailureKind::SignInNeeded);
    sign_in(&folder, "r1");
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t1"));
}

#[tokio::test]
async fn signing_out_forgets_one_account() {
    let folder = TempDir::new().unwrap();
    let environment = environment(&folder);
    let signed_out = async |account| auth::logout(account, TokenStore::Auto, &environment, || ()).await.unwrap();
    assert!(!signed_out("work").await);
    sign_in(&folder, "r1");
    assert!(!signed_out("../tokens/work").await);
    assert!(!signed_out("other").await);
    assert!(signed_out("work").await);
    assert!(!folder.path().join("state/tokens/work.json").exists());
    assert!(!signed_out("work").await);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("state"), "a file where a folder should be").unwrap();
    let server = Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await;
    let signed_in =
        auth::login("work", &account(&server, Auth::DeviceCode), &environment(&folder), false, |_| {}).await;
    let failure = signed_in.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.text.contains("state/tokens/work.json cannot be written"), "{failure}");
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let (server, folder) = (Server::start([granted("t0ken")]).await, TempDir::new().unwrap());
    let command = ["/bin/echo", "s3cret"].map(ToOwned::to_owned).to_vec();
    let account = account(&server, Auth::ClientSecret { secret: SecretSource::Command(command) });
    let authenticator = Authenticator::new("bot", &account, &environment(&folder));
    // Once without a log: an event that another test's thread meets first may be off for this one's log.
    authenticator.token(&after(0), true).await.unwrap();

    let log = folder.path().join("log");
    let file = Arc::new(std::fs::File::create(&log).unwrap());
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(file).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let token = authenticator.token(&after(0), true).await.unwrap();
    drop(logging);
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(logged.contains("token renewed"), "{logged}");
    let shown = format!("{authenticator:?} {token:?} {logged}");
    assert!(!shown.contains("t0ken") && !shown.contains("s3cret"), "{shown}");
}
