//! The users of a fleet by index, id and name; when each is due; and how many there are of each kind. Each step is O(log n).
//!
//! Leaves to others: what is done with a user (the parent module).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use slab::Slab;

use crate::pacer::UserIndex;
use crate::time::{Instant, Now};

use super::super::rounded;
use super::user::{Reason, Row, User};

/// A change that takes longer than this to reach Graph has two records: when it was decided, and when Graph held it.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// The users.
#[derive(Debug, Default)]
pub(super) struct Users {
    table: Slab<User>,
    /// By the object id in lower case.
    ids: HashMap<String, UserIndex>,
    names: HashMap<String, UserIndex>,
    due: BTreeSet<(Instant, UserIndex)>,
    due_by_wall: BTreeSet<(Timestamp, UserIndex)>,
    counts: BTreeMap<Row, usize>,
    reasons: BTreeMap<Arc<Reason>, Affected>,
    faded: usize,
    fades: u64,
    news: News,
    /// Those who may have changed since the history looked.
    touched: BTreeSet<UserIndex>,
    /// The ids of those who had a record and were removed since then.
    removed: Vec<String>,
}

/// Of whom something is new since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) changed: BTreeSet<UserIndex>,
    /// The ids of those who are gone.
    pub(super) removed: Vec<String>,
}

/// Those whose requests fail for the same reason.
#[derive(Debug)]
pub(super) struct Affected {
    /// Since when there is somebody.
    pub(super) since: Timestamp,
    pub(super) users: BTreeSet<UserIndex>,
}

impl Users {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn get(&self, index: UserIndex) -> Option<&User> {
        self.table.get(index.0 as usize)
    }

