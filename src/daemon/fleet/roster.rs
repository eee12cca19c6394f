//! Who the users of a fleet are: those in the configuration, those in a file that is followed, or those whom a signal names.
//!
//! Users that stay are not touched. One that is missing in the file leaves only if it is still missing after
//! [`MISSING_FOR`]: a writer may have paused in the middle. A file that is empty or has lost more than a fifth of the users is
//! not applied before somebody confirms it with `presenced reload`.
//!
//! Leaves to others: what a line means (`config/users_file`), and clearing those who leave (the parent module).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::users_file::UsersFile;
use crate::config::{UserEntry, Users as Configured, is_object_id};
use crate::pacer::{Pacer, UserIndex};
use crate::time::Now;

use super::own::Own;
use super::task::{Done, Ended};
use super::user::User;
use super::users_file::{Followed, Follower};
use super::{Fleet, Phase};
use crate::tasks::spawn_into;

/// How long a user must be missing in the users file before they leave.
const MISSING_FOR: Duration = Duration::from_secs(10);

/// At most one user in this many may go missing at once.
const MAY_LOSE_ONE_IN: usize = 5;

/// Why a users file is not in force as it is now.
#[derive(Debug)]
pub(super) enum RosterTrouble {
    /// It cannot be read; why.
    Unreadable(String),
    /// It has lost too many users, and waits to be confirmed: what it says, and how many it would remove.
    Shrunk(Vec<UserEntry>, usize),
}

impl Fleet {
    /// Takes over the users that need no file.
    pub(super) fn load_configured(&mut self, now: &Now) {
        match self.config.users.clone() {
            Some(Configured::Listed(entries)) => self.list(&entries, MISSING_FOR, now),
            Some(Configured::Signalled) if self.phase == Phase::Loading => {
                let users: Vec<_> = self.restored.users.keys().cloned().collect();
                self.list(
                    &users.into_iter().map(|id| UserEntry { id, name: None }).collect::<Vec<_>>(),
                    MISSING_FOR,
                    now,
                );
            }
            Some(Configured::Signalled | Configured::File(_)) | None => {}
        }
    }

    /// Starts to follow the users file, if there is one and nobody follows it.
    pub(super) fn follow_roster(&mut self, tasks: &mut JoinSet<Done>) {
        let Some(Configured::File(path)) = &self.config.users else { return };
        if !self.is_following && self.phase != Phase::Leaving {
            self.is_following = true;
            self.followers += 1;
            let follower = Follower::new(self.followers, path.clone(), &self.file_watcher);
            self.spawn_follower(follower, true, tasks);
        }
    }

    fn spawn_follower(&self, follower: Follower, is_first: bool, tasks: &mut JoinSet<Done>) {
        let (fleet, next) = (self.id, follower.next(is_first, Arc::clone(&self.clock)));
        spawn_into(tasks, async move { Done { fleet, ended: Ended::Roster(Box::new(next.await)) } });
    }

    /// Takes over what the users file says, and follows it further.
    pub(super) fn take_roster(&mut self, followed: Followed, tasks: &mut JoinSet<Done>, now: &Now) {
        let Followed { follower, read } = followed;
        let is_followed = matches!(&self.config.users, Some(Configured::File(path)) if *path == follower.path);
        if self.phase == Phase::Leaving || !is_followed || follower.number != self.followers {
            return;
        }
        match read {
            Ok(UsersFile { users, bad }) => {
                self.bad_lines = bad.iter().map(|bad| format!("line {}: {}", bad.line, bad.reason)).collect();
                self.roster_trouble = None;
                let lost = self.missing_in(&users).count();
                let present = self.users.iter().filter(|(_, user)| !user.is_leaving).count();
                if lost > 0 && (users.is_empty() || lost * MAY_LOSE_ONE_IN > present) {
                    warn!(account = self.name, lost, "the users file is not applied: it has lost too many users");
                    self.roster_trouble = Some(RosterTrouble::Shrunk(users, lost));
                } else {
                    self.list(&users, MISSING_FOR, now);
                }
            }
            Err(unfit) => {
                warn!(account = self.name, "{} cannot be read: {unfit}", follower.path.display());
                self.roster_trouble = Some(RosterTrouble::Unreadable(unfit.to_string()));
            }
        }
        self.spawn_follower(follower, false, tasks);
    }

