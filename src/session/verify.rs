//! Reading back: when to ask Graph what others see. It tells people who wins; it decides nothing, and nothing that goes wrong
//! with it reaches the session.
//!
//! A read follows each change, once Graph has had the time to aggregate it, and goes along with each keepalive, so that it
//! wakes no machine that sleeps. There is at most one in a minute, never one while another is on its way, and none while
//! writing has its own troubles. A read that fails is not repeated: the next one comes by itself.
//!
//! [`Verify`] is a state machine like [`super::Session`], driven beside it. Leaves to others: how a read travels (`graph/`),
//! and what follows from it (`super::seen`).

use std::time::Duration;

use super::Seen;
use crate::failure::{Failure, FailureKind};
use crate::time::Instant;

/// The shortest time between two reads.
const EVERY: Duration = Duration::from_mins(1);

/// How long Graph gets to aggregate a change before it is read back. It promises no time; what this misses the next
/// keepalive shows.
const SETTLE: Duration = Duration::from_secs(5);

/// Names one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadId(u64);

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: ReadId,
    /// What is asserted changed since it was sent.
    outdated: bool,
}

/// The state machine.
#[derive(Debug, Default)]
pub struct Verify {
    on: bool,
    /// When the next read is due; `None`: at the next confirmation.
    due: Option<Instant>,
    /// The earliest next read, by [`EVERY`] and the service's own word.
    not_before: Instant,
    in_flight: Option<InFlight>,
    last_id: u64,
    seen: Option<Seen>,
    refusal: Option<Failure>,
}

impl Verify {
    /// Whether the configuration asks for it.
    pub fn handle_switch(&mut self, on: bool, now: Instant) {
        if self.on != on {
            let Self { last_id, not_before, .. } = *self;
            *self = Self { on, due: on.then_some(now), last_id, not_before, ..Self::default() };
        }
    }

    /// A write was confirmed: a keepalive, or one that changed what is asserted, so that what was seen is of the past.
    pub fn handle_confirmed(&mut self, changed: bool, now: Instant) {
        if !self.on {
            return;
        }
        if changed {
            self.seen = None;
            self.due = Some(now + SETTLE);
            if let Some(in_flight) = &mut self.in_flight {
                in_flight.outdated = true;
            }
        } else {
            self.due.get_or_insert(now);
        }
    }

    /// Somebody signed in or changed the configuration: what was refused is worth another look.
    pub fn handle_mended(&mut self, now: Instant) {
        if self.refusal.take().is_some() {
            self.due = Some(now);
        }
    }

    /// How the read `id` ended. An outcome of a read that is not in flight is ignored.
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

    /// The read to send now, if there is one. `quiet`: no write is on its way or in trouble.
    pub fn poll_read(&mut self, quiet: bool, now: Instant) -> Option<ReadId> {
        self.poll_wakeup(quiet).filter(|at| *at <= now)?;
        self.last_id += 1;
        let id = ReadId(self.last_id);
        self.due = None;
        self.not_before = now + EVERY;
        self.in_flight = Some(InFlight { id, outdated: false });
        Some(id)
    }

    /// When to ask [`Verify::poll_read`] again if nothing happens before.
    pub fn poll_wakeup(&self, quiet: bool) -> Option<Instant> {
        let idle = self.on && quiet && self.in_flight.is_none() && self.refusal.is_none();
        self.due.filter(|_| idle).map(|due| due.max(self.not_before))
    }

    /// What others saw when it was last read, unless what is asserted changed since.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Why nothing is read any more, until something is mended.
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

    /// One that is on, and has read once at `now`.
    fn reading(now: Instant) -> Verify {
        let mut verify = Verify::default();
        verify.handle_switch(true, now);
        let id = verify.poll_read(true, now).expect("due");
        verify.handle_outcome(id, Ok(&busy()), now);
        verify
    }

    #[test]
    fn one_that_is_off_reads_nothing() {
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
    fn a_change_is_read_back_once_it_settled_and_a_keepalive_at_once() {
        let mut verify = reading(at(1000));
        assert_eq!(verify.poll_wakeup(true), None, "nothing polls");
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
    fn there_is_at_most_one_in_a_minute() {
        let mut verify = reading(at(1000));
        let mut last = at(1000);
        for second in 1001..1600 {
            let now = at(second);
            verify.handle_confirmed(second % 7 == 0, now);
            if let Some(id) = verify.poll_read(true, now) {
                assert!(now.saturating_since(last) >= EVERY);
                last = now;
                verify.handle_outcome(id, Ok(&busy()), now);
            }
        }
        assert!(last > at(1500));
    }

    #[test]
    fn what_was_on_its_way_when_something_changed_is_not_believed() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, at(2000)).expect("due");
        verify.handle_confirmed(true, at(2001));
        verify.handle_outcome(id, Ok(&busy()), at(2002));
        assert_eq!(verify.seen(), None);
        assert_eq!(verify.poll_wakeup(true), Some(at(2060)));
    }

    #[test]
    fn it_waits_while_writing_is_in_trouble() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        assert_eq!((verify.poll_read(false, at(2100)), verify.poll_wakeup(false)), (None, None));
        assert!(verify.poll_read(true, at(2100)).is_some());
    }

    #[test]
    fn a_failure_waits_for_the_next_occasion_and_its_retry_after() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, at(2000)).expect("due");
        let throttled = Failure {
            retry_after: Some(Duration::from_secs(500)),
            ..Failure::new(FailureKind::Throttled, "throttled")
        };
        verify.handle_outcome(id, Err(&throttled), at(2001));
        assert_eq!(verify.seen(), Some(&busy()), "it is as good as before");
        assert_eq!(verify.poll_wakeup(true), None);
        verify.handle_confirmed(false, at(2240));
        assert_eq!(verify.poll_wakeup(true), Some(at(2501)));
    }

    #[test]
    fn a_refusal_ends_the_reading_until_something_is_mended() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, at(2000)).expect("due");
        verify.handle_outcome(id, Err(&Failure::new(FailureKind::Refused, "403")), at(2000));
        verify.handle_confirmed(true, at(3000));
        assert_eq!((verify.poll_read(true, at(4000)), verify.poll_wakeup(true)), (None, None));
        assert_eq!(verify.refusal().map(|refusal| refusal.text.as_str()), Some("403"));
        verify.handle_mended(at(5000));
        assert_eq!(verify.refusal(), None);
        assert!(verify.poll_read(true, at(5000)).is_some());
    }
}
