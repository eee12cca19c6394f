//! The world of a day: drives the real policy and the real session through it, lets their requests end as the day says, and
//! holds what others see against what they should see.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::day::{Day, Event, LENGTH, Network, SignIn};
use super::graph::{Graph, Seen};
use crate::calendar::{BusyClass, Schedule};
use crate::policy::{Call, Claim, Override, Reading, Rule, Sleep, Snapshot, decide, default_rules};
use crate::presence::Presence;
use crate::session::{Action, Applied, Failure, FailureKind, Request, Session, Target, Why};
use crate::time::{Instant, Now};

const START: Instant = Instant::from_origin(Duration::from_secs(1000));

/// The client gives a request up after this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Documented bounds: the longest backoff, how often a refused session looks again, how long changes are gathered, how long
/// sleep is held up, how long leaving may take and how much of it a request in flight gets.
const BACKOFF: Duration = Duration::from_mins(5);
const LOOK_AGAIN: Duration = Duration::from_mins(15);
const GATHERED: Duration = Duration::from_secs(5);
const SLEEP_HELD: Duration = Duration::from_secs(3);
const LEAVING: Duration = Duration::from_millis(2800);
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// So long before a session lapses the way must have been free for it to be kept: half of it is the longest wait, and the
/// rest two requests.
const FREE_BEFORE_LAPSE: Duration = Duration::from_secs(45);

/// A day takes thousands of steps.
const STEPS: usize = 1_000_000;

/// What is done wrong on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    Nothing,
    /// Wakeups for keepalives get lost.
    LoseKeepalives,
}

/// What must hold and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// When, after the day's begin.
    pub(super) at: Duration,
    pub(super) what: String,
}

/// What a day took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) requests: f64,
    /// The least that it could have taken: one for each change, one per 300 s while Available, one per expiration otherwise.
    pub(super) least: f64,
}

struct InFlight {
    request: Request,
    sent_at: Instant,
    /// When Graph carries it out; `None`: it does not, or has.
    arrives_at: Option<Instant>,
    answered_at: Instant,
    outcome: Result<(), Failure>,
}

struct World<'a> {
    day: &'a Day,
    sabotage: Sabotage,
    random: fastrand::Rng,
    now: Instant,
    /// By how many seconds the wall clock was set.
    clock_set: i64,

    graph: Graph,
    network: Network,
    sign_in: SignIn,
    token_ends: Instant,
    /// How many tokens, the present one among them, Graph refuses.
    refused_tokens: u32,

    rules: Vec<Rule>,
    snapshot: Snapshot,
    schedule: Arc<Schedule>,
    manual: Option<(Claim, Instant)>,
    session: Session,
    in_flight: Option<InFlight>,

    wish: Option<Presence>,
    wish_since: Instant,
    decision_ends: Option<Timestamp>,
    /// The last confirmed request to set, if nothing has come in between since: when the keepalive is due follows from it.
    confirmed: Option<(Target, Instant)>,

    /// Whether what Graph carried out last was answered, so that the session knows of it.
    is_known: bool,
    /// When the way to Graph was last not free.
    hindered_until: Instant,
    /// Until when backoff, `Retry-After` and a refusal may hold the session up, for what happened before.
    backs_off_until: Instant,
    forbidden_until: Instant,
    refused_until: Instant,
    cost: Cost,
}

type Outcome<T = ()> = Result<T, Violation>;

/// Lives a day. The error is the first thing that must hold and does not.
pub(super) fn live(day: &Day, sabotage: Sabotage) -> Outcome<Cost> {
    let mut world = World::new(day, sabotage);
    world.turn()?;
    for (at, event) in &day.events {
        world.live_until(START + *at)?;
        world.happen(event)?;
        world.turn()?;
    }
    world.live_until(START + LENGTH)?;
    world.mend();
    world.turn()?;
    world.live_until(world.now + 2 * GATHERED + 4 * TIMEOUT)?;
    world.account_for_wish();
    world.leave(true)?;
    Ok(world.cost)
}

