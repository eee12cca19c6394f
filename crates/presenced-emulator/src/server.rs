//! An emulator on a port, for tests: one call starts it, another stops it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::clock::{Clock, RealClock};
use super::{Authority, Emulator, Options};

/// An emulator that serves on loopback until it is stopped or dropped.
///
/// It dereferences to its [`Emulator`], so `server.visible(…)` and `server.inject(…)` work.
#[derive(Debug)]
pub struct Server {
    emulator: Emulator,
    address: SocketAddr,
    /// The certificate of the CA, if it serves with TLS.
    ca_pem: Option<String>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts an emulator on a free port of 127.0.0.1, in real time.
    ///
    /// # Errors
    /// No port is available.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(options: Options) -> io::Result<Self> {
        Self::start_with_clock(options, Arc::new(RealClock::new())).await
    }

    /// Starts an emulator on a free port of 127.0.0.1, in the time of `clock`: usually a
    /// [`ManualClock`](super::clock::ManualClock) of which the test keeps a clone.
    ///
    /// # Errors
    /// No port is available.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start_with_clock(options: Options, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), options, clock).await
    }

    /// Starts an emulator with TLS on a free port of 127.0.0.1, in the time of `clock`. Its certificate is for `localhost`,
    /// 127.0.0.1, `::1` and [`Options::hosts`], and valid in real time. A client must trust the CA in [`ca_pem`](Self::ca_pem).
    ///
    /// # Errors
    /// No port is available, or no random numbers.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start_tls(options: Options, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let authority = Authority::new(RealClock::new().now().wall)?;
        Self::launch((Ipv4Addr::LOCALHOST, 0).into(), options, clock, Some(&authority)).await
    }

    /// Starts an emulator on `address`, in the time of `clock`. Port 0 takes a free port. Use this to start a second emulator on
    /// the port of one that was stopped.
    ///
    /// # Errors
    /// The address is not a loopback address although there are no [`Options::hosts`] ([`io::ErrorKind::InvalidInput`]), or it
    /// cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start_at(address: SocketAddr, options: Options, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::launch(address, options, clock, None).await
    }

    async fn launch(
        address: SocketAddr,
        options: Options,
        clock: Arc<dyn Clock>,
        authority: Option<&Authority>,
    ) -> io::Result<Self> {
        super::http::check_address(address, &options.hosts)?;
        let tls = match authority {
            Some(authority) => Some(authority.tls(&options.hosts, RealClock::new().now().wall)?),
            None => None,
        };
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let emulator = Emulator::new(options, clock);
        let served = emulator.clone();
        let serving = tokio::spawn(async move {
            let Err(error) = match tls {
                Some(tls) => served.serve_tls(listener, tls).await,
                None => served.serve(listener).await,
            };
            tracing::error!(%error, "the emulator stopped");
        });
        Ok(Self { emulator, address, ca_pem: authority.map(Authority::certificate_pem), serving })
    }

    /// The certificate of the CA in PEM; `None` without TLS. A client that trusts it accepts the emulator's certificate.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL of Graph, without a slash at the end: `http://127.0.0.1:PORT/v1.0`, or with `https`. It stands for
    /// `https://graph.microsoft.com/v1.0`.
    pub fn graph_url(&self) -> String {
        format!("{}/v1.0", self.login_url())
    }

    /// The base URL of the sign-in service, without a slash at the end: `http://127.0.0.1:PORT`, or with `https`. It stands for
    /// `https://login.microsoftonline.com`; a client appends `/{tenant}/oauth2/v2.0/token`.
    pub fn login_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Stops serving. When this returns, the port is free. Connections that are still open are closed without an answer.
    pub async fn stop(mut self) {
        self.serving.abort();
        // The only result is that the task was aborted.
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
