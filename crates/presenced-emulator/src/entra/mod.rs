//! The sign-in service: the authorization, token and device authorization endpoints of Entra ID's v2.0 protocol.
//!
//! Grants: client credentials with a secret or an assertion, authorization code, device code, refresh token. What a token permits is
//! decided in `graph/`, and who approves a sign-in in `control`.

mod assertion;
mod authorize;
mod device;
mod error;
mod grants;
mod tokens;

use std::collections::{HashMap, VecDeque};

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderName};
use serde_json::Value;
use url::form_urlencoded;

use self::authorize::{BrowserSignIns, CodeClient};
use self::device::DeviceSignIns;
use self::error::EntraError;
use self::grants::TokenRequest;
pub(super) use self::tokens::{Access, Invalid, Subject};
use self::tokens::{RequestedClaims, Tokens};
use super::message::{Reply, Request};
use super::options::{App, Options, TENANT_ID, Tenants, User};
use super::route::Call;
use presenced_core::time::Now;

/// The scopes that concern the sign-in itself and are not permissions.
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// How many issued tokens and device codes are remembered.
const MAX_ISSUED_SECRETS: usize = 10_000;

/// The sign-in service.
#[derive(Debug)]
pub(super) struct Entra {
    tenants: Tenants,
    apps: Vec<App>,
    users: Vec<User>,
    tokens: Tokens,
    device_sign_ins: DeviceSignIns,
    /// The newest issued tokens and device codes, for tests that check whether they leak.
    issued_secrets: VecDeque<String>,
    browser_sign_ins: BrowserSignIns,
    rng: fastrand::Rng,
}

fn field<'a>(form: &'a HashMap<String, String>, name: &'static str) -> Result<&'a str, EntraError> {
    form.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or(EntraError::Missing(name))
}

impl Entra {
    /// A fresh service.
    pub(super) fn new(options: Options) -> Self {
        Self {
            tenants: options.tenants,
            apps: options.apps,
            users: options.users,
            tokens: Tokens::new(options.token_lifetime),
            device_sign_ins: DeviceSignIns::new(options.device),
            issued_secrets: VecDeque::new(),
            browser_sign_ins: BrowserSignIns::new(options.consent),
            rng: fastrand::Rng::with_seed(options.seed),
        }
    }

    /// Answers a request to one of the endpoints. `base` is the URL at which the client reached the emulator, without a path.
    pub(super) fn handle(&mut self, call: Call, tenant: &str, request: &Request, base: &str, now: &Now) -> Reply {
        let correlation = request.header("client-request-id").map(ToOwned::to_owned);
        let trace = self.uuid();
        let correlation = correlation.unwrap_or_else(|| self.uuid());
        let reply = if call == Call::Authorize {
            self.authorize(tenant, request, now)
        } else {
            self.answer(call, tenant, request, base, now).map(|value| {
                self.note_issued(&value);
                Reply::json(StatusCode::OK, &value)
            })
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(refusal) => refusal.reply(&trace, &correlation, now.wall),
        };
        reply
            .with(CACHE_CONTROL, "no-store, no-cache")
            .with(HeaderName::from_static("x-ms-request-id"), &trace)
            .with(HeaderName::from_static("client-request-id"), &correlation)
    }

    fn note_issued(&mut self, answer: &Value) {
        let secrets = ["access_token", "refresh_token", "id_token", "device_code"].into_iter();
        self.issued_secrets.extend(secrets.filter_map(|name| Some(answer.get(name)?.as_str()?.to_owned())));
        self.issued_secrets.drain(..self.issued_secrets.len().saturating_sub(MAX_ISSUED_SECRETS));
    }

    /// The issued tokens and device codes that are remembered, the newest last.
    pub(super) fn issued_secrets(&self) -> Vec<String> {
        self.issued_secrets.iter().cloned().collect()
    }

