//! What came of the demo: how many requests it took, whether the presence ever faded, and for how long others saw something
//! else than what was decided.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::terminal::times::span;
use crate::emulator::{Pair, Timeline};
use crate::status::report::Requests;

/// A change may take so long to be seen, in real time, before what others see counts as wrong.
const ALLOWED: Duration = Duration::from_secs(1);

/// The outcome.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    /// The time that passed in the demo.
    lasted: Duration,
    speed: f64,
    requests: Requests,
    changes: usize,
    fades: u64,
    /// For how long of the demo's time others saw something wrong, without what the changes took to be seen.
    wrong: Duration,
    /// The longest that a change took to be seen, in real time.
    slowest: Duration,
}

impl Summary {
    /// Weighs what others saw in `[from, to)` against what was `expected` from when on.
    pub(super) fn new(
        timeline: &Timeline,
        expected: &[(Timestamp, Pair)],
        (from, to): (Timestamp, Timestamp),
        speed: f64,
        requests: Requests,
        fades: u64,
    ) -> Self {
        let mut wrong = Duration::ZERO;
        let mut slowest = Duration::ZERO;
        for (index, change) in expected.iter().enumerate() {
            let end = expected.get(index + 1).map_or(to, |next| next.0);
            let all = timeline.wrong(std::slice::from_ref(change), change.0, end);
            let took = took(timeline, change, end).min(ALLOWED.mul_f64(speed));
            slowest = slowest.max(took.div_f64(speed));
            wrong += all.saturating_sub(took);
        }
        let lasted = Duration::try_from(to.duration_since(from)).unwrap_or_default();
        Self { lasted, speed, requests, changes: expected.len(), fades, wrong, slowest }
    }

    /// Whether everything was as it should be.
    pub(super) fn is_well(&self) -> bool {
        self.fades == 0 && self.wrong.is_zero() && self.requests.failed == 0 && self.requests.sent > 0
    }
}

/// How long a change took until others saw it, at most until `end`.
fn took(timeline: &Timeline, (from, pair): &(Timestamp, Pair), end: Timestamp) -> Duration {
    let seen = timeline.spans.iter().find(|span| span.visible == *pair && span.to.is_none_or(|to| to > *from));
    let seen_from = seen.map_or(end, |span| span.from.clamp(*from, end.max(*from)));
    Duration::try_from(seen_from.duration_since(*from)).unwrap_or_default()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = jiff::SignedDuration::try_from(self.lasted).unwrap_or_default();
        let keepalives = self.requests.sent.saturating_sub(self.changes as u64);
        writeln!(f, "{} at {} times the speed of time", span(lasted), self.speed)?;
        writeln!(
            f,
            "requests    {} sent, {} failed: {} changes, {keepalives} keepalives",
            self.requests.sent, self.requests.failed, self.changes
        )?;
        writeln!(f, "fades       {}", self.fades)?;
        let wrong = jiff::SignedDuration::try_from(self.wrong).unwrap_or_default();
        write!(f, "time wrong  {}", span(wrong))?;
        writeln!(f, "; the slowest change was seen after {:.1} ms of real time", self.slowest.as_secs_f64() * 1000.0)
    }
}
