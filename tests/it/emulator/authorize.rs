//! Signing in in a browser: the page, the way back, and each way in which Entra refuses a code.

use std::collections::HashMap;

use presenced_emulator::{App, Consent, Options, User};

use super::*;
use crate::stage::http_client::http_client;

const OTHER_APP: &str = "33333333-4444-5555-6666-777777777777";
const REDIRECT: &str = "http://localhost:43210";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SCOPE: &str = "https://graph.microsoft.com/Presence.ReadWrite offline_access openid profile";

fn question() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", APP),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("response_mode", "query"),
        ("scope", SCOPE),
        ("state", "a state & more"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

/// `pairs`, of which one is changed; to `-`: left out.
fn with<'a>(mut pairs: Vec<(&'a str, &'a str)>, name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    pairs.retain(|(key, _)| *key != name);
    if value != "-" {
        pairs.push((name, value));
    }
    pairs
}

fn redemption(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", APP),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("scope", SCOPE),
    ]
}

impl Rig {
    /// A browser opens the page, and follows nothing.
    async fn open(&self, question: &[(&str, &str)]) -> Answer {
        self.browse(Method::GET, "/contoso.onmicrosoft.com/oauth2/v2.0/authorize", question).await
    }

    async fn browse(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Answer {
        let policy = reqwest::redirect::Policy::none();
        let client = http_client().no_proxy().redirect(policy).timeout(GUARD).build().unwrap();
        let mut url: url::Url = format!("{}{path}", self.base).parse().unwrap();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Answer::of(client.request(method, url)).await
    }

    async fn code(&self) -> String {
        back(&self.open(&question()).await).remove("code").unwrap()
    }
}

/// What the browser is sent back with.
#[track_caller]
fn back(answer: &Answer) -> HashMap<String, String> {
    back_to("http://localhost:43210/", answer)
}

/// The same for another redirect address.
#[track_caller]
fn back_to(redirect: &str, answer: &Answer) -> HashMap<String, String> {
    assert_eq!(answer.status, 302, "{answer:?}");
    let location: url::Url = answer.header("location").parse().unwrap();
    assert!(location.as_str().starts_with(&format!("{redirect}?")), "{location}");
    location.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_code_comes_back_with_the_state_and_is_redeemed_once() {
    let rig = Rig::new().await;
    let mut answer = back(&rig.open(&question()).await);
    assert_eq!(answer.remove("state").as_deref(), Some("a state & more"));
    let code = answer.remove("code").unwrap();
    assert!(answer.is_empty(), "{answer:?}");
    rig.advance(599);
    let answer = rig.sign_in("token", &redemption(&code)).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.text("scope")),
        (200, "https://graph.microsoft.com/Presence.ReadWrite openid profile"),
        "{answer:?}"
    );
    assert!(!answer.text("refresh_token").is_empty() && !answer.text("id_token").is_empty());
    assert_eq!(rig.set(&answer.text("access_token"), "Busy", "InACall", "PT5M").await.status, 200);
    rig.sign_in("token", &redemption(&code)).await.is_entra_error(400, "invalid_grant", 54_005);
}

#[tokio::test]
async fn a_code_needs_no_challenge_and_takes_a_plain_one() {
    let rig = Rig::new().await;
    let bare = with(with(question(), "code_challenge", "-"), "code_challenge_method", "-");
    let code = back(&rig.open(&bare).await).remove("code").unwrap();
    rig.sign_in("token", &redemption(&code)).await.is_entra_error(400, "invalid_grant", 501_481);
    assert_eq!(rig.sign_in("token", &with(redemption(&code), "code_verifier", "-")).await.status, 200);
    for method in ["-", "plain"] {
        let plain = with(with(question(), "code_challenge", VERIFIER), "code_challenge_method", method);
        let code = back(&rig.open(&plain).await).remove("code").unwrap();
        assert_eq!(rig.sign_in("token", &redemption(&code)).await.status, 200, "{method}");
    }
}