    /// The answer for a fault: `status`, with an error that Entra sends with it.
    pub(super) fn fault(&mut self, status: StatusCode, now: &Now) -> Reply {
        if status.is_success() {
            return Reply::empty(status);
        }
        let (trace, correlation) = (self.uuid(), self.uuid());
        let (error, code, text) = match status.as_u16() {
            400 => ("invalid_grant", 50_173, "The provided grant was revoked."),
            401 => ("invalid_client", 7_000_215, "Invalid client secret provided."),
            429 => ("temporarily_unavailable", 90_055, "Too many requests."),
            _ => ("temporarily_unavailable", 90_033, "A transient error has occurred. Please try again."),
        };
        error::reply(status, error, code, text, &trace, &correlation, now.wall)
    }

    /// The answer for a fault: the error with this AADSTS number.
    pub(super) fn numbered_error(&mut self, number: u32, now: &Now) -> Reply {
        let (trace, correlation) = (self.uuid(), self.uuid());
        let (status, error) = error::status_and_error(number);
        error::reply(status, error, number, "This answer was asked for.", &trace, &correlation, now.wall)
    }

    /// Looks up a bearer token.
    pub(super) fn authenticate(&self, token: &str, now: &Now) -> Result<&Access, Invalid> {
        self.tokens.authenticate(token, now.instant)
    }

    /// The user codes that wait for a decision.
    pub(super) fn waiting(&self, now: &Now) -> Vec<String> {
        self.device_sign_ins.waiting(now.instant)
    }

    /// Approves a device code for a user, or denies it (`None`). Returns `false` if no sign-in with that code waits.
    pub(super) fn decide(&mut self, user_code: &str, user: Option<&User>, now: &Now) -> bool {
        self.device_sign_ins.decide(user_code, user.map(|user| user.id.clone()), now.instant)
    }

    /// The ids of the browser sign-ins that wait for a decision.
    pub(super) fn waiting_for_consent(&self, now: &Now) -> Vec<String> {
        self.browser_sign_ins.waiting(now.instant)
    }

    /// Approves a browser sign-in for a user, or denies it (`None`), and redirects the browser. Returns `None` if no sign-in with that
    /// id waits.
    pub(super) fn consent(&mut self, id: &str, user: Option<&User>, now: &Now) -> Option<Reply> {
        self.browser_sign_ins.decide(id, user.map(|user| user.id.clone()), &mut self.rng, now.instant)
    }

    /// Revokes all sign-ins of a user, as a changed password does: refresh tokens are refused, access tokens expire as usual.
    pub(super) fn revoke(&mut self, user: &User) {
        self.tokens.revoke(Some(&user.id));
    }

    /// Revokes all sign-ins of all users.
    pub(super) fn revoke_all(&mut self) {
        self.tokens.revoke(None);
    }

    /// Forgets every access token, so that Graph refuses them at once.
    pub(super) fn forget_access(&mut self) {
        self.tokens.forget_access();
    }

    fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string()
    }

    fn answer(
        &mut self,
        call: Call,
        tenant: &str,
        request: &Request,
        base: &str,
        now: &Now,
    ) -> Result<Value, EntraError> {
        if request.method != hyper::Method::POST {
            return Err(EntraError::NotPost(request.method.to_string()));
        }
        let body = request.body.as_ref().ok_or(EntraError::TooLarge)?;
        let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let grant = (call == Call::Token).then(|| field(&form, "grant_type")).transpose()?;
        let tenant = self.tenant(tenant)?;
        let app = self.app(field(&form, "client_id")?)?;
        check_secret(&app, &form)?;
        check_assertion(&app, &form, &format!("{base}{}", request.path), now)?;
        let requested = requested_claims(&form)?;
        let token_request = TokenRequest { app, tenant, requested, form: &form };
        match grant {
            None => self.start_device(&token_request, base, now),
            Some(grant_type) => self.grant(grant_type, &token_request, now),
        }
    }

    /// A user's browser asks for a code. Until the application and its redirect URI are checked, the browser shows errors; after
    /// that, they go to the application in a redirect.
    fn authorize(&mut self, tenant: &str, request: &Request, now: &Now) -> Result<Reply, EntraError> {
        if request.method != hyper::Method::GET {
            return Err(EntraError::NotGet(request.method.to_string()));
        }
        let query: HashMap<String, String> = form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        self.tenant(tenant)?;
        let app = self.app(field(&query, "client_id")?)?;
        let client = CodeClient::of(&app, &query)?;
        let scopes = field(&query, "scope").and_then(|scope| granted(&app, scope));
        let default = self.users.first().map(|user| user.id.clone());
        Ok(self.browser_sign_ins.start(client, &query, scopes, default, &mut self.rng, now.instant))
    }

    /// The id of the tenant `name`.
    fn tenant(&self, name: &str) -> Result<String, EntraError> {
        let exists = match &self.tenants {
            Tenants::Any => {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
            }
            Tenants::Only(names) => names.iter().any(|known| known.eq_ignore_ascii_case(name)),
        };
        if !exists {
            return Err(EntraError::UnknownTenant(name.to_owned()));
        }
        Ok(uuid::Uuid::try_parse(name).map_or_else(|_| TENANT_ID.to_owned(), |id| id.to_string()))
    }

    /// The app registration with this id.
    fn app(&self, client_id: &str) -> Result<App, EntraError> {
        let app = self.apps.iter().find(|app| app.client_id.eq_ignore_ascii_case(client_id)).cloned();
        app.ok_or_else(|| EntraError::UnknownApp(client_id.to_owned()))
    }
}

/// Refuses a wrong secret. A missing one is left to the grant.
fn check_secret(app: &App, form: &HashMap<String, String>) -> Result<(), EntraError> {
    match form.get("client_secret") {
        Some(secret) if app.secret.as_ref() != Some(secret) => Err(EntraError::WrongSecret(app.client_id.clone())),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a wrong assertion. It must have been made for the endpoint `audience`. A missing one is left to the grant.
fn check_assertion(app: &App, form: &HashMap<String, String>, audience: &str, now: &Now) -> Result<(), EntraError> {
    let Some(assertion) = form.get("client_assertion") else { return Ok(()) };
    if field(form, "client_assertion_type")? != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        return Err(EntraError::UnknownAssertionType);
    }
    assertion::check(assertion, app, audience, now.wall)
}

/// The supported part of the `claims` parameter of a token request.
fn requested_claims(form: &HashMap<String, String>) -> Result<RequestedClaims, EntraError> {
    let Some(claims) = form.get("claims") else { return Ok(RequestedClaims::default()) };
    let claims: serde_json::Map<String, Value> =
        serde_json::from_str(claims).map_err(|_| EntraError::MalformedClaims)?;
    let token = claims.get("access_token").unwrap_or(&Value::Null);
    let capabilities = token.pointer("/xms_cc/values").and_then(Value::as_array);
    Ok(RequestedClaims {
        handles_challenges: capabilities.is_some_and(|values| values.contains(&"cp1".into())),
        not_before: token.pointer("/nbf/value").is_some_and(Value::is_string),
    })
}

fn is_openid(scope: &str) -> bool {
    OPENID_SCOPES.contains(&scope)
}

/// The scopes that are granted for `asked`, as short names without the resource. `.default` becomes all of the application's.
fn granted(app: &App, asked: &str) -> Result<Vec<String>, EntraError> {
    let mut granted = Vec::new();
    for scope in asked.split_ascii_whitespace() {
        let name = scope.rsplit('/').next().unwrap_or(scope);
        if name == ".default" {
            granted.extend(app.scopes.iter().cloned());
        } else if is_openid(scope) || app.scopes.iter().any(|known| known == name) {
            granted.push(name.to_owned());
        } else {
            return Err(EntraError::UnknownScope(scope.to_owned()));
        }
    }
    Ok(granted)
}
