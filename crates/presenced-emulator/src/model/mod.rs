//! The model of Graph's presence: sessions, fade, expiry, aggregation, and what others see of it over time.
//!
//! Sans-IO: every method takes the time, and what happens by itself (a fade, an expiry) is worked out when somebody next
//! looks, at its exact time. Leaves to others: who may do what (`graph/`), and HTTP.

mod pair;
mod person;
mod timeline;

pub use pair::{Availability, Pair};
pub(super) use person::{Holder, Person, Session};
pub use timeline::{Cause, Span, Timeline};
