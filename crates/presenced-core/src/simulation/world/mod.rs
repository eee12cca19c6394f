//! Runs a day: drives the real policy and the real session in virtual time, as `daemon/` does, and lets the checker look at
//! every step.

mod pauses;
mod restarts;

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::day::{ClockTime, Day, Ending, Event};
use super::graph::{Graph, InvalidArgument};
use super::invariants::{Checker, Invariant, Violation, violation};
use super::network::{Fault, Flight, Network};
use super::rules::Expected;
use super::signals::Signals;
use crate::kept::Kept;
use crate::policy::{Idle, Lock, Reading, Rule, Sleep, decide};
use crate::presence::Presence;
use crate::session::{Action, Ours, Request, Seen, Session, State, Target, Verify, Why};
use crate::sleep_watch::SleepWatch;
use crate::time::{Instant, Now};
use pauses::PendingSleep;

/// Subtracting this gives the moment just before another one.
const ONE_NANOSECOND: Duration = Duration::from_nanos(1);

/// Who drives the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    Honest,
    /// Confirms keepalives of this presence without sending them, to test that the checker notices.
    DropsKeepalivesOf(Presence),
    /// Does not set a session again that was found lost, to test that the checker notices.
    IgnoresLosses,
    /// Never asks logind whether a sleep is over, for the same reason.
    NeverAsksAboutSleep,
    /// Starts again without what was set through the socket, for the same reason.
    ForgetsWhatWasSet,
}

/// The result of a day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DayResult {
    pub(super) requests: u32,
    /// The least possible number of requests. Meaningful on a calm day only.
    pub(super) least: f64,
}

/// Runs `day` to its end.
pub(super) fn run(day: &Day, driver: Driver) -> Result<DayResult, Violation> {
    World::new(day, driver).run_and_leave()
}

/// Runs `day` and returns a text about its last requests and their outcomes.
pub(super) fn last_requests(day: &Day, driver: Driver) -> String {
    let mut world = World { trace: Some(Vec::new()), ..World::new(day, driver) };
    // The caller already knows how the day ends.
    let _ = world.run_and_leave();
    let trace = world.trace.unwrap_or_default();
    trace[trace.len().saturating_sub(TRACE_LINES)..].concat()
}

/// How many lines that text has.
const TRACE_LINES: usize = 24;

struct World<'a> {
    day: &'a Day,
    driver: Driver,
    rules: Vec<Rule>,
    now: Instant,
    /// The wall time at the origin of `now`. It moves when the clock is set.
    wall_origin: Timestamp,
    signals: Signals,
    session: Session,
    verify: Verify,
    graph: Graph,
    network: Network,
    checker: Checker,
    /// The index of the next event in the script.
    next: usize,
    fault_ends: Option<(Instant, Ending)>,
    flight: Option<Flight>,
    /// Abandoned requests that are still in flight: when they arrive, when they were sent, and what they ask for.
    strays: Vec<(Instant, Instant, Action)>,
    /// Whether the signals have changed since the last decision.
    must_decide: bool,
    /// When the decision changes by itself according to the policy, and when the signals do.
    decided_until: Option<Instant>,
    signals_until: Option<Instant>,
    /// The last request that Graph confirmed, for the driver that drops keepalives.
    last_confirmed: Option<Action>,
    /// Sleep that was announced.
    pending_sleep: Option<PendingSleep>,
    /// Announced sleep has ended without notice; since when logind knows.
    missed_wake_up: Option<Instant>,
    sleep_watch: SleepWatch,
    /// The boot that presenced runs in, and the file that it keeps over a restart.
    boot: u32,
    kept: Option<Kept<&'static str>>,
    /// The text for [`last_requests`], if it is wanted.
    trace: Option<Vec<String>>,
}

impl<'a> World<'a> {
    fn new(day: &'a Day, driver: Driver) -> Self {
        // Any week and any zone will do. Hours in other zones have their own tests.
        let midnight = Timestamp::UNIX_EPOCH + Duration::from_hours(24 * (20_514 + day.seed % 7));
        let now = Instant::default();
        Self {
            day,
            driver,
            rules: day.rules.list(),
            now,
            wall_origin: midnight,
            signals: Signals::new(day.lock.clone(), midnight),
            session: Session::new(day.seed),
            verify: Verify::default(),
            graph: Graph::default(),
            network: Network::new(day.token_life, day.seed),
            checker: Checker::new(now),
            next: 0,
            fault_ends: None,
            flight: None,
            strays: Vec::new(),
            must_decide: true,
            decided_until: None,
            signals_until: None,
            last_confirmed: None,
            pending_sleep: None,
            missed_wake_up: None,
            sleep_watch: SleepWatch::default(),
            boot: 0,
            kept: None,
            trace: None,
        }
    }

