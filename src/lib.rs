//! presenced keeps a Microsoft Teams presence accurate: it watches local signals, decides what they mean, and holds its own
//! presence session in Microsoft Graph.
//!
//! This is the library behind the program `presenced`, not a stable API. Its modules are on floors, and a module uses only floors
//! below its own (`ARCHITECTURE.md` has the table, and a test compares the imports with it):
//!
//! * **roof**: [`cli`] and `main.rs` use the terminal, the environment and exit codes.
//! * **the join**: [`daemon`] owns the clock and the one event loop.
//! * **edges**: [`signals`], [`graph`], [`auth`], [`status`], [`history`] and the crate `presenced-emulator` each talk to one kind of
//!   outside system, and none uses another.
//! * **ground of the edges**: [`config`], [`metrics`], `http`, `file_watch`, `regular_file`, `whole_file`, `off_the_loop`,
//!   `program`, `tasks`, `fd`, `loopback` and `sanitize` are what several edges share.
//! * **core**: the crate `presenced-core`, whose modules are re-exported here. It has no clock, no I/O and no runtime.

pub use presenced_core::{
    calendar, certificate, failure, fill, kept, local_request, pacer, policy, presence, session, sleep_watch, suggest,
    time, warning,
};

pub mod config;
mod fd;
mod file_watch;
mod http;
mod loopback;
pub mod metrics;
mod off_the_loop;
mod program;
mod regular_file;
mod sanitize;
mod tasks;
mod whole_file;

pub mod auth;
pub mod graph;
pub mod history;
pub mod signals;
pub mod status;

pub mod daemon;

pub mod cli;
