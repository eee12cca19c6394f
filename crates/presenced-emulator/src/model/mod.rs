//! The model of Graph's presence: sessions, fade, expiry, aggregation, and what others see of it over time.
//!
//! Sans-IO: every method takes the time, and what happens by itself (a fade, an expiry) is worked out when somebody next
//! looks, at its exact time. Leaves to others: who may do what (`graph/`), and HTTP.

mod pair;
mod timeline;
mod user_presence;

pub use pair::{Availability, Pair};
pub use timeline::{Cause, Span, Timeline};
pub(super) use user_presence::{Holder, Person, Session};
