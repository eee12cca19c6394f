//! The status socket over a real socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bad_requests;
mod client;
mod routes;
mod socket;

use serde_json::Value;
use tempfile::TempDir;

use crate::stage::fake_daemon::{FakeDaemon, report};

fn start() -> (TempDir, FakeDaemon) {
    let folder = TempDir::new().unwrap();
    let daemon = FakeDaemon::start(folder.path(), report());
    (folder, daemon)
}

fn status_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

/// Asserts that an answer is an error of this status and code, in the shape all errors have.
#[track_caller]
fn assert_error(answer: &(String, String), status: u16, code: &str) {
    let (head, body) = answer;
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    let body: Value = serde_json::from_str(body).expect("errors are JSON");
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    assert!(body["error"]["hint"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
}

#[track_caller]
fn assert_done(answer: &(String, String)) {
    assert_eq!(status_line(&answer.0), "HTTP/1.1 204 No Content", "{}", answer.1);
}
