//! Reads the bytes of a token file from the disk.

#![no_main]

#[path = "../checks/token_file.rs"]
mod token_file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| token_file::sign_in(bytes));
