//! The model of Graph's presence: sessions, fade, expiry, aggregation, and what others see of it over time.
//!
//! Sans-IO: every method takes the time. A fade or an expiry is computed at the next call, with its exact time. Permissions are
//! left to `graph/`.

mod pair;
mod population;
mod status_message;
mod timeline;
mod user_presence;
mod work_location;

pub use pair::{Availability, Pair};
pub(super) use population::{Population, Totals};
pub(super) use status_message::StatusMessage;
pub use timeline::{Cause, Span, Timeline};
pub use user_presence::Reason;
pub(super) use user_presence::{Session, SessionOwner, UserPresence};
pub(super) use work_location::{WorkLocation, WorkLocationType, WorkLocations};
