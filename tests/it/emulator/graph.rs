//! The calls about presence: what they do, and each way in which Graph refuses them.

use presenced_emulator::{App, Options, Throttle, User};
use reqwest::header::CONTENT_TYPE;

use super::*;

const OTHER: &str = "86b4dbb7-9a5a-4d24-a4a5-ba5c4c1ba3ae";

/// Two users, and besides the usual application one that may do nothing.
fn two_users() -> Options {
    let powerless = App {
        client_id: "powerless".to_owned(),
        roles: vec![],
        scopes: vec!["User.Read".to_owned()],
        ..App::default()
    };
    let other =
        User { id: OTHER.to_owned(), principal_name: "other@contoso.onmicrosoft.com".to_owned(), ..User::default() };
    Options { apps: vec![App::default(), powerless], users: vec![User::default(), other], ..Options::default() }
}

async fn powerless_token(rig: &Rig) -> String {
    let mut form = client_credentials();
    form[1].1 = "powerless";
    rig.sign_in("token", &form).await.text("access_token")
}

#[tokio::test]
async fn set_and_clear_answer_200_without_a_body_and_with_the_ids_of_the_request() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let request =
        rig.request(Method::POST, &action("setPresence")).bearer_auth(&token).header("client-request-id", "mine");
    let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall", "expirationDuration": "PT15M"});
    let answer = Answer::of(request.json(&body)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("client-request-id"), "mine");
    assert_eq!(answer.header("date"), "Mon, 23 Nov 2026 08:16:40 GMT");
    assert_ne!(answer.header("request-id"), "");
    assert_eq!(rig.visible(), "Busy/InACall");

    let clear = json!({"sessionId": APP});
    let answer = rig.post(&token, &action("clearPresence"), clear.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(rig.visible(), "Offline/Offline");
    let again = rig.post(&token, &action("clearPresence"), clear).await;
    again.is_graph_error(404, "NotFound", "The presence session does not exist.");
}

#[tokio::test]
async fn available_fades_and_expires_as_time_goes_by() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    assert_eq!(rig.set(&token, "Available", "Available", "PT15M").await.status, 200);
    for (after, expected) in [
        (299, "Available/Available"),
        (1, "Available/AvailableInactive"),
        (299, "Available/AvailableInactive"),
        (1, "Away/Away"),
        (299, "Away/Away"),
        (1, "Offline/Offline"),
    ] {
        rig.advance(after);
        assert_eq!(rig.visible(), expected);
    }
    let read = rig.get(&token, &format!("/v1.0/users/{USER}/presence")).await.json();
    assert_eq!(
        (&read["id"], &read["availability"], &read["activity"]),
        (&json!(USER), &json!("Offline"), &json!("Offline"))
    );
}

#[tokio::test]
async fn the_expiration_is_five_minutes_when_absent_and_otherwise_five_minutes_to_four_hours() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall", "expirationDuration": null});
    assert_eq!(rig.post(&token, &action("setPresence"), body).await.status, 200);
    rig.advance(299);
    assert_eq!(rig.visible(), "Busy/InACall");
    rig.advance(1);
    assert_eq!(rig.visible(), "Offline/Offline");

    for expires in ["PT5M", "PT4H", "PT240M", "PT300S"] {
        assert_eq!(rig.set(&token, "Busy", "InACall", expires).await.status, 200, "{expires}");
    }
    for expires in ["PT4M59S", "PT4H1S", "P1D", "PT0S", "-PT10M"] {
        let answer = rig.set(&token, "Away", "Away", expires).await;
        answer.is_graph_error(400, "InvalidArgument", "The provided [ExpirationDuration] is out of range.");
    }
    for expires in ["5m", "300", "", "soon", "P1M"] {
        let answer = rig.set(&token, "Away", "Away", expires).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!("InvalidArgument")));
    }
    assert_eq!(rig.visible(), "Busy/InACall", "what was refused had no effect");
}

#[tokio::test]
async fn only_the_five_pairs_can_be_set() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    for (availability, activity) in [
        ("Available", "Available"),
        ("Busy", "InACall"),
        ("Busy", "InAConferenceCall"),
        ("Away", "Away"),
        ("DoNotDisturb", "Presenting"),
    ] {
        assert_eq!(rig.set(&token, availability, activity, "PT5M").await.status, 200);
        assert_eq!(rig.visible(), format!("{availability}/{activity}"));
    }
    for (availability, activity) in
        [("Busy", "Busy"), ("Busy", "InAMeeting"), ("busy", "inacall"), ("Offline", "Offline"), ("x", "y")]
    {
        let message =
            format!("The combination of availability '{availability}' and activity '{activity}' is not supported.");
        rig.set(&token, availability, activity, "PT5M").await.is_graph_error(400, "InvalidArgument", &message);
    }
    let answer = rig.post(&token, &action("setPresence"), json!({"sessionId": APP, "activity": "InACall"})).await;
    answer.is_graph_error(400, "InvalidArgument", "[Availability]: The Availability field is required.");
}

