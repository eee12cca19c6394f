//! The invariants that hold at every moment of a day, and the [`Checker`] for them.
//!
//! **The bounds.** Without faults, others see a change as soon as its requests are answered. While changes are coalesced, that
//! starts after the window of 5 s. After a fault, the next attempt comes after the backoff of at most 5 minutes, or at once
//! after a nudge, but not before `Retry-After`. After a refusal, it comes within 15 minutes.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::day::ClockTime;
use super::graph::{Graph, Pair};
use super::network::{ANSWER_TIMEOUT, MAX_GRAPH_LATENCY, MAX_TOKEN_LATENCY};
use super::rules::Expected;
use crate::failure::{Failure, FailureKind};
use crate::presence::Presence;
use crate::session::{Action, Target};
use crate::time::Instant;

/// The window for coalescing, and the changes after which it applies.
const COALESCE_WINDOW: Duration = Duration::from_secs(5);
const BURST_CHANGES: usize = 5;
const BURST_COUNTED_FOR: Duration = Duration::from_secs(36);
/// The most changes that may be sent in 30 s: those that are sent at once, and one at the end of each window, including a
/// window that is already open.
const CHANGES_COUNTED_FOR: Duration = Duration::from_secs(30);
const MAX_CHANGES: usize = BURST_CHANGES + 1 + 30 / 5;
/// The longest backoff.
const MAX_BACKOFF: Duration = Duration::from_mins(5);
/// When a refused request is tried again.
const REFUSED_RETRY_INTERVAL: Duration = Duration::from_mins(15);
/// The time for three requests, each with a new token: one that is in flight, one for the session and one for the preferred
/// presence.
const SETTLE_TIME: Duration = MAX_GRAPH_LATENCY.saturating_add(MAX_TOKEN_LATENCY).saturating_mul(3);
/// If requests can succeed for this long before a deadline, the presence must be set again in time. Half of it may be spent
/// waiting for the next attempt.
const REFRESH_TIME: Duration = MAX_GRAPH_LATENCY.saturating_add(MAX_TOKEN_LATENCY).saturating_mul(4);
/// The same if each request takes up to the client's timeout.
const SLOW_REFRESH_TIME: Duration = ANSWER_TIMEOUT.saturating_add(MAX_TOKEN_LATENCY).saturating_mul(4);
/// How many requests in a row may fail because of refused tokens.
const MAX_TOKEN_FAILURES: u32 = 4;
/// How long before the end of a presence its keepalive comes, and how long before that it is read back.
const MIN_LEAD: Duration = Duration::from_mins(1);
const MAX_LEAD: Duration = Duration::from_mins(5);
const READ_LEAD: Duration = Duration::from_secs(5);
/// The most requests on a calm day, as a multiple of the least possible number.
const MAX_REQUEST_FACTOR: f64 = 1.3;

/// The invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invariant {
    DecidesByTheRules,
    OnlyDocumentedRequests,
    OneInFlight,
    RetryAfterObeyed,
    ChangesAreCoalesced,
    NeverLapses,
    ShowsWhatIsDecided,
    SucceedsWithoutFaults,
    WrittenBeforeSleep,
    NoticesWakeUps,
    LeavesNothing,
    KeepsOnExit,
    FewRequests,
    WakeupsSendRequests,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DecidesByTheRules => "the policy decides what the rules say",
            Self::OnlyDocumentedRequests => "only the five pairs and 5 to 240 minutes are requested",
            Self::OneInFlight => "only one request is in flight",
            Self::RetryAfterObeyed => "Retry-After is obeyed",
            Self::ChangesAreCoalesced => "many changes are coalesced in windows of 5 s",
            Self::NeverLapses => "nothing fades or expires while requests can succeed",
            Self::ShowsWhatIsDecided => "others see what is decided in time",
            Self::SucceedsWithoutFaults => "requests succeed without faults",
            Self::WrittenBeforeSleep => "sleep begins after its presence is written",
            Self::NoticesWakeUps => "a wake-up is noticed within 10 s, even if nobody announces it",
            Self::LeavesNothing => "nothing is left after the exit",
            Self::KeepsOnExit => "what should stay is left after the exit",
            Self::FewRequests => "a calm day costs few requests",
            Self::WakeupsSendRequests => "a wakeup that is due sends a request",
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
        write!(f, "broken at {}: {}: {}", ClockTime(self.at.since_origin()), self.invariant, self.what)
    }
}

