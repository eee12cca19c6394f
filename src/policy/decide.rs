//! The decision itself.

use jiff::Timestamp;

use super::{Rule, Snapshot};
use crate::presence::{Expiration, Presence};
use crate::time::Now;

/// What to claim, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The presence to hold; `None`: hold nothing.
    pub presence: Option<Presence>,
    /// The deciding rule's own expiration, if it has one.
    pub expiration: Option<Expiration>,
    /// The rule that decided; `None`: none matched, or an override decides.
    pub rule: Option<String>,
    /// One clause for people: `call is in-call (baresip)`. Holds no meeting titles.
    pub because: String,
    /// When the decision would change by itself (a meeting ends, an hour strikes); `None`: not before a signal changes.
    pub until: Option<Timestamp>,
}

/// Decides by the first rule whose conditions all hold. A condition on an unknown reading never holds.
pub fn decide(_rules: &[Rule], _snapshot: &Snapshot, _now: &Now) -> Decision {
    Decision { presence: None, expiration: None, rule: None, because: String::new(), until: None }
}
