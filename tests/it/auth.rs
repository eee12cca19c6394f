//! Sign-in against a server that answers as Entra ID does: each way to a token, each error, and what is kept on disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::future::{pending, ready};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use jiff::tz::TimeZone;
use presenced::auth::{self, Authenticator, Prompt};
use presenced::config::{Account, Auth, Cloud, Endpoints, Environment, SecretSource, TokenStore};
use presenced::failure::{Applied, Failure, FailureKind};
use presenced::time::{Instant, Now};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::canned::{Answer, Server, answer};

pub(crate) fn environment(folder: &TempDir) -> Environment {
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
        secret_vars: Vec::new(),
    }
}

pub(crate) fn account(server: &Server, auth: Auth) -> Account {
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
pub(crate) fn after(minutes: u64) -> Now {
    let wall: jiff::Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    let passed = Duration::from_mins(minutes);
    Now { instant: Instant::from_origin(passed), wall: wall.checked_add(passed).unwrap(), zone: TimeZone::UTC }
}

fn json(status: u16, body: &serde_json::Value) -> Answer {
    answer(status, "Content-Type: application/json\r\n", &body.to_string())
}

/// A token that lives for 75 minutes.
pub(crate) fn granted(token: &str) -> Answer {
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
        [("work", Auth::Browser), ("bot", Auth::ClientSecret { secret: SecretSource::Env("SECRET".to_owned()) })]
    {
        let server = Server::start([granted("t1"), answer(503, "", ""), granted("t2"), granted("t3")]).await;
        let authenticator = Authenticator::new(name, &account(&server, auth), &environment(&folder));
        let first = authenticator.token(&after(0), false).await.unwrap();
        assert!(authenticator.challenge(&first, challenge), "another token may do");
        // The one that was challenged is no good any more, however long it lives.
        assert_eq!(bearer(&authenticator, &after(1)).await.unwrap_err().kind, FailureKind::Passing);
        let second = authenticator.token(&after(2), false).await.unwrap();
        assert_eq!(second.bearer.expose_secret(), "t2");
        assert!(authenticator.challenge(&first, challenge), "by a request that was on its way");
        assert_eq!(bearer(&authenticator, &after(3)).await.as_deref(), Ok("t2"));
        assert!(!authenticator.challenge(&second, challenge), "none would do");
        assert!(!authenticator.challenge(&second, r#"{"access_token": null}"#), "nor for other claims");
        assert_eq!(bearer(&authenticator, &after(77)).await.as_deref(), Ok("t3"));
        let asked: Vec<_> = server.requests().iter().map(|request| request.field("claims").unwrap()).collect();
        assert_eq!(asked, [CP1, both, both, CP1], "{name}");
    }
}

/// Asks at `now` until the renewal in the background has brought `token`.
async fn renewed_to(authenticator: &Authenticator, now: &Now, token: &str) {
    while bearer(authenticator, now).await.as_deref() != Ok(token) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_nearly_over() {
    let (server, folder) =
        (Server::start([granted("t1"), granted("t2"), granted("t3")]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    // A tenth of 75 minutes is 7.5.
    for (minute, expected, asked) in
        [(0, "t1", 1), (67, "t1", 1), (68, "t2", 2), (68 + 67, "t2", 2), (68 + 68, "t3", 3)]
    {
        renewed_to(&authenticator, &after(minute), expected).await;
        assert_eq!(server.requests().len(), asked, "minute {minute}");
    }
}

#[tokio::test]
async fn a_sign_in_service_that_hangs_holds_nobody_up_while_the_token_holds() {
    let (server, folder) = (Server::start([granted("t1"), Answer::Hang]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t1"));
    for asking in 0..20 {
        // At once: it is not even waited for a turn of the runtime.
        let token = bearer(&authenticator, &after(68)).now_or_never();
        assert_eq!(token.expect("waited for the renewal").as_deref(), Ok("t1"), "{asking}");
    }
    server.asked(2).await;
    // Once it is over nothing but a new one will do, and after a sleep not the one that hangs.
    assert_eq!(bearer(&authenticator, &after(75)).now_or_never(), None);
    assert_eq!(server.requests().len(), 2);
    authenticator.abandon_renewal();
    let waits = tokio::spawn(async move { bearer(&authenticator, &after(75)).await });
    server.asked(3).await;
    waits.abort();
}

#[tokio::test]
async fn while_a_token_holds_a_passing_failure_to_renew_it_does_not_matter() {
    let answers = [granted("t1"), answer(503, "Retry-After: 240\r\n", ""), granted("t2")];
    let (server, folder) = (Server::start(answers).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    for (minute, expected, asked) in [(0, "t1", 1), (68, "t1", 2), (71, "t1", 2), (72, "t2", 3)] {
        renewed_to(&authenticator, &after(minute), expected).await;
        server.asked(asked).await;
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
        (refused("invalid_request", 90_002), Refused, "the tenant does not exist", "`tenant`"),
        (refused("unauthorized_client", 1), Refused, "may not sign in this way", "app registration"),
        (refused("invalid_grant", 53_003), Refused, "Conditional Access", "administrator"),
        // Nobody can sign in to an account that an application signs in to.
        (refused("invalid_grant", 65_001), Refused, "consented", "administrator"),
        (refused("invalid_grant", 1), Refused, "the sign-in has ended", "administrator"),
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
        (answer(200, "", ""), Passing, "not the expected JSON", "this network"),
        (answer(200, "", "\0\u{1b}[2J\u{7f}"), Passing, "not the expected JSON", "this network"),
        (answer(200, "", r#"{"access_token": "t", "expi"#), Passing, "not the expected JSON", "this network"),
        (json(200, &serde_json::json!({"error": "invalid_client"})), Refused, "200 invalid_client", "client_id"),
        (granted("t\r\nX-Evil: 1"), Refused, "not allowed in a token", "this network"),
        (granted("tökén"), Refused, "not allowed in a token", "this network"),
        (granted(""), Refused, "not allowed in a token", "this network"),
        (
            json(200, &serde_json::json!({"token_type": "pop", "access_token": "t"})),
            Refused,
            "not a bearer token",
            "this network",
        ),
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
async fn what_a_service_says_of_a_lifetime_is_read_with_sense() {
    let days = |days: u64| Duration::from_hours(24 * days);
    for (said, lives) in [
        ("3600", Duration::from_hours(1)),
        (r#""3600""#, Duration::from_hours(1)),
        ("90.5", Duration::from_millis(90_500)),
        ("0", Duration::ZERO),
        ("-1", Duration::ZERO),
        (r#""-3600""#, Duration::ZERO),
        ("99999999999999999999999", days(7)),
        ("1e300", days(7)),
        (r#""inf""#, days(7)),
        // Not said: five minutes.
        ("null", Duration::from_mins(5)),
        (r#""NaN""#, Duration::from_mins(5)),
        (r#""soon""#, Duration::from_mins(5)),
        ("[3600]", Duration::from_mins(5)),
        (r#"{"a": 1}"#, Duration::from_mins(5)),
    ] {
        // Neither the media type nor what else is there matters.
        let body = format!(r#"{{"access_token": "t", "expires_in": {said}, "token_type": "bearer"}}"#);
        let (server, folder) =
            (Server::start([answer(200, "Content-Type: text/html\r\n", &body)]).await, TempDir::new().unwrap());
        let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
        let token = authenticator.token(&after(0), false).await.unwrap();
        assert_eq!(token.expires_at.saturating_since(after(0).instant), lives, "{said}");
    }
}

#[tokio::test]
async fn a_secret_goes_to_no_other_address() {
    let folder = TempDir::new().unwrap();
    sign_in(&folder, "r3fresh");
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start([granted("t")]).await;
        let location = format!("Location: {}\r\n", elsewhere.url);
        let server = Server::start([answer(status, &location, "")]).await;
        for (name, config) in [("bot", client_secret(&server)), ("work", account(&server, Auth::DeviceCode))] {
            let authenticator = Authenticator::new(name, &config, &environment(&folder));
            let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Passing);
            assert_eq!(failure.text, format!("the sign-in service answered with {status}"));
        }
        assert_eq!(elsewhere.requests().len(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_wait_that_nobody_can_mean_is_a_day_at_most_and_no_longer_than_the_token() {
    let absurd = "Retry-After: 99999999999999999999\r\n";
    let answers = [answer(429, absurd, ""), granted("t1"), answer(429, absurd, ""), granted("t2")];
    let (server, folder) = (Server::start(answers).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry_after), (FailureKind::Throttled, Some(Duration::from_hours(24))));
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t1"));
    assert_eq!(bearer(&authenticator, &after(70)).await.as_deref(), Ok("t1"));
    server.asked(3).await;
    assert_eq!(bearer(&authenticator, &after(75)).await.as_deref(), Ok("t2"));
}

#[tokio::test]
async fn nothing_is_shown_that_is_no_code_and_no_web_page() {
    let folder = TempDir::new().unwrap();
    for (code, page, wrong) in [
        ("ABCD\u{1b}[2J", "https://microsoft.com/devicelogin", "a code that cannot be typed"),
        ("ABCD\n1234", "https://microsoft.com/devicelogin", "a code that cannot be typed"),
        ("\u{202e}4321", "https://microsoft.com/devicelogin", "a code that cannot be typed"),
        ("", "https://microsoft.com/devicelogin", "a code that cannot be typed"),
        (&"A".repeat(65), "https://microsoft.com/devicelogin", "a code that cannot be typed"),
        ("ABCD-1234", "javascript:alert(1)", "a sign-in page that is not a web page"),
        ("ABCD-1234", "file:///etc/passwd", "a sign-in page that is not a web page"),
        ("ABCD-1234", "https://microsoft.com/\u{1b}]8;;", "a sign-in page that is not a web page"),
        ("ABCD-1234", "https://microsoft.com/a\nb", "a sign-in page that is not a web page"),
        ("ABCD-1234", "microsoft.com/devicelogin", "a sign-in page that is not a web page"),
        ("ABCD-1234", "", "a sign-in page that is not a web page"),
    ] {
        for field in ["verification_uri", "verification_uri_complete"] {
            let mut prompt = serde_json::json!({"device_code": "d3vice", "user_code": code, "expires_in": 900,
                                                "verification_uri": "https://microsoft.com/devicelogin"});
            prompt[field] = page.into();
            let server = Server::start([json(200, &prompt)]).await;
            let show = |prompt: &Prompt| panic!("shown: {prompt:?}");
            let config = account(&server, Auth::DeviceCode);
            let signed_in = auth::login("work", &config, &environment(&folder), false, show, pending()).await;
            let failure = signed_in.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Refused);
            assert_eq!(failure.text, format!("the sign-in service returned {wrong}"));
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
pub(crate) fn sign_in(folder: &TempDir, refresh_token: &str) {
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
    let show = |prompt: &Prompt| shown.lock().unwrap().push(prompt.clone());
    let config = account(&server, Auth::DeviceCode);
    let (signed_in, _) = auth::login("work", &config, &environment(&folder), false, show, pending()).await.unwrap();
    assert_eq!(signed_in.user.as_deref(), Some("oid-1"));
    assert_eq!(signed_in.tenant.as_deref(), Some("tenant-id"));
    assert_eq!(signed_in.username.as_deref(), Some("me@contoso.com"));
    let prompt = auth::DevicePrompt {
        user_code: "ABCD-1234".to_owned(),
        verification_uri: "https://microsoft.com/devicelogin".to_owned(),
        verification_uri_complete: None,
        expires_in: Duration::from_mins(15),
    };
    assert_eq!(*shown.lock().unwrap(), [Prompt::Code(prompt)]);
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
    auth::login("work", &config, &environment(&folder), true, |_| {}, pending()).await.unwrap();
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

/// The stored sign-in, as it is on disk.
fn stored(folder: &TempDir) -> Option<String> {
    std::fs::read_to_string(folder.path().join("state/tokens/work.json")).ok()
}

#[tokio::test]
async fn a_sign_in_that_is_not_to_be_leaves_the_one_there_was() {
    let somebody_else = vec![device_authorization(), delegated("t2", "r2", "oid-2")];
    let nothing_to_keep = vec![device_authorization(), granted("t2")];
    let declined = vec![device_authorization(), refused("authorization_declined", 65_004)];
    let blocked = vec![refused("invalid_grant", 53_003)];
    for (answers, kind, text, hint) in [
        (somebody_else, FailureKind::Refused, "for the user OID-1, but somebody else signed in", "remove `user`"),
        (nothing_to_keep, FailureKind::Refused, "no refresh token", "offline_access"),
        (declined, FailureKind::SignInNeeded, "declined", "presenced login work"),
        (blocked, FailureKind::Refused, "AADSTS53003", "auth = { method = \"browser\" }"),
    ] {
        let (server, folder) = (Server::start(answers).await, TempDir::new().unwrap());
        sign_in(&folder, "r1");
        let before = stored(&folder);
        let config = Account { user: Some("OID-1".to_owned()), ..account(&server, Auth::DeviceCode) };
        let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, pending()).await;
        let failure = signed_in.unwrap_err();
        assert_eq!((failure.kind, failure.text.contains(text)), (kind, true), "{failure}");
        assert!(failure.hint.as_ref().is_some_and(|said| said.contains(hint)), "{failure:?}");
        assert_eq!(stored(&folder), before, "{text}");
    }
}

#[tokio::test]
async fn where_the_tenant_lets_no_code_in_the_browser_is_named_at_the_sign_in_and_at_the_renewal() {
    for number in [50_005, 50_097, 50_199, 53_000, 53_003, 530_031, 530_033, 530_036] {
        let folder = TempDir::new().unwrap();
        let server = Server::start([refused("invalid_grant", number)]).await;
        let config = account(&server, Auth::DeviceCode);
        let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, pending()).await;
        sign_in(&folder, "r1");
        let renewal = async |config: &Account| {
            let authenticator = Authenticator::new("work", config, &environment(&folder));
            bearer(&authenticator, &after(0)).await.unwrap_err()
        };
        for failure in [signed_in.unwrap_err(), renewal(&config).await] {
            let hint = failure.hint.as_deref().unwrap_or_default();
            assert!(hint.contains("`auth = { method = \"browser\" }`"), "{number}: {hint}");
        }
        let hint = renewal(&Account { auth: Auth::Browser, ..config }).await.hint.unwrap_or_default();
        assert!(!hint.contains("\"browser\""), "{number}: {hint}");
    }
}

#[tokio::test]
async fn a_sign_in_can_be_cancelled_while_it_waits() {
    for auth in [Auth::DeviceCode, Auth::Browser] {
        let (server, folder) =
            (Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await, TempDir::new().unwrap());
        let config = account(&server, auth);
        let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, ready(())).await;
        let failure = signed_in.unwrap_err();
        assert_eq!((failure.kind, failure.text.contains("cancelled")), (FailureKind::SignInNeeded, true), "{failure}");
        assert_eq!(stored(&folder), None);
    }
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
    must_sign_in("the sign-in has ended").await;
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
async fn a_renewal_under_way_does_not_undo_a_sign_in() {
    let folder = TempDir::new().unwrap();
    sign_in(&folder, "r1");
    let signed_in = Arc::new(Notify::new());
    let slow = Answer::After(Arc::clone(&signed_in), Box::new(delegated("t1", "r2", "oid-1")));
    let server = Server::start([slow, delegated("t2", "n2", "oid-2")]).await;
    let config = account(&server, Auth::DeviceCode);
    let old = Authenticator::new("work", &config, &environment(&folder));
    let renewal = async { bearer(&old, &after(0)).await };
    let signing_in = async {
        server.asked(1).await;
        sign_in(&folder, "n1");
        signed_in.notify_one();
    };
    let (renewed, ()) = tokio::join!(renewal, signing_in);
    assert_eq!(renewed.as_deref(), Ok("t1"), "of who was signed in when it was asked for");
    // One that the daemon begins with after the sign-in, and one that was there all the time.
    let new = Authenticator::new("work", &config, &environment(&folder)).token(&after(0), false).await.unwrap();
    assert_eq!((new.bearer.expose_secret(), new.user.as_deref()), ("t2", Some("oid-2")));
    assert_eq!(old.token(&after(0), true).await.unwrap().user.as_deref(), Some("oid-2"));
    let used: Vec<_> = server.requests().iter().map(|request| request.field("refresh_token").unwrap()).collect();
    assert_eq!(used, ["r1", "n1", "n2"]);
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
    let config = account(&server, Auth::DeviceCode);
    let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, pending()).await;
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
