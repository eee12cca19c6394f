//! The control endpoint, and the record of what others saw.

use presenced_emulator::{Availability, Cause, Pair, State, Timeline};

use super::*;

async fn timeline(rig: &Rig) -> Timeline {
    let answer = Answer::of(rig.request(Method::GET, &format!("/_emulator/users/{USER}/timeline"))).await;
    serde_json::from_str(&answer.body).unwrap()
}

fn sessions(name: &str) -> String {
    format!("/_emulator/users/{USER}/sessions{name}")
}

#[tokio::test]
async fn the_state_reads_back_as_typed() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.set(&token, "Available", "Available", "PT15M").await;
    rig.advance(60);
    let answer = Answer::of(rig.request(Method::GET, "/_emulator/state")).await;
    let state: State = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(state, rig.emulator.state());
    let user = &state.users[USER];
    let session = &user.sessions[APP];
    let start: Timestamp = "2026-11-23T08:16:40Z".parse().unwrap();
    let after = |minutes: u64| Some(start + Duration::from_secs(60 * minutes));
    assert_eq!(Some(session.set_at), after(0));
    assert_eq!((session.fades_at, session.away_at, session.expires_at), (after(5), after(10), after(15)));
    assert_eq!((user.since, state.time), (start, after(1).unwrap()));
    let json = answer.json();
    assert_eq!(json["users"][USER]["visible"], json!({"availability": "Available", "activity": "Available"}));
    assert_eq!(json["requests"]["set"], json!({"answered": {"200": 1}, "unanswered": 0}));
    rig.advance(300);
    assert_eq!(rig.emulator.state().users[USER].fades, 1);
}

#[tokio::test]
async fn another_clients_session_is_seen_until_it_closes() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.set(&token, "Away", "Away", "PT4H").await;
    let open = |body: Value| rig.request(Method::POST, &sessions("")).json(&body);
    assert_eq!(Answer::of(open(json!({"availability": "Available"}))).await.status, 204);
    rig.advance(3600);
    assert_eq!(rig.visible(), "Available/Available", "it does not fade");
    assert_eq!(
        Answer::of(open(
            json!({"name": "phone", "availability": "Busy", "activity": "InAMeeting", "expires_in": "1m"})
        ))
        .await
        .status,
        204
    );
    assert_eq!(rig.visible(), "Busy/InAMeeting");
    rig.advance(60);
    assert_eq!(rig.visible(), "Available/Available");
    assert_eq!(Answer::of(rig.request(Method::DELETE, &sessions("/teams-desktop"))).await.status, 204);
    assert_eq!(rig.visible(), "Away/Away");
    assert_eq!(Answer::of(rig.request(Method::DELETE, &sessions("/teams-desktop"))).await.status, 404);
    Answer::of(open(json!({"name": "web", "availability": "Available", "fades": true}))).await;
    rig.advance(300);
    assert_eq!(rig.visible(), "Available/AvailableInactive");
    assert_eq!(Answer::of(rig.request(Method::DELETE, &sessions(""))).await.status, 204);
    assert_eq!(rig.visible(), "Away/Away", "the application's session stays");

    assert_eq!(Answer::of(open(json!({"name": APP, "availability": "Busy"}))).await.status, 409);
    for wrong in
        [json!({}), json!({"availability": "Bored"}), json!({"availability": "Busy", "expires_in": "0s"}), json!([])]
    {
        assert_eq!(Answer::of(open(wrong)).await.status, 400);
    }
    let nobody = rig.request(Method::POST, "/_emulator/users/nobody/sessions").json(&json!({"availability": "Busy"}));
    assert_eq!(Answer::of(nobody).await.status, 404);
}

