//! The socket: HTTP/1.1 on loopback in front of [`Service`](super::service::Service), and the faults that only a socket
//! can have.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::Method;
use hyper::body::{Bytes, Incoming};
use hyper::header::{DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use presenced_core::local_request::is_loopback;
use presenced_core::time::Now;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Emulator;
use super::events;
use super::graph::http_date;
use super::host::Host;
use super::message::{FORWARDED_PROTO, MAX_BODY_BYTES, Reply, Request};
use super::service::{Arrival, End, Fate, Served};
use super::tls::Tls;

/// How long to wait after a connection could not be accepted, for example because the process has no file descriptors left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The connection ends without an answer: a fault resets it, or the client left in the middle of its request.
#[derive(Debug)]
struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is reset")
    }
}

impl std::error::Error for Aborted {}

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// The answer to a request without TLS where TLS is expected.
const TLS_EXPECTED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 51\r\nConnection: close\r\n\r\n\
    This port of the emulator expects https, not http.\n";

/// Serves `emulator` on `listener` until dropped, with or without TLS; dropping closes every connection.
///
/// # Errors
/// The listener is not on loopback, and the options do not allow that. The control endpoints have no authentication, so other
/// machines may reach them only if somebody asked for it.
pub(super) async fn serve(emulator: &Emulator, listener: TcpListener, tls: Option<Tls>) -> io::Result<Infallible> {
    check_address(listener.local_addr()?, &emulator.service().hosts)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(emulator.clone(), stream, tls.clone()));
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    let clock = emulator.clock();
                    clock.sleep_until(clock.now().instant + ACCEPT_RETRY_DELAY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Whether it may listen on `address`: on loopback, and anywhere if it has names for other machines.
pub(super) fn check_address(address: SocketAddr, hosts: &[Host]) -> io::Result<()> {
    if is_loopback(address.ip()) || !hosts.is_empty() {
        return Ok(());
    }
    let text = format!("without a host name the emulator serves only loopback addresses, and {address} is not one");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

async fn connection(emulator: Emulator, mut stream: TcpStream, tls: Option<Tls>) {
    // Answers are small: Nagle's algorithm would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(Tls { acceptor, .. }) = tls else { return talk(&emulator, stream, false, |stream| stream).await };
    let mut first = [TLS_HANDSHAKE];
    if stream.peek(&mut first).await.is_ok() && first != [TLS_HANDSHAKE] {
        // The client may not wait for it.
        let _ = stream.write_all(TLS_EXPECTED).await;
        return;
    }
    match acceptor.accept(stream).await {
        Ok(stream) => talk(&emulator, stream, true, |stream| stream.into_inner().0).await,
        Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
    }
}

/// Answers the requests that arrive on `stream`, whose socket `socket` returns.
async fn talk<S>(emulator: &Emulator, stream: S, is_tls: bool, socket: fn(S) -> TcpStream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        if is_tls {
            request.headers_mut().insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
        answer(emulator, request)
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let Err(error) = (&mut connection).await else { return };
    if error.is_user() {
        // With a linger time of zero the kernel closes with RST instead of FIN.
        let stream = socket(connection.into_parts().io.into_inner());
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "cannot reset the connection; closing it");
        }
    } else {
        tracing::debug!(%error, "a connection failed");
    }
}

async fn answer(
    emulator: &Emulator,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<UnsyncBoxBody<Bytes, Infallible>>, Aborted> {
    let request = read_request(request).await?;
    let now = emulator.clock().now();
    let Arrival { journal_entry, delay, fate } = emulator.service().arrive(&request, &now);
    if !delay.is_zero() {
        emulator.clock().sleep_until(now.instant + delay).await;
    }
    let now = emulator.clock().now();
    let number = journal_entry.map(|entry| entry.1);
    let Served { end, delay } = match fate {
        Fate::Answer => emulator.service().answer(&request, number, &now),
        Fate::End(end) => end.into(),
    };
    let now = if delay.is_zero() {
        now
    } else {
        emulator.clock().sleep_until(now.instant + delay).await;
        emulator.clock().now()
    };
    let has_journal_entry = journal_entry.is_some();
    if let Some(journal_entry) = journal_entry {
        let records = emulator.service().finish(journal_entry, &request, &end, &now);
        records.for_each(|record| emulator.announce(record));
    }
    if has_journal_entry || request.method != Method::GET {
        emulator.note_change();
    }
    match end {
        End::Reply(reply) => Ok(dated(response(reply), &now).map(BodyExt::boxed_unsync)),
        End::Events(shown) => Ok(dated(events::response(emulator.clone(), shown), &now).map(BodyExt::boxed_unsync)),
        // This ends when the client closes the connection.
        End::Hang => std::future::pending().await,
        End::Reset => Err(Aborted),
    }
}

/// Reads the whole request. A body that is too large is read to its end but not kept, so that the client gets an answer instead
/// of a broken pipe.
async fn read_request(request: hyper::Request<Incoming>) -> Result<Request, Aborted> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Some(Vec::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| Aborted)?;
        if let Ok(data) = frame.into_data() {
            body = body.filter(|body: &Vec<u8>| body.len() + data.len() <= MAX_BODY_BYTES);
            if let Some(body) = &mut body {
                body.extend_from_slice(&data);
            }
        }
    }
    Ok(Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.map(Bytes::from),
    })
}

fn response(reply: Reply) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// The same response with the emulator's time, not the machine's.
fn dated<B>(mut response: hyper::Response<B>, now: &Now) -> hyper::Response<B> {
    if let Ok(date) = HeaderValue::from_str(&http_date(now)) {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_served_unless_there_is_a_name_for_others() {
        let hosts = ["graph.test".parse().unwrap()];
        for address in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1"] {
            assert!(check_address(address.parse().unwrap(), &[]).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
            let error = check_address(address.parse().unwrap(), &[]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(address));
            assert!(check_address(address.parse().unwrap(), &hosts).is_ok(), "{address}");
        }
    }

    #[test]
    fn the_answer_without_tls_is_whole() {
        let text = std::str::from_utf8(TLS_EXPECTED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{text}");
    }
}