#[tokio::test]
async fn an_answer_comes_in_a_fragment_or_a_form_if_asked_for() {
    let rig = Rig::new().await;
    let fragment = rig.open(&with(question(), "response_mode", "fragment")).await;
    let location: url::Url = fragment.header("location").parse().unwrap();
    assert!(location.query().is_none() && location.fragment().unwrap().starts_with("code=1."), "{location}");
    assert!(location.fragment().unwrap().ends_with("&state=a+state+%26+more"), "{location}");

    let form = rig.open(&with(question(), "response_mode", "form_post")).await;
    assert_eq!((form.status.as_u16(), form.header("content-type")), (200, "text/html; charset=utf-8"));
    for part in [
        "<form method=\"post\" action=\"http://localhost:43210/\">",
        "<input type=\"hidden\" name=\"code\" value=\"1.",
        "<input type=\"hidden\" name=\"state\" value=\"a state &amp; more\">",
        "<script>document.forms[0].submit()</script>",
    ] {
        assert!(form.body.contains(part), "{part} in {}", form.body);
    }
    // Errors go the same way.
    let refused = rig.open(&with(with(question(), "response_mode", "form_post"), "scope", "Mail.Read")).await;
    assert!(refused.body.contains("name=\"error\" value=\"invalid_scope\""), "{}", refused.body);
}

#[tokio::test]
async fn only_the_client_that_asked_can_redeem_a_code() {
    let apps = vec![App::default(), App { client_id: OTHER_APP.to_owned(), ..App::default() }];
    let rig = Rig::with(Options { apps, ..Options::default() }).await;
    let code = rig.code().await;
    for (name, value, status, error, number) in [
        ("code_verifier", "another-verifier-of-the-same-length-as-the-one", 400, "invalid_grant", 501_481),
        ("code_verifier", "-", 400, "invalid_grant", 50_148),
        ("redirect_uri", "http://localhost:43210/", 400, "invalid_grant", 500_112),
        ("redirect_uri", "http://localhost:1", 400, "invalid_grant", 500_112),
        ("redirect_uri", "-", 400, "invalid_request", 900_144),
        ("client_id", OTHER_APP, 400, "invalid_grant", 9_002_313),
        ("code", "made-up", 400, "invalid_grant", 9_002_313),
        ("code", "-", 400, "invalid_request", 900_144),
        ("client_secret", SECRET, 401, "invalid_client", 700_025),
    ] {
        let answer = rig.sign_in("token", &with(redemption(&code), name, value)).await;
        answer.is_entra_error(status, error, number);
    }
    assert_eq!(rig.sign_in("token", &redemption(&code)).await.status, 200, "none of that used it up");
    let code = rig.code().await;
    rig.advance(600);
    rig.sign_in("token", &redemption(&code)).await.is_entra_error(400, "invalid_grant", 70_008);
}

#[tokio::test]
async fn a_key_that_cannot_be_the_applications_is_never_sent() {
    let rig = Rig::new().await;
    for (name, value, error, number) in [
        ("client_id", "another", "unauthorized_client", 700_016),
        ("client_id", "-", "invalid_request", 900_144),
        ("redirect_uri", "-", "invalid_request", 900_144),
        ("redirect_uri", "http://127.0.0.1:43210", "invalid_request", 50_011),
        ("redirect_uri", "https://localhost:43210", "invalid_request", 50_011),
        ("redirect_uri", "http://localhost:43210/callback", "invalid_request", 50_011),
        ("redirect_uri", "http://evil.example", "invalid_request", 50_011),
    ] {
        rig.open(&with(question(), name, value)).await.is_entra_error(400, error, number);
    }
    let path = "/no%20tenant/oauth2/v2.0/authorize";
    rig.browse(Method::GET, path, &question()).await.is_entra_error(400, "invalid_request", 90_002);
    let path = "/contoso.onmicrosoft.com/oauth2/v2.0/authorize";
    rig.browse(Method::POST, path, &question()).await.is_entra_error(405, "invalid_request", 900_561);
}

