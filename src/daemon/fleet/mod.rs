//! A fleet: the many users of one account. Each has readings, a decision and a session of their own; all share one token, one
//! client and one [`Pacer`], which says whose request goes next.
//!
//! Work is in proportion to what changed: a turn decides again only for the users whose readings changed or whose time has come,
//! and an answer costs work for its own users. Only a change of the machine's readings concerns everybody.
//!
//! At the start, a read of all users finds those who have what they should have, so that a restart sets only the others. If
//! reading is refused, all are set. When the process ends, all sessions stay as they are.
//!
//! - [`users`] has the users and their lists, [`user`] one of them, and [`own`] what is set for them alone;
//! - [`sending`] hands requests to the [`Exchange`](super::exchange::Exchange) and takes the answers; [`reads`], [`token`] and
//!   [`trouble`] are parts of that;
//! - [`journal`] keeps over a restart what is set for users, and where the wheel is;
//! - [`roster`] takes over who the users are, [`users_file`] follows their file, and [`reload`] takes over another configuration of
//!   the account;
//! - [`clear`] clears them all without a daemon;
//! - [`report`] has what `status` and `presenced users` show, and [`history`] what is recorded.
//!
//! Leaves to others: the order and the pace (`pacer/`), what a presence follows from (`policy/`).

mod clear;
mod history;
mod journal;
mod own;
mod reads;
mod reload;
mod report;
mod roster;
mod sending;
mod task;
mod token;
mod trouble;
mod user;
mod users;
mod users_file;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::auth::Authenticator;
use crate::config;
use crate::failure::Failure;
use crate::graph::Client;
use crate::kept::Life;
use crate::metrics::Metrics;
use crate::pacer::{Backlog, Pace, Pacer, UserIndex};
use crate::policy::{Rule, Snapshot, decide};
use crate::presence::Presence;
use crate::session::Target;
use crate::signals::FileWatcher;
use crate::status::report::Requests;
use crate::status::users::{NotDone, UserChange};
use crate::time::{Clock, Instant, Now};

use super::account::AccountId;
use super::applications::Applications;
use super::owners::OwnersSignals;
use super::rounded;
use super::session_lock::SessionLock;
pub use clear::{Cleared, clear_users};
use journal::Journaled;
pub(super) use journal::{Journal, read as read_journal};
pub(super) use own::Own;
use reads::Reads;
pub(super) use task::Done;
use token::TokenState;
use trouble::{Lines, Trouble};
use users::Users;

/// How far the wall clock may go back between two turns before every decision is made again.
const STEP_BACK: SignedDuration = SignedDuration::from_secs(1);

/// What decisions are made from.
pub(super) struct Readings<'a> {
    /// The machine's, for everybody.
    pub(super) machine: &'a Snapshot,
    /// What users have alone, according to files.
    pub(super) owners: &'a OwnersSignals,
    /// What was set for the account. It is in the machine's readings too.
    pub(super) of_account: Option<&'a Own>,
}

/// What a fleet uses of the daemon.
pub(super) struct Resources<'a> {
    pub(super) environment: &'a config::Environment,
    pub(super) applications: &'a mut Applications,
    pub(super) metrics: Arc<Metrics>,
    pub(super) lock: SessionLock,
    pub(super) file_watcher: FileWatcher,
    pub(super) clock: Arc<dyn Clock>,
    /// The boot and the login that this process belongs to.
    pub(super) life: Life,
    /// The file that keeps what is set for users; `None`: nothing is kept.
    pub(super) kept: Option<PathBuf>,
}

/// How far a fleet has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its users are not known yet.
    Loading,
    AtWork,
    /// It is no longer configured: it ends when all its users are cleared.
    Leaving,
}

/// The users of one account.
pub(super) struct Fleet {
    pub(super) id: AccountId,
    pub(super) name: String,
    pub(super) config: config::Account,
    authenticator: Arc<Authenticator>,
    client: Arc<Client>,
    metrics: Arc<Metrics>,
    lock: SessionLock,
    file_watcher: FileWatcher,
    clock: Arc<dyn Clock>,
    life: Life,
    /// What held before the restart, for users that are not known yet.
    restored: Journaled,
    journal: Journal,
    users: Users,
    pacer: Pacer,
    /// At which it sends, and everything else of this application.
    pace: Pace,
    /// How busy the pacer was after the last turn.
    backlog: Backlog,
    /// When to poll the pacer again; `None`: when something has happened.
    pacer_wakes: Option<Instant>,
    phase: Phase,
    /// Set when it leaves: when Graph has dropped every session, so that nothing is left to clear.
    dropped_at: Option<Instant>,
    /// The users file is being read, or waited for.
    is_following: bool,
    /// How many have followed a users file so far.
    followers: u64,
    /// Until when users who appear get back what held before the restart; `None`: there was no user yet.
    restored_until: Option<Instant>,
    /// Users whose readings have changed since the last decision.
    changed: BTreeSet<UserIndex>,
    /// Whether everybody must be decided for again.
    all_changed: bool,
    /// The machine's readings that were last used.
    machine: Option<Snapshot>,
    decided_at: Option<Now>,
    token: TokenState,
    reads: Reads,
    requests: Requests,
    trouble: Option<Trouble>,
    lines: Lines,
    /// Lines of the users file that count for nothing, and why.
    bad_lines: Vec<String>,
    /// Why the users file is not in force.
    roster_trouble: Option<roster::RosterTrouble>,
}

