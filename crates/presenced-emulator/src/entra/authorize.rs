//! Sign-ins in a browser, from the page that asks to the one time a code is redeemed.
//!
//! Source: RFC 6749 section 4.1, RFC 7636, and Entra's pages on the authorization code flow and on redirect URIs. Every
//! application has the redirect URI `http://localhost` of a native one, whose port Entra ignores. Stricter than Entra: a code
//! is given only with PKCE, and only by the method S256. Inferred: which check comes first, and that a failed attempt does not
//! use a code up.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, LOCATION};
use url::{Host, Url};

use super::error::{CodeRefusal, Refusal};
use crate::message::Reply;
use crate::options::{App, Consent};
use presenced_core::time::Instant;

/// How long a page waits for a decision, and after it a code for its redemption. Entra: about 10 minutes for the latter.
const LIFETIME: Duration = Duration::from_mins(10);

/// How many sign-ins are known at once; the oldest are forgotten first.
const CAPACITY: usize = 1_000;

/// How long a `code_challenge` by S256 is: 32 bytes in base64url.
const CHALLENGE_LENGTH: usize = 43;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Under this id.
    Waiting(String),
    /// With this code, for this user.
    Approved { code: String, user: String, redeemed: bool },
}

/// A sign-in.
#[derive(Clone, Debug)]
struct Authorization {
    asker: Asker,
    scopes: Vec<String>,
    challenge: String,
    expires_at: Instant,
    standing: Standing,
}

/// Who asks for a code, and is good for an answer.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    app: String,
    redirect: Url,
    /// As it was written, which is how it must be written again.
    redirect_uri: String,
    state: Option<String>,
}

impl Asker {
    /// The application `app`, if the redirect URI is one of its own.
    pub(super) fn of(app: &App, query: &HashMap<String, String>) -> Result<Self, Refusal> {
        let redirect_uri = super::field(query, "redirect_uri")?;
        let redirect = Url::parse(redirect_uri).ok().filter(is_registered);
        Ok(Self {
            app: app.client_id.clone(),
            redirect: redirect.ok_or_else(|| CodeRefusal::NotRegistered(redirect_uri.to_owned()))?,
            redirect_uri: redirect_uri.to_owned(),
            state: query.get("state").cloned(),
        })
    }

    /// Sends the browser back with these parameters.
    fn send_back(&self, parameters: &[(&str, &str)]) -> Reply {
        let mut url = self.redirect.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Reply::empty(StatusCode::FOUND).with(LOCATION, url.as_str())
    }

    fn send_refusal(&self, refusal: &Refusal) -> Reply {
        let (error, description) = refusal.in_redirect();
        self.send_back(&[("error", error), ("error_description", &description)]).coded(error)
    }
}

