//! The decision in force for an account, and how far Graph has followed it.

use jiff::Timestamp;

use crate::policy::Decision;
use crate::time::{Instant, Now};

use super::super::rounded;

/// The last decision.
#[derive(Debug, Default)]
pub(super) struct InForce {
    pub(super) decision: Option<Decision>,
    /// Its number in the [`DecisionLog`](crate::daemon::decision_log::DecisionLog); 0: nothing was decided yet.
    pub(super) number: u64,
    /// When it took effect.
    pub(super) since: Instant,
    /// Wall time since which the same rule has asked for the same presence, whatever its reason was.
    pub(super) wished_since: Option<Timestamp>,
    /// The number of the last decision whose request Graph carried out.
    pub(super) answered: u64,
}

impl InForce {
    /// Whether `decision` differs from the one in force.
    pub(super) fn is_news(&self, decision: &Decision) -> bool {
        self.decision.as_ref().is_none_or(|before| {
            (before.presence, before.prefer, &before.rule, &before.because)
                != (decision.presence, decision.prefer, &decision.rule, &decision.because)
        })
    }

    /// Replaces the decision in force. `number` counts only if the new one differs.
    pub(super) fn replace(&mut self, decision: Decision, number: u64, now: &Now) {
        if self.is_news(&decision) {
            (self.number, self.since) = (number, now.instant);
        }
        let same = |before: &Decision| (before.presence, &before.rule) == (decision.presence, &decision.rule);
        if !self.decision.as_ref().is_some_and(same) {
            self.wished_since = Some(rounded(now.wall));
        }
        self.decision = Some(decision);
    }
}
