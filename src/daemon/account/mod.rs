//! One account at work: it feeds its session with decisions and outcomes, and sends the requests that the session asks for.
//! Its failures stay its own: no account waits for another.
//!
//! - [`in_force`] has the decision that the session should follow,
//! - [`trouble`] turns failures into warnings,
//! - [`report`] has what `status` and the history show,
//! - [`keyring_wait`] waits until the keyring has changed,
//! - [`leaving`] ends a session, or hands it over to another account.
//!
//! Leaves to others: what each failure means for the next attempt (`session/`), and how one request travels
//! ([`Exchange`](super::exchange::Exchange)).

mod in_force;
mod keyring_wait;
mod leaving;
mod lock_wait;
mod report;
mod trouble;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::{AbortHandle, JoinSet};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, error_span, info, warn};

use crate::auth::{Authenticator, Token};
use crate::config;
use crate::failure::{Applied, Failure, FailureKind};
use crate::graph::Client;
use crate::metrics::Metrics;
use crate::pacer::Pace;
use crate::policy::Decision;
use crate::presence::Presence;
use crate::session::{Ours, ReadId, Request, RequestId, Seen, Session, State, Target, Verify, Why};
use crate::signals::FileWatcher;
use crate::status::report::Requests;
use crate::time::{Instant, Now};

use super::applications::Applications;
use super::exchange::Exchange;
use super::rounded;
use super::session_lock::{Locks, SessionLock};
use crate::tasks::spawn_into;
use in_force::InForce;
use keyring_wait::KeyringWait;
use lock_wait::LockWait;
use report::ConfirmedAt;
use trouble::Trouble;

/// Identifies one account of one configuration, so that an outcome never reaches an account of the same name in a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AccountId(pub(super) u64);

/// A task of an account has ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) account: AccountId,
    ended: Ended,
}

/// Which task it was, and its outcome.
#[derive(Debug)]
enum Ended {
    Write(RequestId, Result<(), Failure>),
    Read(ReadId, Result<Seen, Failure>),
    SignIn(Arc<Authenticator>, Result<Token, Failure>),
    /// A token was fetched in the background.
    Renewal,
    KeyringChanged,
    LockFree,
}

/// One account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) name: String,
    pub(super) config: config::Account,
    session: Session,
    verify: Verify,
    authenticator: Arc<Authenticator>,
    client: Arc<Client>,
    /// At which everything of this application is sent.
    pace: Pace,
    metrics: Arc<Metrics>,
    in_force: InForce,
    in_flight: Option<InFlight>,
    confirmed_at: ConfirmedAt,
    requests: Requests,
    trouble: Option<Trouble>,
    keyring_wait: KeyringWait,
    lock: SessionLock,
    lock_wait: LockWait,
    file_watcher: FileWatcher,
    /// The task that waits, or waited, for the end of a renewal in the background.
    renewal_wait: Option<AbortHandle>,
    /// Whether to ask for a token, to learn if the sign-in is still valid. Waits until no write is in flight or failing.
    check_sign_in: bool,
    /// Somebody signed out. The session would not notice before its next request.
    signed_out: bool,
    /// The machine is asleep or about to be. Failures that may pass cause no warning then.
    asleep: bool,
    /// Set when it leaves: the time after which Graph has dropped its session, so that nothing is left to clear.
    dropped_at: Option<Instant>,
}

/// What an account uses of the daemon.
pub(super) struct Resources<'a> {
    pub(super) environment: &'a config::Environment,
    pub(super) metrics: Arc<Metrics>,
    pub(super) applications: &'a mut Applications,
    pub(super) locks: &'a Locks,
    pub(super) file_watcher: FileWatcher,
}

/// A write that was sent and not answered yet.
#[derive(Debug)]
struct InFlight {
    request: Request,
    task: AbortHandle,
    sent_at: Timestamp,
    /// The number of the decision it was sent for.
    decision: u64,
    /// What the log shows with it: the account, the decision, and the request's ids.
    span: Span,
}

impl Account {
    /// A new account, with nothing held yet.
    pub(super) fn new(
        id: AccountId,
        name: &str,
        config: config::Account,
        resources: Resources<'_>,
    ) -> Result<Self, Failure> {
        let Resources { environment, metrics, applications, locks, file_watcher } = resources;
        let lock = locks.of(&config);
        let tokens = &applications.tokens;
        let authenticator = Authenticator::sharing(name, &config, environment, tokens, Arc::clone(&metrics));
        Ok(Self {
            id,
            name: name.to_owned(),
            session: Session::new(fastrand::u64(..)),
            verify: Verify::default(),
            authenticator: Arc::new(authenticator),
            client: applications.client(&config)?,
            pace: applications.pace(&config),
            config,
            metrics,
            in_force: InForce::default(),
            in_flight: None,
            confirmed_at: ConfirmedAt::default(),
            requests: Requests::default(),
            trouble: None,
            keyring_wait: KeyringWait::default(),
            lock,
            lock_wait: LockWait::default(),
            file_watcher,
            renewal_wait: None,
            check_sign_in: false,
            signed_out: false,
            asleep: false,
            dropped_at: None,
        })
    }