impl<'a> World<'a> {
    fn new(day: &'a Day, sabotage: Sabotage) -> Self {
        let mut world = Self {
            day,
            sabotage,
            random: fastrand::Rng::with_seed(day.seed),
            now: START,
            clock_set: 0,
            graph: Graph::default(),
            network: Network::Well,
            sign_in: SignIn::Well,
            token_ends: START,
            refused_tokens: 0,
            rules: default_rules(),
            snapshot: Snapshot { sleep: Reading::Known(Sleep::Awake), ..Snapshot::default() },
            schedule: Arc::new(schedule(day)),
            manual: None,
            session: Session::new(day.seed),
            in_flight: None,
            wish: None,
            wish_since: START,
            decision_ends: None,
            confirmed: None,
            is_known: true,
            hindered_until: START,
            backs_off_until: START,
            forbidden_until: START,
            refused_until: START,
            cost: Cost::default(),
        };
        world.snapshot.calendar = Reading::Known(Arc::clone(&world.schedule));
        world
    }

    fn violation(&self, what: impl Into<String>) -> Violation {
        Violation { at: self.now.saturating_since(START), what: what.into() }
    }

    fn now_at(&self, instant: Instant) -> Now {
        let passed = instant.saturating_since(START) + Duration::from_hours(24);
        let wall = Timestamp::from_second(self.clock_set).expect("hours") + passed;
        Now { instant, wall, zone: TimeZone::UTC }
    }

    /// What is known at `now`.
    fn snapshot(&self, now: &Now) -> Snapshot {
        let manual = self.manual.filter(|(_, until)| *until > now.instant);
        let manual = manual.map(|(claim, until)| Override { claim, until: Some(now.wall_at(until)) });
        Snapshot { manual, ..self.snapshot.clone() }
    }

    /// One turn of the loop: decides, tells the session, and sends what it asks for.
    fn turn(&mut self) -> Outcome {
        let now = self.now_at(self.now);
        let decision = decide(&self.rules, &self.snapshot(&now), &now);
        if decision.presence != self.wish {
            self.account_for_wish();
            (self.wish, self.wish_since) = (decision.presence, self.now);
        }
        self.decision_ends = decision.until;
        let expiration = decision.expiration.unwrap_or(self.day.expiration);
        self.session.handle_wish(decision.presence.map(|presence| Target { presence, expiration }), self.now);
        self.drain()
    }

    fn drain(&mut self) -> Outcome {
        while let Some(request) = self.session.poll_request(self.now) {
            self.send(request)?;
        }
        Ok(())
    }

    /// Counts the least of requests that the wish until now could have taken.
    fn account_for_wish(&mut self) {
        let lasted = self.now.saturating_since(self.wish_since).as_secs_f64();
        let expiration = self.day.expiration.as_duration().as_secs_f64();
        self.cost.least += 1.0
            + match self.wish {
                None => 0.0,
                Some(Presence::Available) => lasted / expiration.min(300.0),
                Some(_) => lasted / expiration,
            };
        self.wish_since = self.now;
    }

    fn send(&mut self, request: Request) -> Outcome {
        if self.in_flight.is_some() {
            return Err(self.violation("two requests are in flight"));
        }
        if self.now < self.forbidden_until {
            return Err(self.violation("a request is sent though the service asked to wait"));
        }
        if let (Action::Set(target), Some((held, sent_at))) = (request.action, self.confirmed)
            && target == held
        {
            // Documented: a fifth ahead of the end, at least 1 and at most 5 minutes, reckoned from the sending.
            let expiration = held.expiration.as_duration();
            let lasts =
                if held.presence == Presence::Available { expiration.min(Duration::from_mins(5)) } else { expiration };
            let ahead = (lasts / 5).clamp(Duration::from_mins(1), Duration::from_mins(5));
            if self.now > sent_at + lasts.saturating_sub(ahead) {
                return Err(self.violation("a keepalive is sent later than its lead allows"));
            }
        }
        self.confirmed = None;
        self.cost.requests += 1.0;
        let (takes, carried_out, outcome) = self.fate(request);
        let arrives_at = carried_out.then(|| self.now + takes.mul_f64(self.random.f64()));
        self.in_flight =
            Some(InFlight { request, sent_at: self.now, arrives_at, answered_at: self.now + takes, outcome });
        Ok(())
    }

