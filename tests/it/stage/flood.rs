//! Peers that send without end, as fast as the other side reads. Each runs on a thread of its own, so that it does not depend on a
//! test's runtime, and ends when its listener or its connection is gone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What was sent so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicUsize>);

impl Sent {
    /// Waits until this many more bytes were read by the other side, or are on the way.
    pub(crate) async fn more(&self, bytes: usize) {
        let wanted = self.bytes() + bytes;
        while self.bytes() < wanted {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves each connection to `socket`: reads once, sends what `begin` makes of it, and then `next` again and again.
pub(crate) fn on_socket(
    socket: &Path,
    begin: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    next: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> Sent {
    let listener = UnixListener::bind(socket).unwrap();
    let sent = Sent::default();
    let (count, talk) = (sent.clone(), Arc::new((begin, next)));
    thread::spawn(move || {
        while let Ok((connection, _)) = listener.accept() {
            let (count, talk) = (count.clone(), Arc::clone(&talk));
            thread::spawn(move || flood(connection, &count, &talk.0, &talk.1));
        }
    });
    sent
}

/// The same on loopback; returns the address.
pub(crate) fn on_loopback(
    begin: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    next: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> (String, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sent = Sent::default();
    let (count, talk) = (sent.clone(), Arc::new((begin, next)));
    thread::spawn(move || {
        while let Ok((connection, _)) = listener.accept() {
            let (count, talk) = (count.clone(), Arc::clone(&talk));
            thread::spawn(move || flood(connection, &count, &talk.0, &talk.1));
        }
    });
    (address, sent)
}

fn flood(
    mut connection: impl Read + Write,
    sent: &Sent,
    begin: &impl Fn(&[u8]) -> Vec<u8>,
    next: &impl Fn(u32) -> Vec<u8>,
) {
    let mut request = vec![0; 4096];
    let Ok(read) = connection.read(&mut request) else { return };
    let mut bytes = begin(&request[..read]);
    for number in 0.. {
        bytes.extend(next(number));
        if bytes.len() >= 64 * 1024 {
            if connection.write_all(&bytes).is_err() {
                return;
            }
            sent.0.fetch_add(bytes.len(), Ordering::Relaxed);
            bytes.clear();
        }
    }
}

/// An event of Wayland's protocol: to `object`, number `opcode`.
pub(crate) fn wayland_event(object: u32, opcode: u32, arguments: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + arguments.len()).unwrap();
    [&object.to_ne_bytes()[..], &(size << 16 | opcode).to_ne_bytes(), arguments].concat()
}

/// `wl_registry.global` of the registry, which is a client's first object.
pub(crate) fn wayland_global(name: u32, interface: &str) -> Vec<u8> {
    let mut text = interface.as_bytes().to_vec();
    text.push(0);
    let length = u32::try_from(text.len()).unwrap();
    text.resize(text.len().next_multiple_of(4), 0);
    let arguments = [&name.to_ne_bytes()[..], &length.to_ne_bytes(), &text, &1_u32.to_ne_bytes()].concat();
    wayland_event(2, 0, &arguments)
}
