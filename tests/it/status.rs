//! The status socket over a real socket: every route, every way to ask wrongly, and whose file the socket is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use presenced::policy::Claim;
use presenced::presence::Presence;
use presenced::status::report::{Health, Override, Report, State, Warning, word};
use presenced::status::{BindError, Client, ClientError, MAX_CONNECTIONS};
use presenced::warning::{Code, Severity};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::fake_daemon::{Asked, FakeDaemon, HANG, read_to_close, report};

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

#[test]
fn status_is_the_report() {
    let (_folder, daemon) = start();
    let (head, body) = daemon.request("GET", "/v1/status", "");
    assert_eq!(status_line(&head), "HTTP/1.1 200 OK");
    assert_eq!(serde_json::from_str::<Report>(&body).unwrap(), report());
    // The shape itself is the contract, not only that it reads back.
    let shape: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(shape["accounts"]["work"]["state"], "holding");
    assert_eq!(shape["accounts"]["work"]["desired"], json!({"availability": "Busy", "activity": "InACall"}));
    let preferred = json!({
        "availability": "Busy", "activity": "Busy", "sent_at": "2026-11-23T14:02:01Z", "expires_at": "2026-11-23T14:17:01Z"
    });
    assert_eq!(shape["accounts"]["work"]["preferred"], preferred);
    let seen = json!({"availability": "Busy", "activity": "InAMeeting", "at": "2026-11-23T14:02:06Z"});
    assert_eq!(shape["accounts"]["work"]["seen"], seen);
    assert_eq!(shape["override"], Value::Null);
    assert_eq!(shape["signals"]["lock"]["since"], "2026-11-23T09:30:00Z");
}

