//! The fleets of a daemon: sets them up, takes their turns, and does what the socket asks of their users.
//!
//! Leaves to others: one fleet (`fleet/`).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::account::AccountId;
use super::fleet::{Done, Fleet, Readings};
use super::owners::News;
use super::{Daemon, StartError, kept};
use crate::config::{self, Owners};
use crate::fill::Fill as _;
use crate::policy::Snapshot;
use crate::status::report;
use crate::status::users::{NotDone, Page, Query, UserChange, UsersCommand, Whom};
use crate::tasks;
use crate::time::{Instant, Now};
use crate::warning::Warning;

/// At most this many commands wait for a users file. There are not more connections, but clients may give up and come again.
const MAX_WAITING: usize = 64;

impl Daemon {
    /// Sets up the accounts with `users`.
    pub(super) fn new_fleets(
        &mut self,
        configs: &BTreeMap<String, config::Account>,
        now: &Now,
    ) -> Result<Vec<Fleet>, StartError> {
        let mut fleets = Vec::new();
        for (name, config) in configs.iter().filter(|(_, config)| config.users.is_some()) {
            self.last_id = AccountId(self.last_id.0 + 1);
            let kept = self.kept_users_of(name);
            let resources = super::fleet::Resources {
                environment: &self.environment,
                applications: &mut self.applications,
                metrics: Arc::clone(&self.metrics),
                lock: self.locks.of(config),
                file_watcher: self.file_watcher.clone(),
                clock: Arc::clone(&self.clock),
                life: self.life.clone(),
                kept,
            };
            let fleet = Fleet::new(self.last_id, name, config.clone(), resources, now)
                .map_err(|failure| StartError::Account { account: name.clone(), failure })?;
            fleets.push(fleet);
        }
        Ok(fleets)
    }

    /// Puts another configuration of the accounts with `users` in force. Users that stay are not touched.
    pub(super) fn reload_fleets(
        &mut self,
        configs: &BTreeMap<String, config::Account>,
        now: &Now,
    ) -> Result<(), StartError> {
        let heirs = self.heirs(configs);
        let is_new = |name: &String| !heirs.values().any(|heir| heir == name);
        let new = configs.iter().filter(|(name, _)| is_new(name));
        let new = new.map(|(name, config)| (name.clone(), config.clone())).fill();
        let new = self.new_fleets(&new, now)?;
        let fleets = std::mem::take(&mut self.fleets).into_iter().chain(std::mem::take(&mut self.leaving_fleets));
        for mut fleet in fleets.collect::<Vec<_>>() {
            if let Some((name, config)) = heirs.get(&fleet.id).and_then(|heir| configs.get_key_value(heir)) {
                fleet.reconfigure(
                    name,
                    config.clone(),
                    self.kept_users_of(name),
                    &self.environment,
                    &self.applications.tokens,
                    now,
                );
                self.fleets.push(fleet);
            } else {
                fleet.leave(now);
                for other in configs.values() {
                    fleet.hand_over(other, now);
                }
                self.leaving_fleets.push(fleet);
            }
        }
        self.fleets.extend(new);
        self.fleets.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(())
    }

    /// What owners have alone has changed.
    pub(super) fn owners_changed(&mut self, news: &News, now: &Now) {
        for fleet in &mut self.fleets {
            match news {
                News::All => fleet.all_changed(),
                News::Of(Owners::Accounts, accounts) if accounts.contains(&fleet.name) => fleet.all_changed(),
                News::Of(Owners::UsersOf(account), _) if *account != fleet.name => {}
                News::Of(Owners::Users | Owners::UsersOf(_), users) => {
                    for user in users {
                        fleet.owner_changed(user, now);
                    }
                }
                News::Of(Owners::Accounts, _) => {}
            }
        }
    }

