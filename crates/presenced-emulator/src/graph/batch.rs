//! `POST /$batch`: up to 20 requests in one. Each is answered and throttled separately; the outer 200 hides their failures.
//!
//! This reads a batch and writes its answer; `service/batch` answers the parts. Source: Graph's page on JSON batching. Inferred: the
//! texts of the errors, and that a part of the answer that is not JSON is in base64, as in a request.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Graph;
use super::behaviour;
use super::error::{BASIS_HEADER, GraphError};
use crate::entra::Entra;
use crate::faults::Parts;
use crate::message::{Reply, Request};
use crate::route::Route;
use presenced_core::fill::Fill as _;
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

/// A request in a batch.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name in the batch.
    pub(crate) id: String,
    /// The ids, in lower case, of the parts that must have succeeded. They all come before it.
    pub(crate) depends_on: Vec<String>,
    /// The request itself, with the batch's token.
    pub(crate) request: Request,
}

impl BatchItem {
    /// This item as a request with the batch's token. `None` if its method or a header is invalid.
    fn request(&self, outer: &Request) -> Option<Request> {
        let version = outer.path.split('/').nth(1).unwrap_or("v1.0");
        let url = below_version(&self.url, version, outer.header("host").unwrap_or_default());
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        if let Some(token) = outer.headers.get(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let method = Method::from_bytes(self.method.to_ascii_uppercase().as_bytes()).ok()?;
        let body = self.body.as_ref().map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let path = format!("/{version}/{}", path.trim_start_matches('/'));
        Some(Request { method, path, query: query.to_owned(), headers, body: Some(body) })
    }
}

/// The URL of a part without what it shares with its batch. It should be relative, but msgraph-core for Python sends all of it, so
/// Graph presumably accepts that (inferred).
fn below_version<'a>(url: &'a str, version: &str, host: &str) -> &'a str {
    let below = || {
        let (_, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
        let (_, path) = rest.split_once('/').filter(|(named, _)| *named == host || *named == "graph.microsoft.com")?;
        path.strip_prefix(version).filter(|rest| rest.starts_with('/'))
    };
    below().unwrap_or(url)
}

impl Graph {
    /// Checks a batch and reads its parts.
    ///
    /// # Errors
    /// The answer that refuses the batch as a whole. Then none of its parts takes effect.
    pub(crate) fn open_batch(&mut self, outer: &Request, entra: &Entra, now: &Now) -> Result<Vec<Part>, Box<Reply>> {
        let ids = self.ids(outer);
        let parts = self.check(&Route::Batch, outer, entra, now).and_then(|_| parts(outer));
        parts.map_err(|refusal| Box::new(Self::finish(refusal.reply(&ids, now), &ids, now)))
    }

    /// The answer to a batch whose parts were answered like this.
    pub(crate) fn close_batch(&mut self, outer: &Request, answered: &[(&str, Reply)], now: &Now) -> Reply {
        let responses: Vec<Value> = answered.iter().map(|(id, reply)| response(id, reply)).collect();
        let ids = self.ids(outer);
        let reply = Reply::json(StatusCode::OK, &json!({ "responses": responses }));
        Self::finish(reply.with(BASIS_HEADER, &behaviour::BATCH.basis.to_string()), &ids, now)
    }
}

/// The parts of a batch, each after those that it depends on.
fn parts(outer: &Request) -> Result<Vec<Part>, GraphError> {
    let invalid = || GraphError::bad_request("Invalid batch payload format.", behaviour::NOT_JSON);
    let body = outer.body.as_ref().ok_or_else(GraphError::too_large)?;
    let batch: Batch = serde_json::from_slice(body).map_err(|_| invalid())?;
    if batch.requests.len() > MAX_BATCH_REQUESTS {
        let message = format!("Number of batch request steps exceeds the maximum value of {MAX_BATCH_REQUESTS}.");
        return Err(GraphError::bad_request(message, behaviour::TOO_MANY_PARTS));
    }
    // The reference: ids are unique, and case does not matter.
    let mut ids = BTreeSet::new();
    if let Some(item) = batch.requests.iter().find(|item| !ids.insert(item.id.to_ascii_lowercase())) {
        let message = format!("The request id '{}' is used twice.", item.id);
        return Err(GraphError::bad_request(message, behaviour::NOT_JSON));
    }
    let part = |item: BatchItem| {
        let request = item.request(outer).ok_or_else(invalid)?;
        let depends_on = item.depends_on.iter().map(|id| id.to_ascii_lowercase()).collect();
        Ok(Part { id: item.id, depends_on, request })
    };
    let parts: Vec<Part> = batch.requests.into_iter().map(part).collect::<Result<_, _>>()?;
    for part in &parts {
        if let Some(unknown) = part.depends_on.iter().find(|id| !ids.contains(*id)) {
            let message = format!("The request '{}' depends on '{unknown}', which is not in the batch.", part.id);
            return Err(GraphError::bad_request(message, behaviour::BAD_DEPENDENCY));
        }
    }
    in_order(parts)
}

/// Sorts the parts so that each comes after those that it depends on, and otherwise stays where it is.
fn in_order(mut waiting: Vec<Part>) -> Result<Vec<Part>, GraphError> {
    let (mut sorted, mut done) = (Vec::new(), BTreeSet::new());
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|part| part.depends_on.iter().all(|id| done.contains(id)));
        let Some(ready) = ready else {
            let message = format!("The dependencies of the request '{}' form a cycle.", waiting[0].id);
            return Err(GraphError::bad_request(message, behaviour::BAD_DEPENDENCY));
        };
        let part = waiting.remove(ready);
        done.insert(part.id.to_ascii_lowercase());
        sorted.push(part);
    }
    Ok(sorted)
}

fn response(id: &str, reply: &Reply) -> Value {
    let headers: BTreeMap<&str, &str> =
        reply.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).fill();
    let body = match serde_json::from_slice(&reply.body) {
        Ok(json) => json,
        Err(_) if reply.body.is_empty() => Value::Null,
        Err(_) => STANDARD.encode(&reply.body).into(),
    };
    json!({ "id": id, "status": reply.status.as_u16(), "headers": headers, "body": body })
}

/// Changes the answer to a batch as a fault wants it. An answer without parts stays as it is.
pub(crate) fn garble(reply: &mut Reply, parts: Parts) {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&reply.body) else { return };
    let Some(responses) = answer["responses"].as_array_mut() else { return };
    let Some(mut last) = responses.pop() else { return };
    match parts {
        Parts::Missing => {}
        Parts::Doubled => {
            responses.push(last.clone());
            last["status"] = 500.into();
            responses.push(last);
        }
        Parts::Unknown => {
            responses.push(last.clone());
            last["id"] = "unknown".into();
            responses.push(last);
        }
    }
    reply.body = answer.to_string().into();
}
