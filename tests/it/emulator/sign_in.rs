//! Signing in: each grant, and each way in which Entra refuses it.

use presenced_emulator::{Approval, DeviceCodeOptions, Options, Tenants};

use super::*;

const SCOPE: &str = "openid profile offline_access Presence.ReadWrite";

fn by_hand() -> Options {
    Options {
        device: DeviceCodeOptions { approval: Approval::ByHand, ..DeviceCodeOptions::default() },
        ..Options::default()
    }
}

#[tokio::test]
async fn client_credentials_give_a_token_that_lives_60_to_90_minutes() {
    let rig = Rig::new().await;
    let mut lifetimes = Vec::new();
    for _ in 0..20 {
        let answer = rig.sign_in("token", &client_credentials()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), "no-store, no-cache");
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        assert!(body.get("refresh_token").is_none());
        let lifetime = body["expires_in"].as_u64().unwrap();
        assert!((3600..=5400).contains(&lifetime));
        lifetimes.push(lifetime);
        let claims = claims(&answer.text("access_token"));
        assert_eq!((&claims["appid"], &claims["roles"][0]), (&json!(APP), &json!("Presence.ReadWrite.All")));
    }
    lifetimes.dedup();
    assert!(lifetimes.len() > 1, "they differ");
}

#[tokio::test]
async fn a_token_is_good_until_the_second_it_expires() {
    let rig = Rig::new().await;
    let answer = rig.sign_in("token", &client_credentials()).await;
    let token = answer.text("access_token");
    rig.advance(answer.json()["expires_in"].as_u64().unwrap() - 1);
    assert_eq!(rig.set(&token, "Away", "Away", "PT5M").await.status, 200);
    rig.advance(1);
    assert_eq!(rig.set(&token, "Away", "Away", "PT5M").await.status, 401);
}

#[tokio::test]
async fn client_credentials_are_refused_as_entra_does() {
    let rig = Rig::new().await;
    let with = |name: &'static str, value: &'static str| {
        let form = client_credentials().map(|(key, old)| (key, if key == name { value } else { old }));
        form.into_iter().filter(|(_, value)| *value != "-").collect::<Vec<_>>()
    };
    for (form, status, error, code) in [
        (with("client_secret", "wrong"), 401, "invalid_client", 7_000_215),
        (with("client_secret", "-"), 401, "invalid_client", 7_000_218),
        (with("client_id", "another"), 400, "unauthorized_client", 700_016),
        (with("client_id", "-"), 400, "invalid_request", 900_144),
        (with("scope", "Presence.ReadWrite.All"), 400, "invalid_scope", 1_002_012),
        (with("scope", "-"), 400, "invalid_request", 900_144),
        (with("grant_type", "password"), 400, "unsupported_grant_type", 70_003),
        (with("grant_type", "-"), 400, "invalid_request", 900_144),
    ] {
        rig.sign_in("token", &form).await.is_entra_error(status, error, code);
    }
}

#[tokio::test]
async fn garbage_at_the_sign_in_is_refused_in_entras_shape() {
    let rig = Rig::new().await;
    let path = "/contoso.onmicrosoft.com/oauth2/v2.0/token";
    let get = Answer::of(rig.request(Method::GET, path)).await;
    get.is_entra_error(405, "invalid_request", 900_561);
    for body in ["", "{\"grant_type\": \"client_credentials\"}", "&&&===", "%ff%00"] {
        Answer::of(rig.request(Method::POST, path).body(body)).await.is_entra_error(400, "invalid_request", 900_144);
    }
    let large = Answer::of(rig.request(Method::POST, path).body(vec![b'a'; 1024 * 1024])).await;
    large.is_entra_error(413, "invalid_request", 0);
    let request = rig.request(Method::POST, "/no%20tenant/oauth2/v2.0/token").form(&client_credentials());
    Answer::of(request).await.is_entra_error(400, "invalid_request", 90_002);
}

