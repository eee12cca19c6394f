//! What is wrong with an account: it collects failures until a request succeeds, and turns them into warnings.
//!
//! A warning about trouble that may pass comes only after [`Code::visible_after`], because a single 503 that is retried is not
//! worth one. Time asleep does not count. Leaves to others: what each kind of failure means for the next attempt (`session/`).

use jiff::Timestamp;
use tracing::warn;

use crate::failure::{Failure, FailureKind};
use crate::session::NoEffect;
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

use super::super::{certificate, rounded};
use super::Account;

/// The failures since the last success.
#[derive(Debug)]
pub(super) struct Trouble {
    /// When the first one happened.
    began: Instant,
    code: Code,
    /// Wall time since which the code has been the same.
    since: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) last: Failure,
}

impl Trouble {
    /// The trouble `before` and one more failure.
    fn with(before: Option<&Self>, failure: &Failure, now: &Now) -> Self {
        let code = Code::from(failure.kind);
        let last_at = rounded(now.wall);
        Self {
            began: before.map_or(now.instant, |before| before.began),
            code,
            since: before.filter(|before| before.code == code).map_or(last_at, |before| before.since),
            last_at,
            last: failure.clone(),
        }
    }

    /// The machine woke up. The time asleep says nothing about how long the trouble lasts.
    pub(super) fn restart_clock(&mut self, now: &Now) {
        self.began = now.instant;
    }

    /// When its warning becomes visible.
    pub(super) fn visible_at(&self) -> Instant {
        self.began + self.code.visible_after()
    }
}

impl Account {
    pub(super) fn count_failure(&mut self, failure: &Failure) {
        self.requests.failed += 1;
        self.requests.throttled += u64::from(failure.kind == FailureKind::Throttled);
    }

    pub(super) fn note_trouble(&mut self, failure: &Failure, now: &Now) {
        let next = self.session.poll_wakeup(now.instant).map(|(at, _)| at.saturating_since(now.instant));
        let next = next.map(tracing::field::debug);
        warn!(kind = failure.kind.as_str(), next, hint = failure.hint, "{failure}");
        self.trouble = Some(Trouble::with(self.trouble.as_ref(), failure, now));
    }

    /// The warnings about this account, each with its start time where that is known, because the text changes with each attempt.
    pub(in crate::daemon) fn warnings(&self, now: &Now) -> impl Iterator<Item = (Warning, Option<Timestamp>)> {
        let refusal = self.verify.refusal().map(|refusal| Warning {
            code: Code::VerifyRefused,
            text: format!("account `{}`: cannot read what others see: {refusal}", self.name),
            hint: refusal.hint.clone().unwrap_or_else(|| "remove `verify` from [session]".to_owned()),
        });
        let effect = self.effect_warning(now);
        let certificate =
            self.authenticator.certificate().and_then(|expiry| certificate::warning(&self.name, &expiry, now.wall));
        let not_stored = self.authenticator.not_stored().map(|failure| self.not_stored(&failure));
        let others = refusal.into_iter().chain(effect).chain(certificate).chain(not_stored);
        let others = others.map(|warning| (warning, None));
        self.trouble_warning(now).into_iter().chain(others)
    }

    /// What reading back says about the session, if others do not see it.
    fn effect_warning(&self, now: &Now) -> Option<Warning> {
        let account = &self.name;
        if let Some(seen) = self.verify.lost(now.instant) {
            return Some(Warning {
                code: Code::SessionLost,
                text: format!(
                    "account `{account}`: the session was lost, and others saw {}/{}; presenced has set it again",
                    seen.availability, seen.activity
                ),
                hint: "another program or computer may use the same app registration for this user: give each its own \
                       `client_id`, and Graph combines them"
                    .to_owned(),
            });
        }
        let (what, hint) = match self.verify.no_effect()? {
            NoEffect::Offline => (
                "Graph accepts the presence, but others see Offline/Offline",
                "check that the user has a licence for Teams, is not a guest, and belongs to this tenant",
            ),
            NoEffect::UnknownUser => (
                "Graph accepts the presence, but does not know what others see (PresenceUnknown)",
                "check that `user` is in this tenant, is not a guest, and has a licence for Teams",
            ),
        };
        Some(Warning { code: Code::NotInEffect, text: format!("account `{account}`: {what}"), hint: hint.to_owned() })
    }

    /// The sign-in service accepts the stored refresh token again, but not for ever.
    fn not_stored(&self, failure: &Failure) -> Warning {
        let hint = failure.hint.as_deref().unwrap_or("presenced tries again at the next renewal");
        Warning {
            code: Code::TokenNotStored,
            text: format!(
                "account `{}`: the newest refresh token is not stored, so a restart uses an older one: {failure}",
                self.name
            ),
            hint: hint.to_owned(),
        }
    }

    fn trouble_warning(&self, now: &Now) -> Option<(Warning, Option<Timestamp>)> {
        let trouble = self.trouble.as_ref()?;
        let may_pass = !trouble.code.visible_after().is_zero();
        if may_pass && (self.asleep || now.instant < trouble.visible_at()) {
            return None;
        }
        let hint = trouble.last.hint.clone();
        let warning = Warning {
            code: trouble.code,
            text: format!("account `{}`: {}", self.name, trouble.last),
            hint: hint.unwrap_or_else(|| "presenced keeps trying; its log shows each attempt".to_owned()),
        };
        Some((warning, Some(trouble.since)))
    }

    /// When a warning about its certificate appears or changes.
    pub(in crate::daemon) fn certificate_wakeup(&self, now: &Now) -> Option<Timestamp> {
        self.authenticator.certificate().and_then(|expiry| certificate::next_change(&expiry, now.wall))
    }
}
