//! presenced keeps a Microsoft Teams presence true: it watches local signals, decides what they mean, and holds its own
//! presence session in Microsoft Graph.
//!
//! The modules stand on four floors, and a module uses only the floors below its own (`ARCHITECTURE.md` has the picture):
//!
//! * **core** — [`presence`], [`time`], [`failure`], [`warning`], [`policy`], [`session`], [`tally`], [`calendar`], `certificate` and the
//!   schema in [`config`]: no clock, no I/O, no runtime; time comes in as an argument.
//! * **edges** — [`signals`], [`graph`], [`auth`], [`status`], [`history`], [`emulator`]: one kind of outside world each, and no edge
//!   knows another. `http` lies below [`graph`] and [`auth`]: how both speak HTTP. Below them are also `loopback`, `sanitize`,
//!   `whole_file` and `words`: what several modules must do in the same way.
//! * **the join** — [`daemon`]: owns the clock and the one event loop.
//! * **roof** — [`cli`] and `main.rs`: the terminal, the environment, exit codes.

pub mod calendar;
mod certificate;
pub mod config;
pub mod failure;
pub mod policy;
pub mod presence;
pub mod session;
#[cfg(test)]
mod simulation;
mod suggest;
pub mod tally;
pub mod time;
pub mod warning;
mod words;

mod http;
mod loopback;
mod sanitize;
mod whole_file;

pub mod auth;
pub mod emulator;
pub mod graph;
pub mod history;
pub mod signals;
pub mod status;

pub mod daemon;

pub mod cli;