impl Fleet {
    /// A fleet whose users are not known yet, unless they are listed in the configuration.
    pub(super) fn new(
        id: AccountId,
        name: &str,
        config: config::Account,
        resources: Resources<'_>,
        now: &Now,
    ) -> Result<Self, Failure> {
        let Resources { environment, applications, metrics, lock, file_watcher, clock, life, kept } = resources;
        let restored = kept.as_deref().map(|path| journal::read(path, &life, now)).unwrap_or_default();
        let pace = applications.pace(&config);
        let mut fleet = Self {
            id,
            name: name.to_owned(),
            authenticator: Arc::new(Authenticator::sharing(
                name,
                &config,
                environment,
                &applications.tokens,
                Arc::clone(&metrics),
            )),
            client: applications.client(&config)?,
            metrics,
            lock,
            file_watcher,
            clock,
            life,
            restored,
            journal: Journal::start(kept),
            users: Users::default(),
            pacer: Pacer::new(pace.clone(), None, now),
            pace,
            backlog: Backlog::default(),
            pacer_wakes: None,
            phase: Phase::Loading,
            dropped_at: None,
            is_following: false,
            followers: 0,
            restored_until: None,
            changed: BTreeSet::new(),
            all_changed: false,
            machine: None,
            decided_at: None,
            token: TokenState::absent(),
            reads: Reads::default(),
            requests: Requests::default(),
            trouble: None,
            lines: Lines::default(),
            bad_lines: Vec::new(),
            roster_trouble: None,
            config,
        };
        fleet.load_configured(now);
        Ok(fleet)
    }

    /// Decides for everybody whose decision may have changed, and sends what the pacer lets through. `readings`: `None` if they are
    /// not complete yet.
    pub(super) fn turn(
        &mut self,
        readings: Option<&Readings<'_>>,
        rules: &[Rule],
        session: &config::Session,
        tasks: &mut JoinSet<Done>,
        now: &Now,
    ) {
        self.follow_roster(tasks);
        if let Some(readings) = readings {
            for user in self.whom_to_decide_for(readings.machine, now) {
                self.decide_for(user, readings, rules, session, now);
            }
        }
        self.send(tasks, now);
        self.backlog = self.pacer.backlog(now);
    }

