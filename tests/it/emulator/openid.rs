//! What OpenID Connect adds: the documents in which clients look up the endpoints, ID tokens that the published keys verify, and the
//! end of a sign-in.

use presenced_emulator::{Options, Tenants};

use super::*;
use crate::stage::http_client::http_client;
use crate::stage::openssl::Keys;

const TENANT: &str = "84841066-274d-4ec0-a5c1-276be684bdd3";
const REDIRECT: &str = "http://localhost:43210";

impl Rig {
    async fn look_up(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// A browser opens the address, and follows nothing.
    async fn visit(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        let policy = reqwest::redirect::Policy::none();
        let client = http_client().no_proxy().redirect(policy).timeout(GUARD).build().unwrap();
        let mut url: url::Url = format!("{}{path}", self.base).parse().unwrap();
        url.query_pairs_mut().extend_pairs(query);
        Answer::of(client.get(url)).await
    }

    /// A whole sign-in in a browser, with more in the query and in the token request.
    async fn signed_in(&self, more: &[(&str, &str)]) -> (url::Url, Answer) {
        let question = [("client_id", APP), ("response_type", "code"), ("redirect_uri", REDIRECT), ("scope", "openid")];
        let path = "/organizations/oauth2/v2.0/authorize";
        let back: url::Url =
            self.visit(path, &[&question[..], more].concat()).await.header("location").parse().unwrap();
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let form =
            [("grant_type", "authorization_code"), ("client_id", APP), ("code", &code), ("redirect_uri", REDIRECT)];
        let answer = self.sign_in("token", &[&form[..], more].concat()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (back, answer)
    }
}

#[tokio::test]
async fn the_configuration_of_a_tenant_leads_to_its_endpoints() {
    let rig = Rig::new().await;
    let host = rig.base.strip_prefix("http://").unwrap();
    for (tenant, issuer, of_path) in [
        ("contoso.onmicrosoft.com", TENANT, TENANT),
        (TENANT, TENANT, TENANT),
        ("common", "{tenantid}", "common"),
        ("organizations", "{tenantid}", "organizations"),
    ] {
        let found = rig.look_up(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await;
        assert_eq!(found.text("issuer"), format!("https://login.microsoftonline.com/{issuer}/v2.0"));
        assert_eq!(found.text("token_endpoint"), format!("{}/{of_path}/oauth2/v2.0/token", rig.base));
        let token = Answer::of(rig.client.post(found.text("token_endpoint")).form(&client_credentials())).await;
        assert_eq!(token.status, 200, "{tenant}");
        let device = [("client_id", APP), ("scope", "openid")];
        let device = Answer::of(rig.client.post(found.text("device_authorization_endpoint")).form(&device)).await;
        assert_eq!(device.status, 200, "{tenant}");
        for (name, status) in [("authorization_endpoint", 400), ("end_session_endpoint", 200), ("jwks_uri", 200)] {
            assert_eq!(Answer::of(rig.client.get(found.text(name))).await.status, status, "{name}");
        }
        let first = rig.look_up(&format!("/{tenant}/.well-known/openid-configuration")).await;
        assert_eq!(first.text("issuer"), format!("https://sts.windows.net/{issuer}/"));
    }
    let asked = format!("http://{host}/contoso.onmicrosoft.com/oauth2/v2.0/authorize");
    let known = rig.visit("/common/discovery/instance", &[("authorization_endpoint", &asked)]).await;
    let expected = format!("{}/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration", rig.base);
    assert_eq!(known.text("tenant_discovery_endpoint"), expected);
    assert_eq!(known.json()["metadata"][0]["aliases"], json!([host]));
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_refused() {
    let tenants = Tenants::Only(vec!["fabrikam.com".to_owned()]);
    let rig = Rig::with(Options { tenants, ..Options::default() }).await;
    let path = |tenant: &str| format!("/{tenant}/v2.0/.well-known/openid-configuration");
    assert_eq!(rig.look_up(&path("organizations")).await.status, 200);
    for tenant in ["contoso.com", "consumers", "a%20b"] {
        rig.look_up(&path(tenant)).await.is_entra_error(400, "invalid_request", 90_002);
        rig.look_up(&format!("/{tenant}/discovery/v2.0/keys")).await.is_entra_error(400, "invalid_request", 90_002);
    }
    let posted = Answer::of(rig.request(Method::POST, &path("fabrikam.com"))).await;
    posted.is_entra_error(405, "invalid_request", 900_561);
    let path = "/common/discovery/instance";
    rig.visit(path, &[]).await.is_entra_error(400, "invalid_request", 900_144);
    let elsewhere = [("authorization_endpoint", "https://login.example.com/common/oauth2/v2.0/authorize")];
    rig.visit(path, &elsewhere).await.is_entra_error(400, "invalid_instance", 50_049);
}

#[tokio::test]
async fn the_published_keys_verify_the_tokens() {
    let rig = Rig::new().await;
    let keys = Keys::new();
    let (_, answer) = rig.signed_in(&[]).await;
    let published = rig.look_up(&format!("/{TENANT}/discovery/v2.0/keys")).await.json()["keys"][0].clone();
    let certificate = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        published["x5c"][0]
            .as_str()
            .unwrap()
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join("\n")
    );
    std::fs::write(keys.path("published.pem"), certificate).unwrap();
    let public_key = keys.run(&["x509", "-in", "published.pem", "-noout", "-pubkey"]);
    for token in [answer.text("id_token"), answer.text("access_token")] {
        let header = token.split('.').next().unwrap();
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((&header["alg"], &header["kid"]), (&json!("RS256"), &published["kid"]));
        assert!(keys.verifies_rs256(&public_key, &token));
        assert!(!keys.verifies_rs256(&public_key, &format!("a{token}")));
    }
    assert_eq!(published["kid"], keys.thumbprint("published.pem", "-sha1"));
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    assert_eq!((&claims(&answer.text("id_token"))["iss"], &published["issuer"]), (&json!(issuer), &json!(issuer)));
}

#[tokio::test]
async fn a_nonce_and_a_client_info_come_back_if_sent() {
    let rig = Rig::new().await;
    let (back, answer) = rig.signed_in(&[("nonce", "n & m"), ("client_info", "1")]).await;
    assert_eq!(claims(&answer.text("id_token"))["nonce"], "n & m");
    let from_browser = back.query_pairs().find(|(name, _)| name == "client_info").unwrap().1.into_owned();
    for client_info in [answer.text("client_info"), from_browser] {
        let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(client_info).unwrap();
        let decoded: Value = serde_json::from_slice(&decoded).unwrap();
        assert_eq!(decoded, json!({ "uid": USER, "utid": TENANT }));
    }
    let (back, answer) = rig.signed_in(&[]).await;
    assert!(claims(&answer.text("id_token")).get("nonce").is_none());
    assert!(answer.json().get("client_info").is_none() && !back.as_str().contains("client_info"));
}

#[tokio::test]
async fn signing_out_leads_back_to_a_registered_address_only() {
    let rig = Rig::new().await;
    let path = "/common/oauth2/v2.0/logout";
    let back = rig.visit(path, &[("post_logout_redirect_uri", REDIRECT), ("state", "a b")]).await;
    assert_eq!((back.status.as_u16(), back.header("location")), (302, "http://localhost:43210/?state=a+b"));
    for query in
        [&[][..], &[("post_logout_redirect_uri", "https://evil.example/")], &[("post_logout_redirect_uri", "x")]]
    {
        let page = rig.visit(path, query).await;
        assert_eq!((page.status.as_u16(), page.header("location")), (200, ""), "{query:?}");
    }
}
