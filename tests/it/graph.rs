//! The Graph client against a server that gives each answer Graph is known to give, and some it is not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use presenced::failure::{Applied, Failure, FailureKind, Missing, Permission};
use presenced::graph::Client;
use presenced::presence::{Expiration, Presence};
use presenced::session::Seen;
use secrecy::SecretString;
use tracing::field::Empty;
use tracing::{Instrument as _, error_span};

use crate::stage::canned::{Answer, Server, answer};

const USER: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";
const SESSION: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";

fn client(server: &Server) -> Client {
    Client::new(&server.url.join("v1.0").unwrap()).unwrap()
}

async fn set(client: &Client) -> Result<(), Failure> {
    client.set_presence(&"b3arer".into(), USER, SESSION, Presence::InACall, Expiration::default()).await
}

async fn clear(client: &Client) -> Result<(), Failure> {
    client.clear_presence(&"b3arer".into(), USER, SESSION).await
}

async fn set_answered(with: Answer) -> Result<(), Failure> {
    set(&client(&Server::start([with]).await)).await
}

/// Graph's error body with `code`.
fn error(code: &str) -> String {
    format!(r#"{{"error": {{"code": "{code}", "message": "", "innerError": {{"date": "2026-11-24T08:00:00"}}}}}}"#)
}

/// Graph's error body for a missing resource. Source: microsoft-graph-docs-contrib, issue 3331.
fn missing(resource: &str) -> String {
    let message = format!(
        "Resource '{resource}' does not exist or one of its queried reference-property objects are not present."
    );
    serde_json::json!({"error": {"code": "Request_ResourceNotFound", "message": message}}).to_string()
}

#[tokio::test]
async fn a_presence_is_set_as_graph_documents_it() {
    let server = Server::start([answer(200, "", "")]).await;
    set(&client(&server)).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line, format!("POST /v1.0/users/{USER}/presence/setPresence HTTP/1.1"));
    assert_eq!(
        request.body,
        format!(
            r#"{{"sessionId":"{SESSION}","availability":"Busy","activity":"InACall","expirationDuration":"PT15M"}}"#
        )
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some("Bearer b3arer"));
    assert_eq!(request.header("user-agent"), Some(concat!("presenced/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn a_session_is_cleared_as_graph_documents_it() {
    let server = Server::start([answer(200, "", "")]).await;
    clear(&client(&server)).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line, format!("POST /v1.0/users/{USER}/presence/clearPresence HTTP/1.1"));
    assert_eq!(request.body, format!(r#"{{"sessionId":"{SESSION}"}}"#));
}

#[tokio::test]
async fn a_preferred_presence_is_set_and_cleared_as_graph_documents_it() {
    let server = Server::start([answer(200, "", "")]).await;
    let client = client(&server);
    for (presence, pair) in [
        (Presence::Available, "Available"),
        (Presence::InACall, "Busy"),
        (Presence::InAConferenceCall, "Busy"),
        (Presence::Away, "Away"),
        (Presence::Presenting, "DoNotDisturb"),
    ] {
        client.set_preferred_presence(&"b3arer".into(), USER, presence, Expiration::default()).await.unwrap();
        let request = server.requests().pop().unwrap();
        assert_eq!(request.line, format!("POST /v1.0/users/{USER}/presence/setUserPreferredPresence HTTP/1.1"));
        let body = format!(r#"{{"availability":"{pair}","activity":"{pair}","expirationDuration":"PT15M"}}"#);
        assert_eq!(request.body, body);
    }
    client.clear_preferred_presence(&"b3arer".into(), USER).await.unwrap();
    let request = server.requests().pop().unwrap();
    assert_eq!(request.line, format!("POST /v1.0/users/{USER}/presence/clearUserPreferredPresence HTTP/1.1"));
    assert_eq!(request.body, "{}");
}

#[tokio::test]
async fn a_404_to_clearing_the_preferred_presence_is_a_failure() {
    let server = Server::start([answer(404, "", "")]).await;
    let failure = client(&server).clear_preferred_presence(&"t".into(), USER).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.text.contains("clearUserPreferredPresence with 404"), "{failure}");
}

#[tokio::test]
async fn what_others_see_is_read_leniently() {
    let body =
        r#"{"@odata.context": "…", "id": "x", "availability": "busyidle", "activity": "Daydreaming", "new": {}}"#;
    let server = Server::start([answer(200, "", body)]).await;
    let seen = client(&server).read_presence(&"b3arer".into(), USER).await.unwrap();
    assert_eq!(seen, Seen::new("BusyIdle", "Daydreaming"));
    let request = &server.requests()[0];
    assert_eq!(request.line, format!("GET /v1.0/users/{USER}/presence HTTP/1.1"));
    assert_eq!((request.header("authorization"), request.body.as_str()), (Some("Bearer b3arer"), ""));
    assert!(request.header("client-request-id").is_some());

    for (with, kind, words) in [
        (answer(200, "", "<html>"), FailureKind::Passing, "contains no presence"),
        (answer(200, "", r#"{"availability": 7}"#), FailureKind::Passing, "contains no presence"),
        (answer(204, "", ""), FailureKind::Passing, "contains no presence"),
        (answer(503, "", ""), FailureKind::Passing, "GET presence with 503"),
        (answer(429, "Retry-After: 7\r\n", ""), FailureKind::Throttled, "GET presence with 429"),
        (answer(404, "", ""), FailureKind::Refused, "GET presence with 404"),
        (answer(403, "", &error("Forbidden")), FailureKind::Refused, "GET presence with 403 Forbidden"),
    ] {
        let failure = client(&Server::start([with]).await).read_presence(&"t".into(), USER).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(words), "{failure}");
        let names_it = failure.hint.is_some_and(|hint| hint.contains("`Presence.Read`") && hint.contains("login"));
        assert_eq!(names_it, words.contains("403"));
    }
}

#[tokio::test]
async fn each_request_has_an_id_of_its_own_and_a_burst_one_connection() {
    let server = Server::start([answer(200, "", "")]).await;
    let client = client(&server);
    set(&client).await.unwrap();
    clear(&client).await.unwrap();
    let requests = server.requests();
    let ids: Vec<uuid::Uuid> =
        requests.iter().map(|request| request.header("client-request-id").unwrap().parse().unwrap()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(requests[1].connection, 0);
}

#[tokio::test]
async fn a_user_is_one_segment_of_the_path() {
    let server = Server::start([answer(200, "", "")]).await;
    let client = client(&server);
    for (user, path) in [("a/../b?c#d", "a%2F..%2Fb%3Fc%23d"), ("ü ser@x.org", "%C3%BC%20ser@x.org"), ("%2e", "%252e")]
    {
        client.clear_presence(&"t".into(), user, SESSION).await.unwrap();
        let line = server.requests().last().unwrap().line.clone();
        assert_eq!(line, format!("POST /v1.0/users/{path}/presence/clearPresence HTTP/1.1"));
    }
    let asked = server.requests().len();
    for user in ["", ".", ".."] {
        let failure = client.clear_presence(&"t".into(), user, SESSION).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.hint.unwrap().contains("object id"));
    }
    assert_eq!(server.requests().len(), asked);
}

#[tokio::test]
async fn any_2xx_is_a_success_with_any_body() {
    for with in [
        answer(200, "", "{\"value\": true}"),
        answer(200, "Content-Type: text/html\r\n", "<html>junk"),
        answer(204, "", ""),
        answer(202, "", "null"),
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nthe rest never comes".to_vec()),
    ] {
        assert_eq!(set_answered(with).await, Ok(()));
    }
}

/// A row: the answer, then its outcome, and a word of the hint (empty: no hint).
type Row = (u16, &'static str, String, FailureKind, Applied, &'static str);

#[tokio::test]
async fn every_answer_has_one_meaning() {
    use Applied::{No, Perhaps};
    use FailureKind::{Passing, Refused, SignInNeeded, Throttled, TokenRefused};
    const GATE: &str = "WWW-Authenticate: Bearer realm=\"\", authorization_uri=\"https://login.example/authorize\"\r\n";
    const CLAIMS: &str = "WWW-Authenticate: Basic\r\nWWW-Authenticate: Bearer realm=\"\", error=\"insufficient_claims\", claims=\"e30=\"\r\n";
    const NO_CLAIMS: &str = "WWW-Authenticate: Bearer realm=\"\", error=\"insufficient_claims\"\r\n";
    let rows: Vec<Row> = vec![
        (500, "", error("InternalServerError"), Passing, Perhaps, ""),
        (502, "", "<html>Bad Gateway".to_owned(), Passing, Perhaps, ""),
        (503, "", error("ServiceUnavailable"), Passing, Perhaps, ""),
        (504, "", String::new(), Passing, Perhaps, ""),
        (599, "", "x".repeat(1 << 20), Passing, Perhaps, ""),
        (408, "", String::new(), Passing, Perhaps, ""),
        (429, "", error("TooManyRequests"), Throttled, No, ""),
        (401, "", error("ServiceError"), Passing, Perhaps, ""),
        (401, GATE, error("ServiceError"), Passing, Perhaps, ""),
        (401, GATE, error("InvalidAuthenticationToken"), TokenRefused, No, ""),
        (401, "", error("InvalidAuthenticationToken"), TokenRefused, No, ""),
        (401, "", error("Authentication_ExpiredToken"), TokenRefused, No, ""),
        (401, GATE, error("Unauthorized"), TokenRefused, No, ""),
        (401, GATE, String::new(), TokenRefused, No, ""),
        (401, "", String::new(), TokenRefused, No, ""),
        (401, "", error(""), TokenRefused, No, ""),
        (401, "", "not JSON".to_owned(), TokenRefused, No, ""),
        (401, "", error("Unauthorized"), Refused, No, "leave `user` out"),
        (401, "", error("Forbidden"), Refused, No, "leave `user` out"),
        (401, CLAIMS, error("InvalidAuthenticationToken"), TokenRefused, No, ""),
        (401, CLAIMS, error("ServiceError"), TokenRefused, No, ""),
        (401, NO_CLAIMS, error("InvalidAuthenticationToken"), SignInNeeded, No, "presenced login"),
        (403, "", error("Forbidden"), Refused, No, "Presence.ReadWrite.All"),
        (403, "", String::new(), Refused, No, "Presence.ReadWrite.All"),
        (400, "", error("InvalidArgument"), Refused, No, "client_id"),
        (400, "", error("BadRequest"), Refused, No, "a work or school account"),
        (404, "", error("Request_ResourceNotFound"), Refused, No, "does not exist in this tenant"),
        (404, "", missing("fa8bf3dc-eca7-46b7-bad1-db199b62afc3"), Refused, No, "does not exist in this tenant"),
        (404, "", missing("presence"), Refused, No, "this cloud has no presence"),
        (404, "", error("NotFound"), Refused, No, "does not exist in this tenant"),
        (404, "", String::new(), Refused, No, "does not exist in this tenant"),
        (404, "", "<html>nginx".to_owned(), Refused, No, "endpoints.graph"),
        (405, "", String::new(), Refused, No, ""),
        (413, "", "[1, 2".to_owned(), Refused, No, ""),
        (302, "Location: http://127.0.0.1:1/portal\r\n", String::new(), Passing, No, "captive portal"),
        (307, "Location: /elsewhere\r\n", String::new(), Passing, No, "captive portal"),
        (304, "", String::new(), Passing, No, "captive portal"),
    ];
    for (status, headers, body, kind, applied, hint) in rows {
        let row = format!("{status} {headers}{}", &body[..body.len().min(60)]);
        let failure = set_answered(answer(status, headers, &body)).await.unwrap_err();
        assert_eq!((failure.kind, failure.applied, failure.retry_after), (kind, applied, None), "{row}");
        match failure.hint {
            Some(said) => assert!(!hint.is_empty() && said.contains(hint), "{row}: {said}"),
            None => assert_eq!(hint, "", "{row}"),
        }
    }
}

#[tokio::test]
async fn missing_permissions_are_reported() {
    const CLAIMS: &str = "WWW-Authenticate: Bearer error=\"insufficient_claims\", claims=\"eyJhIjogMX0=\"\r\n";
    for (status, headers, body, missing) in [
        (401, CLAIMS, error("InvalidAuthenticationToken"), Some(Missing::Claims(r#"{"a": 1}"#.to_owned()))),
        (401, "", error("Unauthorized"), Some(Missing::User)),
        (401, "", error("InvalidAuthenticationToken"), None),
        (401, "", error("ServiceError"), None),
        (403, "", String::new(), Some(Missing::Permission(Permission::Write))),
        (404, "", error("NotFound"), None),
        (503, CLAIMS, String::new(), None),
    ] {
        let failure = set_answered(answer(status, headers, &body)).await.unwrap_err();
        assert_eq!(failure.missing.map(|found| *found), missing, "{status} {body}");
    }
}

#[tokio::test]
async fn a_failure_is_one_sentence() {
    let with = answer(403, "", &error("Forbidden"));
    let failure = set_answered(with).await.unwrap_err();
    assert_eq!(failure.text, "Microsoft Graph answered setPresence with 403 Forbidden");

    let nasty = answer(400, "", &error(&format!("\\u001b[2J{}", "x".repeat(100))));
    let failure = set_answered(nasty).await.unwrap_err();
    assert_eq!(failure.text, format!("Microsoft Graph answered setPresence with 400 [2J{}", "x".repeat(61)));
}

#[tokio::test]
async fn each_answer_is_logged_with_what_support_asks_for_and_no_token() {
    let headers = "request-id: 61cce29a\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-ms-ags-diagnostic: Ring 5\r\n";
    let answers = [answer(200, headers, ""), answer(403, headers, &error("Forbidden")), Answer::Close];
    let server = Server::start(answers.clone()).await;
    let client = client(&server);
    let set =
        async || set(&client).instrument(error_span!("sent", client_request_id = Empty, request_id = Empty)).await;
    // As long as there is only one log, an event that another test's thread reaches first is disabled for it.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("log");
    let file = Arc::new(std::fs::File::create(&log).unwrap());
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE).with_writer(file).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    for _ in &answers {
        let _ = set().await;
    }
    drop(logging);
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(server.requests().len(), answers.len());
    for request in &server.requests() {
        assert!(log.contains(request.header("client-request-id").unwrap()), "{log}");
    }
    for expected in ["61cce29a", "Sun, 06 Nov 1994 08:49:37 GMT", "Ring 5", "status=200", "status=403", "elapsed"] {
        assert!(log.contains(expected), "{expected} is not in {log}");
    }
    assert!(!log.contains("b3arer") && !log.contains(USER), "{log}");
}

#[tokio::test]
async fn the_message_decides_nothing_and_is_not_repeated() {
    let body = r#"{"error": {"code": "Forbidden", "message": "someone@contoso.com: ServiceError"}}"#;
    let failure = set_answered(answer(403, "", body)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(!format!("{failure:?}").contains("contoso"));
}

#[tokio::test]
async fn retry_after_is_read_in_all_its_forms() {
    for (headers, expected) in [
        ("Retry-After: 30\r\n", Some(Duration::from_secs(30))),
        ("Retry-After: 2.128\r\n", Some(Duration::from_millis(2128))),
        (
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n",
            Some(Duration::from_mins(1)),
        ),
        ("Retry-After: 1000000\r\n", Some(Duration::from_hours(24))),
        ("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", Some(Duration::from_hours(24))),
        ("Retry-After: -5\r\n", None),
        ("Retry-After: tomorrow\r\n", None),
        ("", None),
    ] {
        for status in [429, 503] {
            let failure = set_answered(answer(status, headers, "")).await.unwrap_err();
            assert_eq!(failure.retry_after, expected, "{status} {headers}");
        }
    }
}

#[tokio::test]
async fn clearing_what_is_not_there_is_a_success_and_other_404s_are_not() {
    for (body, cleared) in [
        (String::new(), true),
        (error("NotFound"), true),
        (error("PresenceSessionNotFound"), true),
        (error("Request_ResourceNotFound"), false),
        (error("UserNotFound"), false),
        ("<html>nginx".to_owned(), false),
        ("{}".to_owned(), false),
    ] {
        let server = Server::start([answer(404, "", &body)]).await;
        let cleared_it = clear(&client(&server)).await;
        assert_eq!(cleared_it.is_ok(), cleared, "{body}");
        assert!(cleared_it.is_ok() || cleared_it.unwrap_err().kind == FailureKind::Refused, "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_never_came_may_have_been_applied() {
    for with in [Answer::Close, Answer::Reset, Answer::Bytes(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())] {
        let failure = set_answered(with).await.unwrap_err();
        assert_eq!((failure.kind, failure.applied), (FailureKind::Passing, Applied::Perhaps), "{failure}");
        assert!(failure.text.starts_with("127.0.0.1 broke off without an answer"), "{failure}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_has_applied_nothing() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(&format!("http://{free}/v1.0").parse().unwrap()).unwrap();
    let failure = set(&client).await.unwrap_err();
    assert_eq!((failure.kind, failure.applied), (FailureKind::Passing, Applied::No));
    assert!(failure.text.contains("no connection to 127.0.0.1"), "{failure}");
}

#[tokio::test]
async fn after_a_503_the_next_request_uses_a_new_connection() {
    let server = Server::start([answer(500, "", ""), answer(503, "", ""), answer(200, "", "")]).await;
    let client = client(&server);
    for expected in [false, false, true, true] {
        assert_eq!(set(&client).await.is_ok(), expected);
    }
    let connections: Vec<usize> = server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1]);
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_is_refused() {
    let server = Server::start([answer(200, "", "")]).await;
    let bearer = SecretString::from("s3cret\r\nX-Evil: 1");
    let failure = client(&server).clear_presence(&bearer, USER, SESSION).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(!format!("{failure:?}").contains("s3cret"));
    assert!(server.requests().is_empty());
}
