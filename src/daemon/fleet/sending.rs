//! How requests leave a fleet and what their answers change: the token, the writes that the pacer lets through, and the reads of
//! the start.
//!
//! Leaves to others: whose request goes when (`pacer/`), and how one request travels ([`Exchange`]).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::failure::{Extent, Failure, FailureKind, Missing};
use crate::pacer::{Answer, Item, Next, ReadIndex, Ticket, UserIndex, Work};
use crate::session::{Action, Seen, timing};
use crate::time::{Instant, Now};
use crate::warning::Code;

use super::super::account::AccountId;
use super::super::exchange::Exchange;
use super::super::rounded;
use super::Fleet;
use super::roster;
use super::user::{Flight, Reason};

/// How many users one read returns. Source: Graph, `getPresencesByUserId`.
const USERS_IN_A_READ: usize = 650;

/// How often a read is tried before its users are set without it.
const READ_ATTEMPTS: u8 = 3;

/// The waits for a token double from the first to the second.
const TOKEN_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// A task of a fleet has ended.
#[derive(Debug)]
pub(in crate::daemon) struct Done {
    pub(in crate::daemon) fleet: AccountId,
    pub(super) ended: Ended,
}

/// Which task it was. The outer error of a result says that nothing was sent.
#[derive(Debug)]
pub(super) enum Ended {
    Token(Result<(), Failure>),
    Writes(Vec<(UserIndex, Ticket)>, Result<Vec<Result<(), Failure>>, Failure>),
    Read(Ticket, ReadIndex, Result<Result<HashMap<String, Seen>, Failure>, Failure>),
    Roster(Box<roster::Followed>),
}

/// Whether there is a token to send with.
#[derive(Debug)]
pub(super) struct TokenState {
    stage: Stage,
    failures: u32,
}

#[derive(Debug)]
enum Stage {
    /// `fresh`: the last one was refused.
    Absent {
        next_attempt: Instant,
        fresh: bool,
    },
    Asked,
    Present,
}

impl TokenState {
    pub(super) fn absent() -> Self {
        Self { stage: Stage::Absent { next_attempt: Instant::default(), fresh: false }, failures: 0 }
    }

    /// The next attempt need not wait.
    pub(super) fn try_now(&mut self) {
        if let Stage::Absent { next_attempt, .. } = &mut self.stage {
            *next_attempt = Instant::default();
        }
    }

    /// When to ask for a token. The outer `None`: there is one.
    pub(super) fn next_attempt(&self, is_needed: bool) -> Option<Option<Instant>> {
        match self.stage {
            Stage::Absent { next_attempt, .. } => Some(Some(next_attempt).filter(|_| is_needed)),
            Stage::Asked => Some(None),
            Stage::Present => None,
        }
    }

    /// Notes that there is none, because of this failure.
    fn fail(&mut self, failure: &Failure, now: Instant) {
        let doubled = TOKEN_WAIT.0.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures += 1;
        let is_lock = matches!(failure.missing.as_deref(), Some(Missing::Lock(_)));
        let wait = match failure.kind {
            FailureKind::Refused | FailureKind::SignInNeeded if !is_lock => timing::REFUSED_RETRY_INTERVAL,
            _ => doubled.min(TOKEN_WAIT.1).max(failure.retry_after.unwrap_or_default()),
        };
        self.stage = Stage::Absent { next_attempt: now + wait, fresh: false };
    }

    /// Graph refused it. The first time, another one is asked for at once.
    fn refuse(&mut self, failure: &Failure, now: Instant) {
        if !matches!(self.stage, Stage::Present) {
            return;
        }
        let is_first = self.failures == 0;
        self.fail(failure, now);
        if let Stage::Absent { next_attempt, fresh } = &mut self.stage {
            *fresh = true;
            if is_first {
                *next_attempt = now;
            }
        }
    }
}

