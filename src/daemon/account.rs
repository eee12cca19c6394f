//! One account at work: its session, the requests in flight, and what `status` shows of it. Its failures are its own: no
//! account waits for another.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{AbortHandle, JoinSet};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, error_span, info, warn};

use crate::auth::{self, Authenticator, Token};
use crate::config;
use crate::failure::{Applied, Failure, FailureKind, Missing};
use crate::graph::Client;
use crate::history::Held;
use crate::policy::Decision;
use crate::presence::{Expiration, Presence};
use crate::session::{ReadId, Request, RequestId, Seen, Session, State, Target, Verify, Why, timing};
use crate::status::report;
use crate::tally::Tally;
use crate::time::{Instant, Now};
use crate::warning::{Code, Warning};

use super::way::Way;
use super::{certificate, rounded, sign_in};

/// How long a passing trouble lasts before it is worth a warning: one retried 503 is none.
const TROUBLE: Duration = Duration::from_secs(30);

/// Names one account of one configuration, so that an outcome never reaches a namesake of a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AccountId(pub(super) u64);

/// How a request of an account, or its wait for the keyring, ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) account: AccountId,
    ended: Ended,
}

/// Which request that was, and its outcome.
#[derive(Debug)]
enum Ended {
    Write(RequestId, Result<(), Failure>),
    Read(ReadId, Result<Seen, Failure>),
    SignIn(Arc<Authenticator>, Result<Token, Failure>),
    KeyringChanged,
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
    in_flight: Option<InFlight>,
    keyring: Keyring,
    decision: Option<Decision>,
    /// Its number on the [`Trail`](super::trail::Trail); 0: nothing was decided yet. And since when it is in force.
    decision_number: u64,
    decided_at: Instant,
    /// The last decision whose request Graph carried out.
    answered: u64,
    /// Wall time since which that presence is wished by that rule.
    wished_since: Option<Timestamp>,
    /// Wall time at which the last confirmed request about the session was sent, as it was then; and of the one about the
    /// preferred presence.
    asserted_at: Option<Timestamp>,
    preferred_at: Option<Timestamp>,
    /// The same of the last read of what others see.
    seen_at: Option<Timestamp>,
    requests: report::Requests,
    trouble: Option<Trouble>,
    /// Whether the sign-in still holds is to be asked, once no write is on its way or in trouble.
    ask_sign_in: bool,
    /// Somebody signed out, which the session has no reason to notice before its next request.
    signed_out: bool,
    /// The machine sleeps, or is about to: what passes is no trouble then.
    asleep: bool,
    /// Once it leaves: when it need not be cleared any more, since Graph has dropped it by then.
    forgotten_at: Option<Instant>,
    tally: Arc<Tally>,
}

/// What is waited for of the keyring.
#[derive(Debug)]
enum Keyring {
    /// Nothing.
    Idle,
    /// A request lacked it, and the wait is to begin: see [`Missing::Keyring`].
    Lacked(Vec<String>),
    /// The wait goes on.
    Awaited(AbortHandle),
}

impl Drop for Keyring {
    fn drop(&mut self) {
        if let Self::Awaited(wait) = self {
            wait.abort();
        }
    }
}

#[derive(Debug)]
struct InFlight {
    request: Request,
    task: AbortHandle,
    sent_at: Timestamp,
    /// The decision it was sent for.
    decision: u64,
    /// What the log says of it: the account, the decision, and the names of the request.
    span: Span,
}

/// The failures since the last success.
#[derive(Debug)]
struct Trouble {
    began: Instant,
    code: Code,
    /// Since when it is of this code.
    since: Timestamp,
    last_at: Timestamp,
    last: Failure,
}

