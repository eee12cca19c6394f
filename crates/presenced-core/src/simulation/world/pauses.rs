//! Sleep and the end of a day: announced sleep, which is delayed until its presence is written; a wake-up that is not announced;
//! unannounced sleep; and leaving in limited time. Follows `daemon/sleep.rs`, `signals/sleep.rs` and `daemon/leave.rs`.

use std::time::Duration;

use super::{Driver, World};
use crate::failure::{Applied, Failure, FailureKind};
use crate::policy::{Reading, Sleep};
use crate::simulation::day::Announced;
use crate::simulation::graph::Graph;
use crate::simulation::invariants::{Invariant, Violation, violation};
use crate::simulation::network::{ANSWER_TIMEOUT, MAX_GRAPH_LATENCY, MAX_TOKEN_LATENCY};
use crate::simulation::rules::Expected;
use crate::time::Instant;

/// How long sleep is delayed, how long leaving may take, and how long either waits for the request in flight.
const SLEEP_DELAY: Duration = Duration::from_secs(3);
const LEAVE_TIMEOUT: Duration = Duration::from_millis(2500);
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long after logind knows of a wake-up presenced may still believe that the machine sleeps.
const UNNOTICED_FOR: Duration = Duration::from_secs(10);

/// Sleep that was announced and has not begun.
#[derive(Debug)]
pub(super) struct PendingSleep {
    ends: Instant,
    /// When to abandon the request in flight; `None` if that is done.
    last_answer: Option<Instant>,
    is_session_informed: bool,
    lasts: Duration,
    announced: Announced,
}

impl PendingSleep {
    pub(super) fn wakeup(&self) -> Instant {
        self.last_answer.unwrap_or(self.ends)
    }
}