    /// The user of this id, in any case, or of this name.
    pub(super) fn find(&self, user: &str) -> Option<UserIndex> {
        self.ids.get(&user.to_ascii_lowercase()).or_else(|| self.names.get(user)).copied()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (UserIndex, &User)> {
        self.table.iter().map(|(key, user)| (index(key), user))
    }

    /// Adds a user. The caller has looked that there is none of this id.
    pub(super) fn add(&mut self, user: User, now: &Now) -> UserIndex {
        let (id, name) = (user.id.clone(), user.name.clone());
        let at = index(self.table.insert(user));
        self.ids.insert(id, at);
        self.names.extend(name.map(|name| (name, at)));
        self.update(at, now, |_| {});
        at
    }

    /// Gives a user another name.
    pub(super) fn rename(&mut self, at: UserIndex, name: Option<String>) {
        let Some(user) = self.table.get_mut(at.0 as usize) else { return };
        // Also if it has this name already: while its user was missing, another user may have had it.
        let before = std::mem::replace(&mut user.name, name.clone());
        if before != name {
            self.news.changed.insert(at);
        }
        if let Some(before) = before.filter(|before| self.names.get(before) == Some(&at)) {
            self.names.remove(&before);
        }
        self.names.extend(name.map(|name| (name, at)));
    }

    pub(super) fn remove(&mut self, at: UserIndex) {
        let Some(user) = self.table.try_remove(at.0 as usize) else { return };
        self.ids.remove(&user.id);
        if let Some(name) = user.name.as_ref().filter(|name| self.names.get(*name) == Some(&at)) {
            self.names.remove(name);
        }
        self.unlist(at, &Listed::of(&user));
        self.touched.remove(&at);
        self.removed.extend(user.recorded.map(|_| user.id.clone()));
        self.news.changed.remove(&at);
        self.news.removed.push(user.id);
    }

    /// Something is new about this user that an update does not see.
    pub(super) fn note_news(&mut self, at: UserIndex) {
        self.news.changed.insert(at);
    }

    /// What is new since the last call.
    pub(super) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Changes a user, and moves it to the lists it then belongs to.
    pub(super) fn update<T>(&mut self, at: UserIndex, now: &Now, change: impl FnOnce(&mut User) -> T) -> Option<T> {
        let user = self.table.get_mut(at.0 as usize)?;
        let before = Listed::of(user);
        let held = |user: &User| user.session.asserted(now.instant).map(|(target, _)| target);
        let held_before = held(user);
        let result = change(user);
        let deadline = user.session.deadline();
        user.fades_at = deadline.filter(|fades_at| *fades_at > now.instant);
        user.has_faded = user.wish.is_some() && deadline.is_some() && user.fades_at.is_none();
        user.settles_at = user.changed_at.map(|at| at + SETTLED_AFTER).filter(|at| *at > now.instant);
        user.counted_as = Some(user.row(now));
        self.touched.insert(at);
        let after = Listed::of(user);
        if (before.row, &before.reason, held_before) != (after.row, &after.reason, held(user)) {
            self.news.changed.insert(at);
        }
        if before != after {
            self.fades += u64::from(after.has_faded && !before.has_faded);
            self.unlist(at, &before);
            self.list(at, after, now);
        }
        Some(result)
    }

    /// Those who may have changed, and the ids of those who were removed, since the last call.
    pub(super) fn take_touched(&mut self) -> (BTreeSet<UserIndex>, Vec<String>) {
        (std::mem::take(&mut self.touched), std::mem::take(&mut self.removed))
    }

    /// The history has a record of this user, which `hash` stands for. True: it is another one than the last.
    pub(super) fn note_record(&mut self, at: UserIndex, hash: u64) -> bool {
        self.table.get_mut(at.0 as usize).is_some_and(|user| user.recorded.replace(hash) != Some(hash))
    }

    /// The history has no record of anybody.
    pub(super) fn forget_records(&mut self) {
        self.table.iter_mut().for_each(|(_, user)| user.recorded = None);
        self.touched = self.table.iter().map(|(key, _)| index(key)).collect();
    }

    /// The users that are due by now. Each must be updated.
    pub(super) fn due(&self, now: &Now) -> BTreeSet<UserIndex> {
        let by_instant = self.due.iter().take_while(|(at, _)| *at <= now.instant).map(|(_, user)| *user);
        let by_wall = self.due_by_wall.iter().take_while(|(at, _)| *at <= now.wall).map(|(_, user)| *user);
        by_instant.chain(by_wall).collect()
    }

    /// When the next one is due, on both clocks.
    pub(super) fn next_due(&self) -> (Option<Instant>, Option<Timestamp>) {
        (self.due.first().map(|(at, _)| *at), self.due_by_wall.first().map(|(at, _)| *at))
    }

    /// How many users there are of each kind.
    pub(super) fn counts(&self) -> &BTreeMap<Row, usize> {
        &self.counts
    }

    /// Why requests fail, and for whom.
    pub(super) fn reasons(&self) -> &BTreeMap<Arc<Reason>, Affected> {
        &self.reasons
    }

    /// How many users should hold what has faded or expired.
    pub(super) fn faded(&self) -> usize {
        self.faded
    }

    /// How often that has happened.
    pub(super) fn fades(&self) -> u64 {
        self.fades
    }

    /// The same reason as a shared one, if others have it already.
    pub(super) fn shared(&self, reason: Reason) -> Arc<Reason> {
        self.reasons.get_key_value(&reason).map_or_else(|| Arc::new(reason), |(known, _)| Arc::clone(known))
    }

    fn list(&mut self, at: UserIndex, listed: Listed, now: &Now) {
        let Listed { due, due_by_wall, row, reason, has_faded } = listed;
        self.faded += usize::from(has_faded);
        self.due.extend(due.map(|due| (due, at)));
        self.due_by_wall.extend(due_by_wall.map(|due| (due, at)));
        if let Some(row) = row {
            *self.counts.entry(row).or_default() += 1;
        }
        if let Some(reason) = reason {
            let begin = || Affected { since: rounded(now.wall), users: BTreeSet::new() };
            self.reasons.entry(reason).or_insert_with(begin).users.insert(at);
        }
    }

    fn unlist(&mut self, at: UserIndex, listed: &Listed) {
        self.faded -= usize::from(listed.has_faded);
        listed.due.map(|due| self.due.remove(&(due, at)));
        listed.due_by_wall.map(|due| self.due_by_wall.remove(&(due, at)));
        if let Some(row) = listed.row
            && let Some(count) = self.counts.get_mut(&row)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&row);
            }
        }
        if let Some(reason) = &listed.reason
            && let Some(Affected { users, .. }) = self.reasons.get_mut(reason)
        {
            users.remove(&at);
            if users.is_empty() {
                self.reasons.remove(reason);
            }
        }
    }
}

/// The entries of one user in the lists.
#[derive(Debug, PartialEq)]
struct Listed {
    due: Option<Instant>,
    due_by_wall: Option<Timestamp>,
    row: Option<Row>,
    reason: Option<Arc<Reason>>,
    has_faded: bool,
}

