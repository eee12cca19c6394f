//! Expands the properties of a repeating event in a window.

#![no_main]

#[path = "../checks/calendar.rs"]
mod calendar;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| calendar::rule(bytes));