#[tokio::test]
async fn the_timeline_shows_wrong_times_and_fades() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let start = rig.clock.now().wall;
    rig.set(&token, "Available", "Available", "PT15M").await;
    rig.advance(400);
    rig.set(&token, "Available", "Available", "PT15M").await;
    rig.advance(200);
    rig.set(&token, "Busy", "InACall", "PT15M").await;
    rig.advance(100);
    let timeline = timeline(&rig).await;
    assert_eq!(rig.emulator.timeline(USER), Some(timeline.clone()));
    let seen: Vec<_> = timeline.spans.iter().map(|span| (span.visible.to_string(), span.cause)).collect();
    assert_eq!(
        seen,
        [
            ("Offline/Offline".to_owned(), Cause::Start),
            ("Available/Available".to_owned(), Cause::Set),
            ("Available/AvailableInactive".to_owned(), Cause::Faded),
            ("Available/Available".to_owned(), Cause::Set),
            ("Busy/InACall".to_owned(), Cause::Set),
        ]
    );
    let expected = [
        (start, Pair::new(Availability::Available, "Available")),
        (start + Duration::from_secs(590), Pair::new(Availability::Busy, "InACall")),
    ];
    let wrong = timeline.wrong(&expected, start, rig.clock.now().wall);
    assert_eq!(wrong, Duration::from_secs(100 + 10));

    let compare =
        |body: Value| Answer::of(rig.request(Method::POST, &format!("/_emulator/users/{USER}/timeline")).json(&body));
    let from = |(from, pair): &(Timestamp, Pair)| json!({"from": from, "availability": pair.availability, "activity": pair.activity});
    let expected = json!(expected.iter().map(from).collect::<Vec<_>>());
    let answer = compare(json!({"expected": expected})).await.json();
    assert_eq!(answer, json!({"wrong_seconds": 110.0, "fades": 1}));
    let later = start + Duration::from_secs(400);
    let answer = compare(json!({"expected": expected, "from": later, "to": start + Duration::from_secs(595)})).await;
    assert_eq!(answer.json(), json!({"wrong_seconds": 5.0, "fades": 0}));
    let backwards = json!([expected[1], expected[0]]);
    for wrong in [json!({}), json!({"expected": []}), json!({"expected": backwards}), json!({"expected": [{}]})] {
        assert_eq!(compare(wrong.clone()).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn requests_are_recorded_without_secrets() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.set(&token, "Busy", "InACall", "PT5M").await;
    rig.set(&token, "Busy", "Busy", "PT5M").await;
    let answer = Answer::of(rig.request(Method::GET, "/_emulator/requests?after=1")).await;
    assert!(!answer.body.contains(&token));
    let requests = answer.json()["requests"].clone();
    assert_eq!(requests.as_array().unwrap().len(), 2);
    assert_eq!((&requests[0]["id"], &requests[0]["status"]), (&json!(2), &json!(200)));
    assert_eq!((&requests[1]["status"], &requests[1]["code"]), (&json!(400), &json!("InvalidArgument")));
    assert_eq!(requests[1]["visible"], json!({"availability": "Busy", "activity": "InACall"}));
    assert!(requests[0]["body"].as_str().unwrap().contains("InACall"));
    let all = Answer::of(rig.request(Method::GET, "/_emulator/requests")).await;
    assert!(!all.body.contains(SECRET) && all.body.contains("client_secret=hidden"));
    assert_eq!(Answer::of(rig.request(Method::GET, "/_emulator/requests?after=x")).await.status, 400);
}

#[tokio::test]
async fn the_control_endpoint_helps_whoever_is_lost() {
    let rig = Rig::new().await;
    let help = Answer::of(rig.request(Method::GET, "/")).await;
    assert!(help.status == 200 && help.body.contains("/_emulator/state"));
    for (method, path, status) in [
        (Method::GET, "/_emulator/sate", 404),
        (Method::GET, "/_emulator", 404),
        (Method::POST, "/_emulator/state", 405),
        (Method::PUT, "/_emulator/faults", 405),
        (Method::GET, "/_emulator/busiest", 405),
        (Method::DELETE, "/_emulator/users", 405),
        (Method::GET, "/_emulator/device/CODE/approve", 405),
        (Method::POST, "/_emulator/device/CODE/approve", 404),
        (Method::GET, "/_emulator/users/nobody/timeline", 404),
    ] {
        let answer = Answer::of(rig.request(method, path)).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.text("error").is_empty());
    }
    let large = rig.request(Method::POST, "/_emulator/faults").body(vec![b'['; 1024 * 1024]);
    assert_eq!(Answer::of(large).await.status, 413);
    assert!(rig.emulator.requests().is_empty(), "looking is not recorded");
}
