//! What the history records of the users: the decision and whether Graph holds it, for those who have changed.
//!
//! A change that Graph holds within a second is one record. At a start there is none before Graph has confirmed something or a read
//! has shown it, so that thousands of users do not have two each. A user who is leaving has none before they have left.
//!
//! Leaves to others: who has changed ([`super::users`]), and writing it (`daemon/history`).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::history::{Event, Held, Record, without_private};
use crate::session::State;
use crate::time::Now;

use super::Fleet;
use super::user::User;

impl Fleet {
    /// The records about users that have changed since the last call.
    pub(in crate::daemon) fn records(&mut self, now: &Now) -> Vec<Record> {
        let (touched, removed) = self.users.take_touched();
        let gone = removed.into_iter().map(|user| Event::Gone { account: self.name.clone(), user: Some(user) });
        let mut events: Vec<_> = gone.collect();
        for index in touched {
            let Some(held) = self.users.get(index).and_then(|user| held(&self.name, user, now)) else { continue };
            let mut hash = DefaultHasher::new();
            held.hash(&mut hash);
            if self.users.note_record(index, hash.finish()) {
                events.push(Event::Held(held));
            }
        }
        events.into_iter().map(|event| Record { at: now.wall, event }).collect()
    }

    /// What was recorded may be lost.
    pub(in crate::daemon) fn record_all_again(&mut self) {
        self.users.forget_records();
    }
}

/// What a user of this account should hold, and whether they do; `None`: that is not worth a record yet.
fn held(account: &str, user: &User, now: &Now) -> Option<Held> {
    let decision = user.decision.as_deref().filter(|_| !user.is_leaving)?;
    let (state, presence) = user.row(now);
    let confirmed = user.session.is_kept(now.instant);
    let is_settled = confirmed || user.settles_at.is_none();
    (state != State::Starting && is_settled).then(|| Held {
        account: account.to_owned(),
        user: Some(user.id.clone()),
        presence: presence.map(|presence| presence.to_string()),
        rule: decision.rule.clone(),
        because: without_private(&decision.because).to_owned(),
        state,
        confirmed,
    })
}
