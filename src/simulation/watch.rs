//! What must hold at every moment, whatever happens.
//!
//! **The documented bounds.** While nothing is wrong, a change shows once its requests are through: at once, or in a burst
//! after its window of 5 s. After a fault the next attempt comes with the backoff, 5 minutes at most, or at once when the driver
//! is told that the way is free; not before `Retry-After`; after a refusal within 15 minutes.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::day::Clocked;
use super::facts::Ought;
use super::graph::{Graph, Pair};
use super::network::{LATENCY, TIME_OUT, TOKEN_LATENCY};
use crate::failure::{Failure, FailureKind};
use crate::presence::Presence;
use crate::session::{Action, Target};
use crate::time::Instant;

/// The window of a burst, and what makes one.
const WINDOW: Duration = Duration::from_secs(5);
const BURST: usize = 5;
const BURST_SPAN: Duration = Duration::from_secs(36);
/// Most changes that are sent in 30 s: those that go at once, and one at the end of each window, also of the one that was open.
const CHANGES_SPAN: Duration = Duration::from_secs(30);
const CHANGES: usize = BURST + 1 + 30 / 5;
/// The longest backoff.
const BACKOFF: Duration = Duration::from_mins(5);
/// When a refused session is tried again.
const LOOK_AGAIN: Duration = Duration::from_mins(15);
/// Three requests, each with a new token: one that was in flight, the session's, the preferred presence's.
const SETTLE: Duration = LATENCY.saturating_add(TOKEN_LATENCY).saturating_mul(3);
/// So long before its end a session that is kept can still be saved: half of it may be spent waiting for the next attempt.
const FIT: Duration = LATENCY.saturating_add(TOKEN_LATENCY).saturating_mul(4);
/// The same while each of them takes up to the client's time-out.
const FIT_SLOWLY: Duration = TIME_OUT.saturating_add(TOKEN_LATENCY).saturating_mul(4);
/// So many requests in a row may fail for tokens that are refused.
const TOKEN_TRIES: u32 = 4;
/// Most requests, in terms of the fewest that could do.
const FACTOR: f64 = 1.3;

/// What may be found broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invariant {
    DecidesByTheRules,
    OnlyDocumentedRequests,
    OneInFlight,
    RetryAfterObeyed,
    BurstsAreGathered,
    NeverLapses,
    ShowsWhatIsDecided,
    FailsOnlyForAReason,
    AsleepIsWritten,
    LeavesNothing,
    KeepsOnExit,
    FewRequests,
    GoesOn,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DecidesByTheRules => "the policy decides what the rules say",
            Self::OnlyDocumentedRequests => "only the five pairs and 5 to 240 minutes are asked for",
            Self::OneInFlight => "one request is in flight",
            Self::RetryAfterObeyed => "Retry-After is obeyed",
            Self::BurstsAreGathered => "many changes are gathered into windows of 5 s",
            Self::NeverLapses => "nothing fades or expires while requests can succeed",
            Self::ShowsWhatIsDecided => "others see what is decided within the bound",
            Self::FailsOnlyForAReason => "requests succeed while nothing is wrong",
            Self::AsleepIsWritten => "sleep comes once its presence is written",
            Self::LeavesNothing => "nothing is left after the exit",
            Self::KeepsOnExit => "what is to stay stays after the exit",
            Self::FewRequests => "a calm day costs few requests",
            Self::GoesOn => "a wakeup that is due asks for a request",
        })
    }
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) invariant: Invariant,
    pub(super) at: Instant,
    pub(super) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken at {}: {}: {}", Clocked(self.at.since_origin()), self.invariant, self.what)
    }
}

