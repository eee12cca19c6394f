//! What is wrong with a fleet: nothing gets through, or some users are not served for a reason of their own.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::failure::Failure;
use crate::time::{Instant, Now};
use crate::warning::Code;

use super::super::rounded;
use super::Fleet;
use super::user::Reason;

/// Nothing gets through, or not at the pace that was planned.
#[derive(Debug)]
pub(super) struct Trouble {
    began: Instant,
    pub(super) since: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) code: Code,
    pub(super) failure: Failure,
}

impl Trouble {
    /// When its warning becomes visible.
    pub(super) fn visible_at(&self) -> Instant {
        self.began + self.code.visible_after()
    }
}

impl Fleet {
    pub(super) fn reason(&self, failure: &Failure) -> Arc<Reason> {
        let (text, hint) = (failure.text.clone(), failure.hint.clone());
        let reason = Reason { kind: failure.kind, text, hint };
        if !self.users.reasons().contains_key(&reason) {
            warn!(account = self.name, hint = failure.hint, "a user is not served: {failure}");
        }
        self.users.shared(reason)
    }

    pub(super) fn note_trouble(&mut self, failure: &Failure, now: &Now) {
        let code = Code::from(failure.kind);
        let last_at = rounded(now.wall);
        let before = self.trouble.as_ref().filter(|before| before.code == code);
        if before.is_none_or(|before| before.failure.text != failure.text) {
            warn!(account = self.name, kind = failure.kind.as_str(), hint = failure.hint, "{failure}");
        }
        self.trouble = Some(Trouble {
            began: self.trouble.as_ref().map_or(now.instant, |before| before.began),
            since: before.map_or(last_at, |before| before.since),
            last_at,
            code,
            failure: failure.clone(),
        });
    }

    pub(super) fn end_trouble(&mut self) {
        if self.trouble.take().is_some() {
            info!(account = self.name, "working again");
        }
    }
}
