//! Faults on request, each as a client meets it.

use presenced_emulator::{Call, Fault, Matches, Outcome, Then};

use super::*;

#[tokio::test]
async fn an_answer_can_be_anything_for_so_many_calls() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "set", "after": 1, "times": 1,
        "then": {"respond": {"status": 503, "headers": {"Retry-After": "2.128"}, "body": "<h1>Bad gateway</h1>"}}}))
        .await;
    assert_eq!(rig.set(&token, "Busy", "InACall", "PT5M").await.status, 200);
    let answer = rig.set(&token, "Away", "Away", "PT5M").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (503, "<h1>Bad gateway</h1>"));
    assert_eq!(answer.header("retry-after"), "2.128");
    assert_eq!(rig.visible(), "Busy/InACall", "it had no effect");
    assert_eq!(rig.set(&token, "Away", "Away", "PT5M").await.status, 200);
}

#[tokio::test]
async fn without_a_body_an_error_looks_like_graphs_or_entras() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.fault(json!([
        {"call": "set", "times": 1, "then": {"respond": {"status": 401}}},
        {"call": "set", "times": 1, "then": {"respond": {"status": 429}}},
        {"call": "token", "times": 1, "then": {"respond": {"status": 503}}},
        {"call": "token", "times": 1, "then": {"respond": {"status": 400}}},
    ]))
    .await;
    rig.set(&token, "Away", "Away", "PT5M").await.is_graph_error(401, "ServiceError", "An error has occurred.");
    let throttled = rig.set(&token, "Away", "Away", "PT5M").await;
    throttled.is_graph_error(429, "TooManyRequests", "Please retry again later.");
    assert_eq!(throttled.header("retry-after"), "", "the presence service may leave it out");
    rig.sign_in("token", &client_credentials()).await.is_entra_error(503, "temporarily_unavailable", 90_033);
    rig.sign_in("token", &client_credentials()).await.is_entra_error(400, "invalid_grant", 50_173);
    assert_eq!(rig.sign_in("token", &client_credentials()).await.status, 200);
}

/// A token of the application, asked for with these claims.
async fn token_with(rig: &Rig, claims: &Value) -> String {
    let claims = claims.to_string();
    let form: Vec<_> = client_credentials().into_iter().chain([("claims", claims.as_str())]).collect();
    rig.sign_in("token", &form).await.text("access_token")
}

