//! Bytes of a file, through the scanner and the reader, to a schedule and occurrences.

#![no_main]

#[path = "../checks/calendar.rs"]
mod calendar;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| calendar::file(bytes));
