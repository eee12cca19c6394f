//! Servers whose certificates are not good, through the real program and a real TLS server (openssl's).

use std::process::Stdio;

use presenced::session::State;
use presenced::status::report::LastError;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::stage::house::{Daemon, House, guarded};
use crate::stage::openssl::Keys;

/// A TLS server on loopback that answers each request with a web page, and its port.
async fn serve(keys: &Keys, name: &str, port: u16) -> (Child, u16) {
    let mut server = Command::new("openssl")
        .args(["s_server", "-www", "-accept", &format!("127.0.0.1:{port}")])
        .arg("-cert")
        .arg(keys.path(&format!("{name}.pem")))
        .arg("-key")
        .arg(keys.path(&format!("{name}.key")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl must be installed: apt-get install openssl");
    let mut lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    loop {
        let line = guarded("the TLS server's port", lines.next_line()).await.expect("it is text");
        let line = line.expect("the TLS server runs");
        // It names the address only if it chose the port itself.
        if let Some(address) = line.strip_prefix("ACCEPT") {
            let chosen = address.rsplit_once(':').map(|(_, port)| port.parse().expect("a port"));
            return (server, chosen.unwrap_or(port));
        }
    }
}

async fn start(house: &House, keys: &Keys, trusted: &str) -> Daemon {
    house.start_with(&[], |command| _ = command.env("SSL_CERT_FILE", keys.path(trusted))).await
}

async fn error(daemon: &Daemon, text: &str) -> LastError {
    let is_it = |error: &LastError| error.text.contains(text);
    let of = |report: &presenced::status::report::Report| {
        report.accounts["work"].last_error.clone().filter(|_| report.accounts["work"].state == State::Retrying)
    };
    let report = daemon.report(text, |report| of(report).is_some_and(|error| is_it(&error))).await;
    of(&report).expect("it was just there")
}

#[tokio::test]
async fn a_certificate_that_has_expired_or_is_not_trusted_is_named_and_tried_again() {
    let (house, keys) = (House::new().await, Keys::new());
    for (name, host, until) in [
        ("over", "localhost", "20250101000000Z"),
        ("good", "localhost", "20980101000000Z"),
        ("other", "graph.example", "20980101000000Z"),
    ] {
        keys.make_for(name, host, until);
    }
    let (mut server, port) = serve(&keys, "over", 0).await;
    let address = format!("http://{}", house.address);
    let configuration = house.configuration().replace(&address, &format!("https://localhost:{port}"));
    house.write("config.toml", configuration);

    let daemon = start(&house, &keys, "over.pem").await;
    let expired = error(&daemon, "certificate").await;
    assert_eq!(expired.text, "no connection to localhost: its certificate has expired");
    assert!(expired.hint.as_deref().unwrap_or_default().contains("clock"), "{expired:?}");
    // The server has a new certificate, but its authority is not known here.
    server.kill().await.expect("it runs");
    let (mut server, _) = serve(&keys, "good", port).await;
    let foreign = error(&daemon, "is not trusted on this machine").await;
    assert!(foreign.hint.as_deref().unwrap_or_default().contains("SSL_CERT_FILE"), "{foreign:?}");
    assert_eq!(daemon.stop().await.code(), Some(0));

    let daemon = start(&house, &keys, "good.pem").await;
    let page = error(&daemon, "localhost").await;
    assert!(!page.text.contains("certificate"), "{page:?}");
    assert_eq!(daemon.stop().await.code(), Some(0));

    server.kill().await.expect("it runs");
    let (_server, _) = serve(&keys, "other", port).await;
    let daemon = start(&house, &keys, "other.pem").await;
    let other = error(&daemon, "its certificate is for another name").await;
    assert!(other.hint.as_deref().unwrap_or_default().contains("check the address"), "{other:?}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_authority_with_a_kind_of_key_that_is_not_known_is_named() {
    let (house, keys) = (House::new().await, Keys::new());
    keys.make_below_p521("rare", "localhost");
    let (_server, port) = serve(&keys, "rare", 0).await;
    let address = format!("http://{}", house.address);
    house.write("config.toml", house.configuration().replace(&address, &format!("https://localhost:{port}")));
    let daemon = start(&house, &keys, "rare-ca.pem").await;
    let unknown = error(&daemon, "is signed with a kind of key that presenced does not know, such as P-521").await;
    assert!(unknown.hint.as_deref().unwrap_or_default().contains("P-384"), "{unknown:?}");
    assert_eq!(daemon.stop().await.code(), Some(0));
}