#[tokio::test]
async fn tokens_are_looked_at_first() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let code = "InvalidAuthenticationToken";
    let bare = || rig.request(Method::POST, &action("setPresence")).body("no json");
    let missing = Answer::of(bare()).await;
    missing.is_graph_error(401, code, "Access token is empty.");
    assert!(missing.header("www-authenticate").starts_with("Bearer realm="));
    for authorization in ["Bearer ", "Bearer", "Basic bWU6bWU="] {
        let answer = Answer::of(bare().header("authorization", authorization)).await;
        answer.is_graph_error(401, code, "Access token is empty.");
    }
    let answer = Answer::of(bare().bearer_auth("nodots")).await;
    answer.is_graph_error(401, code, "IDX14100: JWT is not well formed, there are no dots (.).");
    let answer = Answer::of(bare().bearer_auth("e30.e30.e30")).await;
    answer.is_graph_error(401, code, "Access token validation failure. Invalid signature.");
    rig.advance(90 * 60 + 1);
    let answer = Answer::of(bare().bearer_auth(&token)).await;
    answer.is_graph_error(401, code, "Lifetime validation failed, the token is expired.");
}

#[tokio::test]
async fn a_missing_session_id_is_reported_before_a_missing_permission() {
    let rig = Rig::with(two_users()).await;
    let token = powerless_token(&rig).await;
    for name in ["setPresence", "clearPresence"] {
        for body in [json!({}), json!({"sessionId": null}), json!({"sessionId": " "})] {
            let answer = rig.post(&token, &action(name), body).await;
            answer.is_graph_error(400, "InvalidArgument", "[SessionId]: The SessionId field is required.");
        }
        let answer = rig.post(&token, &action(name), json!({"sessionId": APP})).await;
        answer.is_graph_error(403, "Forbidden", "");
    }
    let pair = json!({"availability": "Away", "activity": "Away"});
    rig.post(&token, &action("setUserPreferredPresence"), pair).await.is_graph_error(403, "Forbidden", "");
    rig.get(&token, &format!("/v1.0/users/{USER}/presence")).await.is_graph_error(403, "Forbidden", "");
}

#[tokio::test]
async fn a_delegated_token_is_for_the_users_own_object_id() {
    let rig = Rig::with(two_users()).await;
    let token = rig.user_token().await;
    let body = json!({"sessionId": APP, "availability": "Away", "activity": "Away"});
    for whose in [format!("users/{USER}"), format!("users/{}", USER.to_uppercase()), "me".to_owned()] {
        assert_eq!(rig.post(&token, &format!("/v1.0/{whose}/presence/setPresence"), body.clone()).await.status, 200);
        assert_eq!(rig.get(&token, &format!("/v1.0/{whose}/presence")).await.status, 200);
    }
    for whose in [OTHER, "me@contoso.onmicrosoft.com", "nobody"] {
        let answer = rig.post(&token, &format!("/v1.0/users/{whose}/presence/setPresence"), body.clone()).await;
        answer.is_graph_error(401, "Unauthorized", "Cannot set the presence of another user");
    }
    assert_eq!(rig.get(&token, "/v1.0/users/me@contoso.onmicrosoft.com/presence").await.status, 200);
    rig.get(&token, &format!("/v1.0/users/{OTHER}/presence")).await.is_graph_error(403, "Forbidden", "");
    let all = rig.device_sign_in("Presence.Read.All").await.text("access_token");
    assert_eq!(rig.get(&all, &format!("/v1.0/users/{OTHER}/presence")).await.status, 200);
    let answer = rig.post(&all, &action("setPresence"), body).await;
    answer.is_graph_error(403, "Forbidden", "");
}

#[tokio::test]
async fn an_application_reads_with_either_permission() {
    for (role, status) in [("Presence.Read.All", 200), ("Presence.ReadWrite.All", 200), ("Presence.Read", 403)] {
        let app = App { roles: vec![role.to_owned()], ..App::default() };
        let rig = Rig::with(Options { apps: vec![app], ..Options::default() }).await;
        let token = rig.app_token().await;
        assert_eq!(rig.get(&token, &format!("/v1.0/users/{USER}/presence")).await.status, status, "{role}");
    }
}

