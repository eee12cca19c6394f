//! Reading back: when to ask Graph what others see, and whether the session must be set again because it was lost.
//!
//! A read follows each change, after Graph has had time to aggregate it. Another one comes shortly before each keepalive: it shows
//! whether the session is still there, which the keepalive would hide. There is only one read at a time, and none while a write is
//! in flight or failing. Reads are at least a minute apart, unless the session may have been lost. A failed read is not repeated;
//! the next one happens soon enough.
//!
//! [`Verify`] is a state machine like [`super::Session`], and the caller drives both. Leaves to others: how a read is sent
//! (`graph/`), what its answer means (`super::seen`), and what to do about a lost session (`super::doubt`).

use std::time::Duration;

use super::doubt::{Doubt, Next, NoEffect};
use super::seen::{Seen, difference};
use crate::failure::{Failure, FailureKind};
use crate::time::Instant;

/// The shortest time between two reads, if nothing is wrong.
const MIN_READ_INTERVAL: Duration = Duration::from_mins(1);

/// The time for Graph to aggregate a change before it is read back. Graph guarantees no time. If this is too short, the read before
/// the next keepalive corrects it.
const AGGREGATION_DELAY: Duration = Duration::from_secs(5);

/// How long before a keepalive to read.
const KEEPALIVE_LEAD: Duration = Duration::from_secs(5);

/// Identifies one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadId(u64);