impl World<'_> {
    pub(super) fn announce_or_sleep(&mut self, announced: Announced, lasts: Duration) -> Result<(), Violation> {
        // Without the sleep signal, announcements are not heard.
        if announced == Announced::Nothing || self.signals.sleep == Reading::Off {
            self.suspend(lasts);
            return Ok(());
        }
        let now = self.now;
        self.sleep_watch.handle_word(true, now);
        if self.missed_wake_up.is_some() {
            // There is no inhibitor yet that could delay this sleep.
            self.suspend(lasts);
            return self.wake_up(announced);
        }
        self.signals.sleep = Reading::Known(Sleep::Suspending);
        self.pending_sleep.get_or_insert(PendingSleep {
            ends: now + SLEEP_DELAY,
            last_answer: Some(now + LAST_ANSWER_TIMEOUT),
            is_session_informed: false,
            lasts,
            announced,
        });
        Ok(())
    }

    /// Lets the session write the presence for sleep, which is already decided, in the time that is left.
    pub(super) fn flush_before_sleep(&mut self) -> Result<(), Violation> {
        let Some(pending_sleep) = &mut self.pending_sleep else { return Ok(()) };
        let is_late = pending_sleep.last_answer.take_if(|at| *at <= self.now).is_some();
        if !std::mem::replace(&mut pending_sleep.is_session_informed, true) {
            self.session.handle_suspend();
            self.checker.note_suspend(self.now);
        }
        if is_late { self.abandon() } else { Ok(()) }
    }

    pub(super) fn may_sleep(&self) -> bool {
        self.pending_sleep
            .as_ref()
            .is_some_and(|PendingSleep { ends, .. }| *ends <= self.now || self.session.rests_until(*ends, self.now))
    }

    /// The delayed sleep begins and ends.
    pub(super) fn sleep(&mut self) -> Result<(), Violation> {
        let Some(PendingSleep { ends, lasts, announced, .. }) = self.pending_sleep.take() else { return Ok(()) };
        if ends > self.now && !self.is_in_trouble() && self.checker.is_steady(self.now) {
            self.checker
                .check_now(&self.graph, self.now)
                .map_err(|not_written| Violation { invariant: Invariant::WrittenBeforeSleep, ..not_written })?;
        }
        self.suspend(lasts);
        self.wake_up(announced)
    }

    /// Nothing runs for a while, but requests in flight still arrive at Graph.
    fn suspend(&mut self, lasts: Duration) {
        self.now = self.now + lasts;
        self.checker.note_trouble(self.now);
        // The client's timeout stood still during sleep.
        if let Some(flight) = &mut self.flight {
            flight.ends_at = self.now + ANSWER_TIMEOUT;
            flight.outcome = Err(unanswered());
            flight.in_trouble = true;
        }
    }

    /// The machine runs again after an announced sleep.
    fn wake_up(&mut self, announced: Announced) -> Result<(), Violation> {
        if let Announced::Start(late) = announced {
            self.missed_wake_up = Some(self.now + late);
            return Ok(());
        }
        self.notice_wake_up()
    }

    /// presenced learns that the machine runs again.
    fn notice_wake_up(&mut self) -> Result<(), Violation> {
        self.sleep_watch.handle_word(false, self.now);
        self.missed_wake_up = None;
        self.signals.sleep = Reading::Known(Sleep::Awake);
        self.must_decide = true;
        self.abandon()?;
        self.nudge();
        Ok(())
    }

    /// When presenced asks logind whether the sleep is over.
    pub(super) fn next_question(&self) -> Option<Instant> {
        self.sleep_watch.next_question().filter(|_| self.driver != Driver::NeverAsksAboutSleep)
    }

    /// Asks logind, if it is time to.
    pub(super) fn ask_about_sleep(&mut self) -> Result<(), Violation> {
        if self.next_question().is_none_or(|at| at > self.now) {
            return Ok(());
        }
        let knows = self.missed_wake_up.is_some_and(|since| since <= self.now);
        if self.pending_sleep.is_none() && knows {
            return self.notice_wake_up();
        }
        self.sleep_watch.handle_word(true, self.now);
        Ok(())
    }

    /// Checks that presenced has noticed by `at` that the machine runs again.
    pub(super) fn check_wake_up(&self, at: Instant) -> Result<(), Violation> {
        match self.missed_wake_up.map(|since| since + UNNOTICED_FOR) {
            Some(latest) if latest < at => Err(violation(Invariant::NoticesWakeUps, latest, "still asleep")),
            _ => Ok(()),
        }
    }

    /// Stops waiting for the request in flight.
    fn abandon(&mut self) -> Result<(), Violation> {
        self.arrive()?;
        let Some(mut flight) = self.flight.take() else { return Ok(()) };
        // A request that still waits for its token is not in flight yet.
        let arrives_at = flight.arrives_at.filter(|_| flight.leaves_at <= self.now);
        self.strays.extend(arrives_at.map(|at| (at, flight.sent_at, flight.request.action)));
        flight.outcome = Err(Failure { applied: Applied::PerhapsLater, ..unanswered() });
        flight.in_trouble = true;
        self.checker.note_given_up(self.now);
        self.finish(&flight)?;
        self.nudge();
        Ok(())
    }

    /// The daemon stops.
    pub(super) fn leave(&mut self) -> Result<(), Violation> {
        let begun = self.now;
        let free = self.network.fault.is_none() && self.checker.may_send(begun) && self.network.has_good_tokens();
        // A slow request may arrive after everything is cleared.
        let free = free && self.flight.as_ref().is_none_or(|flight| !flight.in_trouble) && self.strays.is_empty();
        let free = free && !self.checker.has_left_over(begun);
        let held = |graph: &Graph| (graph.session(begun), graph.preferred(begun));
        let (requests, before) = (self.checker.requests, held(&self.graph));
        // A request in flight may still arrive.
        let still = self.flight.is_none() && self.strays.is_empty();
        self.session.handle_leave(!self.day.keeps);
        self.checker.note_nudge(begun);
        if !self.day.keeps {
            self.checker.note_expected(Expected::default(), begun);
        }
        let (mut give_up_at, mut end) = (Some(begun + LAST_ANSWER_TIMEOUT), begun + LEAVE_TIMEOUT);
        while self.now < end {
            self.arrive()?;
            if let Some(flight) = self.flight.take_if(|flight| flight.ends_at <= self.now) {
                self.finish(&flight)?;
            }
            if give_up_at.take_if(|give_up_at| *give_up_at <= self.now).is_some() {
                self.abandon()?;
            }
            self.drain()?;
            if self.session.has_left() {
                break;
            }
            let flight = self.flight.as_ref().map(|flight| flight.arrives_at.unwrap_or(flight.ends_at));
            let wakeup = self.session.poll_wakeup(self.now).map(|(at, _)| at);
            let next = [flight, wakeup, give_up_at].into_iter().flatten().min();
            self.now = next.map_or(end, |next| next.min(end));
        }
        end = self.now;
        if self.day.keeps {
            if self.checker.requests > requests {
                return Err(violation(Invariant::KeepsOnExit, end, "something is sent"));
            }
            if still && held(&self.graph) != before {
                let what = format!("{before:?} became {:?}", held(&self.graph));
                return Err(violation(Invariant::KeepsOnExit, end, what));
            }
            return Ok(());
        }
        // Let the requests in flight arrive.
        self.now = end + ANSWER_TIMEOUT + MAX_GRAPH_LATENCY + MAX_TOKEN_LATENCY;
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