#[tokio::test]
async fn a_claims_challenge_lasts_until_a_token_request_has_its_claims() {
    use base64::Engine as _;
    let rig = Rig::new().await;
    let cp1 = json!({"access_token": {"xms_cc": {"values": ["cp1"]}}});
    let (simple, capable) = (rig.app_token().await, token_with(&rig, &cp1).await);
    rig.advance(60);
    rig.fault(json!({"call": "graph", "for": "1h", "then": "claims-challenge"})).await;
    let set = async |token: &str| rig.set(token, "Away", "Away", "PT5M").await;
    assert_eq!(set(&simple).await.status, 200, "its client never said that it handles challenges");
    rig.advance(1);
    let answer = set(&capable).await;
    assert_eq!(answer.status, 401);
    let header = answer.header("www-authenticate");
    assert!(header.contains(r#", error="insufficient_claims", claims=""#), "{header}");
    let claims = header.rsplit_once("claims=\"").unwrap().1.trim_end_matches('"');
    let claims = base64::engine::general_purpose::STANDARD.decode(claims).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims, json!({"access_token": {"nbf": {"essential": true, "value": "1795421860"}}}));
    // A new token alone does not do.
    assert_eq!(set(&token_with(&rig, &cp1).await).await.status, 401);
    claims["access_token"]["xms_cc"] = cp1["access_token"]["xms_cc"].clone();
    let met = token_with(&rig, &claims).await;
    assert_eq!(set(&met).await.status, 200);
    // A later challenge asks anew.
    rig.emulator.clear_faults();
    rig.advance(60);
    assert_eq!(set(&capable).await.status, 200);
    rig.fault(json!({"call": "set", "then": "claims-challenge"})).await;
    assert_eq!(set(&met).await.status, 401);
    assert_eq!(rig.get(&met, &format!("/v1.0/users/{USER}/presence")).await.status, 200, "another call");
    let form: Vec<_> = client_credentials().into_iter().chain([("claims", "[]")]).collect();
    rig.sign_in("token", &form).await.is_entra_error(400, "invalid_request", 0);
}

#[tokio::test]
async fn sign_ins_can_be_revoked_by_a_fault() {
    let rig = Rig::new().await;
    let signed_in = rig.device_sign_in("offline_access Presence.ReadWrite").await;
    rig.fault(json!({"call": "set", "times": 1, "then": "revoke"})).await;
    let refresh_token = signed_in.text("refresh_token");
    let refresh = [("grant_type", "refresh_token"), ("client_id", APP), ("refresh_token", &*refresh_token)];
    assert_eq!(rig.sign_in("token", &refresh).await.status, 200);
    assert_eq!(rig.set(&signed_in.text("access_token"), "Away", "Away", "PT5M").await.status, 200);
    rig.sign_in("token", &refresh).await.is_entra_error(400, "invalid_grant", 50_173);
}

/// Sends bytes on a connection of their own, and says how it ends.
async fn raw(rig: &Rig, request: &str) -> std::io::Result<Vec<u8>> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(rig.base.trim_start_matches("http://")).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(GUARD, stream.read_to_end(&mut answer)).await.expect("the connection ends")?;
    Ok(answer)
}

#[tokio::test]
async fn the_sign_in_service_can_refuse_with_any_of_its_numbers() {
    let rig = Rig::new().await;
    rig.fault(json!([
        {"call": "token", "times": 1, "then": {"aadsts": 53003}},
        {"call": "token", "times": 1, "then": {"aadsts": 90055}},
        {"call": "device-code", "then": {"aadsts": 700_016}},
    ]))
    .await;
    rig.sign_in("token", &client_credentials()).await.is_entra_error(400, "invalid_grant", 53_003);
    rig.sign_in("token", &client_credentials()).await.is_entra_error(429, "temporarily_unavailable", 90_055);
    assert_eq!(rig.sign_in("token", &client_credentials()).await.status, 200);
    let form = [("client_id", APP), ("scope", "openid")];
    rig.sign_in("devicecode", &form).await.is_entra_error(400, "unauthorized_client", 700_016);
}

#[tokio::test]
async fn graph_can_refuse_without_saying_what_is_wrong() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    for (refusal, status, code, message) in [
        ("unauthorized", 401, "Unauthorized", "Unauthorized"),
        (
            "no-presence",
            404,
            "Request_ResourceNotFound",
            "Resource 'presence' does not exist or one of its queried reference-property objects are not present.",
        ),
        ("personal-account", 400, "BadRequest", "This API is not supported for MSA accounts."),
    ] {
        rig.fault(json!({"call": "set", "times": 1, "then": {"refuse": refusal}})).await;
        let answer = rig.set(&token, "Away", "Away", "PT5M").await;
        answer.is_graph_error(status, code, message);
        assert_eq!(answer.header("www-authenticate"), "");
    }
    assert_eq!(rig.set(&token, "Away", "Away", "PT5M").await.status, 200);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let rig = Rig::new().await;
    let request = "POST /v1.0/me/presence/setPresence HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    assert!(raw(&rig, request).await.unwrap().starts_with(b"HTTP/1.1 401"));
    rig.fault(json!({"then": "reset", "times": 1})).await;
    let error = raw(&rig, request).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(rig.emulator.requests().last().unwrap().outcome, Outcome::Reset);
    assert_eq!(rig.emulator.state().requests[&Call::Set].unanswered, 1);
    assert!(raw(&rig, request).await.unwrap().starts_with(b"HTTP/1.1 401"));
}