/// What is asserted: its availability and activity, and whether it is the preferred presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Its availability and activity.
    pub pair: (&'static str, &'static str),
    /// Whether it is asserted as the preferred presence.
    pub is_preferred: bool,
}

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
    /// When the next read is due; `None` means before the next keepalive.
    due: Option<Instant>,
    /// When the last read was sent.
    read_at: Option<Instant>,
    /// The earliest next read, from [`MIN_READ_INTERVAL`] and the service's `Retry-After`.
    not_before: Instant,
    in_flight: Option<InFlight>,
    last_id: u64,
    seen: Option<Seen>,
    refusal: Option<Failure>,
    /// When the asserted presence was last changed, or set again after it was lost.
    set_at: Option<Instant>,
    /// When the session must be set again, because it was lost.
    set_again_at: Option<Instant>,
    /// The session is being set again.
    sets_again: bool,
    doubt: Doubt,
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
        let set_again = std::mem::take(&mut self.sets_again);
        if changed {
            self.seen = None;
            self.set_again_at = None;
            self.doubt.note_change();
        }
        if changed || set_again {
            self.set_at = Some(now);
            self.due = Some(now + AGGREGATION_DELAY);
            if let Some(in_flight) = &mut self.in_flight {
                in_flight.outdated = true;
            }
        }
        if set_again {
            self.not_before = self.not_before.min(now);
        }
    }

    /// Somebody signed in or changed the configuration: what was refused is worth another look.
    pub fn handle_setup_changed(&mut self, now: Instant) {
        self.doubt = Doubt::default();
        if self.refusal.take().is_some() {
            self.due = Some(now);
        }
    }

    /// The read `id` ended with `outcome`, while `ours` is asserted. Ignored if that read is not in flight.
    pub fn handle_outcome(&mut self, id: ReadId, outcome: Result<&Seen, &Failure>, ours: Option<Ours>, now: Instant) {
        let Some(read) = self.in_flight.take_if(|read| read.id == id) else { return };
        match outcome {
            Ok(seen) if !read.outdated => self.judge(seen, ours, now),
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

    fn judge(&mut self, seen: &Seen, ours: Option<Ours>, now: Instant) {
        self.seen = Some(seen.clone());
        let Some(ours) = ours else { return };
        let difference = difference((&seen.availability, &seen.activity), ours.pair, ours.is_preferred);
        match self.doubt.judge(seen, difference, self.set_at, now) {
            Next::Nothing => {}
            Next::ReadAgain(at) => (self.due, self.not_before) = (Some(at), at),
            Next::SetAgain(at) => self.set_again_at = Some(at),
        }
    }

    /// Whether the session must be set again now, because it was lost.
    pub fn poll_set_again(&mut self, now: Instant) -> bool {
        let is_due = self.set_again_at.take_if(|at| *at <= now).is_some();
        self.sets_again |= is_due;
        is_due
    }

    /// The read to send now, if any. `quiet` says that no write is in flight or failing; `keepalive` is when the next one is due.
    pub fn poll_read(&mut self, quiet: bool, keepalive: Option<Instant>, now: Instant) -> Option<ReadId> {
        self.read_due(quiet, keepalive).filter(|at| *at <= now)?;
        self.last_id += 1;
        let id = ReadId(self.last_id);
        (self.due, self.read_at) = (None, Some(now));
        self.not_before = now + MIN_READ_INTERVAL;
        self.in_flight = Some(InFlight { id, outdated: false });
        Some(id)
    }

    /// When to call [`Verify::poll_read`] and [`Verify::poll_set_again`] again if nothing else happens before.
    pub fn poll_wakeup(&self, quiet: bool, keepalive: Option<Instant>) -> Option<Instant> {
        self.read_due(quiet, keepalive).into_iter().chain(self.set_again_at).min()
    }

    fn read_due(&self, quiet: bool, keepalive: Option<Instant>) -> Option<Instant> {
        let may_read = self.on && quiet && self.in_flight.is_none() && self.refusal.is_none();
        let before_keepalive =
            keepalive.map(|at| at - KEEPALIVE_LEAD).filter(|at| self.read_at.is_none_or(|read| read < *at));
        let due = self.due.into_iter().chain(before_keepalive).min();
        due.filter(|_| may_read).map(|due| due.max(self.not_before))
    }

    /// What others saw at the last read; `None` if the asserted presence has changed since then.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Why Graph refuses reads; none are sent until the setup changes.
    pub fn refusal(&self) -> Option<&Failure> {
        self.refusal.as_ref()
    }

    /// What others saw when the session was found lost within the last 15 minutes.
    pub fn lost(&self, now: Instant) -> Option<&Seen> {
        self.doubt.lost(now)
    }

    /// When [`Self::lost`] ends.
    pub fn loss_shown_until(&self) -> Option<Instant> {
        self.doubt.loss_shown_until()
    }

    /// Why the presence has no effect, although Graph accepts it.
    pub fn no_effect(&self) -> Option<NoEffect> {
        self.doubt.no_effect()
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

    fn offline() -> Seen {
        Seen::new("Offline", "Offline")
    }

    const CALL: Option<Ours> = Some(Ours { pair: ("Busy", "InACall"), is_preferred: false });
    const AVAILABLE: Option<Ours> = Some(Ours { pair: ("Available", "Available"), is_preferred: false });

    /// A state machine that is on and has read once at `now`.
    fn reading(now: Instant) -> Verify {
        let mut verify = Verify::default();
        verify.handle_switch(true, now);
        let id = verify.poll_read(true, None, now).expect("due");
        verify.handle_outcome(id, Ok(&busy()), CALL, now);
        verify
    }

    /// Reads `seen` at `now`.
    fn read(verify: &mut Verify, seen: &Seen, ours: Option<Ours>, now: Instant) {
        let id = verify.poll_read(true, None, now).expect("due");
        verify.handle_outcome(id, Ok(seen), ours, now);
    }

    #[test]
    fn nothing_is_read_while_it_is_off() {
        let mut verify = Verify::default();
        verify.handle_switch(false, at(0));
        verify.handle_confirmed(true, at(0));
        let keepalive = Some(at(240));
        assert_eq!((verify.poll_read(true, keepalive, at(1000)), verify.poll_wakeup(true, keepalive)), (None, None));
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        verify.handle_switch(false, at(2001));
        assert_eq!((verify.poll_read(true, keepalive, at(3000)), verify.seen()), (None, None));
    }

    #[test]
    fn a_change_is_read_back_after_a_delay_and_a_keepalive_is_preceded_by_a_read() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        assert_eq!(verify.seen(), Some(&busy()));
        assert_eq!(verify.poll_wakeup(true, Some(at(2240))), Some(at(2235)));
        let id = verify.poll_read(true, Some(at(2240)), at(2235)).expect("before the keepalive");
        assert_eq!(verify.poll_wakeup(true, Some(at(2240))), None, "one in flight");
        verify.handle_outcome(id, Ok(&busy()), CALL, at(2236));
        assert_eq!(verify.poll_wakeup(true, Some(at(2240))), None, "once per keepalive");
        verify.handle_confirmed(true, at(3000));
        assert_eq!(verify.seen(), None, "that was before the change");
        assert_eq!(verify.poll_read(true, None, at(3004)), None);
        assert_eq!(verify.poll_wakeup(true, None), Some(at(3005)));
        assert!(verify.poll_read(true, None, at(3005)).is_some());
    }

    #[test]
    fn there_is_at_most_one_read_per_minute() {
        let mut verify = reading(at(1000));
        let mut last = at(1000);
        for second in 1001..1600 {
            let now = at(second);
            verify.handle_confirmed(second % 7 == 0, now);
            if let Some(id) = verify.poll_read(true, Some(now), now) {
                assert!(now.saturating_since(last) >= MIN_READ_INTERVAL);
                last = now;
                verify.handle_outcome(id, Ok(&busy()), CALL, now);
            }
        }
        assert!(last > at(1500));
    }

    #[test]
    fn an_answer_to_a_read_from_before_a_change_is_ignored() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, Some(at(2000)), at(2000)).expect("due");
        verify.handle_confirmed(true, at(2001));
        verify.handle_outcome(id, Ok(&busy()), CALL, at(2002));
        assert_eq!(verify.seen(), None);
        assert_eq!(verify.poll_wakeup(true, None), Some(at(2060)));
    }

    #[test]
    fn it_waits_while_writes_fail() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        assert_eq!((verify.poll_read(false, None, at(2100)), verify.poll_wakeup(false, None)), (None, None));
        assert!(verify.poll_read(true, None, at(2100)).is_some());
    }

    #[test]
    fn a_failed_read_waits_for_the_next_write_and_for_its_retry_after() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, Some(at(2005)), at(2000)).expect("due");
        let throttled = Failure {
            retry_after: Some(Duration::from_secs(500)),
            ..Failure::new(FailureKind::Throttled, "throttled")
        };
        verify.handle_outcome(id, Err(&throttled), CALL, at(2001));
        assert_eq!(verify.seen(), Some(&busy()), "the last answer stays");
        assert_eq!(verify.poll_wakeup(true, None), None);
        assert_eq!(verify.poll_wakeup(true, Some(at(2240))), Some(at(2501)));
    }

    #[test]
    fn a_refusal_stops_reads_until_the_setup_changes() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, Some(at(2000)), at(2000)).expect("due");
        verify.handle_outcome(id, Err(&Failure::new(FailureKind::Refused, "403")), CALL, at(2000));
        verify.handle_confirmed(true, at(3000));
        assert_eq!((verify.poll_read(true, None, at(4000)), verify.poll_wakeup(true, None)), (None, None));
        assert_eq!(verify.refusal().map(|refusal| refusal.text.as_str()), Some("403"));
        verify.handle_setup_changed(at(5000));
        assert_eq!(verify.refusal(), None);
        assert!(verify.poll_read(true, None, at(5000)).is_some());
    }

    #[test]
    fn a_session_that_another_program_cleared_is_set_again_at_once() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(false, at(2000));
        let id = verify.poll_read(true, Some(at(2240)), at(2235)).expect("due");
        verify.handle_outcome(id, Ok(&offline()), CALL, at(2236));
        assert_eq!(verify.poll_wakeup(true, None), Some(at(2236)));
        assert!(verify.poll_set_again(at(2236)) && !verify.poll_set_again(at(2236)));
        assert_eq!(verify.lost(at(2237)), Some(&offline()));
        // It is read back soon, although the last read was not long ago.
        verify.handle_confirmed(false, at(2237));
        assert_eq!(verify.poll_wakeup(true, None), Some(at(2242)));
        read(&mut verify, &busy(), CALL, at(2242));
        assert_eq!((verify.poll_wakeup(true, None), verify.no_effect()), (None, None));
        assert_eq!(verify.lost(at(2236 + 15 * 60)), None, "the warning ends");
    }

    #[test]
    fn soon_after_a_change_it_is_read_once_more_before_the_session_counts_as_lost() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        read(&mut verify, &offline(), CALL, at(2005));
        assert!(!verify.poll_set_again(at(2029)));
        assert_eq!((verify.poll_wakeup(true, None), verify.lost(at(2029))), (Some(at(2030)), None));
        read(&mut verify, &busy(), CALL, at(2030));
        assert_eq!((verify.poll_wakeup(true, None), verify.lost(at(2031))), (None, None));
    }

    #[test]
    fn a_user_who_stays_offline_is_said_to_be_so_and_left_alone() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        let (mut sets, mut now) = (Vec::new(), at(2000));
        while let Some(next) = verify.poll_wakeup(true, None) {
            now = next;
            if verify.poll_set_again(now) {
                sets.push(now);
                verify.handle_confirmed(false, now);
            } else {
                read(&mut verify, &offline(), CALL, now);
            }
        }
        assert_eq!(sets, [at(2030), at(2090)], "at most once a minute");
        assert_eq!((verify.no_effect(), verify.lost(now)), (Some(NoEffect::Offline), None));
        // A keepalive later, it has helped that somebody gave the user a licence.
        verify.handle_confirmed(false, at(3000));
        let id = verify.poll_read(true, Some(at(3240)), at(3235)).expect("due");
        verify.handle_outcome(id, Ok(&busy()), CALL, at(3236));
        assert_eq!(verify.no_effect(), None);
    }

    #[test]
    fn away_that_stays_after_the_session_was_set_again_is_somebodys_choice() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        let (away, mut sets) = (Seen::new("Away", "Away"), 0);
        while let Some(now) = verify.poll_wakeup(true, None) {
            if verify.poll_set_again(now) {
                sets += 1;
                verify.handle_confirmed(false, now);
            } else {
                read(&mut verify, &away, AVAILABLE, now);
            }
        }
        assert_eq!((sets, verify.no_effect(), verify.seen()), (1, None, Some(&away)));
    }

    #[test]
    fn what_wins_over_the_session_changes_nothing() {
        for (availability, activity) in [
            ("Busy", "InAMeeting"),
            ("Offline", "OffWork"),
            ("Available", "OutOfOffice"),
            ("BeRightBack", "BeRightBack"),
        ] {
            let mut verify = reading(at(1000));
            verify.handle_confirmed(true, at(2000));
            read(&mut verify, &Seen::new(availability, activity), AVAILABLE, at(2005));
            assert_eq!(verify.poll_wakeup(true, None), None, "{availability}/{activity}");
        }
    }

    #[test]
    fn a_user_whom_graph_does_not_know_is_warned_about() {
        let mut verify = reading(at(1000));
        verify.handle_confirmed(true, at(2000));
        let unknown = Seen::new("PresenceUnknown", "PresenceUnknown");
        read(&mut verify, &unknown, AVAILABLE, at(2005));
        assert_eq!(verify.no_effect(), None);
        read(&mut verify, &unknown, AVAILABLE, at(2030));
        assert_eq!(verify.no_effect(), Some(NoEffect::UnknownUser));
    }
}