pub(super) fn violation(invariant: Invariant, at: Instant, what: impl Into<String>) -> Violation {
    Violation { invariant, at, what: what.into() }
}

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) ought: Ought,
    ought_since: Instant,
    changes: VecDeque<Instant>,
    /// When the last thing that was wrong was over, or the last answer that came of it.
    trouble_ended: Instant,
    /// When the next attempt comes at the latest, for the last failure.
    backoff_ends: Instant,
    /// Until when a request that was given up may overtake later ones.
    strays_until: Instant,
    forbidden_until: Instant,
    refused_until: Instant,
    failures: u32,
    /// How long after its sending Graph carried out the last request about the session, and about the preferred presence; and
    /// whether it was confirmed.
    carried_out: [(Duration, bool); 2],
    /// The last request about each of the two, and when those that asked for something else than the one before were sent.
    sent: [(Option<Action>, VecDeque<Instant>); 2],
    pub(super) requests: u32,
    /// The fewest requests that could do.
    pub(super) least: f64,
    reckoned_at: Instant,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            ought: Ought::default(),
            ought_since: now,
            changes: VecDeque::new(),
            trouble_ended: now,
            backoff_ends: now,
            strays_until: now,
            forbidden_until: now,
            refused_until: now,
            failures: 0,
            carried_out: [(Duration::ZERO, false); 2],
            sent: Default::default(),
            requests: 0,
            least: 0.0,
            reckoned_at: now,
        }
    }

    /// What ought to be seen from `now` on.
    pub(super) fn note_ought(&mut self, ought: Ought, now: Instant) {
        self.reckon(now);
        if ought == self.ought && !self.changes.is_empty() {
            return;
        }
        let changes =
            [self.changes.is_empty() || ought.target != self.ought.target, preferred(ought) != preferred(self.ought)];
        self.least += changes.into_iter().map(|changed| f64::from(u8::from(changed))).sum::<f64>();
        self.ought = ought;
        self.ought_since = now;
        // A change is sent in the midst of a backoff.
        self.backoff_ends = self.backoff_ends.min(now);
        self.changes.retain(|change| now.saturating_since(*change) < BURST_SPAN);
        self.changes.push_back(now);
    }

    /// Adds the fewest keepalives since it was last asked.
    fn reckon(&mut self, now: Instant) {
        let passed = now.saturating_since(self.reckoned_at).as_secs_f64();
        let expires = |target: Target| target.expiration.as_duration().as_secs_f64();
        let lasts = |target: Target| if target.presence == Presence::Available { 300.0 } else { expires(target) };
        let session = self.ought.target.map_or(0.0, |target| passed / lasts(target));
        self.least += session + preferred(self.ought).map_or(0.0, |target| passed / expires(target));
        self.reckoned_at = now;
    }

    fn is_bursting(&self) -> bool {
        self.changes.len() > BURST
    }

    fn window(&self) -> Duration {
        if self.is_bursting() { WINDOW } else { Duration::ZERO }
    }

    pub(super) fn note_trouble(&mut self, now: Instant) {
        self.trouble_ended = now;
        self.failures = 0;
    }

    /// The driver told the session that trying again is worth it.
    pub(super) fn note_nudge(&mut self, now: Instant) {
        self.backoff_ends = self.backoff_ends.min(now);
    }

    /// The machine is about to sleep: nothing is gathered any more.
    pub(super) fn note_suspend(&mut self, now: Instant) {
        if self.is_bursting() {
            // What waited for the end of a window is due now.
            self.ought_since = now;
        }
        self.changes.drain(..self.changes.len().saturating_sub(1));
        self.sent = Default::default();
        self.note_nudge(now);
    }

    pub(super) fn note_mended(&mut self, now: Instant) {
        self.refused_until = self.refused_until.min(now);
        self.note_nudge(now);
    }

    pub(super) fn note_sent(&mut self, action: Action, others_in_flight: bool, now: Instant) -> Result<(), Violation> {
        self.requests += 1;
        if others_in_flight {
            return Err(violation(Invariant::OneInFlight, now, format!("{action:?} is a second one")));
        }
        let (last, changes) = &mut self.sent[usize::from(action.is_about_preferred())];
        if last.replace(action) != Some(action) {
            changes.retain(|sent| now.saturating_since(*sent) < CHANGES_SPAN);
            changes.push_back(now);
            if changes.len() > CHANGES {
                let what = format!("{action:?} is the {}th change in {CHANGES_SPAN:?}", changes.len());
                return Err(violation(Invariant::BurstsAreGathered, now, what));
            }
        }
        if now < self.forbidden_until {
            let early = self.forbidden_until.saturating_since(now);
            return Err(violation(Invariant::RetryAfterObeyed, now, format!("{action:?} comes {early:?} early")));
        }
        Ok(())
    }

    /// Nobody waits for the answer of a request any more.
    pub(super) fn note_given_up(&mut self, now: Instant) {
        self.strays_until = now + TIME_OUT;
    }

    /// Graph carries `action` out, so long after it was sent, and nobody knows yet.
    pub(super) fn note_arrived(&mut self, action: Action, after: Duration) {
        self.carried_out[usize::from(action.is_about_preferred())] = (after, false);
    }

    pub(super) fn note_outcome(
        &mut self,
        action: Action,
        outcome: Result<(), &Failure>,
        in_trouble: bool,
        now: Instant,
    ) -> Result<(), Violation> {
        if in_trouble {
            self.note_trouble(now);
        }
        let Err(failure) = outcome else {
            self.carried_out[usize::from(action.is_about_preferred())].1 = true;
            self.failures = 0;
            self.backoff_ends = self.backoff_ends.min(now);
            return Ok(());
        };
        self.trouble_ended = now;
        self.backoff_ends = now + BACKOFF;
        if let Some(wait) = failure.retry_after {
            self.forbidden_until = self.forbidden_until.max(now + wait);
        }
        if failure.kind == FailureKind::Refused {
            self.refused_until = now + LOOK_AGAIN;
        }
        self.failures += u32::from(!in_trouble);
        if self.failures > TOKEN_TRIES {
            let what = format!("the {}th in a row, {action:?}: {failure}", self.failures);
            return Err(violation(Invariant::FailsOnlyForAReason, now, what));
        }
        Ok(())
    }

    /// Whether a request that is sent at `now` succeeds and may be sent, as far as this knows.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        now >= self.forbidden_until.max(self.refused_until)
    }

    /// Whether all is well for so long, and with so few changes, that a wish is sent at once.
    pub(super) fn is_steady(&self, now: Instant) -> bool {
        self.may_send(now) && now >= self.backoff_ends && now >= self.trouble_ended + FIT && !self.is_bursting()
    }

    /// What others see at `at`, a moment at which nothing is wrong and nothing in flight met with trouble.
    pub(super) fn check(&self, graph: &Graph, at: Instant) -> Result<(), Violation> {
        self.check_deadlines(graph, FIT, at)?;
        let changed = self.ought_since + self.window();
        let settled = changed.max(self.free_since()).max(self.backoff_ends).max(self.strays_until);
        if at < settled + SETTLE {
            return Ok(());
        }
        self.check_now(graph, at)
    }

    /// The same while requests succeed and are slow: what is kept is kept.
    pub(super) fn check_slow(&self, graph: &Graph, at: Instant) -> Result<(), Violation> {
        self.check_deadlines(graph, FIT_SLOWLY, at)
    }

    /// Since when requests can succeed.
    fn free_since(&self) -> Instant {
        self.trouble_ended.max(self.forbidden_until).max(self.refused_until)
    }

    /// Nothing is over by `at` that could have been set again, if `fit` is enough for that.
    fn check_deadlines(&self, graph: &Graph, fit: Duration, at: Instant) -> Result<(), Violation> {
        let free_since = self.free_since();
        let changed = self.ought_since + self.window();
        let names = [("the session", self.ought.target.is_some()), ("the preferred presence", self.ought.prefer)];
        for ((run_out, (after, confirmed)), (name, wished)) in
            graph.run_outs().into_iter().zip(self.carried_out).zip(names)
        {
            // Nobody but Graph knows when it began to count: it may have been at the sending.
            let deadline = run_out.filter(|_| wished && confirmed).map(|run_out| run_out - after);
            let missed = |deadline: &Instant| *deadline <= at && *deadline >= free_since.max(changed) + fit;
            if let Some(missed) = deadline.filter(missed) {
                return Err(violation(Invariant::NeverLapses, missed, format!("{name} was not set again")));
            }
        }
        Ok(())
    }

    /// The same without any time to settle.
    pub(super) fn check_now(&self, graph: &Graph, at: Instant) -> Result<(), Violation> {
        let session = self.ought.target.map(|Target { presence, .. }| (presence.availability(), presence.activity()));
        let preferred: Option<Pair> =
            preferred(self.ought).map(|Target { presence, .. }| (presence.availability(), presence.availability()));
        let expected = (graph.seen_with(session, preferred), session, preferred);
        let found = (graph.seen(at), graph.session(at), graph.preferred(at));
        if found == expected {
            return Ok(());
        }
        let since = Clocked(self.ought_since.since_origin());
        let what = format!("(seen, session, preferred) is {found:?}, and ought to be {expected:?} since {since}");
        Err(violation(Invariant::ShowsWhatIsDecided, at, what))
    }

    /// What the policy decided.
    pub(super) fn check_decision(&self, decided: Ought, now: Instant) -> Result<(), Violation> {
        if decided == self.ought {
            return Ok(());
        }
        let what = format!("{decided:?} is decided, and ought to be {:?}", self.ought);
        Err(violation(Invariant::DecidesByTheRules, now, what))
    }

    /// The requests of a calm day.
    pub(super) fn check_requests(&mut self, now: Instant) -> Result<(), Violation> {
        self.reckon(now);
        if f64::from(self.requests) <= self.least * FACTOR {
            return Ok(());
        }
        let what = format!("{} requests where {:.1} could do", self.requests, self.least);
        Err(violation(Invariant::FewRequests, now, what))
    }
}

fn preferred(ought: Ought) -> Option<Target> {
    ought.target.filter(|_| ought.prefer)
}
