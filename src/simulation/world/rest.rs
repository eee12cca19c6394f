//! The end of a day, and its pauses: sleep that is held up until its presence is written, sleep that nobody announced, and
//! leaving in the time that there is. As `daemon/sleep.rs` and `daemon/leave.rs` do it.

use std::time::Duration;

use super::World;
use crate::failure::{Applied, Failure, FailureKind};
use crate::policy::{Reading, Sleep};
use crate::simulation::facts::Ought;
use crate::simulation::graph::Graph;
use crate::simulation::network::{LATENCY, TIME_OUT, TOKEN_LATENCY};
use crate::simulation::watch::{Invariant, Violation, violation};
use crate::time::Instant;

/// How long the driver holds sleep up, how long it takes to leave, and how long of either it waits for an answer.
const HOLD: Duration = Duration::from_secs(3);
const LEAVE_WITHIN: Duration = Duration::from_millis(2800);
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The last moments before sleep.
#[derive(Debug)]
pub(super) struct Bedtime {
    ends: Instant,
    /// When the request in flight is given up; `None`: that is done.
    last_answer: Option<Instant>,
    told: bool,
    lasts: Duration,
}

impl Bedtime {
    pub(super) fn wakeup(&self) -> Instant {
        self.last_answer.unwrap_or(self.ends)
    }
}

impl World<'_> {
    pub(super) fn hear_of_sleep(&mut self, announced: bool, lasts: Duration) {
        // Without the signal nobody hears an announcement.
        if announced && self.facts.sleep != Reading::Off {
            self.facts.sleep = Reading::Known(Sleep::Suspending);
            let now = self.now;
            let last_answer = Some(now + LAST_ANSWER_WITHIN);
            self.bedtime.get_or_insert(Bedtime { ends: now + HOLD, last_answer, told: false, lasts });
        } else {
            self.suspend(lasts);
            // The client's time-out stood still.
            if let Some(flight) = &mut self.flight {
                flight.ends_at = self.now + TIME_OUT;
                flight.outcome = Err(unanswered());
                flight.in_trouble = true;
            }
        }
    }

    /// Sees to it that what the sleep brings is written in the time there is. It has been decided already.
    pub(super) fn hurry(&mut self) -> Result<(), Violation> {
        let Some(bedtime) = &mut self.bedtime else { return Ok(()) };
        let is_late = bedtime.last_answer.take_if(|at| *at <= self.now).is_some();
        if !std::mem::replace(&mut bedtime.told, true) {
            self.session.handle_suspend();
            self.watch.note_suspend(self.now);
        }
        if is_late { self.abandon() } else { Ok(()) }
    }

    pub(super) fn may_sleep(&self) -> bool {
        self.bedtime
            .as_ref()
            .is_some_and(|Bedtime { ends, .. }| *ends <= self.now || self.session.rests_until(*ends, self.now))
    }

    /// Sleep comes that was held up, and is over.
    pub(super) fn sleep(&mut self) -> Result<(), Violation> {
        let Some(Bedtime { ends, lasts, .. }) = self.bedtime.take() else { return Ok(()) };
        if ends > self.now && !self.is_in_trouble() && self.watch.is_steady(self.now) {
            self.watch
                .check_now(&self.graph, self.now)
                .map_err(|not_written| Violation { invariant: Invariant::AsleepIsWritten, ..not_written })?;
        }
        self.suspend(lasts);
        self.facts.sleep = Reading::Known(Sleep::Awake);
        self.decide_anew = true;
        self.abandon()?;
        self.nudge();
        Ok(())
    }

    /// Nothing runs for a while. What is on its way to Graph arrives.
    fn suspend(&mut self, lasts: Duration) {
        self.now = self.now + lasts;
        self.watch.note_trouble(self.now);
    }

    /// Nobody waits for the request in flight any more.
    fn abandon(&mut self) -> Result<(), Violation> {
        self.arrive()?;
        let Some(mut flight) = self.flight.take() else { return Ok(()) };
        // While it waits for its token it is not on its way.
        let arrives_at = flight.arrives_at.filter(|_| flight.leaves_at <= self.now);
        self.strays.extend(arrives_at.map(|at| (at, flight.sent_at, flight.request.action)));
        flight.outcome = Err(Failure { applied: Applied::PerhapsLater, ..unanswered() });
        flight.in_trouble = true;
        self.watch.note_given_up(self.now);
        self.finish(&flight)?;
        self.nudge();
        Ok(())
    }

    /// The daemon ends.
    pub(super) fn leave(&mut self) -> Result<(), Violation> {
        let begun = self.now;
        let free = self.network.fault.is_none() && self.watch.may_send(begun) && self.network.has_good_tokens();
        // One that is slow may overtake nobody, and arrive after all is cleared.
        let free = free && self.flight.as_ref().is_none_or(|flight| !flight.in_trouble) && self.strays.is_empty();
        let held = |graph: &Graph| (graph.session(begun), graph.preferred(begun));
        let (requests, before) = (self.watch.requests, held(&self.graph));
        // What is on its way may still arrive.
        let still = self.flight.is_none() && self.strays.is_empty();
        self.session.handle_leave(!self.day.keeps);
        self.watch.note_nudge(begun);
        if !self.day.keeps {
            self.watch.note_ought(Ought::default(), begun);
        }
        let (mut patience, mut end) = (Some(begun + LAST_ANSWER_WITHIN), begun + LEAVE_WITHIN);
        while self.now < end {
            self.arrive()?;
            if let Some(flight) = self.flight.take_if(|flight| flight.ends_at <= self.now) {
                self.finish(&flight)?;
            }
            if patience.take_if(|patience| *patience <= self.now).is_some() {
                self.abandon()?;
            }
            self.drain()?;
            if self.session.has_left() {
                break;
            }
            let flight = self.flight.as_ref().map(|flight| flight.arrives_at.unwrap_or(flight.ends_at));
            let wakeup = self.session.poll_wakeup(self.now).map(|(at, _)| at);
            let next = [flight, wakeup, patience].into_iter().flatten().min();
            self.now = next.map_or(end, |next| next.min(end));
        }
        end = self.now;
        if self.day.keeps {
            if self.watch.requests > requests {
                return Err(violation(Invariant::KeepsOnExit, end, "something is sent"));
            }
            if still && held(&self.graph) != before {
                let what = format!("{before:?} became {:?}", held(&self.graph));
                return Err(violation(Invariant::KeepsOnExit, end, what));
            }
            return Ok(());
        }
        // What is still on its way arrives.
        self.now = end + TIME_OUT + LATENCY + TOKEN_LATENCY;
        self.arrive()?;
        let left = (self.graph.session(end), self.graph.preferred(end));
        if free && left != (None, None) {
            return Err(violation(Invariant::LeavesNothing, end, format!("(session, preferred) is {left:?}")));
        }
        Ok(())
    }
}

fn unanswered() -> Failure {
    Failure { applied: Applied::Perhaps, ..Failure::new(FailureKind::Passing, "no answer in time") }
}