impl Listed {
    fn of(user: &User) -> Self {
        Self {
            due: [user.decide_at, user.fades_at, user.settles_at, user.dismissed_at].into_iter().flatten().min(),
            due_by_wall: user.decide_at_wall,
            row: user.counted_as,
            reason: user.reason.clone(),
            has_faded: user.has_faded,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "nobody has 2^32 users")]
fn index(key: usize) -> UserIndex {
    UserIndex(key as u32)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::failure::FailureKind;
    use crate::presence::{Expiration, Presence};
    use crate::session::{Action, State, Target};

    fn at(seconds: u64) -> Now {
        let after = Duration::from_secs(seconds);
        Now { instant: Instant::from_origin(after), wall: Timestamp::UNIX_EPOCH + after, zone: TimeZone::UTC }
    }

    fn user(id: &str, name: &str) -> User {
        User::new(id.to_owned(), Some(name.to_owned()), false)
    }

    #[test]
    fn a_user_is_found_by_id_and_by_name_until_it_is_removed() {
        let mut users = Users::default();
        let (ada, ben) = (users.add(user("aa", "ada"), &at(0)), users.add(user("bb", "ben"), &at(0)));
        assert_eq!((users.find("AA"), users.find("ben"), users.find("Ben")), (Some(ada), Some(ben), None));
        users.rename(ada, Some("ben".to_owned()));
        users.rename(ben, None);
        assert_eq!((users.find("ben"), users.find("ada")), (Some(ada), None));
        users.rename(ben, Some("ben".to_owned()));
        users.rename(ada, Some("ben".to_owned()));
        assert_eq!(users.find("ben"), Some(ada), "the last one who is given a name has it");
        users.remove(ada);
        assert_eq!((users.find("ben"), users.find("aa"), users.len()), (None, None, 1));
        assert_eq!(users.counts().iter().collect::<Vec<_>>(), [(&(State::Starting, None), &1)]);
    }

    #[test]
    fn a_user_is_due_once_for_each_time() {
        let mut users = Users::default();
        let ada = users.add(user("aa", "ada"), &at(0));
        users.update(ada, &at(0), |user| {
            (user.decide_at, user.decide_at_wall) = (Some(at(5).instant), Some(at(7).wall));
        });
        assert_eq!((users.due(&at(4)).len(), users.next_due()), (0, (Some(at(5).instant), Some(at(7).wall))));
        assert_eq!(users.due(&at(5)).into_iter().collect::<Vec<_>>(), [ada]);
        users.update(ada, &at(5), |user| user.decide_at = None);
        assert_eq!((users.due(&at(6)).len(), users.due(&at(7)).len()), (0, 1));
    }

    #[test]
    fn a_user_whose_presence_fades_counts_until_it_is_set_again() {
        let mut users = Users::default();
        let [ada, ben] = ["aa", "bb"].map(|id| users.add(user(id, id), &at(0)));
        let target = Target { presence: Presence::Available, expiration: Expiration::default() };
        let set = |users: &mut Users, second| {
            users.update(ada, &at(second), |user| {
                user.wish = Some(target);
                user.session.handle_wish(user.wish);
                user.session.handle_done(Action::Set(target), at(second).instant);
            })
        };
        set(&mut users, 1);
        let faded_at = |users: &mut Users, second| {
            for due in users.due(&at(second)) {
                users.update(due, &at(second), |_| {});
            }
            (users.faded(), users.fades())
        };
        assert_eq!((faded_at(&mut users, 300), faded_at(&mut users, 301)), ((0, 0), (1, 1)));
        users.update(ben, &at(302), |_| {});
        assert_eq!(users.faded(), 1);
        set(&mut users, 303);
        assert_eq!((users.faded(), faded_at(&mut users, 603)), (0, (1, 2)));
        users.remove(ada);
        assert_eq!((users.faded(), users.fades()), (0, 2));
    }

    #[test]
    fn users_share_a_reason_until_the_last_one_is_fine() {
        let mut users = Users::default();
        let both = ["aa", "bb"].map(|id| users.add(user(id, id), &at(0)));
        for user in both {
            let reason = Reason { kind: FailureKind::Refused, text: "404".to_owned(), hint: None };
            let reason = users.shared(reason);
            users.update(user, &at(0), |user| user.reason = Some(reason));
        }
        assert_eq!(users.reasons().values().map(|of| of.users.len()).collect::<Vec<_>>(), [2]);
        users.update(both[0], &at(1), |user| user.reason = None);
        assert_eq!(users.reasons().values().map(|of| of.users.len()).collect::<Vec<_>>(), [1]);
        users.remove(both[1]);
        assert!(users.reasons().is_empty());
    }
}