    /// What becomes of a request: how long its answer takes, whether Graph carries it out, and the answer.
    fn fate(&mut self, request: Request) -> (Duration, bool, Result<(), Failure>) {
        use FailureKind::{Passing, Refused, SignInNeeded, Throttled, TokenRefused};
        let fails = |kind, applied| Err(Failure { applied, ..Failure::new(kind, "it failed") });
        let takes = self.day.latency.mul_f64(self.random.f64());
        if self.network == Network::Down {
            return (takes, false, fails(Passing, Applied::No));
        }
        if request.fresh_token || self.now >= self.token_ends {
            match self.sign_in {
                SignIn::Well => {}
                SignIn::Down => return (takes, false, fails(Passing, Applied::No)),
                SignIn::Needed => return (takes, false, fails(SignInNeeded, Applied::No)),
            }
            self.token_ends = self.now + Duration::from_mins(self.random.u64(60..90));
            self.note_hindrance();
            self.refused_tokens = self.refused_tokens.saturating_sub(1);
        }
        if self.refused_tokens > 0 {
            return (takes, false, fails(TokenRefused, Applied::No));
        }
        let carried_out = self.random.bool();
        match self.network {
            Network::Well => (takes, true, Ok(())),
            Network::Flapping if carried_out => (takes, true, Ok(())),
            Network::Flapping | Network::Failing => {
                let carried_out = self.random.bool();
                (takes, carried_out, fails(Passing, Applied::Perhaps))
            }
            Network::Deaf | Network::Down => (TIMEOUT, true, fails(Passing, Applied::Perhaps)),
            Network::Throttling(seconds) => {
                let retry_after = seconds.map(Duration::from_secs);
                (takes, false, Err(Failure { retry_after, ..Failure::new(Throttled, "throttled") }))
            }
            Network::Refusing => (takes, false, fails(Refused, Applied::No)),
        }
    }

    fn is_hindered(&self) -> bool {
        self.network != Network::Well || self.sign_in != SignIn::Well || self.refused_tokens > 0
    }

    /// Notes, before it may end, that the way to Graph is not free.
    fn note_hindrance(&mut self) {
        if self.is_hindered() {
            self.hindered_until = self.now;
            self.backs_off_until = self.now + BACKOFF;
        }
    }

    /// Lives until `end`, from one moment at which something happens to the next.
    fn live_until(&mut self, end: Instant) -> Outcome {
        for _ in 0..STEPS {
            if self.now >= end {
                return Ok(());
            }
            let next = self.next_moment().map_or(end, |next| next.min(end));
            if next > self.now {
                self.check(next - Duration::from_nanos(1))?;
                self.now = next;
            }
            self.arrive()?;
            self.turn()?;
        }
        Err(self.violation("it does not come to rest"))
    }

    fn next_moment(&self) -> Option<Instant> {
        let now = self.now_at(self.now);
        let wakeup = self.session.poll_wakeup(self.now);
        let wakeup = wakeup.filter(|(_, why)| self.sabotage == Sabotage::Nothing || *why != Why::Keepalive);
        let in_flight = self.in_flight.iter().flat_map(|one| one.arrives_at.into_iter().chain([one.answered_at]));
        let decision = self.decision_ends.map(|until| now.instant_at(until));
        let manual = self.manual.map(|(_, until)| until).filter(|until| *until > self.now);
        in_flight.chain(wakeup.map(|(at, _)| at)).chain(decision).chain(manual).min()
    }

    /// Lets a request arrive at Graph, and its answer here.
    fn arrive(&mut self) -> Outcome {
        let Some(in_flight) = &mut self.in_flight else { return Ok(()) };
        if in_flight.arrives_at.take_if(|at| *at <= self.now).is_some() {
            let action = in_flight.request.action;
            self.carry_out(action)?;
        }
        if let Some(answered) = self.in_flight.take_if(|in_flight| in_flight.answered_at <= self.now) {
            self.answer(&answered);
        }
        Ok(())
    }

    fn carry_out(&mut self, action: Action) -> Outcome {
        self.is_known = false;
        match action {
            Action::Set(Target { presence, expiration }) => {
                let pair = (presence.availability(), presence.activity());
                self.graph.set(pair, expiration.as_duration(), self.now).map_err(|what| self.violation(what))
            }
            Action::Clear => {
                self.graph.clear();
                Ok(())
            }
            Action::Prefer(_) | Action::ClearPreferred => Err(self.violation("no rule prefers")),
        }
    }

