//! Calendar subscriptions against servers on loopback: what is asked, what is taken over, what is kept, and what is said.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use presenced::calendar::{BusyClass, Schedule};
use presenced::config::{self, CalendarPlace, CalendarSource, SecretUrl};
use presenced::policy::Reading;
use presenced::signals::{Buses, Observation, Update, calendar};
use presenced::warning::Code;
use tempfile::TempDir;

use crate::stage::canned::{Answer, Server, answer};
use crate::stage::signal_bench::{ManualClock, Signal, soon};

const NOON: &str = "2026-11-23T12:00:00Z";
const REFRESH: Duration = Duration::from_mins(15);

type Seen = Observation<Arc<Schedule>>;

fn subscribe(clock: &Arc<ManualClock>, server: &Server, cache: &TempDir) -> Signal<Arc<Schedule>> {
    subscribe_to(clock, source(server), cache)
}

fn source(server: &Server) -> CalendarSource {
    let url = SecretUrl::new(server.url.join("hunter2/basic.ics?key=hunter2").unwrap());
    CalendarPlace::Subscription(config::Subscription { url, refresh: REFRESH }).into()
}

fn subscribe_to(clock: &Arc<ManualClock>, source: CalendarSource, cache: &TempDir) -> Signal<Arc<Schedule>> {
    let config = config::Calendar { sources: vec![source], identity: Vec::new() };
    let unwrap = |update| if let Update::Calendar(observation) = update { Some(observation) } else { None };
    Signal::start_in(clock, Buses::default(), cache.path().to_owned(), unwrap, |context| calendar::run(config, context))
}

fn calendar_of(events: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{events}END:VCALENDAR\r\n")
}

fn meeting() -> String {
    calendar_of(
        "BEGIN:VEVENT\r\nUID:a\r\nDTSTAMP:20261101T000000Z\r\nDTSTART:20261123T000000Z\r\nDTEND:20261124T000000Z\r\n\
         SUMMARY:Planning\r\nEND:VEVENT\r\n",
    )
}

fn class(seen: &Seen) -> Option<BusyClass> {
    seen.reading.known().map(|schedule| schedule.at(NOON.parse().unwrap()).unwrap().class)
}

fn busy(seen: &Seen) -> bool {
    class(seen) == Some(BusyClass::Busy)
}

/// The codes of what is wrong. The address is never part of it.
fn codes(seen: &Seen) -> Vec<Code> {
    assert!(!format!("{seen:?}").contains("hunter2"), "{seen:?}");
    seen.warnings.iter().map(|warning| warning.code).collect()
}

