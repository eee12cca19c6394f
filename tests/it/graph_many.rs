//! The Graph client's requests for many users against a server that gives good answers and bad ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use presenced::failure::{Applied, Extent, Failure, FailureKind, Missing};
use presenced::graph::Client;
use presenced::pacer;
use presenced::presence::{Expiration, Presence};
use presenced::session::{Action, Seen, Target};
use serde_json::{Value, json};

use crate::stage::canned::{Answer, Server, answer};

const SESSION: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";

fn client(server: &Server) -> Client {
    Client::new(&server.url.join("v1.0").unwrap()).unwrap()
}

fn set() -> Action {
    Action::Set(Target { presence: Presence::Available, expiration: Expiration::default() })
}

/// Sets `count` users, and the server gives this one answer.
async fn batch_of(count: usize, with: Answer) -> Result<Vec<Result<(), Failure>>, Failure> {
    let server = Server::start([with]).await;
    let writes: Vec<_> = (0..count).map(|user| (format!("user-{user}"), set())).collect();
    client(&server).write_batch(&"b3arer".into(), SESSION, &writes).await
}

async fn answered(count: usize, parts: Value) -> Vec<Result<(), Failure>> {
    batch_of(count, answer(200, "", &json!({ "responses": parts }).to_string())).await.unwrap()
}

fn is_uncertain(outcome: &Result<(), Failure>) -> bool {
    outcome.as_ref().is_err_and(|failure| {
        (failure.kind, failure.applied, failure.extent) == (FailureKind::Passing, Applied::Perhaps, Extent::Request)
    })
}

#[tokio::test]
async fn a_batch_has_each_change_as_it_would_go_alone() {
    let parts = json!([{"id": "0", "status": 200}, {"id": "1", "status": 200}, {"id": "2", "status": 204}]);
    let server = Server::start([answer(200, "", &json!({ "responses": parts }).to_string())]).await;
    let writes = [
        ("fa8bf3dc-eca7-46b7-bad1-db199b62afc3".to_owned(), set()),
        ("a/../b?c#d ü".to_owned(), Action::Clear),
        ("p".to_owned(), Action::Prefer(Target { presence: Presence::InACall, expiration: Expiration::default() })),
    ];
    let outcomes = client(&server).write_batch(&"b3arer".into(), SESSION, &writes).await.unwrap();
    assert_eq!(outcomes, [Ok(()), Ok(()), Ok(())]);
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /v1.0/$batch HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Bearer b3arer"));
    assert!(request.header("client-request-id").is_some());
    let headers = json!({"Content-Type": "application/json"});
    let available = json!({
        "sessionId": SESSION, "availability": "Available", "activity": "Available", "expirationDuration": "PT15M",
    });
    let busy = json!({"availability": "Busy", "activity": "Busy", "expirationDuration": "PT15M"});
    assert_eq!(
        serde_json::from_str::<Value>(&request.body).unwrap(),
        json!({"requests": [
            {
                "id": "0", "method": "POST", "headers": headers, "body": available,
                "url": "/users/fa8bf3dc-eca7-46b7-bad1-db199b62afc3/presence/setPresence",
            },
            {
                "id": "1", "method": "POST", "headers": headers, "body": {"sessionId": SESSION},
                "url": "/users/a%2F..%2Fb%3Fc%23d%20%C3%BC/presence/clearPresence",
            },
            {
                "id": "2", "method": "POST", "headers": headers, "body": busy,
                "url": "/users/p/presence/setUserPreferredPresence",
            },
        ]})
    );
}

#[tokio::test]
async fn each_part_is_judged_by_its_own_status_headers_and_body() {
    let code = |code: &str| json!({"error": {"code": code, "message": ""}});
    let outcomes = answered(
        10,
        json!([
            {"id": "9", "status": 200, "headers": {}, "body": null},
            {"id": "0", "status": 429, "headers": {"retry-AFTER": "2.5"}, "body": code("TooManyRequests")},
            {"id": "1", "status": 503, "headers": {"Retry-After": 7}},
            {"id": "2", "status": 404, "body": code("Request_ResourceNotFound")},
            {"id": "3", "status": 401, "body": code("ServiceError")},
            {"id": "4", "status": 401, "body": code("InvalidAuthenticationToken")},
            {"id": "5", "status": 403, "body": code("Forbidden")},
            {"id": "6", "status": 408},
            {"id": "7", "status": 404, "body": "PGh0bWw+"},
            {
                "id": 8, "status": 401, "body": code("InvalidAuthenticationToken"),
                "headers": {"WWW-Authenticate": "Bearer error=\"insufficient_claims\", claims=\"e30=\""},
            },
        ]),
    )
    .await;
    let paced: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map_err(pacer::Answer::from)).collect();
    assert_eq!(
        paced,
        [
            Err(pacer::Answer::Throttled { retry_after: Some(Duration::from_millis(2500)) }),
            Err(pacer::Answer::Unavailable { retry_after: Some(Duration::from_secs(7)) }),
            Err(pacer::Answer::Refused),
            Err(pacer::Answer::Failed),
            Err(pacer::Answer::Again),
            Err(pacer::Answer::Refused),
            Err(pacer::Answer::Failed),
            Err(pacer::Answer::Refused),
            Err(pacer::Answer::Again),
            Ok(&()),
        ]
    );
    let failure = |place: usize| outcomes[place].clone().unwrap_err();
    assert_eq!(failure(2).text, "Microsoft Graph answered setPresence with 404 Request_ResourceNotFound");
    assert!(failure(7).hint.unwrap().contains("endpoints.graph"), "a 404 that is not Graph's");
    assert_eq!(failure(8).missing.map(|missing| *missing), Some(Missing::Claims("{}".to_owned())));
    assert_eq!((failure(1).applied, failure(2).applied), (Applied::Perhaps, Applied::No));
}

