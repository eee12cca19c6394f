//! The model of Graph's presence: sessions, fade, expiry, aggregation, and what others see of it over time.
//!
//! Sans-IO: every method takes the time. A fade or an expiry is computed at the next call, with its exact time. Permissions are
//! left to `graph/`.

mod pair;
mod population;
mod timeline;
mod user_presence;

pub use pair::{Availability, Pair};
pub(super) use population::{Population, Totals};
pub use timeline::{Cause, Span, Timeline};
pub(super) use user_presence::{Session, SessionOwner, UserPresence};
