//! `POST /$batch`: up to 20 requests in one. Each is answered and throttled separately; the outer 200 hides their failures.
//!
//! Source: Graph's page on JSON batching.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Graph;
use super::error::GraphError;
use crate::entra::Entra;
use crate::journal::Journal;
use crate::message::{Reply, Request};
use crate::route::{Call, Route};
use presenced_core::time::Now;

/// How many requests a batch may have.
const MAX_BATCH_REQUESTS: usize = 20;

#[derive(Deserialize)]
struct Batch {
    requests: Vec<BatchItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItem {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    #[serde(default)]
    depends_on: Vec<String>,
}

impl BatchItem {
    /// This item as a request with the batch's token. `None` if its method or a header is invalid.
    fn request(&self, outer: &Request) -> Option<Request> {
        let (path, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let version = outer.path.split('/').nth(1).unwrap_or("v1.0");
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        if let Some(token) = outer.headers.get(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let method = Method::from_bytes(self.method.to_ascii_uppercase().as_bytes()).ok()?;
        let body = match &self.body {
            Some(body) => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let path = format!("/{version}/{}", path.trim_start_matches('/'));
        Some(Request { method, path, query: query.to_owned(), headers, body: Some(body) })
    }
}

impl Graph {
    /// Answers a batch: its requests in their order, which satisfies every dependency that is not circular.
    pub(super) fn batch(
        &mut self,
        outer: &Request,
        entra: &Entra,
        journal: &mut Journal,
        now: &Now,
    ) -> Result<Reply, GraphError> {
        let body = outer.body.as_ref().ok_or_else(GraphError::too_large)?;
        let batch: Batch =
            serde_json::from_slice(body).map_err(|_| GraphError::bad_request("Invalid batch payload format."))?;
        if batch.requests.len() > MAX_BATCH_REQUESTS {
            let message = format!("Number of batch request steps exceeds the maximum value of {MAX_BATCH_REQUESTS}.");
            return Err(GraphError::bad_request(message));
        }
        let mut statuses: BTreeMap<&str, u16> = BTreeMap::new();
        let mut responses = Vec::new();
        for item in &batch.requests {
            if statuses.contains_key(item.id.as_str()) {
                return Err(GraphError::bad_request(format!("The request id '{}' is used twice.", item.id)));
            }
            let failed = item.depends_on.iter().any(|id| statuses.get(id.as_str()).is_none_or(|status| *status >= 400));
            let (call, reply) = match item.request(outer) {
                Some(request) if !failed => {
                    let route = Route::of(&request.path);
                    let nested = route == Route::Batch;
                    let call = route.call().unwrap_or(Call::Other);
                    let reply = if nested {
                        self.fault(StatusCode::BAD_REQUEST, &request, now)
                    } else {
                        self.answer(&route, &request, entra, journal, now)
                    };
                    (call, reply)
                }
                Some(_) => (Call::Other, self.fault(StatusCode::FAILED_DEPENDENCY, outer, now)),
                None => (Call::Other, self.fault(StatusCode::BAD_REQUEST, outer, now)),
            };
            journal.count(call, reply.status.as_u16());
            statuses.insert(&item.id, reply.status.as_u16());
            responses.push(response(&item.id, &reply));
        }
        Ok(Reply::json(StatusCode::OK, &json!({ "responses": responses })))
    }
}

fn response(id: &str, reply: &Reply) -> Value {
    let headers: BTreeMap<&str, &str> =
        reply.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    json!({ "id": id, "status": reply.status.as_u16(), "headers": headers, "body": body })
}
