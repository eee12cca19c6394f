//! The presences of many users with one request.

use presenced_emulator::{App, Call, Throttle, User};

use super::*;

const PATH: &str = "/v1.0/communications/getPresencesByUserId";

async fn directory(users: u32) -> Rig {
    Rig::with(Options { users: (1..=users).map(User::numbered).collect(), ..Options::default() }).await
}

/// The id, availability and activity of each presence in an answer.
fn presences(answer: &Answer) -> Vec<[String; 3]> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let presence = |of: &Value| [text(&of["id"]), text(&of["availability"]), text(&of["activity"])];
    answer.json()["value"].as_array().unwrap().iter().map(presence).collect()
}

#[tokio::test]
async fn each_id_is_answered_in_its_place_even_if_nobody_has_it() {
    let rig = directory(3).await;
    let token = rig.app_token().await;
    rig.set(&token, "Busy", "InACall", "PT5M").await;
    let third = User::numbered(3).id;
    let unknown = User::numbered(4).id;
    let ids = json!([third, unknown, USER.to_uppercase(), "user2@contoso.onmicrosoft.com"]);
    let answer = rig.post(&token, PATH, json!({"ids": ids})).await;
    let expected = [
        [third.as_str(), "Offline", "Offline"],
        [unknown.as_str(), "PresenceUnknown", "PresenceUnknown"],
        [USER, "Busy", "InACall"],
        ["user2@contoso.onmicrosoft.com", "PresenceUnknown", "PresenceUnknown"],
    ];
    assert_eq!(presences(&answer), expected.map(|presence| presence.map(str::to_owned)));
    let record = rig.emulator.requests().pop().unwrap();
    assert_eq!((record.call, record.status, record.visible), (Call::ReadMany, Some(200), None));
}

#[tokio::test]
async fn up_to_650_ids_are_one_request_for_the_throttle() {
    let limit = Throttle { requests: 2, window: Duration::from_secs(30) };
    let rig = Rig::with(Options { throttle: limit, ..Options::default() }).await;
    let token = rig.app_token().await;
    let ids = |count| json!({"ids": (1..=count).map(|number| User::numbered(number).id).collect::<Vec<_>>()});
    assert_eq!(presences(&rig.post(&token, PATH, ids(650)).await).len(), 650);
    let answer = rig.post(&token, PATH, ids(651)).await;
    answer.is_graph_error(400, "InvalidArgument", "[Ids]: The maximum number of ids is 650.");
    let answer = rig.post(&token, PATH, ids(1)).await;
    answer.is_graph_error(429, "TooManyRequests", "Please retry again later.");
    assert_eq!(answer.header("retry-after"), "30");
}

#[tokio::test]
async fn it_needs_the_permission_to_read_all_presences() {
    for (role, status) in [("Presence.Read.All", 200), ("Presence.ReadWrite.All", 200), ("Presence.Read", 403)] {
        let app = App { roles: vec![role.to_owned()], ..App::default() };
        let rig = Rig::with(Options { apps: vec![app], ..Options::default() }).await;
        let token = rig.app_token().await;
        assert_eq!(rig.post(&token, PATH, json!({"ids": [USER]})).await.status, status, "{role}");
    }
    let rig = Rig::new().await;
    let own = rig.user_token().await;
    rig.post(&own, PATH, json!({"ids": [USER]})).await.is_graph_error(403, "Forbidden", "");
    let all = rig.device_sign_in("Presence.Read.All").await.text("access_token");
    assert_eq!(presences(&rig.post(&all, PATH, json!({"ids": [USER]})).await).len(), 1);
}

#[tokio::test]
async fn a_list_that_is_none_is_refused() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    for body in [json!({}), json!({"ids": []}), json!({"ids": null})] {
        let answer = rig.post(&token, PATH, body).await;
        answer.is_graph_error(400, "InvalidArgument", "[Ids]: The Ids field is required.");
    }
    for body in [json!({"ids": USER}), json!({"ids": [1]}), json!({"users": [USER]}), json!([USER])] {
        assert_eq!(rig.post(&token, PATH, body.clone()).await.status, 400, "{body}");
    }
    assert_eq!(rig.get(&token, PATH).await.status, 405);
}

#[tokio::test]
async fn a_fault_can_hit_it() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "read-many", "times": 1, "then": {"respond": {"status": 503}}})).await;
    assert_eq!(rig.get(&token, &format!("/v1.0/users/{USER}/presence")).await.status, 200);
    assert_eq!(rig.post(&token, PATH, json!({"ids": [USER]})).await.status, 503);
    assert_eq!(rig.post(&token, PATH, json!({"ids": [USER]})).await.status, 200);
}
