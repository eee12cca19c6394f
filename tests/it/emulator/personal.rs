//! The status message and the work location.

use super::*;

fn path() -> String {
    format!("/v1.0/users/{USER}/presence")
}

fn message(content: &str) -> Value {
    json!({"message": {"content": content, "contentType": "text"}})
}

#[tokio::test]
async fn a_status_message_expires_at_its_own_time() {
    let rig = Rig::new().await;
    let token = rig.user_token().await;
    let set = |message: Value| {
        let token = token.clone();
        let rig = &rig;
        async move { rig.post(&token, &action("setStatusMessage"), json!({ "statusMessage": message })).await }
    };
    let mut expiring = message("Back soon");
    // The emulator's time is 08:16:45 UTC after the device sign-in, which is 00:16:45 in Seattle.
    expiring["expiryDateTime"] = json!({"dateTime": "2026-11-23T00:30:00.0", "timeZone": "Pacific Standard Time"});
    assert_eq!(set(expiring.clone()).await.status, 200);
    let mut shown = expiring.clone();
    shown["publishedDateTime"] = rig.emulator.state().time.to_string().into();
    assert_eq!(rig.get(&token, &path()).await.json()["statusMessage"], shown);
    let app = rig.app_token().await;
    assert_eq!(rig.get(&app, &path()).await.json()["statusMessage"], message("Back soon"), "others see only the text");

    let left = "2026-11-23T08:30:00Z".parse::<Timestamp>().unwrap().duration_since(rig.emulator.state().time);
    rig.advance(left.as_secs().unsigned_abs() - 1);
    assert_eq!(rig.get(&token, &path()).await.json()["statusMessage"]["message"]["content"], "Back soon");
    rig.advance(1);
    assert_eq!(rig.get(&token, &path()).await.json()["statusMessage"], Value::Null);
    assert_eq!(rig.emulator.state().users[USER].status_message, None);

    assert_eq!(set(message("Hello")).await.status, 200);
    rig.advance(3_000);
    let token = rig.user_token().await;
    assert_eq!(rig.get(&token, &path()).await.json()["statusMessage"]["message"]["content"], "Hello");
    let empty = json!({ "statusMessage": message("") });
    assert_eq!(rig.post(&token, &action("setStatusMessage"), empty).await.status, 200);
    assert_eq!(rig.get(&token, &path()).await.json()["statusMessage"], Value::Null);
}

#[tokio::test]
async fn wrong_status_messages_are_refused() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let expiring = |time: Value| json!({"message": {"content": "x"}, "expiryDateTime": time});
    for (message, code, says) in [
        (json!({"message": {"content": "<b>x</b>", "contentType": "html"}}), "InvalidArgument", "must be text"),
        (json!({"message": {"contentType": "text"}}), "InvalidArgument", "[Content]: The Content field is required."),
        (json!({"message": {"content": 1}}), "BadRequest", "'content'"),
        (json!({"message": "x"}), "InvalidArgument", "[Message]"),
        (json!({"message": {"content": "x"}, "mood": 1}), "BadRequest", "'mood' does not exist on 'statusMessage'"),
        (json!({"message": {"content": "x", "size": 1}}), "BadRequest", "'size' does not exist on 'message'"),
        (expiring(json!({"dateTime": "2026-11-23T17:05:00Z"})), "InvalidArgument", "without a time zone"),
        (expiring(json!({"dateTime": "tomorrow", "timeZone": "UTC"})), "InvalidArgument", "'tomorrow'"),
        (
            expiring(json!({"dateTime": "2026-11-23T17:05:00", "timeZone": "Mars"})),
            "InvalidArgument",
            "'Mars' is not the name of a time zone",
        ),
        (expiring(json!({"timeZone": "UTC"})), "InvalidArgument", "[DateTime]"),
        (expiring(json!("2026-11-23T17:05:00")), "InvalidArgument", "[ExpiryDateTime]"),
    ] {
        let answer = rig.post(&token, &action("setStatusMessage"), json!({ "statusMessage": message })).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status.as_u16(), error["code"].as_str()), (400, Some(code)), "{message} {answer:?}");
        assert!(error["message"].as_str().unwrap().contains(says), "{message} {error}");
    }
    assert_eq!(rig.get(&token, &path()).await.json()["statusMessage"], Value::Null, "nothing took effect");
}

#[tokio::test]
async fn a_manual_location_beats_an_automatic_one() {
    let rig = Rig::new().await;
    let token = rig.user_token().await;
    let location =
        |kind: &str, source: &str, place: Value| json!({"workLocationType": kind, "source": source, "placeId": place});
    let nowhere = location("unspecified", "none", Value::Null);
    for (change, body, expected) in [
        ("setAutomaticLocation", json!({"workLocationType": "remote"}), location("remote", "automatic", Value::Null)),
        (
            "setManualLocation",
            json!({"workLocationType": "office", "placeId": "p1"}),
            location("office", "manual", json!("p1")),
        ),
        ("setAutomaticLocation", json!({"workLocationType": "remote"}), location("office", "manual", json!("p1"))),
        ("clearAutomaticLocation", json!({}), location("office", "manual", json!("p1"))),
        ("clearLocation", json!({}), nowhere.clone()),
        ("setAutomaticLocation", json!({"workLocationType": "timeOff"}), location("timeOff", "automatic", Value::Null)),
        ("microsoft.graph.clearAutomaticLocation", json!({}), nowhere.clone()),
    ] {
        let answer = rig.post(&token, &format!("/v1.0/me/presence/{change}"), body).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""), "{change}");
        assert_eq!(rig.get(&token, &path()).await.json()["workLocation"], expected, "{change}");
    }
    let bare = rig.request(Method::POST, "/v1.0/me/presence/clearLocation").bearer_auth(&token);
    assert_eq!(Answer::of(bare).await.status, 200, "the reference shows it without a body");
}

#[tokio::test]
async fn a_location_needs_a_user_and_one_of_four_types() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let office = json!({"workLocationType": "office"});
    for change in ["setManualLocation", "setAutomaticLocation"] {
        rig.post(&token, &action(change), office.clone()).await.is_graph_error(403, "Forbidden", "");
    }
    for change in ["clearLocation", "clearAutomaticLocation"] {
        rig.post(&token, &action(change), json!({})).await.is_graph_error(403, "Forbidden", "");
    }
    let reader = rig.device_sign_in("Presence.Read").await.text("access_token");
    rig.post(&reader, &action("setManualLocation"), office.clone()).await.is_graph_error(403, "Forbidden", "");

    let token = rig.user_token().await;
    for (body, code, says) in [
        (json!({"workLocationType": "moon"}), "InvalidArgument", "'moon' is not one of"),
        (json!({"workLocationType": "Office"}), "InvalidArgument", "'Office' is not one of"),
        (json!({"workLocationType": 1}), "BadRequest", "workLocationType"),
        (json!({}), "InvalidArgument", "[WorkLocationType]"),
        (json!({"workLocationType": "office", "placeId": 7}), "BadRequest", "placeId"),
        (json!({"workLocationType": "office", "building": "b"}), "BadRequest", "'building'"),
    ] {
        let answer = rig.post(&token, &action("setManualLocation"), body.clone()).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status.as_u16(), error["code"].as_str()), (400, Some(code)), "{body} {answer:?}");
        assert!(error["message"].as_str().unwrap().contains(says), "{body} {error}");
    }
    assert_eq!(rig.get(&token, &path()).await.json()["workLocation"]["source"], "none");
}
