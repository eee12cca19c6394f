use std::collections::HashMap;

use super::*;
use crate::auth::token_service::Who;
use crate::config::{Auth, Cloud, Endpoints};

fn account() -> config::Account {
    config::Account {
        tenant: "contoso.onmicrosoft.com".to_owned(),
        client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
        user: None,
        users: None,
        rate: crate::pacer::Rate::default(),
        cloud: Cloud::Global,
        auth: Auth::Browser,
        tokens: config::TokenStore::default(),
        endpoints: Endpoints { graph: Cloud::UsGov.graph().unwrap(), login: Cloud::UsGov.login() },
    }
}

#[tokio::test]
async fn the_page_is_asked_for_what_is_needed_and_for_nothing_that_is_secret() {
    let account = account();
    let service = TokenService::new(&account, Who::Person("work")).unwrap();
    let attempt = Attempt::start(&service, &account, true).await.unwrap();
    let BrowserPrompt { url, port, expires_in } = attempt.prompt();
    assert_eq!(expires_in, Duration::from_mins(10));
    let (page, _) = url.as_str().split_once('?').unwrap();
    assert_eq!(page, "https://login.microsoftonline.us/contoso.onmicrosoft.com/oauth2/v2.0/authorize");
    let mut query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query.remove("state").unwrap().len(), 43);
    assert_eq!(query.remove("code_challenge").unwrap(), pkce::challenge(&attempt.verifier));
    assert!(!url.as_str().contains(attempt.verifier.expose_secret()));
    let redirect = format!("http://localhost:{port}");
    let expected = [
        ("client_id", "22553876-f5ab-4529-bffb-cfe50aa89f87"),
        ("response_type", "code"),
        ("redirect_uri", &redirect),
        ("response_mode", "query"),
        (
            "scope",
            "https://graph.microsoft.us/Presence.ReadWrite https://graph.microsoft.us/Presence.Read offline_access \
             openid profile",
        ),
        ("code_challenge_method", "S256"),
        ("prompt", "select_account"),
    ];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn a_browser_that_does_not_come_back_is_not_waited_for_for_ever() {
    let account = account();
    let service = TokenService::new(&account, Who::Person("work")).unwrap();
    let mut attempt = Attempt::start(&service, &account, false).await.unwrap();
    let Err(failure) = attempt.arrival_within(Duration::ZERO).await else { panic!("nobody came") };
    assert_eq!(failure.kind, FailureKind::SignInNeeded);
    assert!(failure.text.contains("did not come back within 0 minutes"), "{failure}");
    assert!(failure.hint.unwrap().contains("AADSTS50011"));
}
