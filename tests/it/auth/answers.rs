//! What each answer of a sign-in service means, and what a hostile one cannot do.

use std::future::pending;
use std::time::Duration;

use presenced::auth::{self, Authenticator, Prompt};
use presenced::config::Auth;
use presenced::failure::{Applied, FailureKind};
use tempfile::TempDir;

use crate::stage::canned::{Answer, Server, answer};
use crate::stage::entra::{account, after, bearer, client_secret, environment, granted, json, refused, sign_in};

/// A row: the answer, the kind, words of the text, words of the hint (empty: no hint).
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
        // People cannot sign in to an application's account.
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

/// The number is the one thing that an administrator can look up, so it is shown with whatever it comes.
#[tokio::test]
async fn a_number_that_is_not_in_the_table_is_shown_with_where_to_look_it_up() {
    use FailureKind::{Passing, Refused, SignInNeeded, Throttled};
    const PAGE: &str = "https://login.microsoftonline.com/error?code=1234567";
    let body = |error: &str| serde_json::json!({"error": error, "error_codes": [1_234_567], "trace_id": "7c4f"});
    for (with, kind, text, hint) in [
        (json(400, &body("never_heard_of")), Refused, "(AADSTS1234567, 400 never_heard_of, trace 7c4f)", "`client_id`"),
        (json(200, &body("never_heard_of")), Refused, "(AADSTS1234567, 200 never_heard_of, trace 7c4f)", "`client_id`"),
        (json(400, &body("invalid_grant")), SignInNeeded, "(AADSTS1234567, 400 invalid_grant, trace 7c4f)", "login"),
        (json(400, &body("server_error")), Passing, "(AADSTS1234567, 400 server_error, trace 7c4f)", ""),
        (json(408, &body("server_error")), Passing, "(AADSTS1234567, 408 server_error, trace 7c4f)", ""),
        (json(429, &body("x")), Throttled, "(AADSTS1234567, 429 x, trace 7c4f)", ""),
        (json(503, &body("server_error")), Passing, "(AADSTS1234567, 503 server_error, trace 7c4f)", ""),
    ] {
        let (server, folder) = (Server::start([with]).await, TempDir::new().unwrap());
        sign_in(&folder, "r1");
        let authenticator = Authenticator::new("work", &account(&server, Auth::DeviceCode), &environment(&folder));
        let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(text), "{failure} / {text}");
        let said = failure.hint.unwrap_or_default();
        assert!(said.contains(PAGE) && said.contains(hint), "{failure:?} / {said}", failure = failure.text);
    }
    // A number of the table explains itself, also with a status that decides.
    for (with, text) in [
        (refused("invalid_grant", 50_173), "(AADSTS50173, 400 invalid_grant, trace 7c4f)"),
        (json(500, &serde_json::json!({"error": "x", "error_codes": [50_173]})), "(AADSTS50173, 500 x)"),
    ] {
        let (server, folder) = (Server::start([with]).await, TempDir::new().unwrap());
        sign_in(&folder, "r1");
        let authenticator = Authenticator::new("work", &account(&server, Auth::DeviceCode), &environment(&folder));
        let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
        assert!(failure.text.contains(text), "{failure}");
        assert!(!failure.hint.unwrap_or_default().contains("https://login"), "{failure}", failure = failure.text);
    }
}

#[tokio::test]
async fn odd_lifetimes_are_read_sensibly() {
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
        // The media type and other fields do not matter.
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
async fn an_absurd_wait_is_cut_to_a_day_and_to_the_life_of_the_token() {
    let absurd = "Retry-After: 99999999999999999999\r\n";
    let answers = [answer(429, absurd, ""), granted("t1"), answer(429, absurd, ""), granted("t2")];
    let (server, folder) = (Server::start(answers).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry_after), (FailureKind::Throttled, Some(Duration::from_hours(24))));
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t1"));
    assert_eq!(bearer(&authenticator, &after(70)).await.as_deref(), Ok("t1"));
    // Until its answer is judged, whoever asks shares it.
    authenticator.renewal_ended().await;
    assert_eq!(bearer(&authenticator, &after(75)).await.as_deref(), Ok("t2"));
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn only_a_code_and_a_web_page_are_shown() {
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