#[tokio::test]
async fn an_answer_can_get_lost_after_the_request_had_its_effect() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "set", "times": 1, "then": "reset", "applied": true})).await;
    let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall"});
    let sent = rig.request(Method::POST, &action("setPresence")).bearer_auth(&token).json(&body).send().await;
    assert!(sent.is_err());
    assert_eq!(rig.visible(), "Busy/InACall");
}

#[tokio::test]
async fn a_call_that_hangs_is_never_answered_and_others_are() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "set", "times": 1, "then": "hang"})).await;
    let mut records = rig.emulator.subscribe();
    let hanging = rig.set(&token, "Busy", "InACall", "PT5M");
    tokio::pin!(hanging);
    let record = tokio::select! {
        answer = &mut hanging => panic!("answered: {answer:?}"),
        record = records.recv() => record.unwrap(),
    };
    assert_eq!((record.call, record.outcome, record.status), (Call::Set, Outcome::Hung, None));
    rig.advance(3600);
    tokio::select! {
        answer = &mut hanging => panic!("answered: {answer:?}"),
        answer = rig.set(&token, "Away", "Away", "PT5M") => assert_eq!(answer.status, 200),
    }
    assert_eq!(rig.visible(), "Away/Away");
}

#[tokio::test]
async fn a_delay_is_in_the_emulators_time() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.fault(json!({"call": "set", "delay": "PT10S"})).await;
    let delayed = rig.set(&token, "Busy", "InACall", "PT5M");
    tokio::pin!(delayed);
    let arrived = async {
        while rig.emulator.requests().last().is_none_or(|record| record.call != Call::Set) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = &mut delayed => panic!("answered: {answer:?}"),
        () = arrived => {}
    }
    rig.advance(9);
    let path = format!("/v1.0/users/{USER}/presence");
    let other = rig.get(&token, &path);
    tokio::select! {
        answer = &mut delayed => panic!("answered: {answer:?}"),
        answer = other => assert_eq!(answer.text("activity"), "Offline"),
    }
    rig.advance(1);
    assert_eq!(delayed.await.status, 200);
    assert_eq!(rig.visible(), "Busy/InACall");
}

#[tokio::test]
async fn an_outage_lasts_for_a_time_of_the_emulators() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    rig.fault(json!({"for": "10m", "then": {"respond": {"status": 504}}})).await;
    rig.advance(599);
    assert_eq!(rig.set(&token, "Away", "Away", "PT5M").await.status, 504);
    assert_eq!(rig.sign_in("token", &client_credentials()).await.status, 504);
    rig.advance(1);
    assert_eq!(rig.set(&token, "Away", "Away", "PT5M").await.status, 200);
}

#[tokio::test]
async fn faults_are_listed_removed_and_refused_when_they_make_no_sense() {
    let rig = Rig::new().await;
    rig.emulator.inject(Fault::new(Matches::Only(Call::Token), Then::Hang)).unwrap();
    let list = Answer::of(rig.request(Method::GET, "/_emulator/faults")).await.json();
    assert_eq!(list, json!([{"call": "token", "after": 0, "then": "hang", "applied": false}]));
    for wrong in [
        json!({"call": "sett"}),
        json!([{}, {"for": "soon"}]),
        json!("reset"),
        json!({"then": {"respond": {"status": 99}}}),
        json!({"call": "set", "then": {"aadsts": 53003}}),
    ] {
        let answer = Answer::of(rig.request(Method::POST, "/_emulator/faults").json(&wrong)).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(!answer.text("error").is_empty());
    }
    assert_eq!(rig.emulator.state().faults, 1, "a list with a mistake in it changes nothing");
    assert_eq!(Answer::of(rig.request(Method::DELETE, "/_emulator/faults")).await.status, 204);
    assert_eq!(rig.sign_in("token", &client_credentials()).await.status, 200);
}
