//! How requests leave a fleet, and what their answers change.
//!
//! Leaves to others: whose request goes when (`pacer/`), how one request travels ([`Exchange`]), and what a read shows
//! ([`super::reads`]).

use tokio::task::JoinSet;
use tracing::debug;

use crate::failure::{Extent, Failure, FailureKind};
use crate::pacer::{Answer, Item, Next, Ticket, UserIndex, Work};
use crate::session::Action;
use crate::time::Now;

use super::super::exchange::Exchange;
use super::own::Own;
use super::task::{Done, Ended};
use super::user::Flight;
use super::{Fleet, Phase};
use crate::tasks::spawn_into;

impl Fleet {
    /// Sends what the pacer lets through, if there is a token. Without one, asks for it.
    pub(super) fn send(&mut self, tasks: &mut JoinSet<Done>, now: &Now) {
        if !self.may_send() {
            return;
        }
        if let Some(fresh) = self.token.ask(now.instant) {
            let (fleet, exchange) = (self.id, self.exchange(now));
            spawn_into(tasks, async move {
                let asked = exchange.bearer(fresh).await;
                Done { fleet, ended: Ended::Token(asked.map(|_| ())) }
            });
        }
        while self.token.is_present() {
            match self.pacer.poll(now) {
                Next::Send(items) => self.dispatch(&items, tasks, now),
                Next::Wait(until) => {
                    self.pacer_wakes = until;
                    self.journal.keep_slot(self.pacer.earliest_slot(), now);
                    if self.journal.is_long() {
                        self.rewrite_journal(now);
                    }
                    break;
                }
            }
        }
    }

    /// Whether it is known who the users are and what they should hold.
    pub(super) fn may_send(&self) -> bool {
        !self.users.is_empty() && (self.decided_at.is_some() || self.phase == Phase::Leaving)
    }

    fn dispatch(&mut self, items: &[Item], tasks: &mut JoinSet<Done>, now: &Now) {
        let fleet = self.id;
        let (mut flown, mut writes) = (Vec::new(), Vec::new());
        for Item { ticket, work } in items.iter().copied() {
            match work {
                Work::Read(read) => self.dispatch_read(ticket, read, tasks, now),
                Work::User { user: index, .. } => {
                    let Some((id, action)) =
                        self.users.get(index).and_then(|user| Some((user.id.clone(), user.session.action()?)))
                    else {
                        self.pacer.handle_answer(ticket, Answer::Done(None), now);
                        continue;
                    };
                    self.users.update(index, now, |user| {
                        user.flight = Some(Flight { ticket, action, sent_at: now.instant });
                    });
                    flown.push((index, ticket));
                    writes.push((id, action));
                }
            }
        }
        if !writes.is_empty() {
            self.requests.sent += writes.len() as u64;
            let exchange = self.exchange(now);
            spawn_into(
                tasks,
                async move { Done { fleet, ended: Ended::Writes(flown, exchange.write_many(writes).await) } },
            );
        }
    }

    pub(super) fn exchange(&self, now: &Now) -> Exchange {
        Exchange {
            authenticator: self.authenticator.clone(),
            client: self.client.clone(),
            account: self.config.clone(),
            now: now.clone(),
            metrics: self.metrics.clone(),
            lock: self.lock.clone(),
        }
    }

    /// Handles the end of a task.
    pub(in crate::daemon) fn finish(&mut self, done: Done, tasks: &mut JoinSet<Done>, now: &Now) {
        match done.ended {
            Ended::Token(Ok(())) => self.token.arrive(),
            Ended::Token(Err(failure)) => self.lack_token(&failure, now),
            Ended::Writes(flown, Ok(outcomes)) => {
                for ((user, ticket), outcome) in flown.into_iter().zip(outcomes) {
                    self.finish_write(user, ticket, outcome, now);
                }
            }
            Ended::Writes(flown, Err(failure)) => {
                for (user, ticket) in flown {
                    self.users.update(user, now, |user| user.flight.take_if(|flight| flight.ticket == ticket));
                    self.pacer.handle_answer(ticket, Answer::Again, now);
                }
                self.lack_token(&failure, now);
            }
            Ended::Read(ticket, read, Ok(outcome)) => self.finish_read(ticket, read, outcome, now),
            Ended::Read(ticket, _, Err(failure)) => {
                self.pacer.handle_answer(ticket, Answer::Again, now);
                self.lack_token(&failure, now);
            }
            Ended::Roster(followed) => self.take_roster(*followed, tasks, now),
        }
    }

