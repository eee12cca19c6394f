//! The emulator as another project's tests use it: its public API and plain HTTP, and nothing else of presenced.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use presenced_emulator::clock::ManualClock;
use presenced_emulator::{App, Call, Fault, Matches, Options, Outcome, Server, Then, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Sends a handwritten request. Returns the whole answer as text.
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
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
        App::DEFAULT_CLIENT_ID,
        App::DEFAULT_SECRET
    );
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = post(server, "/contoso.onmicrosoft.com/oauth2/v2.0/token", headers, &form).await?;
    let (_, json) = answer.split_once("\r\n\r\n").ok_or("an answer with a body")?;
    let json: serde_json::Value = serde_json::from_str(json)?;
    Ok(json["access_token"].as_str().ok_or("a token")?.to_owned())
}

/// Sets the user Available for 15 minutes. Returns the status line of the answer.
async fn set(server: &Server, token: &str) -> Result<String> {
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let body = format!(
        r#"{{"sessionId":"{}","availability":"Available","activity":"Available","expirationDuration":"PT15M"}}"#,
        App::DEFAULT_CLIENT_ID
    );
    let path = format!("/v1.0/users/{}/presence/setPresence", User::DEFAULT_ID);
    Ok(post(server, &path, &headers, &body).await?.lines().next().unwrap_or_default().to_owned())
}

fn visible(server: &Server) -> Option<String> {
    server.visible(User::DEFAULT_ID).map(|pair| pair.to_string())
}

fn clock() -> Result<Arc<ManualClock>> {
    Ok(Arc::new(ManualClock::at("2026-11-23T08:00:00Z".parse()?)))
}

#[tokio::test]
async fn a_session_fades_when_the_test_moves_the_clock() -> Result {
    let clock = clock()?;
    let server = Server::start_with_clock(Options::default(), clock.clone()).await?;
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
    for fault in Fault::plan("[[fault]]\ncall = \"set\"\ntimes = 1\nthen = { respond = { status = 503 } }\n")? {
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
async fn a_test_can_wait_for_past_and_future_requests() -> Result {
    let server = Server::start(Options::default()).await?;
    let token = token(&server).await?;
    assert_eq!(server.wait_for(|record| record.call == Call::Token).await.status, Some(200));
    let program = async {
        set(&server, &token).await?;
        set(&server, &token).await
    };
    let second_set = server.wait_for(|record| record.call == Call::Set && record.id == 3);
    let (record, last) = tokio::join!(second_set, program);
    assert_eq!(
        (record.visible.map(|pair| pair.to_string()).as_deref(), record.status),
        (Some("Available/Available"), Some(200))
    );
    assert_eq!(last?, "HTTP/1.1 200 OK");
    Ok(())
}

#[tokio::test]
async fn a_request_that_a_fault_delays_is_answered_when_the_clock_gets_there() -> Result {
    let clock = clock()?;
    let server = Server::start_with_clock(Options::default(), clock.clone()).await?;
    let token = token(&server).await?;
    let delay = Some("10s".parse()?);
    server.inject(Fault { delay, ..Fault::new(Call::Set, Then::Answer) })?;
    let program = set(&server, &token);
    let test = async {
        while server.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.requests()[1].outcome, Outcome::Pending);
        clock.advance(Duration::from_secs(10));
    };
    assert_eq!(tokio::join!(program, test).0?, "HTTP/1.1 200 OK");
    Ok(())
}

#[tokio::test]
async fn errors_are_std_errors_that_say_what_is_wrong() -> Result {
    let server = Server::start(Options::default()).await?;
    let mut fault = Fault::new(Matches::Any, Then::Aadsts(53003));
    let refused: Box<dyn Error> = server.inject(fault.clone()).unwrap_err().into();
    assert!(refused.to_string().contains("`call` must be token or device-code"), "{refused}");
    fault.call = Matches::Only(Call::Token);
    server.inject(fault)?;
    let refused: Box<dyn Error> = Fault::plan("[[fault]]\ncall = \"sett\"\n").unwrap_err().into();
    assert!(refused.to_string().starts_with("invalid fault plan: line 2: `call` must be "), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_frees_its_port() -> Result {
    let server = Server::start(Options::default()).await?;
    let address = server.address();
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    let again = Server::start_at(address, Options::default(), clock()?).await?;
    assert_eq!(again.address(), address);
    Ok(())
}

#[tokio::test]
async fn only_loopback_is_served() -> Result {
    let refused = Server::start_at("0.0.0.0:0".parse()?, Options::default(), clock()?).await;
    assert_eq!(
        refused.map(|server| server.address()).map_err(|error| error.kind()),
        Err(std::io::ErrorKind::InvalidInput)
    );
    Ok(())
}

#[tokio::test]
async fn a_test_of_many_users_sees_each_part_of_a_batch_and_the_totals() -> Result {
    let clock = clock()?;
    let users: Vec<User> = (1..=30).map(User::numbered).collect();
    let server =
        Server::start_with_clock(Options { users: users.clone(), ..Options::default() }, clock.clone()).await?;
    let token = token(&server).await?;
    let part = |(number, user): (usize, &User)| {
        serde_json::json!({
            "id": number.to_string(),
            "method": "POST",
            "url": format!("/users/{}/presence/setPresence", user.id),
            "headers": {"Content-Type": "application/json"},
            "body": {"sessionId": App::DEFAULT_CLIENT_ID, "availability": "Available", "activity": "Available"},
        })
    };
    let parts: Vec<_> = users.iter().take(20).enumerate().map(part).collect();
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let body = serde_json::json!({ "requests": parts }).to_string();
    assert!(post(&server, "/v1.0/$batch", &headers, &body).await?.starts_with("HTTP/1.1 200 OK"));

    let batch = server.wait_for(|record| record.call == Call::Batch).await.id;
    let parts = server.requests().into_iter().filter(|record| record.batch == Some(batch));
    let set: Vec<_> = parts.filter(|record| record.status == Some(200)).filter_map(|record| record.user).collect();
    assert!(set.iter().eq(users.iter().take(20).map(|user| &user.id)));
    clock.advance(Duration::from_mins(5));
    let state = server.state();
    assert_eq!((state.users.len(), state.summary.users, state.summary.busiest.requests), (0, 30, 20));
    assert_eq!((state.summary.visible.get("Offline/Offline"), state.summary.expired), (Some(&30), 20));
    let first = server.state_of(User::DEFAULT_ID).ok_or("the first is the default user")?;
    assert_eq!(first.visible.to_string(), "Offline/Offline");
    Ok(())
}