    fn answer(&mut self, InFlight { request, sent_at, outcome, .. }: &InFlight) {
        self.session.handle_outcome(request.id, outcome.as_ref().copied(), self.now);
        self.is_known |= outcome.is_ok();
        match (outcome, request.action) {
            (Ok(()), Action::Set(target)) => self.confirmed = Some((target, *sent_at)),
            (Ok(()), _) => {}
            (Err(failure), _) => {
                if let Some(wait) = failure.retry_after {
                    self.forbidden_until = self.forbidden_until.max(self.now + wait);
                }
                if failure.kind == FailureKind::Refused {
                    self.refused_until = self.now + LOOK_AGAIN;
                }
            }
        }
    }

    /// What must hold at `at`, before which nothing more happens.
    fn check(&self, at: Instant) -> Outcome {
        let then = self.now_at(at);
        let decision = decide(&self.rules, &self.snapshot(&then), &then);
        if decision.presence != self.wish {
            return Err(self.violation(format!("the decision is {:?}, and nobody woke for it", decision.presence)));
        }
        if self.is_hindered() {
            return Ok(());
        }
        let held_up = self.forbidden_until.max(self.refused_until);
        // Of what it does not know of, it cannot know the end: then a backoff takes its time.
        let backs_off = if self.is_known { self.hindered_until } else { self.backs_off_until };
        if self.wish.is_some()
            && let Some(lapsed_at) = self.graph.lapsed_at(at)
            && lapsed_at > held_up.max(backs_off) + FREE_BEFORE_LAPSE
        {
            return Err(self.violation("the session faded or expired, and nothing stood in the way"));
        }
        let recently = if at < self.hindered_until + BACKOFF + TIMEOUT {
            TIMEOUT + Duration::from_secs(1)
        } else {
            Duration::ZERO
        };
        let takes = 2 * self.day.latency + Duration::from_secs(1) + recently;
        let right_by = held_up.max(self.backs_off_until).max(self.wish_since + GATHERED) + takes;
        let expected =
            self.wish.map_or(Seen::Offline, |presence| Seen::As((presence.availability(), presence.activity())));
        let seen = self.graph.seen(at);
        if at > right_by && seen != expected {
            return Err(self.violation(format!("others see {seen:?} instead of {expected:?}")));
        }
        Ok(())
    }

    fn happen(&mut self, event: &Event) -> Outcome {
        self.note_hindrance();
        match event {
            Event::Lock(reading) => self.snapshot.lock = reading.clone(),
            Event::Call(reading) => self.snapshot.call = reading.clone().map(|state| Call { state, app: None }),
            Event::Calendar(known) => {
                self.snapshot.calendar =
                    if *known { Reading::Known(Arc::clone(&self.schedule)) } else { Reading::Unknown };
            }
            Event::Override(manual) => self.manual = manual.map(|(claim, lasts)| (claim, self.now + lasts)),
            Event::SetClock(seconds) => self.clock_set = (self.clock_set + seconds).clamp(-40_000, 40_000),
            Event::Network(network, told) => {
                self.network = *network;
                if *told {
                    self.nudge();
                }
            }
            Event::SignIn(sign_in) => {
                if self.sign_in == SignIn::Needed && *sign_in == SignIn::Well {
                    self.session.handle_mended();
                    self.refused_until = self.now;
                    self.nudge();
                }
                self.sign_in = *sign_in;
            }
            Event::RefuseTokens(count) => self.refused_tokens = *count,
            Event::Suspend(lasts, announced) => self.suspend(*lasts, *announced)?,
            Event::Restart(crash) => {
                if !crash {
                    self.leave(false)?;
                }
                self.start_again();
            }
        }
        Ok(())
    }

    fn nudge(&mut self) {
        self.session.handle_nudge();
        self.backs_off_until = self.now;
    }

    /// Everything is well from now on, and noticed.
    fn mend(&mut self) {
        self.note_hindrance();
        (self.network, self.sign_in, self.refused_tokens) = (Network::Well, SignIn::Well, 0);
        self.session.handle_mended();
        self.refused_until = self.now;
        self.nudge();
        // The end of the day comes after the last wait that the service asked for.
        self.forbidden_until = self.forbidden_until.max(self.now);
        self.now = self.forbidden_until;
    }