#[tokio::test]
async fn a_secret_may_come_by_http_basic() {
    let rig = Rig::new().await;
    let ask = async |name: &str, secret: &str, more: &[(&str, &str)]| {
        let form = [("grant_type", "client_credentials"), ("scope", "https://graph.microsoft.com/.default")];
        let request = rig.request(Method::POST, "/contoso.onmicrosoft.com/oauth2/v2.0/token");
        Answer::of(request.basic_auth(name, Some(secret)).form(&[&form[..], more].concat())).await
    };
    assert_eq!(ask(APP, SECRET, &[]).await.status, 200);
    assert_eq!(ask(APP, SECRET, &[("client_id", APP)]).await.status, 200);
    ask(APP, "wrong", &[]).await.is_entra_error(401, "invalid_client", 7_000_215);
    ask("another", SECRET, &[]).await.is_entra_error(400, "unauthorized_client", 700_016);
    ask(APP, SECRET, &[("client_id", "another")]).await.is_entra_error(400, "invalid_request", 0);
    ask(APP, SECRET, &[("client_secret", SECRET)]).await.is_entra_error(400, "invalid_request", 0);
    let request = rig.request(Method::POST, "/contoso.onmicrosoft.com/oauth2/v2.0/token").bearer_auth("a");
    Answer::of(request.form(&client_credentials())).await.is_entra_error(401, "invalid_client", 0);
}

#[tokio::test]
async fn the_correlation_id_is_the_clients_own() {
    let rig = Rig::new().await;
    let request = rig.request(Method::POST, "/common/oauth2/v2.0/token").header("client-request-id", "mine").body("");
    let answer = Answer::of(request).await;
    assert_eq!((answer.text("correlation_id").as_str(), answer.header("client-request-id")), ("mine", "mine"));
    assert_eq!(answer.text("trace_id"), answer.header("x-ms-request-id"));
}

#[tokio::test]
async fn tenants_can_be_limited() {
    let rig =
        Rig::with(Options { tenants: Tenants::Only(vec!["fabrikam.com".to_owned()]), ..Options::default() }).await;
    rig.sign_in("token", &client_credentials()).await.is_entra_error(400, "invalid_request", 90_002);
    let request = rig.request(Method::POST, "/Fabrikam.com/oauth2/v2.0/token").form(&client_credentials());
    assert_eq!(Answer::of(request).await.status, 200);
}

#[tokio::test]
async fn a_device_code_is_approved_by_itself_after_a_poll_and_redeemed_once() {
    let rig = Rig::new().await;
    let started = rig.sign_in("devicecode", &[("client_id", APP), ("scope", SCOPE)]).await.json();
    assert_eq!((&started["expires_in"], &started["interval"]), (&json!(900), &json!(5)));
    let code = started["device_code"].as_str().unwrap();
    assert!(started["message"].as_str().unwrap().contains(started["user_code"].as_str().unwrap()));
    rig.sign_in("token", &poll(code)).await.is_entra_error(400, "authorization_pending", 70_016);
    rig.advance(5);
    let answer = rig.sign_in("token", &poll(code)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text("scope"), "openid profile Presence.ReadWrite");
    let identity = claims(&answer.text("id_token"));
    assert_eq!(
        (&identity["oid"], &identity["preferred_username"], &identity["aud"]),
        (&json!(USER), &json!("me@contoso.onmicrosoft.com"), &json!(APP))
    );
    assert_eq!(identity["tid"], claims(&answer.text("access_token"))["tid"]);
    assert_eq!(rig.set(&answer.text("access_token"), "Busy", "InACall", "PT5M").await.status, 200);
    rig.advance(5);
    rig.sign_in("token", &poll(code)).await.is_entra_error(400, "bad_verification_code", 70_018);
    rig.sign_in("token", &poll("never issued")).await.is_entra_error(400, "bad_verification_code", 70_018);
}

#[tokio::test]
async fn an_id_token_and_a_refresh_token_come_only_when_asked_for() {
    let rig = Rig::new().await;
    let answer = rig.device_sign_in("Presence.ReadWrite").await.json();
    assert!(answer.get("id_token").is_none() && answer.get("refresh_token").is_none());
    let answer = rig.device_sign_in("https://graph.microsoft.com/.default").await;
    let resource = "https://graph.microsoft.com";
    assert_eq!(
        answer.text("scope"),
        format!(
            "{resource}/Presence.ReadWrite {resource}/Presence.Read {resource}/Presence.Read.All {resource}/User.Read \
             {resource}/.default"
        )
    );
    let answer = rig.sign_in("devicecode", &[("client_id", APP), ("scope", "Mail.Read")]).await;
    answer.is_entra_error(400, "invalid_scope", 70_011);
}