impl Account {
    /// An account of which nothing is held yet.
    pub(super) fn new(
        id: AccountId,
        name: &str,
        config: config::Account,
        environment: &config::Environment,
        tally: Arc<Tally>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            id,
            name: name.to_owned(),
            session: Session::new(fastrand::u64(..)),
            verify: Verify::default(),
            authenticator: Arc::new(Authenticator::tallied(name, &config, environment, Arc::clone(&tally))),
            client: Arc::new(Client::new(&config.endpoints.graph)?),
            config,
            in_flight: None,
            keyring: Keyring::Idle,
            decision: None,
            decision_number: 0,
            decided_at: Instant::default(),
            answered: 0,
            wished_since: None,
            asserted_at: None,
            preferred_at: None,
            seen_at: None,
            requests: report::Requests::default(),
            trouble: None,
            ask_sign_in: false,
            signed_out: false,
            asleep: false,
            forgotten_at: None,
            tally,
        })
    }

    /// Whether `decision` is another one than the one in force.
    pub(super) fn is_news(&self, decision: &Decision) -> bool {
        self.decision.as_ref().is_none_or(|before| {
            (before.presence, before.prefer, &before.rule, &before.because)
                != (decision.presence, decision.prefer, &decision.rule, &decision.because)
        })
    }

    /// Takes over what was decided, and if that is news its `number`.
    pub(super) fn decide(&mut self, decision: Decision, number: u64, session: &config::Session, now: &Now) {
        if self.is_news(&decision) {
            (self.decision_number, self.decided_at) = (number, now.instant);
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
        let same = |before: &Decision| (before.presence, &before.rule) == (decision.presence, &decision.rule);
        if !self.decision.as_ref().is_some_and(same) {
            self.wished_since = Some(rounded(now.wall));
        }
        self.decision = Some(decision);
    }

    /// Whether it and `other` hold one and the same session in Graph. Who signs in by themselves signs in to the account of
    /// that name.
    pub(super) fn holds_same_session(&self, other: &Self) -> bool {
        let by_name = self.config.user.is_none() || other.config.user.is_none();
        self.config.is_same_session(&other.config) || (by_name && self.name == other.name)
    }

    /// Whether `next` must wait for this account, which goes: two requests for one session, or for the preferred presence of
    /// one user, must never overtake each other.
    pub(super) fn holds_up(&self, next: &Self) -> bool {
        let users = self.config.user.as_ref().zip(next.config.user.as_ref());
        // Who signs in by themselves may be anybody.
        let perhaps_same_user = users.is_none_or(|(one, two)| one.eq_ignore_ascii_case(two));
        self.holds_same_session(next) || (perhaps_same_user && self.session.is_clearing_preferred())
    }

    /// When the decision changes by itself.
    pub(super) fn decision_until(&self) -> Option<Timestamp> {
        self.decision.as_ref().and_then(|decision| decision.until)
    }

    /// Whether nothing will happen before `until` unless something is told to it.
    pub(super) fn rests_until(&self, until: Instant, now: &Now) -> bool {
        self.session.rests_until(until, now.instant)
    }

    /// Trying again is worth it now.
    pub(super) fn nudge(&mut self) {
        if let Keyring::Awaited(_) = self.keyring {
            // Whoever unlocked the screen may have unlocked the keyring with it, which is not always announced.
            self.session.handle_mended();
        }
        self.session.handle_nudge();
    }

    /// The network came back.
    pub(super) fn network_back(&mut self, now: &Now) {
        self.session.handle_network_back(now.instant);
    }

    /// The machine is about to sleep: what is to be written must go now.
    pub(super) fn suspend(&mut self) {
        self.asleep = true;
        self.session.handle_suspend();
    }

    /// Somebody signed in or out, or changed the configuration: the token that is held says nothing any more. Once no
    /// request needs another any more, it is asked for all the same, to tell at once if nobody is signed in.
    pub(super) fn mended(&mut self, environment: &config::Environment, now: &Now) {
        self.ask_sign_in = true;
        self.signed_out &= self.is_quiet(now);
        self.authenticator = Arc::new(self.authenticator.anew(environment));
        self.session.handle_mended();
        self.verify.handle_mended(now.instant);
    }

    /// The daemon, or this account, goes.
    pub(super) fn leave(&mut self, clear: bool, now: &Now) {
        self.forgotten_at.get_or_insert(now.instant + Expiration::MAX.as_duration());
        self.session.handle_leave(clear);
    }

    /// This account goes, and another holds the same session from now on.
    pub(super) fn hand_over(&mut self, now: &Now) {
        self.forgotten_at.get_or_insert(now.instant + Expiration::MAX.as_duration());
        self.session.handle_hand_over();
    }

    /// Whether it has left.
    pub(super) fn has_left(&self, now: &Now) -> bool {
        self.session.has_left() || self.forgotten_at.is_some_and(|at| at <= now.instant)
    }

    /// Sends what is due.
    pub(super) fn drain(&mut self, tasks: &mut JoinSet<Done>, now: &Now) {
        let account = self.id;
        if let Keyring::Lacked(locked) = &mut self.keyring {
            let locked = std::mem::take(locked);
            self.keyring = Keyring::Awaited(tasks.spawn(async move {
                auth::keyring_changed(&locked).await;
                Done { account, ended: Ended::KeyringChanged }
            }));
        }
        if let Some(request) = self.session.poll_request(now.instant) {
            self.requests.sent += 1;
            let id = request.id;
            let span = self.span();
            let write = self.way(now).write(request).instrument(span.clone());
            let task = tasks.spawn(async move { Done { account, ended: Ended::Write(id, write.await) } });
            let (sent_at, decision) = (rounded(now.wall), self.decision_number);
            self.in_flight = Some(InFlight { request, task, sent_at, decision, span });
        }
        if self.ask_sign_in && self.is_quiet(now) {
            self.ask_sign_in = false;
            let (authenticator, now, span) = (Arc::clone(&self.authenticator), now.clone(), self.span());
            tasks.spawn(async move {
                let outcome = authenticator.token(&now, false).instrument(span).await;
                Done { account, ended: Ended::SignIn(authenticator, outcome) }
            });
        }
        if let Some(id) = self.verify.poll_read(self.is_quiet(now), now.instant) {
            self.requests.sent += 1;
            let read = self.way(now).read().instrument(self.span());
            tasks.spawn(async move { Done { account, ended: Ended::Read(id, read.await) } });
        }
    }

    fn way(&self, now: &Now) -> Way {
        Way {
            authenticator: Arc::clone(&self.authenticator),
            client: Arc::clone(&self.client),
            account: self.config.clone(),
            now: now.clone(),
            tally: Arc::clone(&self.tally),
        }
    }

    /// What the log says of a request that is sent now. At the level of errors, so that no filter leaves it out while it lets
    /// a line about the request through.
    fn span(&self) -> Span {
        let decision = (self.decision_number > 0).then_some(self.decision_number);
        error_span!("request", account = self.name, decision, client_request_id = Empty, request_id = Empty)
    }

    /// Whether no write is on its way or in trouble.
    fn is_quiet(&self, now: &Now) -> bool {
        self.in_flight.is_none() && matches!(self.session.state(now.instant), State::Holding | State::Released)
    }

    /// Takes in how a request ended.
    pub(super) fn finish(&mut self, done: &Done, now: &Now) {
        match &done.ended {
            Ended::Write(id, outcome) => self.finish_write(*id, outcome.as_ref().copied(), now),
            Ended::SignIn(authenticator, outcome) if Arc::ptr_eq(authenticator, &self.authenticator) => {
                self.finish_sign_in(outcome.as_ref().err(), now);
            }
            // Of before the last change.
            Ended::SignIn(..) => {}
            Ended::Read(id, outcome) => {
                self.verify.handle_outcome(*id, outcome.as_ref(), now.instant);
                match outcome {
                    Ok(_) => self.seen_at = Some(rounded(now.wall)),
                    Err(failure) => {
                        self.count_failure(failure);
                        self.note_lack(failure);
                        warn!(account = self.name, "what others see is not known: {failure}");
                    }
                }
            }
            Ended::KeyringChanged => {
                info!(account = self.name, "the keyring has changed");
                self.keyring = Keyring::Idle;
                self.session.handle_mended();
                self.verify.handle_mended(now.instant);
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
            // The next request says what it means.
            Some(failure) => warn!(account = self.name, "there is no token: {failure}"),
            None if was_signed_out && self.trouble.take().is_some() => info!(account = self.name, "well again"),
            None => {}
        }
    }

    fn finish_write(&mut self, id: RequestId, outcome: Result<(), &Failure>, now: &Now) {
        let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.request.id == id) else { return };
        let claimed = self.claimed(now);
        self.session.handle_outcome(id, outcome, now.instant);
        // What is said of it goes with its names.
        let _in_flight = in_flight.span.enter();
        match outcome {
            Ok(()) => {
                self.signed_out = false;
                let changed = self.claimed(now) != claimed;
                self.verify.handle_confirmed(changed, now.instant);
                self.note_answer(&in_flight, changed, now);
                // The session may be well while its preferred presence is still refused.
                if self.session.state(now.instant) != State::Refused && self.trouble.take().is_some() {
                    info!("well again");
                }
                if in_flight.request.action.is_about_preferred() {
                    self.preferred_at = Some(in_flight.sent_at);
                } else {
                    self.asserted_at = Some(in_flight.sent_at);
                }
            }
            Err(failure) => self.note_failure(failure, now),
        }
    }

    /// Graph carried a request out. Of keepalives, which are many and change nothing, only the talkative log hears.
    fn note_answer(&mut self, in_flight: &InFlight, changed: bool, now: &Now) {
        let done = in_flight.request.action;
        if !changed && in_flight.decision == self.answered {
            return tracing::debug!("{done} again");
        }
        self.answered = in_flight.decision;
        info!("{done}");
        if changed && in_flight.decision == self.decision_number {
            self.tally.note_change(&self.name, now.instant.saturating_since(self.decided_at));
        }
    }

    /// What Graph confirmed to hold: the session's presence, and the preferred one.
    fn claimed(&self, now: &Now) -> [Option<Presence>; 2] {
        [self.session.asserted(now.instant), self.session.preferred(now.instant)]
            .map(|held| held.map(|(target, _)| target.presence))
    }

    /// The machine was asleep: what was under way then will hardly be answered, the connections are dead, and no backoff of
    /// before counts.
    pub(super) fn wake(&mut self, now: &Now) {
        self.abandon_request(now);
        self.asleep = false;
        if let Some(trouble) = &mut self.trouble {
            // The time asleep says nothing about how long it lasts.
            trouble.began = now.instant;
        }
        self.client.reconnect();
        self.authenticator.abandon_renewal();
        self.session.handle_nudge();
    }

    /// Stops waiting for the answer of the request in flight, which may be applied yet, and lets the next go at once.
    pub(super) fn abandon_request(&mut self, now: &Now) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.task.abort();
            let failure =
                Failure { applied: Applied::PerhapsLater, ..Failure::new(FailureKind::Passing, "no answer in time") };
            self.finish_write(in_flight.request.id, Err(&failure), now);
            self.session.handle_nudge();
        }
    }

    fn note_lack(&mut self, failure: &Failure) {
        if let (Some(Missing::Keyring(locked)), Keyring::Idle) = (failure.missing.as_deref(), &self.keyring) {
            self.keyring = Keyring::Lacked(locked.clone());
        }
    }

    fn count_failure(&mut self, failure: &Failure) {
        self.requests.failed += 1;
        self.requests.throttled += u64::from(failure.kind == FailureKind::Throttled);
    }

    fn note_failure(&mut self, failure: &Failure, now: &Now) {
        self.count_failure(failure);
        self.note_lack(failure);
        self.note_trouble(failure, now);
    }

    fn note_trouble(&mut self, failure: &Failure, now: &Now) {
        let next = self.session.poll_wakeup(now.instant).map(|(at, _)| at.saturating_since(now.instant));
        let next = next.map(tracing::field::debug);
        warn!(kind = failure.kind.as_str(), next, hint = failure.hint, "{failure}");
        let code = match failure.kind {
            FailureKind::SignInNeeded => Code::SignInNeeded,
            FailureKind::Refused => Code::Refused,
            FailureKind::Throttled => Code::Throttled,
            FailureKind::Passing | FailureKind::TokenRefused => Code::ServiceUnavailable,
        };
        let last_at = rounded(now.wall);
        let began = self.trouble.as_ref().map_or(now.instant, |trouble| trouble.began);
        let since =
            self.trouble.as_ref().filter(|trouble| trouble.code == code).map_or(last_at, |trouble| trouble.since);
        self.trouble = Some(Trouble { began, code, since, last_at, last: failure.clone() });
    }

    /// When it must be looked at again if nothing happens before.
    pub(super) fn next_wakeup(&self, now: &Now) -> Option<Instant> {
        let session = self.session.poll_wakeup(now.instant).map(|(at, _)| at);
        let warning = self.trouble.as_ref().map(|trouble| trouble.began + TROUBLE).filter(|at| *at > now.instant);
        // Only to stop saying that it is held: a session that is kept is set again long before.
        let held = [self.session.asserted(now.instant), self.session.preferred(now.instant)].into_iter().flatten();
        let expiry = held.map(|(held, sent_at)| sent_at + held.expiration.as_duration());
        let read = self.verify.poll_wakeup(self.is_quiet(now));
        session.into_iter().chain(warning).chain(expiry).chain(read).min()
    }

    /// When a warning about its certificate comes or changes.
    pub(super) fn certificate_wakeup(&self, now: &Now) -> Option<Timestamp> {
        self.authenticator.certificate().and_then(|expiry| certificate::next_change(&expiry, now.wall))
    }

    /// What is wrong with it, once it matters, and since when where that is known: the words change with each attempt.
    pub(super) fn warnings(&self, now: &Now) -> impl Iterator<Item = (Warning, Option<Timestamp>)> {
        let refusal = self.verify.refusal().map(|refusal| Warning {
            code: Code::VerifyRefused,
            text: format!("account `{}`: what others see cannot be read: {refusal}", self.name),
            hint: refusal.hint.clone().unwrap_or_else(|| "take `verify` out of [session]".to_owned()),
        });
        let certificate =
            self.authenticator.certificate().and_then(|expiry| certificate::warning(&self.name, &expiry, now.wall));
        self.trouble_warning(now)
            .into_iter()
            .chain(refusal.into_iter().chain(certificate).map(|warning| (warning, None)))
    }

    fn trouble_warning(&self, now: &Now) -> Option<(Warning, Option<Timestamp>)> {
        let trouble = self.trouble.as_ref()?;
        let at_once = matches!(trouble.code, Code::SignInNeeded | Code::Refused);
        if !at_once && (self.asleep || now.instant < trouble.began + TROUBLE) {
            return None;
        }
        let hint = trouble.last.hint.clone();
        let warning = Warning {
            code: trouble.code,
            text: format!("account `{}`: {}", self.name, trouble.last),
            hint: hint.unwrap_or_else(|| "presenced goes on trying; see its log for each attempt".to_owned()),
        };
        Some((warning, Some(trouble.since)))
    }

    fn state(&self, now: &Now) -> State {
        let state = self.session.state(now.instant);
        let is_well = matches!(state, State::Holding | State::Released);
        if is_well && self.signed_out { State::SignInNeeded } else { state }
    }

    /// Its part of the history: what it is to hold, and whether it does, with the time since when where that is over already.
    /// `None`: nothing was decided yet.
    pub(super) fn held(&self, now: &Now) -> Option<(Held, Timestamp)> {
        let decision = self.decision.as_ref()?;
        let confirmed = self.session.is_kept(now.instant);
        let faded_at = self.session.kept_until().filter(|until| !confirmed && *until <= now.instant);
        let held = Held {
            account: self.name.clone(),
            presence: decision.presence.map(|presence| presence.to_string()),
            rule: decision.rule.clone(),
            because: decision.because.clone(),
            state: self.state(now),
            confirmed,
        };
        Some((held, faded_at.map_or(now.wall, |at| now.wall_at(at))))
    }

    /// Its part of the report.
    pub(super) fn report(&self, now: &Now) -> report::Account {
        let decision = self.decision.as_ref();
        let later = |time: Timestamp, after| time.checked_add(after).unwrap_or(Timestamp::MAX);
        let asserted =
            self.session.asserted(now.instant).zip(self.asserted_at).map(|((target, _), sent_at)| report::Asserted {
                availability: target.presence.availability().to_owned(),
                activity: target.presence.activity().to_owned(),
                sent_at,
                fades_at: target.presence.fades().then(|| later(sent_at, timing::interval(target))),
                expires_at: later(sent_at, target.expiration.as_duration()),
            });
        let preferred = self.session.preferred(now.instant).zip(self.preferred_at).map(|((target, _), sent_at)| {
            report::Preferred {
                availability: target.presence.availability().to_owned(),
                activity: target.presence.preferred_activity().to_owned(),
                sent_at,
                expires_at: later(sent_at, target.expiration.as_duration()),
            }
        });
        let next = self.session.poll_wakeup(now.instant).map(|(at, why): (Instant, Why)| report::Next {
            at: rounded(now.wall_at(at)),
            why: why.as_str().to_owned(),
        });
        report::Account {
            state: self.state(now),
            desired: decision.and_then(|decision| decision.presence).map(Into::into),
            rule: decision.and_then(|decision| decision.rule.clone()),
            because: decision.map_or_else(|| "not decided yet".to_owned(), |decision| decision.because.clone()),
            since: self.wished_since,
            until: decision.and_then(|decision| decision.until),
            asserted,
            preferred,
            seen: self.verify.seen().zip(self.seen_at).map(|(seen, at)| report::Seen {
                availability: seen.availability.clone(),
                activity: seen.activity.clone(),
                at,
            }),
            next,
            requests: self.requests,
            last_error: self.trouble.as_ref().map(|trouble| report::LastError {
                at: trouble.last_at,
                text: trouble.last.text.clone(),
                hint: trouble.last.hint.clone(),
            }),
            sign_in: self.authenticator.status().map(|status| sign_in::report(status, &self.config)),
        }
    }
}