    fn lack_token(&mut self, failure: &Failure, now: &Now) {
        self.token.fail(failure, now.instant);
        self.note_trouble(failure, now);
    }

    fn finish_write(&mut self, index: UserIndex, ticket: Ticket, outcome: Result<(), Failure>, now: &Now) {
        let flight = self.users.get(index).and_then(|user| user.flight).filter(|flight| flight.ticket == ticket);
        let Some(Flight { action, sent_at, .. }) = flight else {
            // The user was removed meanwhile.
            self.pacer.handle_answer(ticket, outcome.as_ref().map_or_else(Answer::from, |()| Answer::Done(None)), now);
            return;
        };
        match outcome {
            Ok(()) => {
                let done = self.users.update(index, now, |user| {
                    (user.flight, user.reason) = (None, None);
                    user.session.handle_done(action, sent_at);
                    let changed_at = user.changed_at.take_if(|_| user.session.action() == Some(action));
                    (user.session.asserted(now.instant), changed_at)
                });
                let (held, changed_at) = done.unwrap_or_default();
                if let Some(changed_at) = changed_at {
                    self.metrics.note_change(&self.name, now.instant.saturating_since(changed_at));
                }
                self.token.accept();
                self.end_trouble(sent_at);
                self.pacer.handle_answer(ticket, Answer::Done(held), now);
            }
            Err(failure) => {
                self.count_failure(&failure);
                let reason = is_about_the_user(&failure).then(|| self.reason(&failure, now));
                self.users.update(index, now, |user| {
                    user.flight = None;
                    user.session.handle_failure(action, &failure, now.instant);
                    if reason.is_some() {
                        user.reason = reason;
                    }
                });
                self.pacer.handle_answer(ticket, Answer::from(&failure), now);
                if failure.kind == FailureKind::TokenRefused || failure.kind == FailureKind::SignInNeeded {
                    self.token.refuse(&failure, now.instant);
                }
                if !is_about_the_user(&failure) {
                    self.note_trouble(&failure, now);
                }
            }
        }
        self.go_on(index, action, now);
    }

    /// What follows for a user whose request has ended: it is gone, or there is something new to say.
    fn go_on(&mut self, index: UserIndex, done: Action, now: &Now) {
        let Some(user) = self.users.get(index) else { return };
        if user.is_leaving && (user.is_refused() || !user.session.differs()) {
            self.remove(index, now);
        } else if user.session.action() != Some(done) {
            self.ask_for_turn(index, now);
        } else {
            self.users.update(index, now, |_| {});
        }
    }

    /// Nothing is left to do for a user who leaves.
    pub(super) fn remove(&mut self, index: UserIndex, now: &Now) {
        debug!(account = self.name, user = self.users.get(index).map(|user| &user.id), "removed");
        if let Some(user) = self.users.get(index).filter(|user| user.own.is_some()) {
            // If the user comes back, nothing is set, also after a restart.
            self.journal.note(&user.id, &Own::kept(None, &self.life, now));
            drop(self.journal.flush());
        }
        self.pacer.handle_removed(index);
        self.changed.remove(&index);
        self.users.remove(index);
    }

    pub(super) fn count_failure(&mut self, failure: &Failure) {
        self.requests.failed += 1;
        self.requests.throttled += u64::from(failure.kind == FailureKind::Throttled);
    }
}

/// Whether a failure says something about this user, and not about the service or the sign-in.
fn is_about_the_user(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Refused => true,
        FailureKind::Passing => failure.extent == Extent::Request,
        FailureKind::Throttled | FailureKind::TokenRefused | FailureKind::SignInNeeded => false,
    }
}
