//! The requests that presenced sends, against Microsoft's schema.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use presenced::graph::Client;
use presenced::presence::{Expiration, Presence};
use serde_json::{Value, json};

use crate::stage::canned::{Request, Server, answer};
use crate::stage::schema::problem;

const USER: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";
const SESSION: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";

/// Checks a request, and returns its action.
#[track_caller]
fn check(request: &Request) -> String {
    let path = request.line.split(' ').nth(1).unwrap();
    let action = path.rsplit('/').next().unwrap().to_owned();
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(problem(&action, &body), None, "{} {}", request.line, request.body);
    action
}

#[tokio::test]
async fn every_body_that_presenced_sends_fits_microsofts_schema() {
    let server = Server::start([answer(200, "", "")]).await;
    let client = Client::new(&server.url.join("v1.0").unwrap()).unwrap();
    let token = "t".into();
    for minutes in [5, 15, 61, 90, 239, 240] {
        let expiration = Expiration::try_from(Duration::from_mins(minutes)).unwrap();
        for presence in Presence::ALL {
            client.set_presence(&token, USER, SESSION, presence, expiration).await.unwrap();
            client.set_preferred_presence(&token, USER, presence, expiration).await.unwrap();
        }
    }
    client.clear_presence(&token, USER, SESSION).await.unwrap();
    client.clear_preferred_presence(&token, USER).await.unwrap();
    // The answer is not a list of presences; the request is what counts here.
    client.read_presences(&token, &[USER.to_owned()]).await.unwrap_err();
    let mut actions: Vec<String> = server.requests().iter().map(check).collect();
    actions.sort();
    actions.dedup();
    let expected = [
        "clearPresence",
        "clearUserPreferredPresence",
        "getPresencesByUserId",
        "setPresence",
        "setUserPreferredPresence",
    ];
    assert_eq!(actions, expected);
}

#[test]
fn what_does_not_fit_the_schema_is_found() {
    let pair = |duration: Value| json!({"availability": "Away", "activity": "Away", "expirationDuration": duration});
    for good in [json!("PT5M"), json!("P1DT2H3M4.5S"), json!("-PT1S"), Value::Null] {
        assert_eq!(problem("setUserPreferredPresence", &pair(good.clone())), None, "{good}");
    }
    for wrong in ["1:00:00", "5m", "P1M", "P1W", "PT", "P", "PT1", "PT1M1H", "P1H", "PTH", ""] {
        let found = problem("setUserPreferredPresence", &pair(json!(wrong)));
        assert!(found.is_some_and(|found| found.contains("Edm.Duration")), "{wrong}");
    }
    for (action, body, found) in [
        ("setPresence", json!({"availability": "Away"}), "activity is missing"),
        ("setPresence", json!({"availability": null, "activity": "Away"}), "availability is missing"),
        ("setPresence", json!({"sessionID": "1"}), "setPresence has no parameter sessionID"),
        ("clearPresence", json!({"sessionId": 1}), "sessionId is not an Edm.String: 1"),
        ("clearUserPreferredPresence", json!({"a": 1}), "clearUserPreferredPresence has no parameter a"),
        ("getPresencesByUserId", json!({"ids": "1"}), "ids is not an Collection(Edm.String): \"1\""),
        ("setMood", json!({}), "there is no action setMood"),
        ("clearLocation", json!([]), "it is not an object"),
    ] {
        assert_eq!(problem(action, &body).as_deref(), Some(found));
    }
}