/// Whether it is `http://localhost`, with whatever port.
fn is_registered(url: &Url) -> bool {
    url.scheme() == "http"
        && url.host() == Some(Host::Domain("localhost"))
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// All sign-ins in a browser.
#[derive(Debug)]
pub(super) struct Codes {
    consent: Consent,
    known: Vec<Authorization>,
}

impl Codes {
    /// None yet.
    pub(super) fn new(consent: Consent) -> Self {
        Self { consent, known: Vec::new() }
    }

    /// `asker` asks for a code with `query`, for a sign-in with `scopes`. What the browser is answered: a page, or to go back.
    /// `default` is who signs in when nobody decides.
    pub(super) fn ask(
        &mut self,
        asker: Asker,
        query: &HashMap<String, String>,
        scopes: Result<Vec<String>, Refusal>,
        default: Option<String>,
        rng: &mut fastrand::Rng,
        now: Instant,
    ) -> Reply {
        let (scopes, challenge) = match scopes.and_then(|scopes| Ok((scopes, challenge(query)?))) {
            Ok(what) => what,
            Err(refusal) => return asker.send_refusal(&refusal),
        };
        if self.known.len() == CAPACITY {
            self.known.remove(0);
        }
        let id = random(16, rng);
        let page = page(&id, &asker, &scopes);
        let standing = Standing::Waiting(id.clone());
        self.known.push(Authorization { asker, scopes, challenge, expires_at: now + LIFETIME, standing });
        match self.consent {
            Consent::ByHand => page,
            Consent::ByItself => self.decide(&id, default, rng, now).unwrap_or(page),
        }
    }

    /// The ids of the sign-ins that wait for somebody.
    pub(super) fn waiting(&self, now: Instant) -> Vec<String> {
        let waiting = self.known.iter().filter(|known| now < known.expires_at);
        waiting
            .filter_map(|known| if let Standing::Waiting(id) = &known.standing { Some(id.clone()) } else { None })
            .collect()
    }

    /// Approves a sign-in for a user, or denies it, and sends the browser back; `None` when none waits under that id.
    pub(super) fn decide(
        &mut self,
        id: &str,
        user: Option<String>,
        rng: &mut fastrand::Rng,
        now: Instant,
    ) -> Option<Reply> {
        let waits = |known: &Authorization| {
            now < known.expires_at && matches!(&known.standing, Standing::Waiting(waiting) if waiting == id)
        };
        let index = self.known.iter().position(waits)?;
        let Some(user) = user else {
            return Some(self.known.remove(index).asker.send_refusal(&CodeRefusal::Declined.into()));
        };
        let code = format!("1.{}", random(300, rng));
        let known = &mut self.known[index];
        known.expires_at = now + LIFETIME;
        let reply = known.asker.send_back(&[("code", &code)]);
        known.standing = Standing::Approved { code, user, redeemed: false };
        Some(reply)
    }

    /// Whom `code` signs in, and with which scopes; once.
    pub(super) fn redeem(
        &mut self,
        given: &str,
        app: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: Instant,
    ) -> Result<(String, Vec<String>), Refusal> {
        let is_it = |known: &&mut Authorization| {
            known.asker.app == app && matches!(&known.standing, Standing::Approved { code, .. } if code == given)
        };
        let known = self.known.iter_mut().find(is_it).ok_or(Refusal::MalformedGrant)?;
        let Standing::Approved { user, redeemed, .. } = &mut known.standing else {
            return Err(Refusal::MalformedGrant);
        };
        if *redeemed {
            return Err(CodeRefusal::Redeemed.into());
        }
        if now >= known.expires_at {
            return Err(CodeRefusal::Expired.into());
        }
        if known.asker.redirect_uri != redirect_uri {
            return Err(CodeRefusal::OtherRedirect.into());
        }
        let verifier = verifier.filter(|verifier| !verifier.is_empty()).ok_or(CodeRefusal::NoVerifier)?;
        if URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) != known.challenge {
            return Err(CodeRefusal::WrongVerifier.into());
        }
        *redeemed = true;
        Ok((user.clone(), known.scopes.clone()))
    }
}

/// The `code_challenge` of a request in which all else is as it is served here.
fn challenge(query: &HashMap<String, String>) -> Result<String, Refusal> {
    if super::field(query, "response_type")? != "code" {
        return Err(CodeRefusal::UnsupportedResponse("response_type").into());
    }
    if query.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(CodeRefusal::UnsupportedResponse("response_mode").into());
    }
    let challenge = super::field(query, "code_challenge")?;
    if query.get("code_challenge_method").is_none_or(|method| method != "S256") {
        return Err(CodeRefusal::ChallengeMethod.into());
    }
    if challenge.len() != CHALLENGE_LENGTH {
        return Err(CodeRefusal::ChallengeSize.into());
    }
    Ok(challenge.to_owned())
}

/// The page that asks a person. All in it is known here or made here, and nothing of it needs escaping.
fn page(id: &str, asker: &Asker, scopes: &[String]) -> Reply {
    let form = |decision: &str, word: &str| {
        format!("<form method=\"post\" action=\"/_emulator/consent/{id}/{decision}\"><button>{word}</button></form>\n")
    };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>presenced emulator</title>\n\
         <h1>Sign in?</h1>\n<p>The application {} asks for: {}</p>\n{}{}",
        asker.app,
        scopes.join(", "),
        form("approve", "Approve"),
        form("deny", "Deny"),
    );
    Reply::text(StatusCode::OK, html).with(CONTENT_TYPE, "text/html; charset=utf-8")
}

fn random(length: usize, rng: &mut fastrand::Rng) -> String {
    std::iter::repeat_with(|| rng.alphanumeric()).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_with_whatever_port_is_registered() {
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