    fn both_clocks(&self) -> Now {
        Now { instant: self.now, wall: self.wall_origin + self.now.since_origin(), zone: TimeZone::UTC }
    }

    fn run_and_leave(&mut self) -> Result<DayResult, Violation> {
        self.run()?;
        self.leave()?;
        if self.day.is_calm() {
            self.checker.check_requests(self.now)?;
        }
        Ok(DayResult { requests: self.checker.requests, least: self.checker.least })
    }

    fn trace(&mut self, what: impl FnOnce() -> String) {
        let at = ClockTime(self.now.since_origin());
        if let Some(trace) = &mut self.trace {
            trace.push(format!("  {at}  {}\n", what()));
        }
    }

    fn run(&mut self) -> Result<(), Violation> {
        let end = Instant::from_origin(self.day.ends_at);
        while self.now < end {
            let before = self.now;
            self.process_due()?;
            if self.now > before {
                // The machine slept.
                continue;
            }
            self.decide()?;
            self.flush_before_sleep()?;
            self.read_back();
            self.drain()?;
            if self.may_sleep() {
                self.sleep()?;
                continue;
            }
            let next = self.next_step()?.min(end);
            self.check_wake_up(next - ONE_NANOSECOND)?;
            // A mistake would show just before the next step.
            if !self.is_in_trouble() {
                self.checker.check(&self.graph, next - ONE_NANOSECOND)?;
            } else if self.network.fault == Some(Fault::Slow) {
                self.checker.check_slow(&self.graph, next - ONE_NANOSECOND)?;
            }
            self.now = next;
        }
        Ok(())
    }

    fn is_in_trouble(&self) -> bool {
        self.network.fault.is_some() || self.flight.as_ref().is_some_and(|flight| flight.in_trouble)
    }

    /// The next moment at which something happens.
    fn next_step(&self) -> Result<Instant, Violation> {
        let script = self.day.script.get(self.next).map(|(at, _)| Instant::from_origin(*at));
        let flight = self.flight.as_ref().map(|flight| flight.arrives_at.unwrap_or(flight.ends_at));
        let wakeup = self.session.poll_wakeup(self.now).map(|(at, _)| at);
        let read = self.verify.poll_wakeup(self.is_quiet(), self.keepalive());
        let fault = self.fault_ends.map(|(at, _)| at);
        let pending_sleep = self.pending_sleep.as_ref().map(PendingSleep::wakeup);
        let strays = self.strays.iter().map(|(at, ..)| *at).min();
        let steps =
            [script, flight, wakeup, read, self.decided_until, self.signals_until, fault, pending_sleep, strays];
        let next = steps
            .into_iter()
            .flatten()
            .chain(self.next_question())
            .min()
            .unwrap_or(Instant::from_origin(self.day.ends_at));
        if next > self.now {
            return Ok(next);
        }
        Err(violation(Invariant::WakeupsSendRequests, self.now, format!("{:?}", self.session.poll_wakeup(self.now))))
    }

    /// Processes everything that is due by now.
    fn process_due(&mut self) -> Result<(), Violation> {
        self.arrive()?;
        if let Some(flight) = self.flight.take_if(|flight| flight.ends_at <= self.now) {
            self.finish(&flight)?;
        }
        if let Some((_, ends)) = self.fault_ends.take_if(|(at, _)| *at <= self.now) {
            self.end_fault(ends);
        }
        while let Some((_, what)) =
            self.day.script.get(self.next).filter(|(at, _)| Instant::from_origin(*at) <= self.now)
        {
            self.next += 1;
            self.script(what)?;
        }
        self.ask_about_sleep()
    }