#[tokio::test]
async fn a_web_server_proves_with_its_secret_that_the_code_is_its_own() {
    const WEB: &str = "https://app.example/signed-in";
    let app = App { redirect_uris: vec![WEB.to_owned(), "http://localhost".to_owned()], ..App::default() };
    let rig = Rig::with(Options { apps: vec![app], ..Options::default() }).await;
    let code = back_to(WEB, &rig.open(&with(question(), "redirect_uri", WEB)).await).remove("code").unwrap();
    let form = with(redemption(&code), "redirect_uri", WEB);
    rig.sign_in("token", &form).await.is_entra_error(401, "invalid_client", 7_000_218);
    let wrong = with(form.clone(), "client_secret", "wrong");
    rig.sign_in("token", &wrong).await.is_entra_error(401, "invalid_client", 7_000_215);
    assert_eq!(rig.sign_in("token", &with(form, "client_secret", SECRET)).await.status, 200);
    for secret in ["-", SECRET] {
        let code = rig.code().await;
        let form = with(redemption(&code), "client_secret", secret);
        assert_eq!(rig.sign_in("token", &form).await.status, 200, "localhost may be either");
    }
}

#[tokio::test]
async fn other_errors_reach_the_application() {
    let rig = Rig::new().await;
    for (name, value, error, number) in [
        ("response_type", "token", "unsupported_response_type", "AADSTS700054: "),
        ("response_type", "-", "invalid_request", "AADSTS900144: "),
        ("response_mode", "pigeon", "unsupported_response_type", "AADSTS700054: "),
        ("scope", "-", "invalid_request", "AADSTS900144: "),
        ("scope", "Mail.Read", "invalid_scope", "AADSTS70011: "),
        ("code_challenge", "-", "invalid_request", "AADSTS900144: "),
        ("code_challenge", "short", "invalid_request", "AADSTS501491: "),
        ("code_challenge_method", "S512", "invalid_request", "AADSTS50149: "),
    ] {
        let answer = back(&rig.open(&with(question(), name, value)).await);
        assert_eq!((&*answer["error"], &*answer["state"]), (error, "a state & more"), "{name}={value}");
        assert!(answer["error_description"].starts_with(number), "{answer:?}");
        assert!(!answer.contains_key("code"));
    }
}

#[tokio::test]
async fn a_person_approves_or_denies_on_a_page_or_lets_it_be() {
    let stranger = User { id: "stranger".to_owned(), principal_name: "you@contoso.com".to_owned(), ..User::default() };
    let users = vec![User::default(), stranger];
    let rig = Rig::with(Options { consent: Consent::ByHand, users, ..Options::default() }).await;
    let ask = async || {
        let page = rig.open(&question()).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        let id = rig.emulator.state().consents.pop().unwrap();
        for decision in ["approve", "deny"] {
            assert!(
                page.body.contains(&format!("<form method=\"post\" action=\"/_emulator/consent/{id}/{decision}\">"))
            );
        }
        id
    };
    let decide = async |id: &str, decision: &str| {
        rig.browse(Method::POST, &format!("/_emulator/consent/{id}/{decision}"), &[]).await
    };
    let id = ask().await;
    let code = back(&decide(&id, "approve?user=stranger").await).remove("code").unwrap();
    assert_eq!(decide(&id, "approve").await.status, 404, "it is decided already");
    let answer = rig.sign_in("token", &redemption(&code)).await;
    let token = answer.text("access_token");
    assert_eq!(rig.set(&token, "Away", "Away", "PT5M").await.status, 401, "it is for the presence of somebody else");

    let denied = back(&decide(&ask().await, "deny").await);
    assert_eq!((&*denied["error"], &*denied["state"]), ("access_denied", "a state & more"));
    assert!(denied["error_description"].starts_with("AADSTS65004: "));

    let id = ask().await;
    assert_eq!(decide(&id, "approve?user=nobody").await.status, 404);
    assert_eq!(decide(&id, "wait").await.status, 404);
    rig.advance(600);
    assert_eq!(decide(&id, "approve").await.status, 404);
    assert_eq!(rig.emulator.state().consents, Vec::<String>::new());
}
