//! Policy: what the signals mean. [`decide()`] maps a [`Snapshot`] of all readings to a [`Decision`]. It has no memory: the same
//! snapshot at the same time always gives the same decision.
//!
//! Leaves to others: where readings come from (`signals/`), and holding the decided presence in Graph (`session/`).

mod calls;
mod claim;
mod decide;
mod hours;
mod reach;
mod rule;
mod snapshot;

pub use calls::strongest;
pub use claim::Claim;
pub use decide::{Decision, Withheld, decide};
pub use hours::{Hours, HoursError};
pub use reach::{SignalsOn, Unreached, unreached};
pub use rule::{Is, Rule, When, default_rules};
pub use snapshot::{Call, CallState, Idle, Lock, Named, Override, Reading, Sleep, Snapshot};
