//! The terminal: what is written there and how wide it is, what is drawn in place, and what shows that a command still works.
//!
//! Leaves to others: what a view says. Nothing here knows of presences.

pub(super) mod output;
pub(super) mod progress;
pub(super) mod screen;
pub(super) mod text;
pub(super) mod times;
