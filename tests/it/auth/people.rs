//! People who sign in and out, and the sign-in that is kept on disk.

use std::future::{pending, ready};
use std::sync::Mutex;
use std::time::Duration;

use presenced::auth::{self, Authenticator, Prompt};
use presenced::config::{Account, Auth, TokenStore};
use presenced::failure::FailureKind;
use tempfile::TempDir;

use super::{CP1, only_its_owner_sees_the_sign_in, stored};
use crate::stage::canned::Server;
use crate::stage::entra::{
    account, after, bearer, delegated, device_authorization, environment, granted, refused, sign_in,
};

#[tokio::test]
async fn a_person_signs_in_with_a_code() {
    let (server, folder) =
        (Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await, TempDir::new().unwrap());
    let shown = Mutex::new(Vec::new());
    let show = |prompt: &Prompt| shown.lock().unwrap().push(prompt.clone());
    let config = account(&server, Auth::DeviceCode);
    let (signed_in, _) = auth::login("work", &config, &environment(&folder), false, show, pending()).await.unwrap();
    assert_eq!(signed_in.user.as_deref(), Some("oid-1"));
    assert_eq!(signed_in.tenant.as_deref(), Some("tenant-id"));
    assert_eq!(signed_in.username.as_deref(), Some("me@contoso.com"));
    let prompt = auth::DevicePrompt {
        user_code: "ABCD-1234".to_owned(),
        verification_uri: "https://microsoft.com/devicelogin".to_owned(),
        verification_uri_complete: None,
        expires_in: Duration::from_mins(15),
    };
    assert_eq!(*shown.lock().unwrap(), [Prompt::Code(prompt)]);
    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /contoso.onmicrosoft.com/oauth2/v2.0/devicecode HTTP/1.1");
    let scope = "https://graph.microsoft.com/Presence.ReadWrite offline_access openid profile";
    assert_eq!(requests[0].field("scope").as_deref(), Some(scope));
    assert_eq!(requests[1].line, "POST /contoso.onmicrosoft.com/oauth2/v2.0/token HTTP/1.1");
    let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(requests[1].field("grant_type").as_deref(), Some(grant_type));
    assert_eq!(requests[1].field("device_code").as_deref(), Some("d3vice"));

    let renewing = Server::start([delegated("t2", "r2", "oid-1")]).await;
    let authenticator = Authenticator::new("work", &account(&renewing, Auth::DeviceCode), &environment(&folder));
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t2"));
    assert_eq!(renewing.requests()[0].field("refresh_token").as_deref(), Some("r1"));
    assert_eq!(renewing.requests()[0].field("scope").as_deref(), Some(scope));
    assert_eq!(renewing.requests()[0].field("claims").as_deref(), Some(CP1));
    only_its_owner_sees_the_sign_in(&folder);
}

#[tokio::test]
async fn a_renewal_keeps_the_scopes_of_the_sign_in() {
    let (server, folder) =
        (Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await, TempDir::new().unwrap());
    let config = account(&server, Auth::DeviceCode);
    auth::login("work", &config, &environment(&folder), true, |_| {}, pending()).await.unwrap();
    let scope = "https://graph.microsoft.com/Presence.ReadWrite https://graph.microsoft.com/Presence.Read \
                 offline_access openid profile";
    assert_eq!(server.requests()[0].field("scope").as_deref(), Some(scope));
    let renewing = Server::start([delegated("t2", "r2", "oid-1"), delegated("t3", "r3", "oid-1")]).await;
    let authenticator = Authenticator::new("work", &account(&renewing, Auth::DeviceCode), &environment(&folder));
    for _ in 0..2 {
        authenticator.token(&after(0), true).await.unwrap();
        assert_eq!(renewing.requests().last().unwrap().field("scope").as_deref(), Some(scope));
    }
    // Asking for more than the user consented to would end the sign-in.
    sign_in(&folder, "of an older presenced");
    authenticator.token(&after(0), true).await.unwrap();
    let scope = renewing.requests().last().unwrap().field("scope");
    assert_eq!(scope.as_deref(), Some("https://graph.microsoft.com/Presence.ReadWrite offline_access openid profile"));
}

#[tokio::test]
async fn a_failed_sign_in_leaves_the_old_one_alone() {
    let somebody_else = vec![device_authorization(), delegated("t2", "r2", "oid-2")];
    let nothing_to_keep = vec![device_authorization(), granted("t2")];
    let declined = vec![device_authorization(), refused("authorization_declined", 65_004)];
    let blocked = vec![refused("invalid_grant", 53_003)];
    for (answers, kind, text, hint) in [
        (somebody_else, FailureKind::Refused, "for the user OID-1, but somebody else signed in", "remove `user`"),
        (nothing_to_keep, FailureKind::Refused, "no refresh token", "offline_access"),
        (declined, FailureKind::SignInNeeded, "declined", "presenced login work"),
        (blocked, FailureKind::Refused, "AADSTS53003", "auth = { method = \"browser\" }"),
    ] {
        let (server, folder) = (Server::start(answers).await, TempDir::new().unwrap());
        sign_in(&folder, "r1");
        let before = stored(&folder);
        let config = Account { user: Some("OID-1".to_owned()), ..account(&server, Auth::DeviceCode) };
        let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, pending()).await;
        let failure = signed_in.unwrap_err();
        assert_eq!((failure.kind, failure.text.contains(text)), (kind, true), "{failure}");
        assert!(failure.hint.as_ref().is_some_and(|said| said.contains(hint)), "{failure:?}");
        assert_eq!(stored(&folder), before, "{text}");
    }
}