#[tokio::test]
async fn clearing_what_is_not_there_is_a_success_in_a_batch_too() {
    let parts = json!([{"id": "0", "status": 404}, {"id": "1", "status": 404}]);
    let server = Server::start([answer(200, "", &json!({ "responses": parts }).to_string())]).await;
    let writes = [("a".to_owned(), Action::Clear), ("b".to_owned(), set())];
    let outcomes = client(&server).write_batch(&"t".into(), SESSION, &writes).await.unwrap();
    assert!(outcomes[0].is_ok() && outcomes[1].is_err());
}

#[tokio::test]
async fn a_part_without_an_answer_that_can_be_read_is_uncertain() {
    let ok = |id: &str| json!({"id": id, "status": 200});
    for (parts, expected) in [
        (json!([]), [false, false]),
        (json!([ok("1")]), [false, true]),
        (json!([ok("1"), {"id": "0"}]), [false, true]),
        (json!([ok("1"), {"id": "0", "status": "200"}]), [false, true]),
        (json!([ok("1"), {"id": "0", "status": 7}]), [false, true]),
        (json!([ok("1"), {"id": "0", "status": 70_000}]), [false, true]),
        (json!([ok("1"), {"status": 200}, 5, null, "0", [], {}]), [false, true]),
        (json!([ok("1"), ok("2"), ok("-1"), ok("x"), ok("18446744073709551616"), ok("")]), [false, true]),
        // What else is wrong with a part hides nothing.
        (json!([ok("1"), {"id": "0", "status": 200, "headers": [], "body": 5, "new": {}}]), [true, true]),
        (json!([ok("1"), {"id": "0", "status": 200, "headers": {"": 1, "a b": "\n", "c": [1]}}]), [true, true]),
    ] {
        let outcomes = answered(2, parts.clone()).await;
        assert_eq!([outcomes[0].is_ok(), outcomes[1].is_ok()], expected, "{parts}");
        assert!(outcomes.iter().all(|outcome| outcome.is_ok() || is_uncertain(outcome)), "{parts}: {outcomes:?}");
        let paced = outcomes[0].as_ref().map_err(pacer::Answer::from);
        assert!(paced.is_ok() || paced == Err(pacer::Answer::Failed), "{parts}");
    }
}

#[tokio::test]
async fn of_two_answers_to_a_part_the_first_counts_unless_they_disagree_about_success() {
    let outcomes = answered(
        3,
        json!([
            {"id": "0", "status": 429, "headers": {"Retry-After": "3"}},
            {"id": "1", "status": 200},
            {"id": "2", "status": 200},
            {"id": "0", "status": 404},
            {"id": "1", "status": 500},
            {"id": "2", "status": 204},
            {"id": "1", "status": 200},
        ]),
    )
    .await;
    assert_eq!(outcomes[0].as_ref().unwrap_err().retry_after, Some(Duration::from_secs(3)));
    assert!(is_uncertain(&outcomes[1]), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2], Ok(()));
}

