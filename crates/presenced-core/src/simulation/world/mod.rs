//! The driver: lives a day with the real policy and the real session, in virtual time, and has the watch look on. It does what
//! `daemon/` does with its accounts, sleep and leaving.

mod pauses;

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::day::{Clocked, Day, Ends, What};
use super::graph::{Graph, InvalidArgument};
use super::invariants::{Invariant, Violation, Watch, violation};
use super::network::{Fault, Flight, Network};
use super::signals::{Facts, Ought};
use crate::policy::{Idle, Lock, Reading, Rule, Sleep, decide};
use crate::presence::Presence;
use crate::session::{Action, Request, Session, Target};
use crate::time::{Instant, Now};
use pauses::Bedtime;

/// So short that nothing happens in it.
const INSTANT: Duration = Duration::from_nanos(1);

/// Who drives the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    Honest,
    /// Answers keepalives of this presence without sending them, to see that it is found out.
    DropsKeepalivesOf(Presence),
}

/// What a day came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u32,
    /// The fewest that could have done; meaningful on a calm day.
    pub(super) least: f64,
}

/// Lives `day` to its end.
pub(super) fn live(day: &Day, driver: Driver) -> Result<Tally, Violation> {
    World::new(day, driver).live_and_leave()
}

/// Lives `day` and tells what its last requests were and how they ended.
pub(super) fn last_requests(day: &Day, driver: Driver) -> String {
    let mut world = World { trace: Some(Vec::new()), ..World::new(day, driver) };
    // How it ends is known.
    let _ = world.live_and_leave();
    let trace = world.trace.unwrap_or_default();
    trace[trace.len().saturating_sub(TRACED)..].concat()
}

/// How many lines tell of the last requests.
const TRACED: usize = 24;

struct World<'a> {
    day: &'a Day,
    driver: Driver,
    rules: Vec<Rule>,
    now: Instant,
    /// Wall time at the origin of `now`, as the clock is set.
    wall_origin: Timestamp,
    facts: Facts,
    session: Session,
    graph: Graph,
    network: Network,
    watch: Watch,
    /// The next entry of the script.
    next: usize,
    fault_ends: Option<(Instant, Ends)>,
    flight: Option<Flight>,
    /// Requests that nobody waits for any more and that are still on their way: when they arrive, and when they were sent.
    strays: Vec<(Instant, Instant, Action)>,
    /// Whether the facts changed since the last decision.
    decide_anew: bool,
    /// When the decision changes by itself, as the policy says; and when the facts do.
    decided_until: Option<Instant>,
    facts_until: Option<Instant>,
    /// What Graph last confirmed, for the driver that drops keepalives.
    last_confirmed: Option<Action>,
    /// Sleep that was announced.
    bedtime: Option<Bedtime>,
    /// What is told of the requests, where somebody wants to know.
    trace: Option<Vec<String>>,
}

impl<'a> World<'a> {
    fn new(day: &'a Day, driver: Driver) -> Self {
        // Any week will do, and so will any zone: what hours are in each of them has tests of its own.
        let midnight = Timestamp::UNIX_EPOCH + Duration::from_hours(24 * (20_514 + day.seed % 7));
        let now = Instant::default();
        Self {
            day,
            driver,
            rules: day.rules.list(),
            now,
            wall_origin: midnight,
            facts: Facts::new(day.lock.clone(), midnight),
            session: Session::new(day.seed),
            graph: Graph::default(),
            network: Network::new(day.token_life, day.seed),
            watch: Watch::new(now),
            next: 0,
            fault_ends: None,
            flight: None,
            strays: Vec::new(),
            decide_anew: true,
            decided_until: None,
            facts_until: None,
            last_confirmed: None,
            bedtime: None,
            trace: None,
        }
    }

    fn both_clocks(&self) -> Now {
        Now { instant: self.now, wall: self.wall_origin + self.now.since_origin(), zone: TimeZone::UTC }
    }

    fn live_and_leave(&mut self) -> Result<Tally, Violation> {
        self.live()?;
        self.leave()?;
        if self.day.is_calm() {
            self.watch.check_requests(self.now)?;
        }
        Ok(Tally { requests: self.watch.requests, least: self.watch.least })
    }

    fn trace(&mut self, what: impl FnOnce() -> String) {
        let at = Clocked(self.now.since_origin());
        if let Some(trace) = &mut self.trace {
            trace.push(format!("  {at}  {}\n", what()));
        }
    }

