//! Reading back: when to ask Graph what others see. The answer is shown to the user. It decides nothing, and a failure here does
//! not affect the session.
//!
//! A read follows each change, after Graph has had time to aggregate it. It also follows each keepalive, because the machine is
//! awake then anyway. There is at most one read per minute, only one at a time, and none while a write is in flight or failing. A
//! failed read is not repeated; the next one happens soon enough.
//!
//! [`Verify`] is a state machine like [`super::Session`], and the caller drives both. Leaves to others: how a read is sent
//! (`graph/`), and what its answer means (`super::seen`).

use std::time::Duration;

use super::Seen;
use crate::failure::{Failure, FailureKind};
use crate::time::Instant;

/// The shortest time between two reads.
const MIN_READ_INTERVAL: Duration = Duration::from_mins(1);

/// The time for Graph to aggregate a change before it is read back. Graph guarantees no time. If this is too short, the read after
/// the next keepalive corrects it.
const AGGREGATION_DELAY: Duration = Duration::from_secs(5);

/// Identifies one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadId(u64);

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: ReadId,
    /// The asserted presence changed after it was sent.
    outdated: bool,
}

/// The state machine.
#[derive(Debug, Default)]
pub struct Verify {
    on: bool,
    /// When the next read is due; `None` means after the next confirmed write.
    due: Option<Instant>,
    /// The earliest next read, from [`MIN_READ_INTERVAL`] and the service's `Retry-After`.
    not_before: Instant,
    in_flight: Option<InFlight>,
    last_id: u64,
    seen: Option<Seen>,
    refusal: Option<Failure>,
}

impl Verify {
    /// The configuration turns reading back on or off.
    pub fn handle_switch(&mut self, on: bool, now: Instant) {
        if self.on != on {
            let Self { last_id, not_before, .. } = *self;
            *self = Self { on, due: on.then_some(now), last_id, not_before, ..Self::default() };
        }
    }

    /// A write was confirmed. `changed` says that it changed the asserted presence, so that an earlier answer is out of date;
    /// otherwise it was a keepalive.
    pub fn handle_confirmed(&mut self, changed: bool, now: Instant) {
        if !self.on {
            return;
        }
        if changed {
            self.seen = None;
            self.due = Some(now + AGGREGATION_DELAY);
            if let Some(in_flight) = &mut self.in_flight {
                in_flight.outdated = true;
            }
        } else {
            self.due.get_or_insert(now);
        }
    }

    /// Somebody signed in or changed the configuration: what was refused is worth another look.
    pub fn handle_setup_changed(&mut self, now: Instant) {
        if self.refusal.take().is_some() {
            self.due = Some(now);
        }
    }

    /// The read `id` ended with `outcome`. Ignored if that read is not in flight.
    pub fn handle_outcome(&mut self, id: ReadId, outcome: Result<&Seen, &Failure>, now: Instant) {
        let Some(read) = self.in_flight.take_if(|read| read.id == id) else { return };
        match outcome {
            Ok(seen) if !read.outdated => self.seen = Some(seen.clone()),
            Ok(_) => {}
            Err(failure) => {
                if let Some(wait) = failure.retry_after {
                    self.not_before = self.not_before.max(now + wait);
                }
                if failure.kind == FailureKind::Refused {
                    self.refusal = Some(failure.clone());
                }
            }
        }
    }

    /// The read to send now, if any. `quiet` says that no write is in flight or failing.
    pub fn poll_read(&mut self, quiet: bool, now: Instant) -> Option<ReadId> {
        self.poll_wakeup(quiet).filter(|at| *at <= now)?;
        self.last_id += 1;
        let id = ReadId(self.last_id);
        self.due = None;
        self.not_before = now + MIN_READ_INTERVAL;
        self.in_flight = Some(InFlight { id, outdated: false });
        Some(id)
    }

    /// When to call [`Verify::poll_read`] again if nothing else happens before.
    pub fn poll_wakeup(&self, quiet: bool) -> Option<Instant> {
        let idle = self.on && quiet && self.in_flight.is_none() && self.refusal.is_none();
        self.due.filter(|_| idle).map(|due| due.max(self.not_before))
    }

