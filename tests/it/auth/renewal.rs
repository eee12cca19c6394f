//! When a token is asked for, and when the one at hand is used.

use std::sync::Arc;

use futures_util::FutureExt as _;
use presenced::auth::Authenticator;
use presenced::config::{Auth, SecretSource};
use presenced::failure::FailureKind;
use presenced::time::Now;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::{CP1, only_its_owner_sees_the_sign_in};
use crate::stage::canned::{Answer, Server, answer};
use crate::stage::entra::{account, after, bearer, client_secret, delegated, environment, granted, refused, sign_in};

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
        // The challenged token is useless now, whatever its lifetime.
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
async fn a_sign_in_service_that_hangs_blocks_no_caller_while_the_token_is_valid() {
    let (server, folder) = (Server::start([granted("t1"), Answer::Hang]).await, TempDir::new().unwrap());
    let authenticator = Authenticator::new("bot", &client_secret(&server), &environment(&folder));
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t1"));
    for asking in 0..20 {
        // At once: not even one turn of the runtime later.
        let token = bearer(&authenticator, &after(68)).now_or_never();
        assert_eq!(token.expect("waited for the renewal").as_deref(), Ok("t1"), "{asking}");
    }
    server.asked(2).await;
    // Once it has expired only a new one will do, and after a sleep not from the request that hangs.
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
async fn once_a_token_expires_the_failed_renewal_is_reported() {
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
