//! A thread of its own for a server that is spoken to without encryption.
//!
//! hyper reads informational answers (RFC 9110, 15.2) for as long as they come, up to 50 MB before any other task has a turn, and
//! reqwest does not let its callers limit that. With TLS, a turn ends after 2 MB at most. Only a server on this machine is spoken to
//! without TLS, so only that one gets a thread; it ends with the client and its last answer.

use std::future::poll_fn;
use std::io;
use std::net::ToSocketAddrs as _;
use std::pin::pin;
use std::sync::mpsc;
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread.
#[derive(Debug)]
pub(super) struct Aside {
    runtime: Handle,
    /// Dropping it ends the thread.
    _alive: oneshot::Sender<()>,
}

impl Aside {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses it. Without it, nothing may be sent: the answer could stop the loop.
    pub(super) fn start() -> io::Result<Self> {
        let (ready, runtime) = mpsc::sync_channel(1);
        let (alive, dropped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("http".to_owned());
        let serve = move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(Ok(runtime.handle().clone()));
            // It is never sent.
            let _ = runtime.block_on(dropped);
            runtime.shutdown_background();
        };
        thread.spawn(serve)?;
        let runtime = runtime.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, _alive: alive })
    }

    /// Does `work` here, and the connections that it opens there.
    pub(super) async fn with<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _there = self.runtime.enter();
            work.as_mut().poll(context)
        })
        .await
    }
}

/// Looks names up with the system's resolver, on a thread of the daemon's own runtime: another runtime would need one more thread,
/// and tokio panics if the system refuses it.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Handle);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let looked_up = self.0.spawn_blocking(move || (name.as_str(), 0).to_socket_addrs());
        Box::pin(async { Ok(Box::new(looked_up.await??) as Addrs) })
    }
}