    /// Which fleet continues as which account. One of the same application does even if its name is another one or if it was leaving,
    /// because two would fight over the sessions, and be faster than the pace together.
    fn heirs(&self, configs: &BTreeMap<String, config::Account>) -> HashMap<AccountId, String> {
        let mut heirs = HashMap::new();
        for by_name in [true, false] {
            for fleet in self.fleets.iter().chain(&self.leaving_fleets) {
                let heir = configs.iter().find(|(name, config)| {
                    (**name == fleet.name || !by_name)
                        && fleet.is_same_application(config)
                        && !heirs.values().any(|heir| heir == *name)
                });
                if let Some((name, _)) = heir.filter(|_| !heirs.contains_key(&fleet.id)) {
                    heirs.insert(fleet.id, name.clone());
                }
            }
        }
        heirs
    }

    /// The file that keeps what is set for the users of this account.
    fn kept_users_of(&self, account: &str) -> Option<PathBuf> {
        self.kept.as_ref().map(|path| path.with_extension(format!("{account}.users.jsonl")))
    }

    /// A turn of all fleets. `machine`: the machine's readings, if they are complete.
    pub(super) fn turn_fleets(&mut self, machine: Option<&Snapshot>, now: &Now) {
        let (rules, session) = (&self.config.rules, &self.config.session);
        let hold = session.expiration.as_duration();
        let machine = machine.filter(|_| !self.fleets.is_empty() && self.owners.is_complete());
        let machine = machine.map(|machine| self.held_machine.of(machine, hold, now));
        for fleet in self.fleets.iter_mut().chain(&mut self.leaving_fleets) {
            let own = |machine: &Snapshot| {
                let own = self.accounts_own.over(machine, &fleet.name, now).unwrap_or_else(|| machine.clone());
                Snapshot { account: Some(fleet.name.as_str().into()), ..own }
            };
            let machine = machine.map(own);
            let readings = machine.as_ref().map(|machine| Readings {
                machine,
                owners: &self.owners,
                of_account: self.accounts_own.of(&fleet.name),
            });
            fleet.turn(readings.as_ref(), rules, session, &mut self.fleet_tasks, now);
        }
        self.leaving_fleets.retain(|fleet| !fleet.has_left(now));
    }

    /// When to take the next turn for a fleet, on both clocks.
    pub(super) fn fleet_wakeups(&self, now: &Now) -> (Option<Instant>, Option<Timestamp>) {
        let decides = self.can_decide() && self.owners.is_complete();
        let wakeups = self.fleets.iter().chain(&self.leaving_fleets).map(|fleet| fleet.next_wakeup(decides, now));
        let held = self.owners.next_end().into_iter().chain(self.held_machine.next_end(now)).min();
        wakeups.fold((held, None), |(instant, wall), (next, next_wall)| {
            (earliest(instant, next), earliest(wall, next_wall))
        })
    }

    /// Their rows of the report.
    pub(super) fn fleet_reports(&self, now: &Now) -> impl Iterator<Item = (String, report::Account)> {
        self.fleets.iter().map(|fleet| (fleet.name.clone(), fleet.report(self.config.session.expiration, now)))
    }

    /// Tells those who watch what is new about users.
    pub(super) fn tell_watchers(&mut self, now: &Now) {
        for fleet in self.fleets.iter_mut().chain(&mut self.leaving_fleets) {
            fleet.tell(&self.feed, now);
        }
    }

    /// Their warnings, each with its start time where that is known.
    pub(super) fn fleet_warnings(&self, now: &Now) -> Vec<(Warning, Option<Timestamp>)> {
        let owners = self.owners.warnings().map(|warning| (warning.clone(), None));
        self.fleets.iter().flat_map(|fleet| fleet.warnings(now)).chain(owners).collect()
    }

