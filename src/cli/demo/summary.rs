//! The result of the demo: the number of requests, whether the presence ever faded, and how long others saw something else than
//! the decision.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::terminal::times::span;
use crate::status::report::Requests;
use presenced_emulator::{Pair, Timeline};

/// How long a change may take to be seen, in real time, before the presence counts as wrong.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// The result of the demo.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    /// The time that passed in the demo.
    lasted: Duration,
    speed: f64,
    requests: Requests,
    changes: usize,
    fades: u64,
    /// How long others saw a wrong presence, in the demo's time, without the allowed delays.
    wrong: Duration,
    /// The longest delay until a change was seen, in real time.
    slowest: Duration,
}

impl Summary {
    /// Compares what others saw in `[from, to)` with the `expected` presences and their start times.
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
            let delay = delay(timeline, change, end).min(MAX_DELAY.mul_f64(speed));
            slowest = slowest.max(delay.div_f64(speed));
            wrong += all.saturating_sub(delay);
        }
        let lasted = Duration::try_from(to.duration_since(from)).unwrap_or_default();
        Self { lasted, speed, requests, changes: expected.len(), fades, wrong, slowest }
    }

    /// Whether everything worked.
    pub(super) fn is_ok(&self) -> bool {
        self.fades == 0 && self.wrong.is_zero() && self.requests.failed == 0 && self.requests.sent > 0
    }
}

/// How long it took until others saw a change, at most until `end`.
fn delay(timeline: &Timeline, (from, pair): &(Timestamp, Pair), end: Timestamp) -> Duration {
    let seen = timeline.spans.iter().find(|span| span.visible == *pair && span.to.is_none_or(|to| to > *from));
    let seen_from = seen.map_or(end, |span| span.from.clamp(*from, end.max(*from)));
    Duration::try_from(seen_from.duration_since(*from)).unwrap_or_default()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = jiff::SignedDuration::try_from(self.lasted).unwrap_or_default();
        let keepalives = self.requests.sent.saturating_sub(self.changes as u64);
        writeln!(f, "{} at {} times real time", span(lasted), self.speed)?;
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
