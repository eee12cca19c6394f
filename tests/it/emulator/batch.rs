//! `$batch`: each part is throttled, hit by faults, and recorded like a request of its own.

use presenced_emulator::{Call, Outcome, RequestRecord, Throttle, User};

use super::*;

const BATCH: &str = "/v1.0/$batch";

async fn directory(users: u32, requests: usize) -> Rig {
    let throttle = Throttle { requests, ..Throttle::default() };
    Rig::with(Options { users: (1..=users).map(User::numbered).collect(), throttle, ..Options::default() }).await
}

/// A part that sets the user with this number. The number is the part's id too.
fn set(user: u32) -> Value {
    json!({"id": user.to_string(), "method": "POST",
        "url": format!("/users/{}/presence/setPresence", User::numbered(user).id),
        "headers": {"Content-Type": "application/json"},
        "body": {"sessionId": APP, "availability": "Busy", "activity": "InACall"}})
}

fn sets(users: impl IntoIterator<Item = u32>) -> Value {
    json!({"requests": users.into_iter().map(set).collect::<Vec<_>>()})
}

/// The id and status of each part of an answer.
fn statuses(answer: &Answer) -> Vec<(String, u64)> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let status = |part: &Value| (part["id"].as_str().unwrap().to_owned(), part["status"].as_u64().unwrap());
    answer.json()["responses"].as_array().unwrap().iter().map(status).collect()
}

fn expected<const N: usize>(parts: [(&str, u64); N]) -> Vec<(String, u64)> {
    parts.map(|(id, status)| (id.to_owned(), status)).to_vec()
}

fn visible(rig: &Rig, user: u32) -> String {
    rig.emulator.visible(&User::numbered(user).id).unwrap().to_string()
}

#[tokio::test]
async fn each_part_counts_and_those_above_the_limit_have_their_own_429() {
    let rig = directory(5, 3).await;
    let token = rig.app_token().await;
    let answer = rig.post(&token, BATCH, sets(1..=2)).await;
    assert_eq!(statuses(&answer), expected([("1", 200), ("2", 200)]));
    rig.advance(10);
    let answer = rig.post(&token, BATCH, sets(3..=5)).await;
    assert_eq!(statuses(&answer), expected([("3", 200), ("4", 429), ("5", 429)]));
    let refused = &answer.json()["responses"][1];
    assert_eq!(refused["headers"]["retry-after"], "20");
    assert_eq!(refused["body"]["error"]["code"], "TooManyRequests");
    assert_eq!((visible(&rig, 3), visible(&rig, 4)), ("Busy/InACall".to_owned(), "Offline/Offline".to_owned()));
    let state = rig.emulator.state();
    assert_eq!((state.throttled, state.summary.busiest.requests), (2, 3));
    assert_eq!((state.requests[&Call::Set].answered[&200], state.requests[&Call::Batch].answered[&200]), (3, 2));
}

#[tokio::test]
async fn a_part_may_have_the_whole_url_of_the_emulator_or_of_graph() {
    let rig = directory(1, 1_500).await;
    let token = rig.app_token().await;
    let read = format!("users/{USER}/presence?$select=id");
    let here = rig.base.strip_prefix("http://").unwrap();
    for (url, status) in [
        (format!("{}/v1.0/{read}", rig.base), 200),
        (format!("https://{here}/v1.0/{read}"), 200),
        (format!("https://graph.microsoft.com/v1.0/{read}"), 200),
        (format!("https://graph.microsoft.com/beta/{read}"), 400),
        (format!("https://graph.example/v1.0/{read}"), 400),
        (format!("ftp://graph.microsoft.com/v1.0/{read}"), 400),
    ] {
        let part = json!({"id": "1", "method": "GET", "url": url, "depends_on": []});
        let answer = rig.post(&token, BATCH, json!({ "requests": [part] })).await;
        assert_eq!(statuses(&answer), expected([("1", status)]), "{url}");
    }
}