    fn script(&mut self, what: &Event) -> Result<(), Violation> {
        let was_present = self.is_present();
        self.must_decide = true;
        match what {
            Event::Lock(lock) if self.signals.lock != Reading::Off => self.signals.lock = lock.clone(),
            Event::Lock(_) => {}
            Event::Call(call) => self.signals.call = call.clone(),
            Event::Idle(idle) => self.signals.idle = idle.clone(),
            Event::Calendar(changes) => self.signals.set_calendar(changes),
            Event::Override(claim, lasts) => self.set_override(Some((*claim, *lasts))),
            Event::Unset => self.set_override(None),
            Event::Focus(set) => self.set_focus(*set),
            Event::Restart { end, lasts } => self.restart(*end, *lasts)?,
            Event::SetClock(seconds) => self.wall_origin += SignedDuration::from_secs(*seconds),
            Event::Nudge => self.nudge(),
            Event::Teams(pair) => self.graph.teams = *pair,
            Event::OtherWriter => {
                if let Some(times) = self.graph.session_times(self.now) {
                    // A Teams client may hide it, and nothing is read while requests fail.
                    let may_hide = |what: &Event| what.is_trouble() || matches!(what, Event::Teams(_));
                    let shows = !self.day.script.iter().any(|(_, what)| may_hide(what));
                    self.checker.note_other_writer(times, shows, self.now);
                    self.graph.clear_presence();
                }
            }
            Event::Revoke(after) => {
                self.network.revoke(*after);
                self.checker.note_trouble(self.now);
            }
            Event::Fault { fault, lasts, ends } => {
                if let Some((_, ends)) = self.fault_ends.take() {
                    self.end_fault(ends);
                }
                self.network.fault = Some(*fault);
                self.fault_ends = Some((self.now + *lasts, *ends));
            }
            Event::Sleep { announced, lasts } => self.announce_or_sleep(*announced, *lasts)?,
        }
        if self.is_present() && !was_present {
            self.nudge();
        }
        if matches!(what, Event::Lock(Reading::Known(Lock::Unlocked)) | Event::Idle(Reading::Known(Idle::Active))) {
            self.sleep_watch.handle_sign_of_life(self.now);
        }
        Ok(())
    }

    /// Whether the user is present, as the daemon's board defines it.
    fn is_present(&self) -> bool {
        let idle = self.signals.idle == Reading::Known(Idle::Idle);
        self.signals.lock == Reading::Known(Lock::Unlocked)
            && !idle
            && self.signals.sleep != Reading::Known(Sleep::Suspending)
    }

    fn nudge(&mut self) {
        self.session.handle_nudge();
        self.checker.note_nudge(self.now);
    }

    fn end_fault(&mut self, ends: Ending) {
        self.network.fault = None;
        self.checker.note_trouble(self.now);
        match ends {
            Ending::Unnoticed => {}
            Ending::Nudged => self.nudge(),
            Ending::SetupChanged => {
                self.network.sign_in();
                self.session.handle_setup_changed();
                self.checker.note_setup_changed(self.now);
            }
        }
    }