    /// What others saw at the last read; `None` if the asserted presence has changed since then.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Why Graph refuses reads; none are sent until the setup changes.
    pub fn refusal(&self) -> Option<&Failure> {
        self.refusal.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn busy() -> Seen {
        Seen::new("Busy", "InACall")
    }

    /// A state machine that is on and has read once at `now`.
    fn reading(now: Instant) -> Verify {
        let mut verify = Verify::default();
        verify.handle_switch(true, now);
        let id = verify.poll_read(true, now).expect("due");
        verify.handle_outcome(id, Ok(&busy()), now);
        verify
    }

    #[test]
    fn nothing_is_read_while_it_is_off() {
        let mut verify = Verify::default();
        verify.handle_switch(false, at(0));
        verify.handle_confirmed(true, at(0));
        assert_eq!((verify.poll_read(true, at(1000)), verify.poll_wakeup(true)), (None, None));
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        verify.handle_switch(false, at(2001));
        assert_eq!((verify.poll_read(true, at(3000)), verify.seen()), (None, None));
    }

    #[test]
    fn a_change_is_read_back_after_a_delay_and_a_keepalive_at_once() {
        let mut verify = reading(at(1000));
        assert_eq!(verify.poll_wakeup(true), None, "it does not poll");
        verify.handle_confirmed(false, at(2000));
        assert_eq!(verify.seen(), Some(&busy()));
        let id = verify.poll_read(true, at(2000)).expect("along with the keepalive");
        verify.handle_outcome(id, Ok(&busy()), at(2001));
        verify.handle_confirmed(true, at(3000));
        assert_eq!(verify.seen(), None, "that was before the change");
        assert_eq!(verify.poll_read(true, at(3004)), None);
        assert_eq!(verify.poll_wakeup(true), Some(at(3005)));
        assert!(verify.poll_read(true, at(3005)).is_some());
        verify.handle_confirmed(false, at(3006));
        assert_eq!(verify.poll_wakeup(true), None, "one in flight");
    }

    #[test]
    fn there_is_at_most_one_read_per_minute() {
        let mut verify = reading(at(1000));
        let mut last = at(1000);
        for second in 1001..1600 {
            let now = at(second);
            verify.handle_confirmed(second % 7 == 0, now);
            if let Some(id) = verify.poll_read(true, now) {
                assert!(now.saturating_since(last) >= MIN_READ_INTERVAL);
                last = now;
                verify.handle_outcome(id, Ok(&busy()), now);
            }
        }
        assert!(last > at(1500));
    }

    #[test]
    fn an_answer_to_a_read_from_before_a_change_is_ignored() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, at(2000)).expect("due");
        verify.handle_confirmed(true, at(2001));
        verify.handle_outcome(id, Ok(&busy()), at(2002));
        assert_eq!(verify.seen(), None);
        assert_eq!(verify.poll_wakeup(true), Some(at(2060)));
    }

    #[test]
    fn it_waits_while_writes_fail() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        assert_eq!((verify.poll_read(false, at(2100)), verify.poll_wakeup(false)), (None, None));
        assert!(verify.poll_read(true, at(2100)).is_some());
    }

    #[test]
    fn a_failed_read_waits_for_the_next_write_and_for_its_retry_after() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, at(2000)).expect("due");
        let throttled = Failure {
            retry_after: Some(Duration::from_secs(500)),
            ..Failure::new(FailureKind::Throttled, "throttled")
        };
        verify.handle_outcome(id, Err(&throttled), at(2001));
        assert_eq!(verify.seen(), Some(&busy()), "the last answer stays");
        assert_eq!(verify.poll_wakeup(true), None);
        verify.handle_confirmed(false, at(2240));
        assert_eq!(verify.poll_wakeup(true), Some(at(2501)));
    }

    #[test]
    fn a_refusal_stops_reads_until_the_setup_changes() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, at(2000)).expect("due");
        verify.handle_outcome(id, Err(&Failure::new(FailureKind::Refused, "403")), at(2000));
        verify.handle_confirmed(true, at(3000));
        assert_eq!((verify.poll_read(true, at(4000)), verify.poll_wakeup(true)), (None, None));
        assert_eq!(verify.refusal().map(|refusal| refusal.text.as_str()), Some("403"));
        verify.handle_setup_changed(at(5000));
        assert_eq!(verify.refusal(), None);
        assert!(verify.poll_read(true, at(5000)).is_some());
    }
}
