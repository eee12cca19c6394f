use std::io::{Read as _, Write as _};

use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Longer than any of these tests takes. It only ends a test that would wait for ever.
const GUARD: Duration = Duration::from_secs(30);

async fn guarded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, work).await.expect("it comes to an end")
}

async fn open() -> Loopback {
    Loopback::open("our-state".into()).await.unwrap()
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap()
}

/// The answer to these bytes, up to the end of the connection.
async fn ask(port: u16, request: &[u8]) -> String {
    guarded(async {
        let mut connection = connect(port).await;
        let _ = connection.write_all(request).await;
        rest(connection).await
    })
    .await
}

/// Everything that still comes. A reset is also an end.
async fn rest(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

const REDIRECT: &str = "/?code=c0de&state=our-state";

/// Makes the redirect and answers it.
async fn is_still_there(mut loopback: Loopback) {
    let port = loopback.port();
    let answered = async {
        let visitor = loopback.visitor().await.unwrap();
        assert_eq!(visitor.outcome.as_ref().unwrap().expose_secret(), "c0de");
        visitor.show(Page::signed_in()).await;
    };
    let target = get(REDIRECT);
    let (answer, ()) = guarded(async { tokio::join!(ask(port, &target), answered) }).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Signed in"), "{answer}");
}

#[tokio::test]
async fn whatever_else_comes_ends_nothing() {
    let loopback = open().await;
    for (request, status) in [
        (get("/favicon.ico"), "404"),
        (get("/"), "400"),
        (get("/?code=c0de&state=another"), "400"),
        (get("/?code=c0de"), "400"),
        (get("/?error=access_denied&error_description=AADSTS65004"), "400"),
        (b"HEAD /?code=c0de&state=our-state HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "405"),
        (b"POST /?code=c0de&state=our-state HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nx".to_vec(), "405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), "400"),
        (b"\r\n\r\n\0\0\0garbage\r\n\r\n".to_vec(), "400"),
    ] {
        let answer = ask(loopback.port(), &request).await;
        let start = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}: {answer}");
        assert!(!answer.contains("c0de"), "{answer}");
    }
    let many_letters = "a".repeat(4 * MAX_HEAD_BYTES);
    for huge in [get(&format!("/{many_letters}")), format!("GET / HTTP/1.1\r\nX: {many_letters}").into_bytes()] {
        // Unread data resets the connection, and the reset may overtake the answer.
        let answer = ask(loopback.port(), &huge).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 414 ") || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    let answer = ask(loopback.port(), b"HEAD / HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("\r\nallow: GET\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    is_still_there(loopback).await;
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_the_browser_out() {
    let loopback = Loopback::open_for("our-state".into(), Duration::from_hours(1)).await.unwrap();
    let mut silent = Vec::new();
    for i in 0..MAX_CONNECTIONS + 10 {
        let mut connection = connect(loopback.port()).await;
        if i % 2 == 0 {
            connection.write_all(b"GET / HT").await.unwrap();
        }
        silent.push(connection);
    }
    // The oldest was closed.
    for oldest in silent.drain(..10) {
        assert_eq!(guarded(rest(oldest)).await, "");
    }
    is_still_there(loopback).await;
}

#[tokio::test]
async fn a_client_that_does_not_come_to_an_end_is_not_waited_for() {
    let loopback = Loopback::open_for("our-state".into(), Duration::from_millis(50)).await.unwrap();
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut connection = connect(loopback.port()).await;
        connection.write_all(start.as_bytes()).await.unwrap();
        guarded(rest(connection)).await;
    }
}

#[tokio::test]
async fn of_two_tabs_one_is_the_answer() {
    let mut loopback = open().await;
    let port = loopback.port();
    let mut first = connect(port).await;
    first.write_all(&get(REDIRECT)).await.unwrap();
    let visitor = guarded(loopback.visitor()).await.unwrap();
    for again in [REDIRECT, "/?code=other&state=our-state", "/?error=access_denied&state=our-state"] {
        assert!(ask(port, &get(again)).await.starts_with("HTTP/1.1 409 "), "{again}");
    }
    let ((), answer) = guarded(async { tokio::join!(visitor.show(Page::signed_in()), rest(first)) }).await;
    assert!(answer.contains("Signed in"), "{answer}");
}

#[test]
fn the_last_page_is_out_before_the_program_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut connection = runtime.block_on(guarded(async {
        let mut loopback = open().await;
        let mut connection = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, loopback.port())).unwrap();
        connection.write_all(&get(REDIRECT)).unwrap();
        loopback.visitor().await.unwrap().show(Page::signed_in()).await;
        connection
    }));
    drop(runtime);
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Signed in"), "{answer}");
}

#[tokio::test]
async fn a_browser_that_left_holds_nobody_up() {
    let mut loopback = open().await;
    let mut connection = connect(loopback.port()).await;
    connection.write_all(&get(REDIRECT)).await.unwrap();
    let visitor = guarded(loopback.visitor()).await.unwrap();
    drop(connection);
    guarded(visitor.show(Page::signed_in())).await;
}

#[tokio::test]
async fn it_is_gone_when_the_attempt_is() {
    let loopback = open().await;
    let port = loopback.port();
    let silent = connect(port).await;
    drop(loopback);
    assert_eq!(guarded(rest(silent)).await, "");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err());
}

/// A machine on which binding on IPv4 and on IPv6 fails like this, one time after the other, and succeeds from then on.
async fn listened(v4: &[io::ErrorKind], v6: &[io::ErrorKind]) -> io::Result<Vec<bool>> {
    let troubles = Mutex::new((v4.to_vec(), v6.to_vec()));
    let bind = async |address: SocketAddr| {
        let trouble = {
            let mut troubles = troubles.lock().unwrap();
            let of_family = if address.is_ipv4() { &mut troubles.0 } else { &mut troubles.1 };
            if of_family.is_empty() { None } else { Some(of_family.remove(0)) }
        };
        match trouble {
            Some(trouble) => Err(trouble.into()),
            // It must also work on a machine without IPv6.
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, if address.is_ipv4() { address.port() } else { 0 })).await,
        }
    };
    let listeners = listen(bind).await?;
    Ok(listeners.iter().map(|listener| listener.local_addr().is_ok()).collect())
}

#[tokio::test]
async fn a_family_may_be_missing_but_not_be_somebody_elses() {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied, Unsupported};
    assert_eq!(listened(&[], &[]).await.unwrap().len(), 2);
    assert_eq!(listened(&[], &[AddrNotAvailable]).await.unwrap().len(), 1);
    assert_eq!(listened(&[], &[PermissionDenied]).await.unwrap().len(), 1);
    assert_eq!(listened(&[AddrNotAvailable], &[]).await.unwrap().len(), 1);
    assert_eq!(listened(&[], &[AddrInUse, AddrInUse]).await.unwrap().len(), 2, "on a third port");
    let always = [AddrInUse; PORTS_TRIED];
    assert_eq!(listened(&[], &always).await.unwrap_err().kind(), AddrInUse);
    assert_eq!(listened(&[Unsupported], &[AddrNotAvailable]).await.unwrap_err().kind(), Unsupported);
}

#[tokio::test]
async fn both_families_lead_here() {
    let loopback = open().await;
    let port = loopback.port();
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()] {
        let has_family = TcpListener::bind(SocketAddr::new(address.ip(), 0)).await.is_ok();
        assert_eq!(TcpStream::connect(address).await.is_ok(), has_family, "{address}");
    }
}