    /// The users whose decision may have changed. Remembers `machine`.
    fn whom_to_decide_for(&mut self, machine: &Snapshot, now: &Now) -> BTreeSet<UserIndex> {
        let is_set_back = self
            .decided_at
            .as_ref()
            .is_some_and(|before| now.zone != before.zone || now.wall.duration_since(before.wall) < -STEP_BACK);
        self.decided_at = Some(now.clone());
        let is_other_machine = self.machine.as_ref() != Some(machine);
        if is_other_machine {
            self.machine = Some(machine.clone());
        }
        let mut whom = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.all_changed) || is_set_back || is_other_machine {
            whom.extend(self.users.iter().map(|(index, _)| index));
        } else {
            whom.extend(self.users.due(now));
        }
        whom
    }

    fn decide_for(
        &mut self,
        index: UserIndex,
        readings: &Readings<'_>,
        rules: &[Rule],
        session: &config::Session,
        now: &Now,
    ) {
        let Some(user) = self.users.get(index) else { return };
        if user.dismissed_at.is_some_and(|at| at <= now.instant) {
            return self.dismiss(index, now);
        }
        if user.is_leaving {
            // It may be due because what is held has faded.
            self.users.update(index, now, |_| {});
            return;
        }
        let own = user.readings(&self.name, readings, now);
        let decision = decide(rules, own.as_ref().unwrap_or(readings.machine), now);
        let expiration = decision.expiration.unwrap_or(session.expiration);
        let wish = decision.presence.map(|presence| Target { presence, expiration });
        let has_ended = user.decide_at.is_some_and(|at| at <= now.instant);
        if has_ended || user.decision.as_deref() != Some(&decision) {
            self.users.note_news(index);
        }
        self.users.update(index, now, |user| {
            user.decide_at = user.own.as_ref().and_then(|own| own.next_end(now));
            user.decide_at_wall = decision.until;
            let same = |before: &crate::policy::Decision| {
                (before.presence, &before.rule) == (decision.presence, &decision.rule)
            };
            if !user.decision.as_deref().is_some_and(same) {
                user.since = Some(rounded(now.wall));
            }
            user.decision = Some(Box::new(decision));
        });
        self.wish(index, wish, now);
    }

    /// What a user should hold may have changed.
    fn wish(&mut self, index: UserIndex, wish: Option<Target>, now: &Now) {
        let Some(user) = self.users.get(index) else { return };
        let is_first = user.session.action().is_none();
        if user.wish == wish && !is_first {
            return;
        }
        self.users.update(index, now, |user| {
            user.wish = wish;
            user.session.handle_wish(wish);
            // Unless it is again what Graph holds.
            user.changed_at = Some(now.instant).filter(|_| !is_first && user.session.differs());
            // The read says whether Graph holds the first wish.
            user.awaits_read &= is_first;
        });
        self.ask_for_turn(index, now);
    }

    /// Tells the pacer whether there is something to say for this user.
    fn ask_for_turn(&mut self, index: UserIndex, now: &Now) {
        let Some(user) = self.users.get(index) else { return };
        // The answer to what is on its way is looked at before anything else is sent.
        if user.flight.is_some() || user.awaits_read {
            return;
        }
        if user.session.differs() {
            self.pacer.handle_change(index, user.desired() == Some(Presence::InACall), now);
        } else {
            self.pacer.handle_settled(index);
        }
    }

    /// Changes what is set for one user.
    pub(super) fn change(
        &mut self,
        user: &str,
        change: &UserChange,
        writer: Option<&str>,
        now: &Now,
    ) -> Result<(), NotDone> {
        let known = if change.is_setting() { self.find_or_add(user, now) } else { self.users.find(user) };
        let index = known.ok_or(NotDone::UnknownUser)?;
        let applied = self.users.update(index, now, |user| {
            let mut own = user.own.take().unwrap_or_default();
            let applied = own.apply(change, writer, now);
            user.own = Some(own).filter(|own| !own.is_empty());
            applied
        });
        applied.ok_or(NotDone::UnknownUser)?.map_err(NotDone::Refused)?;
        self.changed.insert(index);
        self.users.note_news(index);
        if let Some(user) = self.users.get(index) {
            self.journal.note(&user.id, &Own::kept(user.own.as_deref(), &self.life, now));
        }
        Ok(())
    }

    /// What the user of this name has alone has changed.
    pub(super) fn owner_changed(&mut self, name: &str, now: &Now) {
        let index = if crate::config::is_object_id(name) { self.find_or_add(name, now) } else { self.users.find(name) };
        self.changed.extend(index);
    }

    /// What everybody's decision follows from has changed.
    pub(super) fn all_changed(&mut self) {
        self.all_changed = true;
    }

    /// Keeps what was changed. The receiver ends when it is on the disk, or cannot be written.
    pub(super) fn keep(&mut self, now: &Now) -> oneshot::Receiver<()> {
        let done = self.journal.flush();
        if self.journal.is_long() {
            self.rewrite_journal(now);
        }
        done
    }

    fn rewrite_journal(&mut self, now: &Now) {
        let life = &self.life;
        let set = self.users.iter().filter_map(|(_, user)| Some((user.id.as_str(), user.own.as_deref()?)));
        self.journal.replace(set.map(|(id, own)| (id, Own::kept(Some(own), life, now))));
    }

    /// Whether the users will be known in a moment.
    pub(super) fn is_loading(&self) -> bool {
        self.phase == Phase::Loading && self.roster_trouble.is_none()
    }

    /// Whether there is a user of this id or name.
    pub(super) fn has(&self, user: &str) -> bool {
        self.users.find(user).is_some()
    }

    /// When to take the next turn, on both clocks. `decides`: whether that turn can decide.
    pub(super) fn next_wakeup(&self, decides: bool, now: &Now) -> (Option<Instant>, Option<Timestamp>) {
        // Users who are due stay so while readings are missing. Their wakeup would be useless, and due at once.
        let (due, due_by_wall) = if decides { self.users.next_due() } else { (None, None) };
        let sends = if self.token.is_present() { self.pacer_wakes } else { self.token.next_attempt() };
        let sends = sends.filter(|_| self.may_send());
        let visible = self.trouble.as_ref().map(Trouble::visible_at).filter(|at| *at > now.instant);
        // The last request no longer counts against the rate.
        let unused = self.backlog.unused_at;
        ([due, sends, visible, self.dropped_at, unused].into_iter().flatten().min(), due_by_wall)
    }

    /// The machine was asleep: the connections are dead.
    pub(super) fn wake(&mut self) {
        self.client.reconnect();
        self.authenticator.abandon_renewal();
        self.token.try_now();
    }

    /// The network came back, or somebody changed the setup.
    pub(super) fn nudge(&mut self) {
        self.token.try_now();
    }
}
