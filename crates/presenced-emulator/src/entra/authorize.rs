//! Sign-ins in a browser, from the page that asks the user until the code is redeemed, which works once.
//!
//! Source: RFC 6749 section 4.1, and Entra's pages on the authorization code flow and on redirect URIs. Every application has the
//! redirect URI `http://localhost` of a native application, whose port Entra ignores. Inferred: the order of the checks, and that a
//! failed attempt does not invalidate a code.

use std::collections::HashMap;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use url::{Host, Url};

use super::client_info;
use super::error::{CodeError, EntraError};
use super::pkce::Challenge;
use super::response_mode::ResponseMode;
use super::scopes;
use super::tokens::random;
use crate::message::Reply;
use crate::options::{App, Consent};
use presenced_core::time::Instant;

/// How long the user has to decide, and then how long the client has to redeem the code. Entra's codes live about 10 minutes.
const STEP_LIFETIME: Duration = Duration::from_mins(10);

/// How many sign-ins are kept. The oldest are dropped first.
const MAX_SIGN_INS: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Status {
    /// For a decision about this id.
    Waiting(String),
    /// For `user`, who was given `code`.
    Approved { code: String, user: String, redeemed: bool },
}

/// One sign-in.
#[derive(Clone, Debug)]
struct BrowserSignIn {
    client: CodeClient,
    scopes: Vec<String>,
    nonce: Option<String>,
    challenge: Challenge,
    expires_at: Instant,
    status: Status,
}

/// What a redeemed code stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignedIn {
    /// The user's object id.
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    /// The `nonce` of the request, which the ID token repeats.
    pub(super) nonce: Option<String>,
}

/// The application that asked for a code. Its redirect URI was checked, so errors can be sent to it.
#[derive(Clone, Debug)]
pub(super) struct CodeClient {
    app: String,
    redirect: Url,
    /// The redirect URI as the client wrote it. It must be identical when the code is redeemed.
    redirect_uri: String,
    state: Option<String>,
    response_mode: ResponseMode,
    /// The id of the tenant, if the application asked for a `client_info`.
    client_info: Option<String>,
}

impl CodeClient {
    /// The application `app`, if the redirect URI is registered for it. `tenant` is the id of the tenant.
    pub(super) fn of(app: &App, tenant: String, query: &HashMap<String, String>) -> Result<Self, EntraError> {
        let redirect_uri = super::field(query, "redirect_uri")?;
        let redirect = Url::parse(redirect_uri).ok().filter(|url| is_registered_for(app, redirect_uri, url));
        Ok(Self {
            app: app.client_id.clone(),
            redirect: redirect.ok_or_else(|| CodeError::NotRegistered(redirect_uri.to_owned()))?,
            redirect_uri: redirect_uri.to_owned(),
            state: query.get("state").cloned(),
            // An unknown mode is an error, which goes the usual way.
            response_mode: ResponseMode::of(query.get("response_mode")).unwrap_or_default(),
            client_info: client_info::is_asked(query).then_some(tenant),
        })
    }

    /// Sends the browser to the application with these parameters.
    fn send_back(&self, parameters: &[(&str, &str)]) -> Reply {
        let state = self.state.as_ref().map(|state| ("state", &**state));
        let parameters: Vec<_> = parameters.iter().copied().chain(state).collect();
        self.response_mode.reply(&self.redirect, &parameters)
    }

    fn send_code(&self, code: &str, user: &str) -> Reply {
        match &self.client_info {
            Some(tenant) => self.send_back(&[("code", code), ("client_info", &client_info::of(user, tenant))]),
            None => self.send_back(&[("code", code)]),
        }
    }

    fn send_refusal(&self, refusal: &EntraError) -> Reply {
        let (error, description) = refusal.in_redirect();
        self.send_back(&[("error", error), ("error_description", &description)]).coded(error)
    }
}

/// The kind of program that a redirect address is registered for. Entra lets the registration choose; the emulator infers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    /// A program on a person's device, which cannot keep a secret.
    Native,
    /// A web server, which proves with each code that it is the application.
    Web,
    /// `http://localhost`, which may be a native program or a web server that somebody is working on.
    Either,
}