#[tokio::test]
async fn each_part_is_recorded_with_its_user_and_its_batch() {
    let rig = directory(2, 1_500).await;
    let token = rig.app_token().await;
    let mut records = rig.emulator.subscribe();
    let parts = json!({"requests": [set(1), set(2), {"id": "x", "method": "GET", "url": "/users/nobody/presence"}]});
    rig.post(&token, BATCH, parts).await;
    let listed: Vec<RequestRecord> = rig.emulator.requests().split_off(1);
    let told: Vec<RequestRecord> = std::iter::from_fn(|| records.try_recv().ok()).collect();
    assert_eq!(told, listed, "subscribers get the same, the batch first");
    let outline = |record: &RequestRecord| (record.id, record.batch, record.call, record.status);
    assert_eq!(
        listed.iter().map(outline).collect::<Vec<_>>(),
        [
            (2, None, Call::Batch, Some(200)),
            (3, Some(2), Call::Set, Some(200)),
            (4, Some(2), Call::Set, Some(200)),
            (5, Some(2), Call::Read, Some(404)),
        ]
    );
    let second = User::numbered(2).id;
    assert_eq!(listed[2].path, format!("/v1.0/users/{second}/presence/setPresence"));
    assert_eq!(listed[2].user.as_deref(), Some(second.as_str()));
    assert_eq!(listed[2].visible.as_ref().unwrap().to_string(), "Busy/InACall");
    assert_eq!((listed[0].user.as_deref(), listed[3].user.as_deref()), (None, None));
    let json = Answer::of(rig.request(Method::GET, "/_emulator/requests?after=2")).await.json();
    assert_eq!((&json["requests"][0]["batch"], &json["requests"][1]["user"]), (&json!(2), &json!(second)));
}

#[tokio::test]
async fn a_fault_for_a_kind_of_call_hits_parts_and_one_for_graph_the_whole() {
    let rig = directory(4, 1_500).await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "set", "after": 1, "times": 1,
        "then": {"respond": {"status": 503, "headers": {"Retry-After": "7"}, "body": "<html>busy</html>"}}}))
        .await;
    let answer = rig.post(&token, BATCH, sets(1..=3)).await;
    assert_eq!(statuses(&answer), expected([("1", 200), ("2", 503), ("3", 200)]));
    let hit = &answer.json()["responses"][1];
    assert_eq!((&hit["headers"]["retry-after"], &hit["body"]), (&json!("7"), &json!("PGh0bWw+YnVzeTwvaHRtbD4=")));
    assert_eq!(visible(&rig, 2), "Offline/Offline");

    let gateway = json!({"respond": {"status": 502, "body": "<html>"}});
    rig.fault(json!({"call": "graph", "after": 1, "times": 1, "then": gateway})).await;
    assert_eq!(statuses(&rig.post(&token, BATCH, sets([1])).await), expected([("1", 200)]));
    let answer = rig.post(&token, BATCH, sets([4])).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (502, "<html>"));
    assert_eq!(visible(&rig, 4), "Offline/Offline");
    assert_eq!(statuses(&rig.post(&token, BATCH, sets([4])).await), expected([("4", 200)]));
}

#[tokio::test]
async fn a_part_that_is_reset_takes_the_answer_with_it_and_the_others_took_effect() {
    let rig = directory(2, 1_500).await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "set", "times": 1, "then": "reset"})).await;
    let request = rig.request(Method::POST, BATCH).bearer_auth(&token).json(&sets(1..=2));
    assert!(request.send().await.is_err());
    let batch = rig.emulator.wait_for(|record| record.call == Call::Batch).await;
    assert_eq!((batch.outcome, batch.status), (Outcome::Reset, None));
    let parts: Vec<_> = rig.emulator.requests().into_iter().filter(|record| record.batch == Some(batch.id)).collect();
    assert_eq!(parts.iter().map(|part| part.outcome).collect::<Vec<_>>(), [Outcome::Reset, Outcome::Answered]);
    assert_eq!((visible(&rig, 1), visible(&rig, 2)), ("Offline/Offline".to_owned(), "Busy/InACall".to_owned()));
}

