//! Microsoft Graph's presence service and Entra's sign-in service, emulated on loopback for tests.
//!
//! Where Microsoft documents how the service behaves, the emulator does the same: sessions that fade and expire, the aggregation
//! of several sessions, preferred presence, permissions, throttling, error bodies. Where the documentation is silent, the code says
//! "inferred"; do not depend on that behaviour. presenced is developed and tested against this emulator, and `presenced emulator`
//! serves it to programs in any language.
//!
//! # Use it in your tests
//!
//! 1. Start a [`Server`] inside a tokio runtime. A program under test that blocks its thread needs a second one:
//!    `#[tokio::test(flavor = "multi_thread")]`.
//! 2. Point your program at [`Server::graph_url`] and [`Server::login_url`]. It must accept plain `http` there.
//! 3. Wait for its requests with [`Emulator::wait_for`], and check what others see with [`Emulator::visible`].
//!
//! The [default options](Options) need no setup. They have one user ([`User::DEFAULT_ID`]) and one app registration
//! ([`App::DEFAULT_CLIENT_ID`], [`App::DEFAULT_SECRET`]) with every permission that presence needs. Every tenant name exists.
//!
//! A program that accepts only `https` gets it from [`Server::start_tls`]: let it trust [`Server::ca_pem`].
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use presenced_emulator::{Call, Fault, Options, Server, User, clock::ManualClock};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A clock that the test moves. `Server::start(Options::default())` runs in real time instead.
//! let clock = Arc::new(ManualClock::at("2026-11-23T08:00:00Z".parse()?));
//! let server = Server::start_with_clock(Options::default(), clock.clone()).await?;
//!
//! // The second setPresence gets a 429.
//! let plan = r#"
//!     [[fault]]
//!     call  = "set"
//!     after = 1
//!     times = 1
//!     then  = { respond = { status = 429, headers = { Retry-After = "5" } } }
//! "#;
//! for fault in Fault::plan(plan)? {
//!     server.inject(fault)?;
//! }
//!
//! // Start your program here, with `server.graph_url()` and `server.login_url()`. Then wait for what it should do:
//! // let record = server.wait_for(|record| record.call == Call::Set && record.status == Some(429)).await;
//!
//! // Let ten minutes pass, without waiting.
//! clock.advance(Duration::from_secs(600));
//! let visible = server.visible(User::DEFAULT_ID).ok_or("the default user exists")?;
//! assert_eq!(visible.to_string(), "Offline/Offline");
//! assert!(server.requests().is_empty());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Options::setup`] reads tenants, users, applications and agents from TOML, as `presenced emulator --setup` does.
//!
//! A test can also do what no client of Graph can: open a session of another client, such as Teams on a desktop, revoke a user's
//! sign-ins, approve a device code. These are control endpoints under `/_emulator/`, for any HTTP client. `GET /` lists them all.
//! In a browser, `GET /` is a page that shows how each user is seen and why, and the last requests; its buttons inject faults.
//!
//! Times and durations are those of the crate [`jiff`], which is exported for tests that do not use the same version themselves.
//!
//! # Many users
//!
//! [`User::numbered`] makes as many users as a test needs. A request costs the same whether there are one or 100,000: a user is
//! advanced in time when a request is about that user, and the [`Summary`] touches only those that changed. Memory is bounded: the
//! journal has the newest 2,000 requests, and all timelines together the newest 400,000 changes, shared equally by the users, at most
//! 10,000 each.
//!
//! # How it is built
//!
//! ```text
//!  server    binds a port and serves on it, for tests ── clock
//!  http      the socket, and the faults that need one (reset, hang, delay)
//!   └ tls      a CA of its own, and server certificates
//!  service   one sans-IO state machine: a request and the time in, an answer out
//!   ├ batch    the parts of a batch, each like a request of its own
//!   ├ graph    permissions, throttling, the presence calls in Graph's shapes ── model: sessions, fade, expiry, what others see
//!   ├ entra    the sign-in endpoints and the OpenID configuration in Entra's shapes
//!   ├ faults   what goes wrong, on request or from a plan file
//!   ├ journal  which requests arrived, and how they ended
//!   └ control  /_emulator/…: inspect and steer
//!  page      the page for a browser, which shows what `events` sends: the state, whenever something changes
//! ```
//!
//! All time comes from one [`Clock`], so it can run fast or stand still.

pub mod clock;
mod directory;
mod emulator;
mod entra;
mod events;
mod faults;
mod graph;
mod help;
mod host;
mod http;
mod journal;
mod message;
mod model;
mod options;
mod page;
mod route;
mod server;
mod service;
mod setup;
mod state;
mod throttle;
mod tls;

pub use self::clock::Clock;
pub use self::emulator::Emulator;
pub use self::faults::{At, Fault, FaultError, Matches, Parts, PlanError, Refusal, Then};
pub use self::graph::{BEHAVIOURS, Basis, Behaviour};
pub use self::host::{Host, NotAHost};
pub use self::journal::{Outcome, RequestCounts, RequestRecord};
pub use self::model::{Availability, Cause, Pair, Reason, Span, Timeline};
pub use self::options::{
    Agent, App, Approval, Consent, DeviceCodeOptions, FederatedCredential, IDENTITY_HEADER, Options, Tenants, Throttle,
    User,
};
pub use self::route::Call;
pub use self::server::Server;
pub use self::setup::SetupError;
pub use self::state::{Busiest, PreferredPresence, SessionState, State, Summary, UserState};
pub use self::tls::{Authority, AuthorityError, Tls};
pub use jiff;
pub use presenced_core::finding::Finding;
