//! The terminal: output, its width, drawing in place, and the progress line.
//!
//! Leaves to others: the contents of the views. Nothing here knows about presences.

pub(super) mod output;
pub(super) mod progress;
pub(super) mod screen;
pub(super) mod text;
pub(super) mod times;
