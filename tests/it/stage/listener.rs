//! The daemon's listener for metrics and health over TCP, as its clients see it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::fake_daemon::HANG;
use super::house::{Daemon, guarded};

pub(crate) const OPENED: &str = "metrics and health are at http://";

/// The address that the daemon logged last.
pub(crate) async fn address(daemon: &Daemon) -> SocketAddr {
    guarded("the listener", async {
        loop {
            let log = daemon.log();
            let rest = log.rsplit_once(OPENED).map(|(_, rest)| rest.lines().next().unwrap().to_owned());
            if let Some(address) = rest.filter(|_| log.ends_with('\n')).and_then(|rest| rest.parse().ok()) {
                return address;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream
}

pub(crate) fn read_to_close(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the last byte is a close too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// One request, and its answer.
pub(crate) fn ask(address: SocketAddr, request: &str, host: &str) -> String {
    let mut stream = connect(address);
    let body = if request.starts_with("PUT") { "Content-Length: 2\r\n\r\n{}" } else { "\r\n" };
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: {host}\r\n{body}").as_bytes()).unwrap();
    read_to_close(&mut stream)
}