impl Platform {
    /// That of a redirect address of `app`. Without a secret or a certificate, or addresses of its own, an application is native.
    pub(super) fn of(app: &App, redirect: &str) -> Self {
        let is_confidential = app.secret.is_some() || !app.certificates.is_empty() || !app.federated.is_empty();
        if !is_confidential || app.redirect_uris.is_empty() {
            return Self::Native;
        }
        if Url::parse(redirect).is_ok_and(|url| url.scheme() == "https") { Self::Web } else { Self::Either }
    }
}

/// Whether `app` has the redirect address `written`, which is `url`. Entra ignores the port of `http://localhost`, and nothing else.
fn is_registered_for(app: &App, written: &str, url: &Url) -> bool {
    if app.redirect_uris.is_empty() {
        return is_registered(url);
    }
    let without_port = |url: &Url| {
        let mut url = url.clone();
        let is_localhost = url.scheme() == "http" && url.host() == Some(Host::Domain("localhost"));
        (is_localhost && url.set_port(None).is_ok()).then_some(url)
    };
    let wanted = without_port(url);
    app.redirect_uris.iter().any(|registered| {
        let same_but_port = || wanted.is_some() && Url::parse(registered).is_ok_and(|url| without_port(&url) == wanted);
        registered == written || same_but_port()
    })
}

