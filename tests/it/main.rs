//! Integration tests: the edges against something real, and the binary as a person drives it.

mod agenda;
mod auth;
mod bus;
mod calendar;
mod calendar_scale;
mod calendar_signal;
mod call;
mod canned;
mod cli;
mod clock;
mod config;
mod daemon;
mod demo;
mod emulator;
mod fake_daemon;
mod graph;
mod house;
mod lock;
mod login1;
mod prefer;
mod privilege;
mod signal_bench;
mod sleep;
mod status;
mod subscription;
mod verify;