/// Nothing gets through, or not at the pace that was planned.
#[derive(Debug)]
pub(super) struct Trouble {
    began: Instant,
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

/// The reads of the start that are not done.
#[derive(Debug, Default)]
pub(super) struct Reads {
    open: HashMap<ReadIndex, Chunk>,
    /// Why nobody is read any more.
    pub(super) refused: Option<Failure>,
}

#[derive(Debug)]
struct Chunk {
    users: Vec<UserIndex>,
    attempts: u8,
}

impl Fleet {
    /// Reads these users before they are set.
    pub(super) fn read(&mut self, users: &[UserIndex]) {
        for (read, users) in (0..).map(ReadIndex).zip(users.chunks(USERS_IN_A_READ)) {
            self.reads.open.insert(read, Chunk { users: users.to_vec(), attempts: 0 });
            self.pacer.handle_read(read);
        }
    }

    /// Sends what the pacer lets through, if there is a token. Without one, asks for it.
    pub(super) fn send(&mut self, tasks: &mut JoinSet<Done>, now: &Now) {
        if self.users.is_empty() || !self.is_loaded || self.decided_at.is_none() {
            self.pacer_wakes = None;
            return;
        }
        match self.token.stage {
            Stage::Absent { next_attempt, fresh } if next_attempt <= now.instant => {
                self.token.stage = Stage::Asked;
                let (fleet, exchange) = (self.id, self.exchange(now));
                tasks.spawn(async move {
                    let asked = exchange.bearer(fresh).await;
                    Done { fleet, ended: Ended::Token(asked.map(|_| ())) }
                });
            }
            Stage::Absent { .. } | Stage::Asked => {}
            Stage::Present => loop {
                match self.pacer.poll(now) {
                    Next::Send(items) => self.dispatch(&items, tasks, now),
                    Next::Wait(until) => {
                        self.pacer_wakes = until;
                        break;
                    }
                }
            },
        }
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
            tasks.spawn(async move { Done { fleet, ended: Ended::Writes(flown, exchange.write_many(writes).await) } });
        }
    }

    fn dispatch_read(&mut self, ticket: Ticket, read: ReadIndex, tasks: &mut JoinSet<Done>, now: &Now) {
        let users = self.reads.open.get(&read).map(|chunk| chunk.users.as_slice()).unwrap_or_default();
        let ids: Vec<_> = users.iter().filter_map(|user| Some(self.users.get(*user)?.id.clone())).collect();
        if ids.is_empty() {
            self.pacer.handle_answer(ticket, Answer::Done(None), now);
            return;
        }
        self.requests.sent += 1;
        let (fleet, exchange) = (self.id, self.exchange(now));
        tasks.spawn(async move { Done { fleet, ended: Ended::Read(ticket, read, exchange.read_many(ids).await) } });
    }

    fn exchange(&self, now: &Now) -> Exchange {
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
            Ended::Token(Ok(())) => self.token.stage = Stage::Present,
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
                let held = self.users.update(index, now, |user| {
                    (user.flight, user.reason) = (None, None);
                    user.session.handle_done(action, sent_at);
                    user.session.asserted(now.instant)
                });
                self.token.failures = 0;
                self.end_trouble();
                self.pacer.handle_answer(ticket, Answer::Done(held.flatten()), now);
            }
            Err(failure) => {
                self.count_failure(&failure);
                let reason = is_about_the_user(&failure).then(|| self.reason(&failure));
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
        let is_refused = user.reason.as_ref().is_some_and(|reason| reason.kind == FailureKind::Refused);
        if user.is_leaving && (is_refused || !user.session.differs()) {
            debug!(account = self.name, user = user.id, "removed");
            self.pacer.handle_removed(index);
            self.changed.remove(&index);
            self.users.remove(index);
        } else if user.session.action() != Some(done) {
            self.ask_for_turn(index);
        } else {
            self.users.update(index, now, |_| {});
        }
    }

