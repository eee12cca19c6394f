//! What an account shows: its part of the status report, and its part of the history.

use jiff::Timestamp;

use crate::history::Held;
use crate::session::{State, Why, timing};
use crate::status::report;
use crate::time::{Instant, Now};

use super::super::{rounded, sign_in};
use super::Account;

/// Wall times that the session does not know. They are taken when a request is sent or read, so that they stay the same when
/// somebody sets the clock.
#[derive(Debug, Default)]
pub(super) struct ConfirmedAt {
    /// When the last confirmed request about the session was sent.
    pub(super) session: Option<Timestamp>,
    /// When the last confirmed request about the preferred presence was sent.
    pub(super) preferred: Option<Timestamp>,
    /// When it was last read what others see.
    pub(super) seen: Option<Timestamp>,
}

impl Account {
    fn state(&self, now: &Now) -> State {
        let state = self.session.state(now.instant);
        let is_fine = matches!(state, State::Holding | State::Released);
        if is_fine && self.signed_out { State::SignInNeeded } else { state }
    }

    /// Its part of the history: what it should hold, whether Graph holds it, and since when. `None`: nothing was decided yet.
    pub(in crate::daemon) fn held(&self, now: &Now) -> Option<(Held, Timestamp)> {
        let decision = self.in_force.decision.as_ref()?;
        let confirmed = self.session.is_kept(now.instant) && self.verify.no_effect().is_none();
        // A presence that faded while nobody looked is recorded with the time it faded.
        let faded_at = self.session.kept_until().filter(|until| !confirmed && *until <= now.instant);
        let held = Held {
            account: self.name.clone(),
            user: None,
            presence: decision.presence.map(|presence| presence.to_string()),
            rule: decision.rule.clone(),
            because: decision.because.clone(),
            state: self.state(now),
            confirmed,
        };
        Some((held, faded_at.map_or(now.wall, |at| now.wall_at(at))))
    }

    /// Its part of the report.
    pub(in crate::daemon) fn report(&self, now: &Now) -> report::Account {
        let decision = self.in_force.decision.as_ref();
        report::Account {
            state: self.state(now),
            desired: decision.and_then(|decision| decision.presence).map(Into::into),
            rule: decision.and_then(|decision| decision.rule.clone()),
            because: decision.map_or_else(|| "not decided yet".to_owned(), |decision| decision.because.clone()),
            withheld: decision.and_then(|decision| decision.withheld.as_ref()).map(|withheld| report::Withheld {
                presence: withheld.presence.map(Into::into),
                unknown: withheld.unknown.iter().map(|name| (*name).to_owned()).collect(),
            }),
            since: self.in_force.wished_since,
            until: decision.and_then(|decision| decision.until),
            asserted: self.asserted(now),
            preferred: self.preferred(now),
            seen: self.verify.seen().zip(self.confirmed_at.seen).map(|(seen, at)| report::Seen {
                availability: seen.availability.clone(),
                activity: seen.activity.clone(),
                at,
            }),
            next: self.session.poll_wakeup(now.instant).map(|(at, why): (Instant, Why)| report::Next {
                at: rounded(now.wall_at(at)),
                why: why.as_str().to_owned(),
            }),
            requests: self.requests,
            last_error: self.trouble.as_ref().map(|trouble| report::LastError {
                at: trouble.last_at,
                text: trouble.last.text.clone(),
                hint: trouble.last.hint.clone(),
            }),
            note: self.lock.missing().map(|reason| {
                format!("a second presenced with this application and user would not be noticed ({reason})")
            }),
            sign_in: self.authenticator.status().map(|status| sign_in::report(status, &self.config)),
            users: None,
        }
    }

    fn asserted(&self, now: &Now) -> Option<report::Asserted> {
        let ((target, _), sent_at) = self.session.asserted(now.instant).zip(self.confirmed_at.session)?;
        Some(report::Asserted {
            availability: target.presence.availability().to_owned(),
            activity: target.presence.activity().to_owned(),
            sent_at,
            fades_at: target.presence.fades().then(|| later(sent_at, timing::interval(target))),
            expires_at: later(sent_at, target.expiration.as_duration()),
        })
    }

    fn preferred(&self, now: &Now) -> Option<report::Preferred> {
        let ((target, _), sent_at) = self.session.preferred(now.instant).zip(self.confirmed_at.preferred)?;
        Some(report::Preferred {
            availability: target.presence.availability().to_owned(),
            activity: target.presence.preferred_activity().to_owned(),
            sent_at,
            expires_at: later(sent_at, target.expiration.as_duration()),
        })
    }
}

fn later(time: Timestamp, after: std::time::Duration) -> Timestamp {
    time.checked_add(after).unwrap_or(Timestamp::MAX)
}