    fn suspend(&mut self, lasts: Duration, announced: bool) -> Outcome {
        if announced {
            self.snapshot.sleep = Reading::Known(Sleep::Suspending);
            self.turn()?;
            self.session.handle_suspend();
            self.drain()?;
            let ends = self.now + SLEEP_HELD;
            while self.now < ends && !self.session.rests_until(ends, self.now) {
                let next = self.next_moment().map_or(ends, |next| next.min(ends));
                self.live_until(next.max(self.now + Duration::from_nanos(1)))?;
            }
        }
        // Nobody is there to see what becomes of a request that is under way.
        if let Some(in_flight) = &mut self.in_flight {
            if in_flight.arrives_at.take().is_some() && self.random.bool() {
                let action = in_flight.request.action;
                self.carry_out(action)?;
            }
            let failure = Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, "no answer") };
            let in_flight = self.in_flight.as_mut().expect("it is there");
            (in_flight.outcome, in_flight.answered_at) = (Err(failure), self.now + lasts + TIMEOUT);
        }
        self.now = self.now + lasts;
        (self.hindered_until, self.backs_off_until) = (self.now, self.now + BACKOFF);
        self.confirmed = None;
        if announced {
            self.snapshot.sleep = Reading::Known(Sleep::Awake);
            self.abandon();
            self.nudge();
        }
        Ok(())
    }

    /// Gives up the request in flight.
    fn abandon(&mut self) {
        if let Some(mut in_flight) = self.in_flight.take() {
            let failure = Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, "no answer") };
            in_flight.outcome = Err(failure);
            self.answer(&in_flight);
            self.session.handle_nudge();
        }
    }

    /// Stops as the daemon does. `well`: then nothing hinders, and the session must be left as it is configured.
    fn leave(&mut self, well: bool) -> Outcome {
        let before = self.graph.seen(self.now);
        let (ends, patient_until) = (self.now + LEAVING, self.now + LAST_ANSWER);
        self.session.handle_leave(self.day.clears);
        self.drain()?;
        while self.now < ends && !self.session.has_left() {
            if self.in_flight.as_ref().is_some_and(|in_flight| in_flight.sent_at <= patient_until - LAST_ANSWER)
                && self.now >= patient_until
            {
                self.abandon();
            }
            let next = self.next_moment().map_or(ends, |next| next.min(ends));
            let next = if self.now < patient_until { next.min(patient_until) } else { next };
            self.now = next.max(self.now + Duration::from_millis(1));
            self.arrive()?;
            self.drain()?;
        }
        let seen = self.graph.seen(self.now);
        if well && self.day.latency <= LAST_ANSWER {
            let expected = if self.day.clears { Seen::Offline } else { before };
            if seen != expected || !self.session.has_left() {
                return Err(self.violation(format!("it left {seen:?} behind instead of {expected:?}")));
            }
        }
        Ok(())
    }

    /// A new process, which knows nothing of the one before.
    fn start_again(&mut self) {
        self.in_flight = None;
        self.session = Session::new(self.random.u64(..));
        (self.confirmed, self.is_known) = (None, false);
        (self.wish_since, self.hindered_until) = (self.now, self.now);
        (self.forbidden_until, self.refused_until) = (self.now, self.now);
        self.token_ends = self.now;
    }
}

/// The day's meetings, the strongest first where they overlap.
fn schedule(day: &Day) -> Schedule {
    let origin = Timestamp::UNIX_EPOCH + Duration::from_hours(24);
    let mut edges: Vec<Duration> = day.meetings.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
    edges.sort_unstable();
    edges.dedup();
    let class_at = |at: Duration| {
        let now = day.meetings.iter().filter(|(from, to, _)| *from <= at && at < *to);
        now.map(|(.., class)| *class).max().unwrap_or(BusyClass::Free)
    };
    let changes = edges.into_iter().map(|at| (origin + at, class_at(at), false)).collect();
    Schedule::new(origin - Duration::from_hours(24), origin + Duration::from_hours(72), changes)
}
