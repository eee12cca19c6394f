//! presenced keeps a Microsoft Teams presence accurate: it watches local signals, decides what they mean, and holds its own
//! presence session in Microsoft Graph.
//!
//! There are four layers, and a module uses only the layers below its own (`ARCHITECTURE.md` has the details):
//!
//! * **core** — [`presence`], [`time`], [`failure`], [`warning`], [`policy`], [`session`], [`calendar`], `certificate` and the
//!   schema in [`config`]: no clock, no I/O, no runtime; time comes in as an argument.
//! * **edges** — [`signals`], [`graph`], [`auth`], [`status`], [`history`], [`emulator`]: each talks to one
//!   kind of outside system, and none uses another. What several of them share lies below
//!   them: `http`, [`metrics`], `file_watch`, `whole_file`, `program`, `fd`, `loopback` and `sanitize`.
//! * **the join** — [`daemon`]: owns the clock and the one event loop.
//! * **command line** — [`cli`] and `main.rs`: the terminal, the environment, exit codes.

pub use presenced_core::{calendar, certificate, failure, policy, presence, session, suggest, time, warning};
pub use presenced_emulator as emulator;

pub mod config;
mod fd;
mod file_watch;
mod http;
mod loopback;
pub mod metrics;
mod program;
mod sanitize;
mod whole_file;

pub mod auth;
pub mod graph;
pub mod history;
pub mod signals;
pub mod status;

pub mod daemon;

pub mod cli;
