//! The sign-in service: the authorization, token, device authorization and logout endpoints of Entra ID's v2.0 protocol, and the
//! documents in which clients look these up.
//!
//! Grants: client credentials with a secret or an assertion, authorization code, device code, refresh token. What a token permits is
//! decided in `graph/`, and who approves a sign-in in `control`.

mod agent_error;
mod agents;
mod assertion;
mod authorize;
mod client_auth;
mod client_info;
mod device;
mod discovery;
mod error;
mod grants;
mod logout;
mod managed_identity;
mod pkce;
mod response_mode;
mod scopes;
mod sidecar;
mod signing;
mod tenants;
mod tokens;

use std::collections::{HashMap, VecDeque};

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderName};
use serde_json::Value;
use url::form_urlencoded;

use self::agents::Agents;
use self::assertion::TokenEndpoint;
use self::authorize::{BrowserSignIns, CodeClient};
use self::device::DeviceSignIns;
use self::error::EntraError;
use self::grants::TokenRequest;
use self::tenants::Tenant;
pub(super) use self::tokens::{Access, Invalid, Subject};
use self::tokens::{RequestedClaims, Tokens};
use super::message::{Reply, Request};
use super::options::{App, Options, Tenants, User};
use super::route::Endpoint;
use presenced_core::time::Now;

/// How many issued tokens and device codes are remembered.
const MAX_ISSUED_SECRETS: usize = 10_000;

/// The sign-in service.
#[derive(Debug)]
pub(super) struct Entra {
    tenants: Tenants,
    apps: Vec<App>,
    users: Vec<User>,
    tokens: Tokens,
    agents: Agents,
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
            agents: Agents::new(options.agents),
            device_sign_ins: DeviceSignIns::new(options.device),
            issued_secrets: VecDeque::new(),
            browser_sign_ins: BrowserSignIns::new(options.consent),
            rng: fastrand::Rng::with_seed(options.seed),
        }
    }

    /// Answers a request to one of the endpoints. `base` is the URL at which the client reached the emulator, without a path.
    pub(super) fn handle(
        &mut self,
        endpoint: Endpoint,
        tenant: &str,
        request: &Request,
        base: &str,
        now: &Now,
    ) -> Reply {
        let correlation = request.header("client-request-id").map(ToOwned::to_owned);
        let trace = self.uuid();
        let correlation = correlation.unwrap_or_else(|| self.uuid());
        let reply = self.answer(endpoint, tenant, request, base, now);
        reply
            .unwrap_or_else(|refusal| refusal.reply(&trace, &correlation, now.wall))
            .with(CACHE_CONTROL, "no-store, no-cache")
            .with(HeaderName::from_static("x-ms-request-id"), &trace)
            .with(HeaderName::from_static("client-request-id"), &correlation)
    }

    fn answer(
        &mut self,
        endpoint: Endpoint,
        tenant: &str,
        request: &Request,
        base: &str,
        now: &Now,
    ) -> Result<Reply, EntraError> {
        if request.method != endpoint.method() {
            let method = request.method.to_string();
            let posts = endpoint.method() == hyper::Method::POST;
            return Err(if posts { EntraError::NotPost(method) } else { EntraError::NotGet(method) });
        }
        let query = || form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        let document = match endpoint {
            Endpoint::Authorize => return self.authorize(tenant, &query(), now),
            Endpoint::Token | Endpoint::DeviceCode => self.issue(endpoint, tenant, request, base, now)?,
            Endpoint::Logout => {
                tenants::find(&self.tenants, tenant)?;
                return Ok(logout::answer(&query()));
            }
            Endpoint::OpenId(version) => discovery::open_id(version, &tenants::find(&self.tenants, tenant)?, base),
            Endpoint::Keys => discovery::keys(&tenants::find(&self.tenants, tenant)?),
            Endpoint::Instance => discovery::instance(field(&query(), "authorization_endpoint")?, base)?,
        };
        Ok(Reply::json(StatusCode::OK, &document))
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

    /// Answers a request for a token or a device code.
    fn issue(
        &mut self,
        endpoint: Endpoint,
        tenant: &str,
        request: &Request,
        base: &str,
        now: &Now,
    ) -> Result<Value, EntraError> {
        let body = request.body.as_ref().ok_or(EntraError::TooLarge)?;
        let mut form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let grant =
            (endpoint == Endpoint::Token).then(|| field(&form, "grant_type").map(ToOwned::to_owned)).transpose()?;
        let Tenant { name, id, .. } = tenants::find(&self.tenants, tenant)?;
        client_auth::take_basic(request, &mut form)?;
        let token_endpoint = TokenEndpoint { base, tenant: [&name, &id] };
        if let Some(grant_type) = &grant
            && let Some(answer) = self.agent_token(grant_type, &form, &id, &token_endpoint, now)
        {
            return answer.inspect(|answer| self.note_issued(answer));
        }
        let app = self.app(field(&form, "client_id")?)?;
        client_auth::check(&app, &form, &token_endpoint, now)?;
        let requested = requested_claims(&form)?;
        let token_request = TokenRequest { app, tenant: id, requested, form: &form };
        let answer = match grant {
            None => self.start_device(&token_request, base, now),
            Some(grant_type) => self.grant(&grant_type, &token_request, now),
        }?;
        self.note_issued(&answer);
        Ok(answer)
    }

    /// A user's browser asks for a code. Until the application and its redirect URI are checked, the browser shows errors; after
    /// that, they go to the application.
    fn authorize(&mut self, tenant: &str, query: &HashMap<String, String>, now: &Now) -> Result<Reply, EntraError> {
        let tenant = tenants::find(&self.tenants, tenant)?;
        let app = self.app(field(query, "client_id")?)?;
        let client = CodeClient::of(&app, tenant.id, query)?;
        let scopes = field(query, "scope").and_then(|scope| scopes::granted(&app, scope));
        let default = self.users.first().map(|user| user.id.clone());
        Ok(self.browser_sign_ins.start(client, query, scopes, default, &mut self.rng, now.instant))
    }

    /// The app registration with this id.
    fn app(&self, client_id: &str) -> Result<App, EntraError> {
        let app = self.apps.iter().find(|app| app.client_id.eq_ignore_ascii_case(client_id)).cloned();
        app.ok_or_else(|| EntraError::UnknownApp(client_id.to_owned()))
    }
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