    /// Somebody confirmed that the users file is right although it has lost many users.
    pub(super) fn confirm_roster(&mut self, now: &Now) {
        if let Some(RosterTrouble::Shrunk(users, _)) =
            self.roster_trouble.take_if(|it| matches!(it, RosterTrouble::Shrunk(..)))
        {
            // Nobody need wait for the rest of it, and the next change is compared with it.
            self.list(&users, Duration::ZERO, now);
        }
    }

    fn missing_in<'a>(&'a self, entries: &'a [UserEntry]) -> impl Iterator<Item = UserIndex> + 'a {
        let ids: std::collections::HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let present = self.users.iter().filter(|(_, user)| !user.is_leaving);
        present.filter(move |(_, user)| !ids.contains(user.id.as_str())).map(|(index, _)| index)
    }

    /// From now on, these are the users. Those who are missing leave after `missing_for`.
    fn list(&mut self, entries: &[UserEntry], missing_for: Duration, now: &Now) {
        self.phase = Phase::AtWork;
        // A file that is being rewritten may be empty at first.
        let is_start = self.restored_until.is_none() && self.users.is_empty() && !entries.is_empty();
        if is_start {
            self.restored_until = Some(now.instant + MISSING_FOR);
            // It counts from the first moment at which there is something to do.
            self.pacer = Pacer::new(self.pace.clone(), self.restored.slot, now);
        }
        if self.restored_until.is_some_and(|until| until < now.instant) {
            // Whoever is not a user any more loses what was set.
            self.restored.users.clear();
        }
        let missing: Vec<_> = self.missing_in(entries).collect();
        for index in missing.iter().copied() {
            self.users.update(index, now, |user| {
                user.dismissed_at.get_or_insert(now.instant + missing_for);
            });
        }
        let mut added = Vec::new();
        let known: HashMap<_, _> = self.users.iter().map(|(index, user)| (user.id.clone(), index)).collect();
        for UserEntry { id, name } in entries {
            if let Some(index) = known.get(id).copied() {
                self.users.rename(index, name.clone());
                self.users.update(index, now, |user| (user.dismissed_at, user.is_leaving) = (None, false));
                self.changed.insert(index);
            } else {
                added.push(self.add(User::new(id.clone(), name.clone(), is_start), now));
            }
        }
        if is_start {
            self.read(&added);
            self.rewrite_journal(now);
        }
        info!(account = self.name, added = added.len(), missing = missing.len(), "{} users", self.users.len());
    }

    fn add(&mut self, mut user: User, now: &Now) -> UserIndex {
        user.own = self.restored.users.remove(&user.id).map(|restored| Box::new(Own::restored(restored)));
        let id = user.id.clone();
        let index = self.users.add(user, now);
        self.pacer.handle_added(index, Some(&id));
        self.changed.insert(index);
        index
    }

    /// The user of this id or name. Where signals say who the users are, an id that is not known yet becomes one.
    pub(super) fn find_or_add(&mut self, user: &str, now: &Now) -> Option<UserIndex> {
        let known = self.users.find(user);
        if known.is_some() || self.config.users != Some(Configured::Signalled) || !is_object_id(user) {
            return known;
        }
        Some(self.add(User::new(user.to_ascii_lowercase(), None, false), now))
    }

    /// A user is gone: their session is cleared, and then they are removed.
    pub(super) fn dismiss(&mut self, index: UserIndex, now: &Now) {
        self.users.update(index, now, |user| {
            (user.is_leaving, user.awaits_read, user.dismissed_at) = (true, false, None);
            (user.decide_at, user.decide_at_wall) = (None, None);
        });
        self.wish(index, None, now);
        let Some(user) = self.users.get(index).filter(|user| user.flight.is_none()) else { return };
        if user.is_refused() || !user.session.differs() {
            self.remove(index, now);
        } else {
            self.ask_for_turn(index, now);
        }
    }
}