#[test]
fn an_override_is_set_for_a_time_or_until_unset() {
    let (_folder, daemon) = start();
    assert_done(&daemon.request("PUT", "/v1/override", r#"{"presence": "Busy/InACall", "for": "30m"}"#));
    assert_done(&daemon.request("PUT", "/v1/override", r#"{"presence": "away/away", "for": "PT1H30M"}"#));
    assert_done(&daemon.request("PUT", "/v1/override", r#"{"presence": "nothing"}"#));
    assert_done(&daemon.request("DELETE", "/v1/override", ""));
    assert_eq!(
        daemon.asked(),
        [
            Asked::SetOverride(Claim::Hold(Presence::InACall), Some(Duration::from_mins(30))),
            Asked::SetOverride(Claim::Hold(Presence::Away), Some(Duration::from_mins(90))),
            Asked::SetOverride(Claim::Nothing, None),
            Asked::ClearOverride,
        ]
    );
}

#[test]
fn signals_are_set_and_deleted_by_name() {
    let (_folder, daemon) = start();
    assert_done(&daemon.request("PUT", "/v1/signals/on-air_2", r#"{"value": "réd light", "ttl": "2m"}"#));
    assert_done(&daemon.request("PUT", "/v1/signals/door", r#"{"value": "open"}"#));
    assert_done(&daemon.request("DELETE", "/v1/signals/door", ""));
    assert_eq!(
        daemon.asked(),
        [
            Asked::SetSignal("on-air_2".into(), "réd light".into(), Some(Duration::from_mins(2))),
            Asked::SetSignal("door".into(), "open".into(), None),
            Asked::ClearSignal("door".into()),
        ]
    );
}

#[test]
fn a_refused_reload_gives_the_whole_report() {
    let (_folder, daemon) = start();
    assert_done(&daemon.request("POST", "/v1/reload", ""));
    daemon.answers(Err("unknown key `tenat`\n  3 | tenat = \"x\"\n      ^^^^^"));
    let answer = daemon.request("POST", "/v1/reload", "");
    assert_error(&answer, 422, "configuration-refused");
    let body: Value = serde_json::from_str(&answer.1).unwrap();
    assert_eq!(body["error"]["message"], "unknown key `tenat`\n  3 | tenat = \"x\"\n      ^^^^^");
    assert_error(&daemon.request("DELETE", "/v1/override", ""), 422, "refused");
}

#[test]
fn health_is_one_line_of_plain_text() {
    const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable";
    let (_folder, daemon) = start();
    for (health, state, live, ready) in [
        (Health::Ok, State::Holding, "ok\n", ("HTTP/1.1 200 OK", "ok\n")),
        (Health::Degraded, State::Throttled, "degraded\n", ("HTTP/1.1 200 OK", "degraded\n")),
        (Health::Failing, State::Refused, "failing\n", (UNAVAILABLE, "failing\n")),
        (Health::Ok, State::Starting, "ok\n", (UNAVAILABLE, "starting\n")),
        (Health::Failing, State::Stopping, "failing\n", (UNAVAILABLE, "stopping\n")),
    ] {
        daemon.change(|report| {
            report.health = health;
            report.accounts.get_mut("work").unwrap().state = state;
        });
        let (head, body) = daemon.request("GET", "/healthz", "");
        // That it answers is what a probe is to know: starting anew would mend nothing of this.
        assert_eq!((status_line(&head), body.as_str()), ("HTTP/1.1 200 OK", live));
        assert!(head.contains("content-type: text/plain"), "{head}");
        let (head, body) = daemon.request("GET", "/readyz", "");
        assert_eq!((status_line(&head), body.as_str()), ready);
    }
    daemon.change(|report| {
        report.health = Health::Ok;
        report.accounts.clear();
    });
    assert_eq!(daemon.request("GET", "/readyz", "").1, "starting\n", "nothing is known yet");
}

#[test]
fn metrics_are_open_metrics() {
    let (_folder, daemon) = start();
    crate::stage::fake_daemon::fill(&daemon.tally);
    daemon.tally.note_change("gone", Duration::ZERO);
    daemon.change(|report| {
        let work = report.accounts["work"].clone();
        // A name that would break the text if it were not escaped.
        report.accounts.insert("odd\"\\\nname".to_owned(), work);
        let warning = |code: Code, text: &str| Warning {
            code,
            severity: code.severity(),
            text: text.to_owned(),
            hint: "mend it".to_owned(),
            since: report.started_at,
        };
        report.warnings = vec![
            warning(Code::CalendarSkipped, "line 3"),
            warning(Code::Throttled, "slow"),
            warning(Code::CalendarSkipped, "line 9"),
        ];
    });
    let (head, body) = daemon.request("GET", "/metrics", "");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    let (own, process) = body.split_once("# HELP process_").expect("the process");
    insta::assert_snapshot!(own);
    assert!(process.ends_with("# EOF\n"));
}

#[test]
fn wrong_bodies_are_refused_with_what_would_be_right() {
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
    assert_eq!(daemon.asked(), [], "nothing of this reached the daemon");
}

#[test]
fn unknown_paths_and_methods_say_what_there_is() {
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
    // Nor when nobody says beforehand how long it will be.
    let mut endless = b"PUT /v1/override HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..300 {
        endless.extend_from_slice(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes());
    }
    assert!(daemon.raw(&endless).starts_with("HTTP/1.1 413 "));
}

#[test]
fn what_is_no_http_costs_only_its_own_connection() {
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
fn a_silent_client_is_let_go() {
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

#[test]
fn one_connection_too_many_is_told_so() {
    let (_folder, daemon) = start();
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = daemon.connect();
        stream.write_all(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        // The first bytes of an answer: the connection has its seat.
        stream.read_exact(&mut [0; 12]).unwrap();
        open.push(stream);
    }
    assert_error(&daemon.request("GET", "/v1/status", ""), 503, "busy");
    let refused = client(&daemon.socket, async |mut client| client.status().await).unwrap_err();
    assert!(matches!(&refused, ClientError::Refused { message, .. } if message.contains("too many")), "{refused:?}");

    drop(open.pop());
    // The server sees the close when it next looks; until then it may still count the seat.
    let freed = std::iter::repeat_with(|| daemon.request("GET", "/v1/status", "")).take(10_000);
    assert!(freed.into_iter().any(|(head, _)| head.starts_with("HTTP/1.1 200 ")), "the seat is free again");
}

#[test]
fn watching_shows_the_whole_state_first_and_then_each_change() {
    let (_folder, daemon) = start();
    let mut stream = daemon.connect();
    stream.write_all(b"GET /v1/watch HTTP/1.0\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head.iter().any(|line| line == "content-type: application/x-ndjson"), "{head:?}");
    let mut next = || serde_json::from_str::<Report>(&lines.next().expect("another line")).unwrap();

    assert_eq!(next(), report());
    daemon.change(|report| report.health = Health::Degraded);
    assert_eq!(next().health, Health::Degraded);
    // Equal to the last: no line. The next line is the change after it.
    daemon.change(|_| {});
    daemon.change(|report| report.health = Health::Failing);
    assert_eq!(next().health, Health::Failing);
    let manual = Override { presence: "nothing".to_owned(), until: None };
    daemon.change(|report| report.manual = Some(manual.clone()));
    assert_eq!(next().manual, Some(manual));

    daemon.stop();
    assert_eq!(lines.next(), None, "the stream ends with the daemon");
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
fn only_the_owner_gets_in() {
    let (folder, daemon) = start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&daemon.socket), 0o600);
    assert_eq!(mode(&folder.path().join("presenced")), 0o700);
    assert_eq!(mode(&folder.path().join("presenced/presenced.sock.lock")), 0o600);
}

#[test]
fn a_folder_that_exists_keeps_its_mode() {
    let folder = TempDir::new().unwrap();
    let shared = folder.path().join("presenced");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _daemon = FakeDaemon::start(folder.path(), report());
    assert_eq!(std::fs::metadata(&shared).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn a_socket_nobody_answers_is_replaced_and_the_own_one_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("presenced.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener that goes leaves its file");
    let daemon = FakeDaemon::try_start(&path, report()).unwrap();
    assert_eq!(status_line(&daemon.request("GET", "/healthz", "").0), "HTTP/1.1 200 OK");
    daemon.stop();
    assert!(!path.exists());
    // And so again: the lock that stays behind locks nobody out.
    FakeDaemon::try_start(&path, report()).unwrap().stop();
}

#[test]
fn a_second_daemon_is_told_who_the_first_is() {
    let (_folder, daemon) = start();
    let refused = FakeDaemon::try_start(&daemon.socket, report()).err().expect("refused");
    assert!(matches!(refused, BindError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{refused:?}");
    assert!(refused.to_string().contains("presenced already runs (pid "), "{refused}");
    // Without the lock as well: whoever answers is not pushed aside.
    std::fs::remove_file(daemon.socket.with_extension("sock.lock")).unwrap();
    let refused = FakeDaemon::try_start(&daemon.socket, report()).err().expect("refused");
    assert!(matches!(refused, BindError::InUse { pid: Some(_), .. }), "{refused:?}");
    assert_eq!(status_line(&daemon.request("GET", "/healthz", "").0), "HTTP/1.1 200 OK");
}

#[test]
fn of_many_that_start_at_once_one_wins() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("presenced.sock");
    drop(UnixListener::bind(&path).unwrap());
    let barrier = std::sync::Barrier::new(8);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = std::iter::repeat_with(|| {
            scope.spawn(|| {
                barrier.wait();
                FakeDaemon::try_start(&path, report())
            })
        })
        .take(8)
        .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(matches!(refused, BindError::InUse { .. }), "{refused:?}");
    }
}

#[test]
fn what_is_no_socket_is_never_touched() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("thesis.txt");
    std::fs::write(&file, "years of work").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link, &folder.path().to_path_buf()] {
        let refused = FakeDaemon::try_start(path, report()).err().expect("refused");
        assert!(matches!(refused, BindError::NotASocket { .. }), "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "years of work");
    assert!(link.is_symlink());
}

#[test]
fn a_file_that_took_the_sockets_place_stays() {
    let (_folder, daemon) = start();
    let path = daemon.socket.clone();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    daemon.stop();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody else's");
}

#[test]
fn impossible_places_say_why() {
    let folder = TempDir::new().unwrap();
    let long = folder.path().join("x".repeat(120));
    let refused = FakeDaemon::try_start(&long, report()).err().expect("refused");
    assert!(matches!(refused, BindError::PathTooLong { length, .. } if length > 120), "{refused:?}");
    assert!(refused.to_string().contains("at most 107"), "{refused}");

    std::fs::write(folder.path().join("file"), "").unwrap();
    let refused = FakeDaemon::try_start(&folder.path().join("file/presenced.sock"), report()).err().expect("refused");
    assert!(refused.to_string().starts_with("cannot make the folder "), "{refused}");
    assert!(refused.hint().contains("--socket"));
    // The last place that fits, to the byte.
    let room = 107 - folder.path().as_os_str().len() - 1;
    FakeDaemon::try_start(&folder.path().join("y".repeat(room)), report()).unwrap().stop();
}

/// Runs something with a client, in a runtime of its own.
fn client<T>(socket: &Path, ask: impl AsyncFnOnce(Client) -> Result<T, ClientError>) -> Result<T, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(HANG, async { ask(Client::connect(socket).await?).await }).await.unwrap()
    })
}

#[test]
fn the_client_asks_what_the_server_takes() {
    let (_folder, daemon) = start();
    let seen = client(&daemon.socket, async |mut client| {
        client.set_override(Claim::Hold(Presence::Presenting), Some(Duration::from_mins(45))).await?;
        client.clear_override().await?;
        let name = "on-air".parse().unwrap();
        client.set_signal(&name, &"yes, \"really\" ü".parse().unwrap(), None).await?;
        client.clear_signal(&name).await?;
        client.reload().await?;
        client.status().await
    });
    assert_eq!(seen.unwrap(), report());
    assert_eq!(
        daemon.asked(),
        [
            Asked::SetOverride(Claim::Hold(Presence::Presenting), Some(Duration::from_mins(45))),
            Asked::ClearOverride,
            Asked::SetSignal("on-air".into(), "yes, \"really\" ü".into(), None),
            Asked::ClearSignal("on-air".into()),
            Asked::Reload,
        ]
    );
}

#[test]
fn the_client_watches_until_the_daemon_stops() {
    let (_folder, daemon) = start();
    let socket = daemon.socket.clone();
    client(&socket, async move |client| {
        let mut watch = client.watch().await?;
        assert_eq!(watch.next().await?, Some(report()));
        daemon.change(|report| report.accounts.get_mut("work").unwrap().state = State::Retrying);
        assert_eq!(watch.next().await?.unwrap().accounts["work"].state, State::Retrying);
        daemon.stop();
        assert_eq!(watch.next().await?, None);
        Ok(())
    })
    .unwrap();
}

#[test]
fn the_client_tells_what_went_wrong_apart() {
    let folder = TempDir::new().unwrap();
    let ask = |path: &Path| client(path, async |mut client| client.status().await).unwrap_err();
    let path = folder.path().join("s");
    assert!(matches!(ask(&path), ClientError::NotRunning { .. }), "no file");
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(ask(&path), ClientError::NotRunning { .. }), "nobody listens");
    std::fs::remove_file(&path).unwrap();

    // Somebody else's server: garbage, an answer of its own, a close.
    let answers: [&[u8]; 3] = [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", b""];
    let listener = UnixListener::bind(&path).unwrap();
    let serve = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(answer).unwrap();
        }
    });
    assert!(matches!(ask(&path), ClientError::NotUnderstood { .. }));
    assert!(matches!(ask(&path), ClientError::NotUnderstood { .. }));
    assert!(matches!(ask(&path), ClientError::Stopping));
    serve.join().unwrap();
}

#[test]
fn words_are_those_on_the_wire() {
    assert_eq!(word(State::SignInNeeded), "sign-in-needed");
    assert_eq!(word(Health::Failing), "failing");
    assert_eq!(word(Code::CallStateInvalid), "call-state-invalid");
    assert_eq!(word(Severity::Error), "error");
}

#[test]
fn connecting_and_leaving_at_once_harms_nobody() {
    let (_folder, daemon) = start();
    for _ in 0..200 {
        drop(UnixStream::connect(&daemon.socket).unwrap());
    }
    assert_eq!(status_line(&daemon.request("GET", "/v1/status", "").0), "HTTP/1.1 200 OK");
}