#[tokio::test]
async fn an_application_reaches_every_user_there_is_but_not_me() {
    let rig = Rig::with(two_users()).await;
    let token = rig.app_token().await;
    let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall"});
    for whose in [USER, OTHER, "other@contoso.onmicrosoft.com", "other%40contoso.onmicrosoft.com"] {
        let answer = rig.post(&token, &format!("/v1.0/users/{whose}/presence/setPresence"), body.clone()).await;
        assert_eq!(answer.status, 200, "{whose}");
    }
    let answer = rig.post(&token, "/v1.0/users/nobody/presence/setPresence", body.clone()).await;
    answer.is_graph_error(404, "NotFound", "User 'nobody' does not exist.");
    let answer = rig.post(&token, "/v1.0/me/presence/setPresence", body).await;
    answer.is_graph_error(400, "BadRequest", "/me request is only valid with delegated authentication flow.");
}

#[tokio::test]
async fn a_preferred_presence_beats_the_session_until_it_expires_or_is_cleared() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let prefer = |availability: &str, activity: &str| json!({"availability": availability, "activity": activity});
    rig.set(&token, "Busy", "InACall", "PT4H").await;
    for (availability, activity) in
        [("Offline", "OffWork"), ("BeRightBack", "BeRightBack"), ("DoNotDisturb", "DoNotDisturb")]
    {
        let answer = rig.post(&token, &action("setUserPreferredPresence"), prefer(availability, activity)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(rig.visible(), format!("{availability}/{activity}"));
    }
    let answer = rig.post(&token, &action("setUserPreferredPresence"), prefer("Busy", "InACall")).await;
    assert_eq!(answer.status, 400);
    for body in [Some(json!({})), None, Some(json!({}))] {
        let request = rig.request(Method::POST, &action("clearUserPreferredPresence")).bearer_auth(&token);
        let answer = Answer::of(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await;
        assert_eq!(answer.status, 200);
        assert_eq!(rig.visible(), "Busy/InACall");
    }

    let day = 24 * 60 * 60;
    for (availability, days) in [("Busy", 1), ("DoNotDisturb", 1), ("Away", 7), ("Available", 7)] {
        let token = rig.app_token().await;
        rig.post(&token, &action("setUserPreferredPresence"), prefer(availability, availability)).await;
        rig.advance(days * day - 1);
        let token = rig.app_token().await;
        rig.set(&token, "Busy", "InACall", "PT4H").await;
        assert_eq!(rig.visible(), format!("{availability}/{availability}"));
        rig.advance(1);
        assert_eq!(rig.visible(), "Busy/InACall", "{availability} ends after {days} days");
    }
}

#[tokio::test]
async fn a_status_message_is_shown_with_the_presence() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let message = json!({"message": {"content": "Back at noon", "contentType": "text"}});
    let answer = rig.post(&token, &action("setStatusMessage"), json!({"statusMessage": message.clone()})).await;
    assert_eq!(answer.status, 200);
    let read = rig.get(&token, &format!("/v1.0/users/{USER}/presence")).await.json();
    assert_eq!(read["statusMessage"], message);
    for body in [json!({}), json!({"statusMessage": "text"}), json!({"statusMessage": {"message": {}}})] {
        assert_eq!(
            rig.post(&token, &action("setStatusMessage"), body).await.json()["error"]["code"],
            "InvalidArgument"
        );
    }
}