pub(super) fn violation(invariant: Invariant, at: Instant, what: impl Into<String>) -> Violation {
    Violation { invariant, at, what: what.into() }
}

/// What has happened so far, as far as the invariants need it.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) expected: Expected,
    expected_since: Instant,
    changes: VecDeque<Instant>,
    /// When the last fault ended, or when the last answer affected by it arrived.
    trouble_ended: Instant,
    /// The latest time for the next attempt after the last failure.
    backoff_ends: Instant,
    /// Until when an abandoned request may overtake later ones.
    strays_until: Instant,
    /// Until when another program's write to the session may stay unnoticed.
    unnoticed_until: Instant,
    /// Until when a preferred presence may stay that an earlier process has set. This one does not know about it.
    left_over_until: Instant,
    forbidden_until: Instant,
    refused_until: Instant,
    failures: u32,
    /// For the session and the preferred presence: how long after sending Graph carried out the last request, and whether that
    /// was confirmed.
    carried_out: [(Duration, bool); 2],
    /// For the session and the preferred presence: the last request, and the sending times of requests that differed from the
    /// one before.
    sent: [(Option<Action>, VecDeque<Instant>); 2],
    pub(super) requests: u32,
    /// The least possible number of requests.
    pub(super) least: f64,
    counted_until: Instant,
}