    fn decide(&mut self) -> Result<(), Violation> {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= self.now);
        let (signals_changed, decision_is_over) = (is_over(self.signals_until), is_over(self.decided_until));
        if !(self.must_decide || signals_changed || decision_is_over) {
            return Ok(());
        }
        let now = self.both_clocks();
        if self.must_decide || signals_changed {
            self.checker.note_expected(self.signals.expected(self.day.rules, self.day.expiration, &now), self.now);
            self.signals_until = self.signals.next_change(self.day.rules, &now);
        }
        if !(self.must_decide || decision_is_over) {
            return Ok(());
        }
        self.must_decide = false;
        let decision = decide(&self.rules, &self.signals.snapshot(&now), &now);
        let expiration = decision.expiration.unwrap_or(self.day.expiration);
        let target = decision.presence.map(|presence| Target { presence, expiration });
        match target {
            Some(target) if decision.prefer => self.session.handle_wish_to_prefer(target, self.now),
            wish => self.session.handle_wish(wish, self.now),
        }
        self.decided_until = decision.until.map(|until| now.instant_at(until));
        self.checker.check_decision(Expected { target, prefer: decision.prefer }, self.now)
    }

    /// Reads back what others see, and has a lost session set again. A read takes no time here, and always succeeds.
    fn read_back(&mut self) {
        self.verify.handle_switch(self.day.verifies, self.now);
        let (is_quiet, keepalive) = (self.is_quiet(), self.keepalive());
        if let Some(id) = self.verify.poll_read(is_quiet, keepalive, self.now) {
            let (availability, activity) = self.graph.seen(self.now);
            let seen = Seen::new(availability, activity);
            self.trace(|| format!("others see {availability}/{activity}"));
            let ours = self.ours();
            self.verify.handle_outcome(id, Ok(&seen), ours, self.now);
        }
        if self.verify.poll_set_again(self.now) && self.driver != Driver::IgnoresLosses {
            self.session.handle_lost();
        }
    }

    fn is_quiet(&self) -> bool {
        self.flight.is_none() && matches!(self.session.state(self.now), State::Holding | State::Released)
    }

    fn keepalive(&self) -> Option<Instant> {
        self.session.poll_wakeup(self.now).and_then(|(at, why)| (why == Why::Keepalive).then_some(at))
    }

    fn ours(&self) -> Option<Ours> {
        let preferred = self.session.preferred(self.now).map(|(Target { presence, .. }, _)| Ours {
            pair: (presence.availability(), presence.preferred_activity()),
            is_preferred: true,
        });
        let asserted = self.session.asserted(self.now).map(|(Target { presence, .. }, _)| Ours {
            pair: (presence.availability(), presence.activity()),
            is_preferred: false,
        });
        preferred.or(asserted)
    }

    /// Sends the requests that are due. Like the daemon, it also asks while a request is in flight.
    fn drain(&mut self) -> Result<(), Violation> {
        while let Some(request) = self.session.poll_request(self.now) {
            if self.drops(request.action) {
                self.session.handle_outcome(request.id, Ok(()), self.now);
                continue;
            }
            self.trace(|| format!("{:?} is sent", request.action));
            self.checker.note_sent(request.action, self.flight.is_some(), self.now)?;
            self.flight = Some(self.network.send(request, self.now));
        }
        Ok(())
    }

    fn drops(&self, action: Action) -> bool {
        let Driver::DropsKeepalivesOf(presence) = self.driver else { return false };
        let is_set = matches!(action, Action::Set(target) if target.presence == presence);
        is_set && self.last_confirmed == Some(action)
    }

    fn finish(&mut self, flight: &Flight) -> Result<(), Violation> {
        let Flight { request: Request { id, action, .. }, ref outcome, in_trouble, .. } = *flight;
        if outcome.is_ok() {
            self.last_confirmed = Some(action);
        }
        self.trace(|| match outcome {
            Ok(()) => format!("{action:?} succeeded"),
            Err(failure) => format!("{action:?} failed: {:?}, applied: {:?}", failure.kind, failure.applied),
        });
        let before = self.ours();
        self.session.handle_outcome(id, outcome.as_ref().copied(), self.now);
        if outcome.is_ok() {
            self.verify.handle_confirmed(self.ours() != before, self.now);
        }
        self.checker.note_outcome(action, outcome.as_ref().copied(), in_trouble, self.now)
    }

    /// Lets Graph carry out the requests that have arrived by now.
    fn arrive(&mut self) -> Result<(), Violation> {
        while let Some(stray) = self.strays.iter().position(|(at, ..)| *at <= self.now) {
            let (at, sent_at, action) = self.strays.swap_remove(stray);
            self.apply(action, sent_at, at)?;
        }
        let Some(flight) = &mut self.flight else { return Ok(()) };
        let (action, sent_at) = (flight.request.action, flight.sent_at);
        match flight.arrives_at.take_if(|at| *at <= self.now) {
            Some(at) => self.apply(action, sent_at, at),
            None => Ok(()),
        }
    }

    fn apply(&mut self, action: Action, sent_at: Instant, at: Instant) -> Result<(), Violation> {
        self.checker.note_arrived(action, at.saturating_since(sent_at));
        let pair = |presence: Presence| (presence.availability(), presence.activity());
        let preferred = |presence: Presence| (presence.availability(), presence.preferred_activity());
        let graph = &mut self.graph;
        let answer = match action {
            Action::Set(Target { presence, expiration }) => {
                graph.set_presence(pair(presence), expiration.as_duration(), at)
            }
            Action::Prefer(Target { presence, expiration }) => {
                graph.set_preferred(preferred(presence), expiration.as_duration(), at)
            }
            Action::Clear => {
                graph.clear_presence();
                Ok(())
            }
            Action::ClearPreferred => {
                graph.clear_preferred();
                Ok(())
            }
        };
        answer.map_err(|InvalidArgument| violation(Invariant::OnlyDocumentedRequests, at, format!("{action:?}")))
    }
}
