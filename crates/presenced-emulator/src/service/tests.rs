//! Any request at any time, and who may send one.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use presenced_core::time::Instant;

#[test]
fn only_requests_for_this_machine_are_answered() {
    let now = Now { instant: Instant::default(), wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
    let mut service = Service::new(Options::default(), &now);
    let mut status = |headers: &[(HeaderName, &str)]| {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let request = Request {
            method: Method::POST,
            path: "/_emulator/faults".to_owned(),
            query: String::new(),
            headers: headers.collect(),
            body: Some(Bytes::from_static(b"{}")),
        };
        match service.arrive(&request, &now).fate {
            Fate::End(End::Reply(reply)) => Some(reply.status),
            Fate::Answer | Fate::End(End::Events(_) | End::Reset | End::Hang) => None,
        }
    };
    let forbidden = Some(StatusCode::FORBIDDEN);
    assert_eq!(status(&[(HOST, "127.0.0.1:8765")]), None);
    assert_eq!(status(&[(HOST, "localhost"), (ORIGIN, "http://localhost:3000")]), None);
    assert_eq!(status(&[]), None, "HTTP/1.0");
    assert_eq!(status(&[(HOST, "rebound.example:8765")]), forbidden);
    assert_eq!(status(&[(HOST, "127.0.0.1:8765"), (ORIGIN, "https://evil.example")]), forbidden);
    assert_eq!(status(&[(HOST, "127.0.0.1:8765"), (ORIGIN, "null")]), forbidden);
    assert_eq!(status(&[(HOST, "127.0.0.1:8765"), (HOST, "rebound.example")]), forbidden);
}

/// Paths of known and unknown segments.
fn path() -> impl Strategy<Value = String> {
    let known: Vec<&str> = vec![
        "v1.0",
        "beta",
        "users",
        "me",
        "presence",
        "setPresence",
        "clearPresence",
        "setUserPreferredPresence",
        "setStatusMessage",
        "$batch",
        "communications",
        "presences",
        "getPresencesByUserId",
        "oauth2",
        "v2.0",
        "token",
        "devicecode",
        "authorize",
        "consent",
        "_emulator",
        "state",
        "requests",
        "faults",
        "tokens",
        "device",
        "approve",
        "metadata",
        "identity",
        "msi",
        "AuthorizationHeaderUnauthenticated",
        "presence",
        "presences",
        "communications",
        "microsoft.graph.setManualLocation",
        "users('1')",
        "users('",
        "deny",
        "timeline",
        "sessions",
        "revoke",
        "fa8bf3dc-eca7-46b7-bad1-db199b62afc3",
        "%",
        "%ff",
        "%2F",
        "",
    ];
    prop::collection::vec(select(known), 0..7).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// Bodies: valid, nearly valid and random.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let expected: Vec<&str> = vec![
        r#"{"sessionId": "a", "availability": "Available", "activity": "Available", "expirationDuration": "PT5M"}"#,
        r#"{"availability": "Away", "activity": "Away", "expirationDuration": "P9999999D"}"#,
        r#"{"availability": "Busy", "expires_in": "PT9000000000000000S", "fades": true}"#,
        r#"{"statusMessage": {"message": {"content": ""}}}"#,
        r#"{"then": {"respond": {"status": 599, "body": {"error": 1}}}, "times": 1}"#,
        r#"{"delay": "PT9000000000000000S", "for": "1s", "after": 4294967295}"#,
        r#"{"ids": ["fa8bf3dc-eca7-46b7-bad1-db199b62afc3", "nobody", ""]}"#,
        r#"{"requests": [{"id": "1", "method": "POST", "url": "/me/presence", "body": null}]}"#,
        "grant_type=client_credentials&client_id=22553876-f5ab-4529-bffb-cfe50aa89f87&scope=/.default",
        "client_id=22553876-f5ab-4529-bffb-cfe50aa89f87&scope=openid",
    ];
    prop_oneof![select(expected).prop_map(|body| body.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 0..40),]
}

proptest! {
    /// Every request at any time gets an answer, and the state survives a round trip through JSON.
    #[test]
    fn any_request_is_answered(
        requests in prop::collection::vec((path(), body(), any::<bool>(), any::<bool>(), 0_u64..100_000_000), 1..20)
    ) {
        let at = |secs| Now {
            instant: Instant::from_origin(Duration::from_secs(secs)),
            wall: Timestamp::UNIX_EPOCH + Duration::from_secs(secs),
            zone: TimeZone::UTC,
        };
        let mut service = Service::new(Options::default(), &at(0));
        let mut form = Request {
            method: Method::POST,
            path: "/t/oauth2/v2.0/token".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Some("grant_type=client_credentials&client_id=22553876-f5ab-4529-bffb-cfe50aa89f87&\
                client_secret=emulator-secret&scope=/.default".into()),
        };
        let mut secs = 0;
        for (path, body, posts, signed_in, later) in requests {
            secs += later;
            let now = at(secs);
            let token: Value = serde_json::from_slice(&service.single(&form, &now).body).unwrap();
            let mut request = Request { path, body: Some(body.into()), ..form.clone() };
            request.method = if posts { Method::POST } else { Method::GET };
            request.headers.insert("content-type", "application/json".parse().unwrap());
            if signed_in {
                let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
                request.headers.insert("authorization", bearer.parse().unwrap());
            }
            let Arrival { journal_entry, fate, .. } = service.arrive(&request, &now);
            let end = match fate {
                Fate::Answer => service.answer(&request, None, &now).end,
                Fate::End(end) => end,
            };
            if let End::Reply(reply) = &end {
                prop_assert!(reply.status.as_u16() >= 200);
            }
            if let Some(journal_entry) = journal_entry {
                service.finish(journal_entry, &request, &end, &now).for_each(drop);
            }
            form.headers.clear();
            let state = service.state(ShownUsers::IfFew, &now);
            let json = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
        }
    }
}
