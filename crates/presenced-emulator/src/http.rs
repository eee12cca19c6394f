//! The socket: HTTP/1.1 on loopback in front of [`Service`](super::service::Service), and the faults that only a socket
//! can have.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Emulator;
use super::graph::http_date;
use super::journal::Outcome;
use super::message::{BODY_LIMIT, Reply, Request};
use super::service::{Arrival, Fate};

/// How long to wait when the system has no socket left for the next connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connection ends without an answer: it is to be reset, or the client left in the middle of its request.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is reset")
    }
}

impl std::error::Error for Broken {}

/// Serves `emulator` on `listener` until dropped; dropping closes every connection.
///
/// # Errors
/// The listener is not on loopback: the emulator checks no secret worth the name, and anyone could steer it.
pub(super) async fn serve(emulator: &Emulator, listener: TcpListener) -> io::Result<Infallible> {
    only_loopback(listener.local_addr()?)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(emulator.clone(), stream));
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection could be accepted");
                    let clock = emulator.clock();
                    clock.sleep_until(clock.now().instant + ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

pub(super) fn only_loopback(address: SocketAddr) -> io::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let text = format!("the emulator serves loopback addresses only, and {address} is none");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

async fn connection(emulator: Emulator, stream: TcpStream) {
    // Small answers to small requests: waiting for more to send only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection may be slow");
    }
    let service = service_fn(|request| answer(&emulator, request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let Err(error) = (&mut connection).await else { return };
    if error.is_user() {
        // Lingering for no time makes the kernel answer with RST instead of FIN.
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "the connection is closed instead of reset");
        }
    } else {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer(
    emulator: &Emulator,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Broken> {
    let request = whole(request).await?;
    let now = emulator.clock().now();
    let Arrival { ticket, delay, fate } = emulator.service().arrive(&request, &now);
    if !delay.is_zero() {
        emulator.clock().sleep_until(now.instant + delay).await;
    }
    let now = emulator.clock().now();
    let (outcome, reply) = match fate {
        Fate::Answer => (Outcome::Answered, Some(emulator.service().answer(&request, &now))),
        Fate::Reply(reply) => (Outcome::Answered, Some(reply)),
        Fate::Reset => (Outcome::Reset, None),
        Fate::Hang => (Outcome::Hung, None),
    };
    if let Some(ticket) = ticket {
        let record = emulator.service().finish(ticket, &request, outcome, reply.as_ref(), &now);
        if let Some(record) = record {
            emulator.announce(record);
        }
    }
    match reply {
        Some(reply) => Ok(response(reply, &http_date(&now))),
        // Ends when the client gives up and closes.
        None if outcome == Outcome::Hung => std::future::pending().await,
        None => Err(Broken),
    }
}

/// Reads the whole request. Of a body that is too large the rest is read all the same, so that the client hears the answer
/// instead of a broken pipe.
async fn whole(request: hyper::Request<Incoming>) -> Result<Request, Broken> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Some(Vec::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| Broken)?;
        if let Ok(data) = frame.into_data() {
            body = body.filter(|body: &Vec<u8>| body.len() + data.len() <= BODY_LIMIT);
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

fn response(reply: Reply, date: &str) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    // Every answer carries the emulator's time, not the machine's.
    if let Ok(date) = HeaderValue::from_str(date) {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_served() {
        for address in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1"] {
            assert!(only_loopback(address.parse().unwrap()).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
            let error = only_loopback(address.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(address));
        }
    }
}
