//! The Graph client: sets one presence session with `setPresence` and clears it with `clearPresence`, does the same for the
//! preferred presence, and reads back what others see.
//!
//! Each call is one request and returns its outcome. Leaves to others: the bearer token (`auth/`), and when to send and resend
//! (`session/`).

mod answer;
mod challenge;

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
use crate::session::Seen;
use answer::Action;

/// A client for one Microsoft Graph.
#[derive(Debug)]
pub struct Client {
    endpoint: Url,
    http: http::Client,
}

/// The body of `setPresence`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SetPresence<'a> {
    session_id: &'a str,
    availability: &'static str,
    activity: &'static str,
    expiration_duration: String,
}

/// The body of `clearPresence`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClearPresence<'a> {
    session_id: &'a str,
}

/// The body of `setUserPreferredPresence`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SetPreferred {
    availability: &'static str,
    activity: &'static str,
    expiration_duration: String,
}

/// The body of `clearUserPreferredPresence`: an empty object.
#[derive(Serialize)]
struct ClearPreferred {}

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
        let body = SetPresence {
            session_id,
            availability: presence.availability(),
            activity: presence.activity(),
            expiration_duration: expiration.to_iso(),
        };
        self.post(bearer, user, Action::SetPresence, &body).await
    }

    /// Clears the session `session_id` of `user`. If it does not exist, that is a success.
    ///
    /// Source: Graph API reference, `presence: clearPresence`.
    pub async fn clear_presence(&self, bearer: &SecretString, user: &str, session_id: &str) -> Result<(), Failure> {
        self.post(bearer, user, Action::ClearPresence, &ClearPresence { session_id }).await
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
        let body = SetPreferred {
            availability: presence.availability(),
            activity: presence.preferred_activity(),
            expiration_duration: expiration.to_iso(),
        };
        self.post(bearer, user, Action::SetPreferred, &body).await
    }

    /// Clears the preferred presence of `user`, whoever set it.
    ///
    /// Source: Graph API reference, `presence: clearUserPreferredPresence`.
    pub async fn clear_preferred_presence(&self, bearer: &SecretString, user: &str) -> Result<(), Failure> {
        self.post(bearer, user, Action::ClearPreferred, &ClearPreferred {}).await
    }

    /// Reads what others see of `user`.
    ///
    /// Source: Graph API reference, `Get presence`.
    pub async fn read_presence(&self, bearer: &SecretString, user: &str) -> Result<Seen, Failure> {
        let action = Action::ReadPresence;
        let response = self.send(bearer, user, action, |request| request).await?;
        if !response.status().is_success() {
            answer::judge(action, &self.endpoint, response).await?;
        } else if let Ok(read) = serde_json::from_slice::<PresenceResource>(&http::body(response).await) {
            return Ok(Seen::new(&read.availability, &read.activity));
        }
        Err(Failure::new(FailureKind::Passing, "Microsoft Graph's answer to GET presence contains no presence"))
    }

    async fn post(
        &self,
        bearer: &SecretString,
        user: &str,
        action: Action,
        body: &impl Serialize,
    ) -> Result<(), Failure> {
        let response = self.send(bearer, user, action, |request| request.json(body)).await?;
        answer::judge(action, &self.endpoint, response).await
    }

    /// Sends one request. `complete` may give it a body.
    async fn send(
        &self,
        bearer: &SecretString,
        user: &str,
        action: Action,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let url = self.presence_url(user, action)?;
        let method = if action == Action::ReadPresence { Method::GET } else { Method::POST };
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

    /// `{graph}/users/{user}/presence/{action}`; for reading, without the action.
    fn presence_url(&self, user: &str, action: Action) -> Result<Url, Failure> {
        // `Url` removes dot segments, and the request would go somewhere else.
        if matches!(user, "" | "." | "..") {
            let failure = Failure::new(FailureKind::Refused, format!("`{user}` is not the object id of a user"));
            return Err(failure.with_hint("set `user` in the account to the user's object id"));
        }
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["users", user, "presence"]);
            if action != Action::ReadPresence {
                path.push(action.as_str());
            }
        }
        Ok(url)
    }
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