    /// Whether `decision` differs from the one in force.
    pub(super) fn is_news(&self, decision: &Decision) -> bool {
        self.in_force.is_news(decision)
    }

    /// Puts `decision` in force. If it differs from the one before, it gets `number`.
    pub(super) fn decide(&mut self, decision: Decision, number: u64, session: &config::Session, now: &Now) {
        if self.is_news(&decision) {
            info!(
                decision = number,
                account = self.name,
                presence = decision.presence.map_or_else(|| "nothing".to_owned(), |presence| presence.to_string()),
                prefer = decision.prefer,
                rule = decision.rule.as_deref(),
                because = decision.because,
                "decided"
            );
        }
        let expiration = decision.expiration.unwrap_or(session.expiration);
        match decision.presence.map(|presence| Target { presence, expiration }) {
            Some(target) if decision.prefer => self.session.handle_wish_to_prefer(target, now.instant),
            wish => self.session.handle_wish(wish, now.instant),
        }
        self.verify.handle_switch(session.verify, now.instant);
        self.in_force.replace(decision, number, now);
    }

    /// When the decision changes by itself.
    pub(super) fn decision_until(&self) -> Option<Timestamp> {
        self.in_force.decision.as_ref().and_then(|decision| decision.until)
    }

    /// Whether nothing will happen before `until` unless an event arrives.
    pub(super) fn rests_until(&self, until: Instant, now: &Now) -> bool {
        self.session.rests_until(until, now.instant)
    }

    /// A new attempt is worthwhile now.
    pub(super) fn nudge(&mut self) {
        if self.keyring_wait.is_waiting() {
            // Unlocking the screen may also have unlocked the keyring, which is not always announced.
            self.session.handle_setup_changed();
        }
        self.session.handle_nudge();
    }

    /// The network came back.
    pub(super) fn network_back(&mut self, now: &Now) {
        self.session.handle_network_back(now.instant);
    }

    /// The machine is about to sleep: writes that are waiting must go out now.
    pub(super) fn suspend(&mut self) {
        self.asleep = true;
        self.session.handle_suspend();
    }

    /// Somebody signed in or out, or changed the configuration, so the current token proves nothing any more. A new one is
    /// requested as soon as the session is quiet, even if no request needs it: that shows at once whether anyone is signed in.
    pub(super) fn setup_changed(&mut self, environment: &config::Environment, now: &Now) {
        self.check_sign_in = true;
        self.signed_out &= self.is_quiet(now);
        self.authenticator = Arc::new(self.authenticator.anew(environment));
        self.session.handle_setup_changed();
        self.verify.handle_setup_changed(now.instant);
    }

    /// Sends what is due.
    pub(super) fn drain(&mut self, tasks: &mut JoinSet<Done>, now: &Now) {
        let account = self.id;
        self.keyring_wait.start(account, tasks);
        self.lock_wait.start(account, &self.file_watcher, tasks);
        if self.verify.poll_set_again(now.instant) {
            if let Some(seen) = self.verify.lost(now.instant) {
                let (availability, activity) = (&seen.availability, &seen.activity);
                warn!(
                    account = self.name,
                    "the session was lost: others see {availability}/{activity}; it is set again"
                );
            }
            self.session.handle_lost();
        }
        let is_keepalive = self.keepalive(now).is_some_and(|at| at <= now.instant);
        if self.may_send(now)
            && let Some(request) = self.session.poll_request(now.instant)
        {
            self.pace.note_sent(1, now.instant);
            if is_keepalive {
                self.file_watcher.look(now.instant);
            }
            self.requests.sent += 1;
            let id = request.id;
            let span = self.span();
            let write = self.exchange(now).write(request).instrument(span.clone());
            let task = spawn_into(tasks, async move { Done { account, ended: Ended::Write(id, write.await) } });
            let (sent_at, decision) = (rounded(now.wall), self.in_force.number);
            self.in_flight = Some(InFlight { request, task, sent_at, decision, span });
        }
        if self.check_sign_in && self.is_quiet(now) {
            self.check_sign_in = false;
            let (authenticator, now, span) = (Arc::clone(&self.authenticator), now.clone(), self.span());
            spawn_into(tasks, async move {
                let outcome = authenticator.token(&now, false).instrument(span).await;
                Done { account, ended: Ended::SignIn(authenticator, outcome) }
            });
        }
        // A request that started one usually ends first, and shows nothing of it.
        let is_waiting = self.renewal_wait.as_ref().is_some_and(|wait| !wait.is_finished());
        if !is_waiting && self.in_flight.is_none() && self.authenticator.is_renewing() {
            let authenticator = Arc::clone(&self.authenticator);
            self.renewal_wait = Some(spawn_into(tasks, async move {
                authenticator.renewal_ended().await;
                Done { account, ended: Ended::Renewal }
            }));
        }
        if self.may_send(now)
            && let Some(id) = self.verify.poll_read(self.is_quiet(now), self.keepalive(now), now.instant)
        {
            self.pace.note_sent(1, now.instant);
            self.requests.sent += 1;
            let read = self.exchange(now).read().instrument(self.span());
            spawn_into(tasks, async move { Done { account, ended: Ended::Read(id, read.await) } });
        }
    }

