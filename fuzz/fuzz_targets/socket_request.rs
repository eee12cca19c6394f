//! Sends the bytes of a client to the status socket.

#![no_main]

#[path = "../checks/socket.rs"]
mod socket;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| socket::conversation(bytes));