#[tokio::test]
async fn invalid_payloads_are_refused() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let post = |body: &'static str, media_type: &'static str| {
        rig.request(Method::POST, &action("setPresence"))
            .bearer_auth(&token)
            .header(CONTENT_TYPE, media_type)
            .body(body)
    };
    let unreadable = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid \
                      JSON format.";
    for body in ["", "{", "[]", "null", "\"text\"", "sessionId=1", "{\"sessionId\": \"1\"}}", "\u{0}"] {
        Answer::of(post(body, "application/json")).await.is_graph_error(400, "BadRequest", unreadable);
    }
    let deep = Box::leak("[".repeat(200_000).into_boxed_str());
    Answer::of(post(deep, "application/json")).await.is_graph_error(400, "BadRequest", unreadable);
    let answer = Answer::of(post("{}", "text/plain")).await;
    answer.is_graph_error(400, "BadRequest", "Entity only allows writes with a JSON Content-Type header.");
    let answer = Answer::of(post(r#"{"sessionID": "1"}"#, "application/json; charset=utf-8")).await;
    let message =
        "The parameter 'sessionID' in the request payload is not a valid parameter for the operation 'setPresence'.";
    answer.is_graph_error(400, "BadRequest", message);
    let answer = Answer::of(post(r#"{"sessionId": 1}"#, "application/json")).await;
    assert_eq!(answer.json()["error"]["code"], "BadRequest");
}

#[tokio::test]
async fn wrong_places_methods_and_sizes_are_refused_in_graphs_shape() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    for (path, segment) in
        [("/v1.0/planets", "planets"), ("/v1.0/users/1/moons", "moons"), (&action("explode"), "explode")]
    {
        let message = format!("Resource not found for the segment '{segment}'.");
        rig.get(&token, path).await.is_graph_error(400, "BadRequest", &message);
    }
    for path in ["/v9.0/me/presence", "/a/b/c/d/e/f", "/favicon.ico"] {
        let answer = rig.get(&token, path).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (404, &json!("NotFound")));
    }
    for (method, path, allowed) in [
        (Method::GET, action("setPresence"), "POST"),
        (Method::PUT, action("clearPresence"), "POST"),
        (Method::DELETE, format!("/v1.0/users/{USER}/presence"), "GET"),
        (Method::GET, "/v1.0/$batch".to_owned(), "POST"),
    ] {
        let answer = Answer::of(rig.request(method, &path).bearer_auth(&token)).await;
        answer.is_graph_error(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        );
        assert_eq!(answer.header("allow"), allowed);
    }
    let request = rig.request(Method::POST, &action("setPresence")).bearer_auth(&token);
    let answer = Answer::of(request.header(CONTENT_TYPE, "application/json").body(vec![b'{'; 1024 * 1024])).await;
    answer.is_graph_error(413, "RequestEntityTooLarge", "The request is too large.");
    assert_eq!(rig.set(&token, "Busy", "InACall", "PT5M").await.status, 200, "and it goes on");
}

#[tokio::test]
async fn the_documented_limit_throttles_until_the_window_has_passed() {
    let limit = Throttle { requests: 3, window: Duration::from_secs(30) };
    let rig = Rig::with(Options { throttle: limit, ..Options::default() }).await;
    let token = rig.app_token().await;
    for _ in 0..3 {
        assert_eq!(rig.set(&token, "Busy", "InACall", "PT15M").await.status, 200);
        rig.advance(1);
    }
    let answer = rig.set(&token, "Away", "Away", "PT15M").await;
    answer.is_graph_error(429, "TooManyRequests", "Please retry again later.");
    assert_eq!(answer.header("retry-after"), "27");
    assert_eq!(rig.visible(), "Busy/InACall");
    rig.advance(27);
    assert_eq!(rig.set(&token, "Away", "Away", "PT15M").await.status, 200);
    assert_eq!(rig.set(&token, "Away", "Away", "PT15M").await.header("retry-after"), "1");
    assert_eq!(rig.emulator.state().throttled, 2);
    assert_eq!(Options::default().throttle, Throttle { requests: 1500, window: Duration::from_secs(30) });
}

#[tokio::test]
async fn a_batch_answers_each_part_and_hides_failures_behind_200() {
    let rig = Rig::with(two_users()).await;
    let token = rig.app_token().await;
    let set = |id: &str, user: &str, activity: &str| {
        json!({"id": id, "method": "POST", "url": format!("/users/{user}/presence/setPresence"),
            "headers": {"Content-Type": "application/json"},
            "body": {"sessionId": APP, "availability": "Busy", "activity": activity}})
    };
    let mut after_failure = set("4", USER, "InAConferenceCall");
    after_failure["dependsOn"] = json!(["2"]);
    let mut after_success = json!({"id": "5", "method": "GET", "url": format!("/users/{USER}/presence")});
    after_success["dependsOn"] = json!(["1"]);
    let requests = json!({"requests": [
        set("1", USER, "InACall"), set("2", "nobody", "InACall"), set("3", OTHER, "Busy"), after_failure, after_success,
    ]});
    let answer = rig.post(&token, "/v1.0/$batch", requests).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    let statuses: Vec<_> = body["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["id"].as_str(), part["status"].as_u64()))
        .collect();
    let expected = [(Some("1"), 200), (Some("2"), 404), (Some("3"), 400), (Some("4"), 424), (Some("5"), 200)];
    assert_eq!(statuses, expected.map(|(id, status)| (id, Some(status))));
    assert_eq!(body["responses"][4]["body"]["activity"], "InACall");
    assert_eq!(body["responses"][1]["body"]["error"]["code"], "NotFound");

    let many: Vec<_> = (0..21).map(|id| set(&id.to_string(), USER, "InACall")).collect();
    let answer = rig.post(&token, "/v1.0/$batch", json!({"requests": many})).await;
    answer.is_graph_error(400, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.");
    assert_eq!(rig.post(&token, "/v1.0/$batch", json!({"requests": 1})).await.status, 400);
    let nested = json!({"requests": [{"id": "1", "method": "POST", "url": "/$batch", "body": {"requests": []}}]});
    assert_eq!(rig.post(&token, "/v1.0/$batch", nested).await.json()["responses"][0]["status"], 400);
}