    fn live(&mut self) -> Result<(), Violation> {
        let end = Instant::from_origin(self.day.ends_at);
        while self.now < end {
            let before = self.now;
            self.happen()?;
            if self.now > before {
                // The machine slept.
                continue;
            }
            self.decide()?;
            self.hurry()?;
            self.drain()?;
            if self.may_sleep() {
                self.sleep()?;
                continue;
            }
            let next = self.next_step()?.min(end);
            // Just before the next step is when it would go wrong.
            if !self.is_in_trouble() {
                self.watch.check(&self.graph, next - INSTANT)?;
            } else if self.network.fault == Some(Fault::Slow) {
                self.watch.check_slow(&self.graph, next - INSTANT)?;
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
        let fault = self.fault_ends.map(|(at, _)| at);
        let bedtime = self.bedtime.as_ref().map(Bedtime::wakeup);
        let strays = self.strays.iter().map(|(at, ..)| *at).min();
        let steps = [script, flight, wakeup, self.decided_until, self.facts_until, fault, bedtime, strays];
        let next = steps.into_iter().flatten().min().unwrap_or(Instant::from_origin(self.day.ends_at));
        if next > self.now {
            return Ok(next);
        }
        Err(violation(Invariant::GoesOn, self.now, format!("{:?}", self.session.poll_wakeup(self.now))))
    }

    /// All that is due by now.
    fn happen(&mut self) -> Result<(), Violation> {
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
            self.script(what);
        }
        Ok(())
    }

    fn script(&mut self, what: &What) {
        let was_present = self.is_present();
        self.decide_anew = true;
        match what {
            What::Lock(lock) if self.facts.lock != Reading::Off => self.facts.lock = lock.clone(),
            What::Lock(_) => {}
            What::Call(call) => self.facts.call = call.clone(),
            What::Idle(idle) => self.facts.idle = idle.clone(),
            What::Calendar(changes) => self.facts.set_calendar(changes),
            What::Override(claim, lasts) => self.facts.manual = Some((*claim, lasts.map(|lasts| self.now + lasts))),
            What::Unset => self.facts.manual = None,
            What::Focus(set) => {
                self.facts.focus = set.map(|(value, lasts)| (value, lasts.map(|lasts| self.now + lasts)));
            }
            What::SetClock(seconds) => self.wall_origin += SignedDuration::from_secs(*seconds),
            What::Nudge => self.nudge(),
            What::Teams(pair) => self.graph.teams = *pair,
            What::Revoke(after) => {
                self.network.revoke(*after);
                self.watch.note_trouble(self.now);
            }
            What::Fault { fault, lasts, ends } => {
                if let Some((_, ends)) = self.fault_ends.take() {
                    self.end_fault(ends);
                }
                self.network.fault = Some(*fault);
                self.fault_ends = Some((self.now + *lasts, *ends));
            }
            What::Sleep { announced, lasts } => self.hear_of_sleep(*announced, *lasts),
        }
        if self.is_present() && !was_present {
            self.nudge();
        }
    }

    /// As the daemon's board says it.
    fn is_present(&self) -> bool {
        let idle = self.facts.idle == Reading::Known(Idle::Idle);
        self.facts.lock == Reading::Known(Lock::Unlocked)
            && !idle
            && self.facts.sleep != Reading::Known(Sleep::Suspending)
    }

    fn nudge(&mut self) {
        self.session.handle_nudge();
        self.watch.note_nudge(self.now);
    }

    fn end_fault(&mut self, ends: Ends) {
        self.network.fault = None;
        self.watch.note_trouble(self.now);
        match ends {
            Ends::Unnoticed => {}
            Ends::Nudged => self.nudge(),
            Ends::Mended => {
                self.network.sign_in();
                self.session.handle_mended();
                self.watch.note_mended(self.now);
            }
        }
    }

    fn decide(&mut self) -> Result<(), Violation> {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= self.now);
        let (facts_changed, decision_is_over) = (is_over(self.facts_until), is_over(self.decided_until));
        if !(self.decide_anew || facts_changed || decision_is_over) {
            return Ok(());
        }
        let now = self.both_clocks();
        if self.decide_anew || facts_changed {
            self.watch.note_ought(self.facts.ought(self.day.rules, self.day.expiration, &now), self.now);
            self.facts_until = self.facts.next_change(self.day.rules, &now);
        }
        if !(self.decide_anew || decision_is_over) {
            return Ok(());
        }
        self.decide_anew = false;
        let decision = decide(&self.rules, &self.facts.snapshot(&now), &now);
        let expiration = decision.expiration.unwrap_or(self.day.expiration);
        let target = decision.presence.map(|presence| Target { presence, expiration });
        match target {
            Some(target) if decision.prefer => self.session.handle_wish_to_prefer(target, self.now),
            wish => self.session.handle_wish(wish, self.now),
        }
        self.decided_until = decision.until.map(|until| now.instant_at(until));
        self.watch.check_decision(Ought { target, prefer: decision.prefer }, self.now)
    }

    /// Sends what is due. Asks also while a request is in flight, as the daemon does.
    fn drain(&mut self) -> Result<(), Violation> {
        while let Some(request) = self.session.poll_request(self.now) {
            if self.drops(request.action) {
                self.session.handle_outcome(request.id, Ok(()), self.now);
                continue;
            }
            self.trace(|| format!("{:?} is sent", request.action));
            self.watch.note_sent(request.action, self.flight.is_some(), self.now)?;
            self.flight = Some(self.network.send(request, self.now));
        }
        Ok(())
    }

    fn drops(&self, action: Action) -> bool {
        let Driver::DropsKeepalivesOf(presence) = self.driver else { return false };
        let is_of = matches!(action, Action::Set(target) if target.presence == presence);
        is_of && self.last_confirmed == Some(action)
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
        self.session.handle_outcome(id, outcome.as_ref().copied(), self.now);
        self.watch.note_outcome(action, outcome.as_ref().copied(), in_trouble, self.now)
    }

    /// Has Graph carry out what arrived by now.
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
        self.watch.note_arrived(action, at.saturating_since(sent_at));
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
