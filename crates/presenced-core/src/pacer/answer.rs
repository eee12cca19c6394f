//! What follows from an answer: for everybody, and for the user it is about.
//!
//! Leaves to others: what is sent next ([`super::turn`]), and what kind of failure it was (`graph/`).

use std::time::Duration;

use super::wheel::{Interval, second_of};
use super::{Answer, Flight, Pacer, REST, Stage, TROUBLES, Ticket, UserIndex, Work};
use crate::failure::{Extent, Failure, FailureKind};
use crate::session::{Target, timing};
use crate::time::{Instant, Now};

/// What a failure means for a user.
#[derive(Clone, Copy)]
enum Setback {
    /// It had no part in it, and goes back to its place.
    None,
    /// Nobody gets through.
    Outage,
    /// It fails while others succeed.
    Trouble,
    Refused,
}

impl From<&Failure> for Answer {
    fn from(failure: &Failure) -> Self {
        let retry_after = failure.retry_after;
        match (failure.kind, failure.extent) {
            (FailureKind::Throttled, _) => Self::Throttled { retry_after },
            (FailureKind::Passing, Extent::Service) => Self::Unavailable { retry_after },
            (FailureKind::Passing, Extent::Request) => Self::Failed,
            (FailureKind::TokenRefused | FailureKind::SignInNeeded, _) => Self::Again,
            (FailureKind::Refused, _) => Self::Refused,
        }
    }
}

impl Pacer {
    /// The item `ticket` was answered, or no answer will come. Ignored if it is not in flight.
    pub fn handle_answer(&mut self, ticket: Ticket, answer: Answer, now: &Now) {
        self.notice_step(now);
        let Some(flight) = self.flights.remove(&ticket) else { return };
        let setback = self.judge(&flight, answer, now.instant);
        match (flight.work, setback) {
            (Work::Read(read), setback) => {
                self.reads_in_flight -= 1;
                if let Some(Setback::None) = setback {
                    self.reads.push_front(read);
                }
            }
            (Work::User { user, .. }, _) if self.users.get(user).is_none_or(|user| user.number != flight.number) => {}
            (Work::User { user, .. }, Some(setback)) => self.fail(user, &flight, setback, now),
            (Work::User { user, .. }, None) => {
                let Answer::Done(held) = answer else { return };
                self.succeed(user, &flight, held, now);
            }
        }
    }

    /// What the answer means for everybody, and for the user. `None`: it succeeded.
    fn judge(&mut self, flight: &Flight, answer: Answer, now: Instant) -> Option<Setback> {
        let sent_at = flight.sent_at;
        if let Answer::Unavailable { retry_after } = answer {
            let is_outage = self.has_wheel && self.pauses.note_silence(sent_at, retry_after, now);
            return Some(if is_outage { Setback::Outage } else { Setback::Trouble });
        }
        // For a refused token, Graph may not have been asked.
        if answer != Answer::Again && self.pauses.note_answer(sent_at) {
            for user in std::mem::take(&mut self.bench) {
                self.users.update(user, |user| {
                    if user.stage == Stage::Benched {
                        user.stage = Stage::Ready;
                    }
                });
            }
        }
        match answer {
            Answer::Done(_) => {
                self.successes += 1;
                self.pauses.note_success(sent_at);
                None
            }
            Answer::Throttled { retry_after } => {
                // Without a wheel, the one session has its own backoff.
                if self.has_wheel || retry_after.is_some() {
                    let until = self.pauses.note_throttle(sent_at, retry_after, now);
                    self.pace.note_throttled(until);
                }
                Some(Setback::None)
            }
            Answer::Again => Some(Setback::None),
            Answer::Failed | Answer::Unavailable { .. } => Some(Setback::Trouble),
            Answer::Refused => Some(Setback::Refused),
        }
    }

    fn succeed(&mut self, index: UserIndex, flight: &Flight, held: Option<(Target, Instant)>, now: &Now) {
        let wheel_at = self.wheel_at(second_of(now.wall));
        let after_sending = second_of(now.wall_at(flight.sent_at)) + 1;
        self.users.update(index, |user| {
            user.stage = Stage::Ready;
            (user.troubles, user.is_refused) = (0, false);
            let interval = held.map(|(target, _)| Interval::of(target));
            let is_slot_done = flight.does_slot && held.is_some_and(|(_, set_at)| set_at >= flight.sent_at);
            user.slot = match (user.place, interval) {
                (Some(place), Some(interval)) if user.interval != Some(interval) => {
                    Some(place.slot_from(wheel_at, interval))
                }
                (Some(place), Some(interval)) if is_slot_done => Some(place.slot_from(after_sending, interval)),
                (Some(_), None) => None,
                // Without a place, its session may want the next one already.
                (Some(_), Some(_)) | (None, _) => user.slot,
            };
            user.interval = interval;
            user.deadline = held.map(|(target, set_at)| set_at + timing::interval(target));
        });
    }

    fn fail(&mut self, index: UserIndex, flight: &Flight, setback: Setback, now: &Now) {
        let successes = self.successes;
        let second = second_of(now.wall);
        self.users.update(index, |user| {
            let Some(place) = user.place else {
                // Its session says when it tries again.
                user.stage = Stage::Ready;
                return;
            };
            let slot_after = |wait: Duration| {
                let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
                Some(place.slot_from(second.saturating_add(wait), user.interval.unwrap_or(Interval::SHORTEST)))
            };
            let change = flight.change.or(user.change);
            user.stage = Stage::Ready;
            if let Setback::Outage | Setback::Trouble = setback {
                user.troubles = user.troubles.saturating_add(u8::from(user.successes_seen != successes));
                user.successes_seen = successes;
            }
            match setback {
                Setback::None => user.change = change,
                // Not even in what looks like an outage: a batch of such users would begin the next one, again and again.
                Setback::Outage | Setback::Trouble if user.troubles >= TROUBLES => {
                    (user.slot, user.deadline) = (slot_after(Duration::from_secs(1)), None);
                }
                Setback::Outage => (user.stage, user.change) = (Stage::Benched, change),
                Setback::Trouble => (user.stage, user.change) = (Stage::Resting(now.instant + REST), change),
                Setback::Refused => {
                    (user.is_refused, user.change, user.deadline) = (true, None, None);
                    user.slot = slot_after(timing::REFUSED_RETRY_INTERVAL);
                }
            }
        });
        if let Setback::Outage = setback {
            self.bench.push_back(index);
        }
    }
}