    /// Whether the application's pace lets a request through. The last ones before a suspend and before the end do not wait.
    fn may_send(&self, now: &Now) -> bool {
        self.asleep || self.dropped_at.is_some() || self.pace.next() <= now.instant
    }

    fn exchange(&self, now: &Now) -> Exchange {
        Exchange {
            authenticator: Arc::clone(&self.authenticator),
            client: Arc::clone(&self.client),
            account: self.config.clone(),
            now: now.clone(),
            metrics: Arc::clone(&self.metrics),
            lock: self.lock.clone(),
        }
    }

    /// What the log shows with a request that is sent now. It has the level of errors, so that no filter drops it while it keeps
    /// a line about the request.
    fn span(&self) -> Span {
        let decision = (self.in_force.number > 0).then_some(self.in_force.number);
        error_span!("request", account = self.name, decision, client_request_id = Empty, request_id = Empty)
    }

    /// Why nothing can be held: another process holds the session, and this one has never held it.
    pub(super) fn held_elsewhere(&self) -> Option<&Failure> {
        let trouble = self.trouble.as_ref().filter(|_| self.lock_wait.is_waiting() && !self.lock.is_held())?;
        self.confirmed_at.session.is_none().then_some(&trouble.last)
    }

    /// When the next keepalive is due.
    fn keepalive(&self, now: &Now) -> Option<Instant> {
        self.session.poll_wakeup(now.instant).and_then(|(at, why)| (why == Why::Keepalive).then_some(at))
    }

    /// What others should see.
    fn ours(&self, now: &Now) -> Option<Ours> {
        let preferred = self.session.preferred(now.instant).map(|(target, _)| Ours {
            pair: (target.presence.availability(), target.presence.preferred_activity()),
            is_preferred: true,
        });
        let asserted = self.session.asserted(now.instant).map(|(target, _)| Ours {
            pair: (target.presence.availability(), target.presence.activity()),
            is_preferred: false,
        });
        preferred.or(asserted)
    }

    /// Whether no write is in flight or failing.
    fn is_quiet(&self, now: &Now) -> bool {
        self.in_flight.is_none() && matches!(self.session.state(now.instant), State::Holding | State::Released)
    }

    /// Handles the end of a task.
    pub(super) fn finish(&mut self, done: &Done, now: &Now) {
        match &done.ended {
            Ended::Write(id, outcome) => self.finish_write(*id, outcome.as_ref().copied(), now),
            Ended::SignIn(authenticator, outcome) if Arc::ptr_eq(authenticator, &self.authenticator) => {
                self.finish_sign_in(outcome.as_ref().err(), now);
            }
            // A sign-in that was started before the setup changed again; a renewal shows in the report of the next turn.
            Ended::SignIn(..) | Ended::Renewal => {}
            Ended::Read(id, outcome) => {
                self.verify.handle_outcome(*id, outcome.as_ref(), self.ours(now), now.instant);
                match outcome {
                    Ok(_) => self.confirmed_at.seen = Some(rounded(now.wall)),
                    Err(failure) => {
                        self.count_failure(failure);
                        self.keyring_wait.note(failure);
                        warn!(account = self.name, "cannot read what others see: {failure}");
                    }
                }
            }
            Ended::LockFree => {
                info!(account = self.name, "the session's lock is free");
                self.lock_wait.end();
                self.session.handle_setup_changed();
            }
            Ended::KeyringChanged => {
                info!(account = self.name, "the keyring has changed");
                self.keyring_wait.end();
                self.session.handle_setup_changed();
                self.verify.handle_setup_changed(now.instant);
            }
        }
    }