/// Lets time pass until the server was asked `number` times.
async fn asked(clock: &ManualClock, server: &Server, number: usize) {
    soon("a request", async {
        while server.requests().len() < number {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn only_what_is_newer_is_sent_again() {
    let validators = "ETag: W/\"1\"\r\nLast-Modified: Mon, 23 Nov 2026 11:00:00 GMT\r\n";
    let answers = [answer(200, validators, &meeting()), answer(304, "", ""), answer(200, "", &calendar_of(""))];
    let (server, cache, clock) = (Server::start(answers).await, tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let mut signal = subscribe(&clock, &server, &cache);
    let seen = signal.next().await;
    assert!(busy(&seen) && codes(&seen).is_empty(), "{seen:?}");
    assert_eq!(seen.source, "1 source, 1 event");
    clock.pass(REFRESH).await;
    // What is the same changes nothing; the next observation is that of the third answer.
    asked(&clock, &server, 2).await;
    clock.pass(REFRESH).await;
    assert_eq!(class(&signal.next().await), Some(BusyClass::Free));
    let requests = server.requests();
    assert!(requests[0].line.starts_with("GET /hunter2/basic.ics?key=hunter2 "));
    assert_eq!(requests[0].header("if-none-match"), None);
    for request in &requests[1..] {
        assert_eq!(request.header("if-none-match"), Some("W/\"1\""));
        assert_eq!(request.header("if-modified-since"), Some("Mon, 23 Nov 2026 11:00:00 GMT"));
    }
}

#[tokio::test]
async fn the_last_good_copy_counts_while_the_network_is_down_and_after_a_restart() {
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server = Server::start([answer(200, "ETag: \"1\"\r\n", &meeting()), Answer::Close]).await;
    let mut signal = subscribe(&clock, &server, &cache);
    assert!(busy(&signal.next().await));
    clock.pass(REFRESH).await;
    // A failure that passes is not said at once: what comes next is said after three refreshes.
    let down = tokio::spawn({
        let clock = clock.clone();
        async move {
            loop {
                clock.advance(Duration::from_secs(10));
                tokio::task::yield_now().await;
            }
        }
    });
    let seen = signal.next().await;
    down.abort();
    assert!(busy(&seen));
    assert_eq!(codes(&seen), [Code::CalendarStale]);
    assert!(seen.warnings[0].text.contains("127.0.0.1") && seen.warnings[0].text.contains("2026-11-23T12:00:00Z"));
    let now = presenced::time::Clock::now(&*clock).wall;
    assert!(now >= "2026-11-23T12:45:00Z".parse().unwrap(), "{now}");
    signal.stop().await;

    let clock = ManualClock::at("2026-11-23T13:00:00Z");
    let mut signal = subscribe(&clock, &server, &cache);
    assert!(busy(&signal.next().await), "the copy counts before the first answer");
}

#[tokio::test]
async fn a_web_page_is_not_taken_over() {
    let page = || answer(200, "Content-Type: text/html\r\n", "<!DOCTYPE html><title>Sign in</title>");
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server = Server::start([page(), answer(200, "", &meeting()), page()]).await;
    let mut signal = subscribe(&clock, &server, &cache);
    let seen = signal.next().await;
    assert_eq!((&seen.reading, codes(&seen)), (&Reading::Unknown, vec![Code::CalendarUnreadable]));
    assert!(seen.warnings[0].text.contains("127.0.0.1 sent something that is not a calendar"), "{seen:?}");
    clock.pass(REFRESH).await;
    let seen = signal.next().await;
    assert!(busy(&seen) && codes(&seen).is_empty(), "{seen:?}");
    clock.pass(REFRESH).await;
    let seen = signal.next().await;
    assert!(busy(&seen), "the calendar is known from the copy");
    assert_eq!(codes(&seen), [Code::CalendarStale]);
}

/// An answer that ends with its connection.
fn last(head: &str, body: &[u8]) -> Answer {
    Answer::Last([format!("HTTP/1.1 200 OK\r\n{head}Connection: close\r\n\r\n").as_bytes(), body].concat())
}

/// Answers without a whole calendar, and what is said about each.
fn not_whole() -> Vec<(Answer, &'static str)> {
    let calendar = meeting().replace("Planning", "Something else");
    let half = &calendar[..calendar.len() / 2];
    let chunk = format!("{:x}\r\n{half}\r\n", half.len());
    // The beginning of what `gzip` makes of a calendar.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x73\x72\x75\xf7\xf4\xb3\x0a\x73\x76\xf4\x71";
    let cut = "sent a calendar that cannot be used: it is not complete: it ends before its END:VCALENDAR";
    vec![
        (last("", half.as_bytes()), cut),
        (answer(200, "", half), cut),
        (last(&format!("Content-Length: {}\r\n", calendar.len()), half.as_bytes()), "the answer broke off"),
        (last("Transfer-Encoding: chunked\r\n", chunk.as_bytes()), "the answer broke off"),
        (last("Content-Encoding: gzip\r\n", gzip), "sent something that is not a calendar"),
        (answer(200, "Content-Type: text/html\r\n", "<html>Sign in</html>"), "sent something that is not a calendar"),
        (answer(200, "", ""), "sent a calendar that cannot be used: it is empty"),
        (last("", b""), "sent a calendar that cannot be used: it is empty"),
        (answer(206, "Content-Range: bytes 0-99/5000\r\n", &calendar), "answered 206"),
        (
            answer(200, "", &calendar.replace("VEVENT", "X-SOMETHING")),
            "sent a calendar that cannot be used: presenced understands no part of it",
        ),
    ]
}

#[tokio::test]
async fn an_answer_that_is_not_a_whole_calendar_does_not_replace_the_copy() {
    for (broken, reason) in not_whole() {
        let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
        let server = Server::start([answer(200, "ETag: \"1\"\r\n", &meeting()), broken, answer(304, "", "")]).await;
        let mut signal = subscribe(&clock, &server, &cache);
        assert!(busy(&signal.next().await), "{reason}");
        clock.pass(REFRESH).await;
        let seen = signal.next().await;
        assert!(busy(&seen) && codes(&seen) == [Code::CalendarStale], "{seen:?}");
        let text = &seen.warnings[0].text;
        assert!(
            text.contains("127.0.0.1") && text.contains(reason) && text.contains("copy of 2026-11-23T12:00:00Z"),
            "{text}"
        );
        let kept = fs::read_dir(cache.path().join("subscriptions")).unwrap().flatten().map(|entry| entry.path());
        let kept = kept.filter(|path| path.extension().is_some_and(|extension| extension == "ics"));
        assert_eq!(kept.map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>(), [meeting()], "{reason}");
        // The copy still belongs to what the server said about it.
        asked(&clock, &server, 3).await;
        assert_eq!(server.requests()[2].header("if-none-match"), Some("\"1\""));
        assert!(signal.until(|seen| seen.warnings.is_empty()).await.reading.known().is_some());
    }
}

#[tokio::test]
async fn without_a_copy_an_answer_that_is_not_whole_leaves_the_calendar_unknown() {
    for (broken, reason) in not_whole() {
        let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
        let server = Server::start([broken, answer(200, "", &meeting())]).await;
        let mut signal = subscribe(&clock, &server, &cache);
        let seen = signal.next().await;
        assert_eq!((&seen.reading, codes(&seen)), (&Reading::Unknown, vec![Code::CalendarUnreadable]));
        assert!(seen.warnings[0].text.contains(reason), "{seen:?}");
        assert_eq!(fs::read_dir(cache.path().join("subscriptions")).map_or(0, Iterator::count), 0, "{reason}");
        asked(&clock, &server, 2).await;
        assert!(busy(&signal.until(|seen| seen.warnings.is_empty()).await));
    }
}

#[tokio::test]
async fn an_optional_subscription_never_makes_the_calendar_unknown() {
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server = Server::start([answer(404, "", ""), answer(200, "", &meeting())]).await;
    let source = CalendarSource { optional: true, ..source(&server) };
    let mut signal = subscribe_to(&clock, source, &cache);
    let seen = signal.next().await;
    assert_eq!((class(&seen), codes(&seen)), (Some(BusyClass::Free), vec![Code::CalendarUnreadable]));
    clock.pass(REFRESH).await;
    let seen = signal.next().await;
    assert!(busy(&seen) && codes(&seen).is_empty(), "{seen:?}");
}

#[tokio::test]
async fn a_copy_of_an_earlier_version_that_was_cut_off_is_fetched_again_at_once() {
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server =
        Server::start([answer(200, "ETag: \"1\"\r\n", &meeting()), Answer::Close, answer(200, "", &meeting())]).await;
    let mut signal = subscribe(&clock, &server, &cache);
    assert!(busy(&signal.next().await));
    signal.stop().await;
    for entry in fs::read_dir(cache.path().join("subscriptions")).unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap();
        let earlier = if entry.path().extension().is_some_and(|extension| extension == "json") {
            let (rest, _) = text.split_once(",\"size\"").unwrap();
            format!("{rest}}}")
        } else {
            text.replace("END:VCALENDAR\r\n", "")
        };
        fs::write(entry.path(), earlier).unwrap();
    }
    let mut signal = subscribe(&clock, &server, &cache);
    let seen = signal.until(|seen| !seen.warnings.is_empty()).await;
    assert_eq!(seen.reading, Reading::Unknown);
    let warning = seen.warnings.iter().find(|warning| warning.code == Code::CalendarIncomplete).unwrap();
    let expected = "Since 12:00 on 23 Nov, the copy of the calendar subscription at 127.0.0.1 cannot be used, because it is not \
                    complete: it ends before its END:VCALENDAR; the calendar is unknown until it is whole.";
    assert_eq!(warning.text, expected);
    asked(&clock, &server, 3).await;
    let seen = signal.until(|seen| seen.warnings.is_empty()).await;
    assert!(busy(&seen), "{seen:?}");
    assert_eq!(server.requests()[2].header("if-none-match"), None, "not only what is newer");
}

#[tokio::test]
async fn a_withdrawn_calendar_is_reported_at_once_with_the_fix() {
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server = Server::start([answer(200, "", &meeting()), answer(404, "", "")]).await;
    let mut signal = subscribe(&clock, &server, &cache);
    assert!(busy(&signal.next().await));
    clock.pass(REFRESH).await;
    let seen = signal.next().await;
    assert_eq!(codes(&seen), [Code::CalendarStale]);
    assert!(seen.warnings[0].text.contains("127.0.0.1 answered 404"), "{seen:?}");
    assert!(seen.warnings[0].hint.contains("copy its address again"), "{seen:?}");
}

#[tokio::test]
async fn too_large_or_partial_downloads_are_not_used() {
    let huge = |head: &str, length| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\nBEGIN:VCALENDAR\r\n").into_bytes();
        bytes.resize(bytes.len() + length, b'x');
        Answer::Bytes(bytes)
    };
    let limit = 64 * 1024 * 1024;
    for (head, length, reason) in [
        (format!("Content-Length: {}\r\n", limit + 1), 0, "more than 64 MiB"),
        ("Connection: close\r\n".to_owned(), limit, "more than 64 MiB"),
    ] {
        let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
        let server = Server::start([huge(&head, length)]).await;
        let seen = subscribe(&clock, &server, &cache).next().await;
        assert_eq!((&seen.reading, codes(&seen)), (&Reading::Unknown, vec![Code::CalendarUnreadable]));
        assert!(seen.warnings[0].text.contains(reason), "{seen:?}");
        let left = fs::read_dir(cache.path().join("subscriptions")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "nothing is left of what was not taken over");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it() {
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server = Server::start([answer(503, "Retry-After: 120\r\n", ""), answer(200, "", &meeting())]).await;
    let mut signal = subscribe(&clock, &server, &cache);
    assert_eq!(signal.next().await.reading, Reading::Unknown);
    clock.pass(Duration::from_mins(2)).await;
    assert!(busy(&signal.next().await));
}

#[tokio::test]
async fn redirects_are_followed_without_telling_the_address() {
    let target = Server::start([answer(200, "", &meeting())]).await;
    let redirect = |to: &str| answer(302, &format!("Location: {to}\r\n"), "");
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server = Server::start([redirect(target.url.as_str()), redirect("http://cal.example/hunter2")]).await;
    let mut signal = subscribe(&clock, &server, &cache);
    assert!(busy(&signal.next().await));
    assert_eq!(target.requests()[0].header("referer"), None);
    clock.pass(REFRESH).await;
    let seen = signal.next().await;
    assert_eq!(codes(&seen), [Code::CalendarStale]);
    assert!(seen.warnings[0].text.contains("redirects to an address without encryption"), "{seen:?}");
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let server = Server::start([answer(301, "Location: /hunter2\r\n", "")]).await;
    let seen = subscribe(&clock, &server, &cache).next().await;
    assert!(seen.warnings[0].text.contains("redirects more than 5 times"), "{seen:?}");
    assert_eq!((server.requests().len(), codes(&seen)), (6, vec![Code::CalendarUnreadable]));
}

#[tokio::test]
async fn a_user_and_password_in_the_address_are_sent_as_such() {
    let (cache, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOON));
    let mut server = Server::start([answer(200, "", &meeting())]).await;
    server.url.set_username("me").unwrap();
    server.url.set_password(Some("hunter2")).unwrap();
    let seen = subscribe(&clock, &server, &cache).next().await;
    assert!(busy(&seen) && codes(&seen).is_empty(), "{seen:?}");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic bWU6aHVudGVyMg=="));
}
