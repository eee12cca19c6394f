//! Reads the bytes of a file into a schedule and occurrences.

#![no_main]

#[path = "../checks/calendar.rs"]
mod calendar;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| calendar::file(bytes));
