//! The page at `/`, and the events that it shows.

use presenced_emulator::{Call, Fault, Then, User};
use reqwest::header::ACCEPT;

use super::*;

/// A reader of `/_emulator/events`.
struct Reader {
    response: reqwest::Response,
    unread: String,
}

impl Reader {
    async fn of(rig: &Rig, query: &str) -> Self {
        let response = rig.request(Method::GET, &format!("/_emulator/events{query}")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, unread: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
                let rest = rest.to_owned();
                self.unread = rest;
                return Some(event);
            }
            let chunk = tokio::time::timeout(GUARD, self.response.chunk()).await.expect("an event comes");
            self.unread.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }

    /// The first event that `matches` accepts.
    async fn until(&mut self, matches: impl Fn(&Value) -> bool) -> Value {
        let search = async {
            loop {
                let event = self.next().await.expect("the stream goes on");
                if matches(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(GUARD, search).await.expect("such an event comes")
    }
}

fn is_seen(event: &Value, activity: &str) -> bool {
    event["state"]["users"][USER]["visible"]["activity"] == activity
}

#[tokio::test]
async fn a_browser_gets_a_page_that_may_load_nothing_from_elsewhere_and_curl_gets_the_help_text() {
    let rig = Rig::new().await;
    let get = |accept: &str| Answer::of(rig.request(Method::GET, "/").header(ACCEPT, accept));
    let page = get("application/xhtml+xml, TEXT/html;q=0.9, */*;q=0.8").await;
    assert!(page.body.starts_with("<!doctype html>"), "{page:?}");
    assert_eq!((page.header("content-type"), page.header("vary")), ("text/html; charset=utf-8", "Accept"));
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    for (path, media_type) in [("page.css", "text/css"), ("page.js", "text/javascript")] {
        let path = format!("/_emulator/{path}");
        assert!(page.body.contains(&format!("\"{path}\"")), "{path}");
        let file = Answer::of(rig.request(Method::GET, &path)).await;
        assert_eq!((file.status.as_u16(), file.header("x-content-type-options")), (200, "nosniff"));
        assert!(file.header("content-type").starts_with(media_type), "{file:?}");
        assert_eq!(Answer::of(rig.request(Method::POST, &path)).await.status, 405);
    }
    for accept in ["*/*", "application/json", "text/plain, text/htmlx", ""] {
        let help = get(accept).await;
        assert!(help.body.starts_with("presenced emulator:"), "{accept}");
        assert_eq!(help.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn each_reader_sees_what_a_request_a_fault_and_time_change() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let (mut first, mut second) = (Reader::of(&rig, "").await, Reader::of(&rig, "").await);
    let event = first.next().await.unwrap();
    assert!(is_seen(&event, "Offline"));
    assert_eq!(event["state"]["users"][USER]["reason"], "no-session");
    assert_eq!((&event["requests"][0]["call"], &event["requests"][0]["body"]), (&json!("token"), &json!("")));

    rig.set(&token, "Available", "Available", "PT15M").await;
    let event = first.until(|event| is_seen(event, "Available")).await;
    let user = &event["state"]["users"][USER];
    assert_eq!((&user["reason"], &user["winner"]), (&json!("only-session"), &json!(APP)));
    assert_eq!((&event["requests"][0]["call"], &event["requests"][0]["status"]), (&json!("set"), &json!(200)));
    rig.advance(300);
    first.until(|event| is_seen(event, "AvailableInactive")).await;
    rig.fault(json!({"call": "set", "times": 1, "then": "reset"})).await;
    first.until(|event| event["faults"][0]["call"] == "set").await;
    rig.emulator.clear_faults();
    first.until(|event| event["faults"] == json!([])).await;
    rig.emulator.inject(Fault::new(Call::Read, Then::Answer)).unwrap();
    first.until(|event| event["faults"][0]["call"] == "read").await;

    // The second has not read anything yet. The first leaves, and that does not end the second.
    drop(first);
    second.until(|event| event["faults"][0]["call"] == "read" && is_seen(event, "AvailableInactive")).await;
}

/// There would be an event every five seconds without any change, but that is too late.
#[tokio::test]
async fn each_fade_and_expiry_is_an_event_although_no_request_arrives() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let mut reader = Reader::of(&rig, "").await;
    let all = async {
        for _ in 0..3 {
            rig.set(&token, "Available", "Available", "PT15M").await;
            reader.until(|event| is_seen(event, "Available")).await;
            for activity in ["AvailableInactive", "Away", "Offline"] {
                rig.advance(300);
                reader.until(|event| is_seen(event, activity)).await;
            }
        }
    };
    tokio::time::timeout(GUARD, all).await.expect("an event comes at each change");
}

#[tokio::test]
async fn of_many_users_the_events_have_the_first_or_the_one_that_is_asked_for() {
    let users: Vec<_> = (1..=25).map(User::numbered).collect();
    let (last, name) = (users[24].id.clone(), users[24].principal_name.to_uppercase());
    let rig = Rig::with(Options { users, ..Options::default() }).await;
    let event = Reader::of(&rig, "").await.next().await.unwrap();
    assert_eq!(event["state"]["summary"]["users"], 25);
    let shown = event["state"]["users"].as_object().unwrap();
    assert!(shown.len() == 20 && !shown.contains_key(&last));
    for user in [&last, &name] {
        let event = Reader::of(&rig, &format!("?user={user}")).await.next().await.unwrap();
        assert_eq!(event["state"]["users"].as_object().unwrap().keys().collect::<Vec<_>>(), [&last]);
    }
    let nobody = Answer::of(rig.request(Method::GET, "/_emulator/events?user=nobody")).await;
    assert_eq!((nobody.status.as_u16(), nobody.text("error").as_str()), (404, "no user has the id `nobody`"));
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_nobody_and_then_gets_the_newest() {
    let rig = Rig::with(Options { users: (1..=20).map(User::numbered).collect(), ..Options::default() }).await;
    let token = rig.app_token().await;
    let mut slow = Reader::of(&rig, "").await;
    let mut quick = Reader::of(&rig, "").await;
    for _ in 0..3 {
        for activity in ["InACall", "InAConferenceCall"] {
            rig.set(&token, "Busy", activity, "PT15M").await;
            quick.until(|event| is_seen(event, activity)).await;
        }
    }
    slow.until(|event| {
        is_seen(event, "InAConferenceCall") && event["state"]["requests"]["set"]["answered"]["200"] == 6
    })
    .await;
}

#[tokio::test]
async fn the_events_end_when_the_emulator_stops() {
    let rig = Rig::new().await;
    let mut reader = Reader::of(&rig, "").await;
    assert!(reader.next().await.is_some());
    rig.serving.abort();
    while reader.next().await.is_some() {}
}

#[tokio::test]
async fn a_page_of_another_site_gets_no_events() {
    let rig = Rig::new().await;
    for (name, value) in [("origin", "http://evil.example"), ("host", "rebound.example")] {
        let answer = Answer::of(rig.request(Method::GET, "/_emulator/events").header(name, value)).await;
        assert_eq!(answer.status, 403, "{name}");
    }
}