#[tokio::test]
async fn a_part_that_is_delayed_delays_the_answer() {
    let rig = directory(2, 1_500).await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "set", "times": 1, "delay": "5s"})).await;
    let answer = rig.post(&token, BATCH, sets(1..=2));
    let time = async {
        rig.emulator.wait_for(|record| record.call == Call::Token).await;
        while visible(&rig, 2) != "Busy/InACall" {
            tokio::task::yield_now().await;
        }
        let batch = rig.emulator.requests().into_iter().find(|record| record.call == Call::Batch).unwrap();
        assert_eq!(batch.outcome, Outcome::Pending);
        rig.advance(5);
    };
    let (answer, ()) = tokio::join!(answer, time);
    assert_eq!(statuses(&answer), expected([("1", 200), ("2", 200)]));
}

#[tokio::test]
async fn an_answer_can_have_missing_doubled_and_unknown_parts() {
    let rig = directory(2, 1_500).await;
    let token = rig.app_token().await;
    for (parts, wrong) in [
        ("missing", expected([("1", 200)])),
        ("doubled", expected([("1", 200), ("2", 200), ("2", 500)])),
        ("unknown", expected([("1", 200), ("2", 200), ("unknown", 200)])),
    ] {
        rig.fault(json!({"call": "batch", "times": 1, "then": {"parts": parts}})).await;
        assert_eq!(statuses(&rig.post(&token, BATCH, sets(1..=2)).await), wrong);
        assert_eq!(visible(&rig, 2), "Busy/InACall", "it took effect");
        let body = json!({"sessionId": APP});
        let path = format!("/v1.0/users/{}/presence/clearPresence", User::numbered(2).id);
        assert_eq!(rig.post(&token, &path, body).await.status, 200);
    }
    let html = json!({"respond": {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<html></html>"}});
    rig.fault(json!({"call": "batch", "times": 1, "applied": true, "then": html})).await;
    let answer = rig.post(&token, BATCH, sets(1..=2)).await;
    assert_eq!((answer.header("content-type"), answer.body.as_str()), ("text/html", "<html></html>"));
    assert_eq!(visible(&rig, 2), "Busy/InACall");
}

#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_has_no_effect() {
    let rig = directory(2, 1_500).await;
    let token = rig.app_token().await;
    let mut twice = sets(1..=2);
    for (first, second) in [("1", "1"), ("a", "A")] {
        (twice["requests"][0]["id"], twice["requests"][1]["id"]) = (json!(first), json!(second));
        let answer = rig.post(&token, BATCH, twice.clone()).await;
        answer.is_graph_error(400, "BadRequest", &format!("The request id '{second}' is used twice."));
    }
    let mut large = sets(1..=2);
    large["requests"][1]["body"]["sessionId"] = json!("x".repeat(300 * 1024));
    let answer = rig.post(&token, BATCH, large).await;
    answer.is_graph_error(413, "RequestEntityTooLarge", "The request is too large.");
    let mut nameless = sets(1..=2);
    nameless["requests"][1].as_object_mut().unwrap().remove("id");
    let mut odd = sets(1..=2);
    odd["requests"][1]["headers"]["a b"] = json!("c");
    for body in [nameless, odd, json!({}), json!([])] {
        let answer = rig.post(&token, BATCH, body).await;
        answer.is_graph_error(400, "BadRequest", "Invalid batch payload format.");
    }
    let many = sets(1..=21);
    assert_eq!(rig.post(&token, BATCH, many).await.status, 400);
    assert_eq!(rig.post("none", BATCH, sets([1])).await.status, 401);
    assert_eq!(visible(&rig, 1), "Offline/Offline");
    assert!(rig.emulator.requests().iter().all(|record| record.batch.is_none()));
}

#[tokio::test]
async fn a_part_with_a_body_must_say_that_it_is_json() {
    let rig = directory(1, 1_500).await;
    let token = rig.app_token().await;
    let mut parts = sets([1]);
    parts["requests"][0].as_object_mut().unwrap().remove("headers");
    assert_eq!(statuses(&rig.post(&token, BATCH, parts).await), expected([("1", 400)]));
    assert_eq!(statuses(&rig.post(&token, BATCH, json!({"requests": []})).await), []);
}
