//! The emulator as another project's tests use it: through its public API and plain HTTP, and with nothing else of presenced.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use presenced_emulator::clock::ManualClock;
use presenced_emulator::{Fault, Options, Outcome, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const USER: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";
const APP: &str = "22553876-f5ab-4529-bffb-cfe50aa89f87";

/// One request, written by hand; the whole answer as text.
async fn post(server: &Server, path: &str, headers: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server.address()).await?;
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn token(server: &Server) -> Result<String> {
    let form = format!(
        "grant_type=client_credentials&client_id={APP}&client_secret=emulator-secret&\
         scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
    );
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = post(server, "/contoso.onmicrosoft.com/oauth2/v2.0/token", headers, &form).await?;
    let (_, json) = answer.split_once("\r\n\r\n").ok_or("an answer with a body")?;
    let json: serde_json::Value = serde_json::from_str(json)?;
    Ok(json["access_token"].as_str().ok_or("a token")?.to_owned())
}

async fn set(server: &Server, token: &str) -> Result<String> {
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let body = format!(
        r#"{{"sessionId":"{APP}","availability":"Available","activity":"Available","expirationDuration":"PT15M"}}"#
    );
    let path = format!("/v1.0/users/{USER}/presence/setPresence");
    Ok(post(server, &path, &headers, &body).await?.lines().next().unwrap_or_default().to_owned())
}

fn visible(server: &Server) -> Option<String> {
    server.visible(USER).map(|pair| pair.to_string())
}

#[tokio::test]
async fn a_session_fades_when_the_test_moves_the_clock() -> Result {
    let clock = Arc::new(ManualClock::at("2026-11-23T08:00:00Z".parse()?));
    let server = Server::start_at("127.0.0.1:0".parse()?, Options::default(), clock.clone()).await?;
    assert_eq!(server.graph_url(), format!("{}/v1.0", server.login_url()));
    let token = token(&server).await?;
    assert_eq!(set(&server, &token).await?, "HTTP/1.1 200 OK");
    assert_eq!(visible(&server).as_deref(), Some("Available/Available"));
    clock.advance(Duration::from_mins(5));
    assert_eq!(visible(&server).as_deref(), Some("Available/AvailableInactive"));
    clock.advance(Duration::from_mins(5));
    assert_eq!(visible(&server).as_deref(), Some("Away/Away"));
    clock.advance(Duration::from_mins(5));
    assert_eq!(visible(&server).as_deref(), Some("Offline/Offline"));
    Ok(())
}

#[tokio::test]
async fn a_planned_fault_happens_and_is_in_the_journal() -> Result {
    let server = Server::start(Options::default()).await?;
    let token = token(&server).await?;
    let plan = "[[fault]]\ncall = \"set\"\ntimes = 1\nthen = { respond = { status = 503 } }\n";
    for fault in Fault::plan(plan).map_err(|findings| format!("{findings:?}"))? {
        server.inject(fault)?;
    }
    assert_eq!(set(&server, &token).await?, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(set(&server, &token).await?, "HTTP/1.1 200 OK");
    let statuses: Vec<_> = server.requests().iter().map(|record| (record.outcome, record.status)).collect();
    let answered = |status| (Outcome::Answered, Some(status));
    assert_eq!(statuses, [answered(200), answered(503), answered(200)]);
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_leaves_its_port() -> Result {
    let server = Server::start(Options::default()).await?;
    let address = server.address();
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    let again =
        Server::start_at(address, Options::default(), Arc::new(ManualClock::at("2026-11-23T08:00:00Z".parse()?)));
    assert_eq!(again.await?.address(), address);
    Ok(())
}

#[tokio::test]
async fn only_loopback_is_served() -> Result {
    let clock = Arc::new(ManualClock::at("2026-11-23T08:00:00Z".parse()?));
    let refused = Server::start_at("0.0.0.0:0".parse()?, Options::default(), clock).await;
    assert_eq!(
        refused.map(|server| server.address()).map_err(|error| error.kind()),
        Err(std::io::ErrorKind::InvalidInput)
    );
    Ok(())
}