    /// Handles the ends of tasks: all that are ready, in one turn.
    pub(super) fn finish_fleet_tasks(&mut self, done: Done, now: &Now) {
        let mut next = Some(done);
        while let Some(done) = next {
            let fleet = self.fleets.iter_mut().chain(&mut self.leaving_fleets).find(|fleet| fleet.id == done.fleet);
            if let Some(fleet) = fleet {
                fleet.finish(done, &mut self.fleet_tasks, now);
            }
            // None of these tasks is ever cancelled.
            next = self.fleet_tasks.try_join_next().and_then(Result::ok);
        }
        for command in std::mem::take(&mut self.waiting_for_users) {
            self.execute_for_users(command, now);
        }
    }

    /// Does what a client asks, or lets it wait while a users file is read for the first time.
    pub(super) fn execute_for_users(&mut self, command: UsersCommand, now: &Now) {
        if self.fleets.iter().any(Fleet::is_loading) && self.waiting_for_users.len() < MAX_WAITING {
            return self.waiting_for_users.push(command);
        }
        // A client that has left does not need its answer.
        match command {
            UsersCommand::Change { changes, writer, reply } => {
                let change = |(whom, change): &(Whom, UserChange)| self.change(whom, change, writer.as_deref(), now);
                let outcomes: Vec<_> = changes.iter().map(change).collect();
                let of_users = self.fleets.iter_mut().map(|fleet| fleet.keep(now));
                let kept: Vec<_> = of_users.chain([self.accounts_own.keep(now)]).collect();
                tasks::spawn(async move {
                    // A disk that takes long keeps nobody waiting.
                    let _ = tokio::time::timeout(kept::PATIENCE, join_all(kept)).await;
                    let _ = reply.send(outcomes);
                });
            }
            UsersCommand::List { query, reply } => drop(reply.send(self.list_users(&query, now))),
            UsersCommand::Show { user, reply } => {
                let _ = reply.send(self.fleets.iter().find_map(|fleet| fleet.row(&user, now)));
            }
        }
    }

    fn change(&mut self, whom: &Whom, change: &UserChange, writer: Option<&str>, now: &Now) -> Result<(), NotDone> {
        if whom.account.as_ref().is_some_and(|account| !self.config.accounts.contains_key(account)) {
            return Err(NotDone::UnknownAccount);
        }
        let user = match whom {
            Whom { user: Some(user), .. } => user,
            Whom { user: None, account: Some(account) } => {
                return self.accounts_own.change(account, change, writer, now);
            }
            Whom { user: None, account: None } => return Err(NotDone::UnknownUser),
        };
        let is_meant = |fleet: &Fleet| whom.account.as_ref().is_none_or(|account| *account == fleet.name);
        let known = self.fleets.iter().position(|fleet| is_meant(fleet) && fleet.has(user));
        let places = known.map_or(0..self.fleets.len(), |at| at..at + 1);
        let mut outcome = Err(NotDone::UnknownUser);
        for fleet in self.fleets[places].iter_mut().filter(|fleet| is_meant(fleet)) {
            outcome = fleet.change(user, change, writer, now);
            if outcome != Err(NotDone::UnknownUser) {
                break;
            }
        }
        outcome
    }

    fn list_users(&self, query: &Query, now: &Now) -> Option<Page> {
        let wanted = |fleet: &&Fleet| query.account.as_ref().is_none_or(|account| *account == fleet.name);
        let mut fleets = self.fleets.iter().filter(wanted).peekable();
        fleets.peek()?;
        let mut users: Vec<_> = fleets.flat_map(|fleet| fleet.rows(query, now)).collect();
        users.sort_unstable_by(|one, other| one.user.cmp(&other.user));
        // Two accounts may have the same user. A page never ends between the two, because the next one begins after the id.
        let mut end = query.limit.min(users.len());
        while end > 0 && users.get(end).is_some_and(|next| next.user == users[end - 1].user) {
            end += 1;
        }
        let has_more = users.len() > end;
        users.truncate(end);
        let next = users.last().filter(|_| has_more).map(|last| last.user.clone());
        Some(Page { users, next })
    }
}

fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}
