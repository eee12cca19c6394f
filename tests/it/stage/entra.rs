//! A server that answers as Entra ID does, and the accounts, folders and times of those who ask it for tokens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::TimeZone;
use presenced::auth::Authenticator;
use presenced::config::{Account, Auth, Cloud, Endpoints, Environment, SecretSource, TokenStore};
use presenced::failure::Failure;
use presenced::time::{Instant, Now};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::canned::{Answer, Server, answer};

pub(crate) fn environment(folder: &TempDir) -> Environment {
    let path = folder.path().to_owned();
    let credentials = path.display().to_string();
    Environment {
        state_dir: path.join("state"),
        cache_dir: path.join("cache"),
        lookup: Arc::new(move |name| match name {
            "SECRET" => Some("s3cret".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some(credentials.clone()),
            _ => None,
        }),
        ..Environment::bare(path)
    }
}

pub(crate) fn account(server: &Server, auth: Auth) -> Account {
    Account {
        tenant: "contoso.onmicrosoft.com".to_owned(),
        client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
        user: None,
        users: None,
        rate: presenced::pacer::Rate::default(),
        cloud: Cloud::Global,
        auth,
        tokens: TokenStore::Auto,
        endpoints: Endpoints { graph: "https://graph.microsoft.com/v1.0".parse().unwrap(), login: server.url.clone() },
    }
}

pub(crate) fn client_secret(server: &Server) -> Account {
    account(server, Auth::ClientSecret { secret: SecretSource::Env("SECRET".to_owned()) })
}

/// The time `minutes` after the start of the test.
pub(crate) fn after(minutes: u64) -> Now {
    let wall: jiff::Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
    let passed = Duration::from_mins(minutes);
    Now { instant: Instant::from_origin(passed), wall: wall.checked_add(passed).unwrap(), zone: TimeZone::UTC }
}

pub(crate) fn json(status: u16, body: &serde_json::Value) -> Answer {
    answer(status, "Content-Type: application/json\r\n", &body.to_string())
}

/// A token that lives for 75 minutes.
pub(crate) fn granted(token: &str) -> Answer {
    json(200, &serde_json::json!({"token_type": "Bearer", "expires_in": 4500, "access_token": token}))
}

pub(crate) fn id_token(oid: &str) -> String {
    let claims = serde_json::json!({"oid": oid, "tid": "tenant-id", "preferred_username": "me@contoso.com"});
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A token with a refresh token and the user `oid`.
pub(crate) fn delegated(token: &str, refresh_token: &str, oid: &str) -> Answer {
    json(
        200,
        &serde_json::json!({"token_type": "Bearer", "expires_in": 4500, "access_token": token,
                            "refresh_token": refresh_token, "id_token": id_token(oid)}),
    )
}

pub(crate) fn refused(error: &str, number: u32) -> Answer {
    json(
        400,
        &serde_json::json!({"error": error, "error_codes": [number], "trace_id": "7c4f",
                            "error_description": "AADSTS: me@contoso.com said the magic word"}),
    )
}

pub(crate) async fn bearer(authenticator: &Authenticator, now: &Now) -> Result<String, Failure> {
    authenticator.token(now, false).await.map(|token| token.bearer.expose_secret().to_owned())
}

pub(crate) fn device_authorization() -> Answer {
    json(
        200,
        &serde_json::json!({"device_code": "d3vice", "user_code": "ABCD-1234", "interval": 1, "expires_in": 900,
                            "verification_uri": "https://microsoft.com/devicelogin", "message": "…"}),
    )
}

/// Signs somebody in: the file as `auth::login` leaves it.
pub(crate) fn sign_in(folder: &TempDir, refresh_token: &str) {
    let tokens = folder.path().join("state/tokens");
    std::fs::create_dir_all(&tokens).unwrap();
    let stored = serde_json::json!({"refresh_token": refresh_token, "user": "oid-1", "tenant": "tenant-id",
                                    "username": "me@contoso.com"});
    std::fs::write(tokens.join("work.json"), stored.to_string()).unwrap();
}
