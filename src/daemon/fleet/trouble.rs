//! What is wrong with a fleet: nothing gets through, or some users are not served for a reason of their own. The log gets one line a
//! minute for each kind, however many users there are; `status` has the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::failure::{Failure, FailureKind};
use crate::time::{Instant, Now};
use crate::warning::Code;

use super::super::rounded;
use super::Fleet;
use super::user::Reason;

/// How long it takes until another line of the same kind may be written.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// Nothing gets through, or not at the pace that was planned.
#[derive(Debug)]
pub(super) struct Trouble {
    began: Instant,
    noted_at: Instant,
    is_logged: bool,
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

/// The kinds of lines, with when the next one may be written.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<(bool, &'static str), Instant>);

impl Lines {
    /// Whether a line about this kind of failure may be written now. `of_all`: it concerns everybody.
    fn admit(&mut self, of_all: bool, kind: FailureKind, now: &Now) -> bool {
        let next = self.0.entry((of_all, kind.as_str())).or_default();
        let admits = *next <= now.instant;
        if admits {
            *next = now.instant + LINE_EVERY;
        }
        admits
    }
}

impl Fleet {
    pub(super) fn reason(&mut self, failure: &Failure, now: &Now) -> Arc<Reason> {
        let (text, hint) = (failure.text.clone(), failure.hint.clone());
        let reason = Reason { kind: failure.kind, text, hint };
        if !self.users.reasons().contains_key(&reason) && self.lines.admit(false, failure.kind, now) {
            warn!(account = self.name, hint = failure.hint, "a user is not served: {failure}");
        }
        self.users.shared(reason)
    }

    pub(super) fn note_trouble(&mut self, failure: &Failure, now: &Now) {
        let code = Code::from(failure.kind);
        let last_at = rounded(now.wall);
        let before = self.trouble.as_ref().filter(|before| before.code == code);
        let is_known = before.is_some_and(|before| before.is_logged && before.failure.text == failure.text);
        let is_logged = !is_known && self.lines.admit(true, failure.kind, now);
        if is_logged {
            warn!(account = self.name, kind = failure.kind.as_str(), hint = failure.hint, "{failure}");
        }
        self.trouble = Some(Trouble {
            noted_at: now.instant,
            is_logged: is_logged || self.trouble.as_ref().is_some_and(|before| before.is_logged),
            began: self.trouble.as_ref().map_or(now.instant, |before| before.began),
            since: before.map_or(last_at, |before| before.since),
            last_at,
            code,
            failure: failure.clone(),
        });
    }

    /// A request that was sent at `sent_at` succeeded. That says nothing about trouble that was noted later, as by another part of the
    /// same batch.
    pub(super) fn end_trouble(&mut self, sent_at: Instant) {
        let ended = self.trouble.take_if(|trouble| trouble.noted_at <= sent_at);
        if ended.is_some_and(|trouble| trouble.is_logged) {
            info!(account = self.name, "working again");
        }
    }
}
