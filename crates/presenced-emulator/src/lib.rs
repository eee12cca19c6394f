//! Microsoft Graph's presence service and Entra's sign-in, emulated on loopback.
//!
//! No client can tell it from the real service where the documentation says how that behaves: sessions that fade and expire, the
//! aggregation of several sessions, preferred presence, permissions, throttling, error bodies. Where the documentation is silent,
//! the code says "inferred"; do not depend on it. presenced is developed and tested against it, and `presenced emulator` serves it.
//!
//! # Use it in your tests
//!
//! Start a [`Server`], point your program at [`Server::graph_url`] and [`Server::login_url`], and look at what others see. The
//! [default options](Options) have one user and one application whose secret is `emulator-secret`.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use presenced_emulator::{Fault, Options, Server, clock::ManualClock};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In real time: `Server::start(Options::default())`. With this clock a test lets an hour pass without waiting.
//! let clock = Arc::new(ManualClock::at("2026-11-23T08:00:00Z".parse()?));
//! let server = Server::start_at("127.0.0.1:0".parse()?, Options::default(), clock.clone()).await?;
//!
//! // The second setPresence gets a 429.
//! let plan = r#"
//!     [[fault]]
//!     call  = "set"
//!     after = 1
//!     times = 1
//!     then  = { respond = { status = 429, headers = { Retry-After = "5" } } }
//! "#;
//! for fault in Fault::plan(plan).map_err(|findings| format!("{findings:?}"))? {
//!     server.inject(fault)?;
//! }
//!
//! // … your program runs here …
//! clock.advance(Duration::from_secs(600));
//!
//! let user = &Options::default().users[0].id;
//! assert_eq!(server.visible(user).unwrap().to_string(), "Offline/Offline");
//! assert!(server.requests().is_empty());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is built
//!
//! ```text
//!  server    a port, for tests ── clock
//!  http      the socket, and the faults only a socket can have
//!  service   one sans-IO state machine: a request and the time in, an answer out
//!   ├ graph    who may do what; the calls about presence, in Graph's shapes ── model: sessions, fade, expiry, what is seen
//!   ├ entra    the authorization, token and device code endpoints, in Entra's shapes
//!   ├ faults   what should go wrong, on request or by a plan file ── plan
//!   ├ journal  which requests came, and how they ended
//!   └ control  /_emulator/…: look and steer
//! ```
//!
//! All time comes from the [`Clock`], so that it may run faster, or stand still.

pub mod clock;
mod control;
mod entra;
mod faults;
mod graph;
mod help;
mod http;
mod journal;
mod message;
mod model;
mod options;
mod plan;
mod route;
mod server;
mod service;
mod state;
mod throttle;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::broadcast;

pub use self::faults::{At, Fault, Matches, Then};
pub use self::journal::{Counts, Outcome, Record};
pub use self::model::{Availability, Cause, Pair, Span, Timeline};
pub use self::options::{App, Approval, Consent, Device, Federated, Options, Tenants, Throttle, User};
pub use self::route::Call;
pub use self::server::Server;
pub use self::state::{Preferred, SessionState, State, UserState};
use presenced_core::time::Clock;
use service::Service;

/// How many records a slow subscriber may fall behind before it misses some.
const BACKLOG: usize = 1_024;

/// A handle to an emulator; clones share it.
#[derive(Clone)]
pub struct Emulator {
    service: Arc<Mutex<Service>>,
    clock: Arc<dyn Clock>,
    records: broadcast::Sender<Record>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").finish_non_exhaustive()
    }
}

impl Emulator {
    /// An emulator in which nothing happened yet. All its time is `clock`'s.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        let service = Service::new(options, &clock.now());
        Self { service: Arc::new(Mutex::new(service)), clock, records: broadcast::Sender::new(BACKLOG) }
    }

    /// Serves on `listener` until the future is dropped, which closes every connection.
    ///
    /// # Errors
    /// The listener is not on loopback ([`io::ErrorKind::InvalidInput`]), or has no address.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<Infallible> {
        http::serve(self, listener).await
    }

    /// What others see of a user (object id or principal name) now; `None`: there is no such user.
    pub fn visible(&self, user: &str) -> Option<Pair> {
        let now = self.clock.now();
        self.service().graph.person(user, &now).map(|person| person.visible())
    }

    /// What others saw of a user since the start; `None`: there is no such user.
    pub fn timeline(&self, user: &str) -> Option<Timeline> {
        let now = self.clock.now();
        self.service().graph.person(user, &now).map(|person| person.timeline())
    }

    /// The whole state now.
    pub fn state(&self) -> State {
        let now = self.clock.now();
        self.service().state(&now)
    }

    /// The requests of late, oldest first.
    pub fn requests(&self) -> Vec<Record> {
        self.service().journal.records(0)
    }

    /// The secrets that were handed out, oldest first, as far as they are remembered: access, refresh and `id` tokens, device
    /// codes.
    pub fn issued(&self) -> Vec<String> {
        self.service().entra.issued()
    }

    /// Every request that comes to an end from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Record> {
        self.records.subscribe()
    }

    /// Injects a fault.
    ///
    /// # Errors
    /// It makes no sense, or too many stand already: one sentence.
    pub fn inject(&self, fault: Fault) -> Result<(), String> {
        let now = self.clock.now();
        self.service().faults.add(fault, &now)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.service().faults.clear();
    }

    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The service, for as long as one event takes: never held across an await.
    fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, record: Record) {
        // Nobody may be listening; then there is nothing to announce.
        drop(self.records.send(record));
    }
}
