//! Integration tests: the edges against something real, and the binary as a person drives it.

mod accounts;
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
mod idle;
mod idle_daemon;
#[cfg(feature = "wayland")]
mod idle_wayland;
#[cfg(feature = "x11")]
mod idle_x11;
mod kill;
mod lapse;
mod lock;
mod login1;
mod network;
mod prefer;
mod privilege;
mod refusals;
mod signal_bench;
mod sleep;
mod status;
mod subscription;
mod trouble;
mod verify;
mod week;
mod week_at_speed;
#[cfg(feature = "x11")]
mod x_server;
