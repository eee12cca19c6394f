//! What Graph refuses: too many, too large, in a circle, or no JSON at all. It never stops answering.

use presenced_emulator::{Options, User};
use reqwest::header::CONTENT_TYPE;

use super::*;

const BATCH: &str = "/v1.0/$batch";

fn read(id: &str, depends_on: &[&str]) -> Value {
    json!({"id": id, "method": "GET", "url": format!("/users/{USER}/presence"), "dependsOn": depends_on})
}

fn set(id: &str, activity: &str, depends_on: &[&str]) -> Value {
    json!({"id": id, "method": "POST", "url": format!("/users/{USER}/presence/setPresence"), "dependsOn": depends_on,
        "headers": {"Content-Type": "application/json"},
        "body": {"sessionId": APP, "availability": "Busy", "activity": activity}})
}

async fn statuses(rig: &Rig, token: &str, requests: Value) -> Vec<(String, u64)> {
    let answer = rig.post(token, BATCH, json!({ "requests": requests })).await.json();
    let status = |part: &Value| (part["id"].as_str().unwrap().to_owned(), part["status"].as_u64().unwrap());
    answer["responses"].as_array().unwrap().iter().map(status).collect()
}

#[tokio::test]
async fn a_batch_of_21_parts_or_with_impossible_dependencies_is_refused_as_a_whole() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let twenty: Vec<_> = (1..=20).map(|id| read(&id.to_string(), &[])).collect();
    assert_eq!(statuses(&rig, &token, json!(twenty)).await.len(), 20);
    let one_more: Vec<_> = (1..=21).map(|id| set(&id.to_string(), "InACall", &[])).collect();
    let cycle = "The dependencies of the request 'a' form a cycle.";
    for (requests, message) in [
        (json!(one_more), "Number of batch request steps exceeds the maximum value of 20."),
        (json!([set("a", "InACall", &["b"]), set("b", "InACall", &["a"])]), cycle),
        (json!([set("a", "InACall", &["a"])]), cycle),
        (json!([set("c", "InACall", &[]), set("a", "InACall", &["b", "c"]), set("b", "InACall", &["a"])]), cycle),
        (json!([set("a", "InACall", &["nobody"])]), "The request 'a' depends on 'nobody', which is not in the batch."),
        (json!([set("a", "InACall", &[]), set("A", "InACall", &[])]), "The request id 'A' is used twice."),
    ] {
        let answer = rig.post(&token, BATCH, json!({ "requests": requests })).await;
        answer.is_graph_error(400, "BadRequest", message);
        assert_eq!(rig.visible(), "Offline/Offline", "no part took effect");
    }
}

#[tokio::test]
async fn a_part_waits_for_those_it_depends_on_wherever_they_are() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    // The second sets what is in effect in the end, because it depends on the first, which comes later.
    let requests = json!([set("2", "InAConferenceCall", &["1"]), set("1", "InACall", &[]), read("3", &["2"])]);
    let expected = [("1", 200), ("2", 200), ("3", 200)].map(|(id, status)| (id.to_owned(), status));
    assert_eq!(statuses(&rig, &token, requests).await, expected);
    assert_eq!(rig.visible(), "Busy/InAConferenceCall");
    // A failure fails all that depend on it, directly or not, and nothing else.
    let requests = json!([
        set("bad", "Dancing", &[]),
        set("child", "InACall", &["BAD"]),
        set("grandchild", "InACall", &["child"]),
        read("other", &[]),
    ]);
    let expected = [("bad", 400), ("child", 424), ("grandchild", 424), ("other", 200)];
    assert_eq!(statuses(&rig, &token, requests).await, expected.map(|(id, status)| (id.to_owned(), status)));
    assert_eq!(rig.visible(), "Busy/InAConferenceCall");
}

#[tokio::test]
async fn of_650_ids_all_are_answered_and_651_are_refused() {
    let rig = Rig::with(Options { users: (1..=10).map(User::numbered).collect(), ..Options::default() }).await;
    let token = rig.app_token().await;
    let ids: Vec<String> = (1..=651).map(|number| User::numbered(number).id).collect();
    let path = "/v1.0/communications/getPresencesByUserId";
    let answer = rig.post(&token, path, json!({ "ids": ids[..650] })).await;
    assert_eq!(answer.json()["value"].as_array().unwrap().len(), 650);
    let answer = rig.post(&token, path, json!({ "ids": ids })).await;
    answer.is_graph_error(400, "InvalidArgument", "[Ids]: The maximum number of ids is 650.");
}

