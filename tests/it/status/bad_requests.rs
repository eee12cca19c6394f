//! Every kind of bad request: wrong bodies, too large, too slow, too many.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use presenced::status::{Client, ClientError, MAX_CONNECTIONS, MAX_WATCHERS};

use super::client::client;
use super::{assert_error, start, status_line};
use crate::stage::fake_daemon::{FakeDaemon, read_to_close};

#[test]
fn wrong_bodies_are_refused_with_a_hint() {
    let (_folder, daemon) = start();
    for (path, body, code) in [
        ("/v1/override", "", "bad-json"),
        ("/v1/override", "{", "bad-json"),
        ("/v1/override", "[]", "bad-json"),
        ("/v1/override", r#"{"presence": 7}"#, "bad-json"),
        ("/v1/override", r#"{"presence": "Away/Away", "until": "30m"}"#, "bad-json"),
        ("/v1/override", r#"{"presence": "Away/Away"} x"#, "bad-json"),
        ("/v1/override", "\u{0}\u{1}", "bad-json"),
        ("/v1/override", r#"{"presence": "Busy/Busy"}"#, "bad-presence"),
        ("/v1/override", r#"{"presence": ""}"#, "bad-presence"),
        ("/v1/override", r#"{"presence": "Away/Away", "for": "soon"}"#, "bad-duration"),
        ("/v1/override", r#"{"presence": "Away/Away", "for": "-5m"}"#, "bad-duration"),
        ("/v1/override", r#"{"presence": "Away/Away", "for": "0s"}"#, "bad-duration"),
        ("/v1/signals/door", r#"{"value": ""}"#, "bad-signal-value"),
        ("/v1/signals/door", r#"{"value": "a\nb"}"#, "bad-signal-value"),
        ("/v1/signals/door", r#"{"value": "open", "ttl": "1000000h"}"#, "bad-duration"),
        ("/v1/signals/a.b", r#"{"value": "open"}"#, "bad-signal-name"),
        ("/v1/signals/a%20b", r#"{"value": "open"}"#, "bad-signal-name"),
        ("/v1/signals/%ff", r#"{"value": "open"}"#, "bad-signal-name"),
    ] {
        let answer = daemon.request("PUT", path, body);
        assert_error(&answer, 400, code);
    }
    let long = format!("/v1/signals/{}", "a".repeat(65));
    assert_error(&daemon.request("DELETE", &long, ""), 400, "bad-signal-name");
    let deep = format!("{{\"presence\": {}", "[".repeat(60_000));
    assert_error(&daemon.request("PUT", "/v1/override", &deep), 400, "bad-json");
    assert_eq!(daemon.asked(), [], "nothing reached the daemon");
}

#[test]
fn unknown_paths_and_methods_list_the_valid_ones() {
    let (_folder, daemon) = start();
    assert_error(&daemon.request("GET", "/", ""), 404, "not-found");
    assert_error(&daemon.request("GET", "/v1/signals/", ""), 404, "not-found");
    assert_error(&daemon.request("PUT", "/v1/signals/a/b", "{}"), 404, "not-found");
    for (method, path, allow) in [
        ("POST", "/v1/status", "GET,HEAD"),
        ("GET", "/v1/override", "PUT,DELETE"),
        ("PATCH", "/v1/signals/door", "PUT,DELETE"),
        ("GET", "/v1/reload", "POST"),
        ("DELETE", "/metrics", "GET,HEAD"),
    ] {
        let answer = daemon.request(method, path, "");
        assert_error(&answer, 405, "method-not-allowed");
        assert!(answer.0.contains(&format!("allow: {allow}")), "{}", answer.0);
    }
    let (head, body) = daemon.request("HEAD", "/v1/status", "");
    assert_eq!((status_line(&head), body.as_str()), ("HTTP/1.1 200 OK", ""));
}

#[test]
fn a_megabyte_is_not_read() {
    let (_folder, daemon) = start();
    assert_error(&daemon.request("PUT", "/v1/override", &" ".repeat(1 << 20)), 413, "too-large");
    // This also holds without a content length.
    let mut endless = b"PUT /v1/override HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..300 {
        endless.extend_from_slice(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes());
    }
    assert!(daemon.raw(&endless).starts_with("HTTP/1.1 413 "));
}

#[test]
fn bytes_that_are_not_http_cost_only_their_own_connection() {
    let (_folder, daemon) = start();
    let huge = format!("GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "y".repeat(100_000));
    assert!(daemon.raw(huge.as_bytes()).starts_with("HTTP/1.1 431 "));
    let many = format!("GET /v1/status HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(500));
    assert!(daemon.raw(many.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert!(daemon.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(daemon.raw(b"hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let mut cut = daemon.connect();
    cut.write_all(b"PUT /v1/override HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{").unwrap();
    cut.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = read_to_close(&mut cut);
    drop(daemon.connect());
    assert_eq!(daemon.asked(), []);
    assert_eq!(status_line(&daemon.request("GET", "/v1/status", "").0), "HTTP/1.1 200 OK");
}

#[test]
fn a_silent_client_is_disconnected() {
    let (_folder, daemon) = start();
    let mut silent = daemon.connect();
    let mut half = daemon.connect();
    half.write_all(b"GET /v1/status HT").unwrap();
    let mut no_body = daemon.connect();
    no_body.write_all(b"PUT /v1/override HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{").unwrap();
    assert_eq!(read_to_close(&mut silent), "");
    assert_eq!(read_to_close(&mut half), "");
    assert!(read_to_close(&mut no_body).starts_with("HTTP/1.1 408 "));
}

/// A request whose answer has begun: the connection has its seat.
fn seated(daemon: &FakeDaemon, request: &str) -> UnixStream {
    let mut stream = daemon.connect();
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    stream
}

const WATCH: &str = "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn watchers_have_their_own_seats_and_keep_no_command_out() {
    let (_folder, daemon) = start();
    let mut watchers: Vec<_> = (0..MAX_WATCHERS).map(|_| seated(&daemon, WATCH)).collect();
    assert_error(&daemon.request("GET", "/v1/watch", ""), 503, "too-many-connections");
    for _ in 0..2 * MAX_CONNECTIONS {
        assert_eq!(status_line(&daemon.request("GET", "/v1/status", "").0), "HTTP/1.1 200 OK");
    }
    drop(watchers.pop());
    // The server sees the close when it next looks; until then it may still count the seat.
    let freed = std::iter::repeat_with(|| {
        let mut stream = daemon.connect();
        stream.write_all(WATCH.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        head
    });
    assert!(freed.take(10_000).any(|head| head == *b"HTTP/1.1 200"), "the seat is free again");
}

#[test]
fn a_connection_over_the_limit_gets_an_answer() {
    let (_folder, daemon) = start();
    daemon.answers_nothing();
    let busy: Vec<_> = (0..MAX_CONNECTIONS)
        .map(|_| {
            let mut stream = daemon.connect();
            stream.write_all(b"POST /v1/reload HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            stream
        })
        .collect();
    daemon.until_asked(MAX_CONNECTIONS);
    assert_error(&daemon.request("GET", "/v1/status", ""), 503, "too-many-connections");
    // Even while more clients than can be refused at once say nothing.
    let silent: Vec<_> = (0..3 * MAX_CONNECTIONS).map(|_| daemon.connect()).collect();
    assert_error(&daemon.request("GET", "/v1/status", ""), 503, "too-many-connections");
    drop(silent);
    // The client tries again for a while first.
    let refused = client(&daemon.socket, async |mut client| client.status().await).unwrap_err();
    assert!(matches!(&refused, ClientError::TooManyConnections { .. }), "{refused:?}");
    assert!(refused.to_string().contains("too many connections"), "{refused}");
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_presenced"))
        .args(["--socket".as_ref(), daemon.socket.as_os_str()])
        .arg("status")
        .output()
        .unwrap();
    let said = String::from_utf8(command.stderr).unwrap();
    assert_eq!(command.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: too many connections to presenced are open\nhint: "), "{said}");
    drop(busy);
}

#[test]
fn a_client_that_does_not_read_loses_its_seat() {
    let (_folder, daemon) = start();
    // Enough answers to fill every buffer on the way.
    let many = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let deaf: Vec<_> = (0..MAX_CONNECTIONS)
        .map(|_| {
            let mut stream = daemon.connect();
            stream.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
            // The server stops reading when it cannot write.
            let _ = stream.write_all(many.as_bytes());
            stream
        })
        .collect();
    let watchers: Vec<_> = (0..MAX_WATCHERS).map(|_| seated(&daemon, WATCH)).collect();
    let request = b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut answers = std::iter::repeat_with(|| daemon.raw(request)).take(1_000_000);
    assert!(answers.any(|answer| answer.starts_with("HTTP/1.1 200 ")), "the seats are free again");
    drop((deaf, watchers));
}

/// A daemon that is too busy to accept connections: the kernel keeps some waiting, and refuses the next one.
#[tokio::test]
async fn a_client_whose_connection_is_not_even_queued_says_that_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("presenced.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut waiting = Vec::new();
    while let Ok(connection) = tokio::net::UnixStream::connect(&socket).await {
        waiting.push(connection);
    }
    let refused = Client::connect(&socket).await.unwrap_err();
    assert!(matches!(refused, ClientError::TooManyConnections { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "too many connections to presenced are open");
}

#[test]
fn a_connection_serves_several_requests() {
    let (_folder, daemon) = start();
    let mut stream = daemon.connect();
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    }
}

#[test]
fn connecting_and_leaving_at_once_does_no_harm() {
    let (_folder, daemon) = start();
    for _ in 0..200 {
        drop(UnixStream::connect(&daemon.socket).unwrap());
    }
    assert_eq!(status_line(&daemon.request("GET", "/v1/status", "").0), "HTTP/1.1 200 OK");
}
