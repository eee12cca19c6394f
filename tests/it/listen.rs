//! `[status] listen`: metrics and health over TCP, from the real program; nothing else is available there, and nothing a
//! client does to it costs the presence.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::Write as _;
use std::net::Shutdown;

use presenced::status::report::State;
use tokio::net::TcpListener;

use crate::stage::house::{Daemon, House, guarded};
use crate::stage::listener::{address, ask, connect, read_to_close};

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    guarded("an answer", tokio::task::spawn_blocking(work)).await.unwrap()
}

async fn start(house: &House, listen: &str) -> Daemon {
    house.write("config.toml", format!("{}[status]\nlisten = \"{listen}\"\n", house.configuration()));
    house.start().await
}

#[tokio::test]
async fn it_serves_metrics_and_health_and_nothing_else() {
    let house = House::new().await;
    let daemon = start(&house, "127.0.0.1:0").await;
    daemon.report("holding", |report| report.accounts.values().any(|account| account.state == State::Holding)).await;
    let address = address(&daemon).await;
    blocking(move || {
        let host = address.to_string();
        for (request, status, body) in [
            ("GET /healthz", "200 OK", "\r\n\r\nok\n"),
            ("GET /readyz", "200 OK", "\r\n\r\nok\n"),
            ("HEAD /healthz", "200 OK", "\r\n\r\n"),
            ("GET /metrics", "200 OK", "\n# EOF\n"),
            ("POST /metrics", "405 Method Not Allowed", "lists what it accepts\"}}"),
            ("GET /", "404 Not Found", "on the status socket\"}}"),
            ("GET /v1/status", "404 Not Found", "on the status socket\"}}"),
            ("GET /v1/watch", "404 Not Found", "on the status socket\"}}"),
            ("PUT /v1/override", "404 Not Found", "on the status socket\"}}"),
            ("PUT /v1/signals/door", "404 Not Found", "on the status socket\"}}"),
            ("POST /v1/reload", "404 Not Found", "on the status socket\"}}"),
        ] {
            let answer = ask(address, request, &host);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.ends_with(body),
                "{request}: {answer}"
            );
        }
        // A page of another name, whose name points here by now.
        let rebound = ask(address, "GET /metrics", "rebound.example:9464");
        assert!(rebound.starts_with("HTTP/1.1 403 ") && rebound.contains("not-by-name"), "{rebound}");
        assert!(!rebound.contains("presenced_account"), "{rebound}");
        assert!(ask(address, "GET /healthz", "localhost").starts_with("HTTP/1.1 200 "));
        // A page of another machine, in a browser on this one.
        let page = ask(address, "GET /metrics", "localhost\r\nOrigin: https://evil.example");
        assert!(page.starts_with("HTTP/1.1 403 ") && !page.contains("presenced_account"), "{page}");
        assert!(ask(address, "hello", &host).starts_with("HTTP/1.1 400 "));
    })
    .await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn an_ipv4_address_in_the_form_of_ipv6_is_loopback_too() {
    let house = House::new().await;
    let daemon = start(&house, "[::ffff:127.0.0.1]:0").await;
    let address = address(&daemon).await;
    blocking(move || {
        assert!(ask(address, "GET /healthz", "localhost").starts_with("HTTP/1.1 200 "));
        assert!(ask(address, "GET /healthz", "rebound.example").starts_with("HTTP/1.1 403 "));
    })
    .await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_do_not_block_others_for_long() {
    let house = House::new().await;
    let daemon = start(&house, "127.0.0.1:0").await;
    let address = address(&daemon).await;
    blocking(move || {
        // Half a request each: a seat each, as far as there are any.
        let sit = || {
            let mut stream = connect(address);
            stream.write_all(b"GET /metrics HT").unwrap();
            stream
        };
        let mut sitting: Vec<_> = (0..16).map(|_| sit()).collect();
        let mut late = sit();
        late.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_close(&mut late), "", "there is no seat");
        for stream in &mut sitting {
            assert_eq!(read_to_close(stream), "");
        }
        assert!(ask(address, "GET /healthz", "localhost").starts_with("HTTP/1.1 200 "));
        // One request is all that a connection has.
        let mut two = connect(address);
        two.write_all(
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
        .unwrap();
        assert_eq!(read_to_close(&mut two).matches("HTTP/1.1 ").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_address_that_is_taken_costs_no_presence_and_a_reload_tries_again() {
    let mut house = House::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let daemon = start(&house, &address.to_string()).await;
    house.seen("Available/Available").await;
    let warned = |report: &presenced::status::report::Report| {
        report.warnings.iter().any(|warning| warning.code == presenced::warning::Code::ListenFailed)
    };
    let report = daemon.report("the warning", warned).await;
    assert!(report.warnings[0].text.contains(&address.to_string()), "{:?}", report.warnings);
    drop(taken);
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    daemon.report("all well", |report| report.warnings.is_empty()).await;
    assert_eq!(self::address(&daemon).await, address);

    // Off again, and on again at the same place, while a client is connected.
    let _connected = tokio::net::TcpStream::connect(address).await.unwrap();
    house.write("config.toml", house.configuration());
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    guarded("the end of it", async { while tokio::net::TcpStream::connect(address).await.is_ok() {} }).await;
    house.write("config.toml", format!("{}[status]\nlisten = \"{address}\"\n", house.configuration()));
    assert_eq!(house.ask(&["reload"]).await.0, 0);
    guarded("it", async { while tokio::net::TcpStream::connect(address).await.is_err() {} }).await;
    assert!(daemon.report("all well", |report| report.warnings.is_empty()).await.warnings.is_empty());
}