/// Whether it is `http://localhost`, with any port.
pub(super) fn is_registered(url: &Url) -> bool {
    url.scheme() == "http"
        && url.host() == Some(Host::Domain("localhost"))
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// All browser sign-ins.
#[derive(Debug)]
pub(super) struct BrowserSignIns {
    consent: Consent,
    known: Vec<BrowserSignIn>,
}

impl BrowserSignIns {
    /// No sign-ins yet.
    pub(super) fn new(consent: Consent) -> Self {
        Self { consent, known: Vec::new() }
    }

    /// Starts a sign-in for `client` with `scopes`. Returns the page, or a redirect back to the client. `default` is the user who
    /// signs in if the sign-in approves itself.
    pub(super) fn start(
        &mut self,
        client: CodeClient,
        query: &HashMap<String, String>,
        scopes: Result<Vec<String>, EntraError>,
        default: Option<String>,
        rng: &mut fastrand::Rng,
        now: Instant,
    ) -> Reply {
        let (scopes, challenge) = match scopes.and_then(|scopes| Ok((scopes, challenge(query)?))) {
            Ok(checked) => checked,
            Err(refusal) => return client.send_refusal(&refusal),
        };
        if self.known.len() == MAX_SIGN_INS {
            self.known.remove(0);
        }
        let id = random(16, rng);
        let page = page(&id, &client, &scopes);
        let (nonce, status) = (query.get("nonce").cloned(), Status::Waiting(id.clone()));
        self.known.push(BrowserSignIn { client, scopes, nonce, challenge, expires_at: now + STEP_LIFETIME, status });
        match self.consent {
            Consent::ByHand => page,
            Consent::ByItself => self.decide(&id, default, rng, now).unwrap_or(page),
        }
    }

    /// The ids of the sign-ins that wait for a decision.
    pub(super) fn waiting(&self, now: Instant) -> Vec<String> {
        let waiting = self.known.iter().filter(|known| now < known.expires_at);
        waiting
            .filter_map(|known| if let Status::Waiting(id) = &known.status { Some(id.clone()) } else { None })
            .collect()
    }

    /// Approves a sign-in for a user, or denies it if `user` is `None`, and redirects the browser to the application. Returns `None`
    /// if no sign-in with that id waits.
    pub(super) fn decide(
        &mut self,
        id: &str,
        user: Option<String>,
        rng: &mut fastrand::Rng,
        now: Instant,
    ) -> Option<Reply> {
        let waits = |known: &BrowserSignIn| {
            now < known.expires_at && matches!(&known.status, Status::Waiting(waiting) if waiting == id)
        };
        let index = self.known.iter().position(waits)?;
        let Some(user) = user else {
            return Some(self.known.remove(index).client.send_refusal(&CodeError::Declined.into()));
        };
        let code = format!("1.{}", random(300, rng));
        let known = &mut self.known[index];
        known.expires_at = now + STEP_LIFETIME;
        let reply = known.client.send_code(&code, &user);
        known.status = Status::Approved { code, user, redeemed: false };
        Some(reply)
    }

    /// Redeems the code `given`, which works once.
    pub(super) fn redeem(
        &mut self,
        given: &str,
        app: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: Instant,
    ) -> Result<SignedIn, EntraError> {
        let is_it = |known: &&mut BrowserSignIn| {
            known.client.app == app && matches!(&known.status, Status::Approved { code, .. } if code == given)
        };
        let known = self.known.iter_mut().find(is_it).ok_or(EntraError::MalformedGrant)?;
        let Status::Approved { user, redeemed, .. } = &mut known.status else {
            return Err(EntraError::MalformedGrant);
        };
        if *redeemed {
            return Err(CodeError::Redeemed.into());
        }
        if now >= known.expires_at {
            return Err(CodeError::Expired.into());
        }
        if known.client.redirect_uri != redirect_uri {
            return Err(CodeError::OtherRedirect.into());
        }
        known.challenge.check(verifier)?;
        *redeemed = true;
        Ok(SignedIn { user: user.clone(), scopes: known.scopes.clone(), nonce: known.nonce.clone() })
    }
}

/// The PKCE challenge of a request, if the rest of the request is supported.
fn challenge(query: &HashMap<String, String>) -> Result<Challenge, EntraError> {
    if super::field(query, "response_type")? != "code" {
        return Err(CodeError::UnsupportedResponse("response_type").into());
    }
    ResponseMode::of(query.get("response_mode"))?;
    Challenge::of(query)
}

/// The page that asks the user. Its values come from the options or are generated, so nothing needs escaping.
fn page(id: &str, client: &CodeClient, scopes: &[String]) -> Reply {
    let form = |decision: &str, word: &str| {
        format!("<form method=\"post\" action=\"/_emulator/consent/{id}/{decision}\"><button>{word}</button></form>\n")
    };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>presenced emulator</title>\n\
         <h1>Sign in?</h1>\n<p>The application {} asks for: {}</p>\n{}{}",
        client.app,
        scopes::permissions(scopes).collect::<Vec<_>>().join(", "),
        form("approve", "Approve"),
        form("deny", "Deny"),
    );
    Reply::text(StatusCode::OK, html).with(CONTENT_TYPE, "text/html; charset=utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_address_is_exact_except_for_the_port_of_localhost() {
        let redirect_uris = ["http://localhost/callback", "https://app.example/in"].map(str::to_owned).to_vec();
        let app = App { redirect_uris, ..App::default() };
        for (uri, expected) in [
            ("http://localhost/callback", true),
            ("http://localhost:43210/callback", true),
            ("http://localhost", false),
            ("http://localhost:1/callback/", false),
            ("http://localhost:1/Callback", false),
            ("http://localhost:1/callback?a=b", false),
            ("https://localhost/callback", false),
            ("http://127.0.0.1/callback", false),
            ("https://app.example/in", true),
            ("https://app.example:444/in", false),
            ("https://app.example/in/", false),
        ] {
            assert_eq!(is_registered_for(&app, uri, &Url::parse(uri).unwrap()), expected, "{uri}");
        }
    }

    #[test]
    fn only_an_application_with_a_secret_and_addresses_of_its_own_is_a_web_server() {
        let redirect_uris = ["http://localhost/callback", "https://app.example/in"].map(str::to_owned).to_vec();
        let web = App { redirect_uris, ..App::default() };
        assert_eq!(Platform::of(&web, "https://app.example/in"), Platform::Web);
        assert_eq!(Platform::of(&web, "http://localhost:1/callback"), Platform::Either);
        let public = App { secret: None, ..web };
        assert_eq!(Platform::of(&public, "https://app.example/in"), Platform::Native);
        assert_eq!(Platform::of(&App::default(), "http://localhost"), Platform::Native);
    }

    #[test]
    fn only_localhost_is_registered_with_any_port() {
        for (uri, expected) in [
            ("http://localhost", true),
            ("http://localhost/", true),
            ("http://localhost:43210", true),
            ("http://LOCALHOST:1", true),
            ("https://localhost:1", false),
            ("http://127.0.0.1:1", false),
            ("http://[::1]:1", false),
            ("http://localhost:1/callback", false),
            ("http://localhost:1/?a=b", false),
            ("http://localhost:1/#a", false),
            ("http://me@localhost:1", false),
            ("http://localhost.example.com", false),
            ("urn:ietf:wg:oauth:2.0:oob", false),
        ] {
            assert_eq!(is_registered(&Url::parse(uri).unwrap()), expected, "{uri}");
        }
    }
}
