//! HTTP requests and answers as plain values, so that the service needs no sockets.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Serialize;

/// The size of the largest request body that is accepted.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024;

/// The header that says which scheme the client used. The emulator sets it on connections with TLS, and a proxy in front of it that
/// ends TLS sets it too.
pub(super) const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The method.
    pub(super) method: Method,
    /// The path, still percent-encoded.
    pub(super) path: String,
    /// The query, without the question mark.
    pub(super) query: String,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body; `None` if it is larger than [`MAX_BODY_BYTES`].
    pub(super) body: Option<Bytes>,
}

impl Request {
    /// The value of a header, if it exists and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The URL at which the client reached the emulator, without a path.
    pub(super) fn base(&self) -> String {
        let scheme = if self.header(FORWARDED_PROTO) == Some("https") { "https" } else { "http" };
        format!("{scheme}://{}", self.header("host").unwrap_or("127.0.0.1"))
    }

    /// The value of `name` in the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// The status.
    pub(super) status: StatusCode,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Bytes,
    /// The error code, for the journal.
    pub(super) code: Option<String>,
}

impl Reply {
    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), code: None }
    }

    /// A JSON answer.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let mut reply = Self::empty(status);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        reply.body = serde_json::to_vec(value).expect("our own values have text keys and always serialize").into();
        reply
    }

    /// A plain text answer.
    pub(super) fn text(status: StatusCode, text: String) -> Self {
        let mut reply = Self::empty(status);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        reply.body = text.into();
        reply
    }

    /// The same answer with a header. A value that a header cannot hold is left out.
    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same answer with its error code.
    #[must_use]
    pub(super) fn coded(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }
}
