//! presenced keeps a Microsoft Teams presence true: it watches local signals, decides what they mean, and holds its own
//! presence session in Microsoft Graph.
//!
//! The modules stand on four floors, and a module uses only the floors below its own (`ARCHITECTURE.md` has the picture):
//!
//! * **core** — [`presence`], [`time`], [`warning`], [`policy`], [`session`], [`calendar`], `certificate` and the
//!   schema in [`config`]: no clock, no I/O, no runtime; time comes in as an argument.
//! * **edges** — [`signals`], [`graph`], [`auth`], [`status`], [`history`], [`emulator`]: one kind of outside world each, and no edge
//!   knows another. `http` and [`metrics`] lie below them: what several of them share.
//! * **the join** — [`daemon`]: owns the clock and the one event loop.
//! * **roof** — [`cli`] and `main.rs`: the terminal, the environment, exit codes.

pub use presenced_core::{calendar, certificate, policy, presence, session, suggest, time, warning};
pub use presenced_emulator as emulator;

pub mod config;
mod fd;
mod file_watch;
mod http;
pub mod metrics;
mod program;

pub mod auth;
pub mod graph;
pub mod history;
pub mod signals;
pub mod status;

pub mod daemon;

pub mod cli;
