//! Policy: what the signals mean. [`decide`] maps a [`Snapshot`] of all readings to a [`Decision`], from facts alone: the
//! same snapshot at the same time always gives the same decision, whatever came before.
//!
//! Leaves to others: where readings come from (`signals/`), and holding the decided presence in Graph (`session/`).

mod calls;
mod decide;
mod hours;
mod rule;
mod snapshot;

pub use calls::strongest;
pub use decide::{Decision, decide};
pub use hours::{Hours, HoursError};
pub use rule::{Claim, Is, Rule, When, default_rules};
pub use snapshot::{Call, CallState, Idle, Lock, Named, Override, Reading, Sleep, Snapshot};