#[tokio::test]
async fn a_tenant_that_blocks_codes_gets_a_hint_about_the_browser() {
    for number in [50_005, 50_097, 50_199, 53_000, 53_003, 530_031, 530_033, 530_036] {
        let folder = TempDir::new().unwrap();
        let server = Server::start([refused("invalid_grant", number)]).await;
        let config = account(&server, Auth::DeviceCode);
        let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, pending()).await;
        sign_in(&folder, "r1");
        let renewal = async |config: &Account| {
            let authenticator = Authenticator::new("work", config, &environment(&folder));
            bearer(&authenticator, &after(0)).await.unwrap_err()
        };
        for failure in [signed_in.unwrap_err(), renewal(&config).await] {
            let hint = failure.hint.as_deref().unwrap_or_default();
            assert!(hint.contains("`auth = { method = \"browser\" }`"), "{number}: {hint}");
        }
        let hint = renewal(&Account { auth: Auth::Browser, ..config }).await.hint.unwrap_or_default();
        assert!(!hint.contains("\"browser\""), "{number}: {hint}");
    }
}

#[tokio::test]
async fn a_sign_in_can_be_cancelled_while_it_waits() {
    for auth in [Auth::DeviceCode, Auth::Browser] {
        let (server, folder) =
            (Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await, TempDir::new().unwrap());
        let config = account(&server, auth);
        let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, ready(())).await;
        let failure = signed_in.unwrap_err();
        assert_eq!((failure.kind, failure.text.contains("cancelled")), (FailureKind::SignInNeeded, true), "{failure}");
        assert_eq!(stored(&folder), None);
    }
}

#[tokio::test]
async fn a_needed_sign_in_is_reported_with_its_command() {
    let folder = TempDir::new().unwrap();
    let server = Server::start([refused("invalid_grant", 70_000), refused("interaction_required", 50_076)]).await;
    let authenticator = Authenticator::new("work", &account(&server, Auth::DeviceCode), &environment(&folder));
    let must_sign_in = async |text: &str| {
        let failure = bearer(&authenticator, &after(0)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::SignInNeeded, "{failure}");
        assert_eq!(failure.hint.as_deref(), Some("run `presenced login work`"));
        assert!(failure.text.contains(text), "{failure}");
        assert!(!format!("{failure:?}").contains("r3fresh"));
    };
    must_sign_in("nobody is signed in to account `work`").await;
    sign_in(&folder, "r3fresh");
    must_sign_in("the sign-in has ended").await;
    must_sign_in("AADSTS50076").await;
    for damage in ["", "{\"refresh_token\": \"r3fresh", "[]", "{}"] {
        std::fs::write(folder.path().join("state/tokens/work.json"), damage).unwrap();
        must_sign_in("is damaged").await;
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_sign_in_counts_at_once() {
    let folder = TempDir::new().unwrap();
    let server = Server::start([delegated("t1", "r2", "oid-1")]).await;
    let authenticator = Authenticator::new("work", &account(&server, Auth::DeviceCode), &environment(&folder));
    assert_eq!(bearer(&authenticator, &after(0)).await.unwrap_err().kind, FailureKind::SignInNeeded);
    sign_in(&folder, "r1");
    assert_eq!(bearer(&authenticator, &after(0)).await.as_deref(), Ok("t1"));
}

#[tokio::test]
async fn signing_out_forgets_one_account() {
    let folder = TempDir::new().unwrap();
    let environment = environment(&folder);
    let signed_out = async |account| auth::logout(account, TokenStore::Auto, &environment, || ()).await.unwrap();
    assert!(!signed_out("work").await);
    sign_in(&folder, "r1");
    assert!(!signed_out("../tokens/work").await);
    assert!(!signed_out("other").await);
    assert!(signed_out("work").await);
    assert!(!folder.path().join("state/tokens/work.json").exists());
    assert!(!signed_out("work").await);
}

#[tokio::test]
async fn a_read_only_folder_is_reported() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("state"), "a file where a folder should be").unwrap();
    let server = Server::start([device_authorization(), delegated("t1", "r1", "oid-1")]).await;
    let config = account(&server, Auth::DeviceCode);
    let signed_in = auth::login("work", &config, &environment(&folder), false, |_| {}, pending()).await;
    let failure = signed_in.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.text.contains("state/tokens/work.lock cannot be written"), "{failure}");
}
