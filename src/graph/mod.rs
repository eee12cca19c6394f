//! The Graph client: sets one presence session with `setPresence` and clears it with `clearPresence`, does the same for the
//! preferred presence, and reads back what others see. Each call is one request and returns its outcome. For many users, one
//! request does several of these (`batch`), or reads all (`presences`).
//!
//! Leaves to others: the bearer token (`auth/`), and when to send and resend
//! (`session/`).

mod answer;
mod batch;
mod challenge;
mod presences;
mod write;

use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::{Span, debug};
use url::Url;
use uuid::Uuid;

use crate::failure::{Failure, FailureKind};
use crate::http::{self, Timeouts, header};
use crate::presence::{Expiration, Presence};
use crate::session::{self, Seen, Target};
use answer::Action;
use write::Write;

/// A client for one Microsoft Graph.
#[derive(Debug)]
pub struct Client {
    endpoint: Url,
    http: http::Client,
}

/// The part of the `presence` resource that presenced reads.
#[derive(Deserialize)]
struct PresenceResource {
    availability: String,
    activity: String,
}

impl Client {
    /// A client for the Graph at `endpoint`, including its version: `https://graph.microsoft.com/v1.0`.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] when TLS cannot be set up.
    pub fn new(endpoint: &Url) -> Result<Self, Failure> {
        Self::with_timeouts(endpoint, Timeouts::default())
    }

    fn with_timeouts(endpoint: &Url, timeouts: Timeouts) -> Result<Self, Failure> {
        Ok(Self { endpoint: endpoint.clone(), http: http::Client::new(endpoint, timeouts)? })
    }

    /// Sends the next request on a new connection: after a suspend or a change of network the old one
    /// may be dead without any sign of it.
    pub fn reconnect(&self) {
        self.http.reconnect();
    }

    /// Sets the session `session_id` (the application's client id) of `user` (an object id) to `presence`, for
    /// `expiration`. The answer's body is ignored: a success has none.
    ///
    /// Source: Graph API reference, `presence: setPresence`.
    pub async fn set_presence(
        &self,
        bearer: &SecretString,
        user: &str,
        session_id: &str,
        presence: Presence,
        expiration: Expiration,
    ) -> Result<(), Failure> {
        let action = session::Action::Set(Target { presence, expiration });
        self.write(bearer, user, &Write::new(session_id, action)).await
    }

    /// Clears the session `session_id` of `user`. If it does not exist, that is a success.
    ///
    /// Source: Graph API reference, `presence: clearPresence`.
    pub async fn clear_presence(&self, bearer: &SecretString, user: &str, session_id: &str) -> Result<(), Failure> {
        self.write(bearer, user, &Write::new(session_id, session::Action::Clear)).await
    }

    /// Sets the preferred presence of `user` to the pair that matches `presence`, for `expiration`. It replaces any
    /// preferred presence, also one chosen by hand.
    ///
    /// Source: Graph API reference, `presence: setUserPreferredPresence`.
    pub async fn set_preferred_presence(
        &self,
        bearer: &SecretString,
        user: &str,
        presence: Presence,
        expiration: Expiration,
    ) -> Result<(), Failure> {
        let action = session::Action::Prefer(Target { presence, expiration });
        self.write(bearer, user, &Write::new("", action)).await
    }

    /// Clears the preferred presence of `user`, whoever set it.
    ///
    /// Source: Graph API reference, `presence: clearUserPreferredPresence`.
    pub async fn clear_preferred_presence(&self, bearer: &SecretString, user: &str) -> Result<(), Failure> {
        self.write(bearer, user, &Write::new("", session::Action::ClearPreferred)).await
    }

    /// Reads what others see of `user`.
    ///
    /// Source: Graph API reference, `Get presence`.
    pub async fn read_presence(&self, bearer: &SecretString, user: &str) -> Result<Seen, Failure> {
        let action = Action::ReadPresence;
        let url = presence_url(&self.endpoint, user, action)?;
        let response = self.send(bearer, Method::GET, url, action, |request| request).await?;
        if !response.status().is_success() {
            self.judge(action, response).await?;
        } else if let Ok(read) = serde_json::from_slice::<PresenceResource>(&http::body(response).await) {
            return Ok(Seen::new(&read.availability, &read.activity));
        }
        Err(Failure::new(FailureKind::Passing, "Microsoft Graph's answer to GET presence contains no presence"))
    }

    async fn write(&self, bearer: &SecretString, user: &str, write: &Write<'_>) -> Result<(), Failure> {
        let url = presence_url(&self.endpoint, user, write.action)?;
        let response = self.post(bearer, url, write.action, &write.body).await?;
        self.judge(write.action, response).await
    }

    async fn post(
        &self,
        bearer: &SecretString,
        url: Url,
        action: Action,
        body: &impl Serialize,
    ) -> Result<Response, Failure> {
        self.send(bearer, Method::POST, url, action, |request| request.json(body)).await
    }

    /// Sends one request. `complete` may give it a body.
    async fn send(
        &self,
        bearer: &SecretString,
        method: Method,
        url: Url,
        action: Action,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let client_request_id = Uuid::new_v4().to_string();
        Span::current().record("client_request_id", &client_request_id);
        let started = Instant::now();
        let sent = self
            .http
            .send(|http| {
                let request = http.request(method, url).bearer_auth(bearer.expose_secret());
                complete(request.header("client-request-id", &client_request_id))
            })
            .await;
        log(action, sent.as_ref(), started);
        sent
    }

    /// Whether `response` to `action` is a success. The body of a success is not read.
    async fn judge(&self, action: Action, response: Response) -> Result<(), Failure> {
        if response.status().is_success() {
            return Ok(());
        }
        let (status, headers) = (response.status(), response.headers().clone());
        answer::judge(action, &self.endpoint, status, &headers, &http::body(response).await)
    }
}

/// `{graph}/{segments}`.
fn url_of(graph: &Url, segments: &[&str]) -> Url {
    let mut url = graph.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// `{graph}/users/{user}/presence/{action}`; for reading, without the action.
fn presence_url(graph: &Url, user: &str, action: Action) -> Result<Url, Failure> {
    // `Url` removes dot segments, and the request would go somewhere else.
    if matches!(user, "" | "." | "..") {
        let failure = Failure::new(FailureKind::Refused, format!("`{user}` is not the object id of a user"));
        return Err(failure.with_hint("set `user` in the account to the user's object id"));
    }
    let segments = ["users", user, "presence", action.as_str()];
    Ok(url_of(graph, if action == Action::ReadPresence { &segments[..3] } else { &segments }))
}

/// What Microsoft's support asks for to trace a request: our id and Graph's id. The current span records them if it has these
/// fields.
fn log(action: Action, sent: Result<&Response, &Failure>, started: Instant) {
    let elapsed = started.elapsed();
    match sent {
        Ok(response) => {
            let or_none = |name| header(response, name).unwrap_or("none");
            Span::current().record("request_id", or_none("request-id"));
            debug!(
                date = or_none("date"),
                diagnostic = or_none("x-ms-ags-diagnostic"),
                status = response.status().as_u16(),
                ?elapsed,
                "{}",
                action.as_str(),
            );
        }
        Err(failure) => debug!(?elapsed, "{}: {failure}", action.as_str()),
    }
}
