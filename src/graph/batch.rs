//! `$batch`: up to 20 changes in one request. The outer 200 says nothing about the parts: each has its own status, headers and body,
//! and is judged by them as if it had come alone.
//!
//! A part is *uncertain* if there is no answer to it, or if two answers disagree: it may have been applied.
//!
//! Source: Graph, "Combine multiple HTTP requests using JSON batching".

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::debug;
use url::Url;

use super::answer::{self, Action};
use super::write::{Body, Write};
use super::{Client, presence_url, url_of};
use crate::failure::{Applied, Extent, Failure, FailureKind};
use crate::http;
use crate::session;

/// How many requests a batch may have. Source: the same page.
const MAX_PARTS: usize = 20;

/// An error of Graph has about 500 bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    /// Its place in the list of writes.
    id: String,
    method: &'static str,
    url: String,
    headers: PartHeaders,
    body: Body<'a>,
}

#[derive(Serialize)]
struct PartHeaders {
    #[serde(rename = "Content-Type")]
    content_type: &'static str,
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<Value>,
}

#[derive(Deserialize)]
struct PartAnswer {
    id: Value,
    status: u16,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    body: Value,
}

/// What is known of one write.
enum Fate {
    /// Nothing yet.
    Unanswered(Action),
    /// This was answered.
    Known(Action, Result<(), Failure>),
    /// The answers disagree.
    Disputed(Action),
    /// It cannot be sent.
    NotSent(Failure),
}

impl Client {
    /// Makes up to 20 `writes` in one request, each for one user (an object id). `session_id` is that of [`Client::set_presence`].
    /// The results are in the order of `writes`.
    ///
    /// # Errors
    /// If the request as a whole fails. If it was answered with 200 and the answer cannot be read, all writes may have been applied.
    pub async fn write_batch(
        &self,
        bearer: &SecretString,
        session_id: &str,
        writes: &[(String, session::Action)],
    ) -> Result<Vec<Result<(), Failure>>, Failure> {
        debug_assert!(writes.len() <= MAX_PARTS, "{} writes in one batch", writes.len());
        let (requests, mut fates) = self.parts(session_id, writes);
        if !requests.is_empty() {
            let action = Action::Batch;
            let url = url_of(&self.endpoint, &[action.as_str()]);
            let response = self.post(bearer, url, action, &Batch { requests }).await?;
            if response.status().is_success() {
                let body = http::whole_body(response, MAX_BODY_BYTES).await?;
                let answers: Answers = serde_json::from_slice(&body).map_err(|_| unreadable())?;
                for answer in answers.responses {
                    note(&mut fates, &self.endpoint, answer);
                }
            } else {
                self.judge(action, response).await?;
            }
        }
        Ok(fates.into_iter().map(Fate::outcome).collect())
    }

    /// The requests, and a fate for each write. A write that cannot be sent has its fate already.
    fn parts<'a>(&self, session_id: &'a str, writes: &[(String, session::Action)]) -> (Vec<Part<'a>>, Vec<Fate>) {
        // The URL of a part starts after the version of Graph.
        let mut root = self.endpoint.clone();
        root.set_path("");
        let mut parts = Vec::with_capacity(writes.len());
        let mut fates = Vec::with_capacity(writes.len());
        for (place, (user, action)) in writes.iter().enumerate() {
            let Write { action, body } = Write::new(session_id, *action);
            fates.push(match presence_url(&root, user, action) {
                Err(failure) => Fate::NotSent(failure),
                Ok(url) => {
                    let headers = PartHeaders { content_type: "application/json" };
                    let (id, url) = (place.to_string(), url.path().to_owned());
                    parts.push(Part { id, method: "POST", url, headers, body });
                    Fate::Unanswered(action)
                }
            });
        }
        (parts, fates)
    }
}

/// Takes note of one part's answer. One that cannot be read is ignored, as if it had not come.
fn note(fates: &mut [Fate], endpoint: &Url, answer: Value) {
    let Ok(answer) = PartAnswer::deserialize(answer) else {
        debug!("$batch has a part that is not an answer");
        return;
    };
    let place = match answer.id.as_str() {
        Some(id) => id.parse().ok(),
        None => answer.id.as_u64().and_then(|id| usize::try_from(id).ok()),
    };
    let Some((fate, status)) = place.and_then(|place: usize| fates.get_mut(place)).zip(answer.status()) else {
        debug!("$batch has an answer to a part that was not sent, or one without a status");
        return;
    };
    let headers = answer.headers();
    if !status.is_success() {
        let request_id = headers.get("request-id").and_then(|id| id.to_str().ok()).unwrap_or("none");
        debug!(status = status.as_u16(), request_id, "a part of $batch");
    }
    let judge = |action| answer::judge(action, endpoint, status, &headers, &answer.body());
    match fate {
        Fate::Unanswered(action) => *fate = Fate::Known(*action, judge(*action)),
        Fate::Known(action, known) => {
            debug!("$batch has two answers to one part");
            if judge(*action).is_ok() != known.is_ok() {
                *fate = Fate::Disputed(*action);
            }
        }
        Fate::Disputed(_) | Fate::NotSent(_) => {}
    }
}

impl PartAnswer {
    fn status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.status).ok()
    }

    /// Those that can be read.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => continue,
            };
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
                headers.append(name, value);
            }
        }
        headers
    }

    /// The body's bytes. What is not JSON comes as a text.
    fn body(&self) -> Vec<u8> {
        match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            json @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                json.to_string().into_bytes()
            }
        }
    }
}

impl Fate {
    fn outcome(self) -> Result<(), Failure> {
        match self {
            Self::Known(_, outcome) => outcome,
            Self::Unanswered(action) => Err(uncertain(action, "no answer")),
            Self::Disputed(action) => Err(uncertain(action, "two answers that disagree")),
            Self::NotSent(failure) => Err(failure),
        }
    }
}

fn uncertain(action: Action, what: &str) -> Failure {
    let text = format!("Microsoft Graph's answer to $batch has {what} to {}", action.as_str());
    Failure { applied: Applied::Perhaps, extent: Extent::Request, ..Failure::new(FailureKind::Passing, text) }
}

fn unreadable() -> Failure {
    let text = "Microsoft Graph's answer to $batch contains no answers";
    Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, text) }
}