#[tokio::test]
async fn the_durations_of_microsofts_python_sdk_are_refused() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    for text in ["1:00:00", "0:05:00", "P1Y", "P1M", "P1W", "PT1.5H", "pt5m", "PT5M\u{0}", "", " "] {
        let answer = rig.set(&token, "Busy", "InACall", text).await;
        let message =
            format!("The value '{text}' of expirationDuration is not an Edm.Duration such as PT5M or PT1H30M.");
        answer.is_graph_error(400, "InvalidArgument", &message);
        let body = json!({"availability": "Away", "activity": "Away", "expirationDuration": text});
        let answer = rig.post(&token, &action("setUserPreferredPresence"), body).await;
        answer.is_graph_error(400, "InvalidArgument", &message);
    }
    for number in [json!(300), json!(true), json!(["PT5M"]), json!({})] {
        let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall",
            "expirationDuration": number});
        assert_eq!(rig.post(&token, &action("setPresence"), body).await.json()["error"]["code"], "BadRequest");
    }
    assert_eq!(rig.visible(), "Offline/Offline");
    let longest = json!({"availability": "Away", "activity": "Away", "expirationDuration": "P10675199DT2H48M5S"});
    assert_eq!(rig.post(&token, &action("setUserPreferredPresence"), longest).await.status, 200);
    assert_eq!(rig.get(&token, &format!("/v1.0/users/{USER}/presence")).await.status, 200);
}

#[tokio::test]
async fn a_session_has_the_id_of_the_tokens_application() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let other = "11111111-2222-3333-4444-555555555555";
    let body = json!({"sessionId": other, "availability": "Busy", "activity": "InACall"});
    for (name, body) in [("setPresence", body.clone()), ("clearPresence", json!({ "sessionId": other }))] {
        let message = format!(
            "[SessionId]: '{other}' is not the id of the token's application, '{APP}'. The emulator accepts any id with \
             --any-session."
        );
        rig.post(&token, &action(name), body).await.is_graph_error(400, "InvalidArgument", &message);
    }
    assert_eq!(rig.visible(), "Offline/Offline");
    let capitals = json!({"sessionId": APP.to_uppercase(), "availability": "Busy", "activity": "InACall"});
    assert_eq!(rig.post(&token, &action("setPresence"), capitals).await.status, 200, "the case does not matter");

    let rig = Rig::with(Options { any_session: true, ..Options::default() }).await;
    let token = rig.app_token().await;
    assert_eq!(rig.post(&token, &action("setPresence"), body).await.status, 200);
    assert_eq!(rig.visible(), "Busy/InACall");
}

#[tokio::test]
async fn what_is_not_json_or_is_too_large_is_refused() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let unreadable = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid \
                      JSON format.";
    let actions = [
        "setPresence",
        "clearPresence",
        "setUserPreferredPresence",
        "clearUserPreferredPresence",
        "setStatusMessage",
        "setManualLocation",
        "clearLocation",
    ];
    let paths = actions.map(action).into_iter().chain(["/v1.0/communications/getPresencesByUserId".to_owned()]);
    for path in paths {
        let post = |body: Vec<u8>, kind: &'static str| {
            Answer::of(rig.request(Method::POST, &path).bearer_auth(&token).header(CONTENT_TYPE, kind).body(body))
        };
        for body in [&b"<html><body>busy</body></html>"[..], b"\0", b"\0\0\0\0", b"{\"a\":\0}", b"\xff\xfe", b"[", b"7"]
        {
            post(body.to_vec(), "application/json").await.is_graph_error(400, "BadRequest", unreadable);
        }
        let html = post(b"<html></html>".to_vec(), "text/html").await;
        html.is_graph_error(400, "BadRequest", "Entity only allows writes with a JSON Content-Type header.");
        let unknown = post(b"{\"mood\":1}".to_vec(), "application/json").await;
        assert_eq!(unknown.json()["error"]["code"], "BadRequest", "{path}");
        let large = post(vec![b' '; 10 * 1024 * 1024], "application/json").await;
        large.is_graph_error(413, "RequestEntityTooLarge", "The request is too large.");
    }
    for body in ["<html>", "\0", "{}", "{\"requests\":{}}", "{\"requests\":[{}]}"] {
        let request = rig.request(Method::POST, BATCH).bearer_auth(&token).header(CONTENT_TYPE, "application/json");
        let answer = Answer::of(request.body(body)).await;
        answer.is_graph_error(400, "BadRequest", "Invalid batch payload format.");
    }
    let nul = rig.set(&token, "Busy\0", "InACall", "PT5M").await;
    assert_eq!(nul.json()["error"]["code"], "InvalidArgument");
    assert_eq!(rig.get(&token, "/v1.0/users/%00/presence").await.status, 404);
    assert_eq!(rig.set(&token, "Busy", "InACall", "PT5M").await.status, 200, "and it goes on");
}
