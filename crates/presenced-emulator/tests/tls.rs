//! TLS as a client sees it that trusts the CA and nothing else.

use std::error::Error;
use std::sync::Arc;

use presenced_emulator::clock::RealClock;
use presenced_emulator::{Options, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Fallible = Result<String, Box<dyn Error>>;

/// Sends a request to `server`, which must have the name `name`, and returns the answer.
async fn ask(server: &Server, name: &'static str, request: &str) -> Fallible {
    let mut roots = RootCertStore::empty();
    let pem = server.ca_pem().ok_or("it has TLS")?;
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address()).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name)?, stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn the_certificate_to_trust_can_be_fetched() -> Result<(), Box<dyn Error>> {
    let server = start(&[]).await?;
    let request = get("localhost").replace("state", "ca.pem");
    let answer = ask(&server, "localhost", &request).await?;
    assert_eq!(answer.split_once("\r\n\r\n").map(|(_, body)| body), server.ca_pem());
    Ok(())
}

fn get(host: &str) -> String {
    format!("GET /_emulator/state HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

async fn start(hosts: &[&str]) -> Result<Server, Box<dyn Error>> {
    let hosts = hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>()?;
    Ok(Server::start_tls(Options { hosts, ..Options::default() }, Arc::new(RealClock::new())).await?)
}

#[tokio::test]
async fn the_certificate_has_the_names_of_this_machine_and_those_it_was_given() -> Result<(), Box<dyn Error>> {
    let server = start(&["graph.test", "192.0.2.7"]).await?;
    assert!(server.graph_url().starts_with("https://127.0.0.1:"));
    for name in ["localhost", "127.0.0.1", "::1", "graph.test", "192.0.2.7"] {
        let answer = ask(&server, name, &get("graph.test")).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
    }
    for name in ["evil.example", "192.0.2.8"] {
        assert!(ask(&server, name, &get("graph.test")).await.is_err(), "{name}");
    }
    let answer = ask(&server, "graph.test", &get("evil.example")).await?;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn the_page_of_a_name_may_call_and_without_the_name_nothing_may() -> Result<(), Box<dyn Error>> {
    let from = |origin: &str| get("graph.test").replace("Connection", &format!("Origin: {origin}\r\nConnection"));
    let server = start(&["graph.test"]).await?;
    assert!(ask(&server, "localhost", &from("https://graph.test:8766")).await?.starts_with("HTTP/1.1 200"));
    assert!(ask(&server, "localhost", &from("https://evil.example")).await?.starts_with("HTTP/1.1 403"));
    let server = start(&[]).await?;
    assert!(ask(&server, "localhost", &get("graph.test")).await?.starts_with("HTTP/1.1 403"));
    Ok(())
}

#[tokio::test]
async fn a_request_without_tls_is_told_what_the_port_expects() -> Result<(), Box<dyn Error>> {
    let server = start(&[]).await?;
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(get("localhost").as_bytes()).await?;
    let mut answer = [0; 24];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 400 Bad Request");
    Ok(())
}
