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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::super::users::Users;
    use super::*;
    use crate::pacer::UserIndex;
    use crate::policy::{Snapshot, decide};
    use crate::presence::{Expiration, Presence};
    use crate::session::{Action, Target};
    use crate::time::Instant;

    fn at(millis: u64) -> Now {
        let after = Duration::from_millis(millis);
        Now { instant: Instant::from_origin(after), wall: Timestamp::UNIX_EPOCH + after, zone: TimeZone::UTC }
    }

    fn wish(users: &mut Users, user: UserIndex, presence: Presence, now: &Now) -> Action {
        let target = Target { presence, expiration: Expiration::default() };
        users.update(user, now, |user| {
            user.decision = Some(Box::new(decide(&[], &Snapshot::default(), now)));
            user.changed_at = user.wish.map(|_| now.instant);
            user.wish = Some(target);
            user.session.handle_wish(Some(target));
        });
        Action::Set(target)
    }

    fn done(users: &mut Users, user: UserIndex, action: Action, now: &Now) {
        users.update(user, now, |user| {
            user.changed_at = None;
            user.session.handle_done(action, now.instant);
        });
    }

    /// What is recorded of the users that have changed: the presence, and whether Graph holds it.
    fn recorded(users: &mut Users, now: &Now) -> Vec<(String, bool)> {
        let (touched, _) = users.take_touched();
        let held = touched.into_iter().filter_map(|index| held("agents", users.get(index).unwrap(), now));
        held.map(|held| (held.presence.unwrap(), held.confirmed)).collect()
    }

    #[test]
    fn a_change_is_recorded_when_graph_has_it_or_after_a_second() {
        let mut users = Users::default();
        let ada = users.add(User::new("aa".to_owned(), None, false), &at(0));
        assert_eq!(recorded(&mut users, &at(0)), []);
        let available = wish(&mut users, ada, Presence::Available, &at(0));
        assert_eq!(recorded(&mut users, &at(60_000)), [], "a start may take long");
        done(&mut users, ada, available, &at(60_000));
        assert_eq!(recorded(&mut users, &at(60_000)), [("Available/Available".to_owned(), true)]);
        assert_eq!(recorded(&mut users, &at(60_001)), [], "nothing has changed");

        let busy = wish(&mut users, ada, Presence::InACall, &at(70_000));
        assert_eq!(recorded(&mut users, &at(70_000)), []);
        assert_eq!(users.next_due().0, Some(at(71_000).instant));
        done(&mut users, ada, busy, &at(70_100));
        assert_eq!(recorded(&mut users, &at(70_100)), [("Busy/InACall".to_owned(), true)]);
        assert!(users.next_due().0 > Some(at(71_000).instant), "nothing wakes up for what is recorded");

        wish(&mut users, ada, Presence::Away, &at(80_000));
        assert!(users.due(&at(81_000)).contains(&ada));
        users.update(ada, &at(81_000), |_| {});
        assert_eq!(recorded(&mut users, &at(81_000)), [("Away/Away".to_owned(), false)]);
        assert!(users.due(&at(81_001)).is_empty());
    }

    #[test]
    fn who_had_a_record_is_gone_when_removed() {
        let mut users = Users::default();
        let both = ["aa", "bb"].map(|id| users.add(User::new(id.to_owned(), None, false), &at(0)));
        assert_eq!((users.note_record(both[0], 7), users.note_record(both[0], 7)), (true, false));
        for user in both {
            users.remove(user);
        }
        let (touched, removed) = users.take_touched();
        assert_eq!((touched.len(), removed), (0, vec!["aa".to_owned()]));
    }
}
