//! Integration tests: the edges against something real, and the binary as a person drives it.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, and there are no secrets to keep from them")]

mod accounts;
mod activation;
mod agenda;
mod assertion;
mod auth;
mod bars;
mod browser;
mod bus;
mod calendar;
mod calendar_scale;
mod calendar_signal;
mod call;
mod canned;
mod cli;
mod clock;
#[cfg(feature = "wayland")]
mod compositor;
#[cfg(feature = "wayland")]
mod compositor_stub;
mod config;
mod daemon;
mod demo;
mod doctor;
mod documents;
mod emulator;
mod fake_daemon;
mod graph;
mod history;
mod hooks;
mod house;
mod idle;
mod idle_daemon;
#[cfg(feature = "wayland")]
mod idle_wayland;
#[cfg(feature = "x11")]
mod idle_x11;
mod init;
mod keyring;
mod kill;
mod lapse;
mod listen;
mod lock;
mod lockers;
mod login1;
mod logs;
#[cfg(all(feature = "pulse", feature = "wayland"))]
mod losses;
mod mate;
mod metrics;
#[cfg(feature = "pulse")]
mod microphone;
mod network;
mod openssl;
mod prefer;
mod privilege;
mod programs;
mod refusals;
mod renewal;
mod restarts;
mod saver;
mod secrets;
mod service;
mod sign_in;
mod sign_in_errors;
mod signal_bench;
mod sleep;
#[cfg(feature = "pulse")]
mod sound;
#[cfg(feature = "pulse")]
mod sound_stub;
mod status;
mod subscription;
mod terminal;
mod tokens;
mod trail;
mod trouble;
mod verify;
mod week;
mod week_at_speed;
#[cfg_attr(not(feature = "x11"), expect(dead_code, reason = "only a screen is wanted of it"))]
mod x_server;