#[tokio::test]
async fn polling_too_soon_slows_down_for_good() {
    let rig = Rig::with(by_hand()).await;
    let started = rig.sign_in("devicecode", &[("client_id", APP), ("scope", SCOPE)]).await;
    let code = started.text("device_code");
    rig.sign_in("token", &poll(&code)).await.is_entra_error(400, "authorization_pending", 70_016);
    rig.advance(4);
    rig.sign_in("token", &poll(&code)).await.is_entra_error(400, "slow_down", 0);
    rig.advance(9);
    rig.sign_in("token", &poll(&code)).await.is_entra_error(400, "slow_down", 0);
    rig.advance(15);
    rig.sign_in("token", &poll(&code)).await.is_entra_error(400, "authorization_pending", 70_016);
}

#[tokio::test]
async fn a_person_approves_or_denies_a_device_code_or_lets_it_expire() {
    let rig = Rig::with(by_hand()).await;
    let start = async || {
        let started = rig.sign_in("devicecode", &[("client_id", APP), ("scope", SCOPE)]).await;
        (started.text("device_code"), started.text("user_code"))
    };
    let decide = async |user_code: &str, decision: &str| {
        Answer::of(rig.request(Method::POST, &format!("/_emulator/device/{user_code}/{decision}"))).await.status
    };

    let (approved, approved_code) = start().await;
    let (denied, denied_code) = start().await;
    let (expired, expired_code) = start().await;
    rig.sign_in("token", &poll(&approved)).await.is_entra_error(400, "authorization_pending", 70_016);
    let page = Answer::of(rig.request(Method::GET, "/_emulator/device")).await.body;
    assert!(page.starts_with("3 sign-ins wait") && page.contains(&denied_code), "{page}");
    assert_eq!(decide(&approved_code.to_lowercase(), "approve").await, 204);
    assert_eq!(decide(&denied_code, "deny").await, 204);
    assert_eq!(decide(&denied_code, "approve").await, 404, "it is decided already");
    rig.advance(5);
    assert_eq!(rig.sign_in("token", &poll(&approved)).await.status, 200);
    rig.sign_in("token", &poll(&denied)).await.is_entra_error(400, "authorization_declined", 65_004);
    rig.advance(895);
    rig.sign_in("token", &poll(&expired)).await.is_entra_error(400, "expired_token", 70_020);
    assert_eq!(decide(&expired_code, "approve").await, 404);
}

fn refresh(token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", APP), ("refresh_token", token)]
}

#[tokio::test]
async fn a_refresh_token_is_replaced_and_the_old_one_still_works() {
    let rig = Rig::new().await;
    let first = rig.device_sign_in(SCOPE).await.text("refresh_token");
    let answer = rig.sign_in("token", &refresh(&first)).await;
    assert_eq!((answer.status.as_u16(), answer.text("scope").as_str()), (200, "openid profile Presence.ReadWrite"));
    let second = answer.text("refresh_token");
    assert_ne!(first, second);
    assert_eq!(rig.set(&answer.text("access_token"), "Away", "Away", "PT5M").await.status, 200);
    for token in [&first, &second, &first] {
        assert_eq!(rig.sign_in("token", &refresh(token)).await.status, 200);
    }
    let mut wider = refresh(&first).to_vec();
    wider.push(("scope", "Presence.Read.All"));
    rig.sign_in("token", &wider).await.is_entra_error(400, "invalid_grant", 65_001);
}

#[tokio::test]
async fn refresh_tokens_are_refused_when_unknown_expired_or_revoked() {
    let rig = Rig::new().await;
    let signed_in = rig.device_sign_in(SCOPE).await;
    let (token, access) = (signed_in.text("refresh_token"), signed_in.text("access_token"));
    rig.sign_in("token", &refresh("garbage")).await.is_entra_error(400, "invalid_grant", 9_002_313);

    let revoked = Answer::of(rig.request(Method::POST, &format!("/_emulator/users/{USER}/revoke"))).await;
    assert_eq!(revoked.status, 204);
    rig.sign_in("token", &refresh(&token)).await.is_entra_error(400, "invalid_grant", 50_173);
    assert_eq!(rig.set(&access, "Away", "Away", "PT5M").await.status, 200, "access tokens run out by themselves");
    let forgotten = Answer::of(rig.request(Method::DELETE, "/_emulator/tokens")).await;
    assert_eq!(forgotten.status, 204);
    assert_eq!(rig.set(&access, "Away", "Away", "PT5M").await.status, 401);

    let token = rig.device_sign_in(SCOPE).await.text("refresh_token");
    rig.advance(90 * 24 * 60 * 60);
    rig.sign_in("token", &refresh(&token)).await.is_entra_error(400, "invalid_grant", 700_082);
}