#[tokio::test]
async fn a_user_who_cannot_be_in_an_address_is_left_out_of_the_batch() {
    let parts = json!([{"id": "0", "status": 200}, {"id": "1", "status": 200}]);
    let server = Server::start([answer(200, "", &json!({ "responses": parts }).to_string())]).await;
    let writes = ["..", "b", ""].map(|user| (user.to_owned(), set()));
    let outcomes = client(&server).write_batch(&"t".into(), SESSION, &writes).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap_err().kind, FailureKind::Refused);
    assert_eq!((&outcomes[1], outcomes[2].is_err()), (&Ok(()), true));
    assert!(!server.requests()[0].body.contains("/.."));

    let outcomes = client(&server).write_batch(&"t".into(), SESSION, &writes[..1]).await.unwrap();
    assert_eq!((outcomes.len(), server.requests().len()), (1, 1), "there is nothing to send");
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_judged_as_usual() {
    use Applied::{No, Perhaps};
    use FailureKind::{Passing, Refused, Throttled, TokenRefused};
    let error = |code: &str| json!({"error": {"code": code, "message": ""}}).to_string();
    for (with, kind, applied, hint) in [
        (answer(429, "Retry-After: 9\r\n", &error("TooManyRequests")), Throttled, No, ""),
        (answer(401, "", &error("InvalidAuthenticationToken")), TokenRefused, No, ""),
        (answer(401, "", &error("Unauthorized")), Refused, No, ""),
        (answer(503, "", ""), Passing, Perhaps, ""),
        (answer(400, "", &error("BadRequest")), Refused, No, ""),
        (answer(403, "", &error("Forbidden")), Refused, No, "Presence.ReadWrite.All"),
        (answer(404, "", &error("NotFound")), Refused, No, "endpoints.graph"),
        (answer(302, "Location: /portal\r\n", ""), Passing, No, "captive portal"),
        (answer(200, "Content-Type: text/html\r\n", "<html>Sign in"), Passing, Perhaps, ""),
        (answer(200, "", "[]"), Passing, Perhaps, ""),
        (answer(200, "", "{\"responses\": 5}"), Passing, Perhaps, ""),
        (answer(200, "", &"[".repeat(100_000)), Passing, Perhaps, ""),
        (answer(200, "", &format!("{{\"responses\": []}}{}", " ".repeat(300_000))), Passing, Perhaps, ""),
        (answer(204, "", ""), Passing, Perhaps, ""),
        (Answer::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"resp".to_vec()), Passing, Perhaps, ""),
        (Answer::Close, Passing, Perhaps, ""),
    ] {
        let failure = batch_of(2, with).await.unwrap_err();
        assert_eq!((failure.kind, failure.applied), (kind, applied), "{failure}");
        assert_ne!(failure.missing.as_deref(), Some(&Missing::User), "{failure}");
        match failure.hint.clone() {
            Some(said) => assert!(!hint.is_empty() && said.contains(hint), "{failure}: {said}"),
            None => assert_eq!(hint, "", "{failure}"),
        }
        if kind == Passing {
            let unavailable = pacer::Answer::Unavailable { retry_after: None };
            assert_eq!(pacer::Answer::from(&failure), unavailable, "{failure}");
        }
    }
}

#[tokio::test]
async fn many_presences_are_read_at_once() {
    let body = json!({"@odata.context": "…", "value": [
        {"id": "FA8BF3DC-eca7-46b7-bad1-db199b62afc3", "availability": "busyidle", "activity": "InACall", "new": 1},
        {"id": "stranger", "availability": "Away", "activity": "Away"},
        {"id": "c", "availability": null, "activity": "Away"},
        {"id": 7},
        "junk",
    ]});
    let server = Server::start([answer(200, "", &body.to_string())]).await;
    let users = ["fa8bf3dc-ECA7-46b7-bad1-db199b62afc3", "b", "c"].map(str::to_owned);
    let seen = client(&server).read_presences(&"b3arer".into(), &users).await.unwrap();
    let expected = ("fa8bf3dc-eca7-46b7-bad1-db199b62afc3".to_owned(), Seen::new("BusyIdle", "InACall"));
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [expected]);
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /v1.0/communications/getPresencesByUserId HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Bearer b3arer"));
    assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), json!({ "ids": users }));

    assert!(client(&server).read_presences(&"t".into(), &[]).await.unwrap().is_empty());
    assert_eq!(server.requests().len(), 1, "there is nobody to ask for");
}

#[tokio::test]
async fn presences_of_650_users_with_long_status_messages_are_not_too_long() {
    let users: Vec<String> = (0..650).map(|user| format!("{user:036}")).collect();
    let message = "x".repeat(2000);
    let value: Vec<Value> = users
        .iter()
        .map(|id| json!({"id": id, "availability": "Away", "activity": "Away", "statusMessage": {"content": message}}))
        .collect();
    let server = Server::start([answer(200, "", &json!({ "value": value }).to_string())]).await;
    let seen = client(&server).read_presences(&"t".into(), &users).await.unwrap();
    assert_eq!(seen.len(), 650);
}

#[tokio::test]
async fn a_read_of_many_that_fails_is_judged_as_usual() {
    use FailureKind::{Passing, Refused, Throttled, TokenRefused};
    for (with, kind, words) in [
        (answer(200, "", "<html>"), Passing, "contains no presences"),
        (answer(200, "", r#"{"value": 7}"#), Passing, "contains no presences"),
        (answer(200, "", &" ".repeat(5_000_000)), Passing, "longer than 4194304 bytes"),
        (answer(503, "", ""), Passing, "getPresencesByUserId with 503"),
        (answer(429, "Retry-After: 7\r\n", ""), Throttled, "getPresencesByUserId with 429"),
        (answer(401, "", ""), TokenRefused, "getPresencesByUserId with 401"),
        (answer(404, "", ""), Refused, "getPresencesByUserId with 404"),
        (answer(403, "", ""), Refused, "getPresencesByUserId with 403"),
    ] {
        let server = Server::start([with]).await;
        let failure = client(&server).read_presences(&"t".into(), &["a".to_owned()]).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(words), "{failure}");
        let says_how_to_read = failure.hint.is_some_and(|hint| hint.contains("`Presence.Read"));
        assert_eq!(says_how_to_read, words.contains("403"), "{words}");
    }
}