impl Checker {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            expected: Expected::default(),
            expected_since: now,
            changes: VecDeque::new(),
            trouble_ended: now,
            backoff_ends: now,
            strays_until: now,
            unnoticed_until: now,
            left_over_until: now,
            forbidden_until: now,
            refused_until: now,
            failures: 0,
            carried_out: [(Duration::ZERO, false); 2],
            sent: Default::default(),
            requests: 0,
            least: 0.0,
            counted_until: now,
        }
    }

    /// `expected` is expected from `now` on.
    pub(super) fn note_expected(&mut self, expected: Expected, now: Instant) {
        self.count_keepalives(now);
        if expected == self.expected && !self.changes.is_empty() {
            return;
        }
        let changes = [
            self.changes.is_empty() || expected.target != self.expected.target,
            preferred(expected) != preferred(self.expected),
        ];
        self.least += changes.into_iter().map(|changed| f64::from(u8::from(changed))).sum::<f64>();
        self.expected = expected;
        self.expected_since = now;
        // A change is sent even during a backoff.
        self.backoff_ends = self.backoff_ends.min(now);
        self.changes.retain(|change| now.saturating_since(*change) < BURST_COUNTED_FOR);
        self.changes.push_back(now);
    }

    /// Adds the least possible number of keepalives since the last call.
    fn count_keepalives(&mut self, now: Instant) {
        let passed = now.saturating_since(self.counted_until).as_secs_f64();
        let expires = |target: Target| target.expiration.as_duration().as_secs_f64();
        let lasts = |target: Target| if target.presence == Presence::Available { 300.0 } else { expires(target) };
        let session = self.expected.target.map_or(0.0, |target| passed / lasts(target));
        self.least += session + preferred(self.expected).map_or(0.0, |target| passed / expires(target));
        self.counted_until = now;
    }

    fn is_bursting(&self) -> bool {
        self.changes.len() > BURST_CHANGES
    }

    fn window(&self) -> Duration {
        if self.is_bursting() { COALESCE_WINDOW } else { Duration::ZERO }
    }

    pub(super) fn note_trouble(&mut self, now: Instant) {
        self.trouble_ended = now;
        self.failures = 0;
    }

    /// The driver told the session that it is worth trying again.
    pub(super) fn note_nudge(&mut self, now: Instant) {
        self.backoff_ends = self.backoff_ends.min(now);
    }

    /// The machine is about to sleep, so changes are not coalesced any more.
    pub(super) fn note_suspend(&mut self, now: Instant) {
        if self.is_bursting() {
            // A change that was waiting for the end of a window is due now.
            self.expected_since = now;
        }
        self.changes.drain(..self.changes.len().saturating_sub(1));
        self.sent = Default::default();
        self.note_nudge(now);
    }

    /// Another program cleared the session, which was set at `set_at` and lasts for `lasts`. If that `shows`, it is noticed 5 s
    /// before the next keepalive, which comes a fifth of that time before its end, but 1 to 5 minutes before it.
    pub(super) fn note_other_writer(&mut self, (set_at, lasts): (Instant, Duration), shows: bool, now: Instant) {
        let keepalive = set_at + lasts.saturating_sub((lasts / 5).clamp(MIN_LEAD, MAX_LEAD));
        let read = keepalive - READ_LEAD;
        self.unnoticed_until = if shows && now < read { read } else { keepalive };
        // It costs one more request.
        self.least += 1.0;
    }

    /// presenced starts again and knows nothing of its last process's requests, not even a `Retry-After`. A preferred presence is
    /// left over from that process until `left_over_until`.
    pub(super) fn note_restart(&mut self, left_over_until: Option<Instant>, now: Instant) {
        self.note_trouble(now);
        (self.backoff_ends, self.forbidden_until, self.refused_until) = (now, now, now);
        (self.unnoticed_until, self.left_over_until) = (now, left_over_until.unwrap_or(now));
        self.expected_since = now;
        self.changes.clear();
        self.sent = Default::default();
        self.carried_out = Default::default();
    }

    pub(super) fn note_setup_changed(&mut self, now: Instant) {
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
            changes.retain(|sent| now.saturating_since(*sent) < CHANGES_COUNTED_FOR);
            changes.push_back(now);
            if changes.len() > MAX_CHANGES {
                let what = format!("{action:?} is the {}th change in {CHANGES_COUNTED_FOR:?}", changes.len());
                return Err(violation(Invariant::ChangesAreCoalesced, now, what));
            }
        }
        if now < self.forbidden_until {
            let early = self.forbidden_until.saturating_since(now);
            return Err(violation(Invariant::RetryAfterObeyed, now, format!("{action:?} comes {early:?} early")));
        }
        Ok(())
    }

    /// The client no longer waits for the answer to a request.
    pub(super) fn note_given_up(&mut self, now: Instant) {
        self.strays_until = now + ANSWER_TIMEOUT;
    }

    /// Graph carries out `action`, `after` it was sent. The client does not know yet.
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
        self.backoff_ends = now + MAX_BACKOFF;
        if let Some(wait) = failure.retry_after {
            self.forbidden_until = self.forbidden_until.max(now + wait);
        }
        if failure.kind == FailureKind::Refused {
            self.refused_until = now + REFUSED_RETRY_INTERVAL;
        }
        self.failures += u32::from(!in_trouble);
        if self.failures > MAX_TOKEN_FAILURES {
            let what = format!("the {}th in a row, {action:?}: {failure}", self.failures);
            return Err(violation(Invariant::SucceedsWithoutFaults, now, what));
        }
        Ok(())
    }

    /// Whether a request may be sent at `now` and can succeed, as far as the checker knows.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        now >= self.forbidden_until.max(self.refused_until)
    }

    /// Whether a preferred presence of an earlier process may still be there.
    pub(super) fn has_left_over(&self, now: Instant) -> bool {
        now < self.left_over_until
    }

    /// Whether there has been no fault for long enough, and so few changes, that a wish is sent at once.
    pub(super) fn is_steady(&self, now: Instant) -> bool {
        self.may_send(now)
            && now >= self.backoff_ends
            && now >= self.trouble_ended + REFRESH_TIME
            && now >= self.unnoticed_until
            && !self.has_left_over(now)
            && !self.is_bursting()
    }

    /// Checks what others see at `at`, when there is no fault and no request in flight that a fault affects.
    pub(super) fn check(&self, graph: &Graph, at: Instant) -> Result<(), Violation> {
        self.check_deadlines(graph, REFRESH_TIME, at)?;
        let changed = self.expected_since + self.window();
        let settled = changed.max(self.free_since()).max(self.backoff_ends).max(self.strays_until);
        let settled = settled.max(self.unnoticed_until).max(self.left_over_until);
        if at < settled + SETTLE_TIME {
            return Ok(());
        }
        self.check_now(graph, at)
    }

    /// Checks only the deadlines, while requests succeed slowly.
    pub(super) fn check_slow(&self, graph: &Graph, at: Instant) -> Result<(), Violation> {
        self.check_deadlines(graph, SLOW_REFRESH_TIME, at)
    }

    /// Since when requests can succeed.
    fn free_since(&self) -> Instant {
        self.trouble_ended.max(self.forbidden_until).max(self.refused_until)
    }

    /// Checks that nothing has run out by `at` that could have been set again. `fit` is the time that this takes.
    fn check_deadlines(&self, graph: &Graph, fit: Duration, at: Instant) -> Result<(), Violation> {
        let free_since = self.free_since();
        let changed = self.expected_since + self.window();
        let names = [("the session", self.expected.target.is_some()), ("the preferred presence", self.expected.prefer)];
        for ((ends_at, (after, confirmed)), (name, wished)) in
            graph.deadlines().into_iter().zip(self.carried_out).zip(names)
        {
            // Only Graph knows when it started to count. It may have been at the sending.
            let deadline = ends_at.filter(|_| wished && confirmed).map(|ends_at| ends_at - after);
            let missed = |deadline: &Instant| *deadline <= at && *deadline >= free_since.max(changed) + fit;
            if let Some(missed) = deadline.filter(missed) {
                return Err(violation(Invariant::NeverLapses, missed, format!("{name} was not set again")));
            }
        }
        Ok(())
    }

    /// Checks what others see, without any time to settle.
    pub(super) fn check_now(&self, graph: &Graph, at: Instant) -> Result<(), Violation> {
        let session =
            self.expected.target.map(|Target { presence, .. }| (presence.availability(), presence.activity()));
        let preferred: Option<Pair> =
            preferred(self.expected).map(|Target { presence, .. }| (presence.availability(), presence.availability()));
        let expected = (graph.seen_with(session, preferred), session, preferred);
        let found = (graph.seen(at), graph.session(at), graph.preferred(at));
        if found == expected {
            return Ok(());
        }
        let since = ClockTime(self.expected_since.since_origin());
        let what = format!("(seen, session, preferred) is {found:?}, but {expected:?} is expected since {since}");
        Err(violation(Invariant::ShowsWhatIsDecided, at, what))
    }

    /// Checks the decision of the policy.
    pub(super) fn check_decision(&self, decided: Expected, now: Instant) -> Result<(), Violation> {
        if decided == self.expected {
            return Ok(());
        }
        let what = format!("{decided:?} is decided, but {:?} is expected", self.expected);
        Err(violation(Invariant::DecidesByTheRules, now, what))
    }

    /// Checks the number of requests on a calm day.
    pub(super) fn check_requests(&mut self, now: Instant) -> Result<(), Violation> {
        self.count_keepalives(now);
        if f64::from(self.requests) <= self.least * MAX_REQUEST_FACTOR {
            return Ok(());
        }
        let what = format!("{} requests, where {:.1} are the least possible", self.requests, self.least);
        Err(violation(Invariant::FewRequests, now, what))
    }
}

fn preferred(expected: Expected) -> Option<Target> {
    expected.target.filter(|_| expected.prefer)
}