    fn finish_read(
        &mut self,
        ticket: Ticket,
        read: ReadIndex,
        outcome: Result<HashMap<String, Seen>, Failure>,
        now: &Now,
    ) {
        let answer = outcome.as_ref().map_or_else(Answer::from, |_| Answer::Done(None));
        self.pacer.handle_answer(ticket, answer, now);
        match outcome {
            Ok(seen) => {
                let users = self.reads.open.remove(&read).map(|chunk| chunk.users).unwrap_or_default();
                self.end_trouble();
                self.compare(&users, &seen, now);
            }
            Err(failure) => {
                self.count_failure(&failure);
                if failure.kind == FailureKind::Refused {
                    warn!(
                        account = self.name,
                        hint = failure.hint,
                        "cannot read what others see, so everybody is set: {failure}"
                    );
                    self.reads.refused = Some(failure);
                    for read in self.reads.open.keys().copied().collect::<Vec<_>>() {
                        self.give_up(read, now);
                    }
                    return;
                }
                if matches!(answer, Answer::Again | Answer::Throttled { .. }) {
                    // The pacer asks again by itself.
                    if answer == Answer::Again {
                        self.token.refuse(&failure, now.instant);
                    }
                    return self.note_trouble(&failure, now);
                }
                self.note_trouble(&failure, now);
                let Some(chunk) = self.reads.open.get_mut(&read) else { return };
                chunk.attempts += 1;
                if chunk.attempts < READ_ATTEMPTS { self.pacer.handle_read(read) } else { self.give_up(read, now) }
            }
        }
    }

    /// The users of this read are set without it.
    fn give_up(&mut self, read: ReadIndex, now: &Now) {
        let users = self.reads.open.remove(&read).map(|chunk| chunk.users).unwrap_or_default();
        self.compare(&users, &HashMap::new(), now);
    }

    /// Those who have what they should have are on the wheel; the others are set.
    fn compare(&mut self, users: &[UserIndex], seen: &HashMap<String, Seen>, now: &Now) {
        for index in users.iter().copied() {
            let Some(user) = self.users.get(index).filter(|user| user.awaits_read) else { continue };
            let found = user.wish.flatten().filter(|target| {
                seen.get(&user.id).is_some_and(|seen| {
                    (seen.availability.as_str(), seen.activity.as_str())
                        == (target.presence.availability(), target.presence.activity())
                })
            });
            let is_found = self.users.update(index, now, |user| {
                user.awaits_read = false;
                found.is_some() && user.session.handle_found()
            });
            match found {
                Some(target) if is_found == Some(true) => self.pacer.handle_found(index, target, now),
                Some(_) | None => self.ask_for_turn(index),
            }
        }
    }

    fn count_failure(&mut self, failure: &Failure) {
        self.requests.failed += 1;
        self.requests.throttled += u64::from(failure.kind == FailureKind::Throttled);
    }

    fn reason(&self, failure: &Failure) -> std::sync::Arc<Reason> {
        let (text, hint) = (failure.text.clone(), failure.hint.clone());
        let reason = Reason { kind: failure.kind, text, hint };
        if !self.users.reasons().contains_key(&reason) {
            warn!(account = self.name, hint = failure.hint, "a user is not served: {failure}");
        }
        self.users.shared(reason)
    }

    fn note_trouble(&mut self, failure: &Failure, now: &Now) {
        let code = match failure.kind {
            FailureKind::SignInNeeded => Code::SignInNeeded,
            FailureKind::Refused => Code::Refused,
            FailureKind::Throttled => Code::Throttled,
            FailureKind::Passing | FailureKind::TokenRefused => Code::ServiceUnavailable,
        };
        let last_at = rounded(now.wall);
        let before = self.trouble.as_ref().filter(|before| before.code == code);
        if before.is_none_or(|before| before.failure.text != failure.text) {
            warn!(account = self.name, kind = failure.kind.as_str(), hint = failure.hint, "{failure}");
        }
        self.trouble = Some(Trouble {
            began: self.trouble.as_ref().map_or(now.instant, |before| before.began),
            since: before.map_or(last_at, |before| before.since),
            last_at,
            code,
            failure: failure.clone(),
        });
    }

    fn end_trouble(&mut self) {
        if self.trouble.take().is_some() {
            info!(account = self.name, "working again");
        }
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
