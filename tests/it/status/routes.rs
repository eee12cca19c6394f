//! Every route, and the texts of its answers.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use presenced::policy::Claim;
use presenced::presence::Presence;
use presenced::status::report::{Health, Override, Report, State, Warning, word};
use presenced::warning::{Code, Severity};
use serde_json::{Value, json};

use super::{assert_done, assert_error, start, status_line};
use crate::stage::fake_daemon::{Asked, report};

#[test]
fn status_is_the_report() {
    let (_folder, daemon) = start();
    let (head, body) = daemon.request("GET", "/v1/status", "");
    assert_eq!(status_line(&head), "HTTP/1.1 200 OK");
    assert_eq!(serde_json::from_str::<Report>(&body).unwrap(), report());
    // The JSON itself is the contract, not only that it can be parsed.
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
fn a_refused_reload_returns_the_whole_report() {
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
        // A probe only needs to know that it answers: a restart would not fix any of this.
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
    crate::stage::fake_daemon::fill(&daemon.metrics);
    daemon.metrics.note_change("gone", Duration::ZERO);
    daemon.change(|report| {
        let work = report.accounts["work"].clone();
        // A name that would break the format without escaping.
        report.accounts.insert("odd\"\\\nname".to_owned(), work);
        let warning = |code: Code, text: &str| Warning {
            code,
            severity: code.severity(),
            text: text.to_owned(),
            hint: "fix it".to_owned(),
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
fn words_match_their_json() {
    assert_eq!(word(State::SignInNeeded), "sign-in-needed");
    assert_eq!(word(Health::Failing), "failing");
    assert_eq!(word(Code::CallStateInvalid), "call-state-invalid");
    assert_eq!(word(Severity::Error), "error");
}
