//! The state of a directory with many users, in numbers.

use presenced_emulator::{State, Throttle, User};

use super::*;

async fn directory(users: u32) -> Rig {
    Rig::with(Options { users: (1..=users).map(User::numbered).collect(), ..Options::default() }).await
}

async fn set(rig: &Rig, token: &str, user: u32, availability: &str, activity: &str) -> u16 {
    let path = format!("/v1.0/users/{}/presence/setPresence", User::numbered(user).id);
    let body = json!({"sessionId": APP, "availability": availability, "activity": activity,
        "expirationDuration": "PT15M"});
    rig.post(token, &path, body).await.status.as_u16()
}

async fn state(rig: &Rig, query: &str) -> State {
    let answer = Answer::of(rig.request(Method::GET, &format!("/_emulator/state{query}"))).await;
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[tokio::test]
async fn above_20_users_each_is_shown_only_when_asked_for() {
    let few = directory(20).await;
    assert_eq!(state(&few, "").await.users.len(), 20);
    let rig = directory(21).await;
    let plain = Answer::of(rig.request(Method::GET, "/_emulator/state")).await.json();
    assert_eq!(plain.get("users"), None, "{plain}");
    assert_eq!(plain["summary"]["users"], 21);
    assert_eq!(state(&rig, "").await, rig.emulator.state());
    assert_eq!(state(&rig, "?users=all").await, rig.emulator.state_of_all());
    assert_eq!(rig.emulator.state_of_all().users.len(), 21);

    let last = User::numbered(21);
    for name in [&last.id, "USER21@contoso.onmicrosoft.com"] {
        let one = state(&rig, &format!("?user={name}")).await;
        assert_eq!(one.users.keys().collect::<Vec<_>>(), [&last.id]);
        assert_eq!(one.users.get(&last.id), rig.emulator.state_of(name).as_ref());
    }
    assert_eq!(rig.emulator.state_of("nobody"), None);
    for (query, status) in [("?user=nobody", 404), ("?users=some", 400), ("?users=all&user=nobody", 400)] {
        let answer = Answer::of(rig.request(Method::GET, &format!("/_emulator/state{query}"))).await;
        assert_eq!(answer.status, status, "{query}");
    }
}

#[tokio::test]
async fn the_summary_counts_users_by_presence_with_fades_and_expiries_nobody_looked_at() {
    let rig = directory(30).await;
    let token = rig.app_token().await;
    for user in 1..=12 {
        assert_eq!(set(&rig, &token, user, "Available", "Available").await, 200);
    }
    assert_eq!(set(&rig, &token, 13, "Busy", "InACall").await, 200);
    let visible = |rig: &Rig| json!(rig.emulator.state().summary.visible);
    assert_eq!(visible(&rig), json!({"Available/Available": 12, "Busy/InACall": 1, "Offline/Offline": 17}));
    rig.advance(299);
    assert_eq!(set(&rig, &token, 1, "Available", "Available").await, 200);
    assert_eq!(rig.emulator.state().summary.fades, 0);
    rig.advance(1);
    assert_eq!(
        visible(&rig),
        json!({"Available/Available": 1, "Available/AvailableInactive": 11, "Busy/InACall": 1, "Offline/Offline": 17})
    );
    assert_eq!(rig.emulator.state().summary.fades, 11);
    rig.advance(600);
    assert_eq!(visible(&rig), json!({"Away/Away": 1, "Offline/Offline": 29}));
    let summary = state(&rig, "").await.summary;
    assert_eq!((summary.fades, summary.expired), (12, 12));
}

#[tokio::test]
async fn the_summary_has_the_busiest_window_and_what_was_throttled() {
    let limit = Throttle { requests: 4, window: Duration::from_secs(30) };
    let rig = Rig::with(Options { throttle: limit, ..Options::default() }).await;
    let token = rig.app_token().await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(set(&rig, &token, 1, "Busy", "InACall").await);
        rig.advance(1);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
    let summary = state(&rig, "").await.summary;
    assert_eq!((summary.busiest.requests, summary.throttled), (4, 1));
    let fourth = rig.clock.now().wall - Duration::from_secs(2);
    assert_eq!((summary.busiest.window.as_secs(), summary.busiest.until), (30, Some(fourth)));

    let forget = rig.request(Method::DELETE, "/_emulator/busiest");
    assert_eq!(Answer::of(forget).await.status, 204);
    assert_eq!(rig.emulator.state().summary.busiest.requests, 0);
    rig.advance(25);
    assert_eq!(set(&rig, &token, 1, "Busy", "InACall").await, 200);
    assert_eq!(rig.emulator.state().summary.busiest.requests, 1, "those before do not count");
    rig.emulator.forget_busiest();
    assert_eq!(rig.emulator.state().summary.busiest.until, None);
}
