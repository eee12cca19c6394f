//! Integration tests: the edges against something real, and the binary as a person drives it.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, and there are no secrets to keep from them")]

mod accounts;
mod activation;
mod agenda;
mod agenda_cases;
mod agenda_whole;
mod assertion;
mod auth;
mod bars;
mod browser;
mod calendar;
mod calendar_scale;
mod calendar_signal;
mod calendar_whole;
mod calendar_writers;
mod call;
mod cli;
mod clock;
mod config;
mod corpus;
mod daemon;
mod dead_files;
mod decision_log;
#[cfg(feature = "emulator")]
mod demo;
mod doctor;
mod documents;
#[cfg(feature = "pulse")]
mod edges_day;
mod emulator;
mod file_systems;
mod fleet;
mod fleet_changes;
mod fleet_commands;
mod fleet_failures;
mod fleet_history;
mod fleet_log;
mod fleet_owners;
mod fleet_signals;
mod fleet_watch;
#[cfg(all(feature = "pulse", feature = "wayland", feature = "x11"))]
mod floods;
mod floors;
mod graph;
mod graph_many;
mod graph_schema;
mod history;
mod hooks;
mod idle;
mod idle_daemon;
#[cfg(feature = "wayland")]
mod idle_wayland;
#[cfg(feature = "x11")]
mod idle_x11;
mod init;
mod kept;
mod kept_clock;
mod kill;
mod leaks;
mod listen;
mod lock;
mod lock_sessions;
mod lockers;
mod log_limits;
mod logs;
#[cfg(all(feature = "pulse", feature = "wayland"))]
mod losses;
mod mate;
mod metrics;
#[cfg(feature = "pulse")]
mod microphone;
mod misplaced;
mod network;
mod not_stored;
mod one_application;
mod one_session;
mod plain_english;
mod prefer;
mod process_limit;
mod programs;
mod proxy;
mod refusals;
mod renewal;
mod restarts;
mod secrets;
mod service;
mod sign_in;
mod sign_in_errors;
mod sleep;
mod sleep_signal;
mod stage;
mod status;
mod storm;
mod subscription;
mod terminal;
mod tls;
mod tokens;
mod trouble;
mod verify;
mod week;
mod week_at_speed;