    fn finish_sign_in(&mut self, failure: Option<&Failure>, now: &Now) {
        let was_signed_out = self.signed_out;
        self.signed_out = failure.is_some_and(|failure| failure.kind == FailureKind::SignInNeeded);
        match failure {
            Some(failure) if self.signed_out || was_signed_out => {
                self.span().in_scope(|| self.note_trouble(failure, now));
            }
            // The next request shows what it means.
            Some(failure) => warn!(account = self.name, "no token: {failure}"),
            None if was_signed_out && self.trouble.take().is_some() => info!(account = self.name, "working again"),
            None => {}
        }
    }

    fn finish_write(&mut self, id: RequestId, outcome: Result<(), &Failure>, now: &Now) {
        let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.request.id == id) else { return };
        let claimed = self.claimed(now);
        self.session.handle_outcome(id, outcome, now.instant);
        // The log lines below belong to this request.
        let _in_flight = in_flight.span.enter();
        match outcome {
            Ok(()) => {
                self.signed_out = false;
                let changed = self.claimed(now) != claimed;
                self.verify.handle_confirmed(changed, now.instant);
                self.note_answer(&in_flight, changed, now);
                // The session may be fine while its preferred presence is still refused.
                if self.session.state(now.instant) != State::Refused && self.trouble.take().is_some() {
                    info!("working again");
                }
                if in_flight.request.action.is_about_preferred() {
                    self.confirmed_at.preferred = Some(in_flight.sent_at);
                } else {
                    self.confirmed_at.session = Some(in_flight.sent_at);
                }
            }
            Err(failure) => {
                if let (FailureKind::Throttled, Some(wait)) = (failure.kind, failure.retry_after) {
                    // Graph counts by application, so this is for all its accounts.
                    self.pace.note_throttled(now.instant + wait);
                }
                self.count_failure(failure);
                self.keyring_wait.note(failure);
                self.lock_wait.note(failure);
                self.note_trouble(failure, now);
            }
        }
    }

    /// Graph carried a request out. Keepalives are many and change nothing, so they are logged at debug level only.
    fn note_answer(&mut self, in_flight: &InFlight, changed: bool, now: &Now) {
        let done = in_flight.request.action;
        if !changed && in_flight.decision == self.in_force.answered {
            return tracing::debug!("{done} again");
        }
        self.in_force.answered = in_flight.decision;
        info!("{done}");
        if changed && in_flight.decision == self.in_force.number {
            self.metrics.note_change(&self.name, now.instant.saturating_since(self.in_force.since));
        }
    }

    /// What Graph has confirmed: the session's presence, and the preferred one.
    fn claimed(&self, now: &Now) -> [Option<Presence>; 2] {
        [self.session.asserted(now.instant), self.session.preferred(now.instant)]
            .map(|held| held.map(|(target, _)| target.presence))
    }

    /// The machine was asleep. A request that was in flight will hardly be answered, the connections are dead, and a backoff
    /// from before the suspend no longer counts.
    pub(super) fn wake(&mut self, now: &Now) {
        self.abandon_request(now);
        self.asleep = false;
        if let Some(trouble) = &mut self.trouble {
            trouble.restart_clock(now);
        }
        self.client.reconnect();
        self.authenticator.abandon_renewal();
        self.session.handle_nudge();
    }

    /// Stops waiting for the request in flight, so that the next one can go out at once. Graph may still carry it out.
    pub(super) fn abandon_request(&mut self, now: &Now) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.task.abort();
            let failure =
                Failure { applied: Applied::PerhapsLater, ..Failure::new(FailureKind::Passing, "no answer in time") };
            self.finish_write(in_flight.request.id, Err(&failure), now);
            self.session.handle_nudge();
        }
    }

    /// When to look at it again if no event arrives before.
    pub(super) fn next_wakeup(&self, now: &Now) -> Option<Instant> {
        // Nothing can be sent before the pace allows it, so a wakeup would be useless, and due at once.
        let not_before = if self.may_send(now) { Instant::default() } else { self.pace.next() };
        let session = self.session.poll_wakeup(now.instant).map(|(at, _)| at.max(not_before));
        let warning = self.trouble.as_ref().map(Trouble::visible_at).filter(|at| *at > now.instant);
        // Only for the report, which must stop showing what has expired: a keepalive comes long before that.
        let held = [self.session.asserted(now.instant), self.session.preferred(now.instant)].into_iter().flatten();
        let expiry = held.map(|(held, sent_at)| sent_at + held.expiration.as_duration());
        let read = self.verify.poll_wakeup(self.is_quiet(now), self.keepalive(now)).map(|at| at.max(not_before));
        let loss = self.verify.loss_shown_until().filter(|until| *until > now.instant);
        session.into_iter().chain(warning).chain(expiry).chain(read).chain(loss).min()
    }
}
