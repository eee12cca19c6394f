//! An emulator that listens on a port, for tests: started with one call, stopped with another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use presenced_core::time::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::clock::RealClock;
use super::{Emulator, Options};

/// An emulator that serves on loopback until it is stopped or dropped. It dereferences to its [`Emulator`].
#[derive(Debug)]
pub struct Server {
    emulator: Emulator,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts an emulator on a free port of 127.0.0.1, in real time. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start(options: Options) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), options, Arc::new(RealClock::new())).await
    }

    /// Starts an emulator on `address`, in the time of `clock`. Port 0 takes a free port.
    ///
    /// # Errors
    /// The address is not on loopback ([`io::ErrorKind::InvalidInput`]), or it could not be bound.
    pub async fn start_at(address: SocketAddr, options: Options, clock: Arc<dyn Clock>) -> io::Result<Self> {
        super::http::only_loopback(address)?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let emulator = Emulator::new(options, clock);
        let served = emulator.clone();
        let serving = tokio::spawn(async move {
            let Err(error) = served.serve(listener).await;
            tracing::error!(%error, "the emulator stopped");
        });
        Ok(Self { emulator, address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base address of Graph: `http://127.0.0.1:PORT/v1.0`.
    pub fn graph_url(&self) -> String {
        format!("http://{}/v1.0", self.address)
    }

    /// The base address of the sign-in service, which the tenant follows: `http://127.0.0.1:PORT`.
    pub fn login_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops serving and closes every connection. When this returns, the port is free.
    pub async fn stop(mut self) {
        self.serving.abort();
        // The only way it ends now is that it was aborted.
        drop((&mut self.serving).await);
    }
}

impl Deref for Server {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.emulator
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
